//! [`Sockets`]: the ways a connection can be made, by the scheme of a location.

use std::{collections::HashMap, io, sync::Arc};

use super::layer::{ByteStream, Layer, Secured};
use crate::transport::Location;

/// Layers by their schemes; plain TCP and Unix sockets need none.
#[derive(Default)]
pub(super) struct Sockets(HashMap<String, Arc<dyn Layer>>);

/// Something that takes connections.
pub(super) enum Listener {
    #[cfg(feature = "tcp")]
    Tcp(tokio::net::TcpListener),
    #[cfg(all(feature = "unix", unix))]
    Unix(tokio::net::UnixListener),
}

impl Sockets {
    #[cfg(feature = "tcp")]
    pub(super) fn add(&mut self, scheme: &str, layer: Arc<dyn Layer>) {
        self.0.insert(scheme.into(), layer);
    }

    fn layer(&self, location: &Location) -> Option<&Arc<dyn Layer>> {
        self.0.get(location.scheme())
    }

    /// That this location can be reached or listened at.
    pub(super) fn check(&self, location: &Location) -> io::Result<()> {
        match location.scheme() {
            #[cfg(feature = "tcp")]
            "tcp" => Ok(()),
            #[cfg(all(feature = "unix", unix))]
            "unix" => Ok(()),
            _ if self.layer(location).is_some() => Ok(()),
            "tls" => Err(unsupported(location, "give the transport certificates, or use `tcp`: what it carries is sealed")),
            _ => Err(unsupported(location, "this transport was built without it")),
        }
    }

    pub(super) async fn connect(&self, location: &Location) -> io::Result<Secured> {
        let stream = match location.scheme() {
            #[cfg(all(feature = "unix", unix))]
            "unix" => Box::new(tokio::net::UnixStream::connect(location.place()).await?),
            _ => tcp(location).await?,
        };
        match self.layer(location) {
            Some(layer) => layer.connect(stream, location).await,
            None => Ok(Secured { stream, node: None }),
        }
    }

    /// Wraps what a [`Listener`] gave.
    pub(super) async fn accept(&self, stream: ByteStream, location: &Location) -> io::Result<Secured> {
        match self.layer(location) {
            Some(layer) => layer.accept(stream).await,
            None => Ok(Secured { stream, node: None }),
        }
    }
}

impl Listener {
    /// Listens at `location`; returns it with the port in place of 0.
    pub(super) async fn bind(location: &Location) -> io::Result<(Self, Location)> {
        match location.scheme() {
            #[cfg(all(feature = "unix", unix))]
            "unix" => Ok((Self::Unix(bind_unix(location.place()).await?), location.clone())),
            _ => bind_tcp(location).await,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<ByteStream> {
        match self {
            #[cfg(feature = "tcp")]
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Box::new(stream))
            }
            #[cfg(all(feature = "unix", unix))]
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
            #[cfg(not(any(feature = "tcp", all(feature = "unix", unix))))]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

#[cfg(feature = "tcp")]
async fn tcp(location: &Location) -> io::Result<ByteStream> {
    let stream = tokio::net::TcpStream::connect(location.place()).await?;
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

#[cfg(feature = "tcp")]
async fn bind_tcp(location: &Location) -> io::Result<(Listener, Location)> {
    let listener = tokio::net::TcpListener::bind(location.place()).await?;
    let text = format!("{}://{}", location.scheme(), listener.local_addr()?);
    let location = text.parse().map_err(|invalid| io::Error::new(io::ErrorKind::InvalidInput, invalid))?;
    Ok((Listener::Tcp(listener), location))
}

#[cfg(not(feature = "tcp"))]
async fn tcp(location: &Location) -> io::Result<ByteStream> {
    Err(unsupported(location, "this transport was built without it"))
}

#[cfg(not(feature = "tcp"))]
async fn bind_tcp(location: &Location) -> io::Result<(Listener, Location)> {
    Err(unsupported(location, "this transport was built without it"))
}

/// Takes the place of a socket that nobody listens at any more. Only the user may connect.
#[cfg(all(feature = "unix", unix))]
async fn bind_unix(path: &str) -> io::Result<tokio::net::UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    use tokio::net::{UnixListener, UnixStream};

    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(path).await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn unsupported(location: &Location, remedy: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("cannot use `{}` for {location}: {remedy}", location.scheme()))
}
