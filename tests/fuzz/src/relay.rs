//! Decoders of the relay: its rows, configuration, key files, journals, lists of tables, requests and backups.

use hearken_proto::time::{UnixDay, UnixHour};
use hearken_relay::archive::{Decoder, Encoder, Item};
use hearken_relay::config::{CONFIG_LEN_MAX, Config, Listen, PublicHost};
use hearken_relay::core::EpochKey;
use hearken_relay::fuzzing::{self, rows, store};
use hearken_relay::store::{Row, Space};
use zeroize::Zeroizing;

/// Rows and keys of the core. What is read is written as the same bytes.
pub(super) fn rows(input: &[u8]) {
    for decode in
        [rows::mailbox_row, rows::blob_row, rows::object_row, rows::feed_row, rows::seen_entry]
    {
        if let Some(written) = decode(input) {
            assert_eq!(written, input);
        }
    }
    if let Some(written) = rows::index_key(input) {
        assert_eq!(written[1..], input[1..]);
    }
    let (total, id, position) = rows::small_rows(input);
    assert_eq!(total.is_some(), input.len() == 8);
    assert_eq!(id.is_some(), input.len() == 32);
    assert_eq!(position.is_some(), input.len() >= 8);
    let end = rows::prefix_end(input);
    if input.iter().any(|byte| *byte != u8::MAX) {
        assert!(end[..] > *input && !end.starts_with(input));
    }
}

/// A configuration, the part before the first zero as the file, what follows as overrides between zeros. What is
/// accepted is within its bounds; what is not is refused in words that hold no value.
pub(super) fn config(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    if input.len() as u64 > CONFIG_LEN_MAX {
        return;
    }
    let mut parts = text.split('\0');
    let file = parts.next().unwrap_or_default();
    let overrides: Vec<String> = parts.map(str::to_owned).collect();
    match Config::read(file, &overrides) {
        Ok(config) => {
            assert!(!config.listen.is_empty() && config.listen.len() <= 8);
            assert!(config.pow_bits <= 26);
            assert!(config.mailbox_blobs_max > 0 && config.links_max > 0);
            if let Some(host) = &config.host {
                public_host(&host.to_string());
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    public_host(text);
    if let Some(listen) = Listen::parse(text) {
        assert_eq!(Listen::parse(&listen.address.to_string()), Some(listen));
    }
}

fn public_host(text: &str) {
    let Some(host) = PublicHost::parse(text) else { return };
    let _ = (host.is_name(), host.place(1));
    assert_eq!(PublicHost::parse(&host.to_string()), Some(host.clone()), "{host}");
}

/// Key files: a checksum in front of any bytes, and what is inside one of a day.
pub(super) fn key_files(input: &[u8]) {
    if let Some(secret) = fuzzing::key_file(input) {
        assert_eq!(fuzzing::key_file_of(&secret), input);
    }
    if input.len() <= 4_096 {
        assert_eq!(fuzzing::key_file(&fuzzing::key_file_of(input)).as_deref(), Some(input));
    }
    if let Ok(key) = EpochKey::from_bytes(input) {
        assert_eq!(input.len(), EpochKey::LEN);
        assert_eq!(&key.epoch().as_bytes()[..], &input[..8]);
        assert_eq!(key.until().0.to_be_bytes(), input[16..24]);
    }
}

/// What the store reads before its engine does: never beyond the end, and nothing intact is passed over.
pub(super) fn journals(input: &[u8]) {
    let (batches, at) = store::journal(input);
    assert!(at <= input.len() && (batches == 0) == (at == 0));
    let rest = &input[at..];
    let _ = store::journal_rest(rest);
    if batches > 0 {
        // The same with anything in front is not intact at the front, and is found behind a trailer.
        let shifted = [b"\x00FJL\x03", input].concat();
        assert_eq!(store::journal(&shifted), (0, 0));
        assert!(store::journal_rest(&shifted));
    }
    if let Some(record) = store::commit_record(input) {
        assert_eq!(record[..], *input);
    }
    if let Some(left) = store::cursor(input) {
        assert!(left + 8 <= input.len());
    }
    for label in [&b"hearken/1 store format"[..], b"hearken/1 clean stop"] {
        assert!(store::checked(label, input).is_none_or(|body| body.len() + 8 == input.len()));
    }
}

/// The engine's lists of tables: as many as the bytes hold, never as many as they say.
pub(super) fn manifests(input: &[u8]) {
    let (current, tables) = store::manifest(input);
    assert!(current.is_none() || input.len() == 25);
    // 33 bytes a table.
    assert!(tables.is_none_or(|tables| tables.len() * 33 <= input.len()));
}

/// A line on the administration socket, or a notice. What is read is written as something that reads the same.
pub(super) fn admin(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    for decode in [fuzzing::admin_question, fuzzing::notice] {
        if let Some(written) = decode(text) {
            assert_eq!(decode(&written).as_ref(), Some(&written));
        }
    }
}

/// A backup, as it came and with an end that holds, so that more than the hash is looked at.
pub(super) fn backup(input: &[u8]) {
    if let (items, true) = items_of(input) {
        assert_eq!(bytes_of(&items), input, "a whole backup is written in one way");
    }
    let (items, _) = items_of(&[b"hearken backup \x01", input].concat());
    // What stood before the damage, with an end: a whole backup, where it has a relay and a configuration.
    if items.len() >= 2 {
        let (again, is_whole) = items_of(&bytes_of(&items));
        assert!(is_whole && again == items);
    }
}

fn items_of(bytes: &[u8]) -> (Vec<Item>, bool) {
    let mut decoder = Decoder::new(bytes);
    let mut items = Vec::new();
    loop {
        match decoder.next() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, true),
            Err(_) => return (items, false),
        }
    }
}

fn bytes_of(items: &[Item]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut bytes = Vec::new();
    items.iter().for_each(|item| bytes.extend_from_slice(&encoder.encode(item)));
    bytes.extend(encoder.finish());
    bytes
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let [mailbox, object, feed, seen] = rows::honest_rows();
    let config = "host = \"relay.example:4433\"\nlisten = [\"0.0.0.0:4433\", \"[::]:4433\"]\n\
        allow_private_peers = true\nforward = true\nadmission = \"open\"\npow_bits = 18\n\n[limits]\n\
        mailbox_blobs_max = 512\nmailboxes_max = 1000000\nfeed_entries_max = 8192\nfeeds_max = 1000000\nstorage_bytes_max = 100000000000\n\
        disk_reserve_bytes = 268435456\nlinks_max = 20000\n";
    let place = hearken_proto::ids::Fingerprint::from_bytes([7; 32]);
    let notice =
        format!("{{\"on_ms\":1900000000000,\"successor\":\"hearken://{place}@relay.example:1\"}}");
    let backup = bytes_of(&[
        Item::Relay {
            seed: Zeroizing::new([7; 32]),
            first_position: 3 << 48,
            made: UnixHour(480_000),
        },
        Item::Config(config.to_owned()),
        Item::Notice(notice.clone()),
        Item::DayKey { day: UnixDay(20_000), secret: Zeroizing::new(vec![9; 32]) },
        Item::Rows {
            space: Space::Day(UnixDay(20_000)),
            rows: vec![Row { key: vec![1], value: vec![2; 9] }],
        },
    ]);
    let overridden = [config, "\0pow_bits=0\0limits.links_max = 7\0host=other.example"].concat();
    vec![
        ("relay-rows", mailbox),
        ("relay-rows", object),
        ("relay-rows", vec![7; 32]),
        ("relay-rows", feed),
        ("relay-rows", seen),
        ("relay-config", config.into()),
        ("relay-config", overridden.into_bytes()),
        ("relay-config", b"[::1]:4433".to_vec()),
        ("relay-key-files", fuzzing::key_file_of(&[7; 32])),
        ("relay-key-files", vec![7; EpochKey::LEN]),
        ("relay-admin", b"{\"request\":\"stats\"}\n".to_vec()),
        ("relay-admin", notice.clone().into_bytes()),
        ("relay-backup", backup.clone()),
        ("relay-backup", backup[16..].to_vec()),
        ("relay-journals", journal()),
        ("relay-manifests", list_of_tables()),
        ("relay-manifests", [&9u64.to_le_bytes()[..], &[3; 16], &[0]].concat()),
    ]
}

/// A batch of two items as fjall writes it, but for its checksum, which is put in by hand: XXH3 is in no crate here.
fn journal() -> Vec<u8> {
    let item = |key: &[u8], value: &[u8]| {
        [
            &[2, 0, 0][..],
            &1u64.to_le_bytes(),
            &u16::try_from(key.len()).unwrap().to_le_bytes(),
            &u32::try_from(value.len()).unwrap().to_le_bytes(),
            &u32::try_from(value.len()).unwrap().to_le_bytes(),
            key,
            value,
        ]
        .concat()
    };
    [
        &[1][..],
        &2u32.to_le_bytes(),
        &9u64.to_le_bytes(),
        &item(b"key", b"value"),
        &item(b"commit", &[1; 16]),
        &[3],
    ]
    .concat()
}

/// A list of one table.
fn list_of_tables() -> Vec<u8> {
    let tables = [&[1, 1][..], &1u32.to_le_bytes(), &5u64.to_le_bytes(), &[0; 25]].concat();
    let mut list = tables.clone();
    let contents = [
        &b"TOC!"[..],
        &1u32.to_le_bytes(),
        &0u64.to_le_bytes(),
        &(tables.len() as u64).to_le_bytes(),
        &6u16.to_le_bytes(),
        b"tables",
    ]
    .concat();
    list.extend_from_slice(&contents);
    list.extend_from_slice(b"SFA!\x01\x00");
    list.extend_from_slice(&[0; 16]);
    list.extend_from_slice(&(tables.len() as u64).to_le_bytes());
    list.extend_from_slice(&(contents.len() as u64).to_le_bytes());
    list
}
