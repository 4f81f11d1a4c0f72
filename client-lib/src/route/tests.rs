#![allow(clippy::disallowed_methods, reason = "HEARKEN_LONG makes it longer")]

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::info;
use hearken_proto::limits::{ANSWERS_DUE_MAX, CELL_LEN};
use hearken_proto::time::UnixMillis;
use hearken_proto::wire::{self, Role, reply};

use super::error::RouteError;
use super::scripted_relay::*;
use super::{CloseWhy, LinkFailure, RouteAction, RouteEvent, RoutePlan, SessionId};

const HOUR_MS: u64 = 60 * MINUTE_MS;

// --- opening ----------------------------------------------------------------------------------

#[test]
fn a_direct_session_asks_for_information_then_opens() {
    let mut world = World::new();
    let session = world.open(world.direct(0));
    assert!(world.router.info(session).is_none());
    let events = world.run();
    assert!(matches!(&events[..], [
        RouteEvent::InfoSeen { fingerprint, info },
        RouteEvent::Opened { session: opened },
    ] if *fingerprint == world.relays[0].fingerprint()
        && info.signed_at() == START && *opened == session));
    assert_eq!(kinds(&world), [Kind::Info, Kind::Open]);
    assert!(world.sent.iter().all(|(_, cell)| cell.is_last_hop()));
    let info = world.router.info(session).unwrap();
    assert_eq!(info.context(), &world.relays[0].context());
}

#[test]
fn a_hop2_session_asks_the_entry_for_both_and_opens_through_it() {
    let mut world = World::new();
    let session = world.opened(world.hop2(0, 1));
    assert_eq!(kinds(&world), [Kind::Info, Kind::Info, Kind::Open]);
    let last_hop = world.sent.iter().map(|(_, cell)| cell.is_last_hop());
    assert_eq!(last_hop.collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(world.links.values().collect::<Vec<_>>(), [&0]);
    assert_eq!((world.relays[0].opens_seen, world.relays[1].opens_seen), (0, 1));
    assert_eq!(world.router.info(session).unwrap().context(), &world.relays[1].context());
    let [(_, info), (_, open)] = &world.sent[1..] else { panic!("an INFO and an OPEN") };
    assert_ne!(info.routing(), open.routing(), "the next hop is sealed anew each time");
    world.command(session, ping());
    assert_eq!(outcome(&world.run()), [(0, true)]);
    assert_eq!(world.relays[1].seen.len(), 1);
}

#[test]
fn sessions_over_one_first_hop_share_a_link_and_what_is_known() {
    let mut world = World::new();
    world.connects = false;
    let plans = [world.hop2(0, 1), world.hop2(0, 1), world.hop2(0, 2), world.direct(0)];
    let sessions = plans.map(|plan| world.open(plan));
    world.run();
    let link = world.link();
    world.router.handle_connected(world.now, &mut world.rng, link);
    let events = world.run();
    for session in sessions {
        let opened =
            |e: &RouteEvent| matches!(e, RouteEvent::Opened { session: s } if *s == session);
        assert!(events.iter().any(opened));
    }
    for relay in &world.relays {
        assert_eq!(relay.infos_asked, 1);
    }
    let routes: Vec<_> = world.sent.iter().map(|(_, cell)| cell.route()).collect();
    assert_eq!(routes, (1..=7).collect::<Vec<_>>(), "route ids begin at 1 and rise");
}

#[test]
fn a_relay_that_is_said_to_be_at_two_places_has_a_link_for_each() {
    let mut world = World::new();
    let one = world.address(0);
    let fingerprint = one.fingerprint();
    let other = format!("hearken://{fingerprint}@elsewhere.example:9").parse().unwrap();
    let first = world.opened(RoutePlan { entry: None, relay: other });
    let link = world.link();
    let second = world.opened(RoutePlan { entry: None, relay: one });
    assert_eq!(world.links.len(), 2);
    world.router.handle_disconnected(world.now, link, LinkFailure::Closed);
    assert_eq!(closed(&world.run()), [(first, CloseWhy::LinkLost)]);
    world.command(second, ping());
    assert_eq!(outcome(&world.run()), [(0, true)]);
}

#[test]
fn information_that_a_relay_gave_to_an_address_is_not_used_behind_an_entry() {
    let mut world = World::new();
    world.opened(world.direct(1));
    assert_eq!(world.relays[1].infos_asked, 1);
    world.opened(world.hop2(0, 1));
    assert_eq!(world.relays[1].infos_asked, 2);
}

#[test]
fn information_is_kept_for_an_hour() {
    let mut world = World::new();
    world.opened(world.direct(0));
    world.pass(HOUR_MS - 1);
    world.opened(world.direct(0));
    assert_eq!(world.relays[0].infos_asked, 1);
    world.pass(1);
    world.opened(world.direct(0));
    assert_eq!(world.relays[0].infos_asked, 2);
}

#[test]
fn an_entry_that_is_the_relay_itself_is_never_dialled() {
    let mut world = World::new();
    let session = world.open(world.hop2(0, 0));
    assert_eq!(closed(&world.run()), [(session, CloseWhy::EntryRefuses)]);
    assert!(world.links.is_empty());
}

#[test]
fn an_entry_that_does_not_forward_is_not_asked_to() {
    let mut world = World::new();
    world.relays[0].forwards = false;
    let session = world.open(world.hop2(0, 1));
    assert_eq!(closed(&world.run()), [(session, CloseWhy::EntryRefuses)]);
    assert!(world.hops.is_empty());
}

#[test]
fn the_places_of_a_relay_behind_an_entry_are_tried_in_turn() {
    let mut world = World::new();
    let fingerprint = world.relays[1].fingerprint();
    let relay = format!("hearken://{fingerprint}@one.example:1,two.example:2").parse().unwrap();
    let plan = RoutePlan { entry: Some(world.address(0)), relay };
    world.opened(plan.clone());
    world.relays[1].closes = Some(CloseReason::Unreachable);
    // Two that fail at the same place are no reason to skip the next.
    world.open(plan.clone());
    world.open(plan.clone());
    assert_eq!(closed(&world.run()).len(), 2);
    world.relays[1].closes = None;
    world.opened(plan);
    let ports: Vec<_> = world.hops.iter().map(|hop| hop.host_port.port()).collect();
    assert_eq!(ports, [1, 1, 1, 1, 2]);
}

#[test]
fn opens_are_paced_to_what_a_relay_takes_from_a_link() {
    let mut world = World::new();
    let sessions: Vec<_> = (0..100).map(|_| world.open(world.direct(0))).collect();
    let mut opened = count_opened(&world.run());
    assert_eq!(opened, 47, "an INFO and 47 OPENs are three quarters of 64");
    while opened < sessions.len() {
        let next = world.router.poll_timeout().unwrap();
        assert!(next > world.now && next.0 <= world.now.0 + 250, "four a second");
        let wait = next.0 - world.now.0;
        opened += count_opened(&world.pass(wait));
    }
    assert_eq!(world.now.0 - START.0, (100 - 47) * 250);
}

// --- refused, expired, gone back --------------------------------------------------------------

#[test]
fn a_relay_whose_clock_went_back_over_two_hours_is_refused() {
    let mut world = World::new();
    let relay = world.relays[0].fingerprint();
    world.router.remember_info(relay, UnixMillis(START.0 + 1));
    world.relays[0].clock_off_ms = -(2 * HOUR_MS as i64);
    let session = world.open(world.direct(0));
    assert_eq!(closed(&world.run()), [(session, CloseWhy::ClockWentBack)]);
    world.relays[0].clock_off_ms += 1;
    world.opened(world.direct(0));
}

#[test]
fn what_was_seen_in_this_run_counts_against_a_clock_that_goes_back() {
    let mut world = World::new();
    world.opened(world.hop2(0, 1));
    world.pass(HOUR_MS);
    world.relays[1].clock_off_ms = -(3 * HOUR_MS as i64) - 1;
    let session = world.open(world.direct(1));
    assert_eq!(closed(&world.run()), [(session, CloseWhy::ClockWentBack)]);
}

#[test]
fn expired_information_other_versions_and_other_keys_are_told_apart() {
    for (relay, why) in [(0, CloseWhy::InfoExpired), (1, CloseWhy::Version)] {
        let mut world = World::new();
        world.relays[0].clock_off_ms = -(3 * HOUR_MS as i64) - 1;
        world.relays[1].versions = vec![2, 3];
        let session = world.open(world.direct(relay));
        assert_eq!(closed(&world.run()), [(session, why)]);
    }
    let mut world = World::new();
    let (link, session) = asked(&mut world);
    let other = world.relays[1].signed_info(START);
    let answer = info::answer(1, &other, &mut world.rng).unwrap();
    world.deliver(link, answer);
    assert_eq!(closed(&world.run()), [(session, CloseWhy::OtherKey)]);
}

#[test]
fn information_whose_signature_does_not_hold_is_misbehaviour_and_not_kept() {
    let mut world = World::new();
    let (link, session) = asked(&mut world);
    let mut forged = world.relays[0].signed_info(START);
    forged.signature[0] ^= 1;
    let answer = info::answer(1, &forged, &mut world.rng).unwrap();
    world.deliver(link, answer);
    let events = world.run();
    assert_eq!(closed(&events), [(session, CloseWhy::PeerMisbehaved)]);
    assert!(!events.iter().any(|e| matches!(e, RouteEvent::InfoSeen { .. })));
    world.relays[0].listens = true;
    world.opened(world.direct(0));
    assert_eq!(world.relays[0].infos_asked, 1);
}

#[test]
fn keys_that_a_relay_does_not_know_are_fetched_once_more() {
    for hop2 in [false, true] {
        let mut world = World::new();
        let plan = if hop2 { world.hop2(0, 1) } else { world.direct(1) };
        world.opened(plan.clone());
        let mut rng = world.rng.clone();
        world.relays[1].rotate(&mut rng);
        if hop2 {
            world.relays[0].rotate(&mut rng);
        }
        let session = world.opened(plan);
        assert_eq!(world.relays[1].infos_asked, 2);
        assert_eq!(world.router.info(session).unwrap().context(), &world.relays[1].context());
    }
}

#[test]
fn an_entry_that_does_not_know_its_hop_key_is_asked_once_more_even_for_information() {
    let mut world = World::new();
    world.opened(world.hop2(0, 1));
    let mut rng = world.rng.clone();
    world.relays[0].rotate(&mut rng);
    world.opened(world.hop2(0, 2));
    assert_eq!(world.relays[0].infos_asked, 2);
}

#[test]
fn a_second_unknown_epoch_ends_the_session() {
    let mut world = World::new();
    let plan = world.hop2(0, 1);
    world.opened(plan.clone());
    world.relays[1].closes = Some(CloseReason::UnknownEpoch);
    let session = world.open(plan);
    assert_eq!(closed(&world.run()), [(session, CloseWhy::UnknownEpoch)]);
    // The OPEN, both INFOs again.
    assert_eq!(kinds(&world)[3..], [Kind::Open, Kind::Info, Kind::Info]);
}

#[test]
fn the_reasons_of_a_close_are_told() {
    use {CloseReason as Reason, CloseWhy as Why};
    for (reason, direct, hop2, open) in [
        (Reason::Done, Why::LinkLost, Why::LinkLost, Why::LinkLost),
        (Reason::Refused, Why::Refused, Why::EntryRefuses, Why::Refused),
        (Reason::Unreachable, Why::Unreachable, Why::Unreachable, Why::Unreachable),
        (Reason::OtherKey, Why::OtherKey, Why::OtherKey, Why::OtherKey),
        (Reason::Busy, Why::Busy, Why::Busy, Why::Busy),
        (Reason::UnknownEpoch, Why::UnknownEpoch, Why::UnknownEpoch, Why::LinkLost),
    ] {
        for (plan, why) in [(World::new().direct(1), direct), (World::new().hop2(0, 1), hop2)] {
            // To the INFO.
            let mut world = World::new();
            world.relays[1].closes = Some(reason);
            let session = world.open(plan.clone());
            assert_eq!(closed(&world.run()), [(session, why)]);
            // To the OPEN.
            let mut world = World::new();
            world.opened(plan.clone());
            world.relays[1].closes = Some(reason);
            let session = world.open(plan.clone());
            assert_eq!(closed(&world.run()), [(session, why)]);
            // To an open session; nothing is said to a route that was closed.
            let mut world = World::new();
            let session = world.opened(plan.clone());
            let (link, route) = (world.link(), world.sent.last().unwrap().1.route());
            let close = Cell::close(route, reason, &mut world.rng);
            world.deliver(link, close);
            assert_eq!(closed(&world.run()), [(session, open)]);
            assert!(!kinds(&world).contains(&Kind::Close));
            assert!(matches!(
                world.router.command(session, ping(), None, None),
                Err(RouteError::NoSession)
            ));
        }
    }
}

// --- commands and answers ---------------------------------------------------------------------

#[test]
fn commands_queued_before_a_session_is_open_are_sent_in_order() {
    let mut world = World::new();
    let session = world.open(world.direct(0));
    let commands = [world.command(session, get(2)), world.command(session, ping())];
    assert_eq!(world.router.queued(session), 2);
    let events = world.run();
    assert_eq!(world.router.queued(session), 0);
    let answers: Vec<_> = events.iter().filter_map(answer).collect();
    assert_eq!(answers, [(commands[0], 0, false), (commands[0], 1, true), (commands[1], 0, true)]);
}

#[test]
fn at_most_sixteen_answer_cells_are_due() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    world.relays[0].answers = false;
    for command in [get(10), ping(), get(6), ping()] {
        world.command(session, command);
    }
    world.run();
    assert_eq!(world.relays[0].seen.len(), 2, "10 and 1 are due, 6 more would be 17");
    assert_eq!(world.router.queued(session), 2);
    assert_ne!(world.router.poll_timeout(), Some(UnixMillis(0)));
    let link = world.link();
    let empty = world.say(0, reply::Reply::Empty(wire::Empty {}), None);
    world.deliver(link, empty);
    world.run();
    assert_eq!(world.relays[0].seen.len(), 3, "a cell came, so 16 are due with the second Get");
    for _ in 0..9 {
        let empty = world.say(0, reply::Reply::Empty(wire::Empty {}), None);
        world.deliver(link, empty);
    }
    world.run();
    assert_eq!(world.relays[0].seen.len(), 4);
}

#[test]
fn a_command_asks_for_a_timeout_at_once_and_is_sent_by_it() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    world.command(session, ping());
    assert_eq!(world.router.poll_timeout(), Some(UnixMillis(0)));
    world.router.handle_timeout(world.now, &mut world.rng);
    assert_ne!(world.router.poll_timeout(), Some(UnixMillis(0)));
    assert!(matches!(world.router.poll_action(), Some(RouteAction::Transmit { .. })));
}

#[test]
fn commands_that_no_cell_holds_are_not_taken() {
    let mut world = World::new();
    let session = world.open(world.direct(0));
    for max in [0, ANSWERS_DUE_MAX + 1, u32::MAX] {
        let refused = world.router.command(session, get(max), None, None);
        assert_eq!(refused, Err(RouteError::AnswerCells));
    }
    let refused = world.router.command(session, put(&blob(1)), None, None);
    assert!(matches!(refused, Err(RouteError::Payload(_))));
    let refused = world.router.command(session, ping(), Some(blob(1)), None);
    assert!(matches!(refused, Err(RouteError::Payload(_))));
    while world.router.queued(session) < 1_024 {
        world.command(session, ping());
    }
    let refused = world.router.command(session, ping(), None, None);
    assert_eq!(refused, Err(RouteError::QueueFull));
}

#[test]
fn a_key_is_proven_with_the_first_command_that_needs_it_and_once() {
    let mut world = World::new();
    let session = world.opened(world.hop2(0, 1));
    let blob = blob(9);
    let keys = [key(1, Role::Send), key(1, Role::Receive), key(2, Role::Send)];
    for _ in 0..2 {
        for key in &keys {
            let put = put(&blob);
            world.router.command(session, put, Some(blob.clone()), Some(key.clone())).unwrap();
        }
    }
    world.command(session, ping());
    world.run();
    let proven = world.relays[1].seen.iter().map(|(_, command)| command.auth.is_some());
    assert_eq!(proven.collect::<Vec<_>>(), [true, true, true, false, false, false, false]);
    assert_eq!(world.relays[1].proofs, [true; 3]);
    // Another session, other proofs.
    let session = world.opened(world.hop2(0, 1));
    world.router.command(session, ping(), None, Some(keys[0].clone())).unwrap();
    world.run();
    let auths: Vec<_> = world.relays[1].seen.iter().filter_map(|(_, c)| c.auth.as_ref()).collect();
    assert_ne!(auths[0].mac, auths[3].mac);
    assert_eq!(world.relays[1].proofs, [true; 4]);
}

#[test]
fn a_proof_that_was_refused_is_given_again() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    world.relays[0].answers = false;
    let prove = |world: &mut World| {
        world.router.command(session, ping(), None, Some(key(1, Role::Receive))).unwrap();
        world.run();
        world.relays[0].seen.last().unwrap().1.auth.is_some()
    };
    assert!(prove(&mut world));
    assert!(!prove(&mut world));
    let refused = reply::Reply::Refused(wire::Refused { reason: wire::Reason::NotYours.into() });
    for _ in 0..2 {
        let cell = world.say(0, refused, None);
        let link = world.link();
        world.deliver(link, cell);
    }
    assert!(prove(&mut world));
    assert!(!prove(&mut world));
}

#[test]
fn pushes_come_between_answers_and_are_none() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    world.command(session, watch());
    world.run();
    world.relays[0].answers = false;
    let gets = world.command(session, get(2));
    world.run();
    let link = world.link();
    let push = |position| reply::Reply::Push(wire::Delivery { position });
    let delivery = reply::Reply::Delivery(wire::Delivery { position: 3 });
    for (reply, body) in [
        (push(4), Some(blob(4))),
        (delivery, Some(blob(3))),
        (push(5), Some(blob(5))),
        (reply::Reply::Empty(wire::Empty {}), None),
    ] {
        let cell = world.say(0, reply, body.as_ref());
        world.deliver(link, cell);
    }
    let events = world.run();
    let [
        RouteEvent::Push { position: 4, blob: first, .. },
        RouteEvent::Answer { command: a, index: 0, last: false, blob: Some(read), .. },
        RouteEvent::Push { position: 5, .. },
        RouteEvent::Answer { command: b, index: 1, last: true, blob: None, .. },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((*a, *b), (gets, gets));
    assert_eq!((first, read), (&blob(4), &blob(3)));
}

// --- misbehaviour -----------------------------------------------------------------------------

#[test]
fn an_answer_that_nobody_asked_for_ends_the_session_and_no_other() {
    let done = reply::Reply::Done(wire::Done {});
    let delivery = reply::Reply::Delivery(wire::Delivery { position: 1 });
    let push = reply::Reply::Push(wire::Delivery { position: 1 });
    let opened = reply::Reply::Opened(wire::Opened {});
    for (command, reply, has_blob) in [
        (None, done, false),
        (None, push, true),
        (Some(ping()), push, true),
        (Some(ping()), delivery, true),
        (Some(ping()), opened, false),
        (Some(get(1)), done, false),
        (Some(watch()), done, false),
    ] {
        let mut world = World::new();
        let other = world.opened(world.hop2(0, 1));
        let session = world.opened(world.hop2(0, 1));
        world.relays[1].answers = false;
        if let Some(command) = command {
            world.command(session, command);
        }
        world.run();
        let cell = world.say(1, reply, has_blob.then(|| blob(1)).as_ref());
        let (link, route) = (world.link(), cell.route());
        world.deliver(link, cell);
        assert_eq!(closed(&world.run()), [(session, CloseWhy::PeerMisbehaved)]);
        assert_eq!(world.relays[1].closes_seen, [route], "the relay is told that the route ended");
        world.command(other, ping());
        world.run();
        assert_eq!(world.router.queued(other), 0);
    }
}

#[test]
fn a_replayed_a_garbled_and_a_random_cell_end_the_session() {
    for case in 0..3 {
        let mut world = World::new();
        let session = world.opened(world.direct(0));
        world.relays[0].answers = false;
        world.command(session, get(2));
        world.run();
        let link = world.link();
        let answer = world.say(0, reply::Reply::Empty(wire::Empty {}), None);
        let bad = match case {
            0 => {
                world.deliver(link, answer.clone());
                answer
            }
            1 => flipped(&answer, CELL_LEN - 1),
            _ => Cell::new(Kind::Data, answer.route(), &mut world.rng),
        };
        world.deliver(link, bad);
        assert_eq!(closed(&world.run()), [(session, CloseWhy::PeerMisbehaved)]);
    }
}

#[test]
fn a_first_answer_by_another_relay_does_not_open_a_session() {
    for byte in [381, 1_501, 1_517, CELL_LEN - 1] {
        let mut world = World::new();
        world.connects = false;
        let session = world.open(world.direct(0));
        world.run();
        let link = world.link();
        world.router.handle_connected(world.now, &mut world.rng, link);
        let info = transmitted(&mut world).unwrap();
        for cell in world.carry(link, info) {
            world.deliver(link, cell);
        }
        let open = transmitted(&mut world).unwrap();
        let answer = world.carry(link, open).pop().unwrap();
        world.deliver(link, flipped(&answer, byte));
        let events = world.run();
        assert_eq!(closed(&events), [(session, CloseWhy::PeerMisbehaved)]);
        assert_eq!(count_opened(&events), 0);
        assert_eq!(world.relays[0].closes_seen, [2]);
    }
}

#[test]
fn a_first_hop_that_breaks_the_rules_of_a_link_loses_it() {
    for case in 0..3 {
        let mut world = World::new();
        let sessions = [world.opened(world.direct(0)), world.opened(world.hop2(0, 1))];
        let link = world.link();
        let cell = match case {
            0 => Cell::new(Kind::Data, 99, &mut world.rng),
            1 => Cell::new(Kind::Info, 0, &mut world.rng),
            _ => Cell::new(Kind::Open, 2, &mut world.rng),
        };
        world.deliver(link, cell);
        let lost = sessions.map(|session| (session, CloseWhy::PeerMisbehaved));
        assert_eq!(closed(&world.run()), lost);
        assert!(world.disconnected.contains(&link));
    }
}

#[test]
fn cover_and_what_comes_late_are_dropped() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    world.command(session, ping());
    world.run();
    let link = world.link();
    world.relays[0].answers = false;
    let late = world.say(0, reply::Reply::Done(wire::Done {}), None);
    world.router.close(world.now, &mut world.rng, session);
    assert!(world.run().is_empty(), "who closes knows it");
    assert_eq!(world.relays[0].closes_seen, [2]);
    let info = info::answer(1, &world.relays[0].signed_info(START), &mut world.rng).unwrap();
    let cells = [
        late.clone(),
        info,
        Cell::close(2, CloseReason::Busy, &mut world.rng),
        Cell::new(Kind::Pad, 1_234, &mut world.rng),
    ];
    for cell in cells {
        world.deliver(link, cell);
    }
    assert!(world.run().is_empty());
    assert!(world.disconnected.is_empty());
    world.opened(world.direct(0));
    assert_eq!(world.links.len(), 1);
}

#[test]
fn information_on_a_session_s_route_is_misbehaviour() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    let info = info::answer(2, &world.relays[0].signed_info(START), &mut world.rng).unwrap();
    let link = world.link();
    world.deliver(link, info);
    assert_eq!(closed(&world.run()), [(session, CloseWhy::PeerMisbehaved)]);
}

// --- links and time ---------------------------------------------------------------------------

#[test]
fn a_link_that_fails_or_is_lost_ends_all_its_sessions() {
    use {CloseWhy as Why, LinkFailure as Failure};
    for (failure, before, after) in [
        (Failure::Unreachable, Why::Unreachable, Why::LinkLost),
        (Failure::OtherKey, Why::OtherKey, Why::OtherKey),
        (Failure::Closed, Why::Unreachable, Why::LinkLost),
    ] {
        let mut world = World::new();
        world.connects = false;
        let sessions = [world.open(world.direct(0)), world.open(world.hop2(0, 1))];
        world.run();
        let link = world.link();
        world.router.handle_disconnected(world.now, link, failure);
        assert_eq!(closed(&world.run()), sessions.map(|session| (session, before)));
        // The next one dials again, under another name.
        world.connects = true;
        let session = world.opened(world.direct(0));
        assert_eq!(world.links.len(), 2);
        let link = *world.links.keys().next_back().unwrap();
        world.router.handle_disconnected(world.now, link, failure);
        assert_eq!(closed(&world.run()), [(session, after)]);
    }
}

#[test]
fn nothing_is_transmitted_on_a_link_that_was_lost() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    world.command(session, ping());
    world.router.flush(world.now, &mut world.rng);
    let link = world.link();
    world.router.handle_disconnected(world.now, link, LinkFailure::Closed);
    assert!(world.router.poll_action().is_none());
    let cell = Cell::new(Kind::Data, 2, &mut world.rng);
    world.deliver(link, cell);
    world.router.handle_connected(world.now, &mut world.rng, link);
    assert!(world.router.poll_action().is_none());
}

#[test]
fn what_is_not_answered_in_fifteen_seconds_is_unreachable() {
    // A carrier that never reports, an INFO, and an OPEN.
    for case in 0..3 {
        let mut world = World::new();
        if case == 2 {
            world.opened(world.hop2(0, 1));
        }
        world.connects = case > 0;
        world.relays[1].listens = false;
        let session = world.open(world.hop2(0, 1));
        world.run();
        assert_eq!(closed(&world.pass(14_999)), []);
        assert_eq!(world.router.poll_timeout(), Some(UnixMillis(START.0 + 15_000)));
        assert_eq!(closed(&world.pass(1)), [(session, CloseWhy::Unreachable)]);
        assert_eq!(world.disconnected.len(), usize::from(case == 0));
        assert_eq!(world.relays[1].closes_seen.len(), usize::from(case == 2));
    }
}

#[test]
fn an_open_session_that_answers_nothing_for_five_minutes_is_unreachable() {
    let mut world = World::new();
    let session = world.opened(world.hop2(0, 1));
    assert!(world.pass(10 * MINUTE_MS).is_empty(), "nothing is due");
    world.relays[1].answers = false;
    world.command(session, get(2));
    world.run();
    assert!(world.pass(5 * MINUTE_MS - 1).is_empty());
    let empty = world.say(1, reply::Reply::Empty(wire::Empty {}), None);
    let link = world.link();
    world.deliver(link, empty);
    world.run();
    assert!(world.pass(5 * MINUTE_MS - 1).is_empty(), "each cell of an answer counts");
    assert_eq!(closed(&world.pass(1)), [(session, CloseWhy::Unreachable)]);
    assert_eq!(world.relays[1].closes_seen.len(), 1);
}

#[test]
fn a_clock_that_is_set_back_makes_no_wait_longer() {
    let mut world = World::new();
    world.relays[0].listens = false;
    let session = world.open(world.direct(0));
    world.run();
    world.now.0 -= HOUR_MS;
    assert_eq!(closed(&world.pass(1)), [(session, CloseWhy::Unreachable)]);
}

#[test]
fn a_link_without_sessions_is_kept_for_half_a_minute() {
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    world.pass(10 * MINUTE_MS);
    assert!(world.disconnected.is_empty());
    world.router.close(world.now, &mut world.rng, session);
    world.run();
    world.pass(29_999);
    assert!(world.disconnected.is_empty());
    let session = world.opened(world.direct(0));
    world.router.close(world.now, &mut world.rng, session);
    world.pass(29_999);
    assert!(world.disconnected.is_empty());
    world.pass(1);
    assert_eq!(world.disconnected.len(), 1);
    assert_eq!(world.router.poll_timeout(), None);
}

#[test]
fn a_session_asks_once_to_be_replaced_after_thirty_to_sixty_minutes() {
    let mut ages = Vec::new();
    let mut world = World::new();
    for _ in 0..8 {
        let session = world.opened(world.direct(0));
        let opened_at = world.now;
        let due = world.router.poll_timeout().unwrap();
        assert!(world.pass(due.0 - opened_at.0 - 1).is_empty());
        let events = world.pass(1);
        assert!(matches!(&events[..], [RouteEvent::RollOver { session: old }] if *old == session));
        ages.push(due.0 - opened_at.0);
        assert!(world.pass(MINUTE_MS).is_empty(), "it says so once");
        world.command(session, ping());
        assert_eq!(outcome(&world.run()), [(0, true)], "it works until it is closed");
        // Make before break.
        let next = world.opened(world.direct(0));
        world.router.close(world.now, &mut world.rng, session);
        world.router.close(world.now, &mut world.rng, next);
        world.run();
    }
    assert!(ages.iter().all(|age| (30 * MINUTE_MS..=60 * MINUTE_MS).contains(age)));
    ages.sort_unstable();
    ages.dedup();
    assert_eq!(ages.len(), 8, "each is drawn");
}

/// Half a minute; without `HEARKEN_LONG` it goes only as far as to show that a young session says nothing.
#[test]
fn a_session_asks_to_be_replaced_before_its_cells_are_used_up_and_ends_with_the_last() {
    let long = std::env::var_os("HEARKEN_LONG").is_some();
    let cells_max = if long { 1 << 20 } else { 1 << 10 };
    let mut world = World::new();
    let session = world.opened(world.direct(0));
    let (mut asked_at, mut ended) = (None, None);
    for cell in 0_u64..cells_max + 8 {
        if world.router.command(session, ping(), None, None).is_err() {
            break;
        }
        world.sent.clear();
        world.relays[0].seen.clear();
        for event in world.run() {
            match event {
                RouteEvent::RollOver { .. } => assert_eq!(asked_at.replace(cell), None),
                RouteEvent::Closed { why, .. } => ended = Some((cell, why)),
                _ => {}
            }
        }
    }
    if long {
        let (cell, why) = ended.unwrap();
        assert_eq!(why, CloseWhy::RollOver);
        assert!(cells_max - cell < 64 && asked_at.unwrap() < cells_max / 8 * 7);
    } else {
        assert_eq!((asked_at, ended), (None, None));
    }
}

#[test]
fn dropped_links_end_everything() {
    let mut world = World::new();
    let mut sessions = vec![world.opened(world.direct(0)), world.opened(world.hop2(1, 0))];
    world.connects = false;
    sessions.push(world.open(world.direct(2)));
    world.run();
    world.router.drop_links();
    let lost: Vec<_> = sessions.iter().map(|s| (*s, CloseWhy::LinkLost)).collect();
    assert_eq!(closed(&world.run()), lost);
    assert_eq!(world.disconnected.len(), 3);
    assert_eq!(world.router.poll_timeout(), None);
    world.connects = true;
    world.opened(world.direct(0));
}

// --- helpers ----------------------------------------------------------------------------------

fn kinds(world: &World) -> Vec<Kind> {
    world.sent.iter().map(|(_, cell)| cell.kind()).collect()
}

fn closed(events: &[RouteEvent]) -> Vec<(SessionId, CloseWhy)> {
    let closed = |event: &RouteEvent| match event {
        RouteEvent::Closed { session, why } => Some((*session, *why)),
        _ => None,
    };
    events.iter().filter_map(closed).collect()
}

fn answer(event: &RouteEvent) -> Option<(super::CommandId, u32, bool)> {
    match event {
        RouteEvent::Answer { command, index, last, .. } => Some((*command, *index, *last)),
        _ => None,
    }
}

fn outcome(events: &[RouteEvent]) -> Vec<(u32, bool)> {
    events.iter().filter_map(answer).map(|(_, index, last)| (index, last)).collect()
}

fn count_opened(events: &[RouteEvent]) -> usize {
    events.iter().filter(|event| matches!(event, RouteEvent::Opened { .. })).count()
}

fn flipped(cell: &Cell, byte: usize) -> Cell {
    let mut bytes = *cell.as_bytes();
    bytes[byte] ^= 1;
    Cell::parse(&bytes).unwrap()
}

/// The next cell that the router sends.
fn transmitted(world: &mut World) -> Option<Cell> {
    std::iter::from_fn(|| world.router.poll_action()).find_map(|action| match action {
        RouteAction::Transmit { cell, .. } => Some(cell),
        _ => None,
    })
}

/// A direct session to the first relay that has asked for information and was not answered.
fn asked(world: &mut World) -> (super::LinkId, SessionId) {
    world.relays[0].listens = false;
    let session = world.open(world.direct(0));
    world.run();
    (world.link(), session)
}
