//! What a node tells `tracing`: spans with names, kinds, ids and sizes; never a body, a label or a key.

#![cfg(feature = "node")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use sealwire::{
    Draft, Endpoint,
    node::{Node, Reply, Request},
    transport::Memory,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};

/// All that was told: spans by name with their fields, and every value.
#[derive(Default)]
struct Told {
    spans: BTreeMap<String, BTreeSet<String>>,
    names: Vec<String>,
    values: Vec<String>,
}

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Told>>);

struct Reading<'a>(&'a mut Told, String);

impl Visit for Reading<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.spans.entry(self.1.clone()).or_default().insert(field.name().into());
        self.0.values.push(format!("{value:?}"));
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("sealwire")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut told = self.0.lock().unwrap();
        let name = span.metadata().name().to_owned();
        told.names.push(name.clone());
        span.record(&mut Reading(&mut told, name));
        Id::from_u64(told.names.len() as u64)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut told = self.0.lock().unwrap();
        let name = told.names[id.into_u64() as usize - 1].clone();
        values.record(&mut Reading(&mut told, name));
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Reading(&mut self.0.lock().unwrap(), "event".into()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_request_leaves_its_spans_and_nothing_of_what_it_says() {
    let listener = Listener::default();
    tracing::subscriber::set_global_default(listener.clone()).unwrap();
    let node = Node::builder(Endpoint::builder().in_memory("local").unwrap(), Memory::new()).build().unwrap();
    let boss = node.host("boss").unwrap();
    let work = |_: Request| async { Ok(Reply::new("result", "an-answer-that-is-secret").label("label-of-the-reply")) };
    let worker = node.serve("worker", work).unwrap();
    let draft = Draft::new("task", "a-question-that-is-secret").label("label-of-the-request");
    let reply = node.request(&boss, &worker, draft, Duration::from_secs(60)).await.unwrap();
    let key = reply.signer().to_string();
    node.close().await;

    let told = listener.0.lock().unwrap();
    let fields = |name: &str| told.spans.get(name).map(|fields| fields.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_or_default();
    assert_eq!(fields("seal"), ["from", "id", "kind", "size", "to"]);
    assert_eq!(fields("send"), ["size", "to"]);
    assert_eq!(fields("receive"), ["agent", "count"]);
    assert_eq!(fields("open"), ["agent", "count", "size"]);
    assert_eq!(fields("handle"), ["from", "id", "kind", "redelivered", "size", "to"]);
    let all = told.values.join("\n");
    assert!(all.contains("task") && all.contains("boss@local") && all.contains("25"), "{all}");
    for secret in ["secret", "label-of", key.as_str()] {
        assert!(!all.contains(secret), "{secret} in:\n{all}");
    }
}
