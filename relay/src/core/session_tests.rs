//! Sessions at the last relay: opens, proofs, order, bounds in time and number.

use hearken_proto::cell::{Cell, CloseReason, Kind};
use hearken_proto::ids::RecvId;
use hearken_proto::limits::{
    ANSWERS_DUE_MAX, LINK_INBOX_MAX, LINK_STALLED_SECONDS_MAX, UNPROVEN_PER_LINK_MAX,
    UNPROVEN_SECONDS_MAX,
};
use hearken_proto::time::{DAY_MS, UnixHour};
use hearken_proto::wire::command::Command as Ask;
use hearken_proto::wire::reply::Reply as Say;
use hearken_proto::wire::{self, Reason, Role};

use super::action::Ticket;
use super::bounds::{READER_SECONDS_MAX, READERS_PER_LINK_MAX};
use super::clock::Clock;
use super::command::{Read, SessionNumber};
use super::last_hop::nobodys;
use super::reply::Reply;
use super::session::{Effect, Session};
use super::testing::{Net, assert_done, assert_refused, get, ping, put, watch};
use super::testing_books::assert_balanced;
use crate::simulation::Event;

fn object_get() -> Ask {
    Ask::ObjectGet(wire::ObjectGet { object_id: vec![1; 32], first: 0, max: 1 })
}

#[test]
fn a_replayed_open_gives_other_keys_and_repeats_no_command() {
    let mut net = Net::one();
    let link = net.link(0);
    let (pending, open) = net.open_cell(0, 1);
    net.post(0, link, open.clone());
    net.settle();
    let first = net.arrived(0, link).unwrap();
    let (mut seal, _) = pending.accept(first.clone()).unwrap();
    let command = wire::Command { auth: None, command: Some(ping()) };
    let payload = hearken_proto::payload::Payload::of_command(&command, None).unwrap();
    let data = seal.seal(1, payload, &mut net.rng).unwrap();
    net.post(0, link, data.clone());
    net.settle();
    assert_eq!(net.arrived(0, link).unwrap().kind(), Kind::Data);
    // On another link, as whoever recorded it would.
    let thief = net.link(0);
    net.post(0, thief, open);
    net.settle();
    let again = net.arrived(0, thief).unwrap();
    assert_ne!(again.as_bytes()[..], first.as_bytes()[..]);
    net.post(0, thief, data);
    net.settle();
    assert_eq!(net.closes(0, thief, 1), Some(CloseReason::Refused));
    assert_eq!(net.relays[0].totals().commands_refused, 0);
}

#[test]
fn a_replayed_reordered_or_mutated_cell_closes_its_session() {
    for which in 0..3 {
        let mut net = Net::one();
        let link = net.link(0);
        let mut client = net.open(0, link);
        let command = wire::Command { auth: None, command: Some(ping()) };
        let first = client.seal_command(&command, None, &mut net.rng);
        let second = client.seal_command(&command, None, &mut net.rng);
        let mut mutated = Box::new(*first.as_bytes());
        mutated[3_000] ^= 1;
        let cells = match which {
            0 => vec![first.clone(), first],
            1 => vec![second],
            _ => vec![Cell::from_array(mutated).unwrap()],
        };
        for cell in cells {
            net.post(0, link, cell);
        }
        net.settle();
        assert_eq!(net.close_of(&client), Some(CloseReason::Refused), "{which}");
        assert_eq!(net.relays[0].totals().sessions, 0);
        assert!(net.closed.is_empty(), "the link carries other sessions");
    }
}

#[test]
fn an_open_that_cannot_be_opened_is_answered_by_unknown_epoch() {
    let mut net = Net::new(vec![super::testing::config(), super::testing::config()]);
    let link = net.link(0);
    let (_, mut wrong_hint) = net.open_cell(0, 1);
    wrong_hint.set_epoch_hint(wrong_hint.epoch_hint().wrapping_add(1));
    let (_, open) = net.open_cell(0, 2);
    let mut mutated = Box::new(*open.as_bytes());
    mutated[400] ^= 1;
    let (_, mut other_relay) = net.open_cell(1, 3);
    let hint = open.epoch_hint();
    other_relay.set_epoch_hint(hint);
    for cell in [wrong_hint, Cell::from_array(mutated).unwrap(), other_relay] {
        let route = cell.route();
        net.post(0, link, cell);
        net.settle();
        assert_eq!(net.closes(0, link, route), Some(CloseReason::UnknownEpoch), "{route}");
    }
    assert_eq!(net.relays[0].totals().opens_refused, 3);
}

#[test]
fn a_route_id_used_twice_or_never_opened_closes_the_link() {
    for (ids, closes) in [(vec![5, 6], false), (vec![5, 5], true), (vec![5, 4], true)] {
        let mut net = Net::one();
        let link = net.link(0);
        for id in &ids {
            let (_, cell) = net.open_cell(0, *id);
            net.post(0, link, cell);
        }
        net.settle();
        assert_eq!(net.closed.contains(&(0, link)), closes, "{ids:?}");
    }
    for (kind, route, closes) in
        [(Kind::Data, 1, true), (Kind::Close, 1, true), (Kind::Pad, 7, false)]
    {
        let mut net = Net::one();
        let link = net.link(0);
        let cell = Cell::new(kind, route, &mut net.rng);
        net.post(0, link, cell);
        net.settle();
        assert_eq!(net.closed.contains(&(0, link)), closes, "{kind:?}");
    }
}

#[test]
fn data_on_a_route_that_was_closed_goes_nowhere() {
    let mut net = Net::one();
    let link = net.link(0);
    let client = net.open(0, link);
    let close = Cell::close(client.route, CloseReason::Done, &mut net.rng);
    let data = Cell::new(Kind::Data, client.route, &mut net.rng);
    net.post(0, link, close);
    net.post(0, link, data);
    net.settle();
    assert!(net.closed.is_empty());
    assert_eq!(net.arrived_len(0, link), 0);
    assert_eq!(net.relays[0].totals().sessions, 0);
}

#[test]
fn more_than_sixteen_answer_cells_due_close_the_session() {
    for (asks, closes) in [(vec![get(0, 16)], false), (vec![get(0, 16), ping()], true)] {
        let mut net = Net::one();
        let mut mailbox = net.mailbox(0);
        net.relays[0].hold_store(true);
        for ask in asks {
            net.send(&mut mailbox.reader, None, ask, None);
        }
        net.settle();
        assert_eq!(net.close_of(&mailbox.reader).is_some(), closes);
    }
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    for _ in 0..ANSWERS_DUE_MAX {
        net.send(&mut mailbox.reader, None, ping(), None);
    }
    // Answered, but nobody took the answers: still due.
    let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
    net.send(&mut mailbox.reader, None, ping(), None);
    net.settle();
    assert_eq!(net.close_of(&mailbox.reader), Some(CloseReason::Refused));
}

#[test]
fn a_second_mailbox_in_one_session_is_refused_and_ends_it() {
    let mut net = Net::one();
    let (first, second) = (net.mailbox(0), net.mailbox(0));
    for (role, key) in [
        (Role::Receive, &second.receive),
        (Role::Send, &first.send),
        (Role::Claim, &first.claim),
        (Role::Write, &first.send),
    ] {
        let link = net.link(0);
        let mut client = net.open(0, link);
        net.ask(&mut client, Some((Role::Receive, &first.receive)), get(0, 1));
        let blob = net.blob();
        let (ask, blob) = match role {
            Role::Send => (put(&blob), Some(&blob)),
            Role::Claim => (Ask::Claim(wire::Claim { sender_public_key: vec![1; 32] }), None),
            Role::Write => (Ask::Delete(wire::Delete { role: Role::Write.into() }), None),
            _ => (get(0, 1), None),
        };
        net.send(&mut client, Some((role, key)), ask, blob);
        net.settle();
        assert_refused(&net.reply(&mut client).0, Reason::Malformed);
        assert_eq!(net.close_of(&client), Some(CloseReason::Refused), "{role:?}");
    }
}

#[test]
fn who_claims_for_a_sender_may_put_as_that_sender_only() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let blob = net.blob();
    assert_done(&net.put(&mut mailbox, &blob));
    let (other, blob) = (net.mailbox(0), net.blob());
    let link = net.link(0);
    let mut client = net.open(0, link);
    let ask = Ask::Claim(wire::Claim { sender_public_key: mailbox.send.public_key().to_vec() });
    assert_done(&net.ask(&mut client, Some((Role::Claim, &mailbox.claim)), ask));
    net.send(&mut client, Some((Role::Send, &other.send)), put(&blob), Some(&blob));
    net.settle();
    assert_refused(&net.reply(&mut client).0, Reason::Malformed);
    assert_eq!(net.close_of(&client), Some(CloseReason::Refused));
}

#[test]
fn a_session_that_proves_nothing_ends_after_ten_seconds_and_a_proven_one_does_not() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    let link = net.link(0);
    let mut idle = net.open(0, link);
    let mut pinging = net.open(0, link);
    let mut reading = net.open(0, link);
    net.pass(UNPROVEN_SECONDS_MAX - 1);
    for client in [&mut idle, &mut pinging, &mut reading] {
        assert_eq!(net.close_of(client), None);
    }
    assert_done(&net.ask(&mut pinging, None, ping()));
    assert_refused(&net.ask(&mut reading, None, object_get()), Reason::NotYours);
    net.pass(1);
    assert_eq!(net.close_of(&idle), Some(CloseReason::Refused));
    assert_eq!(net.close_of(&pinging), Some(CloseReason::Refused));
    assert_eq!(net.close_of(&reading), None, "a reader has ten seconds from its last request");
    net.pass(8);
    assert_refused(&net.ask(&mut reading, None, object_get()), Reason::NotYours);
    net.pass(9);
    assert_eq!(net.close_of(&reading), None);
    net.pass(1);
    assert_eq!(net.close_of(&reading), Some(CloseReason::Done));
    net.pass(60 * 60);
    assert_eq!(net.close_of(&mailbox.reader), None);
    net.pass(15 * 60);
    assert!(net.close_of(&mailbox.reader).is_some(), "sessions roll over within the hour");
}

#[test]
fn unproven_sessions_are_bounded_and_the_oldest_goes_first() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    let link = net.link(0);
    let (_, open) = net.open_cell(0, 1);
    let flood = UNPROVEN_PER_LINK_MAX as u64 + 3;
    for route in 1..=flood {
        let mut cell = open.clone();
        cell.set_route(route);
        net.post(0, link, cell);
        if route % LINK_INBOX_MAX as u64 == 0 {
            net.settle();
        }
    }
    net.settle();
    let closes = (1..=flood).filter(|route| net.closes(0, link, *route).is_some());
    assert_eq!(closes.collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(net.relays[0].totals().sessions, UNPROVEN_PER_LINK_MAX as u64 + 2);
    assert_eq!(net.close_of(&mailbox.reader), None);
}

#[test]
fn a_link_that_takes_nothing_is_closed() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    net.send(&mut mailbox.reader, None, ping(), None);
    let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
    net.now.0 += LINK_STALLED_SECONDS_MAX * 1_000 - 1;
    net.relays[0].timeout(net.now, &mut net.rng);
    let events = net.relays[0].run_stalled(net.now, &mut net.rng);
    assert!(events.is_empty(), "{events:?}");
    net.now.0 += 1;
    net.relays[0].timeout(net.now, &mut net.rng);
    for event in net.relays[0].run_stalled(net.now, &mut net.rng) {
        net.deliver(0, event);
    }
    assert_eq!(net.closed, [(0, mailbox.reader.link)]);
}

#[test]
fn a_link_that_takes_some_stays_open() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    for _ in 0..3 {
        net.send(&mut mailbox.reader, None, ping(), None);
    }
    let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
    for _ in 0..2 {
        net.now.0 += (LINK_STALLED_SECONDS_MAX - 1) * 1_000;
        net.relays[0].timeout(net.now, &mut net.rng);
        let cell = net.relays[0].transmit(net.now, &mut net.rng, mailbox.reader.link);
        assert!(cell.is_some());
    }
    net.settle();
    assert!(net.closed.is_empty());
}

#[test]
fn watchers_and_readers_of_a_slow_link_fill_no_more_than_its_outbox() {
    let mut net = Net::one();
    let link = net.link(0);
    let mut mailboxes: Vec<_> = (0..40).map(|_| net.mailbox(0)).collect();
    for mailbox in &mut mailboxes {
        for _ in 0..16 {
            let blob = net.blob();
            assert_done(&net.put(mailbox, &blob));
        }
        mailbox.reader = net.open(0, link);
    }
    let mut waiting = 0;
    for get_too in [false, true] {
        for mailbox in &mut mailboxes {
            let (ask, key) = if get_too {
                (get(0, 15), None)
            } else {
                (watch(0), Some((Role::Receive, &mailbox.receive)))
            };
            net.send(&mut mailbox.reader, key, ask, None);
        }
        let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
        // What the link could take without the store being asked again.
        net.relays[0].hold_store(true);
        let cells = std::iter::from_fn(|| net.relays[0].transmit(net.now, &mut net.rng, link));
        waiting = cells.count();
        assert!(waiting >= super::bounds::LINK_OUTBOX_MAX / 2, "{waiting}");
        assert!(waiting <= super::bounds::LINK_OUTBOX_MAX + 16, "{waiting}");
        net.relays[0].hold_store(false);
        if !get_too {
            net.settle();
            waiting += net.arrived_len(0, link);
            assert_eq!(waiting, 40 * 17, "all come in the end");
        }
    }
    let more = net.arrived_len(0, link);
    net.settle();
    assert_eq!(waiting + net.arrived_len(0, link) - more, 40 * 15);
}

#[test]
fn a_full_inbox_closes_the_link() {
    let mut net = Net::one();
    let link = net.link(0);
    for route in 0..=LINK_INBOX_MAX as u64 {
        let cell = Cell::new(Kind::Pad, route, &mut net.rng);
        net.post(0, link, cell);
    }
    net.settle();
    assert_eq!(net.closed, [(0, link)]);
    assert_eq!(net.relays[0].totals().links_refused, 1);
}

#[test]
fn what_is_no_command_of_this_version_is_unsupported() {
    let mut net = Net::one();
    let link = net.link(0);
    let mut client = net.open(0, link);
    let cell = client.seal_command(&wire::Command::default(), None, &mut net.rng);
    net.post(0, link, cell);
    net.settle();
    assert_refused(&net.reply(&mut client).0, Reason::Unsupported);
    assert!(matches!(net.ask(&mut client, None, ping()), Say::Done(_)));
}

#[test]
fn a_proof_may_be_shown_again_in_its_session() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    for _ in 0..2 {
        let key = Some((Role::Receive, &mailbox.receive));
        assert!(matches!(net.ask(&mut mailbox.reader, key, get(0, 1)), Say::Empty(_)));
    }
    // A wrong one beside it takes nothing back, and without it gives nothing.
    let link = net.link(0);
    let stranger = net.open(0, link);
    for (mut client, is_proven) in [(mailbox.reader, true), (stranger, false)] {
        let mut auth = client.auth(Role::Receive, &mailbox.receive);
        auth.mac[0] ^= 1;
        let command = wire::Command { auth: Some(auth), command: Some(get(0, 1)) };
        let cell = client.seal_command(&command, None, &mut net.rng);
        net.post(0, client.link, cell);
        net.settle();
        let reply = net.reply(&mut client).0;
        assert_eq!(matches!(reply, Say::Empty(_)), is_proven, "{reply:?}");
    }
}

#[test]
fn what_is_not_proven_is_looked_up_as_an_id_that_nobody_has_a_key_to() {
    let (id, other) = ([0x0f; 32], [1; 32]);
    assert_eq!(nobodys(id), [0xf0; 32]);
    assert_ne!(nobodys(id), nobodys(other));
}

#[test]
fn sessions_that_only_read_objects_are_bounded_by_link_and_live_ten_seconds_from_their_last_read() {
    let mut net = Net::one();
    let link = net.link(0);
    let mut readers: Vec<_> = (0..READERS_PER_LINK_MAX)
        .map(|_| {
            let mut client = net.open(0, link);
            assert_refused(&net.ask(&mut client, None, object_get()), Reason::NotYours);
            client
        })
        .collect();
    let mut one_more = net.open(0, link);
    net.send(&mut one_more, None, object_get(), None);
    net.settle();
    assert_eq!(net.close_of(&one_more), Some(CloseReason::Busy));
    // Who reads already may read on.
    net.pass(READER_SECONDS_MAX - 1);
    assert_refused(&net.ask(&mut readers[0], None, object_get()), Reason::NotYours);
    net.pass(READER_SECONDS_MAX - 1);
    assert!(readers[1..].iter().all(|reader| net.close_of(reader) == Some(CloseReason::Done)));
    assert_eq!(net.close_of(&readers[0]), None);
    net.pass(1);
    assert_eq!(net.close_of(&readers[0]), Some(CloseReason::Done));
}

#[test]
fn a_session_that_proved_a_key_keeps_its_time_though_it_reads_an_object() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    assert_refused(&net.ask(&mut mailbox.reader, None, object_get()), Reason::NotYours);
    net.pass(READER_SECONDS_MAX + 1);
    assert_done(&net.ask(&mut mailbox.reader, None, ping()));
}

#[test]
fn the_sessions_of_keys_that_are_destroyed_are_closed() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    // Set back so far that the keys are of a future that will not come.
    net.now.0 -= 10 * DAY_MS;
    net.pass(0);
    assert_eq!(net.close_of(&mailbox.reader), Some(CloseReason::UnknownEpoch));
    let mut other = net.mailbox(0);
    net.pass(60);
    assert_done(&net.ask(&mut other.reader, None, ping()));
}

#[test]
fn who_puts_as_a_sender_may_claim_for_that_sender_only() {
    for own in [true, false] {
        let mut net = Net::one();
        let mailbox = net.mailbox(0);
        let (link, blob) = (net.link(0), net.blob());
        let mut client = net.open(0, link);
        net.send(&mut client, Some((Role::Send, &mailbox.send)), put(&blob), Some(&blob));
        net.settle();
        assert_done(&net.reply(&mut client).0);
        let sender = if own { mailbox.send.public_key() } else { net.key().public_key() };
        let ask = Ask::Claim(wire::Claim { sender_public_key: sender.to_vec() });
        let reply = net.ask(&mut client, Some((Role::Claim, &mailbox.claim)), ask);
        if own {
            assert_done(&reply);
        } else {
            assert_refused(&reply, Reason::Malformed);
            assert_eq!(net.close_of(&client), Some(CloseReason::Refused));
        }
    }
}

#[test]
fn a_session_claims_for_one_sender() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    let link = net.link(0);
    let mut client = net.open(0, link);
    let claim = |key: [u8; 32]| Ask::Claim(wire::Claim { sender_public_key: key.to_vec() });
    for _ in 0..2 {
        let ask = claim(mailbox.send.public_key());
        assert_done(&net.ask(&mut client, Some((Role::Claim, &mailbox.claim)), ask));
    }
    let ask = claim(net.key().public_key());
    assert_refused(&net.ask(&mut client, None, ask), Reason::Malformed);
    assert_eq!(net.close_of(&client), Some(CloseReason::Refused));
}

/// A session on its own, without a relay that it belongs to.
fn session(net: &mut Net) -> Session {
    let link = net.link(0);
    let client = net.open(0, link);
    let epoch = client.info.context().key_epoch;
    let start = Clock::new(net.now).at(net.now);
    Session::new(SessionNumber(1), client.seal, epoch, start, start)
}

#[test]
fn a_session_may_be_blocked_while_a_put_is_under_way_or_has_to_come_again() {
    let mut net = Net::one();
    let mut session = session(&mut net);
    let put_id = net.blob().put_id();
    assert!(!session.may_be_blocked());
    session.put(put_id);
    assert!(session.may_be_blocked());
    session.put_done(put_id, true);
    assert!(!session.may_be_blocked());
    session.put(put_id);
    session.put_done(put_id, false);
    assert!(session.may_be_blocked());
    session.put(put_id);
    session.put_done(put_id, true);
    assert!(!session.may_be_blocked());
}

#[test]
fn a_read_waits_for_every_write_before_it_and_for_none_behind_it() {
    let mut net = Net::one();
    let mut session = session(&mut net);
    let read = || Read::Get {
        mailbox: RecvId::from_bytes([1; 32]),
        after: 0,
        max: 1,
        hour: UnixHour(0),
        proven: true,
    };
    session.ask(1, Effect::None, Ticket(1), true);
    session.ask(1, Effect::None, Ticket(2), true);
    assert!(session.must_hold());
    session.hold(1, Effect::None, read());
    session.ask(1, Effect::None, Ticket(3), true);
    assert!(session.release(Ticket(4)).is_none());
    session.resolve(Ticket(1), vec![Reply::done()]);
    assert!(session.release(Ticket(4)).is_none(), "the second write is not answered");
    session.resolve(Ticket(2), vec![Reply::done()]);
    assert!(session.release(Ticket(4)).is_some());
    assert!(session.release(Ticket(5)).is_none(), "it is asked once");
}

#[test]
fn cells_of_proven_sessions_go_before_opens_and_those_of_others_behind_them() {
    for is_proven in [true, false] {
        let mut net = Net::one();
        let mailbox = net.mailbox(0);
        let mut client = if is_proven {
            mailbox.reader
        } else {
            let link = net.link(0);
            net.open(0, link)
        };
        for _ in 0..2 {
            let route = net.new_route(0, client.link);
            let (_, open) = net.open_cell(0, route);
            net.post(0, client.link, open);
        }
        net.send(&mut client, None, ping(), None);
        let before = net.relays[0].totals().sessions_opened;
        net.relays[0].advance(net.now, &mut net.rng);
        assert_eq!(net.relays[0].totals().sessions_opened == before, is_proven);
        net.settle();
    }
}

#[test]
fn no_cell_of_a_session_overtakes_an_earlier_one_of_it() {
    let mut net = Net::one();
    let mailbox = net.mailbox(0);
    let link = net.link(0);
    let mut client = net.open(0, link);
    net.send(&mut client, Some((Role::Receive, &mailbox.receive)), get(0, 1), None);
    net.send(&mut client, None, ping(), None);
    // Proven by the first, the session has its second still among what is not.
    net.relays[0].advance(net.now, &mut net.rng);
    net.send(&mut client, None, ping(), None);
    net.settle();
    let replies = net.replies(&mut client);
    assert!(matches!(replies[..], [Say::Empty(_), Say::Done(_), Say::Done(_)]), "{replies:?}");
    // And then it goes before OPENs again.
    let route = net.new_route(0, link);
    let (_, open) = net.open_cell(0, route);
    net.post(0, link, open);
    net.send(&mut client, None, ping(), None);
    let before = net.relays[0].totals().sessions_opened;
    net.relays[0].advance(net.now, &mut net.rng);
    assert_eq!(net.relays[0].totals().sessions_opened, before);
    net.settle();
}

#[test]
fn a_session_with_several_answers_to_send_stands_in_its_links_line_once() {
    let mut net = Net::one();
    let mut mailbox = net.mailbox(0);
    let reply = net.ask(&mut mailbox.reader, None, watch(0));
    assert!(matches!(reply, Say::Watching(_)), "{reply:?}");
    for ask in [ping(), ping(), get(0, 2), get(0, 2)] {
        net.send(&mut mailbox.reader, None, ask, None);
        let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
        assert_balanced(net.relays[0].core());
    }
    for _ in 0..3 {
        let blob = net.blob();
        net.send_put(&mut mailbox, &blob);
        let _ = net.relays[0].run_stalled(net.now, &mut net.rng);
        assert_balanced(net.relays[0].core());
    }
    let link = mailbox.reader.link;
    while let Some(cell) = net.relays[0].transmit(net.now, &mut net.rng, link) {
        net.deliver(0, Event::Cell(link, cell));
        assert_balanced(net.relays[0].core());
    }
    assert_eq!(net.replies(&mut mailbox.reader).len(), 2 + 4 + 3);
}
