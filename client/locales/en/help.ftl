# What commands (help-…) and their arguments (arg-…) are for. One line each.

help-hearken = Conversations that only you and the other person can read.

## Flags of every command

arg-home = Folder of your vault (else HEARKEN_HOME, else the platform's place for data)
arg-json = One JSON object a line on standard output
arg-lang = Language of what you read (else that of your system; English where there is none)
arg-passphrase-file = Read the passphrase from this file; - is standard input
arg-passphrase-fd = Read the passphrase from this file descriptor
arg-codephrase-file = Read the codephrase from this file; - is standard input
arg-codephrase-fd = Read the codephrase from this file descriptor
arg-route = direct: the relay of the mailbox sees your network address; hop2: over an entry relay, or not at all
arg-proxy = Not built yet
arg-help = Show this help
arg-version = Show the version

## Start

help-up = Start here: your own relay, your vault and an invitation, in one command
arg-up-listen = Where your relay listens, for example 0.0.0.0:4433
arg-up-host = Name or address under which others reach your relay
arg-no-browser = Open no browser
arg-test-kdf = Make a vault that is cheap to break. For tests only

help-init = Make your vault; shows the recovery phrase once
arg-init-relays = Address of a relay that you want to use (may be given more than once)

help-relay = The relays that you use
help-relay-add = Add a relay
help-relay-list = Show the relays that you added
help-relay-remove = Take a relay out
arg-address = Address of the relay, hearken://…@name:port
arg-fingerprint = Fingerprint of the relay, or the first 4 or more characters of it

## Contacts

help-invite = Make an invitation for one person
arg-invite-name = What you call this person; never sent
arg-expires = Hours until the invitation ends, may be a fraction (72)
arg-qr = Show the invitation as a QR code too

help-join = Accept an invitation
arg-join-link = The invitation. Better give - and paste it: what stands on the command line can be seen by others on this computer
arg-join-name = What you call this person; never sent

help-contacts = Show whom you know

help-verify = Show the safety phrase, to make sure that nobody is in between
arg-confirm = You compared it with the other person, and it is the same

help-rename = Call a contact by another name
arg-rename-name = The new name; never sent

help-forget = Delete a contact and everything written with them, on this device
help-block = See nothing more from a contact; they are not told
arg-contact = Name or id of the contact, or the first 4 or more characters of the id

## Messages

help-send = Send a text or a file
arg-text = The text. Better give - and type it: what stands on the command line can be seen by others on this computer
arg-text-file = Send the text in this file; - is standard input
arg-reply-to = Id of the message that this answers, or the first 4 or more characters of it
arg-file = Send this file, without what tells who made it, where and with what; - is standard input
arg-keep-metadata = Send the file as it is, with whatever it tells of you
arg-keep-name = Send the file's own name too, without its folder; else one like photo.jpg

help-receive = Get new messages, and send what waits
arg-follow = Go on until you stop it
arg-timeout = Seconds to try at most (10)

help-save = Save a file that you received

help-history = Show earlier messages
arg-limit = How many of the newest (100)

help-search = Search in what you wrote and received, in all conversations
arg-words = The words that a message must have, all of them. Better give - and type them
help-react = React to a message; the same reaction again takes it back
arg-message = Id of the message, or the first 4 or more characters of it
arg-emoji = One emoji; "" takes back all of yours
help-edit = Change what a message of yours says, on both sides; that it was changed stays visible
arg-edit-text = The new text. Better give - and type it
help-delete = Delete a message on this side
arg-both = Delete a message of yours on both sides; a line that says so stays
help-timer = Let what is written from now on disappear, on both sides
arg-quote = Send what somebody else wrote, as this consent allows; should they take it back, it is deleted again

help-consent = Ask before you give on what somebody wrote, and answer when you are asked
help-consent-ask = Ask the author of a message
arg-consent-ask-to = Whom you want to give it to
arg-consent-ask-purpose = What for
arg-until = Until when: a day like 2027-01-31, or a moment; without it, until they take it back
help-consent-answer = Answer when you are asked
arg-id = Id of the consent, or the first 4 or more characters of it
arg-answer = yes or no
help-consent-withdraw = Take a yes back; what was given on through the program is deleted
help-consent-list = Show all that was asked
arg-duration = How long it stays: 30m, 12h, 7d; or off

## Vault

help-vault = Your vault
help-vault-change-passphrase = Choose another passphrase
help-vault-backup = Write a copy of your vault to a file: names, relays and what was written, encrypted
arg-out = The file to write; it must not be there yet
help-vault-restore = Make your vault anew from a copy; your contacts are then to be met again
arg-from = The copy; - is standard input
help-vault-destroy = Destroy your vault: everything in it is gone for good
arg-new-passphrase-file = Read the new passphrase from this file; - is standard input
arg-new-passphrase-fd = Read the new passphrase from this file descriptor

## Not built yet

help-group = Not built yet: conversations of several people
help-submit = Not built yet: report something to a desk, without a name
help-case = Not built yet: see how your report goes on
help-desk = Not built yet: receive reports as one of several handlers
help-app = Not built yet: the app in your browser
