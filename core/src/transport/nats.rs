//! Transports over a NATS server: [`Nats`] hands parcels from one process to another, [`JetStream`] keeps them until they are processed.
//!
//! Every reader has a subject, `sealwire.<node>.<agent>`; processes that receive for one reader share its parcels, so that several
//! replicas do one agent's work. The server sees sizes, times and addresses, and nothing else.

use core::time::Duration;
use std::path::PathBuf;

use super::TransportError;
use crate::address::Address;

mod core_nats;
mod jetstream;
mod shelf;

pub use core_nats::Nats;
pub use jetstream::{JetStream, Keeping};
pub use shelf::NatsDelivery;

/// What begins every subject, unless another word is chosen.
const PREFIX: &str = "sealwire";

/// How long the server may take to answer. Requests that were lost with a connection are noticed by this.
const ANSWER: Duration = Duration::from_secs(5);

/// A NATS server (or cluster), and what it asks for.
///
/// Its certificate is checked if the address begins with `tls://`. Whoever may publish there can waste time and space, and read no
/// parcel.
#[derive(Clone)]
#[must_use = "a server is only described; `Nats::connect` and `JetStream::connect` connect to it"]
pub struct Server {
    url: String,
    prefix: String,
    login: Login,
    authorities: Vec<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone)]
enum Login {
    Nobody,
    Password(String, String),
    Token(String),
}

impl Server {
    /// A server by its address: `nats://host:port` or `tls://host:port`, several separated by commas.
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), prefix: PREFIX.into(), login: Login::Nobody, authorities: Vec::new(), certificate: None }
    }

    /// Logs in with a user's name and password.
    pub fn password(mut self, user: &str, password: &str) -> Self {
        self.login = Login::Password(user.into(), password.into());
        self
    }

    /// Logs in with a token.
    pub fn token(mut self, token: &str) -> Self {
        self.login = Login::Token(token.into());
        self
    }

    /// Trusts the authorities in this PEM file, besides those of the system.
    pub fn authority(mut self, file: impl Into<PathBuf>) -> Self {
        self.authorities.push(file.into());
        self
    }

    /// Shows this certificate, from PEM files of the chain and its key.
    pub fn certificate(mut self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((chain.into(), key.into()));
        self
    }

    /// Another first word of all subjects, for instance one for each domain on a server.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Connects; `buffered` messages of a subscription are kept until they are looked at, and what comes beyond is dropped.
    async fn connect(&self, buffered: usize) -> Result<async_nats::Client, TransportError> {
        let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if self.prefix.is_empty() || !self.prefix.bytes().all(plain) {
            return Err(TransportError::Failed("a prefix is of letters, digits, `-` and `_`".into()));
        }
        let mut options = match self.login.clone() {
            Login::Nobody => async_nats::ConnectOptions::new(),
            Login::Password(user, password) => async_nats::ConnectOptions::with_user_and_password(user, password),
            Login::Token(token) => async_nats::ConnectOptions::with_token(token),
        };
        for file in &self.authorities {
            options = options.add_root_certificates(file.clone());
        }
        if let Some((chain, key)) = self.certificate.clone() {
            options = options.add_client_certificate(chain, key);
        }
        options = options
            .require_tls(self.url.starts_with("tls://"))
            .request_timeout(Some(ANSWER))
            .client_capacity(256)
            .subscription_capacity(4 * buffered);
        let urls: Vec<&str> = self.url.split(',').collect();
        options.connect(urls).await.map_err(|error| TransportError::Failed(format!("no connection to the NATS server: {error}")))
    }

    /// The subject of a reader. A dot in a name would begin another token; `=` is in no name, so no two readers share a subject.
    fn subject(&self, reader: &Address) -> String {
        format!("{}.{}.{}", self.prefix, escaped(reader.node()), escaped(reader.name()))
    }
}

impl core::fmt::Debug for Server {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Server")
    }
}

fn escaped(name: &str) -> String {
    name.replace('.', "=")
}

/// What the server takes in one message; how to change that is told where it is too little.
fn check_size(client: &async_nats::Client, size: usize) -> Result<(), TransportError> {
    let limit = client.max_payload().saturating_sub(HEADERS);
    if size > limit { Err(TransportError::TooLarge { size, limit }) } else { Ok(()) }
}

/// Room for the headers of a message, which the server counts: the id of a parcel and its framing.
const HEADERS: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_readers_share_a_subject() -> Result<(), crate::InvalidName> {
        let server = Server::new("nats://localhost");
        assert_eq!(server.subject(&"a.b@pi.local".parse()?), "sealwire.pi=local.a=b");
        let readers = ["a.b@c", "a@b.c", "b@a.c", "a-b@c", "a_b@c", "a@b-c"];
        let subjects: std::collections::HashSet<_> =
            readers.iter().map(|reader| reader.parse().map(|reader| server.subject(&reader))).collect::<Result<_, _>>()?;
        assert_eq!(subjects.len(), readers.len());
        assert!(subjects.iter().all(|subject| subject.matches('.').count() == 2 && !subject.contains(['*', '>', ' '])));
        Ok(())
    }

    #[test]
    fn a_login_is_not_shown() {
        let server = Server::new("nats://user:hunter2@localhost").password("user", "hunter2");
        assert!(!format!("{server:?}").contains("hunter2"));
    }
}
