//! [`caught`]: a handler's panic ends its run and nothing else. A task of its own would do that too, and let other tasks run first.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// That a future has panicked.
#[derive(Debug)]
pub(super) struct Panicked;

/// What the future comes to. One that panicked is not polled again.
pub(super) async fn caught<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    let poll = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    });
    poll.await
}
