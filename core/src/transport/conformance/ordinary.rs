//! Cases of ordinary traffic.

use core::time::Duration;

use super::{
    Course, Ends, failed,
    traffic::{acknowledge, address, number_of, parcel, receive, receive_all, send, send_all},
};
use crate::{limits::MAX_PARCEL, transport::Delivery};

pub(super) async fn order<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let sending = send_all(ends.a(), &reader, 0..500, patience);
    tokio::try_join!(sending, receive_all(ends.b(), &reader, 0..500, patience)).map(|_| ())
}

/// Around the numbers at which length fields and buffers of a transport change.
pub(super) async fn sizes<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let around = |size: usize| [size - 1, size, size + 1];
    let sizes = [9, 127, 255, 4096, 16 * 1024, 64 * 1024, 1024 * 1024].map(around);
    for (number, size) in sizes.into_iter().flatten().enumerate() {
        let sending = send(ends.a(), &reader, parcel(number as u64, size), patience);
        let receiving = async {
            loop {
                let delivery = receive(ends.b(), &reader, patience).await?;
                let (came, length) = (number_of(delivery.bytes())?, delivery.bytes().len());
                acknowledge(delivery, patience).await?;
                match came == number as u64 {
                    true if length != size => return Err(failed(format!("a parcel of {size} bytes came as {length}"))),
                    true => return Ok(()),
                    false => {}
                }
            }
        };
        tokio::try_join!(sending, receiving)?;
    }
    Ok(())
}

pub(super) async fn largest<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let sending = async {
        for number in 0..3 {
            send(ends.a(), &reader, parcel(number, MAX_PARCEL), patience).await?;
        }
        Ok(())
    };
    let receiving = async {
        let mut last = None;
        while last != Some(2) {
            let delivery = receive(ends.b(), &reader, patience).await?;
            if delivery.bytes().len() != MAX_PARCEL {
                return Err(failed(format!("of {MAX_PARCEL} bytes {} came", delivery.bytes().len())));
            }
            last = Some(number_of(delivery.bytes())?);
            acknowledge(delivery, patience).await?;
        }
        Ok(())
    };
    tokio::try_join!(sending, receiving).map(|_| ())
}

pub(super) async fn many<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let sending = send_all(ends.a(), &reader, 0..5000, patience);
    tokio::try_join!(sending, receive_all(ends.b(), &reader, 0..5000, patience)).map(|_| ())
}

pub(super) async fn readers<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let (one, other, back) = (address("one@b")?, address("other.one@b")?, address("one@a")?);
    tokio::try_join!(
        send_all(ends.a(), &one, 0..50, patience),
        send_all(ends.a(), &other, 100..150, patience),
        send_all(ends.b(), &back, 200..250, patience),
        receive_all(ends.b(), &one, 0..50, patience),
        receive_all(ends.b(), &other, 100..150, patience),
        receive_all(ends.a(), &back, 200..250, patience),
    )
    .map(|_| ())
}

pub(super) async fn late<E: Ends>(ends: &mut E, patience: Duration) -> Course {
    let reader = address("reader@b")?;
    let receiving = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        receive_all(ends.b(), &reader, 0..50, patience).await
    };
    tokio::try_join!(send_all(ends.a(), &reader, 0..50, patience), receiving).map(|_| ())
}
