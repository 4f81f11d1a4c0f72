//! A file from one vault to another: told of only once the relay has it, and what is told is not believed blindly.

use hearken_proto::time::DAY_MS;
use prost::Message as _;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::super::{Arrived, take as take_content};
use super::*;
use crate::contact::ContactId;
use crate::conversation::ThreadKind;
use crate::message::FileState;
use crate::sync::content::{Content, VERSION};
use crate::sync::records::{self, NewContact};
use crate::sync::{MIGRATIONS, outbox};
use crate::vault::Vault;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const CONTACT: ContactId = ContactId::from_bytes([1; 16]);

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([9; 32])
}

/// A vault whose contact has not joined: what it says waits, and is carried by the test.
fn vault() -> Vault {
    let mut vault = Vault::open_in_memory(MIGRATIONS).unwrap();
    let new = NewContact {
        id: CONTACT,
        name: Some("Ben"),
        stage: records::Stage::Invited,
        link: None,
        link_hash: [3; 32],
        expires_hour: u32::MAX,
    };
    vault.transaction(|tx| records::insert_contact(tx, &new)).unwrap();
    vault
}

/// What a sender tells of a file, and its chunks.
fn told(bytes: &[u8]) -> (MessageId, File, Vec<Blob>) {
    let mut vault = vault();
    let sealed =
        SealedFile::new(bytes, "letter.txt".into(), "text/plain".into(), &mut rng()).unwrap();
    let id = vault
        .transaction(|tx| say_file(tx, CONTACT.into(), &sealed, None, NOW, &mut rng()))
        .unwrap();
    let waiting = |vault: &Vault| outbox::waiting(vault.database(), CONTACT.into()).unwrap();
    assert!(waiting(&vault).is_empty(), "nobody is told before the relay has it");
    assert!(outbox::is_on_its_way(vault.database(), id).unwrap());
    let file = files::find(vault.database(), CONTACT.into(), id).unwrap().unwrap();
    vault.transaction(|tx| file_is_there(tx, &file, NOW, &mut rng())).unwrap();
    let content = Content::decode(&waiting(&vault)[0].body[..]).unwrap();
    assert!(files::chunks(vault.database(), file.seq, 0, 1).unwrap().is_empty());
    assert!(files::write_key(vault.database(), file.seq).unwrap().is_none());
    let Some(Body::File(body)) = content.body else { panic!("a file") };
    (id, body, sealed.chunks)
}

fn takes(vault: &mut Vault, id: MessageId, body: &File) -> Option<Vec<Message>> {
    let content = Content {
        version: VERSION,
        sent_at_ms: NOW.0,
        body: Some(Body::File(body.clone())),
        ..Content::default()
    };
    let arrived = Arrived {
        thread: CONTACT.into(),
        with: ThreadKind::Contact,
        author: CONTACT.into(),
        id,
        bytes: &content.to_bytes(),
    };
    match vault.transaction(|tx| take_content(tx, arrived, NOW, &mut rng())).unwrap() {
        Taken::Lines(lines) => Some(lines),
        Taken::Malformed => None,
    }
}

#[test]
fn a_file_is_told_of_once_the_relay_has_it_and_opens_at_the_other_side() {
    let bytes = vec![7; 40_000];
    let (id, body, chunks) = told(&bytes);
    let mut ben = vault();
    let lines = takes(&mut ben, id, &body).unwrap();
    assert_eq!((lines[0].kind(), lines[0].text()), (MessageKind::File, "letter.txt"));
    let info = lines[0].file().unwrap();
    assert_eq!(
        (info.size(), info.media_type(), info.state()),
        (40_000, "text/plain", FileState::AtRelay)
    );
    assert_eq!(takes(&mut ben, id, &body), Some(Vec::new()), "the same again is nothing");
    let file = files::find(ben.database(), CONTACT.into(), id).unwrap().unwrap();
    assert_eq!(file.until.0, NOW.0 + 21 * DAY_MS);
    ben.transaction(|tx| files::push_chunks(tx, file.seq, (0..).zip(chunks))).unwrap();
    assert!(files::open(ben.database(), &file).unwrap().unwrap()[..] == bytes[..]);
}

#[test]
fn what_is_told_of_a_file_must_make_sense() {
    let (id, honest, _) = told(&[7; 40_000]);
    assert!(takes(&mut vault(), id, &honest).is_some(), "control");
    let lies: [fn(&mut File); 10] = [
        |file| file.size = 0,
        |file| file.size = 19_000_001,
        |file| file.size = 400_000,
        |file| file.chunks = 31,
        |file| file.chunks = 8_192,
        |file| file.object.truncate(31),
        |file| file.key.push(0),
        |file| file.root.clear(),
        |file| file.media_type = "text/plain\n".into(),
        |file| file.reply_to = vec![1; 15],
    ];
    for (number, lie) in lies.iter().enumerate() {
        let mut file = honest.clone();
        lie(&mut file);
        let mut ben = vault();
        assert_eq!(takes(&mut ben, id, &file), None, "lie {number}");
        assert!(files::under_way(ben.database()).unwrap().is_empty());
    }
    let hostile = File { name: "../../.profile".into(), ..honest };
    assert_eq!(takes(&mut vault(), id, &hostile).unwrap()[0].text(), "profile");
}

#[test]
fn a_file_that_is_deleted_before_it_went_out_is_never_told_of() {
    let mut vault = vault();
    let sealed = SealedFile::new(b"words", "x".into(), "text/plain".into(), &mut rng()).unwrap();
    let id = vault
        .transaction(|tx| say_file(tx, CONTACT.into(), &sealed, None, NOW, &mut rng()))
        .unwrap();
    let told = vault
        .transaction(|tx| super::super::delete_for_all(tx, CONTACT.into(), id, NOW, &mut rng()))
        .unwrap();
    assert_eq!(told, None, "nobody had heard of it");
    assert!(files::under_way(vault.database()).unwrap().is_empty());
    assert!(outbox::waiting(vault.database(), CONTACT.into()).unwrap().is_empty());
}
