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

-- kind: 0 text, 1 gap, 2 joined, 3 second claim, 4 unsent, 5 restored. state: 0 queued, 1 sent, 2 received.
CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    id BLOB NOT NULL,
    from_me INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    missing INTEGER NOT NULL DEFAULT 0,
    text TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    received_at INTEGER,
    state INTEGER NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0,
    shown INTEGER NOT NULL DEFAULT 1,
    UNIQUE (contact, id, from_me)
);
CREATE INDEX message_unshown ON message (seq) WHERE shown = 0;
CREATE INDEX message_unsealed ON message (seq) WHERE sealed = 0;
CREATE INDEX message_of ON message (contact, seq);

-- Exact ciphertexts that wait for a relay, in order. message: set on the last cell of one.
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    contact BLOB NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    blob BLOB NOT NULL,
    message BLOB
);
CREATE INDEX outbox_of ON outbox (contact, seq);

-- Parts of messages that are not whole yet. day: when it came, or when parts that are missing were passed over. told: how
-- many parts of its message have not come and were shown as missing, the same in all of them.
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
"];
