//! Decoders of the client: invitations, cards, first blobs, stored states, slot files, and what is inside the ratchet.

use std::cell::OnceCell;

use hearken_client_lib::fuzzing::{self, sync};
use hearken_client_lib::handshake::{self, InvitationCard, Inviter, LinkSecret};
use hearken_client_lib::ratchet::Ratchet;
use hearken_proto::limits::BLOB_LEN;
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const TODAY: UnixDay = UnixDay(20_833);

/// Any text, and any bytes with a check that holds. What is read is written as a link that says the same, and that in
/// one way only: the places in it may be written in several.
pub(super) fn invitation(input: &[u8]) {
    if let Ok(text) = core::str::from_utf8(input) {
        link(text);
    }
    let text = fuzzing::link_of(input);
    if text.len() <= 1_280 {
        link(&text);
    } else {
        assert!(fuzzing::invitation_link(&text).is_none(), "a link that is too long was read");
    }
}

fn link(text: &str) {
    let Some(written) = fuzzing::invitation_link(text) else { return };
    assert_eq!(fuzzing::invitation_link(&written).as_ref(), Some(&written));
    assert!(written.starts_with("hearken:invite/1#"));
}

/// A card that is read is written as the same bytes. One that a relay swapped is not opened, whatever is in it.
pub(super) fn card(input: &[u8]) {
    if let Some(written) = fuzzing::handshake::card(input) {
        assert_eq!(written, input);
    }
    let secret = LinkSecret::from_bytes(&[1; 32]);
    let hash = fuzzing::handshake::card_hash(input);
    let plain = [&u16::try_from(input.len()).unwrap_or(u16::MAX).to_be_bytes()[..], input].concat();
    let sealed = fuzzing::handshake::seal_card(&secret, &plain);
    let opened = InvitationCard::open(&secret, &hash, &sealed, UnixMillis(0));
    if let Ok(card) = &opened {
        assert_eq!(card.hash(), hash);
        assert_eq!(*card.seal(&secret), *sealed, "one card is sealed in one way");
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        if let Ok(mut joined) = handshake::join(&mut rng, &secret, card) {
            assert!(joined.ratchet.encrypt(&mut rng, b"first").is_ok());
        }
    }
    assert!(InvitationCard::open(&secret, &[0; 32], &sealed, UnixMillis(0)).is_err());
    let other = LinkSecret::from_bytes(&[2; 32]);
    assert!(InvitationCard::open(&other, &hash, &sealed, UnixMillis(0)).is_err());
}

thread_local! {
    static INVITER: OnceCell<Inviter> = const { OnceCell::new() };
}

/// Any first blob at an inviter, who stays as they were.
pub(super) fn first_blob(input: &[u8]) {
    INVITER.with(|inviter| {
        let inviter = inviter.get_or_init(|| {
            let mut rng = ChaCha20Rng::from_seed([3; 32]);
            Inviter::create(&mut rng, "relay", &[4; 32], UnixHour(u32::MAX)).unwrap()
        });
        let mut rng = ChaCha20Rng::from_seed([5; 32]);
        let mut blob = [0; BLOB_LEN];
        let len = input.len().min(BLOB_LEN);
        blob[..len].copy_from_slice(&input[..len]);
        assert!(inviter.accept(&mut rng, TODAY, &blob).is_err(), "nobody sealed that");
        // An honest one with some bytes changed: only the honest one is accepted.
        let mut joined = handshake::join(&mut rng, inviter.link_secret(), inviter.card()).unwrap();
        let honest = joined.ratchet.encrypt(&mut rng, b"hello").unwrap();
        let mut changed = honest.clone();
        for pair in input.chunks_exact(3).take(4) {
            let at = usize::from(u16::from_be_bytes([pair[0], pair[1]])) % BLOB_LEN;
            changed[at] ^= pair[2];
        }
        assert_eq!(inviter.accept(&mut rng, TODAY, &changed).is_ok(), changed == honest);
    });
}

/// A header inside its seal, and a blob at a ratchet that did not seal it.
pub(super) fn header(input: &[u8]) {
    for initial in [false, true] {
        if let Some(written) = fuzzing::ratchet::header(initial, input) {
            assert_eq!(written, input, "a header is written in one way");
        }
    }
}

/// A stored state that is read is written as the same bytes, and works without a panic, however little sense it makes.
pub(super) fn state(input: &[u8]) {
    if let Ok(inviter) = Inviter::from_bytes(input) {
        assert_eq!(&inviter.to_bytes()[..], input);
    }
    let Ok(mut ratchet) = Ratchet::from_bytes(input) else { return };
    assert_eq!(&ratchet.to_bytes()[..], input, "a state is written in one way");
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    let before = ratchet.to_bytes();
    assert!(ratchet.decrypt(&mut rng, TODAY, &[7; BLOB_LEN]).is_err());
    assert_eq!(ratchet.to_bytes(), before, "what does not open changes nothing");
    let sealed = ratchet.encrypt(&mut rng, b"text");
    assert_eq!(sealed.is_ok(), ratchet.to_bytes() != before);
    if let Ok(blob) = sealed {
        let mut again = Ratchet::from_bytes(&ratchet.to_bytes()).expect("what was written is read");
        assert!(ratchet.decrypt(&mut rng, TODAY, &blob).is_err(), "nobody opens their own");
        assert!(again.encrypt(&mut rng, b"text").is_ok() || again.to_bytes() == ratchet.to_bytes());
    }
}

/// A slot file that is read is written as the same bytes; its cost is within bounds.
pub(super) fn slots(input: &[u8]) {
    if let Some(written) = fuzzing::vault::slots(input) {
        assert_eq!(written, input);
    }
    if let Some(written) = fuzzing::vault::slots_checked(input) {
        assert_eq!(written[..written.len() - 32], input[..written.len() - 32]);
    }
}

/// What is inside the ratchet comes back when it is written again, if not as the same bytes: it is protobuf.
pub(super) fn packet(input: &[u8]) {
    for decode in [sync::packet, sync::content] {
        if let Some(written) = decode(input) {
            assert!(written.len() <= input.len(), "written again it is never longer");
            assert_eq!(decode(&written).as_ref(), Some(&written));
        }
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut rng = ChaCha20Rng::from_seed([9; 32]);
    let place = "relay.example:4433";
    let link = [&[1][..], &[2; 64], &500_000u32.to_be_bytes(), &[3; 32], place.as_bytes()].concat();
    let inviter = Inviter::create(&mut rng, place, &[4; 32], UnixHour(u32::MAX)).unwrap();
    let stored = inviter.to_bytes().to_vec();
    // Version, link secret, X25519 key, ML-KEM seed: then the card.
    let card = stored[1 + 32 + 32 + 64..].to_vec();
    let mut joiner =
        handshake::join(&mut rng, inviter.link_secret(), inviter.card()).unwrap().ratchet;
    let mut states = vec![stored, joiner.to_bytes().to_vec()];
    let first = joiner.encrypt(&mut rng, b"first").unwrap();
    let mut answerer = inviter.accept(&mut rng, TODAY, &first).unwrap().ratchet;
    for round in 0..4 {
        // One passed over, and a turn.
        answerer.encrypt(&mut rng, b"lost").unwrap();
        let blob = answerer.encrypt(&mut rng, b"text").unwrap();
        joiner.decrypt(&mut rng, TODAY, &blob).unwrap();
        let blob = joiner.encrypt(&mut rng, b"text").unwrap();
        answerer.decrypt(&mut rng, TODAY, &blob).unwrap();
        if round % 3 == 0 {
            states.extend([joiner.to_bytes().to_vec(), answerer.to_bytes().to_vec()]);
        }
    }
    let mut all = vec![
        ("client-invitation", link),
        ("client-card", card),
        ("client-first-blob", first.to_vec()),
        ("client-first-blob", vec![0, 0, 0]),
        ("client-slots", fuzzing::vault::honest_slots(&mut rng).expect("a slot file")),
        ("client-packet", sync::fragment(&[1; 16], 0, 1, &sync::text(NOW.0, "hello"))),
        ("client-packet", sync::introduction(&[1; 32], Some(("hearken://a@b:1", &[2; 32])))),
        ("client-packet", sync::text(NOW.0, "hello")),
    ];
    all.extend((0..9).map(|kind| ("client-packet", sync::said(kind, 3, &[1; 16], "yes", true))));
    for kind in 0..3 {
        let mut header = vec![1; 53 + if kind == 0 { 0 } else { 1_184 }];
        header[52] = 0;
        header[53..].fill(0);
        if kind == 2 {
            header[52] = 2;
            header[53..53 + 1_088].fill(5);
        }
        all.push(("client-header", header));
    }
    all.extend(states.into_iter().map(|state| ("client-state", state)));
    all
}
