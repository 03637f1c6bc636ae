//! [`AbortOnDrop`]: a run of a handler, which ends when nobody waits for it any more.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::task::{JoinError, JoinHandle};

/// A task that ends with whoever waits for it.
pub(super) struct AbortOnDrop<R>(pub(super) JoinHandle<R>);

impl<R> Future for AbortOnDrop<R> {
    type Output = Result<R, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<R> Drop for AbortOnDrop<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
