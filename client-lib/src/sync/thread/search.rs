//! Search: every text that can be seen and that has all the words, whatever their case and however their letters are
//! composed.
//!
//! Every text is read; there is no index. An index of words would be a second copy of everything that was ever written,
//! in which what was deleted lingers and what lies under a day's key must not stand, and it finds no word within the text
//! of a language that is written without spaces. 100,000 texts take about a tenth of a second (the test in `tests.rs`
//! says how long).

use hearken_proto::time::UnixMillis;
use rusqlite::Connection;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::message::Message;
use crate::sync::messages;
use crate::vault::VaultError;

/// The newest texts that a search gives.
const FOUND_MAX: usize = 1_000;

/// Texts that have all of `words`, oldest first; of more than a thousand, the newest. None where there is no word.
pub(crate) fn search(
    db: &Connection,
    words: &str,
    now: UnixMillis,
) -> Result<Vec<Message>, VaultError> {
    let words: Vec<Zeroizing<String>> = words
        .split_whitespace()
        .map(|word| {
            let mut folded = Zeroizing::new(String::new());
            fold(word, &mut folded);
            folded
        })
        .collect();
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = std::collections::VecDeque::new();
    let mut folded = Zeroizing::new(String::new());
    messages::each_text(db, now, |message| {
        fold(&message.text, &mut folded);
        if words.iter().all(|word| folded.contains(word.as_str())) {
            if found.len() == FOUND_MAX {
                found.pop_front();
            }
            found.push_back(message);
        }
        true
    })?;
    let mut found: Vec<Message> = found.into();
    messages::add_reactions(db, &mut found)?;
    Ok(found)
}

/// Writes text so that the same words are the same bytes: compatibility-composed (NFKC), each letter upper and then lower
/// case, so that `ß` is `ss` and every sigma one.
fn fold(text: &str, into: &mut String) {
    into.clear();
    if text.is_ascii() {
        into.push_str(text);
        into.make_ascii_lowercase();
        return;
    }
    let cased = text.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    into.extend(cased.nfkc());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        let mut folded = String::new();
        fold(text, &mut folded);
        folded
    }

    #[test]
    fn the_same_words_are_the_same_whatever_their_case_and_composition() {
        for (one, other) in [
            ("GRÜSSE", "grüße"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("ΟΔΟΣ", "οδος"),
            ("οδός", "ΟΔΌΣ"),
            ("ﬁn", "FIN"),
            ("Привет", "ПРИВЕТ"),
            ("Hello", "hELLO"),
        ] {
            assert_eq!(folded(one), folded(other), "{one}");
        }
        assert_ne!(folded("grün"), folded("grun"));
    }
}
