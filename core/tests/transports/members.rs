//! TLS 1.3 between the nodes of a domain, by the keys that their roster lists.

use std::{
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

use sealwire::{
    Endpoint, NodeKey, Root, RosterClaims,
    transport::{
        Streams,
        conformance::Suite,
        stream::{Builder, Tls},
    },
};

use crate::loopback::Loopback;

/// Nodes `a` and `b` of a domain, one that was revoked, and a node `a` of another domain.
struct World {
    a: Arc<Endpoint>,
    b: Arc<Endpoint>,
    revoked: Arc<Endpoint>,
    foreign: Arc<Endpoint>,
}

fn domain<const N: usize>(names: [&str; N], revoked: &[&str]) -> [Arc<Endpoint>; N] {
    let root = Root::generate().expect("a root");
    let keys = names.map(|name| NodeKey::generate(name).expect("a key"));
    let nodes: Vec<_> = keys.iter().map(|key| key.listed().expect("a node")).collect();
    let gone = nodes.iter().filter(|node| revoked.contains(&node.name.as_str())).map(|node| node.key.thumbprint()).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    let whole = root.sign_roster(None, RosterClaims { nodes: nodes.clone(), ..RosterClaims::default() }, now);
    let later = root.sign_roster(Some(&whole), RosterClaims { nodes, revoked: gone, ..RosterClaims::default() }, now);
    keys.map(|key| {
        let endpoint = Endpoint::builder().member(key, *root.verifying_key(), whole.clone()).expect("a member");
        if !revoked.contains(&endpoint.node()) {
            endpoint.follow(later.as_bytes()).expect("the next roster");
        }
        Arc::new(endpoint)
    })
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let [a, b, revoked] = domain(["a", "b", "c"], &["c"]);
        let [foreign] = domain(["a"], &[]);
        World { a, b, revoked, foreign }
    })
}

fn tls(endpoint: &Arc<Endpoint>) -> Tls {
    Tls::of_members(Arc::clone(endpoint)).expect("TLS")
}

fn dress(builder: Builder, name: &str) -> Builder {
    builder.tls(tls(if name == "a" { &world().a } else { &world().b }))
}

#[tokio::test]
async fn tls_of_members_passes_the_suite() {
    let report = Suite::default().run(&Loopback { scheme: "tls", dress }).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

/// Whether `dialler`, which says that it is `name`, gets no connection to `b`.
async fn refused(name: &str, dialler: Tls, sought: &str) -> bool {
    let b = Streams::builder("b").tls(tls(&world().b)).listen("tls://127.0.0.1:0").build().await.expect("it listens");
    let place = b.listening()[0].to_string();
    let dialling = Streams::builder(name).tls(dialler).peer(sought, &place).build().await.expect("it dials");
    crate::eventually(|| dialling.peers()[0].trouble.is_some() || dialling.peers()[0].connected).await;
    !dialling.peers()[0].connected && b.peers().is_empty()
}

#[tokio::test]
async fn only_members_are_let_in() {
    let world = world();
    assert!(!refused("a", tls(&world.a), "b").await, "a member");
    assert!(refused("a", tls(&world.foreign), "b").await, "a key of another domain");
    assert!(refused("c", tls(&world.revoked), "b").await, "a revoked key");
}

#[tokio::test]
async fn a_member_is_nobody_else() {
    let world = world();
    assert!(refused("c", tls(&world.a), "b").await, "it says that it is another node");
    assert!(refused("agent@c", tls(&world.a), "b").await, "it says that it is an agent of another node");
    assert!(!refused("agent@a", tls(&world.a), "b").await, "an agent of its own");
}

#[tokio::test]
async fn who_answers_is_who_was_looked_for() {
    let b = Streams::builder("b").tls(tls(&world().b)).listen("tls://127.0.0.1:0").build().await.expect("it listens");
    let place = b.listening()[0].to_string();
    let a = Streams::builder("a").tls(tls(&world().a)).peer("c", &place).build().await.expect("it dials");
    crate::eventually(|| a.peers()[0].trouble.is_some()).await;
    assert!(a.peers()[0].trouble.as_ref().is_some_and(|trouble| trouble.contains("another node answers there")), "{:?}", a.peers());
}

#[tokio::test]
async fn who_shows_a_certificate_or_nothing_is_no_member() {
    let folder = crate::folder::Folder::new().expect("a folder");
    let at = |file: &str| folder.0.join(file);
    let authority = crate::authority::Authority::new(&folder.0);
    authority.issue("a");
    let with_one = Tls::builder().authority(at("authority.pem")).certificate(at("a.pem"), at("a.key")).build().expect("files");
    assert!(refused("a", with_one, "b").await, "a certificate");
    assert!(refused("a", Tls::builder().authority(at("authority.pem")).build().expect("files"), "b").await, "nothing");
}
