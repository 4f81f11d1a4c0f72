//! What of a vault goes into a copy of it, and what a vault made from one holds.
//!
//! A copy holds the person's words and names: relays, contacts, what was written. It holds no key of a conversation or a
//! mailbox, so a vault made from it can neither use one again nor open what went on after the copy. Its contacts are to
//! be met again ([`ContactState::Apart`](crate::ContactState::Apart)): the next invitation or join under a contact's name
//! takes the place of that contact and keeps what was written, and as long as nobody joined it, another one does. What had not been sent is not sent from there, since it
//! could reach somebody else or arrive twice; it is shown as a notice with its words. What has an end is left out: a copy would
//! keep it for good. Of files it has the lines and none of the files.

use crate::vault::CopyStatements;

/// See the module.
pub(crate) const COPIES: CopyStatements = CopyStatements {
    version: 1,
    // The relay that runs beside a vault is not part of it.
    backup: "
CREATE TABLE copy.setting AS SELECT name, value FROM main.setting;
CREATE TABLE copy.relay AS SELECT fingerprint, address, added, newest_info_ms FROM main.relay
    WHERE own = 0;
CREATE TABLE copy.contact AS SELECT id, name, blocked FROM main.contact WHERE state > 0 ORDER BY seq;
CREATE TABLE copy.thread AS SELECT thread.id AS id, timer_s, timer_order FROM main.thread
    JOIN main.contact ON contact.id = thread.id WHERE contact.state > 0;
CREATE TABLE copy.message AS
    SELECT thread, message.id AS id, author, kind, missing, text, target, ord, edited, sent_at, received_at,
        message.state AS state, shown
    FROM main.message JOIN main.contact ON contact.id = message.thread
    WHERE contact.state > 0 AND key_day IS NULL AND kind <> 13 ORDER BY message.seq;
CREATE TABLE copy.consent AS
    SELECT thread, consent.id AS id, asker, asked, message, hash, audience, purpose, until, consent.state AS state, ord,
        public_key, signature
    FROM main.consent JOIN main.contact ON contact.id = consent.thread
    WHERE contact.state > 0 ORDER BY consent.seq;
",
    // kind 0 or 14 in state 0: an own text or file that had not been sent. It becomes kind 4 and stays queued for good; kind 5 says that this is a copy.
    restore: "
INSERT INTO main.setting (name, value) SELECT name, value FROM copy.setting;
INSERT INTO main.relay (fingerprint, address, added, newest_info_ms)
    SELECT fingerprint, address, added, newest_info_ms FROM copy.relay;
INSERT INTO main.contact (id, name, blocked, state) SELECT id, name, blocked, 3 FROM copy.contact ORDER BY rowid;
UPDATE main.thread SET timer_s = old.timer_s, timer_order = old.timer_order
    FROM copy.thread AS old WHERE old.id = main.thread.id;
INSERT INTO main.message
    (thread, id, author, kind, missing, text, target, ord, edited, sent_at, received_at, state, shown)
    SELECT thread, id, author, iif(author IS NULL AND kind IN (0, 14) AND state = 0, 4, kind), missing, text, target, ord,
        edited, sent_at, received_at, state, shown
    FROM copy.message ORDER BY rowid;
INSERT INTO main.consent
    (thread, id, asker, asked, message, hash, audience, purpose, until, state, ord, public_key, signature)
    SELECT thread, id, asker, asked, message, hash, audience, purpose, until, state, ord, public_key, signature
    FROM copy.consent ORDER BY rowid;
INSERT INTO main.message
    (thread, id, author, kind, text, sent_at, received_at, state, shown)
    SELECT id, randomblob(16), id, 5, '', unixepoch() * 1000, unixepoch() * 1000, 2, 0
    FROM main.contact ORDER BY seq;
",
};
