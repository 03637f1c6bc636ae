//! The suite can fail: transports with one flaw each.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::*;
use crate::{
    address::Address,
    transport::{Delivery, Memory, MemoryDelivery, Parcel, TransportError},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    Loses,
    Swaps,
    Alters,
    Truncates,
    GivesToAnother,
    ForgetsWhatIsDropped,
    RepeatsWhatIsDone,
    LosesWhenGivenUp,
    HasNoBound,
    StopsForAll,
    NeverCloses,
    TakesWhenClosed,
    LosesWhenCut,
    ForgetsWhatWasInHand,
    DiesOfNoise,
    ComesTooEarly,
}

#[derive(Clone)]
struct Flawed {
    inner: Memory,
    flaw: Flaw,
    count: Arc<AtomicU64>,
    kept: Arc<Mutex<Vec<(Address, Parcel)>>>,
    broken: Arc<AtomicU64>,
}

impl Flawed {
    fn new(flaw: Flaw) -> Self {
        Self { inner: Memory::new(), flaw, count: Arc::default(), kept: Arc::default(), broken: Arc::default() }
    }

    fn keep(&self, to: &Address, parcel: Parcel) -> Option<(Address, Parcel)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push((to.clone(), parcel));
        if kept.len() > 1 { kept.pop() } else { None }
    }

    fn kept(&self) -> Option<(Address, Parcel)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

struct FlawedDelivery {
    inner: Option<MemoryDelivery>,
    flaw: Flaw,
    again: Option<(Memory, Address)>,
}

impl Delivery for FlawedDelivery {
    fn bytes(&self) -> &[u8] {
        self.inner.as_ref().map(Delivery::bytes).unwrap_or_default()
    }

    async fn acknowledge(mut self) -> Result<(), TransportError> {
        if let (Flaw::RepeatsWhatIsDone, Some((memory, to))) = (self.flaw, &self.again) {
            let _ = memory.send(to, Parcel::in_the_open(self.bytes().to_vec())).await;
        }
        self.inner.take().expect("not acknowledged").acknowledge().await
    }
}

impl Drop for FlawedDelivery {
    fn drop(&mut self) {
        if let (Flaw::ForgetsWhatIsDropped | Flaw::ForgetsWhatWasInHand, Some(inner)) = (self.flaw, self.inner.take()) {
            let _ = core::pin::pin!(inner.acknowledge()).poll(&mut core::task::Context::from_waker(core::task::Waker::noop()));
        }
    }
}

impl Transport for Flawed {
    type Delivery = FlawedDelivery;

    async fn send(&self, to: &Address, parcel: Parcel) -> Result<(), TransportError> {
        let count = self.count.fetch_add(1, Relaxed);
        let mut bytes = parcel.as_bytes().to_vec();
        match self.flaw {
            Flaw::Loses if count % 7 == 6 => return Ok(()),
            Flaw::LosesWhenCut if self.broken.swap(0, Relaxed) > 0 => return Ok(()),
            Flaw::DiesOfNoise if self.broken.load(Relaxed) > 0 => return Err(TransportError::Failed("dead".into())),
            Flaw::Alters => *bytes.last_mut().expect("no parcel is empty") ^= 1,
            Flaw::Truncates => bytes.truncate(1024 * 1024),
            Flaw::GivesToAnother if to.name() == "other.one" => {
                return self.inner.send(&"one@b".parse().expect("an address"), parcel).await;
            }
            Flaw::Swaps if count % 5 == 3 => {
                self.keep(to, parcel);
                return Ok(());
            }
            Flaw::Swaps => {
                self.inner.send(to, parcel).await?;
                return match self.kept() {
                    Some((to, kept)) => self.inner.send(&to, kept).await,
                    None => Ok(()),
                };
            }
            Flaw::HasNoBound if bytes.len() > 60_000 => return Ok(()),
            Flaw::StopsForAll => {
                while self.broken.load(Relaxed) >= 100 {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                self.broken.fetch_add(1, Relaxed);
            }
            Flaw::TakesWhenClosed => {
                let _ = self.inner.send(to, parcel).await;
                return Ok(());
            }
            _ => {}
        }
        self.inner.send(to, Parcel::in_the_open(bytes)).await
    }

    async fn receive(&self, reader: &Address) -> Result<FlawedDelivery, TransportError> {
        let received = self.inner.receive(reader).await;
        match self.flaw {
            Flaw::NeverCloses if received.is_err() => core::future::pending().await,
            Flaw::StopsForAll => _ = self.broken.fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1)),
            _ => {}
        }
        let mut delivery = FlawedDelivery { inner: Some(received?), flaw: self.flaw, again: Some((self.inner.clone(), reader.clone())) };
        if self.flaw == Flaw::LosesWhenGivenUp {
            delivery.flaw = Flaw::ForgetsWhatIsDropped;
            tokio::time::sleep(Duration::from_micros(300)).await;
            delivery.flaw = Flaw::None;
        }
        Ok(delivery)
    }
}

struct Flaws(Flaw);

impl Fixture for Flaws {
    type Ends = Flawed;

    async fn open(&self) -> Result<Flawed, String> {
        if self.0 == Flaw::ComesTooEarly { Err("no server".into()) } else { Ok(Flawed::new(self.0)) }
    }
}

impl Ends for Flawed {
    type Transport = Self;

    fn a(&self) -> &Self {
        self
    }

    fn b(&self) -> &Self {
        self
    }

    async fn close(&self) {
        self.inner.close();
    }

    async fn cut(&self) -> Ability {
        self.broken.store(1, Relaxed);
        Ability::Done
    }

    async fn restart_b(&mut self) -> Ability {
        if self.flaw == Flaw::ForgetsWhatWasInHand { Ability::Done } else { Ability::Missing }
    }

    async fn intrude(&self, _: &[u8]) -> Ability {
        self.broken.store(1, Relaxed);
        Ability::Done
    }
}

#[tokio::test]
async fn memory_passes() {
    let report = Suite::default().run(&Flaws(Flaw::None)).await;
    assert!(report.passed(), "{report}");
    assert_eq!(report.verdicts().len(), 17);
}

#[tokio::test]
async fn each_flaw_is_found_by_the_case_for_it() {
    let flaws = [
        (Flaw::Loses, "many small parcels all come"),
        (Flaw::Swaps, "parcels to one reader come in order"),
        (Flaw::Alters, "every size comes as it was sent"),
        (Flaw::Truncates, "the largest parcels come whole"),
        (Flaw::GivesToAnother, "readers get their own, in both directions"),
        (Flaw::ForgetsWhatIsDropped, "what was not acknowledged comes again"),
        (Flaw::ForgetsWhatIsDropped, "acknowledgements may come in any order"),
        (Flaw::RepeatsWhatIsDone, "what was acknowledged comes no more"),
        (Flaw::LosesWhenGivenUp, "giving up a receive loses nothing"),
        (Flaw::HasNoBound, "a reader that has stopped stops its senders"),
        (Flaw::StopsForAll, "a reader that has stopped stops nobody else"),
        (Flaw::NeverCloses, "closing ends a receive that waits"),
        (Flaw::TakesWhenClosed, "a closed transport takes nothing"),
        (Flaw::LosesWhenCut, "a cut connection loses nothing"),
        (Flaw::ForgetsWhatWasInHand, "what a killed reader had in hand comes again"),
        (Flaw::DiesOfNoise, "hostile bytes harm nobody else"),
        (Flaw::ComesTooEarly, "a reader may come late"),
    ];
    let suite = Suite::default().patience(Duration::from_millis(1500));
    let local = tokio::task::LocalSet::new(); // all at once: most of the time is spent waiting for what does not come
    let running = flaws.map(|(flaw, case)| local.spawn_local(async move { suite.only(case).run(&Flaws(flaw)).await }));
    local.await;
    for ((flaw, case), report) in flaws.iter().zip(running) {
        let report = report.await.expect("the suite does not panic");
        assert!(!report.verdicts().is_empty(), "there is no case {case:?}");
        assert!(!report.passed(), "{flaw:?} was not found: {report}");
    }
}
