//! Nodes of one domain, each an endpoint of its own.

use std::time::Duration;

use sealwire::{Address, Draft, Endpoint, NodeKey, Root, RosterClaims, Transport, node::Node};

/// Long enough for a machine that does three other things: nothing here is timed.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Endpoints `n0`, `n1`, … of one domain.
pub(crate) fn endpoints(count: usize) -> Vec<Endpoint> {
    let root = Root::generate().unwrap();
    let keys: Vec<_> = (0..count).map(|number| NodeKey::generate(&format!("n{number}")).unwrap()).collect();
    let claims = RosterClaims { nodes: keys.iter().map(|key| key.listed().unwrap()).collect(), revoked: Vec::new() };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let roster = root.sign_roster(None, claims, now);
    let make = |key| Endpoint::builder().member(key, *root.verifying_key(), roster.clone()).unwrap();
    keys.into_iter().map(make).collect()
}

/// One node for each of `count`, over clones of `transport`, that sends again soon.
pub(crate) fn nodes<T: Transport + Clone + 'static>(count: usize, transport: &T) -> Vec<Node<T>> {
    let build = |endpoint| Node::builder(endpoint, transport.clone()).resend_after(Duration::from_millis(50)).build().unwrap();
    endpoints(count).into_iter().map(build).collect()
}

pub(crate) fn task(body: &str) -> Draft<Vec<u8>> {
    Draft::new("task", body.as_bytes().to_vec())
}

/// Tells two nodes of each other's agents.
pub(crate) fn introduce<T: Transport>(a: &Node<T>, agent_a: &Address, b: &Node<T>, agent_b: &Address) {
    a.endpoint().introduce(b.endpoint().certificate(agent_b).unwrap().as_bytes()).unwrap();
    b.endpoint().introduce(a.endpoint().certificate(agent_a).unwrap().as_bytes()).unwrap();
}
