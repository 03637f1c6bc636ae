//! The side that asks.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sealwire::{
    Address, Draft, Message, MessageRef, Transport,
    node::{Node, NodeError},
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    book::{Book, Noted},
    task,
};

/// Longer than all that is done to it.
const DEADLINE: Duration = Duration::from_secs(3600);

/// Requests at a time.
const AT_ONCE: usize = 64;

pub(crate) struct Asker {
    pub(crate) log: PathBuf,
    pub(crate) to: Address,
    pub(crate) count: u64,
    pub(crate) per_second: u32,
}

/// One asker of one process.
struct Asking<T: Transport + 'static> {
    node: Node<T>,
    from: Address,
    to: Address,
    book: Mutex<Book>,
}

impl Asker {
    pub(crate) async fn run<T: Transport + 'static>(&self, node: &Node<T>) {
        let (book, noted) = Book::open(&self.log);
        let from = node.host("boss").unwrap();
        let asking = Arc::new(Asking { node: node.clone(), from, to: self.to.clone(), book: Mutex::new(book) });
        let (mut running, begun) = asking.take_up(noted).await;
        let pause = if self.per_second == 0 { Duration::ZERO } else { Duration::from_secs(1) / self.per_second };
        for number in (0..self.count).filter(|number| !begun.contains(number)) {
            while running.len() >= AT_ONCE {
                running.join_next().await.unwrap().unwrap();
            }
            let asking = Arc::clone(&asking);
            running.spawn(async move { asking.begin(number).await });
            sleep(pause).await;
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
        while node.under_way() > 0 || !node.outstanding().is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl<T: Transport + 'static> Asking<T> {
    /// Goes on with what an earlier process had under way. A request that it had no time to note is known by its reply, so those are waited
    /// for before anything is asked anew.
    async fn take_up(self: &Arc<Self>, noted: Noted) -> (JoinSet<()>, HashSet<u64>) {
        let Noted { open, answered, mut begun } = noted;
        let outstanding = self.node.outstanding().into_iter().map(|(_, _, request)| request);
        let (noted, outstanding): (Vec<_>, Vec<_>) = outstanding.partition(|request| answered.contains(request));
        for request in noted {
            self.node.settle(request).await.unwrap();
        }
        let unknown: Vec<_> = outstanding.into_iter().filter(|request| !open.contains_key(request)).collect();
        let mut running = JoinSet::new();
        for request in open.into_keys() {
            let asking = Arc::clone(self);
            running.spawn(async move { _ = asking.resume(request).await });
        }
        let mut named = JoinSet::new();
        for request in unknown {
            let asking = Arc::clone(self);
            named.spawn(async move { asking.resume(request).await });
        }
        while let Some(number) = named.join_next().await {
            begun.extend(number.unwrap());
        }
        (running, begun)
    }

    async fn begin(&self, number: u64) {
        let draft = Draft::new("task", task::body(number));
        let since = Instant::now();
        if task::is_one_way(number) {
            match self.node.send(&self.from, &self.to, draft.lifetime(DEADLINE.as_secs())).await {
                Ok(sent) => self.book.lock().unwrap().answered(number, sent, Some(since.elapsed())),
                Err(error) => self.fail(number, &error),
            }
            return;
        }
        match self.node.ask(&self.from, &self.to, draft, DEADLINE).await {
            Ok(ticket) => {
                let request = ticket.request();
                self.book.lock().unwrap().asked(number, request);
                self.note(request, ticket.reply().await, Some(since)).await;
            }
            Err(error) => self.fail(number, &error),
        }
    }

    async fn resume(&self, request: MessageRef) -> Option<u64> {
        let reply = match self.node.resume(request).await {
            Ok(ticket) => ticket.reply().await,
            Err(error) => Err(error),
        };
        self.note(request, reply, None).await
    }

    async fn note(&self, request: MessageRef, reply: Result<Message, NodeError>, since: Option<Instant>) -> Option<u64> {
        let number = match &reply {
            Ok(reply) => task::number(reply.body()).filter(|number| reply.body() == task::answer(&task::body(*number))),
            Err(_) => None,
        };
        match (number, reply) {
            (Some(number), _) => {
                self.book.lock().unwrap().answered(number, request, since.map(|since| since.elapsed()));
                self.node.settle(request).await.unwrap();
            }
            (None, Ok(_)) => self.fail(request.id, &"another answer"),
            // The node was closed or killed under it; the next process goes on.
            (None, Err(error)) => self.fail(request.id, &error),
        }
        number
    }

    fn fail(&self, what: impl std::fmt::Display, why: &impl std::fmt::Display) {
        self.book.lock().unwrap().failed(&format!("{what}: {why}"));
    }
}
