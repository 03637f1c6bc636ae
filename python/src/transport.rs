//! What carries a node's parcels: streams, a NATS server, or an object of the user's.

use std::path::PathBuf;

use pyo3::prelude::*;
use sealwire::{
    Address,
    transport::{
        Delivery, JetStream, Nats, Parcel, Streams, Transport, TransportError,
        nats::{Keeping, NatsDelivery, Server},
        stream::{StreamDelivery, Tls},
    },
};

use crate::{
    error::Raised,
    object::{Object, ObjectDelivery},
};

/// Any transport that a node of Python has.
#[derive(Clone)]
pub(crate) enum Carrier {
    Streams(Streams),
    Nats(Nats),
    JetStream(JetStream),
    Object(Object),
}

/// What a [`Carrier`] has brought.
pub(crate) enum Carried {
    Stream(StreamDelivery),
    Nats(NatsDelivery),
    Object(ObjectDelivery),
}

impl Transport for Carrier {
    type Delivery = Carried;

    async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        match self {
            Self::Streams(streams) => streams.send(to, parcel).await,
            Self::Nats(nats) => nats.send(to, parcel).await,
            Self::JetStream(jetstream) => jetstream.send(to, parcel).await,
            Self::Object(object) => object.send(to, parcel).await,
        }
    }

    async fn receive(&self, reader: &Address) -> Result<Carried, TransportError> {
        match self {
            Self::Streams(streams) => streams.receive(reader).await.map(Carried::Stream),
            Self::Nats(nats) => nats.receive(reader).await.map(Carried::Nats),
            Self::JetStream(jetstream) => jetstream.receive(reader).await.map(Carried::Nats),
            Self::Object(object) => object.receive(reader).await.map(Carried::Object),
        }
    }
}

impl Delivery for Carried {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Stream(delivery) => delivery.bytes(),
            Self::Nats(delivery) => delivery.bytes(),
            Self::Object(delivery) => delivery.bytes(),
        }
    }

    async fn acknowledge(self) -> Result<(), TransportError> {
        match self {
            Self::Stream(delivery) => delivery.acknowledge().await,
            Self::Nats(delivery) => delivery.acknowledge().await,
            Self::Object(delivery) => delivery.acknowledge().await,
        }
    }
}

/// Certificates of the user's own: the attributes of `sealwire.settings.Tls`.
#[derive(FromPyObject)]
pub(crate) struct Certificates {
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Certificates {
    /// What is shown: a certificate and its key.
    fn shown(&self) -> Option<(&PathBuf, &PathBuf)> {
        self.certificate.as_ref().zip(self.key.as_ref())
    }

    /// For streams.
    pub(crate) fn tls(&self) -> Result<Tls, Raised> {
        let tls = self.authority.iter().fold(Tls::builder(), |tls, file| tls.authority(file));
        let tls = self.shown().into_iter().fold(tls, |tls, (certificate, key)| tls.certificate(certificate, key));
        tls.build().map_err(|error| Raised::transport(&error))
    }
}

/// What a NATS server asks for and keeps: the attributes of `sealwire.settings.Nats`.
#[derive(FromPyObject)]
pub(crate) struct Broker {
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    prefix: Option<String>,
    replicas: Option<usize>,
    most_bytes: Option<i64>,
    most_parcels: Option<i64>,
}

impl Broker {
    fn dress(&self, server: Server) -> Server {
        let server = self.prefix.iter().fold(server, |server, prefix| server.prefix(prefix));
        let server = self.token.iter().fold(server, |server, token| server.token(token));
        self.user.iter().zip(&self.password).fold(server, |server, (user, password)| server.password(user, password))
    }

    fn keeping(&self) -> Keeping {
        let usual = Keeping::default();
        Keeping {
            bytes: self.most_bytes.unwrap_or(usual.bytes),
            parcels: self.most_parcels.unwrap_or(usual.parcels),
            replicas: self.replicas.unwrap_or(usual.replicas),
            ..usual
        }
    }
}

/// A way that is not a stream: a scheme of a location, and whether TLS lies under it.
enum Kind {
    Nats,
    JetStream,
}

/// Connects to a server at `location`: `nats://`, `nats+tls://`, `jetstream://` or `jetstream+tls://`, then `host:port`.
pub(crate) async fn connect(
    location: &str,
    broker: Option<&Broker>,
    certificates: Option<&Certificates>,
) -> Result<Carrier, TransportError> {
    let (kind, scheme, place) = parsed(location)?;
    let server = Server::new(&format!("{scheme}://{place}"));
    let server = certificates.into_iter().fold(server, |server, given| {
        let server = given.authority.iter().fold(server, |server, file| server.authority(file));
        given.shown().into_iter().fold(server, |server, (certificate, key)| server.certificate(certificate, key))
    });
    let server = broker.into_iter().fold(server, |server, broker| broker.dress(server));
    let carrier = match kind {
        Kind::Nats => Nats::connect(&server).await.map(Carrier::Nats),
        Kind::JetStream => JetStream::connect(&server, broker.map(Broker::keeping).unwrap_or_default()).await.map(Carrier::JetStream),
    };
    carrier.map_err(|error| match error {
        TransportError::Failed(why) => TransportError::Failed(format!("{location}: {why}")),
        other => other,
    })
}

fn parsed(location: &str) -> Result<(Kind, &'static str, &str), TransportError> {
    let failed = |what: &str| Err(TransportError::Failed(what.into()));
    let Some((scheme, place)) = location.split_once("://") else {
        return failed("`via` is a location such as `jetstream://host:port`, or an object with `send` and `receive`");
    };
    if place.contains('@') {
        return failed("a password does not belong into `via`, where others may read it: put it into a file (docs/transports.md)");
    }
    if place.is_empty() {
        return failed("`via` names no host: `jetstream://host:port`");
    }
    match scheme {
        "nats" => Ok((Kind::Nats, "nats", place)),
        "nats+tls" => Ok((Kind::Nats, "tls", place)),
        "jetstream" => Ok((Kind::JetStream, "nats", place)),
        "jetstream+tls" => Ok((Kind::JetStream, "tls", place)),
        _ => failed("`via` begins with nats://, nats+tls://, jetstream:// or jetstream+tls://; tcp, tls and unix are listened at"),
    }
}
