//! [`Layer`]: what may lie between a socket and the frames, such as TLS.

use core::{fmt, future::Future, pin::Pin};
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::transport::Location;

/// A stream of bytes in both directions.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Any [`Stream`].
pub type ByteStream = Box<dyn Stream>;

/// A future of any kind.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A stream with what its layer has found out about the other side.
pub struct Secured {
    /// The stream, for plain bytes.
    pub stream: ByteStream,
    /// The node the other side has proven to be, if the layer proves such things. It may then speak for this node and its agents only.
    pub node: Option<String>,
}

impl fmt::Debug for Secured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secured").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Wraps a connection that was just made: a handshake, then bytes both ways.
///
/// TLS is one; give a layer of your own a scheme with [`Builder::layer`](super::Builder::layer), and `scheme://host:port` is TCP under
/// it. Envelopes are sealed and signed without any, so a layer hides who talks to whom, and keeps strangers from wasting your time.
pub trait Layer: Send + Sync + 'static {
    /// Wraps a connection made to `location`.
    fn connect<'a>(&'a self, stream: ByteStream, location: &'a Location) -> Pending<'a, io::Result<Secured>>;

    /// Wraps a connection that came in.
    fn accept(&self, stream: ByteStream) -> Pending<'_, io::Result<Secured>>;
}
