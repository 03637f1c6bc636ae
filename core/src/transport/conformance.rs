//! A suite that tells whether a [`Transport`] does what the rest of sealwire expects of it.
//!
//! Describe how two ends of your transport are made ([`Fixture`], [`Ends`]), then `Suite::default().run(&fixture).await`: every case is
//! run on fresh ends, and the [`Report`] says by name which held, which did not, and which this transport has no means for. The suite
//! needs a tokio runtime with time; the transport may use any.
//!
//! ```
//! use sealwire::transport::{Memory, conformance::{Ends, Fixture, Suite}};
//!
//! struct OneProcess;
//! struct Pair(Memory);
//!
//! impl Fixture for OneProcess {
//!     type Ends = Pair;
//!     async fn open(&self) -> Result<Pair, String> {
//!         Ok(Pair(Memory::new()))
//!     }
//! }
//!
//! impl Ends for Pair {
//!     type Transport = Memory;
//!     fn a(&self) -> &Memory {
//!         &self.0
//!     }
//!     fn b(&self) -> &Memory {
//!         &self.0
//!     }
//!     async fn close(&self) {
//!         self.0.close();
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let report = Suite::default().run(&OneProcess).await;
//! assert!(report.passed(), "{report}");
//! # });
//! ```

use core::{fmt, future::Future, time::Duration};

use tokio::time::timeout;

use super::Transport;

mod back_pressure;
mod faults;
mod ordinary;
mod redelivery;
mod shutdown;
#[cfg(test)]
mod tests;
mod traffic;

/// How long something may take that should happen soon, unless [`Suite::patience`] says otherwise. No case measures speed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A case that takes this many times the patience hangs.
const CASE: u32 = 4;

/// Makes ends of the transport under test.
pub trait Fixture {
    /// Two ends.
    type Ends: Ends;

    /// Opens two ends that reach each other, as nodes `a` and `b`. Nothing of earlier ends may be in them.
    fn open(&self) -> impl Future<Output = Result<Self::Ends, String>>;
}

/// Two ends of a transport, and what can be done to them. What a transport has no means for stays [`Ability::Missing`].
pub trait Ends {
    /// The transport under test.
    type Transport: Transport;

    /// The end of node `a`.
    fn a(&self) -> &Self::Transport;

    /// The end of node `b`; in one process it may be the same.
    fn b(&self) -> &Self::Transport;

    /// Closes both ends. The suite does this after each case, whether it held or not.
    fn close(&self) -> impl Future<Output = ()>;

    /// Cuts all connections between the ends; they come back by themselves.
    fn cut(&self) -> impl Future<Output = Ability> {
        async { Ability::Missing }
    }

    /// Whether parcels come in order after a cut, too. A broker that is killed may bring what was on its way after what came later.
    fn keeps_order_when_cut(&self) -> bool {
        true
    }

    /// Ends `b` as a process that was killed, and starts it anew at its place.
    fn restart_b(&mut self) -> impl Future<Output = Ability> {
        async { Ability::Missing }
    }

    /// Writes these bytes to where strangers can write to `b`, as one connection, and leaves it open until the ends are closed.
    fn intrude(&self, bytes: &[u8]) -> impl Future<Output = Ability> {
        let _ = bytes;
        async { Ability::Missing }
    }
}

/// Whether a transport has the means for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// It was done.
    Done,
    /// There is no such thing with this transport.
    Missing,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It held.
    Passed,
    /// The transport has no means for it.
    Skipped(&'static str),
    /// It did not hold, and why.
    Failed(String),
}

/// The verdicts, by case.
#[derive(Debug, Clone, Default)]
pub struct Report(Vec<(&'static str, Verdict)>);

impl Report {
    /// Whether no case has failed.
    pub fn passed(&self) -> bool {
        !self.0.iter().any(|(_, verdict)| matches!(verdict, Verdict::Failed(_)))
    }

    /// Each case's name with its verdict, in the order they were run.
    pub fn verdicts(&self) -> &[(&'static str, Verdict)] {
        &self.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, verdict) in &self.0 {
            match verdict {
                Verdict::Passed => writeln!(f, "ok       {name}")?,
                Verdict::Skipped(why) => writeln!(f, "skipped  {name}: {why}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED   {name}: {why}")?,
            }
        }
        Ok(())
    }
}

/// A case's course: it ends early with what was wrong, or with what the transport has no means for.
type Course = Result<(), Verdict>;

fn failed(why: impl Into<String>) -> Verdict {
    Verdict::Failed(why.into())
}

/// The suite, with its patience.
#[derive(Debug, Clone, Copy)]
pub struct Suite {
    patience: Duration,
    only: Option<&'static str>,
}

impl Default for Suite {
    fn default() -> Self {
        Self { patience: PATIENCE, only: None }
    }
}

impl Suite {
    /// Another patience, for media that are slow or tests that expect a failure. It is the time one step may take.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The case of this name alone; none, if there is no such case.
    pub fn only(self, case: &'static str) -> Self {
        Self { only: Some(case), ..self }
    }

    /// Runs every case on ends of its own.
    pub async fn run<F: Fixture>(&self, fixture: &F) -> Report {
        let mut report = Report::default();
        let time = self.patience;
        macro_rules! cases {
            ($($name:literal => $case:path),* $(,)?) => {
                $(if self.only.is_none_or(|only| only == $name) {
                    report.0.push(($name, self.judge(fixture, async |ends: &mut F::Ends| $case(ends, time).await).await));
                })*
            };
        }
        cases! {
            "parcels to one reader come in order" => ordinary::order,
            "every size comes as it was sent" => ordinary::sizes,
            "the largest parcels come whole" => ordinary::largest,
            "many small parcels all come" => ordinary::many,
            "readers get their own, in both directions" => ordinary::readers,
            "a reader may come late" => ordinary::late,
            "what was not acknowledged comes again" => redelivery::dropped,
            "acknowledgements may come in any order" => redelivery::out_of_order,
            "what was acknowledged comes no more" => redelivery::acknowledged,
            "giving up a receive loses nothing" => redelivery::cancelled,
            "a reader that has stopped stops its senders" => back_pressure::stopped,
            "a reader that has stopped stops nobody else" => back_pressure::others,
            "a cut connection loses nothing" => faults::cut,
            "what a killed reader had in hand comes again" => faults::restarted,
            "hostile bytes harm nobody else" => faults::hostile,
            "closing ends a receive that waits" => shutdown::waiting,
            "a closed transport takes nothing" => shutdown::sending,
        }
        report
    }

    async fn judge<F: Fixture>(&self, fixture: &F, case: impl AsyncFnOnce(&mut F::Ends) -> Course) -> Verdict {
        let mut ends = match timeout(self.patience, fixture.open()).await {
            Ok(Ok(ends)) => ends,
            Ok(Err(why)) => return failed(format!("the fixture made no ends: {why}")),
            Err(_) => return failed("the fixture makes no ends in time"),
        };
        let course = timeout(self.patience * CASE, case(&mut ends)).await;
        let closed = timeout(self.patience, ends.close()).await;
        match (course, closed) {
            (Ok(Ok(())), Ok(())) => Verdict::Passed,
            (Ok(Err(verdict)), _) => verdict,
            (Err(_), _) => failed("it hangs"),
            (_, Err(_)) => failed("closing hangs"),
        }
    }
}
