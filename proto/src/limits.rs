//! Every limit of the wire and of what a relay keeps, in one place, with the sum that each comes from.
//!
//! Sizes are bytes unless a name says otherwise. The compile-time assertions at the end fail the build when two of
//! these stop adding up.

// --- the cell ---------------------------------------------------------------------------------

/// Every unit on every link, both ways.
pub const CELL_LEN: usize = 4_096;
/// Link-local route id (8), kind (1), flags (1), key-epoch hint (1), close reason (1), zero (4).
pub const FRAME_LEN: usize = 16;
/// The next hop, sealed to the entry relay, or random bytes that nobody reads.
pub const ROUTING_LEN: usize = 365;
/// HPKE `enc` or random padding (1,120) and an AEAD tag (16).
pub const SEAL_LEN: usize = ENC_LEN + TAG_LEN;
/// Length prefix (2) and a protobuf command or reply.
pub const COMMAND_LEN: usize = 128;
/// What a mailbox stores and delivers.
pub const BLOB_LEN: usize = 2_400;
/// Fills the cell; inside the seal.
pub const PADDING_LEN: usize = 51;
/// What the route seal encrypts: command, blob, padding.
pub const SEALED_LEN: usize = COMMAND_LEN + BLOB_LEN + PADDING_LEN;
/// Length prefix of the protobuf in the command area.
pub const COMMAND_PREFIX_LEN: usize = 2;
/// The longest protobuf beside a blob.
pub const COMMAND_WITH_BLOB_MAX: usize = COMMAND_LEN - COMMAND_PREFIX_LEN;
/// The longest protobuf without a blob: it extends into the blob's place.
pub const COMMAND_ALONE_MAX: usize = COMMAND_LEN + BLOB_LEN - COMMAND_PREFIX_LEN;
/// What an INFO answer has for a signed `RelayInfo`, with its length prefix: all behind the routing field.
pub const INFO_LEN: usize = CELL_LEN - FRAME_LEN - ROUTING_LEN;

/// X-Wing ciphertext (draft-connolly-cfrg-xwing-kem): ML-KEM-768 ciphertext (1,088) and X25519 key (32).
pub const ENC_LEN: usize = 1_120;
/// X-Wing public key: ML-KEM-768 encapsulation key (1,184) and X25519 key (32).
pub const XWING_PUBLIC_LEN: usize = 1_216;
/// ChaCha20-Poly1305 and XChaCha20-Poly1305 tag (RFC 8439).
pub const TAG_LEN: usize = 16;
/// Fresh random bytes at the start of a relay's first answer, mixed into a session's keys.
pub const FRESHNESS_LEN: usize = 32;
/// The longest next hop: raw fingerprint (32) and `host:port`.
pub const NEXT_HOP_MAX: usize = 300;
/// The longest `host:port` of a next hop.
pub const HOST_PORT_MAX: usize = NEXT_HOP_MAX - 32;
/// X25519 `enc` in front of a sealed next hop.
pub const HOP_ENC_LEN: usize = 32;
/// What is sealed as next hop: length (2), next hop, zeros.
pub const HOP_PLAIN_LEN: usize = ROUTING_LEN - HOP_ENC_LEN - TAG_LEN;
/// A key epoch's name.
pub const KEY_EPOCH_LEN: usize = 8;

// --- routes and sessions ----------------------------------------------------------------------

/// Answer cells that a session may have due: a `Get` of 16 is the largest command.
pub const ANSWERS_DUE_MAX: u32 = 16;
/// The most cells that one `Get` or `ObjectGet` asks for.
pub const GET_MAX: u32 = 16;
/// Cells that `Watch` pushes beyond the last `Ack`.
pub const WATCH_WINDOW: u32 = 16;
/// Cells that an entry relay queues for a route towards the mailbox relay: the answers due bound it.
pub const ROUTE_QUEUE_FORWARD_MAX: usize = ANSWERS_DUE_MAX as usize;
/// Cells that an entry relay queues for a route back to the client: answers due and a watch window.
pub const ROUTE_QUEUE_BACK_MAX: usize = (ANSWERS_DUE_MAX + WATCH_WINDOW) as usize;
/// Cells sealed each way in a session before it must roll over: 2^20.
pub const SESSION_CELLS_MAX: u64 = 1 << 20;
/// Session age at which the earliest roll-over is drawn, in minutes.
pub const SESSION_MINUTES_MIN: u64 = 30;
/// Session age by which a session has rolled over, in minutes.
pub const SESSION_MINUTES_MAX: u64 = 60;
/// A session that proved no key, and asked for nothing that needs none, is closed after this many seconds.
pub const UNPROVEN_SECONDS_MAX: u64 = 10;
/// Routes of one client link at an entry relay: a mailbox each way for some hundred contacts.
pub const ROUTES_PER_LINK_MAX: usize = 256;
/// Routes that an entry relay carries in all.
pub const ROUTES_MAX: usize = 65_536;
/// OPENs and INFOs that a client link may have made and not yet regained (a token bucket's size).
pub const OPENS_PER_LINK_BURST: u32 = 64;
/// OPENs and INFOs that a client link regains a second.
pub const OPENS_PER_LINK_SECOND: u32 = 4;
/// Unproven sessions of one link at the mailbox relay (a link from an entry relay carries many clients').
pub const UNPROVEN_PER_LINK_MAX: usize = 1_024;
/// Unproven sessions in all at the mailbox relay.
pub const UNPROVEN_MAX: usize = 8_192;
/// Sessions in all at the mailbox relay: 300,000 watched mailboxes and their writers.
pub const SESSIONS_MAX: usize = 700_000;
/// Links in all at a relay.
pub const LINKS_MAX: usize = 20_000;
/// Cells of one link that wait for the core; the carrier stops reading beyond it.
pub const LINK_INBOX_MAX: usize = 64;
/// Seconds after which a link that takes none of the cells that wait for it is closed.
pub const LINK_STALLED_SECONDS_MAX: u64 = 30;
/// Seconds that an entry relay waits for a peer to answer a dial.
pub const DIAL_SECONDS_MAX: u64 = 10;
/// Pooled links to peer relays.
pub const PEERS_MAX: usize = 1_024;

// --- what a relay bounds for itself ------------------------------------------------------------

/// Store commands under way; the core takes no further cell until some are answered. The shell's queues hold as many.
pub const STORE_REQUESTS_MAX: usize = 4_096;
/// Cells that may wait for a link before no further cell *from* it is looked at: a megabyte.
pub const LINK_OUTBOX_MAX: usize = 256;
/// Cells of a client link that may wait for peers before no further cell from it is looked at: a megabyte.
pub const LINK_FORWARD_MAX: usize = 256;
/// Cells that wait in all routes of an entry relay: half a gigabyte. Beyond it routes are closed as busy.
pub const FORWARD_CELLS_MAX: usize = 131_072;
/// Cells of open sessions that are taken from a link before one OPEN that waits there is.
pub const SESSION_CELLS_BEFORE_OPEN: u32 = 16;
/// Sessions that may watch one mailbox: an old one, its successor, and two left over from a network that went away.
pub const WATCHES_PER_MAILBOX_MAX: usize = 4;
/// Sessions that may watch one feed: four, as of a mailbox, for each of 256 members.
pub const WATCHES_PER_FEED_MAX: usize = 256 * WATCHES_PER_MAILBOX_MAX;
/// Sessions of a link that only read objects.
pub const READERS_PER_LINK_MAX: usize = UNPROVEN_PER_LINK_MAX;
/// Sessions in all that only read objects.
pub const READERS_MAX: usize = UNPROVEN_MAX;
/// Seconds between two requests of a session that only reads objects.
pub const READER_SECONDS_MAX: u64 = 10;
/// Minutes that a session is kept beyond the time by which its client has rolled over.
pub const SESSION_MINUTES_GRACE: u64 = 10;
/// Dials that one client link may have under way: it waits for few relays at a time.
pub const DIALS_PER_LINK_MAX: usize = 8;
/// Seconds until an OPEN or INFO that was forwarded must be answered: a dial and a slow network's way there and back.
pub const HALF_OPEN_SECONDS_MAX: u64 = 20;
/// Seconds beyond the shell's own limit after which a dial without an answer is given up.
pub const DIAL_SECONDS_GRACE: u64 = 5;
/// Minutes after which a peer link without a route is closed.
pub const PEER_IDLE_MINUTES_MAX: u64 = 5;
/// Seconds for which a cached `RelayInfo` is kept though its relay did not know the epoch of an OPEN: whoever seals to
/// an invented epoch must not make the entry relay fetch all the time.
pub const INFO_REFETCH_SECONDS_MIN: u64 = 10;
/// Clients that wait for one peer's `RelayInfo`.
pub const INFO_WAITERS_MAX: usize = 1_024;
/// Peers whose `RelayInfo` is cached: 3 MB.
pub const INFOS_CACHED_MAX: usize = PEERS_MAX;

// --- links ------------------------------------------------------------------------------------

/// Seconds after which whoever dialled a link shows that it is there: twice before a NAT or the other end forgets it.
pub const KEEP_ALIVE_SECONDS: u64 = 15;
/// Milliseconds for which a silent link is believed to be there: three missed keep-alives.
pub const LINK_IDLE_MS_MAX: u32 = 45_000;

// --- keys and time ----------------------------------------------------------------------------

/// Seal, auth and hop keys are made anew after this many hours, and destroyed this many after that.
pub const KEY_EPOCH_HOURS: u32 = 24;
/// A `RelayInfo` is signed anew, and cached at most, for this many minutes.
pub const INFO_MINUTES: u64 = 60;
/// A `RelayInfo` is refused this many minutes after it was signed: an hour's cache at an entry, one at a client, and clock skew.
pub const INFO_VALID_MINUTES: u64 = 180;
/// A `RelayInfo` signed by more than this many minutes before the newest seen from that relay is refused.
pub const INFO_ROLLBACK_MINUTES_MAX: u64 = 120;

// --- what a relay keeps -----------------------------------------------------------------------

/// Days that a blob is kept; its hour of expiry is what the disk shows.
pub const BLOB_TTL_DAYS: u32 = 21;
/// Blobs in a mailbox by default: the longest text (256 KiB in fragments of at least 1,024) fits twice.
pub const MAILBOX_BLOBS_MAX: u32 = 512;
/// Days after the last day on which its reader came that a mailbox goes.
pub const MAILBOX_IDLE_DAYS: u32 = 180;
/// Chunks of an object.
pub const OBJECT_CHUNKS_MAX: u32 = 8_192;
/// Hours that an object may ask to be kept: as long as a blob.
pub const OBJECT_TTL_HOURS_MAX: u32 = BLOB_TTL_DAYS * 24;
/// Hours after its last chunk that an unfinished object goes.
pub const OBJECT_UNFINISHED_HOURS: u32 = 1;
/// Days for which an entry of a group's feed is kept: as long as a blob. A member who was away longer is added anew.
pub const FEED_GROUP_ENTRY_DAYS: u32 = BLOB_TTL_DAYS;
/// Days for which an entry of a case's feed is kept: promised feedback (3 months), an appeal and its answer, four times.
pub const FEED_CASE_ENTRY_DAYS: u32 = 400;
/// Days after its last entry that a feed goes: no entry outlives its feed.
pub const FEED_IDLE_DAYS: u32 = 400;
/// Entries of a feed by default: as many blobs as the largest object, 20 MB; 32 a member where there are 256.
pub const FEED_ENTRIES_MAX: u32 = 8_192;
/// Entries of a case's feed, which are kept nineteen times as long: 64 of each of 16 handlers.
pub const FEED_CASE_ENTRIES_MAX: u32 = 1_024;
/// Entries that name an object and that a feed takes beyond that: however many messages somebody put, two commits of
/// each of 256 members still get in, so that a group can move on to its next feed.
pub const FEED_NAMING_RESERVE: u32 = 512;
/// Chunks of an object that an entry may name, since all may have to be moved in one commit: 1.2 MB, four times the
/// largest commit (256 members in a tree without a secret: 256 ciphertexts of 1,200).
pub const FEED_OBJECT_CHUNKS_MAX: u32 = 512;
/// The hardest proof of work that a client does: more would drain an old phone.
pub const POW_BITS_MAX: u32 = 26;

// --- end to end -------------------------------------------------------------------------------

/// How far a chain moves on at once: a day of a message a second, with most of it lost.
pub const CHAIN_SKIP_MAX: u32 = 65_536;
/// Keys of messages passed over that are kept for one chain, the newest: half a full mailbox.
pub const SKIPPED_PER_CHAIN_MAX: usize = 256;
/// Keys of messages passed over that are kept for one contact: some 140 KB in a vault.
pub const SKIPPED_PER_CONTACT_MAX: usize = 2_000;
/// Days for which such keys, and the hashes of received blobs, are kept: a day longer than a relay keeps the blob.
pub const SKIPPED_DAYS_MAX: u32 = BLOB_TTL_DAYS + 1;
/// The longest text: 256 KiB.
pub const TEXT_MAX: usize = 256 * 1_024;
/// The longest invitation link, in characters.
pub const INVITATION_LINK_MAX: usize = 320;

const _: () = {
    assert!(FRAME_LEN + ROUTING_LEN + SEAL_LEN + SEALED_LEN == CELL_LEN);
    assert!(SEAL_LEN == 1_136);
    assert!(SEALED_LEN == 2_579);
    assert!(COMMAND_WITH_BLOB_MAX == 126 && COMMAND_ALONE_MAX == 2_526);
    assert!(HOST_PORT_MAX == 268 && HOP_PLAIN_LEN == 317);
    assert!(HOP_PLAIN_LEN >= 2 + NEXT_HOP_MAX);
    assert!(INFO_LEN == 3_715);
    assert!(FRESHNESS_LEN <= ENC_LEN);
    assert!(GET_MAX <= ANSWERS_DUE_MAX);
    assert!(TEXT_MAX.div_ceil(1_024) * 2 <= MAILBOX_BLOBS_MAX as usize);
    assert!(SESSION_CELLS_MAX == 1_048_576);
    assert!(OBJECT_TTL_HOURS_MAX == 504 && SKIPPED_DAYS_MAX == 22 && TEXT_MAX == 262_144);
    assert!(FEED_GROUP_ENTRY_DAYS <= FEED_IDLE_DAYS && FEED_CASE_ENTRY_DAYS <= FEED_IDLE_DAYS);
    assert!(FEED_CASE_ENTRIES_MAX == 64 * 16 && FEED_CASE_ENTRIES_MAX <= FEED_ENTRIES_MAX);
    assert!(FEED_ENTRIES_MAX == 32 * 256 && FEED_NAMING_RESERVE == 2 * 256);
    assert!(FEED_OBJECT_CHUNKS_MAX as usize * BLOB_LEN >= 4 * 256 * 1_200);
    assert!(WATCHES_PER_FEED_MAX == 1_024);
    assert!(SESSION_MINUTES_MIN < SESSION_MINUTES_MAX);
    assert!(INFO_MINUTES * 2 < INFO_VALID_MINUTES);
    assert!(ROUTE_QUEUE_BACK_MAX == 32);
    assert!(ROUTES_PER_LINK_MAX <= UNPROVEN_PER_LINK_MAX);
    assert!(LINK_IDLE_MS_MAX as u64 == 3 * KEEP_ALIVE_SECONDS * 1_000);
    assert!(SKIPPED_PER_CHAIN_MAX * 2 <= MAILBOX_BLOBS_MAX as usize);
    assert!(SKIPPED_PER_CHAIN_MAX <= SKIPPED_PER_CONTACT_MAX);
};
