//! The relay looks up what was not proven, as it once did: found. Run by `tests/planted/run --test equal_time planted`.

use hearken_proto::planted;

use super::questions::{Question, World};
use super::{STOPWATCH, rounds, told_apart};

#[test]
fn a_planted_look_up_of_what_was_not_proven_is_found() {
    let _alone = STOPWATCH.lock();
    let mut world = World::new(false);
    planted::with("unproven-id-looked-up", || {
        for question in [Question::Put, Question::Claim] {
            let found = told_apart(&mut world, question, rounds());
            let names = |found: &String| found.contains("WrongKeyMissing against WrongKey");
            assert!(found.iter().any(names), "{question:?}: {found:?}");
        }
    });
}
