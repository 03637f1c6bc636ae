//! A roster that is changed beside nodes that run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sealwire::{
    Decision, Endpoint, Entry, Home,
    node::{Node, Reply, Request},
    transport::Memory,
};
use tokio::sync::{Semaphore, mpsc};

use crate::{
    homes::Place,
    world::{LONG, task},
};

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Waits until something is so.
async fn until(what: impl Fn() -> bool) {
    let so = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, so).await.unwrap();
}

async fn echo(request: Request) -> Result<Reply, sealwire::node::Refusal> {
    Ok(Reply::new("result", request.into_message().into_body()))
}

/// Nobody sends a message: the node whose home was changed notices by itself, and tells the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_nodes_learn_of_a_revocation() {
    let (place, transport) = (Place::new(), Memory::new());
    let (root, member) = (place.node("n0", &transport), place.node("n1", &transport));
    let clerk = root.host("clerk").unwrap();
    member.serve("worker", echo).unwrap();
    let mut known = Home::at(place.join("n0")).unwrap().membership().unwrap();
    let key = known.revoke_agent(&clerk, now()).unwrap();
    let version = known.roster().version();
    until(|| [&root, &member].iter().all(|node| node.endpoint().roster().version() == version)).await;
    assert!(member.endpoint().roster().is_revoked(&key));
    root.close().await;
    member.close().await;
}

/// What was opened and waits for a handler when its author is revoked never reaches it; what waits behind it does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_refused_at_its_release() {
    let (place, transport) = (Place::new(), Memory::new());
    let opened = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&opened);
    let audit = move |entry: &Entry<'_>| {
        let is_task = entry.header.is_some_and(|header| header.kind == "task");
        count.fetch_add(u32::from(is_task && entry.decision == Decision::Allowed), Ordering::SeqCst);
        Ok(())
    };
    let endpoint = Endpoint::builder().audit(audit).home(&Home::at(place.join("n1")).unwrap()).unwrap();
    let (root, member) = (place.node("n0", &transport), Node::builder(endpoint, transport.clone()).build().unwrap());
    let (clerk, boss) = (root.host("clerk").unwrap(), root.host("boss").unwrap());
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let go_on = Arc::new(Semaphore::new(0));
    let gate = Arc::clone(&go_on);
    let work = move |request: Request| {
        let (seen, gate) = (seen.clone(), Arc::clone(&gate));
        async move {
            seen.send(String::from_utf8(request.message().body().to_vec()).unwrap()).unwrap();
            gate.acquire().await.unwrap().forget();
            Ok(Reply::none())
        }
    };
    let worker = member.serve_at_once("worker", 1, work).unwrap();
    root.send(&boss, &worker, task("first")).await.unwrap();
    assert_eq!(seeing.recv().await.unwrap(), "first");
    root.send(&clerk, &worker, task("of somebody who is revoked while it waits")).await.unwrap();
    root.send(&boss, &worker, task("last")).await.unwrap();
    until(|| opened.load(Ordering::SeqCst) == 3).await;
    let mut known = Home::at(place.join("n0")).unwrap().membership().unwrap();
    known.revoke_agent(&clerk, now()).unwrap();
    until(|| member.endpoint().roster().version() == known.roster().version()).await;
    go_on.add_permits(3);
    assert_eq!(tokio::time::timeout(LONG, seeing.recv()).await.unwrap().unwrap(), "last");
    root.close().await;
    member.close().await;
}

/// In one home: what another process has written counts from the next message on.
#[test]
fn the_next_message_is_refused_in_a_process_that_runs() {
    let place = Place::new();
    let home = Home::at(place.join("n0")).unwrap();
    let running = Endpoint::builder().home(&home).unwrap();
    let (clerk, boss) = (running.host("clerk").unwrap(), running.host("boss").unwrap());
    let sealed = running.seal(&clerk, &boss, &task("before")).unwrap();
    home.membership().unwrap().revoke_agent(&clerk, now()).unwrap();
    assert!(running.open(&sealed.envelope).is_err());
    assert!(running.seal(&clerk, &boss, &task("after")).is_err());
    let sealed = running.seal(&boss, &boss, &task("of another")).unwrap();
    assert!(running.open(&sealed.envelope).is_ok());
}

/// A command beside a node that runs elsewhere: it asks for the time, and gives the roster.
#[cfg(feature = "tcp")]
mod visiting {
    use sealwire::{Clock, node::Visit, transport::Streams};

    use super::*;

    /// Behind by so many seconds.
    #[derive(Clone, Default)]
    struct Behind(Arc<AtomicU32>);

    impl Clock for Behind {
        fn now(&self) -> u64 {
            now() - u64::from(self.0.load(Ordering::SeqCst))
        }
    }

    async fn listening(place: &Place, clock: Behind) -> (Node<Streams>, Home) {
        let streams = Streams::builder("n1").listen("tcp://127.0.0.1:0").build().await.unwrap();
        let location = streams.listening()[0].to_string();
        let home = Home::at(place.join("n0")).unwrap();
        home.membership().unwrap().set_addresses("n1", vec![location], now()).unwrap();
        let endpoint = Endpoint::builder().clock(clock).home(&Home::at(place.join("n1")).unwrap()).unwrap();
        (Node::builder(endpoint, streams).build().unwrap(), home)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_time_at_a_node_is_told_whatever_it_is() {
        let place = Place::new();
        let clock = Behind::default();
        let (node, home) = listening(&place, clock.clone()).await;
        clock.0.store(432, Ordering::SeqCst);
        let visit = Visit::begin(&home.membership().unwrap()).await.unwrap();
        let clocks = visit.clocks(LONG).await.unwrap();
        let clock = &clocks["n1"];
        assert!((-440..=-430).contains(&clock.ahead), "{clock}");
        assert!(clock.to_string().contains("7 min") && clock.to_string().ends_with("behind"), "{clock}");
        node.close().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_roster_is_in_force_when_it_was_taken() {
        let place = Place::new();
        let (node, home) = listening(&place, Behind::default()).await;
        let known = home.membership().unwrap();
        assert!(node.endpoint().roster().version() < known.roster().version());
        let visit = Visit::begin(&known).await.unwrap();
        assert_eq!(visit.tell_roster(LONG).await, ["n1"]);
        assert_eq!(node.endpoint().roster().version(), known.roster().version());
        node.close().await;
    }

    /// A node that does not run is not waited for longer than was said, and is not said to know anything.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_is_away_is_left_out() {
        let place = Place::new();
        let home = Home::at(place.join("n0")).unwrap();
        home.membership().unwrap().set_addresses("n1", vec!["tcp://127.0.0.1:9".into()], now()).unwrap();
        let visit = Visit::begin(&home.membership().unwrap()).await.unwrap();
        assert_eq!(visit.called(), ["n1"]);
        assert!(visit.tell_roster(Duration::from_millis(200)).await.is_empty());
        assert!(visit.clocks(Duration::from_millis(200)).await.unwrap().is_empty());
    }
}
