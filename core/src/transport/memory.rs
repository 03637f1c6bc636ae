//! [`Memory`]: a transport within one process.

use core::{
    future::poll_fn,
    task::{Poll, Waker},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Delivery, Parcel, Transport, TransportError};
use crate::address::Address;

/// Parcels held for one reader. More means that the reader has stopped.
const MAX_QUEUED: usize = 1024;

/// A queue for each reader, in memory. Clones share their queues.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Queues>>);

#[derive(Default)]
struct Queues {
    of: HashMap<Address, Queue>,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Vec<u8>>,
    wakers: Vec<Waker>,
}

impl Memory {
    /// An empty transport.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends it: what is queued is still given, then [`TransportError::Closed`].
    pub fn close(&self) {
        let mut queues = self.lock();
        queues.closed = true;
        queues.of.values_mut().for_each(Queue::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl core::fmt::Debug for Memory {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Memory")
    }
}

impl Queue {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl Transport for Memory {
    type Delivery = MemoryDelivery;

    async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        let mut queues = self.lock();
        if queues.closed {
            return Err(TransportError::Closed);
        }
        let queue = queues.of.entry(to.clone()).or_default();
        if queue.waiting.len() >= MAX_QUEUED {
            return Err(TransportError::Full { limit: MAX_QUEUED });
        }
        queue.waiting.push_back(parcel.into_bytes());
        queue.wake();
        Ok(())
    }

    async fn receive(&self, reader: &Address) -> Result<MemoryDelivery, TransportError> {
        poll_fn(|context| {
            let mut queues = self.lock();
            let closed = queues.closed;
            let queue = queues.of.entry(reader.clone()).or_default();
            if let Some(bytes) = queue.waiting.pop_front() {
                let (from, reader) = (self.clone(), reader.clone());
                return Poll::Ready(Ok(MemoryDelivery { bytes: Some(bytes), from, reader }));
            }
            if closed {
                return Poll::Ready(Err(TransportError::Closed));
            }
            if !queue.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                queue.wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

/// A parcel taken from a [`Memory`].
pub struct MemoryDelivery {
    bytes: Option<Vec<u8>>,
    from: Memory,
    reader: Address,
}

impl Delivery for MemoryDelivery {
    fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }

    async fn acknowledge(mut self) -> Result<(), TransportError> {
        self.bytes = None;
        Ok(())
    }
}

impl Drop for MemoryDelivery {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            let mut queues = self.from.lock();
            let queue = queues.of.entry(self.reader.clone()).or_default();
            queue.waiting.push_front(bytes);
            queue.wake();
        }
    }
}

impl core::fmt::Debug for MemoryDelivery {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "MemoryDelivery({} bytes)", self.bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use core::{pin::pin, task::Context};
    use std::{sync::Arc, task::Wake, thread};

    use super::*;
    use crate::{Draft, Endpoint};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    struct Unpark(thread::Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    /// Waits for a future on this thread: no runtime is needed.
    fn wait<F: Future>(future: F) -> F::Output {
        let mut future = pin!(future);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => thread::park(),
            }
        }
    }

    fn parcels(count: usize) -> Result<(Address, Vec<Parcel>), Box<dyn std::error::Error>> {
        let endpoint = Endpoint::builder().in_memory("local")?;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        let seal = |_| endpoint.seal(&a, &b, &Draft::new("task", "x")).map(|sealed| sealed.envelope.into());
        let sealed = (0..count).map(seal).collect::<Result<_, _>>()?;
        Ok((b, sealed))
    }

    #[test]
    fn parcels_come_in_order_and_once() -> Outcome {
        let (transport, (to, sent)) = (Memory::new(), parcels(3)?);
        for parcel in &sent {
            wait(transport.send(&to, parcel.clone()))?;
        }
        transport.close();
        for parcel in &sent {
            let delivery = wait(transport.receive(&to))?;
            assert_eq!(delivery.bytes(), parcel.as_bytes());
            wait(delivery.acknowledge())?;
        }
        assert_eq!(wait(transport.receive(&to)).err(), Some(TransportError::Closed));
        assert_eq!(wait(transport.send(&to, sent[0].clone())), Err(TransportError::Closed));
        Ok(())
    }

    #[test]
    fn what_was_not_acknowledged_comes_again_first() -> Outcome {
        let (transport, (to, sent)) = (Memory::new(), parcels(2)?);
        for parcel in &sent {
            wait(transport.send(&to, parcel.clone()))?;
        }
        drop(wait(transport.receive(&to))?);
        assert_eq!(wait(transport.receive(&to))?.bytes(), sent[0].as_bytes());
        Ok(())
    }

    #[test]
    fn a_reader_that_waits_is_woken() -> Outcome {
        let (transport, (to, sent)) = (Memory::new(), parcels(1)?);
        let (other, reader) = (transport.clone(), to.clone());
        let waiting = thread::spawn(move || wait(other.receive(&reader)).map(|delivery| delivery.bytes().to_vec()));
        wait(transport.send(&to, sent[0].clone()))?;
        assert_eq!(waiting.join().map_err(|_| "the reader panicked")??, sent[0].as_bytes());
        Ok(())
    }

    #[test]
    fn a_reader_that_has_stopped_stops_its_senders() -> Outcome {
        let (transport, (to, sent)) = (Memory::new(), parcels(1)?);
        for _ in 0..MAX_QUEUED {
            wait(transport.send(&to, sent[0].clone()))?;
        }
        assert_eq!(wait(transport.send(&to, sent[0].clone())), Err(TransportError::Full { limit: MAX_QUEUED }));
        Ok(())
    }
}
