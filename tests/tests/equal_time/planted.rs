//! The relay looks up what was not proven, as it once did: found. Run by `tests/planted/run --test equal_time planted`.

use hearken_proto::planted;

use super::questions::{Question, Slow, World};
use super::{STOPWATCH, rounds, told_apart};

#[test]
fn a_planted_look_up_of_what_was_not_proven_is_found() {
    let _alone = STOPWATCH.lock();
    // A store in which a row that is there takes longer to find, as one that lies on a disk does.
    let mut world = World::new(Slow::There);
    for question in [Question::Put, Question::Claim] {
        let found = told_apart(&mut world, question, rounds());
        assert!(found.is_empty(), "{question:?}: {found:?}");
        let found =
            planted::with("unproven-id-looked-up", || told_apart(&mut world, question, rounds()));
        let names = |found: &String| found.contains("WrongKeyMissing against WrongKey");
        assert!(found.iter().any(names), "{question:?}: {found:?}");
    }
}
