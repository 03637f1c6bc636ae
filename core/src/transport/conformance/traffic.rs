//! What the cases send, and how they look at what arrives.

use core::time::Duration;
use std::collections::BTreeSet;

use tokio::time::{Instant, sleep, timeout};

use super::{Course, Verdict, failed};
use crate::{
    address::Address,
    transport::{Delivery, Parcel, Transport, TransportError},
};

/// Size of an ordinary parcel; it begins with its number.
pub(super) const SMALL: usize = 200;

/// Pause before something that was not taken is sent again.
const AGAIN: Duration = Duration::from_millis(20);

/// The bytes of parcel `number`: no two numbers or places in it look alike.
pub(super) fn bytes(number: u64, size: usize) -> Vec<u8> {
    let fill = (0..).map(|place: u64| (place.wrapping_mul(31) ^ (place >> 8) ^ number.wrapping_mul(97)) as u8);
    number.to_be_bytes().into_iter().chain(fill).take(size).collect()
}

pub(super) fn parcel(number: u64, size: usize) -> Parcel {
    Parcel::in_the_open(bytes(number, size))
}

/// The number of a parcel, if its bytes are those that were sent.
pub(super) fn number_of(received: &[u8]) -> Result<u64, Verdict> {
    let number = received.first_chunk().map(|number| u64::from_be_bytes(*number));
    let number = number.ok_or_else(|| failed(format!("a parcel of {} bytes that nobody has sent", received.len())))?;
    if received == bytes(number, received.len()) { Ok(number) } else { Err(failed(format!("parcel {number} was altered"))) }
}

pub(super) fn address(text: &str) -> Result<Address, Verdict> {
    text.parse().map_err(|_| failed("no address"))
}

/// Sends until it was taken over, as callers do.
pub(super) async fn send(by: &impl Transport, to: &Address, parcel: Parcel, patience: Duration) -> Course {
    let deadline = Instant::now() + patience;
    loop {
        match timeout(patience, by.send(to, parcel.clone())).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error @ (TransportError::Closed | TransportError::TooLarge { .. }))) => {
                return Err(failed(format!("a parcel was refused: {error}")));
            }
            Ok(Err(error)) if Instant::now() > deadline => return Err(failed(format!("a parcel is not taken over: {error}"))),
            Ok(Err(_)) => sleep(AGAIN).await,
            Err(_) => return Err(failed("sending hangs")),
        }
    }
}

/// Sends `numbers`, one after the other.
pub(super) async fn send_all(by: &impl Transport, to: &Address, numbers: core::ops::Range<u64>, patience: Duration) -> Course {
    for number in numbers {
        send(by, to, parcel(number, SMALL), patience).await?;
    }
    Ok(())
}

pub(super) async fn receive<T: Transport>(at: &T, reader: &Address, patience: Duration) -> Result<T::Delivery, Verdict> {
    match timeout(patience, at.receive(reader)).await {
        Ok(Ok(delivery)) => Ok(delivery),
        Ok(Err(error)) => Err(failed(format!("receiving failed: {error}"))),
        Err(_) => Err(failed("a parcel was lost, or comes too late")),
    }
}

pub(super) async fn acknowledge(delivery: impl Delivery, patience: Duration) -> Course {
    match timeout(patience, delivery.acknowledge()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(format!("an acknowledgement failed: {error}"))),
        Err(_) => Err(failed("acknowledging hangs")),
    }
}

/// What a reader has seen: each number once, in the order of its first coming.
#[derive(Default)]
pub(super) struct Seen {
    all: BTreeSet<u64>,
    last: Option<u64>,
    may_be_out_of_order: bool,
}

impl Seen {
    /// Notes a parcel; an error if it comes before an earlier one of its sender.
    pub(super) fn note(&mut self, number: u64) -> Course {
        if !self.all.insert(number) {
            return Ok(());
        }
        if self.last.is_some_and(|last| number < last) && !self.may_be_out_of_order {
            return Err(failed(format!("parcel {number} came after a later one")));
        }
        self.last = Some(number);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// Receives and acknowledges until all `numbers` have come, in order and possibly more than once.
pub(super) async fn receive_all<T: Transport>(at: &T, reader: &Address, numbers: core::ops::Range<u64>, patience: Duration) -> Course {
    receive_each(at, reader, numbers, patience, true).await
}

/// The same, `in_order` or not.
pub(super) async fn receive_each<T: Transport>(
    at: &T,
    reader: &Address,
    numbers: core::ops::Range<u64>,
    patience: Duration,
    in_order: bool,
) -> Course {
    let mut seen = Seen { may_be_out_of_order: !in_order, ..Seen::default() };
    let expected = (numbers.end - numbers.start) as usize;
    while seen.len() < expected {
        let delivery = receive(at, reader, patience).await.map_err(|verdict| match verdict {
            Verdict::Failed(why) => failed(format!("{why} ({} of {expected} came)", seen.len())),
            other => other,
        })?;
        let number = number_of(delivery.bytes())?;
        if !numbers.contains(&number) {
            return Err(failed(format!("parcel {number} is not for {reader}")));
        }
        seen.note(number)?;
        acknowledge(delivery, patience).await?;
    }
    Ok(())
}
