//! [`Builder`]: how a [`Node`] is made.

use std::{fmt, sync::Arc, time::Duration};

use super::{Inner, Node, NodeError, Owner, desk, peers, upkeep};
use crate::{endpoint::Endpoint, transport::Transport};

/// Time after which a message without acknowledgement is sealed anew (SPEC.md, "Acknowledgement"); doubled with each sending.
const RESEND_AFTER: Duration = Duration::from_secs(5);

/// Shortest such time that can be asked for.
const SHORTEST_RESEND: Duration = Duration::from_millis(20);

/// How a [`Node`] is made.
pub struct Builder<T> {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) transport: T,
    pub(super) resend_after: Duration,
    pub(super) in_place: bool,
}

impl<T: Transport + 'static> Builder<T> {
    pub(super) fn new(endpoint: Arc<Endpoint>, transport: T) -> Self {
        Self { endpoint, transport, resend_after: RESEND_AFTER, in_place: false }
    }

    /// Seals anew after that time without acknowledgement, at first; 5 s if nothing is said.
    #[must_use]
    pub fn resend_after(mut self, pause: Duration) -> Self {
        self.resend_after = pause.max(SHORTEST_RESEND);
        self
    }

    /// Seals, opens and writes on the threads of the runtime, where that is soon done: each message is spared some ways between threads, which
    /// is a fifth of a request's time. For a runtime that is there for this node. An endpoint with a policy, an audit, a clock or keys of the
    /// user's is given threads of its own as ever: what those wait for is not known.
    #[must_use]
    pub fn work_in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// Starts the node: what an earlier process of this home had taken over goes on.
    ///
    /// # Errors
    /// [`NodeError::NoRuntime`] outside of tokio; [`NodeError::Store`] if the home fails.
    pub fn build(self) -> Result<Node<T>, NodeError> {
        tokio::runtime::Handle::try_current().map_err(|_| NodeError::NoRuntime)?;
        let left = self.endpoint.adopt()?;
        let known = self.endpoint.remember_peers(peers::MAX_REMEMBERED)?;
        let (inner, jobs, gone) = Inner::new(self, known);
        inner.spawn(desk::run(Arc::clone(&inner), jobs));
        inner.spawn(upkeep::run(Arc::clone(&inner)));
        inner.listen_as_node();
        let node = Node(Arc::new(Owner { inner, gone: tokio::sync::Mutex::new(gone) }));
        for agent in node.inner().resume_left(left) {
            if let Err(error) = node.host(agent.name()) {
                tracing::warn!(%agent, %error, "what this agent had sent is not sent on");
            }
        }
        Ok(node)
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
