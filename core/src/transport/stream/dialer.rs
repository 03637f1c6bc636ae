//! Making a connection to a peer, and making it again.

use core::time::Duration;
use std::{io, sync::Arc};

use tokio::time::{Instant, sleep, timeout};

use super::{HELLO, Location, Shared, Use, frame, jittered, link::Link, read_hello, send_hello};

/// Pause before a connection is made again, doubled each time up to the second number. Short, as a Pi that was switched on again is
/// waited for; a try costs a packet.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A connection that lasted this long was a good one: the pause begins anew.
const STEADY: Duration = Duration::from_secs(5);

/// Keeps a connection to peer `name`, until it is forgotten or the transport is closed.
pub(super) async fn run(shared: Arc<Shared>, name: String, link: Arc<Link>) {
    let mut closing = shared.closing.subscribe();
    let mut pause = PAUSE.0;
    while let Some(location) = link.location().filter(|_| !link.is_closed() && !*closing.borrow()) {
        let started = Instant::now();
        let ended = tokio::select! {
            ended = connect(&shared, &name, &location, &link) => Some(ended),
            _ = link.moved.notified() => None,
        };
        if let Some(Err(error)) = &ended {
            link.set_trouble(format!("{location}: {error}"));
        }
        if ended.is_none() || started.elapsed() > STEADY {
            pause = PAUSE.0;
        }
        // Who comes cuts the pause short, never a try: anybody can say a hello.
        tokio::select! {
            () = sleep(jittered(pause)) => {}
            _ = link.back.notified() => {}
            _ = link.moved.notified() => {}
            _ = closing.changed() => {}
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

async fn connect(shared: &Arc<Shared>, name: &str, location: &Location, link: &Arc<Link>) -> io::Result<()> {
    let greet = async {
        let mut secured = shared.sockets.connect(location).await?;
        send_hello(&mut secured.stream, &shared.hello(link.session)).await?;
        let hello = read_hello(&mut secured.stream, secured.node.as_deref()).await?;
        io::Result::Ok((secured.stream, hello))
    };
    let (stream, hello) = timeout(HELLO, greet).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
    if !hello.names.iter().any(|found| found == name || name.split_once('@').is_some_and(|(_, node)| found == node)) {
        return Err(frame::invalid("another node answers there"));
    }
    shared.connection(hello.session, Arc::clone(link), Use::Sending).serve(stream).await
}
