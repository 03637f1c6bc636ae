//! [`Builder`]: what a [`Streams`] is made of.

use std::{fmt, io, sync::Arc};

use tokio::sync::{Semaphore, watch};

use super::{Handle, READING, Shared, Streams, frame, listener, socket::Sockets};
use crate::transport::Location;

/// A [`Streams`] to be.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    names: Vec<String>,
    listen: Vec<String>,
    peers: Vec<(String, String)>,
    sockets: Sockets,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { names, listen, peers, .. } = self;
        f.debug_struct("Builder").field("names", names).field("listen", listen).field("peers", peers).finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new(name: &str) -> Self {
        Self { names: vec![name.into()], listen: Vec::new(), peers: Vec::new(), sockets: Sockets::default() }
    }

    /// Speaks for another node or agent as well.
    pub fn name(mut self, name: &str) -> Self {
        self.names.push(name.into());
        self
    }

    /// Takes connections there, as in `tcp://0.0.0.0:7451` or `unix:///run/pi2.socket`; port 0 lets the system choose. Without any, peers
    /// are served over the connections that this side makes.
    pub fn listen(mut self, location: &str) -> Self {
        self.listen.push(location.into());
        self
    }

    /// Tells where a node or an agent is, as in `("pi2", "tcp://10.0.0.3:7451")`. A connection to it is made and kept.
    pub fn peer(mut self, name: &str, location: &str) -> Self {
        self.peers.push((name.into(), location.into()));
        self
    }

    /// Lets `scheme://host:port` mean TCP under `layer`.
    #[cfg(feature = "tcp")]
    pub fn layer(mut self, scheme: &str, layer: impl super::Layer) -> Self {
        self.sockets.add(scheme, Arc::new(layer));
        self
    }

    /// Lets `tls://host:port` be used, with these certificates.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: super::Tls) -> Self {
        self.layer("tls", tls)
    }

    /// Starts it, on the present tokio runtime.
    ///
    /// # Errors
    /// If a name or a location is not of its form, or it cannot listen there.
    pub async fn build(self) -> io::Result<Streams> {
        if self.names.len() > frame::MAX_NAMES || !self.names.iter().all(|name| frame::is_name(name)) {
            return Err(invalid("a transport speaks for 1 to 32 nodes or agents, such as `pi1` or `researcher@pi1`"));
        }
        let shared = Arc::new(Shared {
            names: self.names,
            sockets: self.sockets,
            inboxes: Arc::default(),
            budget: Arc::new(Semaphore::new(READING)),
            closing: watch::Sender::new(false),
            state: Default::default(),
        });
        let streams = Streams(Arc::new(Handle(Arc::clone(&shared))));
        for location in &self.listen {
            let location = listener::start(&shared, parse(location)?).await?;
            shared.lock().listening.push(location);
        }
        for (name, location) in &self.peers {
            streams.set_peer(name, parse(location)?)?;
        }
        Ok(streams)
    }
}

fn parse(location: &str) -> io::Result<Location> {
    location.parse().map_err(|invalid| io::Error::new(io::ErrorKind::InvalidInput, invalid))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
