//! [`Address`]: who an agent is, `name@node`.

use core::{fmt, str::FromStr};

use crate::limits::MAX_NAME;

/// An agent's name and the node that hosts it, written `name@node`.
///
/// Both parts are 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`, and start with a letter or digit: nothing that looks alike is
/// two names, and every part is safe in a file name, a subject and a log line.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    text: Box<str>,
    at: usize,
}

/// A name, node name, kind or label that is not of its form.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidName {
    /// What was to be named.
    pub what: &'static str,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)
    }
}

impl std::error::Error for InvalidName {}

impl Address {
    /// The address of agent `name` on `node`.
    ///
    /// # Errors
    /// If either part is not of the form above.
    pub fn new(name: &str, node: &str) -> Result<Self, InvalidName> {
        check_name(name)?;
        check_name(node)?;
        Ok(Self { text: format!("{name}@{node}").into(), at: name.len() })
    }

    /// The agent's part.
    pub fn name(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The node's part.
    pub fn node(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// Both, as they travel.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Address {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (name, node) = text.split_once('@').ok_or(InvalidName { what: "an address is `name@node`" })?;
        Self::new(name, node)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name under which a node itself hears notices, beside its agents.
#[cfg(feature = "node")]
pub(crate) const NODE: &str = "node";

/// That `name` can be an agent's or node's name.
pub(crate) fn check_name(name: &str) -> Result<(), InvalidName> {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
    let starts = name.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts && name.len() <= MAX_NAME && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName { what: "a name is 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`, and starts with a letter or digit" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_back() -> Result<(), InvalidName> {
        let address: Address = "senior-researcher@pi-1.local".parse()?;
        assert_eq!((address.name(), address.node()), ("senior-researcher", "pi-1.local"));
        assert_eq!(address, Address::new("senior-researcher", "pi-1.local")?);
        Ok(())
    }

    #[test]
    fn other_forms_are_refused() {
        let long = format!("{}@n", "a".repeat(65));
        for text in ["", "a", "@", "a@", "@n", "A@n", "a b@n", "a@n@m", "../a@n", ".a@n", "-a@n", "а@n", &long] {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
