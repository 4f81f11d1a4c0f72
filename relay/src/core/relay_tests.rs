//! The relay over days, under a clock that goes back, and under random input.

use hearken_proto::address::SCHEME;
use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::info::InfoError;
use hearken_proto::limits::CELL_LEN;
use hearken_proto::time::{DAY_MS, HOUR_MS, UnixMillis};
use hearken_proto::wire::Role;
use hearken_proto::wire::reply::Reply as Say;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::testing::{Client, Mailbox, Net, ack, assert_done, config, get, ping, put, watch};
use super::testing_books::assert_balanced;
use super::totals::Totals;
use super::{CoreConfig, DialError, LinkId, Warning};
use crate::simulation::{Event, InlineRelay};
use crate::store::StoreError;

/// Lets time pass by the hour, as a running relay would see it.
fn pass_hours(net: &mut Net, hours: u64) {
    for _ in 0..hours {
        net.pass(3_600);
    }
}

#[test]
fn keys_are_rotated_daily_and_what_was_sealed_to_destroyed_ones_is_refused() {
    let mut net = Net::one();
    let first = *net.info(0).context();
    let (_, early) = net.open_cell(0, 1);
    pass_hours(&mut net, 13);
    let second = *net.info(0).context();
    assert_ne!(first.key_epoch, second.key_epoch);
    assert_eq!(net.relays[0].key_epochs().len(), 2);
    // A day of overlap.
    let link = net.link(0);
    net.post(0, link, early.clone());
    net.settle();
    assert_eq!(net.arrived(0, link).map(|cell| cell.kind()), Some(Kind::Data));
    pass_hours(&mut net, 24);
    assert!(!net.relays[0].key_epochs().contains(&first.key_epoch), "the file lives on");
    let link = net.link(0);
    net.post(0, link, early);
    net.settle();
    assert_eq!(net.closes(0, link, 1), Some(CloseReason::UnknownEpoch));
    assert_eq!(net.relays[0].totals().key_epochs, 3);
}

#[test]
fn a_restart_keeps_keys_and_a_relay_without_keys_says_busy() {
    let mut net = Net::one();
    let before = *net.info(0).context();
    let relay = net.relays.remove(0);
    net.relays.push(relay.crash(net.now, &mut net.rng));
    assert_eq!(*net.info(0).context(), before);

    let mut net = Net::one();
    let (_, open) = net.open_cell(0, 1);
    net.relays[0].set_can_store_keys(false);
    net.now.0 += 3 * DAY_MS;
    net.pass(0);
    let link = net.link(0);
    net.post(0, link, open);
    let request = hearken_proto::info::request(2, &mut net.rng);
    net.post(0, link, request);
    net.settle();
    assert_eq!(net.closes(0, link, 1), Some(CloseReason::Busy));
    assert_eq!(net.closes(0, link, 2), Some(CloseReason::Busy));
    net.relays[0].set_can_store_keys(true);
    net.pass(60);
    net.info(0);
}

#[test]
fn an_info_is_signed_anew_every_hour() {
    let mut net = Net::one();
    let first = net.info(0).signed_at();
    net.pass(3_599);
    assert_eq!(net.info(0).signed_at(), first);
    net.pass(1);
    assert_eq!(net.info(0).signed_at().0, first.0 + HOUR_MS);
}

#[test]
fn a_clock_set_back_a_little_never_shows_an_older_time() {
    let mut net = Net::one();
    pass_hours(&mut net, 11);
    let newest = net.info(0).signed_at();
    net.now.0 -= HOUR_MS;
    net.pass(0);
    assert_eq!(net.info(0).signed_at(), newest);
    // Even where the keys change meanwhile.
    pass_hours(&mut net, 2);
    assert!(net.info(0).signed_at() >= newest);
    assert!(net.warned.is_empty());
}

#[test]
fn a_clock_far_behind_is_told_to_the_operator_and_seen_by_clients() {
    let mut net = Net::one();
    let newest = net.info(0).signed_at();
    net.now.0 -= 3 * HOUR_MS;
    net.pass(0);
    assert_eq!(net.warned, [Warning::ClockWentBack]);
    let link = net.link(0);
    let request = hearken_proto::info::request(1, &mut net.rng);
    net.post(0, link, request);
    net.settle();
    let answer = net.arrived(0, link).unwrap();
    let verify = |newest| {
        let fingerprint = net.relays[0].fingerprint();
        let info = hearken_proto::info::UnverifiedInfo::from_answer(&answer).unwrap();
        info.verify(&fingerprint, newest, net.now)
    };
    assert!(matches!(verify(Some(newest)), Err(InfoError::RolledBack)));
    assert_eq!(verify(None).unwrap().signed_at(), net.now, "the time that the relay has");
}

#[test]
fn a_clock_is_far_behind_from_two_hours_on_and_not_before() {
    let mut net = Net::one();
    let newest = net.info(0).signed_at();
    for (back, warned) in [(2 * HOUR_MS, 0), (1, 1)] {
        net.now.0 -= back;
        net.pass(0);
        assert_eq!(net.warned, vec![Warning::ClockWentBack; warned]);
        let shown = if warned == 0 { newest } else { net.now };
        assert_eq!(net.info(0).signed_at(), shown);
    }
}

#[test]
fn a_restart_under_a_clock_far_behind_is_told_too() {
    let mut net = Net::one();
    // Its keys say when they were made. As with an info, two hours are forgiven.
    for (back, warned) in [(0, 0), (2 * HOUR_MS, 0), (1, 1), (3 * HOUR_MS, 2)] {
        let relay = net.relays.remove(0);
        net.now.0 -= back;
        let relay = relay.crash(net.now, &mut net.rng);
        net.relays.push(relay);
        assert_eq!(net.relays[0].totals().infos_signed, 1);
        net.settle();
        assert_eq!(net.warned, vec![Warning::ClockWentBack; warned], "{back}");
    }
}

#[test]
fn a_relay_is_woken_for_the_hour_to_the_millisecond() {
    let mut net = Net::one();
    // Started at half past, so that no signature is due with the hour.
    let half_past = UnixMillis(net.now.0 + HOUR_MS / 2);
    net.relays = vec![InlineRelay::new(config(), &[1; 32], half_past, &mut net.rng)];
    let hour = UnixMillis(net.now.0 + HOUR_MS);
    net.now.0 = hour.0 - 30_000;
    net.pass(0);
    assert_eq!(net.relays[0].next_timeout(), Some(hour));
    net.now.0 = hour.0 + HOUR_MS / 2 - 30_000;
    net.pass(0);
    let signs = UnixMillis(hour.0 + HOUR_MS / 2);
    assert_eq!(net.relays[0].next_timeout(), Some(signs));
}

#[test]
fn totals_count_what_was_done_and_what_was_refused() {
    let mut net = Net::new(vec![CoreConfig { mailbox_blobs_max: 1, ..config() }, config()]);
    let mut mailbox = net.mailbox(0);
    let (blob, other) = (net.blob(), net.blob());
    for _ in 0..2 {
        assert_done(&net.put(&mut mailbox, &blob));
    }
    net.put(&mut mailbox, &other);
    net.get(&mut mailbox, 0, 1);
    let key = Some((Role::Receive, &mailbox.receive));
    net.ask(&mut mailbox.reader, key, watch(0));
    net.replies(&mut mailbox.reader);
    // A store that fails, a command of another version, an OPEN for other keys, a cell that opens nothing.
    net.relays[0].store().fail_commits(1, StoreError::Full);
    net.ask(&mut mailbox.reader, None, ack(1 << 60));
    let none = hearken_proto::wire::Command { auth: None, command: None };
    let cell = mailbox.reader.seal_command(&none, None, &mut net.rng);
    net.post(0, mailbox.reader.link, cell);
    let link = net.link(0);
    let route = net.new_route(0, link);
    let (_, mut open) = net.open_cell(0, route);
    open.set_epoch_hint(open.epoch_hint().wrapping_add(1));
    net.post(0, link, open);
    let cell = Cell::new(Kind::Data, mailbox.sender.route, &mut net.rng);
    net.post(0, mailbox.sender.link, cell);
    net.settle();
    assert!(net.closes(0, link, route).is_some());
    // Two routes and an INFO that go on, the last two to nobody.
    let hop = net.hop_to(1);
    let nobody = hearken_proto::hop::NextHop {
        fingerprint: hearken_proto::ids::Fingerprint::from_bytes([9; 32]),
        ..hop.clone()
    };
    net.open_through(0, 1, link);
    for (kind, hop) in [(Kind::Open, &hop), (Kind::Open, &nobody), (Kind::Info, &nobody)] {
        let route = net.new_route(0, link);
        let cell = match kind {
            Kind::Open => net.open_cell(1, route).1,
            _ => hearken_proto::info::request(route, &mut net.rng),
        };
        let cell = net.route_through(0, hop, cell);
        net.post(0, link, cell);
        net.settle();
    }
    let totals = net.relays[0].totals();
    let links = net.all_links().len() as u64;
    assert!(totals.cells_received > 20 && totals.cells_sent > 20 && links > 3);
    assert_eq!(
        totals,
        Totals {
            links: 4,
            sessions: 1,
            routes: 2,
            peers: 1,
            watches: 1,
            sessions_opened: 2,
            opens_refused: 1,
            sessions_refused: 1,
            routes_opened: 3,
            routes_refused: 2,
            creates: 1,
            claims: 1,
            puts_stored: 1,
            puts_repeated: 1,
            deliveries: 2,
            commands_refused: 3,
            store_failures: 1,
            infos_signed: 1,
            key_epochs: 1,
            links_opened: totals.links_opened,
            cells_received: totals.cells_received,
            cells_sent: totals.cells_sent,
            ..Totals::default()
        }
    );
}

#[test]
fn an_info_says_until_when_its_keys_hold() {
    let mut net = Net::one();
    let midnight = UnixMillis((net.now.0 / DAY_MS + 1) * DAY_MS);
    assert_eq!(net.info(0).info().keys_until_ms, midnight.0);
}

#[test]
fn a_notice_is_signed_at_once_and_only_the_date_of_a_relay_that_moves_to_itself_closes_nothing() {
    let mut net = Net::one();
    let address = |fingerprint| format!("{SCHEME}{fingerprint}@relay.example:4433");
    let own = address(net.relays[0].fingerprint());
    let other = address(hearken_proto::ids::Fingerprint::from_bytes([7; 32]));
    let admits =
        |net: &mut Net| net.info(0).info().admission() == hearken_proto::wire::Admission::Open;
    for (successor, before, from) in
        [(own, true, true), (other, true, false), (String::new(), true, false)]
    {
        let notice = hearken_proto::wire::Decommission { on_ms: net.now.0 + HOUR_MS, successor };
        net.relays[0].set_notice(net.now, Some(notice.clone()));
        assert_eq!(net.info(0).info().decommission, Some(notice));
        net.pass(3_599);
        assert_eq!(admits(&mut net), before);
        net.pass(1);
        assert_eq!(admits(&mut net), from);
        net.relays[0].set_notice(net.now, None);
        assert_eq!(net.info(0).info().decommission, None);
    }
}

#[test]
fn a_clock_set_back_keeps_no_half_open_session() {
    let mut net = Net::one();
    let link = net.link(0);
    let client = net.open(0, link);
    net.now.0 -= DAY_MS;
    net.pass(0);
    net.pass(10);
    assert_eq!(net.close_of(&client), Some(CloseReason::Refused));
}

#[test]
fn the_relay_says_when_it_is_to_be_woken_and_never_for_the_past() {
    let mut net = Net::one();
    let link = net.link(0);
    net.open(0, link);
    for _ in 0..500 {
        let next = net.relays[0].next_timeout().unwrap();
        assert!(next > net.now, "a busy loop");
        net.now = next;
        net.pass(0);
    }
    assert_eq!(net.relays[0].totals().sessions, 0);
}

#[test]
fn links_in_all_are_bounded() {
    let mut net = Net::one();
    for _ in 0..hearken_proto::limits::LINKS_MAX {
        net.link(0);
    }
    let one_more = net.link(0);
    net.settle();
    assert_eq!(net.closed, [(0, one_more)]);
    assert_eq!(net.relays[0].totals().links_refused, 1);
}

#[test]
fn totals_count_links_and_cells() {
    let mut net = Net::one();
    net.info(0);
    net.info(0);
    net.link(0);
    let totals = net.relays[0].totals();
    assert_eq!((totals.links, totals.links_opened, totals.links_refused), (1, 3, 0));
    assert_eq!((totals.cells_received, totals.cells_sent), (2, 2));
}

/// One random walk: honest clients beside noise, links that come and go, a store that fails, time that jumps.
fn walk(seed: u64, steps: u32) {
    let mut dice = ChaCha20Rng::seed_from_u64(seed);
    let config = CoreConfig { mailbox_blobs_max: 8, mailboxes_max: 20, ..config() };
    let mut net = Net::new(vec![config.clone(), config]);
    net.rng = ChaCha20Rng::seed_from_u64(seed + 1);
    let mut links: Vec<(usize, LinkId)> = Vec::new();
    let mut clients: Vec<Client> = Vec::new();
    let mut recorded: Vec<Cell> = Vec::new();
    let mailboxes: Vec<Mailbox> = (0..3).map(|at| net.mailbox(at % 2)).collect();
    for _ in 0..steps {
        let pick = |dice: &mut ChaCha20Rng, len: usize| dice.next_u64() as usize % len;
        match dice.next_u32() % 16 {
            0 => {
                let relay = pick(&mut dice, 2);
                links.push((relay, net.link(relay)));
            }
            1 if !links.is_empty() => {
                let (relay, link) = links.swap_remove(pick(&mut dice, links.len()));
                net.relays[relay].link_closed(net.now, link);
                clients.retain(|client| client.link != link);
            }
            2 | 3 if !links.is_empty() => {
                let (relay, link) = links[pick(&mut dice, links.len())];
                let route = net.new_route(relay, link);
                let target = pick(&mut dice, 2);
                let (pending, mut cell) = net.open_cell(target, route);
                if target != relay {
                    let hop = net.hop_to(target);
                    cell = net.route_through(relay, &hop, cell);
                }
                recorded.push(cell.clone());
                net.post(relay, link, cell);
                net.settle();
                let info = net.info(target);
                let first = std::iter::from_fn(|| net.arrived(relay, link))
                    .find(|cell| cell.kind() == Kind::Data && cell.route() == route);
                if let Some(Ok((seal, _))) = first.map(|first| pending.accept(first)) {
                    clients.push(Client { relay, link, route, seal, info });
                }
            }
            4..=9 if !clients.is_empty() => {
                let at = pick(&mut dice, clients.len());
                let mailbox = &mailboxes[pick(&mut dice, mailboxes.len())];
                let blob = net.blob();
                let (key, ask, blob) = match dice.next_u32() % 6 {
                    0 => (None, ping(), None),
                    1 => (Some((Role::Receive, &mailbox.receive)), watch(0), None),
                    2 => (Some((Role::Receive, &mailbox.receive)), get(0, 16), None),
                    3 => (Some((Role::Receive, &mailbox.receive)), ack(dice.next_u64()), None),
                    _ => (Some((Role::Send, &mailbox.send)), put(&blob), Some(&blob)),
                };
                let client = &mut clients[at];
                let auth = key.map(|(role, key)| client.auth(role, key));
                let command = hearken_proto::wire::Command { auth, command: Some(ask) };
                let cell = client.seal_command(&command, blob, &mut net.rng);
                recorded.push(cell.clone());
                net.post(clients[at].relay, clients[at].link, cell);
            }
            10 if !links.is_empty() => {
                // Noise: any frame, any route.
                let (relay, link) = links[pick(&mut dice, links.len())];
                let kinds = [Kind::Info, Kind::Open, Kind::Data, Kind::Close, Kind::Pad];
                let kind = kinds[pick(&mut dice, 5)];
                let mut cell = Cell::new(kind, dice.next_u64() % 8, &mut dice);
                if matches!(kind, Kind::Info | Kind::Open) && dice.next_u32() % 2 == 0 {
                    cell.set_last_hop();
                }
                net.post(relay, link, cell);
            }
            11 if !links.is_empty() && !recorded.is_empty() => {
                // A replay, mutated or not.
                let (relay, link) = links[pick(&mut dice, links.len())];
                let mut bytes = Box::new(*recorded[pick(&mut dice, recorded.len())].as_bytes());
                if dice.next_u32() % 2 == 0 {
                    bytes[pick(&mut dice, CELL_LEN)] ^= 1 << (dice.next_u32() % 8);
                }
                if let Ok(cell) = Cell::from_array(bytes) {
                    net.post(relay, link, cell);
                }
            }
            12 => {
                let relay = pick(&mut dice, 2);
                net.relays[relay].store().fail_commits(dice.next_u32() % 3, StoreError::Full);
            }
            13 => {
                let relay = pick(&mut dice, 2);
                net.relays[relay].hold_store(dice.next_u32() % 2 == 0);
            }
            14 => {
                let seconds = [0, 1, 11, 31, 3_700, 90_000][pick(&mut dice, 6)];
                net.pass(seconds);
            }
            _ => {
                let relay = pick(&mut dice, 2);
                for event in net.relays[relay].run_stalled(net.now, &mut net.rng) {
                    net.deliver(relay, event);
                }
            }
        }
        if dice.next_u32() % 3 == 0 {
            net.settle();
        }
        // Not only where all is settled.
        net.relays.iter().for_each(|relay| assert_balanced(relay.core()));
        links.retain(|link| !net.closed.contains(link));
        clients.retain(|client| !net.closed.contains(&(client.relay, client.link)));
    }
    // Everything that hung from a link goes with it.
    for relay in &mut net.relays {
        relay.hold_store(false);
        relay.store().fail_commits(0, StoreError::Full);
    }
    net.settle();
    let all: Vec<(usize, LinkId)> = net.all_links();
    for (relay, link) in all {
        net.relays[relay].link_closed(net.now, link);
    }
    net.settle();
    net.pass(30);
    for relay in &net.relays {
        assert_eq!(relay.leftovers(), [0; 5], "seed {seed}");
        let totals = relay.totals();
        assert_eq!((totals.links, totals.peers), (0, 0), "seed {seed}");
    }
}

#[test]
fn random_walks_leave_nothing_behind_and_never_panic() {
    #[allow(clippy::disallowed_methods, reason = "HEARKEN_LONG makes it longer")]
    let walks = if std::env::var_os("HEARKEN_LONG").is_some() { 500 } else { 12 };
    for seed in 0..walks {
        walk(seed, 250);
    }
}

#[test]
fn an_acknowledged_blob_is_there_after_any_crash() {
    let mut net = Net::one();
    let mut dice = ChaCha20Rng::seed_from_u64(11);
    let mut mailbox = net.mailbox(0);
    let mut acknowledged = Vec::new();
    for _ in 0..40 {
        let blob = net.blob();
        match dice.next_u32() % 4 {
            0 => net.relays[0].store().fail_commits(1, StoreError::Full),
            1 => {
                net.send_put(&mut mailbox, &blob);
                let relay = net.relays.remove(0);
                net.relays.push(relay.crash(net.now, &mut net.rng));
                let (reader, sender) = (net.link(0), net.link(0));
                mailbox.reader = net.open(0, reader);
                mailbox.sender = net.open(0, sender);
                mailbox.has_put = false;
                let key = Some((Role::Receive, &mailbox.receive));
                net.ask(&mut mailbox.reader, key, ack(0));
            }
            _ => {}
        }
        // As a sender does: again until it is stored.
        while !matches!(net.put(&mut mailbox, &blob), Say::Done(_)) {}
        acknowledged.push(blob);
    }
    let mut got = Vec::new();
    let mut after = 0;
    loop {
        let some = net.get(&mut mailbox, after, 16);
        let Some((last, _)) = some.last() else { break };
        after = *last;
        got.extend(some.into_iter().map(|(_, blob)| blob));
    }
    assert_eq!(got, acknowledged);
}

#[test]
fn a_dial_answered_for_nobody_and_cells_of_unknown_links_change_nothing() {
    let mut net = Net::one();
    let stranger = LinkId(404);
    let cell = Cell::new(Kind::Open, 1, &mut net.rng);
    net.post(0, stranger, cell);
    net.relays[0].link_closed(net.now, stranger);
    net.relays[0].dialled(net.now, super::DialId(9), Err(DialError::Unreachable));
    let events = net.relays[0].run(net.now, &mut net.rng);
    assert!(events.is_empty());
    assert!(net.relays[0].transmit(net.now, &mut net.rng, stranger).is_none());
    net.relays[0].dialled(net.now, super::DialId(9), Ok(stranger));
    let events = net.relays[0].run(net.now, &mut net.rng);
    assert!(matches!(events[..], [Event::Closed(LinkId(404))]));
    assert_eq!(net.relays[0].totals().cells_received, 0);
}

#[test]
fn nothing_that_prints_a_relay_shows_an_id() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    let printed = format!("{:?}", net.relays[0]);
    assert!(printed.contains("puts_stored: 1"), "the control: totals are printed");
    for key in [&mailbox.receive, &mailbox.send, &mailbox.claim] {
        let bytes = format!("{:?}", &key.public_key()[..4]);
        assert!(!printed.contains(bytes.trim_matches(['[', ']'])));
    }
}
