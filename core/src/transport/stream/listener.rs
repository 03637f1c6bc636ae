//! Taking connections from peers.

use core::time::Duration;
use std::{io, sync::Arc};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::{ByteStream, HELLO, Location, Shared, read_hello, send_hello, socket::Listener};

/// Connections that were taken, at a listener: more than a household or a team has nodes, and each costs some 100 KiB.
const MAX_CONNECTIONS: usize = 256;

/// Connections that have not said hello yet, so that strangers who say nothing leave room for peers.
const MAX_STRANGERS: usize = 64;

/// Pause when the system gives no connection, for instance because too many files are open.
const RECOVERY: Duration = Duration::from_millis(200);

/// Listens at `location` until the transport is closed; returns where, with the port that was given.
pub(super) async fn start(shared: &Arc<Shared>, location: Location) -> io::Result<Location> {
    shared.sockets.check(&location)?;
    let bound = Listener::bind(&location).await;
    let (listener, location) = bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen at {location}: {error}")))?;
    tokio::spawn(run(Arc::clone(shared), listener, location.clone()));
    Ok(location)
}

async fn run(shared: Arc<Shared>, listener: Listener, location: Location) {
    let (connections, strangers) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), Arc::new(Semaphore::new(MAX_STRANGERS)));
    let mut closing = shared.closing.subscribe();
    while !*closing.borrow() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.changed() => break,
        };
        let Ok(stream) = accepted else {
            sleep(RECOVERY).await;
            continue;
        };
        // Beyond a limit it is hung up at once: the peer comes back, and the limit holds.
        let (Ok(connection), Ok(stranger)) = (Arc::clone(&connections).try_acquire_owned(), Arc::clone(&strangers).try_acquire_owned())
        else {
            continue;
        };
        let (shared, location) = (Arc::clone(&shared), location.clone());
        tokio::spawn(async move {
            let _connection = connection;
            // A connection that ends is nothing to act on: who made it makes it anew.
            let _ = serve(shared, stream, &location, stranger).await;
        });
    }
    #[cfg(all(feature = "unix", unix))]
    if location.scheme() == "unix" {
        drop(listener);
        let _ = std::fs::remove_file(location.place());
    }
}

async fn serve(shared: Arc<Shared>, stream: ByteStream, location: &Location, stranger: OwnedSemaphorePermit) -> io::Result<()> {
    let greet = async {
        let mut secured = shared.sockets.accept(stream, location).await?;
        let hello = read_hello(&mut secured.stream, secured.node.as_deref()).await?;
        let (link, purpose) = shared.link_from(&hello.names)?;
        send_hello(&mut secured.stream, &shared.hello(link.session)).await?;
        io::Result::Ok((secured.stream, hello, link, purpose))
    };
    let (stream, hello, link, purpose) = timeout(HELLO, greet).await??;
    drop(stranger);
    shared.connection(hello.session, link, purpose).serve(stream).await
}
