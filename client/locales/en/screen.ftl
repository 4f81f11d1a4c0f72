# What is said beside results.

head-commands = Commands
head-flags = Flags
head-global-flags = Flags of every command
head-after-help =
    Start with “hearken up”. To read or write a secret, give - where a text or a link is asked for.

say-not-built-yet = Not built yet

## Wrong usage

usage-unknown-flag = There is no flag { $argument } here. If it is part of a text, put -- before the text.
usage-too-many-words = There is a word too many. If it belongs to a text or a name, put the whole in quotation marks.
usage-unknown-command = There is no such command.
usage-no-command = A command is missing.
usage-missing = Something is missing: { $argument }
usage-conflict = { $argument } cannot be used together with another flag that you gave, or was given twice.
usage-one-of = { $argument } must be one of: { $values }
usage-bad-value = The value of { $argument } cannot be read.
usage-other = The command is not written right.
usage-stdin-twice = Two things cannot both be read from standard input.

## Passphrases

say-choose-passphrase = Choose a passphrase of several words that nobody can guess. It locks everything on this device; nobody can reset it for you.
ask-passphrase = Passphrase:
ask-new-passphrase = New passphrase:
ask-passphrase-again = The same again:
ask-link = Paste the invitation and press Enter:
ask-text = Type the text. End it with Ctrl-D on a line of its own.
ask-direct = Go directly? [yes/no]
# What counts as a yes; its first letter is enough.
ask-yes = yes

warn-text-argument = Warning: a text on the command line can be seen by others on this computer, and stays in the history of your shell. Next time give - and type it.
warn-link-argument = Warning: a link on the command line can be seen by others on this computer, and stays in the history of your shell. Next time give - and paste it.

## Progress

wait-open = Opening your vault…
wait-create = Making your vault…
wait-invite = Making the invitation at your relay…
wait-join = Joining…
wait-send = Sending…
wait-receive = Asking your relays…
wait-relay = Starting your relay…

## Results

head-recovery-phrase = Your recovery phrase:
say-recovery-phrase =
    Write these words on paper, in this order, and keep it in a safe place. They open your vault if you forget
    the passphrase. They are shown only now. Whoever has them can read everything.

say-relay-added = Relay added.
say-relay-removed = Relay taken out. Mailboxes that are on it keep working.
say-relay-own = (your own)
say-relay-closes = (closes on { $date })
say-no-relays = You have not added a relay. Add one with “hearken relay add ADDRESS”, or run your own with “hearken up”.

say-invitation = Give this invitation to one person, over a way that you trust. Whoever sees it first can use it, once:
say-invitation-next = When they have joined, run “hearken receive”, then compare the safety phrase with “hearken verify”.

say-joined =
    Joined. You can write now. To make sure that nobody is in between, compare the safety phrase with the other
    person: “hearken verify”.
say-mailbox-on-theirs =
    You have no relay of your own, so your mailbox is on the relay of whoever invited you. To use another one for
    later contacts, add it with “hearken relay add ADDRESS”.

say-no-contacts = You have no contacts yet. Invite somebody with “hearken invite”, or accept an invitation with “hearken join -”.
say-state-invited = invited, has not joined yet
say-state-unverified = joined, not verified
say-state-verified = joined, verified
say-state-apart = from a copy, to be met again: invite them anew under this name
say-state-blocked = blocked
say-state-outbox = { $n ->
    [one] one message waits to be sent
   *[other] { $n } messages wait to be sent
}
say-state-waiting = waits to be sent
say-renamed = Renamed.
say-blocked = Blocked. What they send is dropped; they are not told.
say-forgotten = Forgotten. Everything written with them is deleted on this device; what they have is not.

head-safety-phrase = Safety phrase:
head-safety-number = The same as digits:
say-verify-how =
    Compare these words with the other person, face to face or in a call where you know the voice, not over this
    conversation. If all are the same, run the command again with --confirm. If not, somebody is in between:
    write nothing that matters, and invite each other anew.
say-verified = You have marked this contact as verified.

say-no-entry =
    There is no entry relay, so the relay of the mailbox will see your network address (not what you write, and not
    with whom). To hide it, say no, and add a relay of another operator with “hearken relay add ADDRESS”.
    If you say yes, this is remembered for as long as there is no entry relay.

say-sent = Sent: the relay keeps it until they read it.
say-queued = Not sent yet. It is kept here and sent as soon as the relay takes it.
say-queued-until-joined = Kept here. It is sent when they have joined.

say-deleted-here = Deleted on this side. What others have is not touched.
say-deleted-both = Deleted. The others' programs delete it when they get to know. What somebody has read or copied, nothing takes back.
say-deleted-unsent = Deleted. It had not been sent.
say-timer-on = Set. What either of you writes from now on disappears after that time, on each side. What was written before stays.
say-timer-off = Set. What is written from now on stays. What was written under a timer still disappears.
say-nothing-found = Nothing found.
say-edited = edited
say-reply-to = answers { $id }
say-reaction = { $emoji } to { $id }
say-reaction-back = has taken back { $emoji } to { $id }

say-no-consents = Nobody has asked for consent.
say-consent = Consent
say-consent-asked = asked
say-consent-given = given
say-consent-refused = refused
say-consent-withdrawn = withdrawn
say-consent-message = message:
say-consent-to = to:
say-consent-for = for:
say-consent-until = until:
say-consent-for-good = it is withdrawn

say-out-of-time = The time was up before everything was done. Nothing is lost; run “hearken receive” again.
say-nothing-new = Nothing new.
say-following = Waiting for messages. Stop with Ctrl-C.
say-no-messages = No messages with this contact yet.
say-relay-unreachable = A relay does not answer. Trying again; nothing is lost.
say-relay-reached = The relay answers again.
say-relay-stays = A relay that said that it would close stays after all.
warn-relay-closes = Warning: the relay { $relay } closes on { $date }. Add another one with “hearken relay add ADDRESS”: new mailboxes go there.
warn-relay-closes-contacts = Warning: the relay { $relay } closes on { $date }. What you and { $names } write to each other goes over it and ends then. Before that day, agree on a new invitation with them over another relay.
warn-relay-closed = Warning: the relay { $relay } closed on { $date } and takes in nothing more. Take it out with “hearken relay remove FINGERPRINT”.
warn-relay-closed-contacts = Warning: the relay { $relay } closed on { $date }. What you and { $names } write to each other does not arrive any more. Fetch what is there with “hearken receive”, and agree on a new invitation with them by another way.
warn-relay-successor = Whoever runs it recommends { $address } instead. If you trust that, add it with “hearken relay add ADDRESS”.
say-me = You
say-passphrase-changed = The passphrase is changed. The recovery phrase is still the same. Copies that you made before open with the old one.

say-copy-written = The copy is written. It opens with the passphrase and the recovery phrase of today, and holds everything
    that you have read and written: keep it as safe as the vault. It holds no keys, so after a restore you and your
    contacts have to meet again.
say-restored = { $n ->
    [0] Your vault is restored.
    [one] Your vault is restored. Your contact has to be met again: invite them under the same name.
   *[other] Your vault is restored. Your { $n } contacts have to be met again: invite each under the same name.
}
ask-destroy = Everything in your vault will be gone for good. Destroy it?
say-destroyed = The vault is destroyed. Copies that you made of it are still where you put them.
say-destroyed-relay = The relay in the same folder is still there; its files are in “relay”.
say-not-destroyed = Nothing was destroyed.

notice-gap = { $missing ->
    [one] Something is missing here: one part did not arrive or could not be read. Ask them to send it again.
   *[other] Something is missing here: { $missing } parts did not arrive or could not be read. Ask them to send it again.
}
notice-joined = has joined. Compare the safety phrase with them before you write what matters.
notice-second-claim = Warning: somebody else tried to use the same invitation. Whoever joined may not be whom you meant. Compare the safety phrase before you write anything.
notice-unsent = Not sent before the copy was made, and not sent from here: { $words }
notice-restored = This comes from a copy of your vault. To write with this person again, you have to meet anew: invite them under the same name. Compare the safety phrase then.
notice-deleted = There was a message here. Whoever wrote it has deleted it.
notice-timer = What is written from now on disappears after { $span }, on each side.
notice-timer-off = What is written from now on stays.
notice-not-theirs = Warning: somebody tried to change or delete a message that they did not write. Nothing was changed.
notice-time-up-unsent = You wrote something here whose time was up before it could be sent. It was not sent.
notice-unknown = A kind of message that this version does not know. Update Hearken to see it.

## up

say-up-direct = Your relay runs on this device, so you reach it directly, and other relays see this device's network address where you add no entry relay.
say-up-private =
    Warning: your relay's address works only on this device or in your own network. For others to reach it, name the
    address under which the internet reaches this device with --host, and let UDP through to it.
say-up-running = Running. People can reach you for as long as this runs. Stop with Ctrl-C.

live-help =
    Type a line and press Enter to send it. Commands:
      @NAME TEXT           write to somebody; lines after it go to them too
      /contacts            whom you know, with the beginning of their ids
      /name CONTACT NAME   what you call somebody; never sent
      /verify CONTACT      the safety phrase, to make sure that nobody is in between
      /help                this help
      /quit                stop (your relay stops too)
live-verify-how = Compare these words with the other person, face to face or in a call where you know the voice. If all are the same, type the command again with the word yes behind it. If not, somebody is in between.
live-sent = (sent)
live-to = To { $name }…
live-to-invited = Kept for { $name }, who has not joined yet.
live-partner = You are writing to { $name }.
live-to-whom = To whom? Begin the line with @NAME. See /contacts.
live-unknown-command = There is no such command. See /help. To send a text that begins with /, write two of them.
live-mailbox-full = The mailbox of this contact is full. What you wrote is kept, and sent when they have read.

## Files

wait-clean = Taking out what tells who made the file …
wait-fetch = Fetching the file …
wait-file = File: { $percent } %
say-saved = Saved.
say-file = { $at ->
    [own] File “{ $name }”, { $size } kB
    [at-relay] File “{ $name }”, { $size } kB, still at the relay: “hearken save” fetches it, within 21 days of its sending
    [here] File “{ $name }”, { $size } kB: “hearken save” writes it to a place of yours
    [broken] File “{ $name }”: what the relay gave is not what was sent. Ask for it again.
   *[gone] File “{ $name }”, which is gone. Ask for it again.
}
