//! The form that Wycheproof's and ACVP's files share, and how a test takes its cases.

use hearken_tests::vectors;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

/// Bytes that are written as hex.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl std::ops::Deref for Hex {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// What Wycheproof says of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Valid,
    Acceptable,
    Invalid,
}

/// A file: groups of cases, each group with what its cases have in common.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "G: DeserializeOwned, T: DeserializeOwned")]
pub(crate) struct File<G, T> {
    number_of_tests: Option<usize>,
    test_groups: Vec<Group<G, T>>,
}

#[derive(Deserialize)]
#[serde(bound = "G: DeserializeOwned, T: DeserializeOwned")]
struct Group<G, T> {
    #[serde(flatten)]
    shared: G,
    tests: Vec<T>,
}

impl<G: DeserializeOwned, T: DeserializeOwned> File<G, T> {
    pub(crate) fn parse(text: &str) -> Self {
        let file: Self = serde_json::from_str(text).expect("the published form");
        let cases: usize = file.test_groups.iter().map(|group| group.tests.len()).sum();
        assert!(file.number_of_tests.is_none_or(|declared| declared == cases), "a truncated file");
        file
    }

    /// Runs `check` on every case, and says how many there were.
    pub(crate) fn run(&self, mut check: impl FnMut(&G, &T)) -> usize {
        let mut ran = 0;
        for group in &self.test_groups {
            for test in &group.tests {
                check(&group.shared, test);
                ran += 1;
            }
        }
        ran
    }
}

/// Runs the cases that come with the `wycheproof` crate, and those of the folder where it is there. Each source must
/// have at least `least` cases: what the file held when this was written.
pub(crate) fn wycheproof<G: DeserializeOwned, T: DeserializeOwned>(
    bundled: &str,
    name: &str,
    least: usize,
    mut check: impl FnMut(&G, &T),
) {
    let newest = vectors::file(&format!("wycheproof/{name}_test.json"));
    for text in [Some(bundled), newest.as_deref()].into_iter().flatten() {
        let ran = File::parse(text).run(&mut check);
        assert!(ran >= least, "{ran} cases of {name}, not {least}");
    }
}
