//! The reasons behind the library, for whoever embeds it.
//!
//! # What is promised, and by whom
//! A contact is *unverified* until both people have compared the safety phrase: whoever saw the invitation link could
//! have joined in their place. The library cannot compare it for them; a program that hides that state lies to the
//! people who use it. [`Client::safety`](crate::Client::safety) gives the phrase,
//! [`Client::confirm_verified`](crate::Client::confirm_verified) records that the people said it is the same.
//!
//! # Sent, queued, arrived
//! [`Client::send_text`](crate::Client::send_text) returns once the text and its exact ciphertexts are durable in the
//! vault. From then on it goes out in order, and a retry sends the same bytes. *Sent* means that the relay has
//! acknowledged every cell as durable, *delivered* that the other program has it. Nobody but the other person can say that
//! it was read, and nobody does here. What can be made of a message afterwards, and what deletion means: [`messages`].
//!
//! What comes is stored before it is acknowledged, and stays *new* until
//! [`Client::mark_shown`](crate::Client::mark_shown): show first, mark then.
//!
//! # Gaps
//! A relay can drop or withhold. Numbers inside the sealed messages show it: what was passed over appears as
//! [`MessageKind::Gap`](crate::MessageKind::Gap). Show it. A person who knows that something is missing can ask.
//!
//! # Routes
//! With an entry relay (`hop2`) the relay of a mailbox never learns an address. Only a relay that the person added
//! serves as entry, never one learned from an invitation: whoever made the invitation could run both. Where there is
//! none, [`Client::route_for`](crate::Client::route_for) says so, and the person must be asked before
//! [`RouteChoice::Direct`](crate::RouteChoice::Direct).
//!
//! # One home, several processes
//! A home has one owner at a time. A client that [follows](crate::Client::follow) gives way to a process that waits, and
//! takes the home back; calls made meanwhile wait. So a program can follow all day and a command line still works.
//!
//! # What a crash leaves
//! Every change of a conversation is one transaction: ratchet state with the ciphertext or plaintext that it belongs
//! to. A kill at any moment repeats work and loses nothing. A vault copied back from a backup repeats no key either:
//! each message key is bound to 32 fresh random bytes in its blob.

pub mod messages;
