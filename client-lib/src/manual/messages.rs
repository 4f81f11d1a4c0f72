//! Messages: what can be made of one after it was written, and what deletion means.
//!
//! Everything here is said of a [`Conversation`](crate::Conversation), which is one contact or, where groups are built, one
//! group. What a person says travels sealed like any text, through the same outbox, and a kill at any moment repeats work
//! and loses nothing.
//!
//! # Changes hold by their author's order
//! Edits ([`Client::edit`](crate::Client::edit)), deletions for everybody
//! ([`Client::delete_for_all`](crate::Client::delete_for_all)) and reactions ([`Client::react`](crate::Client::react)) may
//! come twice, late, or before what they are about. Each carries a number that its author raises, and the last one by that
//! number holds at every side. Only the author of a message can change or delete it; an attempt by anybody else changes
//! nothing and is shown as [`Notice::NotTheirs`](crate::Notice::NotTheirs). That a text was edited stays visible
//! ([`Message::is_edited`](crate::Message::is_edited)); what it said before is not kept.
//!
//! A line that changes is *new* again: [`Client::new_messages`](crate::Client::new_messages) gives it once more, with the
//! same id. A program that shows lines replaces the one that it has.
//!
//! # What deletion means
//! * [`Client::delete`](crate::Client::delete) takes a message off this device. Nobody is told, and others keep theirs.
//! * [`Client::delete_for_all`](crate::Client::delete_for_all) also asks the others' programs to destroy the words. They
//!   do when they next fetch, and show a line that something was there. A person who has read it has read it; a program that
//!   was changed can keep it. Tell people so.
//! * A timer ([`Client::set_timer`](crate::Client::set_timer)) has what is written from then on disappear: at the author's
//!   side so long after it was written, at the others' so long after it came. The message carries its time, so it holds
//!   whoever has heard of a change of the timer. It is hidden when its time is up. Its words lie in the vault under a key of
//!   the day (UTC) on which they end, never in the clear, and that key is overwritten at the end of that day, the next time
//!   the vault is open: what remains of the words in pages in no use, in a file system's older copies or in a stolen image
//!   of the disk of a later day opens with nothing. A copy of the disk from *before* that moment, with the passphrase, still
//!   has them. Copies of a vault ([`Client::backup`](crate::Client::backup)) leave such messages out.
//! * What has no timer is overwritten in the database when it is deleted, as well as the database and the disk can.
//!   Who must be sure uses a timer.
//!
//! Words that were to disappear before they could be sent are not sent, and a line says so
//! ([`Notice::TimeUpUnsent`](crate::Notice::TimeUpUnsent)).
//!
//! # Receipts
//! [`MessageState::Delivered`](crate::MessageState::Delivered) means that the other program has the message, not that
//! anybody read it. A receipt never goes at once, since that would tell when a program was at the network: it rides on the
//! next thing that is said, or goes with the first network call one to ten minutes after the message came.
//! [`Client::set_receipts`](crate::Client::set_receipts) turns them off, one conversation at a time, for this side only.
//!
//! # Consent
//! Before words are given on, their author can be asked ([`Client::ask_consent`](crate::Client::ask_consent)): these words
//! of this message, to whom, what for, until when. The answer is signed with a key made for that conversation alone. It
//! convinces the asker, and whoever the asker shows it to *together with the conversation*; by itself it names nobody.
//! [`Client::consented_words`](crate::Client::consented_words) is the one gate: it gives the words only as long as the
//! consent holds for exactly them. [`Client::quote`](crate::Client::quote) sends them on and remembers to whom, so that a
//! withdrawal ([`Client::withdraw_consent`](crate::Client::withdraw_consent)) has those copies deleted. A program that
//! exports words by itself asks the same gate each time.
//!
//! # Newer programs
//! What a newer version says and this one does not know is a line, [`Notice::NeedsNewer`](crate::Notice::NeedsNewer), never
//! silence.
