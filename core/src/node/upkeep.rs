//! What a node does with time: sends again, gives up, acknowledges, takes back.

use std::sync::{Arc, PoisonError};

use tokio::time::{Duration, Instant, sleep_until};

use super::{
    Inner, NodeError,
    confirmations::AT_LEISURE,
    desk::{CANCEL, Job},
    flights::{Due, End},
    ticket::{Ended, Keep},
};
use crate::{
    header::MessageRef,
    journal::{Change, Outgoing},
    key::MessageId,
    message::Draft,
    transport::Transport,
};

/// What is sealed anew at a time: the desk does other things too.
const AT_ONCE: usize = 256;

/// Time between two rounds when nothing is due: certificates are renewed meanwhile.
const ROUND: Duration = Duration::from_secs(60);

/// Time between two looks at the home's roster. A revocation beside a node that has nothing to do is known to it, and told to others, that soon.
pub(super) const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn run<T: Transport + 'static>(inner: Arc<Inner<T>>) {
    let Some(mut ending) = inner.ending.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let mut ended = Vec::with_capacity(AT_ONCE);
    let (mut round, mut look) = (Instant::now() + ROUND, Instant::now() + LOOK);
    let mut told = inner.endpoint.roster_version();
    loop {
        let due = [inner.flights().next_due(), inner.confirmations().next_due()].into_iter().flatten().fold(round.min(look), Instant::min);
        tokio::select! {
            () = sleep_until(due) => {}
            () = inner.alarm.notified() => {}
            _ = ending.recv_many(&mut ended, AT_ONCE) => inner.note_ended(&mut ended).await,
        }
        let now = Instant::now();
        if now >= round {
            round = now + ROUND;
            inner.maintain().await;
        }
        if now >= look {
            look = now + LOOK;
            told = inner.watch_roster(told).await;
        }
        inner.send_due(now).await;
        let ways = inner.confirmations().due(now);
        for way in ways {
            let _closed = inner.desk.send(Job::Acknowledge(way)).await;
        }
    }
}

impl<T: Transport + 'static> Inner<T> {
    async fn maintain(self: &Arc<Self>) {
        let inner = Arc::clone(self);
        let seconds = inner.endpoint.now();
        inner.flights().purge(seconds);
        let maintained = self.aside(move || {
            if let Err(error) = inner.endpoint.maintain() {
                tracing::warn!(%error, "certificates or keys are due and could not be renewed");
            }
            inner.take_over()
        });
        if let Some(Err(error)) = maintained.await {
            tracing::warn!(%error, "what other processes of this home have left was not taken over");
        }
    }

    /// Takes a roster that was put into the home, and tells others if the one in force is newer than they were `told`. Returns what they know now.
    async fn watch_roster(self: &Arc<Self>, told: u64) -> u64 {
        let inner = Arc::clone(self);
        let looked = self.aside(move || inner.endpoint.look_at_roster());
        if let Some(Err(error)) = looked.await {
            tracing::warn!(%error, "the home's roster was not taken");
        }
        let version = self.endpoint.roster_version();
        if version > told {
            tracing::info!(version, "a newer roster is in force");
            self.tell_of_roster();
        }
        version
    }

    async fn send_due(&self, now: Instant) {
        // Asked before anything is locked: a clock of the user's may wait for whoever waits for the lock.
        let seconds = self.endpoint.now();
        let due = self.flights().take_due(now, seconds, self.resend_after, &mut jitter, AT_ONCE);
        for due in due {
            match due {
                Due::Send(outgoing) => {
                    tracing::debug!(to = %outgoing.to, id = %outgoing.id, "not acknowledged yet; sealed anew");
                    // It may have another receive key by now.
                    self.ask_certificate(&outgoing.from, &outgoing.to);
                    let _closed = self.desk.send(Job::Again(outgoing)).await;
                }
                Due::Expired(flight) => {
                    tracing::debug!(to = %flight.outgoing.to, id = %flight.outgoing.id, "expired");
                    match flight.end {
                        End::Waiting(waiting) => {
                            let _given_up = waiting.send(Err(NodeError::Deadline));
                            self.give_up(flight.outgoing).await;
                        }
                        _ => self.forget(&flight.outgoing).await,
                    }
                }
            }
        }
    }

    /// Takes note of how waits for replies have ended, all in one job.
    async fn note_ended(&self, all: &mut Vec<Ended>) {
        let (mut changes, mut flushed) = (Vec::with_capacity(all.len()), Vec::new());
        for ended in all.drain(..) {
            match ended {
                Ended::Abandoned(id) => changes.extend(self.take_back(id).await),
                Ended::Left(id) => self.flights().leave(id),
                Ended::Taken { request, way, reply, keep } => {
                    let taken = self.flights().take_answered(request);
                    changes.extend(taken.map(|Outgoing { signer, id, .. }| match keep {
                        Keep::Yes => Change::Taken { signer, id },
                        Keep::No => Change::Sent { signer, id },
                    }));
                    self.confirm(way, reply, AT_LEISURE);
                }
                Ended::Flush(done) => flushed.push(done),
            }
        }
        if !changes.is_empty() {
            let _closed = self.desk.send(Job::Write(changes)).await;
        }
        for done in flushed {
            let _gone = done.send(());
        }
    }

    /// Nobody waits for that request any more, or wants its reply.
    async fn take_back(&self, request: MessageId) -> Option<Change> {
        let (flight, answered) = {
            let mut flights = self.flights();
            (flights.remove(request), flights.take_answered(request))
        };
        if let Some(flight) = flight {
            self.give_up(flight.outgoing).await;
        }
        answered.map(|Outgoing { signer, id, .. }| Change::Sent { signer, id })
    }

    /// Sends a request no more, and tells the other side that nobody waits.
    async fn give_up(&self, request: Outgoing) {
        self.forget(&request).await;
        let Outgoing { from, to, signer, id, .. } = request;
        let draft = Draft::new(CANCEL, Vec::new()).answers(MessageRef { signer: signer.short(), id });
        let _closed = self.desk.send(Job::Tell { from, to, draft }).await;
    }

    async fn forget(&self, sent: &Outgoing) {
        let Outgoing { signer, id, .. } = *sent;
        let _closed = self.desk.send(Job::Write(vec![Change::Sent { signer, id }])).await;
    }
}

fn jitter() -> u8 {
    let mut byte = [0];
    // Without randomness all send again at the same time, which is no worse than without jitter.
    let _without = getrandom::fill(&mut byte);
    byte[0]
}
