//! Requests, one-way messages, failures, deadlines, parts.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use sealwire::{
    MessageId,
    node::{NodeError, Piece, Refusal, Reply, Request},
    transport::Memory,
};

use crate::{
    bad::{Bad, Rates},
    world::{LONG, introduce, nodes, task},
};

async fn echo(request: Request) -> Result<Reply, Refusal> {
    if request.is_redelivered() {
        return Err("nothing has crashed here".into());
    }
    Ok(Reply::new("result", request.message().body().to_vec()))
}

#[tokio::test]
async fn a_request_is_answered_across_nodes() {
    let nodes = nodes(2, &Memory::new());
    let (boss, worker) = (nodes[0].host("boss").unwrap(), nodes[1].serve("worker", echo).unwrap());
    introduce(&nodes[0], &boss, &nodes[1], &worker);
    for number in 0..20 {
        let reply = nodes[0].request(&boss, &worker, task(&format!("{number}")), LONG).await.unwrap();
        assert_eq!(reply.body(), format!("{number}").as_bytes());
        assert_eq!(reply.header().from, worker);
    }
    assert_eq!(nodes[0].under_way(), 0);
    for node in &nodes {
        node.close().await;
    }
    assert_eq!(nodes[0].request(&boss, &worker, task("late"), LONG).await.err(), Some(NodeError::Closed));
}

#[tokio::test]
async fn one_way_messages_are_acknowledged_and_leave_the_outbox() {
    let nodes = nodes(2, &Memory::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&seen);
    let boss = nodes[0].host("boss").unwrap();
    let worker = nodes[1]
        .serve("worker", move |request: Request| {
            list.lock().unwrap().push(request.message().body().to_vec());
            async { Ok(Reply::none()) }
        })
        .unwrap();
    introduce(&nodes[0], &boss, &nodes[1], &worker);
    for number in 0..200_u8 {
        nodes[0].send(&boss, &worker, task(&number.to_string())).await.unwrap();
    }
    let empty = async {
        while nodes[0].under_way() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, empty).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 200);
}

#[tokio::test]
async fn a_handler_that_refuses_panics_or_says_nothing_is_told() {
    let nodes = nodes(2, &Memory::new());
    let boss = nodes[0].host("boss").unwrap();
    let worker = nodes[1]
        .serve("worker", |request: Request| async move {
            match request.message().body() {
                b"refuse" => Err("no time".into()),
                b"panic" => panic!("a handler that panics"),
                _ => Ok(Reply::none()),
            }
        })
        .unwrap();
    introduce(&nodes[0], &boss, &nodes[1], &worker);
    let ask = |body: &'static str| nodes[0].request(&boss, &worker, task(body), LONG);
    assert_eq!(ask("refuse").await.err(), Some(NodeError::Failed("no time".into())));
    assert_eq!(ask("panic").await.err(), Some(NodeError::Failed("its handler panicked".into())));
    assert_eq!(ask("nothing").await.err(), Some(NodeError::NoReply));
}

#[tokio::test]
async fn the_protocols_own_kinds_are_refused() {
    let nodes = nodes(1, &Memory::new());
    let (a, b) = (nodes[0].host("a").unwrap(), nodes[0].host("b").unwrap());
    for kind in ["ack", "cancel", "part", "failed"] {
        let sent = nodes[0].send(&a, &b, sealwire::Draft::new(kind, [])).await;
        assert_eq!(sent.err(), Some(NodeError::Reserved(kind.into())));
    }
}

#[tokio::test]
async fn a_deadline_ends_the_request_and_tells_the_handler() {
    let nodes = nodes(2, &Memory::new());
    let boss = nodes[0].host("boss").unwrap();
    let (told, mut hears) = tokio::sync::mpsc::channel(1);
    let worker = nodes[1]
        .serve("worker", move |request: Request| {
            let told = told.clone();
            async move {
                request.cancelled().await;
                told.send(()).await.unwrap();
                Ok(Reply::none())
            }
        })
        .unwrap();
    introduce(&nodes[0], &boss, &nodes[1], &worker);
    // Long enough for the handler to have begun on a busy machine: who was never given the request has nothing to be told.
    let asked = nodes[0].request(&boss, &worker, task("slow"), Duration::from_secs(2)).await;
    assert_eq!(asked.err(), Some(NodeError::Deadline));
    tokio::time::timeout(LONG, hears.recv()).await.unwrap().unwrap();
    assert_eq!(nodes[0].under_way(), 0);
}

#[tokio::test]
async fn parts_come_in_order_before_the_reply() {
    let nodes = nodes(2, &Memory::new());
    let boss = nodes[0].host("boss").unwrap();
    let worker = nodes[1]
        .serve("worker", |mut request: Request| async move {
            for word in ["to", "be", "or"] {
                request.part(word.as_bytes()).await.map_err(|error| error.to_string())?;
            }
            Ok(Reply::new("result", "to be or"))
        })
        .unwrap();
    introduce(&nodes[0], &boss, &nodes[1], &worker);
    let mut ticket = nodes[0].ask(&boss, &worker, task("hamlet"), LONG).await.unwrap();
    let mut words = Vec::new();
    loop {
        match tokio::time::timeout(LONG, ticket.next()).await.unwrap().unwrap() {
            Piece::Part(word) => words.push(word),
            Piece::Reply(reply) => {
                assert_eq!(reply.body(), b"to be or");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(words, [b"to", b"be", b"or"]);
}

/// Over a way that loses a tenth, repeats a fifth and reorders a tenth: each request is answered once, and handled once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_way_costs_time_and_nothing_else() {
    for seed in [1, 7, 42] {
        let transport = Bad::new(seed, Rates { lost: 26, repeated: 52, held: 26 });
        let nodes = nodes(3, &transport);
        let handled = Arc::new(Mutex::new(HashMap::<MessageId, u32>::new()));
        let boss = nodes[0].host("boss").unwrap();
        let workers: Vec<_> = nodes[1..]
            .iter()
            .map(|node| {
                let handled = Arc::clone(&handled);
                let serve = move |request: Request| {
                    *handled.lock().unwrap().entry(request.message().header().id).or_default() += 1;
                    echo(request)
                };
                node.serve("worker", serve).unwrap()
            })
            .collect();
        introduce(&nodes[0], &boss, &nodes[1], &workers[0]);
        introduce(&nodes[0], &boss, &nodes[2], &workers[1]);
        let mut asked = tokio::task::JoinSet::new();
        for number in 0..200_usize {
            let (node, boss, worker) = (nodes[0].clone(), boss.clone(), workers[number % 2].clone());
            asked.spawn(async move {
                let reply = node.request(&boss, &worker, task(&number.to_string()), LONG).await.unwrap();
                assert_eq!(reply.body(), number.to_string().as_bytes());
            });
        }
        while let Some(answered) = asked.join_next().await {
            answered.unwrap();
        }
        let handled = std::mem::take(&mut *handled.lock().unwrap());
        assert_eq!(handled.len(), 200);
        assert!(handled.values().all(|times| *times == 1), "no message was handled twice");
        for node in &nodes {
            node.close().await;
        }
    }
}
