//! What the simulation has found, as the small scripts that it made of it: each holds from then on.

use hearken_tests::simulation::script::{Script, Step};
use hearken_tests::simulation::{Plant, run};

/// A world of two people and two relays in which this happens, and in which both talk in the end.
fn holds(seed: u64, mailbox_blobs: u32, steps: &[(u32, Step)]) {
    let script = Script { seed, people: 2, relays: 2, mailbox_blobs, steps: steps.to_vec() };
    let report = run(&script, Plant::Nothing).unwrap_or_else(|broken| panic!("{broken}"));
    assert_eq!(report.conversations, (1, 0), "two people are in one conversation");
    assert!(report.arrived >= 4, "an introduction and a text arrived on both sides");
}

#[test]
fn whoever_joined_in_time_is_heard_though_the_invitation_has_expired_since() {
    holds(
        5,
        64,
        &[
            (130, Step::Invite { who: 1, hours: 39 }),
            (133, Step::Pass { ms: 15_174 }),
            (147, Step::Join { who: 0, invitation: 0 }),
            (158, Step::Pass { ms: 19_616 }),
            (160, Step::Midnight),
            (212, Step::Midnight),
        ],
    );
}

#[test]
fn what_says_where_to_answer_is_said_again_after_it_expired_unread() {
    holds(
        18,
        64,
        &[
            (16, Step::Invite { who: 1, hours: 144 }),
            (17, Step::Pass { ms: 3_000 }),
            (18, Step::Join { who: 0, invitation: 0 }),
            (19, Step::Pass { ms: 5_497 }),
            (30, Step::Sleep { hours: 528 }),
        ],
    );
}

#[test]
fn a_long_text_arrives_in_order_though_commits_fail_and_the_mailbox_is_full() {
    holds(
        4,
        4,
        &[
            (10, Step::Follow { who: 1 }),
            (11, Step::Invite { who: 0, hours: 96 }),
            (12, Step::Pass { ms: 3_000 }),
            (13, Step::Join { who: 1, invitation: 0 }),
            (60, Step::Follow { who: 1 }),
            (63, Step::Pass { ms: 9_248 }),
            (179, Step::FailCommits { relay: 0, count: 3 }),
            (181, Step::Send { who: 1, contact: 0, bytes: 4_910 }),
            (184, Step::Pass { ms: 6_325 }),
        ],
    );
}

#[test]
fn a_writer_gets_on_though_its_mailbox_was_made_again_and_leaves_nothing_to_claim() {
    // Written and backed up before the join: the relay that is restored does not have the joiner's mailbox.
    holds(
        461,
        4,
        &[
            (91, Step::Backup { relay: 1 }),
            (127, Step::Invite { who: 0, hours: 40 }),
            (149, Step::Pass { ms: 3_669 }),
            (150, Step::Join { who: 1, invitation: 0 }),
            (151, Step::Follow { who: 0 }),
            (169, Step::Follow { who: 1 }),
            (183, Step::Pass { ms: 4_470_413 }),
            (184, Step::Restore { relay: 1 }),
            (197, Step::Send { who: 0, contact: 0, bytes: 82 }),
        ],
    );
}

#[test]
fn an_invitation_for_an_hour_lasts_one_also_at_the_end_of_an_hour() {
    holds(
        7,
        64,
        &[
            (1, Step::Pass { ms: 59 * 60_000 + 30_000 }),
            (2, Step::Invite { who: 1, hours: 1 }),
            (3, Step::Pass { ms: 60_000 }),
            (4, Step::Join { who: 0, invitation: 0 }),
            (5, Step::Pass { ms: 10_000 }),
        ],
    );
}

#[test]
fn whoever_joins_in_time_by_their_clock_is_heard_by_an_inviter_whose_clock_is_fast() {
    holds(
        9,
        64,
        &[
            (1, Step::Invite { who: 0, hours: 2 }),
            (2, Step::Pass { ms: 3_000 }),
            (3, Step::Skew { node: 0, minutes: 60 }),
            (4, Step::Pass { ms: 140 * 60_000 }),
            // By the inviter's clock it has expired, and the relay says that nobody has come.
            (5, Step::Fetch { who: 0 }),
            (6, Step::Pass { ms: 10 * 60_000 }),
            (7, Step::Join { who: 1, invitation: 0 }),
            (8, Step::Pass { ms: 10_000 }),
        ],
    );
}

#[test]
fn nobody_is_told_that_a_text_was_sent_which_an_inviter_away_for_half_a_year_cannot_read() {
    let mut steps = vec![
        (1, Step::Invite { who: 0, hours: 120 }),
        (2, Step::Pass { ms: 3_000 }),
        (3, Step::Join { who: 1, invitation: 0 }),
        (9, Step::Pass { ms: 5_612 }),
    ];
    steps.extend((20..29).map(|stream| (stream, Step::Sleep { hours: 528 })));
    steps.push((186, Step::Send { who: 1, contact: 0, bytes: 113 }));
    let script = Script { seed: 4_190, people: 2, relays: 2, mailbox_blobs: 64, steps };
    run(&script, Plant::Nothing).unwrap_or_else(|broken| panic!("{broken}"));
}
