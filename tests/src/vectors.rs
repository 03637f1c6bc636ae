//! Test vectors under `vectors/third-party`; each folder there names its origin and licence.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Reads a JSON file, named by its path below `vectors/third-party`.
#[must_use]
pub fn read<T: DeserializeOwned>(path: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/third-party").join(path);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A file of Wycheproof: groups of cases, `G` being what one algorithm's groups hold.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wycheproof<G> {
    /// How many cases the file says it has.
    pub number_of_tests: usize,
    /// The cases, grouped by what they share.
    pub test_groups: Vec<G>,
}

/// What a sound implementation does with a case of Wycheproof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// Accepts it.
    Valid,
    /// Refuses it.
    Invalid,
    /// Accepts it or refuses it; when it accepts, the result is the one given.
    Acceptable,
}

/// How many cases of each sort were run. Every test compares this with numbers written into it, so that a run of nothing does not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cases marked [`Expected::Valid`].
    pub valid: usize,
    /// Cases marked [`Expected::Invalid`].
    pub invalid: usize,
    /// Cases marked [`Expected::Acceptable`].
    pub acceptable: usize,
}

impl Tally {
    /// Counts one case.
    pub fn count(&mut self, expected: Expected) {
        match expected {
            Expected::Valid => self.valid += 1,
            Expected::Invalid => self.invalid += 1,
            Expected::Acceptable => self.acceptable += 1,
        }
    }

    /// All cases counted.
    #[must_use]
    pub fn total(&self) -> usize {
        self.valid + self.invalid + self.acceptable
    }
}
