# What went wrong (err-…) and what to do now (rec-…), one line each, for every way that a command can fail.
# Plain words: whoever reads these may be afraid and in a hurry.

## What was typed

err-usage = { $detail }
rec-usage = Add --help to the command to see how it is written.

err-not-built = “{ $what }” is not built yet. Nothing was sent and nothing was changed.
rec-not-built = See “hearken --help” for what works today.

err-no-terminal = A passphrase is needed, and there is no terminal to ask for it.
rec-no-terminal = Run this in a terminal, or give the passphrase with --passphrase-file or --passphrase-fd.

err-address-malformed = This is not a relay address.
rec-address-malformed = A relay address looks like hearken://…@name:port. Copy it whole from whoever runs the relay.

err-invitation-malformed = This is not a whole invitation.
rec-invitation-malformed = An invitation begins with hearken:invite/1# and is one long word. Copy all of it; if it is whole, ask for a new one.

## What was to be read

err-file-unreadable = A file that you named could not be read.
rec-file-unreadable = Check its name and that you may read it.

err-file-empty = The file is empty.
rec-file-empty = Check that you named the right file.

err-file-too-large = The file is larger than 19,000,000 bytes.
rec-file-too-large = Send a smaller one, or send it in parts.

err-cannot-clean = { $why ->
    [media] Films and sounds cannot be cleaned of what tells who made them, so the file was not sent.
    [archive] What is in an archive cannot be cleaned of what tells who made it, so the file was not sent.
    [old-office] Documents of this old kind (.doc, .xls, .ppt) cannot be cleaned of what tells who made them, so the file was not sent.
    [encrypted] What is encrypted or protected by a password cannot be cleaned of what tells who made it, so the file was not sent.
    [damaged] The file is damaged, or is not what it looks like, so it cannot be cleaned of what tells who made it. It was not sent.
    [intricate] The file is so intricate that it cannot be cleaned of what tells who made it, so it was not sent.
    [embedded] Another document, a film or a program lies inside the document, and cannot be cleaned of what tells who made it. It was not sent.
    [picture] A picture in the document is of a kind that cannot be cleaned of what tells who made it. It was not sent.
    [macros] The document carries macros, which are programs. It was not sent.
    [fetches] The document fetches something from elsewhere when it is opened, which would tell others who opens it. It was not sent.
    [form] The document is a form of a kind that cannot be cleaned of what tells who made it. It was not sent.
   *[unknown] This kind of file cannot be cleaned of what tells who made it, so it was not sent.
}
rec-cannot-clean = { $why ->
    [media] If what it tells of you may be known, send it with --keep-metadata.
    [archive] Unpack it and send the files one by one, or, if what they tell of you may be known, send it with --keep-metadata.
    [old-office] Save it as .docx, .xlsx, .pptx or PDF and send that.
    [encrypted] Take the password off and send that; the conversation is encrypted anyway.
    [picture] Replace the picture by a JPEG or PNG, or make a PDF of the document, and send that.
    [embedded] Take it out, or make a PDF of the document, and send that.
    [macros] Save it without macros (.docx, .xlsx, .pptx) and send that.
    [fetches] Remove the links to other files and sources, or make a PDF of the document, and send that.
    [form] Print it into a PDF and send that.
   *[unknown] Make a PDF, a JPEG or a PNG of it and send that, or, if what it tells of you may be known, send it with --keep-metadata.
}

err-text-empty = The text is empty, so there is nothing to send.
rec-text-empty = Write something, or check that you named the right file.

err-text-too-long = The text is longer than 256 KiB, the most that one message can hold. Nothing was sent.
rec-text-too-long = Send it in several parts.

err-text-not-utf8 = The text is not UTF-8, so the other side could not read it. Nothing was sent.
rec-text-not-utf8 = Save it as “UTF-8” or “Unicode” text in your editor, and try again.

err-passphrase-empty = The new passphrase is empty.
rec-passphrase-empty = Choose a passphrase of several words. Without one, anybody with your device could read everything.

err-passphrase-too-long = The passphrase is longer than 4096 bytes. Perhaps the wrong file was named.
rec-passphrase-too-long = Name the file that holds the passphrase and nothing else.

err-passphrases-differ = The two passphrases are not the same. Nothing was changed.
rec-passphrases-differ = Try again, and type the same passphrase twice.

## The vault

err-no-home = There is no folder to keep your data in.
rec-no-home = Name one with --home, for example --home ./hearken

err-no-vault = There is no vault here yet.
rec-no-vault = Make one with “hearken init”, or start everything with “hearken up”. If you have one elsewhere, name its folder with --home.

err-vault-exists = There is a vault here already. It was not touched.
rec-vault-exists = Use it as it is, or choose another folder with --home.

err-not-a-vault = The folder “vault” in your home is not a vault, or holds files that no vault has. It was not touched.
rec-not-a-vault = Look into it. If a vault is in there beside other files, move those away and try again.

err-vault-damaged = The vault is damaged and cannot be opened.
rec-vault-damaged = Do not write to this folder. Copy it to a safe place as it is, and ask somebody who helps you with Hearken.

err-vault-too-new = The vault was made by a newer version of Hearken. It was not touched.
rec-vault-too-new = Install the newest version of Hearken, and try again.

err-copy-damaged = This is not a whole copy of a vault. Nothing was made from it.
rec-copy-damaged = Check that you named the right file, and try another copy if you have one.

err-file-exists = There is a file of this name already. It was not touched.
rec-file-exists = Choose another name.

err-inside-vault = A copy inside of the vault would be lost with it. Nothing was written.
rec-inside-vault = Choose a place outside, best on another device.

err-wrong-passphrase = The passphrase is wrong.
rec-wrong-passphrase = Try again. If you have forgotten it, type the words of your recovery phrase in its place.

err-home-busy = Another Hearken program is using this vault: { $holder }.
rec-home-busy = Wait until it is done or stop it, then try again. Nothing was damaged.

err-disk-full = There is no room left on this device. What was saved before is still there.
rec-disk-full = Delete something that you do not need, then try again.

err-out-of-memory = This device has too little free memory to open the vault.
rec-out-of-memory = Close other programs, then try again.

err-storage = Your data could not be read or written on this device.
rec-storage = Check that the disk has room and that the folder belongs to you, then try again. What was saved before is still there.

## Contacts

err-unknown-contact = There is no contact “{ $given }”.
rec-unknown-contact = See “hearken contacts” for their names and ids.

err-ambiguous-contact = “{ $given }” could be more than one contact: { $candidates }
rec-ambiguous-contact = Type more of the id, or the whole name.

err-name-taken = Another contact has this name already.
rec-name-taken = Choose another name, so that you never write to the wrong person. If this is the same person on a new device, first give the old contact another name with “hearken rename”.

err-name-invalid = A name must have 1 to 200 bytes.
rec-name-invalid = Choose a shorter name that is not empty.

err-contact-blocked = You have blocked this contact. Nothing was sent.
rec-contact-blocked = Write to somebody else. To talk with this person again, invite them anew.

err-not-joined = This contact has not joined yet, so there is nothing to compare.
rec-not-joined = Wait until they have joined, run “hearken receive”, and try again.

## Messages

err-unknown-message = There is no message “{ $given }” in this conversation. It may have been deleted, or its time may have been up.
rec-unknown-message = See “hearken history” for the messages and their ids.

err-ambiguous-message = “{ $given }” could be more than one message: { $candidates }
rec-ambiguous-message = Type more of the id.

err-not-a-file = This message brought no file.
rec-not-a-file = See with “hearken history” which messages did: their lines say so.

err-file-gone = The relay has let the file go: it keeps files for 21 days, and this one was not fetched in that time.
rec-file-gone = Ask for it to be sent again.

err-file-broken = What the relay gave is not the file that was sent. Nothing of it was saved.
rec-file-broken = Ask for it to be sent again, and tell your contact what happened: the relay may be lying or broken.

err-file-unwritable = The file could not be written.
rec-file-unwritable = Check that the folder is there, belongs to you and has room.

err-not-yours = Somebody else wrote this message. Nothing was changed.
rec-not-yours = Only who wrote a message can change it or delete it on every side. To delete it on this side, leave --both out.

err-emoji-invalid = This is not a reaction. Nothing was sent.
rec-emoji-invalid = Give one emoji. The same again takes it back, and "" takes back all of yours.

err-too-many-reactions = You have given this message 16 different reactions, the most that there can be.
rec-too-many-reactions = Take one back by giving it again.

err-timer-invalid = This is not a time that messages can stay for.
rec-timer-invalid = Give a number with m, h or d behind it, for example 30m, 12h or 7d, a year at most; or off.

err-date-invalid = This is not a date.
rec-date-invalid = Write a day like 2027-01-31, which lasts until its end in UTC, or a moment like 2027-01-31T12:00:00Z.

err-unknown-consent = There is no consent “{ $given }”.
rec-unknown-consent = See “hearken consent list”.

err-ambiguous-consent = “{ $given }” could be more than one consent: { $candidates }
rec-ambiguous-consent = Type more of the id.

err-own-message = This message is your own: nobody has to agree to what you do with it.
rec-own-message = Name a message that somebody else wrote.

err-consent-invalid = Nothing was asked. Whom it is for and what for must have 1 to 1000 bytes each, and the end must lie ahead.
rec-consent-invalid = Say shortly with --to and --for what you ask for, and choose a later --until or leave it out.

err-consent-outdated = What you were asked about is not there any more as it was: the words have changed or are gone, or the time is up. Nothing was sent.
rec-consent-outdated = Answer no, or have them ask again.

err-consent-decided = This consent is decided already. Nothing was changed.
rec-consent-decided = See “hearken consent list”. A yes can be taken back with “hearken consent withdraw”; after a no, have them ask again.

err-not-consented = There is no consent for this: nobody has said yes, or it was taken back, is over, or was for other words. Nothing was sent.
rec-not-consented = See “hearken consent list”, and ask again with “hearken consent ask”.

## Invitations

err-invitation-expired = This invitation has expired.
rec-invitation-expired = Ask for a new one.

err-invitation-gone = The relay does not have this invitation any more.
rec-invitation-gone = Ask for a new one.

err-invitation-claimed = Somebody has used this invitation already.
rec-invitation-claimed = If that was not you, the link was seen by somebody else. Tell whoever invited you, over another way, and ask for a new one.

err-card-swapped = The relay handed out other keys than the invitation names. Nothing was sent.
rec-card-swapped = Do not use this relay. Tell whoever invited you, over another way, and ask for an invitation on another relay.

err-own-invitation = This invitation is your own, or you have used it before.
rec-own-invitation = Give it to the person you want to talk with; they use it on their device.

err-expiry-invalid = An invitation lasts from one hour to 21 days.
rec-expiry-invalid = Choose --expires between 1 and 504 hours.

## Relays and routes

err-no-relay = You have not added a relay yet, so there is no place for a mailbox.
rec-no-relay = Add one with “hearken relay add ADDRESS”, or run your own with “hearken up”.

err-unknown-relay = You have not added a relay with this fingerprint.
rec-unknown-relay = See “hearken relay list”.

err-no-entry = You asked for a route over two relays, and you have added no second relay that could be the entry. Nothing was sent.
rec-no-entry = Add a relay of another operator with “hearken relay add ADDRESS”, or leave --route out.

err-direct-needs-consent = There is no entry relay, so the relay of the mailbox would see your network address. Nothing was sent.
rec-direct-needs-consent = Add a relay of another operator with “hearken relay add ADDRESS”, or accept this with --route direct.

err-unreachable = { $kept ->
    [nothing] A relay does not answer. Nothing was kept.
    [own] Your relay runs, but this device cannot reach it at the address that it hands out, so others could not either.
   *[outbox] A relay does not answer. What you wrote is kept here and is not lost.
}
rec-unreachable = { $kept ->
    [nothing] Check your connection, then try again.
    [own] Check the name given with --host, and that your router lets UDP through to this device. To try it in your own network, leave --host out.
   *[outbox] Check your connection and run “hearken receive” later; what waits is sent then.
}

err-wrong-fingerprint = Another relay than the one you know answers at this address. Nothing was sent to it.
rec-wrong-fingerprint = Somebody may be in between, or the relay was set up anew. Ask whoever runs it for its address, over another way.

err-mailbox-full = The mailbox of this contact is full. What you wrote is kept here and is not lost.
rec-mailbox-full = Wait until they have read their messages, then run “hearken receive”; what waits is sent then.

err-clock-went-back = The clock of a relay went back, which can mean that somebody replays its past. Nothing was sent.
rec-clock-went-back = Tell whoever runs the relay. Try again later, or use another relay.

err-clocks-apart = The clocks of this device and of a relay are hours apart. Nothing was sent.
rec-clocks-apart = Check the date, time and time zone of this device, then try again.

err-peer-refused = Your entry relay refuses to forward to that relay. Nothing was lost.
rec-peer-refused = Add another relay to be the entry with “hearken relay add ADDRESS”, or accept --route direct: the other relay then sees your network address.

err-relay-busy = A relay is busy. Nothing was lost.
rec-relay-busy = Try again in a few minutes.

err-relay-full = A relay has no room left. Nothing was kept there.
rec-relay-full = Use another relay, or tell whoever runs it.

err-not-admitted = This relay takes no new mailboxes.
rec-not-admitted = Add another relay with “hearken relay add ADDRESS”.

err-relay-closed = The relay of this contact has closed and takes no more messages. What you wrote is kept here, unsent.
rec-relay-closed = Agree on a new invitation with them by another way; “hearken receive” still fetches what is there.

err-relay-misbehaved = A relay does not keep to the rules, or has another version. Nothing was lost.
rec-relay-misbehaved = Update Hearken. If that does not help, use another relay.

## The relay that “up” runs

err-listen-refused = Your relay cannot listen at { $address }: another program may use it, or it is not an address of this device.
rec-listen-refused = Choose another one with --listen, for example --listen 0.0.0.0:4434

err-relay-folder = The folder of your relay is damaged, or holds something else. It was not touched.
rec-relay-folder = Run “hearken-relay check --data” with the folder “relay” in your home folder; it says what to do.

err-relay-configuration = The configuration of your relay cannot be used. Nothing was started.
rec-relay-configuration = Run “hearken-relay check --data” with the folder “relay” in your home folder; it names the line.

err-relay-in-use = Your relay is running already.
rec-relay-in-use = Use the “hearken up” that is running, or stop it first.

err-relay-failed = Your relay has stopped because a part of it failed. What it had accepted is not lost.
rec-relay-failed = Start “hearken up” again. If it stops again, run “hearken-relay check --data” with the folder “relay” in your home folder.

## The program itself

err-output-closed = The result could not be written, because nobody reads it any more.
rec-output-closed = Run the command again; a message is shown again until it was written whole.

err-interrupted = Stopped before it was done.
rec-interrupted = Run the command again when you are ready. What was saved is still there.

err-internal = Something went wrong inside Hearken. This is a fault of the program, not yours.
rec-internal = Try again. If it happens again, please report what you did (not what you wrote).
