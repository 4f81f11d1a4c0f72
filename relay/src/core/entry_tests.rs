//! The relay as an entry: what goes on, what does not, and that nobody behind it starves another.

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::hop::NextHop;
use hearken_proto::info::{self, UnverifiedInfo};
use hearken_proto::limits::{
    OPENS_PER_LINK_BURST, PEERS_MAX, ROUTE_QUEUE_BACK_MAX, ROUTE_QUEUE_FORWARD_MAX,
    ROUTES_PER_LINK_MAX,
};
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Role};

use super::bounds::{
    DIALS_PER_LINK_MAX, FORWARD_CELLS_MAX, HALF_OPEN_SECONDS_MAX, PEER_IDLE_MINUTES_MAX,
};
use super::testing::{Net, assert_done, config, get, ping, put, watch};
use super::testing_books::assert_balanced;
use super::{CoreConfig, DialError, LinkId};

const ENTRY: usize = 0;
const LAST: usize = 1;

fn two() -> Net {
    Net::new(vec![config(), config()])
}

/// An OPEN for the last relay through the entry, posted.
fn post_open(net: &mut Net, link: LinkId, hop: &NextHop) -> (u64, Cell) {
    let route = net.new_route(ENTRY, link);
    let (_, cell) = net.open_cell(LAST, route);
    let cell = net.route_through(ENTRY, hop, cell);
    net.post(ENTRY, link, cell.clone());
    (route, cell)
}

/// The entry dials, and the test answers as the peer itself.
fn fake_peer(net: &mut Net) -> LinkId {
    let (at, dial, _) = net.dials.pop().expect("a dial");
    let link = LinkId(9_000);
    net.relays[at].dialled(net.now, dial, Ok(link));
    link
}

#[test]
fn a_message_goes_both_ways_through_an_entry() {
    let mut net = two();
    let mut mailbox = net.mailbox(LAST);
    let (reader_link, sender_link) = (net.link(ENTRY), net.link(ENTRY));
    let mut reader = net.open_through(ENTRY, LAST, reader_link);
    let mut sender = net.open_through(ENTRY, LAST, sender_link);
    net.ask(&mut reader, Some((Role::Receive, &mailbox.receive)), watch(0));
    let blob = net.blob();
    net.send(&mut sender, Some((Role::Send, &mailbox.send)), put(&blob), Some(&blob));
    net.settle();
    assert_done(&net.reply(&mut sender).0);
    let (say, pushed) = net.reply(&mut reader);
    assert!(matches!(say, Say::Push(_)));
    assert_eq!(pushed, Some(blob));
    assert_eq!(net.relays[ENTRY].totals().peers, 1, "one link a peer");
    assert_eq!(net.get(&mut mailbox, 0, 1).len(), 1);
}

#[test]
fn nothing_of_the_next_hop_or_the_clients_route_goes_on() {
    let mut net = two();
    net.answers_dials = false;
    let (first, second) = (net.link(ENTRY), net.link(ENTRY));
    let hop = net.hop_to(LAST);
    for _ in 0..40 {
        net.new_route(ENTRY, second);
    }
    let (_, one) = post_open(&mut net, first, &hop);
    let (route, two) = post_open(&mut net, second, &hop);
    net.settle();
    let peer = fake_peer(&mut net);
    net.settle();
    let forwarded: Vec<Cell> = std::iter::from_fn(|| net.arrived(ENTRY, peer)).collect();
    assert_eq!(forwarded.len(), 2);
    for (cell, sent) in forwarded.iter().zip([one, two]) {
        assert!(cell.is_last_hop());
        assert_eq!(cell.enc(), sent.enc(), "the control: the seal goes on as it is");
        assert_ne!(cell.routing(), sent.routing());
        assert_ne!(cell.route(), route);
    }
    assert!(forwarded[0].route() < forwarded[1].route());
    assert_ne!(forwarded[0].routing(), forwarded[1].routing());
}

#[test]
fn a_target_that_may_not_be_reached_is_refused() {
    let no_private = CoreConfig { allow_private_peers: false, ..config() };
    let no_forwards = CoreConfig { forwards: false, ..config() };
    for (entry, place, own, expected) in [
        (config(), "relay.example:1", true, Some(CloseReason::Refused)),
        (no_private.clone(), "127.0.0.1:1", false, Some(CloseReason::Refused)),
        (no_private.clone(), "[::ffff:10.0.0.1]:1", false, Some(CloseReason::Refused)),
        (no_private.clone(), "localhost:1", false, Some(CloseReason::Refused)),
        (no_private, "relay.example:1", false, None),
        (config(), "127.0.0.1:1", false, None),
        (no_forwards, "relay.example:1", false, Some(CloseReason::Refused)),
    ] {
        let mut net = Net::new(vec![entry, config()]);
        let link = net.link(ENTRY);
        let target = if own { ENTRY } else { LAST };
        let hop = NextHop { host_port: place.parse().unwrap(), ..net.hop_to(target) };
        let (route, _) = post_open(&mut net, link, &hop);
        net.settle();
        assert_eq!(net.closes(ENTRY, link, route), expected, "{place}");
    }
}

#[test]
fn a_failed_dial_is_told_with_its_reason() {
    for (error, reason) in [
        (DialError::Unreachable, CloseReason::Unreachable),
        (DialError::OtherKey, CloseReason::OtherKey),
        (DialError::Private, CloseReason::Refused),
    ] {
        let mut net = two();
        net.answers_dials = false;
        let link = net.link(ENTRY);
        let hop = net.hop_to(LAST);
        let (route, _) = post_open(&mut net, link, &hop);
        net.settle();
        let (at, dial, dialled) = net.dials.pop().unwrap();
        assert_eq!(dialled, hop);
        net.relays[at].dialled(net.now, dial, Err(error));
        net.settle();
        assert_eq!(net.closes(ENTRY, link, route), Some(reason));
    }
    // A shell that never answers.
    let mut net = two();
    net.answers_dials = false;
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let (route, _) = post_open(&mut net, link, &hop);
    net.settle();
    net.pass(14);
    assert_eq!(net.closes(ENTRY, link, route), None);
    net.pass(1);
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::Unreachable));
    let (at, dial, _) = net.dials.pop().unwrap();
    net.relays[at].dialled(net.now, dial, Ok(LinkId(77)));
    net.settle();
    assert_eq!(net.closed, [(ENTRY, LinkId(77))], "a link that nobody waits for");
}

#[test]
fn a_place_that_does_not_answer_harms_nobody_who_named_another() {
    let mut net = two();
    net.answers_dials = false;
    let (liar, honest) = (net.link(ENTRY), net.link(ENTRY));
    let right = net.hop_to(LAST);
    let wrong = NextHop { host_port: "elsewhere.example:1".parse().unwrap(), ..right.clone() };
    let (wrong_route, _) = post_open(&mut net, liar, &wrong);
    let (right_route, _) = post_open(&mut net, honest, &right);
    net.settle();
    assert_eq!(net.dials.len(), 2);
    for (at, dial, hop) in std::mem::take(&mut net.dials) {
        if hop == wrong {
            net.relays[at].dialled(net.now, dial, Err(DialError::Unreachable));
        } else {
            net.connect(at, dial, LAST);
        }
    }
    net.settle();
    assert_eq!(net.closes(ENTRY, liar, wrong_route), Some(CloseReason::Unreachable));
    assert_eq!(net.closes(ENTRY, honest, right_route), None);
    assert_eq!(net.arrived(ENTRY, honest).map(|cell| cell.kind()), Some(Kind::Data));
}

#[test]
fn whoever_names_another_place_of_a_peer_carries_nothing_of_those_who_named_this_one() {
    let mut net = two();
    net.answers_dials = false;
    let (liar, honest) = (net.link(ENTRY), net.link(ENTRY));
    let right = net.hop_to(LAST);
    let proxy = NextHop { host_port: "proxy.example:1".parse().unwrap(), ..right.clone() };
    let (liars_route, _) = post_open(&mut net, liar, &proxy);
    net.settle();
    let (at, dial, _) = net.dials.pop().unwrap();
    let through_proxy = net.connect(at, dial, LAST);
    net.settle();
    // The peer is reached already, but at a place that somebody else named.
    let (route, _) = post_open(&mut net, honest, &right);
    net.settle();
    let (at, dial, dialled) = net.dials.pop().expect("a dial of its own");
    assert_eq!(dialled, right);
    net.connect(at, dial, LAST);
    net.settle();
    assert_eq!(net.relays[ENTRY].totals().peers, 2);
    // The proxy is switched off.
    net.relays[ENTRY].link_closed(net.now, through_proxy);
    net.settle();
    assert!(net.closes(ENTRY, liar, liars_route).is_some());
    assert_eq!(net.closes(ENTRY, honest, route), None);
    assert_eq!(net.arrived(ENTRY, honest).map(|cell| cell.kind()), Some(Kind::Data));
}

#[test]
fn a_hop_sealed_to_other_keys_is_an_unknown_epoch() {
    let mut net = two();
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let route = net.new_route(ENTRY, link);
    let (_, cell) = net.open_cell(LAST, route);
    let mut cell = net.route_through(ENTRY, &hop, cell);
    cell.routing_mut()[100] ^= 1;
    net.post(ENTRY, link, cell);
    net.settle();
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::UnknownEpoch));
}

#[test]
fn the_last_relays_close_comes_to_the_client_and_the_clients_to_the_last_relay() {
    let mut net = two();
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let route = net.new_route(ENTRY, link);
    let (_, mut cell) = net.open_cell(LAST, route);
    cell.set_epoch_hint(cell.epoch_hint().wrapping_add(1));
    let cell = net.route_through(ENTRY, &hop, cell);
    net.post(ENTRY, link, cell);
    net.settle();
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::UnknownEpoch));
    assert_eq!(net.relays[ENTRY].totals().routes, 0);

    let mut client = net.open_through(ENTRY, LAST, link);
    assert_eq!(net.relays[LAST].totals().sessions, 1);
    // What was sent before the CLOSE goes before it.
    let pings = net.relays[LAST].totals().cells_received;
    net.send(&mut client, None, ping(), None);
    let close = Cell::close(client.route, CloseReason::Done, &mut net.rng);
    net.post(ENTRY, link, close);
    net.settle();
    assert_eq!(net.relays[LAST].totals().cells_received - pings, 2);
    assert_eq!(net.relays[LAST].totals().sessions, 0);
    assert_eq!(net.relays[ENTRY].totals().routes, 0);
}

#[test]
fn links_that_are_lost_end_their_routes_on_the_other_side() {
    let mut net = two();
    let (first, second) = (net.link(ENTRY), net.link(ENTRY));
    let one = net.open_through(ENTRY, LAST, first);
    let two = net.open_through(ENTRY, LAST, second);
    net.relays[ENTRY].link_closed(net.now, first);
    net.settle();
    assert_eq!(net.relays[LAST].totals().sessions, 1);
    assert_eq!(net.close_of(&one), None);
    // The peer breaks a rule: it opens a route on a link that it did not dial.
    let peers = net.relays[ENTRY].totals().peers;
    assert_eq!(peers, 1);
    let peer_link = net.peer_link(ENTRY);
    let open = Cell::new(Kind::Open, 500, &mut net.rng);
    net.post(ENTRY, peer_link, open);
    net.settle();
    assert!(net.closed.contains(&(ENTRY, peer_link)));
    assert_eq!(net.close_of(&two), Some(CloseReason::Unreachable));
    assert_eq!(net.relays[LAST].totals().sessions, 0);
    // The next route dials anew.
    net.open_through(ENTRY, LAST, second);
}

#[test]
fn opens_and_infos_of_a_client_link_are_metered() {
    let mut net = two();
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let mut busy = 0;
    for _ in 0..OPENS_PER_LINK_BURST + 5 {
        let (route, _) = post_open(&mut net, link, &hop);
        net.settle();
        busy += u32::from(net.closes(ENTRY, link, route) == Some(CloseReason::Busy));
    }
    assert_eq!(busy, 5);
    while net.arrived(ENTRY, link).is_some() {}
    let other = net.link(ENTRY);
    net.open_through(ENTRY, LAST, other);
    net.pass(1);
    net.open_through(ENTRY, LAST, link);
}

#[test]
fn routes_of_a_client_link_are_bounded() {
    let mut net = two();
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let mailbox = net.mailbox(LAST);
    let mut refused = None;
    for at in 0..=ROUTES_PER_LINK_MAX {
        net.pass(1);
        if at == ROUTES_PER_LINK_MAX {
            let (route, _) = post_open(&mut net, link, &hop);
            net.settle();
            refused = net.closes(ENTRY, link, route);
            break;
        }
        let mut client = net.open_through(ENTRY, LAST, link);
        net.ask(&mut client, Some((Role::Receive, &mailbox.receive)), get(0, 1));
    }
    assert_eq!(refused, Some(CloseReason::Busy));
    assert_eq!(net.relays[ENTRY].totals().routes, ROUTES_PER_LINK_MAX as u64);
}

#[test]
fn dials_that_one_client_link_causes_are_bounded() {
    let mut net = two();
    net.answers_dials = false;
    let link = net.link(ENTRY);
    let mut closed = 0;
    for at in 0..DIALS_PER_LINK_MAX + 2 {
        let host_port = format!("r{at}.example:1").parse().unwrap();
        let hop = NextHop { host_port, ..net.hop_to(LAST) };
        let (route, _) = post_open(&mut net, link, &hop);
        net.settle();
        closed += usize::from(net.closes(ENTRY, link, route) == Some(CloseReason::Busy));
    }
    assert_eq!((net.dials.len(), closed), (DIALS_PER_LINK_MAX, 2));
    // One that is answered makes room for one.
    let (at, dial, _) = net.dials.remove(0);
    net.relays[at].dialled(net.now, dial, Err(DialError::Unreachable));
    for more in 0..2 {
        let host_port = format!("more{more}.example:1").parse().unwrap();
        let hop = NextHop { host_port, ..net.hop_to(LAST) };
        let (route, _) = post_open(&mut net, link, &hop);
        net.settle();
        let busy = net.closes(ENTRY, link, route) == Some(CloseReason::Busy);
        assert_eq!(busy, more == 1);
    }
    assert_eq!(net.dials.len(), DIALS_PER_LINK_MAX);
}

#[test]
fn peers_and_dials_in_all_are_bounded_and_a_peer_without_a_route_makes_room() {
    let mut net = two();
    let link = net.link(ENTRY);
    let client = net.open_through(ENTRY, LAST, link);
    let close = Cell::close(client.route, CloseReason::Done, &mut net.rng);
    net.post(ENTRY, link, close);
    net.settle();
    let peer = net.peer_link(ENTRY);
    net.answers_dials = false;
    // Other relays: the peer itself would be asked over its link.
    let ask = |net: &mut Net, at: usize, link: LinkId| {
        let host_port = format!("r{at}.example:1").parse().unwrap();
        let fingerprint = hearken_proto::ids::Fingerprint::from_bytes([9; 32]);
        let hop = NextHop { host_port, fingerprint };
        let route = net.new_route(ENTRY, link);
        let cell = info::request(route, &mut net.rng);
        let cell = net.route_through(ENTRY, &hop, cell);
        net.post(ENTRY, link, cell);
        net.settle();
        net.closes(ENTRY, link, route)
    };
    let mut dialler = net.link(ENTRY);
    for at in 0..PEERS_MAX - 1 {
        if at > 0 && at % DIALS_PER_LINK_MAX == 0 {
            dialler = net.link(ENTRY);
        }
        assert_eq!(ask(&mut net, at, dialler), None);
    }
    assert!(!net.closed.contains(&(ENTRY, peer)), "there is room for it");
    let last = net.link(ENTRY);
    assert_eq!(ask(&mut net, PEERS_MAX, last), None);
    assert!(net.closed.contains(&(ENTRY, peer)));
    assert_eq!(ask(&mut net, PEERS_MAX + 1, last), Some(CloseReason::Busy));
    assert_eq!((net.dials.len(), net.relays[ENTRY].totals().peers), (PEERS_MAX, 0));
}

#[test]
fn a_peer_link_with_a_route_stays_and_its_time_begins_when_the_last_route_ends() {
    let mut net = two();
    let link = net.link(ENTRY);
    let mailbox = net.mailbox(LAST);
    let idle = PEER_IDLE_MINUTES_MAX * 60;
    for _ in 0..2 {
        let mut client = net.open_through(ENTRY, LAST, link);
        net.ask(&mut client, Some((Role::Receive, &mailbox.receive)), get(0, 1));
        net.pass(idle + 60);
        assert_done(&net.ask(&mut client, None, ping()));
        let close = Cell::close(client.route, CloseReason::Done, &mut net.rng);
        net.post(ENTRY, link, close);
        net.settle();
        net.pass(idle - 1);
        assert_eq!(net.relays[ENTRY].totals().peers, 1);
    }
    net.pass(1);
    assert_eq!(net.relays[ENTRY].totals().peers, 0);
}

#[test]
fn a_route_that_overflows_is_closed_and_no_cell_of_it_is_dropped_before() {
    // Towards a peer that takes nothing.
    let mut net = two();
    let link = net.link(ENTRY);
    let client = net.open_through(ENTRY, LAST, link);
    for _ in 0..=ROUTE_QUEUE_FORWARD_MAX {
        let cell = Cell::new(Kind::Data, client.route, &mut net.rng);
        net.post(ENTRY, link, cell);
    }
    let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
    net.settle();
    assert_eq!(net.close_of(&client), Some(CloseReason::Busy));
    assert_eq!(net.relays[LAST].totals().sessions, 0);

    // Back to a client that takes nothing.
    let mut net = two();
    net.answers_dials = false;
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    post_open(&mut net, link, &hop);
    net.settle();
    let peer = fake_peer(&mut net);
    net.settle();
    let route = net.arrived(ENTRY, peer).unwrap().route();
    for at in 0..=ROUTE_QUEUE_BACK_MAX {
        assert_eq!(net.relays[ENTRY].totals().routes, 1, "{at}");
        let cell = Cell::new(Kind::Data, route, &mut net.rng);
        net.post(ENTRY, peer, cell);
        let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
    }
    net.settle();
    assert_eq!(net.relays[ENTRY].totals().routes, 0);
    assert_eq!(net.closes(ENTRY, peer, route), Some(CloseReason::Busy));
    assert_eq!(
        net.arrived(ENTRY, link).and_then(|cell| cell.close_reason()),
        Some(CloseReason::Busy)
    );
}

#[test]
fn a_peer_that_never_answers_an_open_is_unreachable() {
    let mut net = two();
    net.answers_dials = false;
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let (route, _) = post_open(&mut net, link, &hop);
    net.settle();
    let peer = fake_peer(&mut net);
    net.settle();
    let theirs = net.arrived(ENTRY, peer).unwrap().route();
    net.pass(HALF_OPEN_SECONDS_MAX - 1);
    assert_eq!(net.closes(ENTRY, link, route), None);
    net.pass(1);
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::Unreachable));
    assert!(net.closes(ENTRY, peer, theirs).is_some());
}

#[test]
fn a_peer_link_without_a_route_is_let_go() {
    let mut net = two();
    let link = net.link(ENTRY);
    let client = net.open_through(ENTRY, LAST, link);
    let close = Cell::close(client.route, CloseReason::Done, &mut net.rng);
    net.post(ENTRY, link, close);
    net.settle();
    net.pass(PEER_IDLE_MINUTES_MAX * 60 - 1);
    assert_eq!(net.relays[ENTRY].totals().peers, 1);
    net.pass(1);
    assert_eq!(net.relays[ENTRY].totals().peers, 0);
    net.open_through(ENTRY, LAST, link);
}

/// Asks the entry for the last relay's `RelayInfo`.
fn ask_info(net: &mut Net, link: LinkId) -> Cell {
    let route = net.new_route(ENTRY, link);
    let cell = info::request(route, &mut net.rng);
    let hop = net.hop_to(LAST);
    let cell = net.route_through(ENTRY, &hop, cell);
    net.post(ENTRY, link, cell);
    net.settle();
    net.arrived(ENTRY, link).expect("an answer")
}

#[test]
fn every_client_is_given_the_same_info_of_a_peer_for_an_hour() {
    let mut net = two();
    let (first, second) = (net.link(ENTRY), net.link(ENTRY));
    let one = ask_info(&mut net, first);
    net.pass(59 * 60);
    let cells = net.relays[LAST].totals().cells_received;
    let two = ask_info(&mut net, second);
    // The test itself asks the entry, not the last relay, for keys.
    assert_eq!(net.relays[LAST].totals().cells_received, cells, "asked again");
    // Behind the length-prefixed answer there are random bytes.
    let len = 2 + usize::from(u16::from_be_bytes([one.info()[0], one.info()[1]]));
    assert!(one.info()[..len] == two.info()[..len], "another answer");
    let fingerprint = net.relays[LAST].fingerprint();
    let info = UnverifiedInfo::from_answer(&two).unwrap();
    assert!(info.verify(&fingerprint, None, net.now).is_ok());
    net.pass(2 * 60);
    let three = ask_info(&mut net, second);
    assert_ne!(one.info()[..2_000], three.info()[..2_000]);
}

#[test]
fn an_info_that_the_peer_did_not_sign_is_not_passed_on() {
    let mut net = two();
    net.answers_dials = false;
    let link = net.link(ENTRY);
    let route = net.new_route(ENTRY, link);
    let cell = info::request(route, &mut net.rng);
    let hop = net.hop_to(LAST);
    let cell = net.route_through(ENTRY, &hop, cell);
    net.post(ENTRY, link, cell);
    net.settle();
    let peer = fake_peer(&mut net);
    net.settle();
    let asked = net.arrived(ENTRY, peer).unwrap();
    assert!(asked.kind() == Kind::Info && asked.is_last_hop());
    // The entry's own, in place of the peer's.
    let own = net.link(ENTRY);
    let request = info::request(1, &mut net.rng);
    net.post(ENTRY, own, request);
    net.settle();
    let mut forged = net.arrived(ENTRY, own).unwrap();
    forged.set_route(asked.route());
    net.post(ENTRY, peer, forged);
    net.settle();
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::OtherKey));
}

#[test]
fn a_peer_that_forgot_its_keys_is_asked_for_new_ones() {
    let mut net = two();
    let link = net.link(ENTRY);
    ask_info(&mut net, link);
    net.pass(30);
    let hop = net.hop_to(LAST);
    let route = net.new_route(ENTRY, link);
    let (_, mut cell) = net.open_cell(LAST, route);
    cell.set_epoch_hint(cell.epoch_hint().wrapping_add(1));
    let cell = net.route_through(ENTRY, &hop, cell);
    net.post(ENTRY, link, cell);
    net.settle();
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::UnknownEpoch));
    let cells = net.relays[LAST].totals().cells_received;
    ask_info(&mut net, link);
    assert!(net.relays[LAST].totals().cells_received > cells, "the old one was kept");
}

#[test]
fn a_flooder_behind_an_entry_delays_the_others_by_a_cell_each() {
    let mut net = two();
    net.answers_dials = false;
    let (flooder, victim) = (net.link(ENTRY), net.link(ENTRY));
    let hop = net.hop_to(LAST);
    for _ in 0..60 {
        post_open(&mut net, flooder, &hop);
    }
    let (_, sent) = post_open(&mut net, victim, &hop);
    for event in net.relays[ENTRY].run_stalled(net.now, &mut net.rng) {
        net.deliver(ENTRY, event);
    }
    let peer = fake_peer(&mut net);
    let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
    let order: Vec<Cell> =
        std::iter::from_fn(|| net.relays[ENTRY].transmit(net.now, &mut net.rng, peer)).collect();
    assert_eq!(order.len(), 61, "the control: the flood is all there");
    let at = order.iter().position(|cell| cell.enc() == sent.enc()).unwrap();
    assert!(at <= 1, "the victim waited for {at} cells");
}

#[test]
fn a_client_whose_peer_is_slow_is_not_listened_to_and_others_are() {
    let mut net = two();
    net.answers_dials = false;
    let (flooder, victim) = (net.link(ENTRY), net.link(ENTRY));
    let hop = net.hop_to(LAST);
    let routes: Vec<u64> = (0..60).map(|_| post_open(&mut net, flooder, &hop).0).collect();
    let (victims, _) = post_open(&mut net, victim, &hop);
    net.settle();
    let peer = fake_peer(&mut net);
    net.settle();
    while net.arrived(ENTRY, peer).is_some() {}
    // The peer takes nothing more; the flooder goes on within the bounds of its routes.
    let mut posted = 0;
    'flood: for _ in 0..14 {
        for route in &routes {
            let cell = Cell::new(Kind::Data, *route, &mut net.rng);
            net.post(ENTRY, flooder, cell);
            posted += 1;
            if posted == super::bounds::LINK_FORWARD_MAX + 60 {
                break 'flood;
            }
            let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
        }
    }
    let cell = Cell::new(Kind::Data, victims, &mut net.rng);
    net.post(ENTRY, victim, cell);
    let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
    let order: Vec<Cell> =
        std::iter::from_fn(|| net.relays[ENTRY].transmit(net.now, &mut net.rng, peer)).collect();
    assert!(order.len() > 200);
    // Route ids at the peer rise in the order of OPENs, so the victim's is known by the first three cells.
    let firsts: Vec<u64> = order[..3].iter().map(Cell::route).collect();
    let victims_route = order
        .iter()
        .map(Cell::route)
        .filter(|route| order.iter().filter(|cell| cell.route() == *route).count() == 1);
    let victims_route: Vec<u64> = victims_route.collect();
    assert!(victims_route.iter().any(|route| firsts.contains(route)), "{firsts:?}");
    net.settle();
    assert!(net.closed.is_empty(), "nobody broke a bound");
}

#[test]
fn a_wrong_route_id_of_a_peer_closes_its_link() {
    for (kind, route, closes) in [
        (Kind::Data, 99, true),
        (Kind::Close, 99, true),
        (Kind::Info, 99, true),
        (Kind::Open, 1, true),
        (Kind::Pad, 99, false),
        (Kind::Info, 1, false),
    ] {
        let mut net = two();
        let link = net.link(ENTRY);
        net.open_through(ENTRY, LAST, link);
        let peer = net.peer_link(ENTRY);
        let cell = Cell::new(kind, route, &mut net.rng);
        net.post(ENTRY, peer, cell);
        net.settle();
        assert_eq!(net.closed.contains(&(ENTRY, peer)), closes, "{kind:?}");
    }
}

#[test]
fn an_info_is_answered_beside_a_decommission_notice() {
    let notice = wire::Decommission { on_ms: 5, successor: "x".to_owned() };
    let config = CoreConfig { decommission: Some(notice.clone()), ..config() };
    let mut net = Net::new(vec![config]);
    let info = net.info(0);
    assert_eq!(info.info().decommission, Some(notice));
    assert!(info.info().forwards);
}

/// An entry with a client's route to a peer that the test plays: the client's link and route, the peer's.
fn played_peer(net: &mut Net) -> (LinkId, u64, LinkId, u64) {
    net.answers_dials = false;
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let (route, _) = post_open(net, link, &hop);
    net.settle();
    let peer = fake_peer(net);
    net.settle();
    let theirs = net.arrived(ENTRY, peer).unwrap().route();
    (link, route, peer, theirs)
}

/// Posts cells to the entry and has it work, while no link takes any.
fn stalled(net: &mut Net, link: LinkId, cells: Vec<Cell>) {
    for cell in cells {
        net.post(ENTRY, link, cell);
        let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
        if net.balances {
            assert_balanced(net.relays[ENTRY].core());
        }
    }
}

#[test]
fn what_waits_is_counted_right_whoever_closes_the_route() {
    for by_client in [true, false] {
        let mut net = two();
        let (link, route, peer, theirs) = played_peer(&mut net);
        let (to, from) = ((link, route), (peer, theirs));
        for (link, route) in [to, from] {
            let cells = (0..3).map(|_| Cell::new(Kind::Data, route, &mut net.rng)).collect();
            stalled(&mut net, link, cells);
        }
        let (closer, its_route) = if by_client { to } else { from };
        let close = Cell::close(its_route, CloseReason::Refused, &mut net.rng);
        stalled(&mut net, closer, vec![close]);
        let (other, others_route) = if by_client { from } else { to };
        net.settle();
        let kinds: Vec<Kind> =
            std::iter::from_fn(|| net.arrived(ENTRY, other)).map(|cell| cell.kind()).collect();
        assert_eq!(kinds, [Kind::Data, Kind::Data, Kind::Data, Kind::Close]);
        assert_eq!(net.arrived_len(ENTRY, closer), 0, "for who has closed");
        assert_eq!(net.closes(ENTRY, other, others_route), None);
        assert_eq!(net.relays[ENTRY].leftovers()[1..3], [0, 0]);
    }
}

#[test]
fn a_route_closed_before_its_open_was_sent_is_never_seen_by_the_peer() {
    let mut net = two();
    let (link, _, peer, _) = played_peer(&mut net);
    let hop = net.hop_to(LAST);
    let (route, _) = post_open(&mut net, link, &hop);
    let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
    let close = Cell::close(route, CloseReason::Done, &mut net.rng);
    stalled(&mut net, link, vec![close]);
    net.settle();
    assert_eq!(net.arrived_len(ENTRY, peer), 0);
    assert_eq!(net.relays[ENTRY].totals().routes, 1);
}

#[test]
fn what_a_peer_sent_before_its_close_comes_to_a_slow_client_though_the_peer_is_lost() {
    let mut net = two();
    let (link, route, peer, theirs) = played_peer(&mut net);
    let data = Cell::new(Kind::Data, theirs, &mut net.rng);
    let close = Cell::close(theirs, CloseReason::UnknownEpoch, &mut net.rng);
    stalled(&mut net, peer, vec![data, close]);
    net.relays[ENTRY].link_closed(net.now, peer);
    net.settle();
    assert_eq!(net.arrived(ENTRY, link).map(|cell| cell.kind()), Some(Kind::Data));
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::UnknownEpoch));
}

#[test]
fn cells_in_all_queues_are_bounded() {
    let mut net = two();
    let (link, route, peer, theirs) = played_peer(&mut net);
    net.balances = false;
    for (from, from_route) in [(link, route), (peer, theirs)] {
        net.relays[ENTRY].leave_room(1);
        let cell = Cell::new(Kind::Data, from_route, &mut net.rng);
        stalled(&mut net, from, vec![cell]);
        assert_eq!(net.relays[ENTRY].leftovers()[1..3], [1, FORWARD_CELLS_MAX]);
        net.settle();
    }
    let before = net.relays[ENTRY].totals().routes;
    net.relays[ENTRY].leave_room(0);
    let cell = Cell::new(Kind::Data, theirs, &mut net.rng);
    stalled(&mut net, peer, vec![cell]);
    assert_eq!(net.relays[ENTRY].leftovers()[1..3], [0, FORWARD_CELLS_MAX]);
    net.settle();
    assert_eq!((before, net.closes(ENTRY, link, route)), (1, Some(CloseReason::Busy)));

    let hop = net.hop_to(LAST);
    let (route, _) = post_open(&mut net, link, &hop);
    let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
    net.relays[ENTRY].leave_room(0);
    let cell = Cell::new(Kind::Data, route, &mut net.rng);
    stalled(&mut net, link, vec![cell]);
    assert_eq!(
        net.relays[ENTRY].leftovers()[1..3],
        [0, FORWARD_CELLS_MAX - 1],
        "its OPEN goes too"
    );
    net.settle();
    assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::Busy));
}

/// A client's INFO on its way to the peer that the test plays.
fn asked_info(net: &mut Net, link: LinkId) -> u64 {
    let route = net.new_route(ENTRY, link);
    let cell = info::request(route, &mut net.rng);
    let hop = net.hop_to(LAST);
    let cell = net.route_through(ENTRY, &hop, cell);
    net.post(ENTRY, link, cell);
    route
}

#[test]
fn only_what_answers_an_info_answers_it() {
    let mut net = two();
    let (link, _, peer, theirs) = played_peer(&mut net);
    let asked = asked_info(&mut net, link);
    net.settle();
    let at_peer = net.arrived(ENTRY, peer).expect("the INFO goes on").route();
    let stray = Cell::new(Kind::Info, theirs, &mut net.rng);
    net.post(ENTRY, peer, stray);
    net.settle();
    assert_eq!(net.arrived_len(ENTRY, link), 0, "an INFO on a route that asked for none");
    let close = Cell::close(at_peer, CloseReason::Busy, &mut net.rng);
    net.post(ENTRY, peer, close);
    net.settle();
    assert_eq!(net.closes(ENTRY, link, asked), Some(CloseReason::Busy));
}

#[test]
fn an_info_that_the_peer_never_took_is_given_up() {
    let mut net = two();
    let (link, _, peer, _) = played_peer(&mut net);
    for is_sent in [false, true] {
        let asked = asked_info(&mut net, link);
        if is_sent {
            net.settle();
            assert!(net.arrived(ENTRY, peer).is_some());
        } else {
            let _ = net.relays[ENTRY].run_stalled(net.now, &mut net.rng);
        }
        net.now.0 += HALF_OPEN_SECONDS_MAX * 1_000;
        net.relays[ENTRY].timeout(net.now, &mut net.rng);
        assert_balanced(net.relays[ENTRY].core());
        net.settle();
        assert_eq!(net.closes(ENTRY, link, asked), Some(CloseReason::Unreachable));
        while net.arrived(ENTRY, peer).is_some() {}
    }
}

#[test]
fn cells_of_a_route_that_goes_on_go_before_opens() {
    let mut net = two();
    let (link, route, ..) = played_peer(&mut net);
    let hop = net.hop_to(LAST);
    post_open(&mut net, link, &hop);
    let cell = Cell::new(Kind::Data, route, &mut net.rng);
    net.post(ENTRY, link, cell);
    net.relays[ENTRY].advance(net.now, &mut net.rng);
    assert_eq!(net.relays[ENTRY].leftovers()[1..3], [1, 1], "no other route is open");
    net.settle();
}

#[test]
fn a_route_with_nothing_left_to_send_has_no_turn() {
    let mut net = two();
    let (link, route, peer, theirs) = played_peer(&mut net);
    for (from, from_route, to) in [(link, route, peer), (peer, theirs, link)] {
        let cells = (0..2).map(|_| Cell::new(Kind::Data, from_route, &mut net.rng)).collect();
        stalled(&mut net, from, cells);
        for _ in 0..2 {
            assert!(net.relays[ENTRY].transmit(net.now, &mut net.rng, to).is_some());
            assert_balanced(net.relays[ENTRY].core());
        }
    }
}

#[test]
fn an_open_and_an_info_that_do_not_go_on_are_counted() {
    let mut net = Net::new(vec![CoreConfig { forwards: false, ..config() }, config()]);
    let link = net.link(ENTRY);
    let hop = net.hop_to(LAST);
    let (open, _) = post_open(&mut net, link, &hop);
    let asked = asked_info(&mut net, link);
    net.settle();
    for route in [open, asked] {
        assert_eq!(net.closes(ENTRY, link, route), Some(CloseReason::Refused));
    }
    assert_eq!(net.relays[ENTRY].totals().routes_refused, 2);
}

#[test]
fn a_link_that_was_dialled_is_counted_as_opened() {
    let mut net = two();
    let link = net.link(ENTRY);
    let opened = [0, 1].map(|_| {
        let before = net.relays[ENTRY].totals().links_opened;
        net.open_through(ENTRY, LAST, link);
        net.relays[ENTRY].totals().links_opened - before
    });
    assert_eq!(opened[0], opened[1] + 1, "only the first needs a link to the peer");
}
