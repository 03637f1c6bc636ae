//! A transport in the hands of an attacker.

use std::{
    collections::VecDeque,
    sync::Mutex,
    task::{Context, Poll, Waker},
};

use sealwire::{Address, Endpoint, Envelope, Message, OpenError, Parcel, Transport, TransportError, transport::Delivery};

/// Makes of one envelope what is delivered in its place, in order.
type Attack = Box<dyn Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync>;

/// Delivers, instead of each envelope, whatever the attack makes of it. It ignores addresses: everybody can read everything.
pub(crate) struct Hostile {
    attack: Attack,
    wire: Mutex<VecDeque<Vec<u8>>>,
}

impl Hostile {
    pub(crate) fn new(attack: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self { attack: Box::new(attack), wire: Mutex::default() }
    }

    /// Sends an envelope and opens, at `reader`, all that arrives in its place.
    pub(crate) fn carry(&self, envelope: Envelope, to: &Address, reader: &Endpoint) -> Vec<Result<Message, OpenError>> {
        now(self.send(to, envelope.into())).unwrap();
        let mut outcomes = Vec::new();
        while let Ok(delivery) = now(self.receive(to)) {
            outcomes.push(open(reader, delivery.bytes()));
            now(delivery.acknowledge()).unwrap();
        }
        outcomes
    }
}

impl Transport for Hostile {
    type Delivery = Arrived;

    async fn send(&self, _: &Address, parcel: Parcel) -> Result<(), TransportError> {
        self.wire.lock().unwrap().extend((self.attack)(parcel.as_bytes()));
        Ok(())
    }

    async fn receive(&self, _: &Address) -> Result<Arrived, TransportError> {
        self.wire.lock().unwrap().pop_front().map(Arrived).ok_or(TransportError::Closed)
    }
}

pub(crate) struct Arrived(Vec<u8>);

impl Delivery for Arrived {
    fn bytes(&self) -> &[u8] {
        &self.0
    }

    async fn acknowledge(self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// Opens bytes off the wire.
pub(crate) fn open(reader: &Endpoint, bytes: &[u8]) -> Result<Message, OpenError> {
    reader.open(&Envelope::parse(bytes.to_vec())?)
}

/// The result of a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("this transport never waits"),
    }
}
