//! What happens when a peer loses what it had in memory, and when the roster changes.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{
    NodeKey, Root, RosterClaims,
    notice::Notice,
    transport::{Memory, Parcel},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const LONG: Duration = Duration::from_secs(60);

struct World {
    root: Root,
    nodes: Vec<Node<Memory>>,
    transport: Memory,
}

impl World {
    /// Two nodes that send again after `pause`.
    fn new(pause: Duration) -> Result<Self, Box<dyn std::error::Error>> {
        let (root, transport) = (Root::generate()?, Memory::new());
        let keys = [NodeKey::generate("n0")?, NodeKey::generate("n1")?];
        let claims = RosterClaims { nodes: keys.iter().map(NodeKey::listed).collect::<Result<_, _>>()?, ..RosterClaims::default() };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let roster = root.sign_roster(None, claims, now);
        let mut nodes = Vec::new();
        for key in keys {
            let endpoint = Endpoint::builder().member(key, *root.verifying_key(), roster.clone())?;
            nodes.push(Node::builder(endpoint, transport.clone()).resend_after(pause).build()?);
        }
        Ok(Self { root, nodes, transport })
    }

    fn agents(&self) -> Result<(Address, Address), NodeError> {
        let echo = |request: Request| async move { Ok(Reply::new("result", request.message().body().to_vec())) };
        Ok((self.nodes[0].host("boss")?, self.nodes[1].serve("worker", echo)?))
    }

    async fn ask(&self, boss: &Address, worker: &Address, body: &'static str) -> Result<Message, NodeError> {
        self.nodes[0].request(boss, worker, Draft::new("task", body), LONG).await
    }
}

/// Keys and lanes of the peer are burned. It says so to whom it had to do with, and the message is sealed anew long before anybody would have
/// sent it again by himself.
#[tokio::test]
async fn a_peer_that_burned_its_keys_is_served_again_at_once() -> Outcome {
    let world = World::new(LONG * 10)?;
    let (boss, worker) = world.agents()?;
    for _ in 0..3 {
        world.ask(&boss, &worker, "before").await?;
    }
    world.nodes[1].endpoint().begin_life(|store| store.begin_life())?;
    assert_eq!(world.ask(&boss, &worker, "after").await?.body(), b"after");
    Ok(())
}

/// Keys and lanes of the one who asks are burned while the request is under way.
#[tokio::test]
async fn what_was_taken_over_outlives_the_keys() -> Outcome {
    let world = World::new(Duration::from_millis(50))?;
    let boss = world.nodes[0].host("boss")?;
    let worker = world.nodes[1].host("worker")?;
    let ticket = world.nodes[0].ask(&boss, &worker, Draft::new("task", "x"), LONG).await?;
    while timeout(Duration::from_millis(20), world.transport.receive(&worker)).await.is_ok() {}
    world.nodes[0].endpoint().begin_life(|store| store.begin_life())?;
    let echo = |request: Request| async move { Ok(Reply::new("result", request.message().body().to_vec())) };
    world.nodes[1].serve("worker", echo)?;
    assert_eq!(timeout(LONG, ticket.reply()).await??.body(), b"x");
    Ok(())
}

/// The same when nobody could say so: the sender seals anew by itself.
#[tokio::test]
async fn a_sender_that_hears_nothing_asks_and_seals_anew() -> Outcome {
    let world = World::new(Duration::from_millis(50))?;
    let (boss, worker) = world.agents()?;
    world.ask(&boss, &worker, "before").await?;
    world.nodes[1].endpoint().begin_life(|store| store.begin_life())?;
    // Whom it had to do with is forgotten too.
    *world.nodes[1].inner().peers.lock().map_err(|error| error.to_string())? = Peers::default();
    assert_eq!(world.ask(&boss, &worker, "after").await?.body(), b"after");
    Ok(())
}

/// What was taken in before the journal forgot and comes again after it may have been processed: its handler is told.
#[tokio::test]
async fn what_may_have_been_processed_in_an_earlier_life_is_marked() -> Outcome {
    let world = World::new(Duration::from_millis(50))?;
    let boss = world.nodes[0].host("boss")?;
    let (told, mut runs) = mpsc::channel(8);
    let worker = world.nodes[1].serve("worker", move |request: Request| {
        let told = told.clone();
        async move {
            let redelivered = request.is_redelivered();
            told.send(redelivered).await.map_err(|error| error.to_string())?;
            if redelivered { Ok(Reply::new("result", "again")) } else { std::future::pending().await }
        }
    })?;
    let node = world.nodes[0].clone();
    let asked = tokio::spawn(async move { node.request(&boss, &worker, Draft::new("task", "x"), LONG).await });
    assert_eq!(timeout(LONG, runs.recv()).await?, Some(false));
    world.nodes[1].endpoint().begin_life(|store| store.begin_life())?;
    assert_eq!(timeout(LONG, runs.recv()).await?, Some(true));
    assert_eq!(asked.await??.body(), b"again");
    Ok(())
}

/// A newer roster reaches a node that has not heard of it, through whoever writes to it.
#[tokio::test]
async fn a_newer_roster_is_fetched() -> Outcome {
    let world = World::new(Duration::from_millis(50))?;
    let (boss, worker) = world.agents()?;
    world.ask(&boss, &worker, "before").await?;
    let present = world.nodes[0].endpoint().roster();
    let now = present.issued() + 1;
    let next = world.root.sign_roster(Some(&present), present.claims().clone(), now);
    world.nodes[0].endpoint().follow(next.as_bytes())?;
    assert_eq!(world.ask(&boss, &worker, "after").await?.body(), b"after");
    assert_eq!(world.nodes[1].endpoint().roster().version(), 2);
    Ok(())
}

/// Bytes that are nothing, notices that lie: those who talk go on.
#[tokio::test]
async fn lies_in_the_open_cost_little() -> Outcome {
    let world = World::new(Duration::from_millis(50))?;
    let (boss, worker) = world.agents()?;
    world.ask(&boss, &worker, "before").await?;
    let old = world.nodes[1].endpoint().certificate(&worker).ok_or("no certificate")?;
    let lies = [
        Notice::Certificate(vec![0; 100]),
        Notice::Started(old.as_bytes().to_vec()),
        Notice::Roster(vec![0xa0; 1000]),
        Notice::UnknownLane(crate::LaneId::from_bytes([7; 16])),
        Notice::AskCertificate { about: worker.clone(), asker: "victim@nowhere".parse()?, roster: 0 },
        Notice::AskRoster { asker: "victim@nowhere".parse()?, roster: 0 },
    ];
    for agent in [&boss, &worker] {
        for lie in &lies {
            world.transport.send(agent, lie.clone().into()).await?;
        }
        world.transport.send(agent, Parcel::in_the_open(vec![0x83; 40])).await?;
        world.transport.send(agent, Parcel::in_the_open(Vec::new())).await?;
    }
    assert_eq!(world.ask(&boss, &worker, "after").await?.body(), b"after");
    let victim = "victim@nowhere".parse()?;
    let nothing = timeout(Duration::from_millis(100), world.transport.receive(&victim)).await;
    assert!(nothing.is_err(), "nodes answer nobody whom the roster does not list");
    Ok(())
}

/// What `liar` seals by hand for `boss`, given to boss's inbox: a reply, an acknowledgement and a cancel that are not its to send.
#[tokio::test]
async fn only_the_reader_of_a_message_may_acknowledge_or_answer_it() -> Outcome {
    let world = World::new(LONG)?;
    let boss = world.nodes[0].host("boss")?;
    let liar = world.nodes[0].endpoint().host("liar")?;
    let (begun, mut begins) = mpsc::channel(1);
    let (go, gone) = watch::channel(false);
    let worker = world.nodes[1].serve("worker", move |request: Request| {
        let (begun, mut gone) = (begun.clone(), gone.clone());
        async move {
            begun.send(request.message().header().message_ref()).await.map_err(|error| error.to_string())?;
            tokio::select! {
                () = request.cancelled() => Err("cancelled".into()),
                _ = gone.wait_for(|gone| *gone) => Ok(Reply::new("result", "true")),
            }
        }
    })?;
    let node = world.nodes[0].clone();
    let (asker, asked) = (boss.clone(), worker.clone());
    let reply = tokio::spawn(async move { node.request(&asker, &asked, Draft::new("task", "x"), LONG).await });
    let request = timeout(LONG, begins.recv()).await?.ok_or("it did not begin")?;

    let endpoint = world.nodes[0].endpoint();
    let lies = [
        (&boss, Draft::new("result", b"false".to_vec()).answers(request), Vec::new()),
        (&boss, Draft::new(desk::FAILED, b"false".to_vec()).answers(request), Vec::new()),
        (&boss, Draft::new(desk::ACK, Vec::new()), vec![request.id]),
        (&worker, Draft::new(desk::CANCEL, Vec::new()).answers(request), Vec::new()),
    ];
    for (to, draft, acknowledged) in lies {
        let sealed = endpoint.seal_kept(&liar, to, &draft, acknowledged)?;
        world.transport.send(to, sealed.envelope.into()).await?;
    }
    // They are opened before what comes after them.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.nodes[0].under_way(), 1, "nobody else ends it");
    assert!(!reply.is_finished());
    go.send_replace(true);
    assert_eq!(timeout(LONG, reply).await???.body(), b"true");
    Ok(())
}

/// Serves `worker` with a handler that says whose messages it was given.
fn serve_who(node: &Node<Memory>) -> Result<mpsc::Receiver<Address>, NodeError> {
    let (told, runs) = mpsc::channel(8);
    node.serve("worker", move |request: Request| {
        let told = told.clone();
        async move {
            told.send(request.message().header().from.clone()).await.map_err(|error| error.to_string())?;
            Ok(Reply::none())
        }
    })?;
    Ok(runs)
}

/// `boss` and `other` have sent a message each when `boss` is revoked, wherever their messages wait: only that of `other` is released.
async fn only_other_is_released(world: &World, boss: &Address, other: &Address) -> Outcome {
    let present = world.nodes[1].endpoint().roster();
    let mut claims = present.claims().clone();
    claims.revoked.push(world.nodes[0].endpoint().certificate(boss).ok_or("no certificate")?.thumbprint());
    let next = world.root.sign_roster(Some(&present), claims, present.issued() + 1);
    world.nodes[1].endpoint().follow(next.as_bytes())?;
    let mut runs = serve_who(&world.nodes[1])?;
    assert_eq!(timeout(LONG, runs.recv()).await?.as_ref(), Some(other), "that of `boss` came first");
    assert!(timeout(Duration::from_millis(300), runs.recv()).await.is_err());
    Ok(())
}

async fn send_both(world: &World, worker: &Address) -> Result<[Address; 2], Box<dyn std::error::Error>> {
    let both = [world.nodes[0].host("boss")?, world.nodes[0].host("other")?];
    for agent in &both {
        world.nodes[0].send(agent, worker, Draft::new("task", "x")).await?;
    }
    Ok(both)
}

/// The messages were opened and wait for their handler.
#[tokio::test]
async fn who_is_revoked_while_a_message_waits_for_its_handler_is_not_heard() -> Outcome {
    let world = World::new(LONG)?;
    let worker = world.nodes[1].host("worker")?;
    let [boss, other] = send_both(&world, &worker).await?;
    let waiting = || world.nodes[1].inner().halls().get(&worker).map_or(0, Hall::waiting);
    while waiting() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    only_other_is_released(&world, &boss, &other).await
}

/// The messages are with the transport.
#[tokio::test]
async fn who_is_revoked_while_a_message_is_under_way_is_not_heard() -> Outcome {
    let world = World::new(LONG)?;
    let worker = world.nodes[1].endpoint().host("worker")?;
    let certificate = world.nodes[1].endpoint().certificate(&worker).ok_or("no certificate")?;
    world.nodes[0].endpoint().introduce(certificate.as_bytes())?;
    let [boss, other] = send_both(&world, &worker).await?;
    only_other_is_released(&world, &boss, &other).await
}

/// A reply that was kept is not given to who asks for it once its author is revoked.
#[tokio::test]
async fn the_reply_of_who_was_revoked_since_is_not_given() -> Outcome {
    let world = World::new(LONG)?;
    let (boss, worker) = world.agents()?;
    let request = world.nodes[0].ask(&boss, &worker, Draft::new("task", "x"), LONG).await?.leave();
    while world.nodes[0].under_way() > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let present = world.nodes[0].endpoint().roster();
    let mut claims = present.claims().clone();
    claims.revoked.push(world.nodes[1].endpoint().certificate(&worker).ok_or("no certificate")?.thumbprint());
    world.nodes[0].endpoint().follow(world.root.sign_roster(Some(&present), claims, present.issued() + 1).as_bytes())?;
    assert_eq!(world.nodes[0].resume(request).await.map(drop), Err(NodeError::Revoked(worker)));
    Ok(())
}
