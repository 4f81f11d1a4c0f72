//! Names of files: what is sent, and what of a received one is written to a disk.
//!
//! A name that came is shown and offered, never followed: the program writes where its person says.

use super::FILE_NAME_MAX;
use crate::clean::FileKind;

/// Names that mean a device on some systems, with whatever ending.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];
/// Names that do with one letter behind them.
const PORTS: [&str; 2] = ["com", "lpt"];

/// The name that a file is sent under: its own, without the path, where the person wants that; else one that says its kind
/// alone.
pub(crate) fn sent_name(own: Option<&str>, kind: Option<FileKind>) -> String {
    match own {
        Some(name) => safe_name(name),
        None => kind.map_or("file.bin", FileKind::neutral_name).to_owned(),
    }
}

/// A name that is one on every system, names no folder, and looks like what it is.
pub(crate) fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain = |letter: char| {
        let turns = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        !letter.is_control() && !turns && !"<>:\"|?*".contains(letter)
    };
    let letters: String =
        last.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    let trimmed = trimmed(&letters);
    let stem = trimmed.split('.').next().unwrap_or_default();
    if trimmed.is_empty() || is_device(stem) {
        shortened(&format!("file-{trimmed}"))
    } else {
        shortened(trimmed)
    }
}

fn trimmed(name: &str) -> &str {
    name.trim_matches(|letter: char| letter == '.' || letter == '_' || letter.is_whitespace())
}

fn is_device(stem: &str) -> bool {
    let stem = stem.to_ascii_lowercase();
    DEVICES.contains(&stem.as_str())
        || PORTS.iter().any(|port| stem.strip_prefix(port).is_some_and(|number| number.len() == 1))
}

/// At most [`FILE_NAME_MAX`] bytes; the ending stays.
fn shortened(name: &str) -> String {
    if name.len() <= FILE_NAME_MAX {
        return name.to_owned();
    }
    let ending = name
        .rfind('.')
        .map(|at| &name[at..])
        .filter(|ending| ending.len() <= 16)
        .unwrap_or_default();
    let mut end = FILE_NAME_MAX - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    trimmed(&format!("{}{ending}", &name[..end])).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_become_harmless_ones() {
        for (hostile, harmless) in [
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("C:\\Users\\amina\\secret.docx", "secret.docx"),
            (".bashrc", "bashrc"),
            ("..", "file-"),
            ("", "file-"),
            ("CON.txt", "file-CON.txt"),
            ("lpt1", "file-lpt1"),
            ("console.txt", "console.txt"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
            ("a\nb\u{1b}[2J.txt", "a_b_[2J.txt"),
            ("what? <now>.pdf", "what_ _now_.pdf"),
            ("Zażółć gęślą jaźń.odt", "Zażółć gęślą jaźń.odt"),
        ] {
            assert_eq!(safe_name(hostile), harmless);
        }
        let long = format!("{}.jpeg", "ж".repeat(300));
        assert!(safe_name(&long).len() <= FILE_NAME_MAX && safe_name(&long).ends_with(".jpeg"));
    }

    #[test]
    fn a_name_is_replaced_unless_it_is_kept_and_never_a_path() {
        assert_eq!(sent_name(None, Some(FileKind::Jpeg)), "photo.jpg");
        assert_eq!(sent_name(None, None), "file.bin");
        assert_eq!(
            sent_name(Some("/home/amina/letter to Bo.odt"), Some(FileKind::Odt)),
            "letter to Bo.odt"
        );
    }

    proptest! {
        #[test]
        fn any_name_becomes_one_that_stays_as_it_is(name in "\\PC{0,200}") {
            let safe = safe_name(&name);
            prop_assert!(!safe.is_empty() && safe.len() <= FILE_NAME_MAX);
            prop_assert!(!safe.contains(['/', '\\', '\0']) && !safe.starts_with('.'));
            prop_assert_eq!(safe_name(&safe), safe.clone());
        }
    }
}
