//! A test vector of our own: one text file, lines of `name: value` (SPEC.md, "Test vectors").

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// One case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The file's name without its ending.
    pub name: String,
    lines: Vec<(String, String)>,
}

impl Case {
    /// A case without lines.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), lines: Vec::new() }
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, name: &str, value: impl Into<String>) -> Self {
        self.lines.push((name.into(), value.into()));
        self
    }

    /// Adds a line of bytes.
    #[must_use]
    pub fn hex(self, name: &str, value: &[u8]) -> Self {
        self.line(name, hex::encode(value))
    }

    /// Reads a case from its file's text.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Self {
        let lines = text.lines().map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("{name}: not `name: value`: {line}"));
            (name.to_owned(), value.to_owned())
        });
        Self { name: name.into(), lines: lines.collect() }
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.lines.iter().for_each(|(name, value)| writeln!(out, "{name}: {value}").unwrap());
        out
    }

    /// All values of that name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.lines.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The one value of that name.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        let [value] = self.all(name)[..] else { panic!("{}: one line `{name}` is needed", self.name) };
        value
    }

    /// The one value of that name, as a number.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or_else(|_| panic!("{}: `{name}` is not a number", self.name))
    }

    /// The one value of that name, as bytes.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.decode(self.text(name))
    }

    /// The one value of that name, as so many bytes.
    #[must_use]
    pub fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.bytes(name).try_into().unwrap_or_else(|_| panic!("{}: `{name}` does not have {N} bytes", self.name))
    }

    /// All values of that name, as bytes.
    #[must_use]
    pub fn all_bytes(&self, name: &str) -> Vec<Vec<u8>> {
        self.all(name).into_iter().map(|value| self.decode(value)).collect()
    }

    /// Hexadecimal, with `+N` at its end for N zero bytes.
    fn decode(&self, value: &str) -> Vec<u8> {
        let (digits, zeros) = value.split_once('+').unwrap_or((value, "0"));
        let mut bytes = hex::decode(digits).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        bytes.resize(bytes.len() + zeros.parse::<usize>().unwrap(), 0);
        bytes
    }
}

/// Where the cases are.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/sealwire")
}

/// Reads all cases, by name.
#[must_use]
pub fn read_all() -> Vec<Case> {
    let mut cases: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            Case::parse(&name, &fs::read_to_string(&path).unwrap())
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}
