//! The language that a person is spoken to in.
//!
//! Every sentence that a person reads comes from a catalogue in `locales/`, compiled into the program, so that it
//! needs no files beside it. A language without a catalogue, and a sentence that a catalogue lacks, fall back to
//! English. What is put into a sentence is wrapped in Unicode isolates, so that a name written from right to left
//! cannot reorder the words around it; therefore links and ids that are to be copied are never put into sentences.

use std::sync::Arc;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

/// The language whose catalogue is complete.
pub(crate) const FALLBACK: &str = "en";

/// Each language with the files of its catalogue.
const CATALOGUES: &[(&str, &[&str])] = &[(
    FALLBACK,
    &[
        include_str!("../locales/en/errors.ftl"),
        include_str!("../locales/en/help.ftl"),
        include_str!("../locales/en/screen.ftl"),
    ],
)];

/// A catalogue and, behind it, the English one. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Language {
    bundles: Arc<Vec<FluentBundle<FluentResource>>>,
}

impl Language {
    /// The language that was asked for with `--lang`, else that of the locale, else English.
    pub(crate) fn choose(requested: Option<&str>) -> Self {
        let tag = requested.map(str::to_owned).or_else(locale).unwrap_or_default();
        let primary = |tag: &str| tag.split(['-', '_', '.', '@']).next().map(str::to_lowercase);
        let wanted = primary(&tag);
        let mut bundles = Vec::new();
        for (name, files) in CATALOGUES {
            if *name != FALLBACK && primary(name) == wanted {
                bundles.push(bundle(name, files));
            }
        }
        for (name, files) in CATALOGUES {
            if *name == FALLBACK {
                bundles.push(bundle(name, files));
            }
        }
        Self { bundles: Arc::new(bundles) }
    }

    /// A sentence with nothing to fill in.
    pub(crate) fn text(&self, key: &str) -> String {
        self.text_with(key, &[])
    }

    /// A sentence, with values for its places.
    pub(crate) fn text_with(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> String {
        // A hole in the catalogue is found by a test; a person then sees the key rather than nothing.
        self.find(key, values).unwrap_or_else(|| key.to_owned())
    }

    /// A sentence, or `None` where no catalogue has it.
    pub(crate) fn find(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> Option<String> {
        let mut arguments = FluentArgs::new();
        for (name, value) in values {
            arguments.set(*name, value.clone());
        }
        self.bundles.iter().find_map(|bundle| {
            let pattern = bundle.get_message(key)?.value()?;
            let mut errors = Vec::new();
            Some(bundle.format_pattern(pattern, Some(&arguments), &mut errors).into_owned())
        })
    }
}

fn bundle(tag: &str, files: &[&str]) -> FluentBundle<FluentResource> {
    let language: LanguageIdentifier = tag.parse().unwrap_or_default();
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    bundle.set_use_isolating(true);
    for file in files {
        // What does not parse is left out here and named by a test.
        let resource = match FluentResource::try_new((*file).to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
    }
    bundle
}

/// The language of messages by POSIX rules: the first of these that is set.
fn locale() -> Option<String> {
    ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::failure::Code;

    #[test]
    fn an_unknown_language_is_english() {
        let expected = Language::choose(Some("en")).text("err-no-vault");
        assert_eq!(Language::choose(Some("tlh-Latn")).text("err-no-vault"), expected);
        assert_eq!(Language::choose(Some("not a tag!")).text("err-no-vault"), expected);
    }

    #[test]
    fn what_is_filled_in_is_isolated() {
        let text = Language::choose(Some("en"))
            .text_with("err-unknown-contact", &[("given", FluentValue::from("abc"))]);
        assert!(text.contains("\u{2068}abc\u{2069}"), "{text}");
    }

    #[test]
    fn every_catalogue_parses_and_names_no_key_twice() {
        for (tag, files) in CATALOGUES {
            let mut seen = BTreeSet::new();
            for file in *files {
                FluentResource::try_new((*file).to_owned()).expect(tag);
                for key in keys(file) {
                    assert!(seen.insert(key.clone()), "{tag}: {key} stands twice");
                }
            }
        }
    }

    #[test]
    fn every_error_says_what_went_wrong_and_what_to_do() {
        let catalogue = catalogue();
        let mut expected = BTreeSet::new();
        for code in Code::ALL {
            for prefix in ["err", "rec"] {
                let key = format!("{prefix}-{}", code.as_str());
                assert!(catalogue.contains_key(&key), "{key} is missing");
                expected.insert(key);
            }
        }
        for key in catalogue.keys().filter(|key| key.starts_with("err-") || key.starts_with("rec-"))
        {
            assert!(expected.contains(key), "{key} belongs to no error");
        }
    }

    #[test]
    fn every_error_fits_two_lines() {
        let language = Language::choose(Some("en"));
        for key in catalogue().into_keys() {
            if key.starts_with("err-") || key.starts_with("rec-") {
                assert!(!language.text(&key).contains('\n'), "{key} has more than one line");
            }
        }
    }

    #[test]
    fn every_sentence_is_used_and_every_used_one_exists() {
        let catalogue = catalogue();
        let mut used = BTreeSet::new();
        for source in sources() {
            let text = std::fs::read_to_string(source).unwrap();
            for literal in text.split('"') {
                let prefixed = PREFIXES.iter().any(|prefix| literal.starts_with(prefix));
                let plain = literal
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
                if prefixed && plain && !literal.ends_with('-') {
                    used.insert(literal.to_owned());
                }
            }
        }
        for key in &used {
            assert!(catalogue.contains_key(key), "{key} is used and not in the catalogue");
        }
        for key in catalogue.keys() {
            if PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
                assert!(used.contains(key), "{key} is in the catalogue and not used");
            } else {
                let known = ["err-", "rec-", "help-", "arg-"].iter().any(|p| key.starts_with(p));
                assert!(known, "{key} has no known prefix");
            }
        }
        assert!(!used.is_empty());
    }

    /// How keys begin that are written out in the sources.
    const PREFIXES: &[&str] =
        &["say-", "ask-", "warn-", "head-", "wait-", "usage-", "notice-", "live-"];

    fn keys(file: &str) -> Vec<String> {
        file.lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
            .filter_map(|line| line.split_once('=').map(|(key, _)| key.trim().to_owned()))
            .collect()
    }

    /// Key and source of every sentence in English.
    fn catalogue() -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (_, files) in CATALOGUES.iter().filter(|(tag, _)| *tag == FALLBACK) {
            for file in *files {
                let mut key = None;
                for line in file.lines() {
                    if line.starts_with(|c: char| c.is_ascii_lowercase()) {
                        let (name, text) = line.split_once('=').unwrap();
                        key = Some(name.trim().to_owned());
                        all.insert(name.trim().to_owned(), text.trim().to_owned());
                    } else if line.starts_with(' ') {
                        let text: &mut String = all.get_mut(key.as_ref().unwrap()).unwrap();
                        if !text.is_empty() {
                            text.push('\n');
                        }
                        text.push_str(line.trim());
                    }
                }
            }
        }
        all
    }

    fn sources() -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    found.push(path);
                }
            }
        }
        assert!(!found.is_empty());
        found
    }
}
