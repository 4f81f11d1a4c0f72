use hearken_proto::address::RelayAddress;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::*;
use crate::route::{CloseWhy, RoutePlan};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const WATCHING: Watching = Watching { newest: 0, claims_refused: 0, claimed: true };

/// A receiver that watches, and whose session has a successor that has asked.
struct Succeeded {
    receiver: Receiver,
    router: Router,
    rng: ChaCha20Rng,
    old: SessionId,
    successor: SessionId,
}

impl Succeeded {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(31);
        let mut router = Router::new();
        let relay = Fingerprint::from_bytes([1; 32]);
        let place = "relay.example:4433".parse().unwrap();
        let plan = RoutePlan { entry: None, relay: RelayAddress::new(relay, vec![place]).unwrap() };
        let [old, successor] = [(); 2].map(|()| router.open(NOW, &mut rng, plan.clone()));
        let mut receiver = Receiver::new(&Incoming {
            relay,
            receive_key: Arc::new(ObjectSecretKey::generate(&mut rng)),
            claim_key: None,
            sender_public_key: None,
            cursor: 0,
            claims_refused: 0,
        });
        receiver.opening(old);
        receiver.handle_opened(old, &mut router);
        receiver.handle_watching(old, &WATCHING, NOW, &mut router, &mut rng);
        receiver.opening_successor(successor);
        receiver.handle_opened(successor, &mut router);
        Self { receiver, router, rng, old, successor }
    }
}

#[test]
fn a_successor_takes_over_once_it_watches() {
    let Succeeded { mut receiver, mut router, mut rng, successor, .. } = Succeeded::new();
    receiver.handle_watching(successor, &WATCHING, NOW, &mut router, &mut rng);
    assert_eq!(receiver.session(), Some(successor));
    assert!(receiver.is_drained());
}

#[test]
fn a_successor_that_is_refused_takes_over_nothing() {
    let Succeeded { mut receiver, mut router, mut rng, old, successor } = Succeeded::new();
    receiver.handle_refused(successor, Reason::Busy, NOW, &mut router, &mut rng);
    assert_eq!(receiver.session(), Some(old));
    assert!(receiver.is_drained() && !receiver.has_successor(), "the old one goes on watching");
    let lost = Some(Trouble::Route(CloseWhy::LinkLost));
    receiver.handle_closed(old, lost, NOW, &mut rng);
    assert_eq!(receiver.session(), None);
    let again = receiver.poll_timeout().unwrap();
    assert!(receiver.wants_session(again), "it is asked anew, and not waited for in vain");
}

#[test]
fn a_new_sync_asks_a_watch_that_is_open_what_there_is_now() {
    let Succeeded { mut receiver, mut router, mut rng, successor, .. } = Succeeded::new();
    receiver.handle_watching(successor, &WATCHING, NOW, &mut router, &mut rng);
    assert!(receiver.is_drained(), "nothing waited when the watch began");
    receiver.begin_anew(&mut router);
    assert!(
        !receiver.is_drained(),
        "what came since is on its way, or nothing: only the relay knows"
    );
    let newer = Watching { newest: 3, ..WATCHING };
    receiver.handle_watching(successor, &newer, NOW, &mut router, &mut rng);
    assert!(!receiver.is_drained());
    receiver.acknowledge(3, &mut router);
    assert!(receiver.is_drained());
}
