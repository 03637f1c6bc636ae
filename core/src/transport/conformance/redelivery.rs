//! Cases of what comes again, and what does not.

use core::time::Duration;
use std::collections::BTreeSet;

use tokio::time::timeout;

use super::{
    Course, Ends, Verdict, failed,
    traffic::{acknowledge, address, number_of, receive, receive_all, send_all},
};
use crate::transport::{Delivery, Transport};

/// Silence after which nothing more is expected. A transport that repeats without end fails by its endlessness, not by this number.
const QUIET: Duration = Duration::from_millis(500);

pub(super) async fn dropped<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let receiving = async {
        for _ in 0..3 {
            drop(receive(ends.b(), &reader, patience).await?);
        }
        receive_all(ends.b(), &reader, 0..20, patience).await
    };
    tokio::try_join!(send_all(ends.a(), &reader, 0..20, patience), receiving).map(|_| ())
}

/// Ten in hand at once: the last of them are acknowledged, the first are dropped and must come again.
pub(super) async fn out_of_order<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let receiving = async {
        let mut hands = Vec::new();
        for _ in 0..10 {
            hands.push(receive(ends.b(), &reader, patience).await?);
        }
        let mut missing: BTreeSet<u64> = (0..10).collect();
        for delivery in hands.drain(5..).rev() {
            missing.remove(&number_of(delivery.bytes())?);
            acknowledge(delivery, patience).await?;
        }
        drop(hands);
        while !missing.is_empty() {
            let delivery = receive(ends.b(), &reader, patience).await?;
            missing.remove(&number_of(delivery.bytes())?);
            acknowledge(delivery, patience).await?;
        }
        Ok(())
    };
    tokio::try_join!(send_all(ends.a(), &reader, 0..10, patience), receiving).map(|_| ())
}

pub(super) async fn acknowledged<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    tokio::try_join!(send_all(ends.a(), &reader, 0..20, patience), receive_all(ends.b(), &reader, 0..20, patience))?;
    // Some may be repeated; each that comes is acknowledged again, and then there is an end of it.
    for _ in 0..20 {
        match timeout(QUIET, ends.b().receive(&reader)).await {
            Err(_) => return Ok(()),
            Ok(Ok(delivery)) => acknowledge(delivery, patience).await?,
            Ok(Err(error)) => return Err(failed(format!("receiving failed: {error}"))),
        }
    }
    Err(failed("parcels come again although they were acknowledged"))
}

/// Receives are given up all the time, as `select!` does; what they would have given must come to the next one.
pub(super) async fn cancelled<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let receiving = async {
        let mut missing: BTreeSet<u64> = (0..200).collect();
        let mut impatient = 0;
        while !missing.is_empty() {
            let time = if impatient < 2000 { Duration::from_micros(impatient % 7 * 100) } else { patience };
            impatient += 1;
            match timeout(time, ends.b().receive(&reader)).await {
                Err(_) if impatient > 2000 => return Err(failed(format!("{} parcels were lost", missing.len()))),
                Err(_) => tokio::task::yield_now().await,
                Ok(Ok(delivery)) => {
                    missing.remove(&number_of(delivery.bytes())?);
                    acknowledge(delivery, patience).await?;
                }
                Ok(Err(error)) => return Err(failed(format!("receiving failed: {error}"))),
            }
        }
        Ok::<_, Verdict>(())
    };
    tokio::try_join!(send_all(ends.a(), &reader, 0..200, patience), receiving).map(|_| ())
}
