//! What a message costs at its two ends: sealed and opened within a chain, and with a step of both ratchets.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hearken_client_lib::handshake::{InvitationCard, Inviter, join};
use hearken_client_lib::ratchet::Ratchet;
use hearken_proto::time::{UnixDay, UnixHour, UnixMillis};
use hearken_tests::load::Latencies;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const TODAY: UnixDay = UnixDay(20_000);
const EXPIRES: UnixHour = UnixHour(20_010 * 24);
const NOW: UnixMillis = UnixMillis(20_000 * 86_400_000);
/// A long text's fragment.
const BODY: [u8; 1_024] = [b'a'; 1_024];
/// Messages that follow each other in one direction before the other side answers.
const CHAIN: usize = 64;

/// Times of one kind of message.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    pub(crate) seal: Latencies,
    pub(crate) open: Latencies,
}

/// Both kinds.
#[derive(Debug, Default)]
pub(crate) struct Both {
    /// The second and later of one direction.
    pub(crate) chain: Messages,
    /// The first after the other side's: X25519 twice, and ML-KEM-768 where it is due.
    pub(crate) step: Messages,
}

pub(crate) fn measure(time: Duration) -> Result<Both> {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let inviter = Inviter::create(&mut rng, "hearken://relay.example", &[9; 32], EXPIRES)?;
    let (secret, card) = (inviter.link_secret(), inviter.card());
    let opened = InvitationCard::open(secret, &card.hash(), &card.seal(secret), NOW)?;
    let mut joiner = join(&mut rng, secret, &opened)?.ratchet;
    let first = joiner.encrypt(&mut rng, b"hello")?;
    let mut inviter = inviter.accept(&mut rng, TODAY, &first)?.ratchet;

    let mut both = Both::default();
    let begin = Instant::now();
    let mut turns = 0;
    while begin.elapsed() < time || turns < 8 {
        let (from, to) =
            if turns % 2 == 0 { (&mut inviter, &mut joiner) } else { (&mut joiner, &mut inviter) };
        send(from, to, &mut rng, &mut both.step)?;
        // Every second turn in each direction is one message only, as people answer each other.
        if turns % 4 < 2 {
            for _ in 1..CHAIN {
                send(from, to, &mut rng, &mut both.chain)?;
            }
        }
        turns += 1;
    }
    Ok(both)
}

fn send(
    from: &mut Ratchet,
    to: &mut Ratchet,
    rng: &mut ChaCha20Rng,
    times: &mut Messages,
) -> Result<()> {
    let begin = Instant::now();
    let blob = from.encrypt(rng, &BODY)?;
    let sealed = Instant::now();
    let opened = to.decrypt(rng, TODAY, &blob)?;
    times.open.note(sealed.elapsed());
    times.seal.note(sealed - begin);
    ensure!(opened.body[..] == BODY, "another text came out");
    Ok(())
}
