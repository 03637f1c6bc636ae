//! Attacks by insiders: agents of the domain, with certificates and keys, that seal by hand what [`Endpoint::seal`] would not.
//!
//! What needs no key is tested over a hostile transport in `tests/tests/attacks`.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{
    Claims, Draft, Envelope, Form, Header, Message, Root, RosterClaims,
    certificate::CertificateRequest,
    entropy::System,
    envelope::{Blinded, Plaintext, Route, Signed, assemble},
    header::Acknowledged,
    key::{ReceiveKeyPublic, SigningKey},
    limits::{CERTIFICATE_LIFETIME, CLOCK_TOLERANCE},
    schedule::{Hedge, LaneSecret, encapsulate, external_aad},
    sign1::sig_structure,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const NOW: u64 = 1_800_000_000;

fn clock() -> impl Clock {
    struct Stopped;
    impl Clock for Stopped {
        fn now(&self) -> u64 {
            NOW
        }
    }
    Stopped
}

/// Three hosts: `a@one` writes to `b@two`; `m@three` is the insider.
struct Hosts {
    root: Root,
    one: Endpoint,
    two: Endpoint,
    three: Endpoint,
    a: Address,
    b: Address,
    m: Address,
}

fn node(name: &str) -> NodeKey {
    let seed = Secret::init_with(|seed| seed.iter_mut().zip(name.bytes()).for_each(|(byte, letter)| *byte = letter));
    NodeKey { name: name.into(), key: SigningKey::from_seed(&seed).into() }
}

fn hosts() -> Result<Hosts, Box<dyn std::error::Error>> {
    let root = Root::generate()?;
    let [one, two, three] = ["one", "two", "three"].map(|name| host(&root, name));
    let (one, two, three) = (one?, two?, three?);
    let (a, b, m) = (one.host("a")?, two.host("b")?, three.host("m")?);
    for (endpoint, peer, address) in [(&one, &two, &b), (&one, &three, &m), (&three, &two, &b), (&three, &one, &a)] {
        endpoint.introduce(peer.certificate(address).ok_or("not hosted")?.as_bytes())?;
    }
    Ok(Hosts { root, one, two, three, a, b, m })
}

/// A process of that node, without a home: another one has the node's key and other agent keys.
fn host(root: &Root, name: &str) -> Result<Endpoint, EndpointError> {
    let listed = ["one", "two", "three"].map(|name| node(name).listed()).into_iter().collect::<Result<_, _>>()?;
    let roster = root.sign_roster(None, RosterClaims { nodes: listed, ..RosterClaims::default() }, NOW);
    Endpoint::builder().clock(clock()).member(node(name), *root.verifying_key(), roster)
}

/// A signed part, taken from an envelope or made by hand, that is then sealed for whomever.
#[derive(Clone)]
struct Inner {
    protected: Vec<u8>,
    certificate: Option<Vec<u8>>,
    signature: [u8; 64],
    blind: [u8; 16],
    body: Vec<u8>,
}

impl Inner {
    /// What the reader of an envelope has in hands.
    fn read(reader: &Endpoint, envelope: &Envelope) -> Result<Self, Box<dyn std::error::Error>> {
        let plaintext = reader.check(envelope, NOW, &mut Err)?.message.plaintext;
        let parts = Plaintext::parse(&plaintext).map_err(|error| error.to_string())?;
        Ok(Self {
            protected: parts.protected.to_vec(),
            certificate: parts.certificate.map(<[u8]>::to_vec),
            signature: parts.signature,
            blind: parts.blind,
            body: plaintext[parts.body].to_vec(),
        })
    }

    /// What `author` signs.
    fn sign(author: &Endpoint, header: &Header, body: &str) -> Self {
        let agent = own(author);
        let mut inner = Self {
            protected: header.encode(),
            certificate: Some(agent.certificate.as_bytes().to_vec()),
            signature: [0; 64],
            blind: [7; 16],
            body: body.into(),
        };
        inner.signature = agent.key.sign(&inner.to_sign(author)).expect("the key is in this process");
        inner
    }

    fn to_sign(&self, author: &Endpoint) -> Vec<u8> {
        sig_structure(&self.protected, &external_aad(&author.domain), &self.content().digest())
    }

    fn content(&self) -> Blinded<'_> {
        Blinded { blind: self.blind, body: &self.body }
    }

    fn signed(&self) -> Signed<'_> {
        Signed { protected: &self.protected, certificate: self.certificate.as_deref(), signature: self.signature }
    }

    fn opening_for(&self, reader: &Endpoint) -> Envelope {
        let hedge = Hedge::new(&Secret::init_with(|_| ()), &System, &[0; 32]).unwrap();
        let own = own(reader);
        let receive_key: &ReceiveKeyPublic = own.certificate.receive_key().unwrap();
        let (encapsulated, key, _) = encapsulate(&reader.domain, receive_key, &hedge).unwrap();
        let route = Route::Opening { receive_key: receive_key.id(), encapsulated };
        assemble(&self.signed(), &self.content(), route, |plaintext| key.seal(plaintext)).unwrap()
    }

    fn in_lane(&self, lane: LaneId, secret: &LaneSecret) -> Envelope {
        let salt = [9; 32];
        let key = secret.content_key(&salt);
        assemble(&self.signed(), &self.content(), Route::Lane { lane, salt }, |plaintext| key.seal(plaintext)).unwrap()
    }
}

/// The only agent of an endpoint.
fn own(endpoint: &Endpoint) -> Arc<Agent> {
    let state = endpoint.state();
    assert_eq!(state.agents.len(), 1);
    Arc::clone(state.agents.values().next().unwrap())
}

impl Hosts {
    fn seal(&self, body: &str) -> Result<(Envelope, Header), Box<dyn std::error::Error>> {
        let sealed = self.one.seal(&self.a, &self.b, &Draft::new("task", body))?;
        Ok((sealed.envelope, sealed.header))
    }

    /// The header of a message of `m` to `b`.
    fn header_of_m(&self) -> Result<Header, Box<dyn std::error::Error>> {
        Ok(self.three.seal(&self.m, &self.b, &Draft::new("task", ""))?.header)
    }

    /// Opens a message of `endpoint`'s agent, an opening, and has it named. Returns the lane as its reader holds it.
    fn lane_of(&self, endpoint: &Endpoint, agent: &Address) -> Result<(LaneId, Arc<LaneSecret>), Box<dyn std::error::Error>> {
        self.two.open(&endpoint.seal(agent, &self.b, &Draft::new("task", ""))?.envelope)?;
        endpoint.open(&self.two.acknowledge(&self.b, agent)?.ok_or("nothing to name")?.envelope)?;
        let in_lane = endpoint.seal(agent, &self.b, &Draft::new("task", ""))?.envelope;
        let Claims::Lane(id) = in_lane.claims() else { return Err("not a lane".into()) };
        let held = self.two.state().lanes.find(id, NOW).ok_or("not held")?;
        Ok((id, held.secret))
    }
}

fn refusal(opened: Result<Message, OpenError>) -> Option<OpenError> {
    opened.err()
}

/// The attacks of this file are only worth something if a message sealed by hand opens when nothing is wrong with it.
#[test]
fn sealed_by_hand_and_nothing_wrong() -> Outcome {
    let hosts = hosts()?;
    let (lane, secret) = hosts.lane_of(&hosts.three, &hosts.m)?;
    let inner = Inner::sign(&hosts.three, &hosts.header_of_m()?, "by hand");
    assert_eq!(hosts.two.open(&inner.opening_for(&hosts.two))?.body(), b"by hand");
    let inner = Inner { certificate: None, ..Inner::sign(&hosts.three, &hosts.header_of_m()?, "by hand") };
    let opened = hosts.two.open(&inner.in_lane(lane, &secret))?;
    assert_eq!((opened.body(), opened.form()), (b"by hand".as_slice(), Form::Lane));
    Ok(())
}

/// The reader passes on what it was sent, as if its author had meant it for somebody else.
#[test]
fn resealed_to_a_third_party() -> Outcome {
    let hosts = hosts()?;
    let inner = Inner::read(&hosts.two, &hosts.seal("for b")?.0)?;
    assert_eq!(refusal(hosts.three.open(&inner.opening_for(&hosts.three))), Some(OpenError::Misdirected));
    let direct = hosts.one.seal(&hosts.a, &hosts.m, &Draft::new("task", "for m"))?;
    assert_eq!(hosts.three.open(&direct.envelope)?.body(), b"for m");
    Ok(())
}

/// The same address, another key: a second process of that node that made its own.
#[test]
fn two_keys_of_one_name() -> Outcome {
    let hosts = hosts()?;
    let other = host(&hosts.root, "two")?;
    assert_eq!(other.host("b")?, hosts.b);
    assert_ne!(own(&hosts.two).thumbprint, own(&other).thumbprint);
    let (sealed, _) = hosts.seal("for b's first key")?;
    let inner = Inner::read(&hosts.two, &sealed)?;
    assert_eq!(refusal(other.open(&inner.opening_for(&other))), Some(OpenError::Misdirected));
    assert_eq!(refusal(other.open(&sealed)), Some(OpenError::UnknownKey));
    assert!(hosts.two.open(&sealed).is_ok());
    Ok(())
}

/// The same key under another name: a key file that was copied.
#[test]
fn two_names_of_one_key() -> Outcome {
    let hosts = hosts()?;
    let (sealed, _) = hosts.seal("for b, not for c")?;
    let inner = Inner::read(&hosts.two, &sealed)?;
    let other = host(&hosts.root, "two")?;
    other.certify(&Address::new("c", "two")?, Arc::clone(&own(&hosts.two).key), NOW)?;
    assert_eq!(own(&hosts.two).thumbprint, own(&other).thumbprint);
    assert_eq!(refusal(other.open(&inner.opening_for(&other))), Some(OpenError::Misdirected));
    Ok(())
}

/// `m` puts its own signature in the place of `a`'s, under each mixture of headers and certificates.
#[test]
fn signature_stripped_and_replaced() -> Outcome {
    let hosts = hosts()?;
    let (sealed, genuine) = hosts.seal("a's words")?;
    let of_a = Inner::read(&hosts.two, &sealed)?;
    let of_m = Inner::sign(&hosts.three, &genuine, "a's words");
    let renamed = Header { signer: own(&hosts.three).thumbprint.short(), ..genuine.clone() };
    let forgeries = [
        ("a's header, m's signature and certificate", of_m.clone()),
        ("a's header with m's key, m's signature and certificate", Inner::sign(&hosts.three, &renamed, "a's words")),
        (
            "m's header under a's key, m's signature and certificate",
            Inner::sign(&hosts.three, &Header { signer: genuine.signer, ..hosts.header_of_m()? }, "m's words"),
        ),
        ("a's header and certificate, m's signature", Inner { certificate: of_a.certificate.clone(), ..of_m.clone() }),
        ("a's header and signature, m's certificate", Inner { certificate: of_m.certificate.clone(), ..of_a.clone() }),
        ("no signature", Inner { signature: [0; 64], ..of_a.clone() }),
        ("no certificate", Inner { certificate: None, ..of_a.clone() }),
    ];
    for (what, forgery) in forgeries {
        assert_eq!(refusal(hosts.two.open(&forgery.opening_for(&hosts.two))), Some(OpenError::NotAuthentic), "{what}");
    }
    assert!(hosts.two.open(&sealed).is_ok());
    Ok(())
}

/// `b` could use the secrets of its own lanes to put one author's words into another's lane; so could whoever learns them.
#[test]
fn another_authors_words_in_ones_own_lane() -> Outcome {
    let hosts = hosts()?;
    let (lane, secret) = hosts.lane_of(&hosts.three, &hosts.m)?;
    let of_a = Inner::read(&hosts.two, &hosts.seal("a's words")?.0)?;
    let of_m = Inner::sign(&hosts.three, &hosts.seal("")?.1, "m's words under a's name");
    for forgery in [Inner { certificate: None, ..of_a.clone() }, of_a, Inner { certificate: None, ..of_m }] {
        assert_eq!(refusal(hosts.two.open(&forgery.in_lane(lane, &secret))), Some(OpenError::NotAuthentic));
    }
    Ok(())
}

/// Header and signature of one message around the body of another.
#[test]
fn a_header_on_another_body() -> Outcome {
    let hosts = hosts()?;
    let [first, second] = [hosts.seal("pay 1")?.0, hosts.seal("pay 1000")?.0];
    let [one, two] = [Inner::read(&hosts.two, &first)?, Inner::read(&hosts.two, &second)?];
    let swapped = Inner { body: two.body.clone(), blind: two.blind, ..one.clone() };
    assert_eq!(refusal(hosts.two.open(&swapped.opening_for(&hosts.two))), Some(OpenError::NotAuthentic));
    let header_swapped = Inner { protected: two.protected.clone(), ..one };
    assert_eq!(refusal(hosts.two.open(&header_swapped.opening_for(&hosts.two))), Some(OpenError::NotAuthentic));
    Ok(())
}

/// Forgeries under the genuine message's own id come first: with a bad signature, and well signed by another author.
#[test]
fn the_genuine_id_used_before_the_genuine_message() -> Outcome {
    let hosts = hosts()?;
    let (sealed, genuine) = hosts.seal("genuine")?;
    let unsigned = Inner {
        signature: [1; 64],
        certificate: Some(own(&hosts.one).certificate.as_bytes().to_vec()),
        ..Inner::sign(&hosts.three, &genuine, "forged")
    };
    assert_eq!(refusal(hosts.two.open(&unsigned.opening_for(&hosts.two))), Some(OpenError::NotAuthentic));
    let squatting = Inner::sign(&hosts.three, &Header { id: genuine.id, ..hosts.header_of_m()? }, "m's own");
    assert!(hosts.two.open(&squatting.opening_for(&hosts.two)).is_ok(), "m may use any id of its own");
    assert_eq!(hosts.two.open(&sealed)?.body(), b"genuine");
    Ok(())
}

/// An author that uses an id twice, for two bodies.
#[test]
fn an_id_used_again() -> Outcome {
    let hosts = hosts()?;
    let header = hosts.header_of_m()?;
    let [first, second] = ["yes", "no"].map(|body| Inner::sign(&hosts.three, &header, body));
    assert!(hosts.two.open(&first.opening_for(&hosts.two)).is_ok());
    assert_eq!(refusal(hosts.two.open(&second.opening_for(&hosts.two))), Some(OpenError::IdReused(header.id)));
    assert_eq!(refusal(hosts.two.open(&first.opening_for(&hosts.two))), Some(OpenError::Duplicate(header.id)), "sealed anew");
    Ok(())
}

/// A key whose certificate has ended signs on.
#[test]
fn an_expired_certificate_in_a_fresh_message() -> Outcome {
    let hosts = hosts()?;
    let agent = own(&hosts.three);
    let certified = |issued: u64| -> Result<Inner, Box<dyn std::error::Error>> {
        let receive_key = agent.certificate.receive_key().ok_or("no receive key")?;
        let request = CertificateRequest::sign(&hosts.three.domain, &agent.key, &hosts.m, receive_key, issued, issued)?;
        let certificate = request.certify(&hosts.three.domain, &hosts.three.node.key, issued)?;
        let inner = Inner::sign(&hosts.three, &hosts.header_of_m()?, "x");
        Ok(Inner { certificate: Some(certificate.as_bytes().to_vec()), ..inner })
    };
    let old = certified(NOW - CERTIFICATE_LIFETIME - CLOCK_TOLERANCE)?;
    assert_eq!(refusal(hosts.two.open(&old.opening_for(&hosts.two))), Some(OpenError::Expired { by: CLOCK_TOLERANCE }));
    let early = certified(NOW + CLOCK_TOLERANCE + 1)?;
    assert_eq!(refusal(hosts.two.open(&early.opening_for(&hosts.two))), Some(OpenError::FromFuture { by: CLOCK_TOLERANCE + 1 }));
    assert!(hosts.two.open(&certified(NOW)?.opening_for(&hosts.two)).is_ok());
    Ok(())
}

/// A fresh certificate does not make an old message young, nor a future one present.
#[test]
fn a_message_outside_its_time() -> Outcome {
    let hosts = hosts()?;
    let header = hosts.header_of_m()?;
    let lifetime = header.expires - header.issued;
    let at = |issued: u64| {
        Inner::sign(&hosts.three, &Header { issued, expires: issued + lifetime, ..header.clone() }, "x").opening_for(&hosts.two)
    };
    assert_eq!(refusal(hosts.two.open(&at(NOW - lifetime - CLOCK_TOLERANCE))), Some(OpenError::Expired { by: CLOCK_TOLERANCE }));
    assert_eq!(refusal(hosts.two.open(&at(NOW + CLOCK_TOLERANCE + 1))), Some(OpenError::FromFuture { by: CLOCK_TOLERANCE + 1 }));
    assert!(hosts.two.open(&at(NOW)).is_ok());
    Ok(())
}

/// `m` names a lane that `a` has offered to `b`: only `b` can, as only `b` can have opened the offer.
#[test]
fn a_lane_named_by_somebody_else() -> Outcome {
    let hosts = hosts()?;
    let (sealed, _) = hosts.seal("offers a lane")?;
    hosts.two.open(&sealed)?;
    let pair = crate::lane::Pair { signer: own(&hosts.two).thumbprint, reader: own(&hosts.one).thumbprint };
    let lanes = hosts.two.state().lanes.unnamed(pair, NOW);
    assert_eq!(lanes.len(), 1);
    let to_a = hosts.three.seal(&hosts.m, &hosts.a, &Draft::new("task", ""))?.header;
    let named = Header { acknowledged: Acknowledged { messages: vec![], lanes }, ..to_a };
    hosts.one.open(&Inner::sign(&hosts.three, &named, "").opening_for(&hosts.one))?;
    assert_eq!(hosts.seal("next")?.0.form(), Form::Opening);
    Ok(())
}

/// Two agents of one endpoint, whose lane begins and ends in it. What a node has taken is not opened beside it, nor the other way about.
#[cfg(feature = "node")]
#[test]
fn a_near_message_taken_by_a_node_and_opened_beside_it() -> Outcome {
    let hosts = hosts()?;
    let b = hosts.one.host("b")?;
    let seal = |body: &str| hosts.one.seal(&hosts.a, &b, &Draft::new("task", body)).map(|sealed| sealed.envelope);
    let take = |envelope: &Envelope| hosts.one.take(&[envelope.as_bytes()], &|_, _| Ok(Admission::Kept)).pop();
    hosts.one.open(&seal("offers a lane")?)?;
    let (taken, opened) = (seal("taken")?, seal("opened")?);
    assert_eq!([taken.form(), opened.form()], [Form::Lane; 2]);
    assert!(matches!(take(&taken), Some(Ok(Taken::New { .. }))));
    assert!(matches!(hosts.one.open(&taken), Err(OpenError::Duplicate(_))));
    hosts.one.open(&opened)?;
    assert!(matches!(take(&opened), Some(Err(Refused { error: OpenError::Duplicate(_), .. }))));
    assert!(matches!(take(&taken), Some(Ok(Taken::Again { .. }))), "a node answers what it has taken");
    Ok(())
}

/// What a node has taken comes again: the journal knows it whether or not there are hooks, and none of them is asked a second time.
#[cfg(feature = "node")]
#[test]
fn a_message_taken_by_a_node_comes_again() -> Outcome {
    let hosts = hosts()?;
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let policy = move |_: &crate::policy::Request<'_>| {
        counted.fetch_add(1, Ordering::Relaxed);
        crate::Verdict::Allow
    };
    let roster = Roster::clone(&hosts.two.roster());
    let with_policy = Endpoint::builder().clock(clock()).policy(policy).member(node("two"), *hosts.root.verifying_key(), roster)?;
    with_policy.host("b")?;
    for reader in [&hosts.two, &with_policy] {
        hosts.one.introduce(reader.certificate(&hosts.b).ok_or("hosted")?.as_bytes())?;
        let (sealed, header) = hosts.seal("once")?;
        let take = || reader.take(&[sealed.as_bytes()], &|_, _| Ok(Admission::Kept)).pop();
        assert!(matches!(take(), Some(Ok(Taken::New { .. }))));
        assert!(matches!(take(), Some(Ok(Taken::Again { .. }))));
        let no_room = |_: &Header, _: &crate::journal::RowKey| Err(OpenError::Overloaded("as many wait as may"));
        assert!(matches!(reader.take(&[sealed.as_bytes()], &no_room).pop(), Some(Ok(Taken::Again { .. }))), "a copy needs no room");
        assert_eq!(refusal(reader.open(&sealed)), Some(OpenError::Duplicate(header.id)));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1, "about the first one only");
    Ok(())
}

/// A home whose processes follow a roster that revokes a key: none of them, and no later one, goes back behind it.
#[cfg(feature = "home")]
#[test]
fn a_roster_rolled_back_in_a_home() -> Outcome {
    let folder = std::env::temp_dir().join(format!("sealwire-roster-{}", std::process::id()));
    let start = || Endpoint::builder().clock(clock()).home_or_init(folder.join("home"), "local").map(|(endpoint, _)| endpoint);
    let (first, second) = (start()?, start()?);
    let Authority::Root(root) = &first.authority else { return Err("a home has its root".into()) };
    let old = first.roster();
    let revoked = vec![Thumbprint::from_bytes([7; 32])];
    let next = root.sign_roster(Some(&old), RosterClaims { revoked: revoked.clone(), ..old.claims().clone() }, NOW);
    first.follow(next.as_bytes())?;

    let of_second = root.sign_roster(Some(&old), old.claims().clone(), NOW);
    assert_eq!(second.follow(of_second.as_bytes()).err(), Some(OpenError::RosterConflict { offered: 2, known: 2 }), "another process");
    assert_eq!(start()?.roster().claims().revoked, revoked, "a restart");
    std::fs::write(folder.join("home/roster.cbor"), old.as_bytes())?;
    second.maintain()?;
    assert_eq!(start()?.roster().claims().revoked, revoked, "an older file under a running process");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
