//! Cases of readers that are slower than their senders.

use core::time::Duration;

use tokio::time::timeout;

use super::{
    Course, Ends, failed,
    traffic::{acknowledge, address, number_of, parcel, receive, receive_all, send, send_all},
};
use crate::transport::{Delivery, Transport, TransportError};

/// Size of the parcels that fill a transport.
const LARGE: usize = 64 * 1024;

/// How many of them a transport may take for a reader that has stopped: 256 MiB. More has no bound.
const TOO_MANY: u64 = 4096;

/// How long a send may wait for room before that counts as back-pressure.
const WAITING: Duration = Duration::from_secs(3);

/// Fills the way to a reader that holds one parcel and reads no more; then it reads again, and all that was taken over comes.
pub(super) async fn stopped<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let (_, first) = tokio::try_join!(send(ends.a(), &reader, parcel(0, LARGE), patience), receive(ends.b(), &reader, patience))?;
    let mut taken = 1;
    loop {
        match timeout(WAITING.min(patience), ends.a().send(&reader, parcel(taken, LARGE))).await {
            Ok(Ok(())) => taken += 1,
            Err(_) | Ok(Err(TransportError::Full { .. })) => break,
            Ok(Err(error)) => return Err(failed(format!("a full transport says: {error}"))),
        }
        if taken == TOO_MANY {
            return Err(failed(format!("it took {taken} parcels of {LARGE} bytes for a reader that has stopped")));
        }
    }
    acknowledge(first, patience).await?;
    // The send that was given up may have been taken over all the same.
    let mut last = 0;
    while last + 1 < taken {
        let delivery = receive(ends.b(), &reader, patience).await?;
        last = last.max(number_of(delivery.bytes())?);
        acknowledge(delivery, patience).await?;
    }
    let again = taken + 1;
    let receiving = async {
        while last != again {
            let delivery = receive(ends.b(), &reader, patience).await?;
            last = number_of(delivery.bytes())?;
            acknowledge(delivery, patience).await?;
        }
        Ok(())
    };
    tokio::try_join!(send(ends.a(), &reader, parcel(again, LARGE), patience), receiving).map(|_| ())
}

pub(super) async fn others<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let (slow, quick) = (address("slow@b")?, address("quick@b")?);
    let (_, held) = tokio::try_join!(send(ends.a(), &slow, parcel(0, LARGE), patience), receive(ends.b(), &slow, patience))?;
    for number in 1..TOO_MANY {
        if !matches!(timeout(WAITING.min(patience), ends.a().send(&slow, parcel(number, LARGE))).await, Ok(Ok(()))) {
            break;
        }
    }
    tokio::try_join!(send_all(ends.a(), &quick, 0..50, patience), receive_all(ends.b(), &quick, 0..50, patience))?;
    acknowledge(held, patience).await
}
