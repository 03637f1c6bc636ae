//! [`Location`]: where a node is on the network, written as `tcp://host:port`.

use core::{fmt, str::FromStr};

/// The TCP port envelopes arrive on unless another is named. Unassigned by IANA, and below the ports that systems give out by themselves.
pub const DEFAULT_PORT: u16 = 7451;

/// Length of a location in characters: a longest DNS name fits, with scheme and port.
const MAX_LOCATION: usize = 280;

/// Where a node is reached: `tcp://host:port`, `tls://host:port`, `unix:///path`, or another scheme with a host and a port.
///
/// Without a scheme it is `tcp`, without a port [`DEFAULT_PORT`]. It says where to send, never whom to trust.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Location {
    text: Box<str>,
    scheme: usize,
}

/// A text that is not a [`Location`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidLocation(&'static str);

impl fmt::Display for InvalidLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidLocation {}

impl Location {
    /// What stands before `://`.
    pub fn scheme(&self) -> &str {
        self.text.get(..self.scheme).unwrap_or_default()
    }

    /// What stands behind `://`: `host:port`, or a path.
    pub fn place(&self) -> &str {
        self.text.get(self.scheme + 3..).unwrap_or_default()
    }

    /// The host without the port, and without the brackets of an IPv6 address; a path is no host.
    pub fn host(&self) -> Option<&str> {
        if self.scheme() == "unix" {
            return None;
        }
        let (host, _) = self.place().rsplit_once(':')?;
        Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
    }

    /// As it was written, with what had been left out.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Location {
    type Err = InvalidLocation;

    fn from_str(text: &str) -> Result<Self, InvalidLocation> {
        if text.len() > MAX_LOCATION || !text.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(InvalidLocation("a location is at most 280 printable ASCII characters without spaces"));
        }
        let (scheme, place) = text.split_once("://").unwrap_or(("tcp", text));
        if scheme.is_empty() || !scheme.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()) {
            return Err(InvalidLocation("the scheme of a location is of lower-case letters and digits, as in `tcp://host:port`"));
        }
        let place = if scheme == "unix" { path(place)? } else { host_and_port(place)? };
        Ok(Self { text: format!("{scheme}://{place}").into(), scheme: scheme.len() })
    }
}

fn path(place: &str) -> Result<String, InvalidLocation> {
    if place.starts_with('/') {
        Ok(place.into())
    } else {
        Err(InvalidLocation("a socket's path starts at the root: `unix:///run/pi2.socket`"))
    }
}

fn host_and_port(place: &str) -> Result<String, InvalidLocation> {
    const WHAT: InvalidLocation = InvalidLocation("expected `host`, `host:port` or `[IPv6 address]:port`");
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or(WHAT)?;
            inside.parse::<core::net::Ipv6Addr>().map_err(|_| WHAT)?;
            (format!("[{inside}]"), after.strip_prefix(':').or(after.is_empty().then_some("")).ok_or(WHAT)?)
        }
        None => {
            let (host, port) = place.split_once(':').unwrap_or((place, ""));
            let plain = !host.is_empty() && host.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_'));
            (plain.then(|| host.to_string()).ok_or(WHAT)?, port)
        }
    };
    let port = if port.is_empty() { DEFAULT_PORT } else { port.parse().map_err(|_| WHAT)? };
    Ok(format!("{host}:{port}"))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_added() -> Result<(), InvalidLocation> {
        for (written, meant, host) in [
            ("pi2", "tcp://pi2:7451", Some("pi2")),
            ("pi2.local:80", "tcp://pi2.local:80", Some("pi2.local")),
            ("tls://10.0.0.3", "tls://10.0.0.3:7451", Some("10.0.0.3")),
            ("tcp://[::1]:9", "tcp://[::1]:9", Some("::1")),
            ("[fe80::1]", "tcp://[fe80::1]:7451", Some("fe80::1")),
            ("unix:///run/a.socket", "unix:///run/a.socket", None),
            ("noise://h:1", "noise://h:1", Some("h")),
        ] {
            let location: Location = written.parse()?;
            assert_eq!((location.as_str(), location.host()), (meant, host));
        }
        Ok(())
    }

    #[test]
    fn other_forms_are_refused() {
        let long = "a".repeat(300);
        for text in [
            "",
            "tcp://",
            "TCP://a",
            "tcp://a:b",
            "tcp://a:70000",
            "a b",
            "unix://a",
            "tcp://[::1",
            "tcp://[x]:1",
            "a:1:2",
            "ü:1",
            "tcp://a/b",
            &long,
        ] {
            assert!(text.parse::<Location>().is_err(), "{text:?}");
        }
    }
}
