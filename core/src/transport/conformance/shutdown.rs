//! Cases of closing.

use core::time::Duration;

use tokio::time::timeout;

use super::{
    Course, Ends, failed,
    traffic::{address, parcel, receive_all, send_all},
};
use crate::transport::{Delivery, Transport, TransportError};

pub(super) async fn waiting<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let (here, there) = (address("reader@b")?, address("reader@a")?);
    tokio::try_join!(send_all(ends.a(), &here, 0..5, patience), receive_all(ends.b(), &here, 0..5, patience))?;
    let closing = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        ends.close().await;
    };
    let receiving = async { tokio::join!(until_closed(ends.b(), &here), until_closed(ends.a(), &there)) };
    let both = async { tokio::join!(receiving, closing).0 };
    match timeout(patience, both).await {
        Ok((one, other)) => one.and(other),
        Err(_) => Err(failed("a receive goes on waiting after the transport was closed")),
    }
}

/// What had arrived may still be given; then the transport says that it is closed, and says it again.
async fn until_closed(at: &impl Transport, reader: &crate::address::Address) -> Course {
    for _ in 0..2 {
        loop {
            match at.receive(reader).await {
                Ok(delivery) => {
                    let _ = delivery.acknowledge().await; // a closed transport may fail at that
                    tokio::task::yield_now().await;
                }
                Err(TransportError::Closed) => break,
                Err(error) => return Err(failed(format!("a closed transport says: {error}"))),
            }
        }
    }
    Ok(())
}

pub(super) async fn sending<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    ends.close().await;
    for number in 0..3 {
        match timeout(patience, ends.a().send(&reader, parcel(number, 100))).await {
            Ok(Err(TransportError::Closed)) => {}
            Ok(Err(error)) => return Err(failed(format!("a closed transport says: {error}"))),
            Ok(Ok(())) => return Err(failed("a closed transport takes parcels")),
            Err(_) => return Err(failed("sending hangs after the transport was closed")),
        }
    }
    Ok(())
}
