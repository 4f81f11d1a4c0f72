//! The tables of the vault. A migration is never changed once released; a new one is added.

/// The migrations, applied in order.
pub(crate) const MIGRATIONS: &[&str] = &["
CREATE TABLE setting (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Relays that the person added (added: their order) or that a contact's mailbox is on (added: null).
CREATE TABLE relay (
    fingerprint BLOB PRIMARY KEY,
    address TEXT NOT NULL,
    added INTEGER,
    own INTEGER NOT NULL DEFAULT 0,
    newest_info_ms INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- state: 0 joining (a join under way, not shown), 1 invited, 2 joined, 3 apart (known from a copy, without keys). unopened: blobs shown as missing since one last
-- opened, whose numbers the next that opens may find passed over.
CREATE TABLE contact (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    name TEXT UNIQUE,
    state INTEGER NOT NULL,
    verified INTEGER NOT NULL DEFAULT 0,
    blocked INTEGER NOT NULL DEFAULT 0,
    link BLOB,
    link_hash BLOB UNIQUE,
    expires_hour INTEGER,
    inviter BLOB,
    unopened INTEGER NOT NULL DEFAULT 0,
    ratchet BLOB,
    safety BLOB
);

-- The mailbox that a contact writes to and this side reads. address: where its relay is, as whoever named the mailbox says;
-- what one contact says is never used for another's.
CREATE TABLE incoming (
    contact BLOB PRIMARY KEY REFERENCES contact (id) ON DELETE CASCADE,
    relay BLOB NOT NULL,
    address TEXT NOT NULL,
    receive_key BLOB NOT NULL,
    claim_key BLOB,
    sender_public_key BLOB,
    cursor INTEGER NOT NULL DEFAULT 0,
    claims_refused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- The mailbox that this side writes to and a contact reads. claim_key goes once the other side has answered.
CREATE TABLE outgoing (
    contact BLOB PRIMARY KEY REFERENCES contact (id) ON DELETE CASCADE,
    relay BLOB NOT NULL,
    address TEXT NOT NULL,
    send_key BLOB NOT NULL,
    claim_key BLOB,
    claimed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- A conversation, under the id of its contact (kind 0). timer_s: how long what is written from here on stays, 0 for good;
-- timer_order: of whoever set it. own_order: the last that this side gave to something it said. signing_key: of consents
-- given in it. receipts: whether what comes is receipted.
CREATE TABLE thread (
    id BLOB PRIMARY KEY,
    kind INTEGER NOT NULL,
    timer_s INTEGER NOT NULL DEFAULT 0,
    timer_order INTEGER NOT NULL DEFAULT 0,
    own_order INTEGER NOT NULL DEFAULT 0,
    receipts INTEGER NOT NULL,
    signing_key BLOB
) WITHOUT ROWID;
CREATE TRIGGER contact_has_thread AFTER INSERT ON contact BEGIN
    INSERT INTO thread (id, kind, receipts) VALUES (new.id, 0, 1);
END;
CREATE TRIGGER contact_had_thread AFTER DELETE ON contact BEGIN
    DELETE FROM thread WHERE id = old.id;
END;

-- Keys under which texts lie that are to be gone: of a day (contact null), or of a text whose parts have not all come. A
-- key is overwritten in its place before its row goes.
CREATE TABLE sealing_key (
    name BLOB PRIMARY KEY,
    contact BLOB REFERENCES contact (id) ON DELETE CASCADE,
    key BLOB NOT NULL
);
CREATE INDEX sealing_key_of ON sealing_key (contact);

-- Lines. author: null is this side. kind: 0 text, 1 gap, 2 joined, 3 second claim, 4 unsent, 5 restored, 6 reaction, 7 deleted
-- for both, 8 needs a newer program, 9 timer, 10 not theirs, 11 time up unsent, 12 consent, 13 gone (hidden: deleted here, or
-- its time was up), 14 file. missing: cells of a gap, seconds of a timer, 1 for a reaction taken back, the state of a consent.
-- target: what it answers or is about. ord: the author's order of what is kept. text: sealed where key_day is set. state: 0 queued, 1 sent,
-- 2 received, 3 delivered.
CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    author BLOB,
    kind INTEGER NOT NULL,
    missing INTEGER NOT NULL DEFAULT 0,
    text TEXT NOT NULL,
    key_day INTEGER,
    target BLOB,
    ord INTEGER NOT NULL DEFAULT 0,
    edited INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER,
    sent_at INTEGER NOT NULL,
    received_at INTEGER,
    state INTEGER NOT NULL,
    shown INTEGER NOT NULL DEFAULT 1,
    UNIQUE (id, thread)
);
CREATE INDEX message_unshown ON message (seq) WHERE shown = 0;
CREATE INDEX message_of ON message (thread, seq);
CREATE INDEX message_expires ON message (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX message_gone ON message (seq) WHERE kind = 13;
CREATE INDEX message_queued ON message (thread) WHERE state = 0;
CREATE INDEX message_reaction ON message (thread, target) WHERE kind = 6;

-- Edits and deletions of messages that have not come: the last of each author, which holds when the message comes.
CREATE TABLE early (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    author BLOB NOT NULL,
    target BLOB NOT NULL,
    ord INTEGER NOT NULL,
    deletes INTEGER NOT NULL,
    text TEXT NOT NULL,
    key_day INTEGER,
    day INTEGER NOT NULL,
    UNIQUE (thread, author, target)
);

-- Messages that came and whose receipt has not gone: at due at the earliest, or with the next thing that is said.
CREATE TABLE receipt (
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    message BLOB NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (thread, message)
) WITHOUT ROWID;

-- Consents. asker, asked: null is this side; the latter wrote the message and decides. state: 0 asked, 1 given, 2 refused,
-- 3 withdrawn, with the signature over it. ord: of the decision. until: 0 for good.
CREATE TABLE consent (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    asker BLOB,
    asked BLOB,
    message BLOB NOT NULL,
    hash BLOB NOT NULL,
    audience TEXT NOT NULL,
    purpose TEXT NOT NULL,
    until INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0,
    ord INTEGER NOT NULL DEFAULT 0,
    public_key BLOB,
    signature BLOB,
    UNIQUE (thread, id)
);
CREATE INDEX consent_id ON consent (id);

-- The key with which somebody signs in a conversation: the first that they did with.
CREATE TABLE signer (
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    person BLOB NOT NULL,
    public_key BLOB NOT NULL,
    PRIMARY KEY (thread, person)
) WITHOUT ROWID;

-- Messages of this side that gave words on under a consent.
CREATE TABLE consent_copy (
    consent BLOB NOT NULL,
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    message BLOB NOT NULL,
    PRIMARY KEY (consent, thread, message)
) WITHOUT ROWID;

-- Contents that wait until they can be sealed, in order. about: the message that one changes. body: sealed where key_day is
-- set.
CREATE TABLE waiting (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    message BLOB NOT NULL,
    about BLOB,
    body BLOB NOT NULL,
    key_day INTEGER
);
CREATE INDEX waiting_of ON waiting (thread, seq);

-- Exact ciphertexts that wait for a relay, in order. message: set on the last cell of one.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    blob BLOB NOT NULL,
    message BLOB
);
CREATE INDEX outbox_of ON outbox (contact, seq);
CREATE INDEX outbox_message ON outbox (message) WHERE message IS NOT NULL;

-- Parts of messages that are not whole yet. day: when it came, or when parts that are missing were passed over. told: how
-- many parts of its message have not come and were shown as missing, the same in all of them. body: sealed under a key of the message.
CREATE TABLE fragment (
    contact BLOB NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    message BLOB NOT NULL,
    place INTEGER NOT NULL,
    count INTEGER NOT NULL,
    day INTEGER NOT NULL,
    told INTEGER NOT NULL DEFAULT 0,
    body BLOB NOT NULL,
    PRIMARY KEY (contact, message, place)
);

-- Hashes of blobs received, so that one that comes again is recognised.
CREATE TABLE seen (
    contact BLOB NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    hash BLOB NOT NULL,
    day INTEGER NOT NULL,
    PRIMARY KEY (contact, hash)
) WITHOUT ROWID;
CREATE INDEX seen_day ON seen (day);

-- Mailboxes to delete at their relay when it is next reached.
CREATE TABLE farewell (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    relay BLOB NOT NULL,
    address TEXT NOT NULL,
    receive_key BLOB NOT NULL,
    until_day INTEGER NOT NULL
);

-- Relays that said that they will close, or have closed: when, and who takes over.
CREATE TABLE closing (
    relay BLOB PRIMARY KEY,
    on_ms INTEGER NOT NULL,
    successor TEXT
) WITHOUT ROWID;

-- Files, each of a line of kind 14. object: its id at the relay. key: opens it, sealed where key_day is set; write_key:
-- writes it, of own ones until the relay has it. stage: 0 own, to be uploaded, 1 own, at the relay, 2 at the relay, 3 here,
-- 4 gone there, 5 not what was promised. wanted: is fetched without being asked for. done: chunks that the relay has
-- acknowledged, or that came. until_ms: by then the relay has let it go.
CREATE TABLE file (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    thread BLOB NOT NULL REFERENCES thread (id) ON DELETE CASCADE,
    message BLOB NOT NULL,
    object BLOB NOT NULL,
    key BLOB NOT NULL,
    key_day INTEGER,
    write_key BLOB,
    root BLOB NOT NULL,
    chunks INTEGER NOT NULL,
    size INTEGER NOT NULL,
    type TEXT NOT NULL,
    stage INTEGER NOT NULL,
    wanted INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    until_ms INTEGER NOT NULL,
    UNIQUE (thread, message)
);
CREATE INDEX file_under_way ON file (seq) WHERE stage IN (0, 2);
CREATE INDEX file_of_message ON file (message);

-- Sealed chunks of files, sixteen a row: at is 512 times the file's seq and a sixteenth of the chunk's place.
CREATE TABLE file_chunk (
    at INTEGER PRIMARY KEY,
    blobs BLOB NOT NULL
);
CREATE TRIGGER file_had_chunks AFTER DELETE ON file BEGIN
    DELETE FROM file_chunk WHERE at >= old.seq * 512 AND at < (old.seq + 1) * 512;
END;
-- A key is overwritten in its place before its row goes.
CREATE TRIGGER message_is_no_file AFTER UPDATE OF kind ON message WHEN old.kind = 14 AND new.kind <> 14 BEGIN
    UPDATE file SET key = zeroblob(length(key)) WHERE thread = old.thread AND message = old.id;
    DELETE FROM file WHERE thread = old.thread AND message = old.id;
END;
CREATE TRIGGER message_had_file AFTER DELETE ON message WHEN old.kind = 14 BEGIN
    UPDATE file SET key = zeroblob(length(key)) WHERE thread = old.thread AND message = old.id;
    DELETE FROM file WHERE thread = old.thread AND message = old.id;
END;
"];
