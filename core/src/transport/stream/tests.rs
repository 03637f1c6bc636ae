//! What the conformance suite cannot see from outside: bounds, refusals, dead peers, who may speak for whom.

use std::time::Duration as StdDuration;

use tokio::{io::AsyncWriteExt, sync::Notify, time::sleep};

use super::{link::Next, receipts::Wanted, *};
use crate::transport::Delivery;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn parcel(text: &str) -> Parcel {
    Parcel::in_the_open(text.into())
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn link() -> Link {
    Link::new([1; 16], None)
}

/// Numbers of the parcels that a connection would write now.
fn written(link: &Link, connection: u64) -> Vec<u64> {
    let mut out = Vec::new();
    assert!(matches!(link.next(connection, &mut out), Next::All(_)));
    let mut numbers = Vec::new();
    let mut rest = out.as_slice();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (_kind, body) = after.split_first().expect("a kind");
        numbers.push(u64::from_be_bytes(*body.first_chunk().expect("a number")));
        rest = &body[u32::from_be_bytes(*length) as usize..];
    }
    numbers
}

#[tokio::test]
async fn a_link_holds_no_more_than_its_limits() {
    let (link, mut taken) = (link(), 0);
    while link.push(&address("a@b"), vec![0; 10]).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, link::MAX_PER_READER);
    for reader in 0..100 {
        while link.push(&address(&format!("r{reader}@b")), vec![0; 10]).is_ok() {
            taken += 1;
        }
    }
    assert_eq!(taken, link::MAX_UNDER_WAY);
    let large = Link::new([1; 16], None);
    let pushed = (0..10).filter(|_| large.push(&address("a@b"), vec![0; MAX_PARCEL]).is_ok()).count();
    assert_eq!(pushed, 1, "two of the largest are more than one reader may have under way");
    assert!(large.push(&address("c@b"), vec![0; MAX_PARCEL]).is_ok(), "another reader has room");
    large.done(&[1]);
    assert!(large.push(&address("a@b"), vec![0; MAX_PARCEL]).is_ok(), "room was made");
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_goes_again_first_and_alone() {
    let link = link();
    for reader in ["a@b", "c@b", "a@b", "a@b"] {
        assert!(link.push(&address(reader), b"x".to_vec()).is_ok());
    }
    let connection = link.attach(&Arc::new(Notify::new()));
    assert_eq!(written(&link, connection), [1, 2, 3, 4]);
    link.later(1);
    assert_eq!(written(&link, connection), [0; 0], "there is a pause");
    assert!(link.push(&address("c@b"), b"x".to_vec()).is_ok());
    assert_eq!(written(&link, connection), [5], "others go on");
    sleep(StdDuration::from_secs(1)).await;
    assert_eq!(written(&link, connection), [1], "one is tried");
    link.done(&[1]);
    assert_eq!(written(&link, connection), [3, 4], "the way is free");
    assert_eq!(written(&link, connection), [0; 0]);
    let next = link.attach(&Arc::new(Notify::new()));
    assert_eq!(written(&link, next), [2, 3, 4, 5], "a new connection begins with what was not processed");
    assert!(matches!(link.next(connection, &mut Vec::new()), Next::TakenOver));
}

#[test]
fn what_is_behind_a_refused_parcel_is_not_taken() {
    let (receipts, to) = (Receipts::default(), address("a@b"));
    assert_eq!(receipts.wants(5, &to), Wanted::Yes);
    receipts.refuse(5, to.clone());
    assert_eq!(receipts.wants(6, &to), Wanted::Here, "it would come before the fifth");
    assert_eq!(receipts.wants(7, &address("c@b")), Wanted::Yes, "another reader's");
    assert_eq!(receipts.wants(5, &to), Wanted::Yes);
    assert_eq!(receipts.wants(6, &to), Wanted::Yes);
    receipts.hold(5);
    assert_eq!(receipts.wants(5, &to), Wanted::Here, "it is here already");
}

#[test]
fn a_peer_that_does_not_listen_is_hung_up_on() {
    let (receipts, to) = (Receipts::default(), address("a@b"));
    let mut number = u64::MAX;
    while receipts.wants(number, &to) != Wanted::Flood {
        receipts.refuse(number, to.clone());
        number -= 1;
        assert!(u64::MAX - number < 100_000, "what waits to be told has no bound");
    }
}

#[test]
fn a_peer_that_makes_up_readers_is_hung_up_on() {
    let receipts = Receipts::default();
    let flood = (0..100_000).any(|number| {
        let to = address(&format!("r{number}@b"));
        receipts.write(&mut Vec::new());
        let wanted = receipts.wants(number, &to);
        receipts.refuse(number, to);
        wanted == Wanted::Flood
    });
    assert!(flood, "readers that were refused have no bound");
}

fn connection(closing: &watch::Sender<bool>) -> Connection {
    Connection {
        inboxes: Arc::default(),
        budget: Arc::new(Semaphore::new(READING)),
        receipts: Arc::default(),
        link: Some((Arc::new(link()), Use::Sending)),
        closing: closing.subscribe(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_is_hung_up_on() {
    let closing = watch::Sender::new(false);
    let (here, _there) = tokio::io::duplex(1 << 20);
    let ended = timeout_at(Instant::now() + StdDuration::from_secs(120), connection(&closing).serve(Box::new(here))).await;
    assert_eq!(ended.expect("it ends").map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_is_hung_up_on() {
    let closing = watch::Sender::new(false);
    let (here, _there) = tokio::io::duplex(1024);
    let connection = connection(&closing);
    let link = connection.link.as_ref().map(|(link, _)| Arc::clone(link)).expect("a link");
    assert!(link.push(&address("a@b"), vec![0; 100_000]).is_ok());
    let ended = timeout_at(Instant::now() + StdDuration::from_secs(120), connection.serve(Box::new(here))).await;
    assert_eq!(ended.expect("it ends").map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    assert!(!link.is_connected() && !link.is_empty(), "what it has not acknowledged is kept");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_connection_is_kept() {
    let closing = watch::Sender::new(false);
    let (here, there) = tokio::io::duplex(1 << 20);
    let both = async { tokio::join!(connection(&closing).serve(Box::new(here)), connection(&closing).serve(Box::new(there))) };
    assert!(timeout_at(Instant::now() + StdDuration::from_secs(24 * 3600), both).await.is_err(), "it ended within a day");
}

#[tokio::test]
async fn half_a_frame_is_not_waited_for_without_end() {
    tokio::time::pause();
    let (mut there, mut here) = tokio::io::duplex(1 << 20);
    let mut out = Vec::new();
    frame::write_parcel_head(&mut out, 1, &address("a@b"), 1000);
    there.write_all(&out).await.expect("written");
    let budget = Semaphore::new(READING);
    let read = timeout_at(Instant::now() + StdDuration::from_secs(3600), frame::read(&mut here, &budget, || ())).await;
    assert_eq!(read.expect("it ends").map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
}

#[cfg(feature = "tcp")]
mod over_tcp {
    use super::*;

    async fn listening(name: &str) -> io::Result<(Streams, String)> {
        let streams = Streams::builder(name).listen("tcp://127.0.0.1:0").build().await?;
        let place = streams.listening()[0].to_string();
        Ok((streams, place))
    }

    async fn eventually(is: impl Fn() -> bool) {
        let deadline = Instant::now() + StdDuration::from_secs(30);
        while !is() {
            assert!(Instant::now() < deadline, "what should happen has not happened");
            sleep(StdDuration::from_millis(5)).await;
        }
    }

    async fn receive(at: &Streams, reader: &str) -> Result<Vec<u8>, TransportError> {
        let delivery = at.receive(&address(reader)).await?;
        let bytes = delivery.bytes().to_vec();
        delivery.acknowledge().await?;
        Ok(bytes)
    }

    #[tokio::test]
    async fn given_addresses_win_over_announced_ones() -> Outcome {
        let (b, place) = listening("b").await?;
        let a = Streams::builder("a").listen("tcp://127.0.0.1:0").peer("b", &place).build().await?;
        let place = a.listening()[0].to_string();
        let impostor = Streams::builder("reader@b").peer("a", &place).build().await?;
        eventually(|| impostor.peers()[0].connected).await;
        a.send(&address("reader@b"), parcel("for b")).await?;
        let reader = address("reader@b");
        let stolen = impostor.receive(&reader);
        tokio::select! {
            received = receive(&b, "reader@b") => assert_eq!(received?, b"for b"),
            _ = stolen => panic!("whoever says that it is b gets what is for b"),
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_peer_may_move_with_what_is_under_way_to_it() -> Outcome {
        let a = Streams::builder("a").peer("b", "tcp://127.0.0.1:1").build().await?;
        a.send(&address("reader@b"), parcel("later")).await?;
        eventually(|| a.peers()[0].trouble.is_some()).await;
        let (b, place) = listening("b").await?;
        a.set_peer("b", place.parse()?)?;
        assert_eq!(receive(&b, "reader@b").await?, b"later");
        assert!(a.drained(StdDuration::from_secs(30)).await, "the receipt has come");
        a.forget_peer("b");
        assert!(matches!(a.send(&address("reader@b"), parcel("x")).await, Err(TransportError::NoRoute { .. })));
        Ok(())
    }

    #[tokio::test]
    async fn another_node_at_the_address_gets_nothing() -> Outcome {
        let (c, place) = listening("c").await?;
        let a = Streams::builder("a").peer("b", &place).build().await?;
        a.send(&address("reader@b"), parcel("for b")).await?;
        eventually(|| a.peers()[0].trouble.is_some()).await;
        assert!(a.peers()[0].trouble.as_deref().is_some_and(|trouble| trouble.contains("another node answers")));
        assert_eq!(a.peers()[0].under_way, 1);
        c.close();
        Ok(())
    }

    #[tokio::test]
    async fn an_unknown_node_is_an_error_of_its_own() -> Outcome {
        let (a, _) = listening("a").await?;
        let to = address("reader@nowhere");
        assert_eq!(a.send(&to, parcel("x")).await, Err(TransportError::NoRoute { to }));
        Ok(())
    }

    #[tokio::test]
    async fn strangers_who_say_nothing_do_not_disturb_peers() -> Outcome {
        let (b, place) = listening("b").await?;
        let a = Streams::builder("a").peer("b", &place).build().await?;
        eventually(|| a.peers()[0].connected).await;
        let mut strangers = Vec::new();
        for _ in 0..300 {
            strangers.push(tokio::net::TcpStream::connect(place.trim_start_matches("tcp://")).await?);
        }
        a.send(&address("reader@b"), parcel("still here")).await?;
        assert_eq!(receive(&b, "reader@b").await?, b"still here");
        Ok(())
    }

    /// All places for strangers are taken by those who say nothing; when their time is over, a new peer gets in.
    #[tokio::test]
    async fn strangers_who_say_nothing_are_hung_up_on() -> Outcome {
        let (b, place) = listening("b").await?;
        let mut strangers = Vec::new();
        for _ in 0..100 {
            strangers.push(tokio::net::TcpStream::connect(place.trim_start_matches("tcp://")).await?);
        }
        let a = Streams::builder("a").peer("b", &place).build().await?;
        a.send(&address("reader@b"), parcel("in")).await?;
        let received = timeout_at(Instant::now() + StdDuration::from_secs(60), receive(&b, "reader@b")).await??;
        assert_eq!(received, b"in");
        Ok(())
    }

    /// Proves for whoever connects that it is this node.
    struct Proving(&'static str);

    impl Layer for Proving {
        fn connect<'a>(&'a self, stream: ByteStream, _: &'a Location) -> Pending<'a, io::Result<Secured>> {
            Box::pin(async move { Ok(Secured { stream, node: None }) })
        }

        fn accept(&self, stream: ByteStream) -> Pending<'_, io::Result<Secured>> {
            Box::pin(async move { Ok(Secured { stream, node: Some(self.0.into()) }) })
        }
    }

    #[tokio::test]
    async fn nobody_speaks_for_a_node_that_it_has_not_proven_to_be() -> Outcome {
        for (name, taken) in [("pi2", true), ("agent@pi2", true), ("pi3", false), ("pi2@pi3", false)] {
            let b = Streams::builder("b").layer("proof", Proving("pi2")).listen("proof://127.0.0.1:0").build().await?;
            let place = b.listening()[0].to_string();
            let a = Streams::builder(name).layer("proof", Proving("b")).peer("b", &place).build().await?;
            eventually(|| a.peers()[0].connected || a.peers()[0].trouble.is_some()).await;
            assert_eq!(b.peers().iter().any(|peer| peer.name == name), taken, "{name}");
        }
        Ok(())
    }

    /// Three senders fill one inbox, so that some are refused; each one's parcels still come in order, and all of them.
    #[tokio::test]
    async fn refusals_keep_the_order() -> Outcome {
        let (b, place) = listening("b").await?;
        let reader = address("reader@b");
        let held = b.receive(&reader);
        tokio::pin!(held);
        let mut senders = Vec::new();
        for name in ["x", "y", "z"] {
            let sender = Streams::builder(name).peer("b", &place).build().await?;
            senders.push(tokio::spawn(async move {
                for number in 0..800 {
                    while sender.send(&address("reader@b"), parcel(&format!("{} {number:04}", sender.0.0.names[0]))).await.is_err() {}
                }
                sender.drained(StdDuration::from_secs(60)).await
            }));
        }
        let first = held.await?;
        sleep(StdDuration::from_millis(1500)).await;
        drop(first);
        let mut last = HashMap::<String, String>::new();
        let mut count = 0;
        while count < 2400 {
            let bytes = timeout_at(Instant::now() + StdDuration::from_secs(60), receive(&b, "reader@b")).await??;
            let (name, number) = core::str::from_utf8(&bytes)?.split_once(' ').expect("a name and a number");
            let before = last.insert(name.into(), number.into());
            assert!(before.is_none_or(|before| before.as_str() < number), "{name} {number} came late or twice");
            count += 1;
        }
        for sender in senders {
            assert!(sender.await?, "all was acknowledged");
        }
        Ok(())
    }
}

/// Over a Unix socket only the user connects: who says there that it is an agent of this node is one.
#[cfg(all(feature = "unix", unix))]
#[tokio::test]
async fn agents_of_one_node_may_have_processes_of_their_own() -> Outcome {
    let path = std::env::temp_dir().join(format!("sealwire-hub-{}", std::process::id()));
    let location = format!("unix://{}", path.display());
    let hub = Streams::builder("pi").listen(&location).build().await?;
    let one = Streams::builder("one@pi").peer("pi", &location).build().await?;
    while !hub.peers().iter().any(|peer| peer.connected) {
        sleep(StdDuration::from_millis(5)).await;
    }
    for (from, at, reader) in [(&one, &hub, "boss@pi"), (&hub, &one, "one@pi")] {
        from.send(&address(reader), parcel(reader)).await?;
        let delivery = timeout_at(Instant::now() + StdDuration::from_secs(30), at.receive(&address(reader))).await??;
        assert_eq!(delivery.bytes(), reader.as_bytes());
        delivery.acknowledge().await?;
    }
    Ok(())
}

/// Over plain TCP anyone may say anything: it takes no agent of this node, and nobody who has proven who it is.
#[test]
fn what_was_proven_is_not_taken_by_what_was_only_said() -> Outcome {
    let shared = Shared {
        names: vec!["pi".into()],
        sockets: Sockets::default(),
        inboxes: Arc::default(),
        budget: Arc::new(Semaphore::new(READING)),
        closing: watch::Sender::new(false),
        state: Mutex::default(),
    };
    let names = |name: &str| [name.to_string()];
    shared.link_from(&names("one@pi"), Claim::Said)?;
    assert!(shared.is_own(&address("one@pi")));
    shared.link_from(&names("two@pi"), Claim::Proven)?;
    assert!(!shared.is_own(&address("two@pi")), "its own process has it");
    assert!(shared.link_from(&names("two@pi"), Claim::Said).is_err());
    shared.link_from(&names("two@pi"), Claim::Proven)?;
    Ok(())
}

#[cfg(all(feature = "unix", unix))]
#[tokio::test]
async fn a_socket_is_the_users_own_and_a_dead_one_is_replaced() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::temp_dir().join(format!("sealwire-socket-{}", std::process::id()));
    let location = format!("unix://{}", path.display());
    drop(std::os::unix::net::UnixListener::bind(&path)?); // leaves its file behind, as a killed process does
    let a = Streams::builder("a").listen(&location).build().await?;
    assert_eq!(std::fs::metadata(&path)?.permissions().mode() & 0o777, 0o600);
    assert!(Streams::builder("a").listen(&location).build().await.is_err(), "somebody listens there");
    a.close();
    while path.exists() {
        sleep(StdDuration::from_millis(5)).await;
    }
    Ok(())
}
