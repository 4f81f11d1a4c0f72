//! What a contact says, in a vault that takes it: contents of every kind and none, twice, in any order, about anything.

use hearken_client_lib::fuzzing::sync::{self, Talk};
use hearken_proto::time::UnixMillis;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use crate::Choices;

const STEPS_MAX: usize = 48;
const WORDS: &str = "words of this side";
/// What is kept of things said about what is not there, and the conversation's own rows.
const ROWS_BESIDE: usize = 2;

/// Nothing is an error of the vault, nobody changes what this side said, and each content leaves at most two rows.
pub(super) fn said(input: &[u8]) {
    let mut choices = Choices::new(input);
    let mut rng = ChaCha20Rng::from_seed([8; 32]);
    let mut talk = Talk::new(WORDS, &mut rng).expect("a vault");
    let mut now = 1_800_000_000_000;
    let mut last = (Vec::new(), [0; 16]);
    let mut steps = 0;
    while !choices.is_over() && steps < STEPS_MAX {
        steps += 1;
        let (kind, flag) = (choices.byte(), choices.one_in(2));
        let id = [choices.byte() % 8; 16];
        let target = match choices.byte() % 4 {
            0 => talk.own(),
            1 => last.1,
            2 => [choices.byte() % 8; 16],
            _ => [0xee; 16],
        };
        let (bytes, id) = match choices.byte() % 8 {
            0 => (choices.bytes(255).to_vec(), id),
            // The same again.
            1 => last.clone(),
            2 => (sync::said(kind, choices.number(), &target[..15], "short", flag), id),
            _ => {
                let words = String::from_utf8_lossy(choices.bytes(24)).into_owned();
                (sync::said(kind, choices.number(), &target, &words, flag), id)
            }
        };
        now += choices.number() % 86_400_000;
        talk.take(id, &bytes, UnixMillis(now), &mut rng).expect("no error of the vault");
        last = (bytes, id);
        let rows = talk.look(UnixMillis(now)).expect("no error of the vault");
        assert!(rows <= 2 * steps + ROWS_BESIDE, "{rows} rows after {steps} contents");
        let own = talk.own_words(UnixMillis(now)).expect("no error of the vault");
        assert_eq!(own.as_deref(), Some(WORDS), "somebody changed what this side said");
    }
}

pub(super) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    // Kind, flag, id, target, how, words, number, time: an honest text, and then each kind about it.
    let text = [0, 0, 1, 3, 7, 5, b'w', b'o', b'r', b'd', b's', 1, 0];
    let about = |kind: u8| [kind, 0, 2, 2, 1, 7, 3, b'y', b'e', b's', 2, 1];
    let mut all = vec![("client-content", text.to_vec())];
    for kind in 0..9 {
        all.push(("client-content", [&text[..], &about(kind), &about(kind)].concat()));
        // Before what it is about.
        all.push(("client-content", [&about(kind)[..], &text].concat()));
    }
    all
}
