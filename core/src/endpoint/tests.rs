use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::{
    Claims, Clock, Decision, Direction, Draft, Entry, Envelope, Form, Message, MessageRef, OpenError, Request, Root, RosterClaims,
    SealError, Verdict,
    journal::RECEIVE_KEY_KEPT,
    limits::{CERTIFICATE_RENEWAL, CLOCK_TOLERANCE, LANE_LIFETIME, MAX_ENVELOPE, REQUEST_LIFETIME},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A clock that a test sets.
#[derive(Clone)]
struct Hands(Arc<AtomicU64>);

impl Hands {
    fn at(time: u64) -> Self {
        Self(Arc::new(AtomicU64::new(time)))
    }

    fn forward(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

const START: u64 = 1_800_000_000;

struct Pair {
    endpoint: Endpoint,
    hands: Hands,
    a: Address,
    b: Address,
}

fn pair_with(builder: Builder) -> Result<Pair, EndpointError> {
    let hands = Hands::at(START);
    let endpoint = builder.clock(hands.clone()).in_memory("local")?;
    let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
    Ok(Pair { endpoint, hands, a, b })
}

fn pair() -> Result<Pair, EndpointError> {
    pair_with(Endpoint::builder())
}

impl Pair {
    fn seal(&self, body: &[u8]) -> Result<Envelope, SealError> {
        self.endpoint.seal(&self.a, &self.b, &Draft::new("task", body)).map(|sealed| sealed.envelope)
    }

    fn open(&self, envelope: &Envelope) -> Result<Message, OpenError> {
        self.endpoint.open(&Envelope::parse(envelope.as_bytes().to_vec())?)
    }

    fn lane(&self) -> Outcome {
        self.open(&self.seal(b"opening")?)?;
        Ok(())
    }
}

/// Two endpoints of one domain, each with one agent that knows the other.
struct Hosts {
    root: Root,
    hands: Hands,
    one: Endpoint,
    two: Endpoint,
    a: Address,
    b: Address,
}

fn hosts() -> Result<Hosts, Box<dyn std::error::Error>> {
    let (root, hands) = (Root::generate()?, Hands::at(START));
    let nodes = [NodeKey::generate("one")?, NodeKey::generate("two")?];
    let listed = nodes.iter().map(NodeKey::listed).collect::<Result<_, _>>()?;
    let roster = root.sign_roster(None, RosterClaims { nodes: listed, ..RosterClaims::default() }, START);
    let mut endpoints = nodes
        .into_iter()
        .map(|node| Endpoint::builder().clock(hands.clone()).member(node, *root.verifying_key(), roster.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let (two, one) = (endpoints.pop().ok_or("two")?, endpoints.pop().ok_or("one")?);
    let (a, b) = (one.host("a")?, two.host("b")?);
    one.introduce(two.certificate(&b).ok_or("b")?.as_bytes())?;
    Ok(Hosts { root, hands, one, two, a, b })
}

#[test]
fn header_and_body_arrive_as_they_were_written() -> Outcome {
    let pair = pair()?;
    let draft = Draft::new("result", "body").label("pii").label("a").content_type("text/plain").thread(crate::Thread::from_bytes([7; 16]));
    let first = pair.endpoint.seal(&pair.a, &pair.b, &draft)?;
    let opened = pair.open(&first.envelope)?;
    assert_eq!(opened.header(), &first.header);
    assert_eq!((opened.body(), opened.form()), (b"body".as_slice(), Form::Opening));
    assert_eq!(opened.header().labels, ["a", "pii"]);
    let answer = Draft::new("reply", "yes").answers(opened.header().message_ref());
    let second = pair.open(&pair.endpoint.seal(&pair.b, &pair.a, &answer)?.envelope)?;
    assert_eq!(second.header().answers, Some(MessageRef { signer: first.header.signer, id: first.header.id }));
    assert_eq!(second.into_body(), b"yes");
    Ok(())
}

#[test]
fn within_an_endpoint_the_second_message_takes_the_lane() -> Outcome {
    let pair = pair()?;
    pair.lane()?;
    let second = pair.seal(b"two")?;
    assert!(matches!(second.claims(), Claims::Lane(_)));
    assert_eq!(pair.open(&second)?.body(), b"two");
    Ok(())
}

#[test]
fn between_endpoints_a_lane_is_used_once_the_reader_has_named_it() -> Outcome {
    let Hosts { one, two, a, b, .. } = hosts()?;
    let seal = |kind: &str| one.seal(&a, &b, &Draft::new(kind, "x"));
    let (first, second) = (seal("one")?, seal("two")?);
    assert_eq!((first.envelope.form(), second.envelope.form()), (Form::Opening, Form::Opening));
    two.open(&second.envelope)?;
    two.open(&first.envelope)?;
    let reply = two.seal(&b, &a, &Draft::new("reply", "y"))?;
    assert_eq!(reply.envelope.form(), Form::Opening, "the other direction has a lane of its own");
    one.open(&reply.envelope)?;
    let third = seal("three")?;
    assert_eq!(third.envelope.form(), Form::Lane);
    assert_eq!(two.open(&third.envelope)?.body(), b"x");
    assert!(two.acknowledge(&b, &a)?.is_some(), "the lane of the other opening was not named by use");
    Ok(())
}

#[test]
fn one_way_traffic_is_acknowledged_into_its_lane() -> Outcome {
    let Hosts { one, two, a, b, .. } = hosts()?;
    two.open(&one.seal(&a, &b, &Draft::new("note", "x"))?.envelope)?;
    let ack = two.acknowledge(&b, &a)?.ok_or("an acknowledgement is due")?;
    assert_eq!(one.open(&ack.envelope)?.header().kind, "ack");
    assert_eq!(one.acknowledge(&a, &b)?.map(|_| ()), None, "an acknowledgement is not acknowledged");
    assert_eq!(one.seal(&a, &b, &Draft::new("note", "x"))?.envelope.form(), Form::Lane);
    Ok(())
}

#[test]
fn a_lost_lane_costs_one_opening() -> Outcome {
    let Hosts { one, two, a, b, root, hands } = hosts()?;
    two.open(&one.seal(&a, &b, &Draft::new("note", "x"))?.envelope)?;
    one.open(&two.acknowledge(&b, &a)?.ok_or("ack")?.envelope)?;
    let sealed = one.seal(&a, &b, &Draft::new("note", "x"))?;
    two.state().lanes = Lanes::default();
    assert_eq!(two.open(&sealed.envelope).err(), Some(OpenError::UnknownLane));
    let Claims::Lane(lost) = sealed.envelope.claims() else { return Err("not a lane".into()) };
    one.forget_lane(lost);
    let again = one.seal(&a, &b, &Draft::new("note", "x"))?;
    assert_eq!(again.envelope.form(), Form::Opening);
    two.open(&again.envelope)?;
    drop((root, hands));
    Ok(())
}

#[test]
fn a_lane_ends_with_its_time() -> Outcome {
    let pair = pair()?;
    pair.lane()?;
    pair.hands.forward(LANE_LIFETIME - 1);
    let last = pair.seal(b"last")?;
    assert_eq!(last.form(), Form::Lane);
    pair.hands.forward(REQUEST_LIFETIME);
    assert_eq!(pair.seal(b"next")?.form(), Form::Opening);
    pair.open(&last)?;
    Ok(())
}

#[test]
fn a_second_time_is_a_duplicate_in_both_forms() -> Outcome {
    let pair = pair()?;
    for form in [Form::Opening, Form::Lane] {
        let sealed = pair.seal(b"once")?;
        assert_eq!(sealed.form(), form);
        let id = pair.open(&sealed)?.header().id;
        assert_eq!(pair.open(&sealed).err(), Some(OpenError::Duplicate(id)));
    }
    Ok(())
}

#[test]
fn any_flipped_bit_is_refused_and_leaves_the_genuine_one_whole() -> Outcome {
    let pair = pair()?;
    for form in [Form::Opening, Form::Lane] {
        let genuine = pair.seal(b"genuine")?;
        assert_eq!(genuine.form(), form);
        for at in 0..genuine.as_bytes().len() {
            let mut bytes = genuine.as_bytes().to_vec();
            bytes[at] ^= 1 << (at % 8);
            assert!(Envelope::parse(bytes).and_then(|flipped| pair.endpoint.open(&flipped)).is_err(), "{form} byte {at}");
        }
        for end in 0..genuine.as_bytes().len() {
            assert!(Envelope::parse(genuine.as_bytes()[..end].to_vec()).is_err(), "{form} cut at {end}");
        }
        assert_eq!(pair.open(&genuine)?.body(), b"genuine");
    }
    Ok(())
}

#[test]
fn time_is_checked_within_two_minutes() -> Outcome {
    let pair = pair()?;
    let [early, late, end] = [pair.seal(b"1")?, pair.seal(b"2")?, pair.seal(b"3")?];
    pair.hands.0.store(START - CLOCK_TOLERANCE - 1, Ordering::SeqCst);
    assert_eq!(pair.open(&early).err(), Some(OpenError::FromFuture { by: CLOCK_TOLERANCE + 1 }));
    pair.hands.0.store(START - CLOCK_TOLERANCE, Ordering::SeqCst);
    pair.open(&early)?;
    pair.hands.0.store(START + REQUEST_LIFETIME + CLOCK_TOLERANCE - 1, Ordering::SeqCst);
    pair.open(&late)?;
    pair.hands.forward(1);
    assert_eq!(pair.open(&end).err(), Some(OpenError::Expired { by: CLOCK_TOLERANCE }));
    Ok(())
}

#[test]
fn receive_keys_are_renewed_and_erased() -> Outcome {
    let pair = pair()?;
    let old = pair.endpoint.seal(&pair.a, &pair.b, &Draft::new("task", "x").lifetime(86_400))?.envelope;
    pair.hands.forward(CERTIFICATE_RENEWAL);
    let new = pair.seal(b"y")?;
    assert_ne!(old.claims(), new.claims());
    assert_eq!(pair.open(&old)?.body(), b"x", "what is under way still opens");
    pair.hands.forward(RECEIVE_KEY_KEPT);
    pair.seal(b"z")?;
    assert_eq!(pair.open(&old).err(), Some(OpenError::UnknownKey), "the key is gone");
    Ok(())
}

#[test]
fn revocation_holds_at_once_in_lanes_too() -> Outcome {
    let Hosts { one, two, a, b, root, .. } = hosts()?;
    two.open(&one.seal(&a, &b, &Draft::new("note", "x"))?.envelope)?;
    one.open(&two.acknowledge(&b, &a)?.ok_or("ack")?.envelope)?;
    let [in_lane, under_way] = [one.seal(&a, &b, &Draft::new("note", "x"))?, one.seal(&a, &b, &Draft::new("note", "y"))?];
    assert_eq!(in_lane.envelope.form(), Form::Lane);
    two.open(&in_lane.envelope)?;
    let known = two.roster();
    let mut claims = known.claims().clone();
    claims.revoked.push(one.certificate(&a).ok_or("a")?.thumbprint());
    let next = root.sign_roster(Some(&known), claims, START);
    two.follow(next.as_bytes())?;
    assert_eq!(two.open(&under_way.envelope).err(), Some(OpenError::UnknownLane));
    let Claims::Lane(lane) = under_way.envelope.claims() else { return Err("not a lane".into()) };
    one.forget_lane(lane);
    assert_eq!(two.open(&one.seal(&a, &b, &Draft::new("note", "x"))?.envelope).err(), Some(OpenError::Revoked));
    assert_eq!(two.seal(&b, &a, &Draft::new("note", "x")).err(), Some(SealError::Revoked(a)));
    Ok(())
}

#[test]
fn a_newer_roster_than_ones_own_is_fetched_before_anything_is_accepted() -> Outcome {
    let Hosts { one, two, a, b, root, .. } = hosts()?;
    let known = one.roster();
    let next = root.sign_roster(Some(&known), known.claims().clone(), START);
    one.follow(next.as_bytes())?;
    let sealed = one.seal(&a, &b, &Draft::new("note", "x"))?;
    assert_eq!(two.open(&sealed.envelope).err(), Some(OpenError::RosterBehind { theirs: 2, ours: 1 }));
    two.follow(next.as_bytes())?;
    two.open(&sealed.envelope)?;
    Ok(())
}

#[test]
fn policy_says_no_on_both_sides_and_when_it_panics() -> Outcome {
    let rule = |request: &Request<'_>| {
        let has = |label: &str| request.header.labels.iter().any(|one| one == label);
        match (request.direction, request.header.kind.as_str()) {
            (Direction::Open, "one-sided") => Verdict::Deny("not here".into()),
            (_, "hangs") => panic!("a policy with a bug"),
            _ if has("pii") && !has("anonymized") => Verdict::Deny("pii only with anonymized".into()),
            _ => Verdict::Allow,
        }
    };
    let pair = pair_with(Endpoint::builder().policy(rule))?;
    let seal = |draft: Draft<&str>| pair.endpoint.seal(&pair.a, &pair.b, &draft);
    assert_eq!(seal(Draft::new("task", "").label("pii")).err(), Some(SealError::Denied("pii only with anonymized".into())));
    assert_eq!(seal(Draft::new("hangs", "")).err(), Some(SealError::Denied("the policy panicked".into())));
    pair.open(&seal(Draft::new("task", "").label("pii").label("anonymized"))?.envelope)?;
    let sealed = seal(Draft::new("one-sided", ""))?.envelope;
    assert_eq!(pair.open(&sealed).err(), Some(OpenError::Denied("not here".into())));
    assert_eq!(pair.open(&sealed).err(), Some(OpenError::Denied("not here".into())), "a denied message is not used up");
    Ok(())
}

#[test]
fn what_cannot_be_recorded_is_not_released() -> Outcome {
    let log = Arc::new(Mutex::new(Vec::new()));
    let (lines, broken) = (Arc::clone(&log), Arc::new(AtomicU64::new(0)));
    let fails = Arc::clone(&broken);
    let audit = move |entry: &Entry<'_>| {
        if fails.load(Ordering::SeqCst) == 1 {
            return Err("disk full".to_owned());
        }
        let decision = match entry.decision {
            Decision::Allowed => "allowed".to_owned(),
            Decision::Denied(reason) | Decision::Refused(reason) => reason.to_owned(),
        };
        lines.lock().map_err(|error| error.to_string())?.push(format!("{} {decision}", entry.direction));
        Ok(())
    };
    let pair = pair_with(Endpoint::builder().audit(audit))?;
    let sealed = pair.seal(b"x")?;
    broken.store(1, Ordering::SeqCst);
    assert_eq!(pair.seal(b"y").err(), Some(SealError::AuditFailed("disk full".into())));
    assert_eq!(pair.open(&sealed).err(), Some(OpenError::AuditFailed("disk full".into())));
    broken.store(0, Ordering::SeqCst);
    let id = pair.open(&sealed)?.header().id;
    pair.open(&sealed).err();
    pair.endpoint.open_bytes(&[0x1c]).err();
    let lines = log.lock().map_err(|error| error.to_string())?;
    assert_eq!(
        *lines,
        [
            "seal allowed".to_owned(),
            "open allowed".to_owned(),
            format!("open message {id} was already opened"),
            "open not a sealwire/1 structure: not CBOR at byte 0".to_owned()
        ]
    );
    Ok(())
}

#[test]
fn sizes_are_bounded() -> Outcome {
    let pair = pair()?;
    let most = MAX_ENVELOPE - 4096;
    assert_eq!(pair.open(&pair.seal(&vec![1; most])?)?.body().len(), most);
    assert!(matches!(pair.seal(&vec![1; MAX_ENVELOPE]), Err(SealError::TooLarge { limit: MAX_ENVELOPE, .. })));
    assert!(matches!(Envelope::parse(vec![0; MAX_ENVELOPE + 1]), Err(OpenError::TooLarge { .. })));
    assert_eq!(pair.open(&pair.seal(b"")?)?.body(), b"");
    Ok(())
}

#[test]
fn a_lane_message_adds_at_most_440_bytes() -> Outcome {
    let endpoint = Endpoint::builder().in_memory("local")?;
    let name = |letter: &str| format!("{letter:a>20}");
    let (a, b) = (endpoint.host(&name("x"))?, endpoint.host(&name("y"))?);
    endpoint.open(&endpoint.seal(&a, &b, &Draft::new("task", ""))?.envelope)?;
    let body = vec![0; 4096];
    let sealed = endpoint.seal(&a, &b, &Draft::new("task", body))?;
    assert_eq!(sealed.envelope.form(), Form::Lane);
    let added = sealed.envelope.as_bytes().len() - 4096;
    assert!(added <= 440, "{added} bytes");
    Ok(())
}

#[test]
fn unknown_names_are_errors() -> Outcome {
    let pair = pair()?;
    let stranger: Address = "c@local".parse()?;
    let draft = Draft::new("task", "");
    assert_eq!(pair.endpoint.seal(&stranger, &pair.b, &draft).err(), Some(SealError::NotHosted(stranger.clone())));
    assert_eq!(pair.endpoint.seal(&pair.a, &stranger, &draft).err(), Some(SealError::UnknownReader(stranger)));
    assert!(matches!(pair.endpoint.host("Not A Name"), Err(EndpointError::Invalid(_))));
    assert!(matches!(pair.endpoint.seal(&pair.a, &pair.b, &Draft::new("Kind", "")), Err(SealError::Invalid(_))));
    Ok(())
}

#[test]
fn debug_shows_no_body_and_no_key() -> Outcome {
    let pair = pair()?;
    let draft = Draft::new("task", "s3cret-body");
    let sealed = pair.endpoint.seal(&pair.a, &pair.b, &draft)?;
    let shown = format!("{draft:?} {sealed:?} {:?} {:?}", pair.open(&sealed.envelope)?, pair.endpoint);
    assert!(!shown.contains("s3cret"), "{shown}");
    Ok(())
}

#[test]
fn a_clock_that_was_ahead_and_is_set_right_costs_one_sealing_anew() -> Outcome {
    const YEAR: u64 = 365 * 86_400;
    let pair = pair()?;
    pair.hands.forward(YEAR);
    pair.lane()?;
    pair.hands.forward(2 * REQUEST_LIFETIME);
    pair.lane()?;
    pair.hands.0.store(START + REQUEST_LIFETIME, Ordering::SeqCst);
    assert_eq!(pair.lane().map_err(|error| error.to_string()).err(), Some(OpenError::UnknownKey.to_string()));
    assert_eq!(pair.open(&pair.seal(b"now")?)?.body(), b"now");
    Ok(())
}

#[test]
fn an_endpoint_that_lives_long_renews_its_roster() -> Outcome {
    let pair = pair()?;
    for _ in 0..5 {
        pair.hands.forward(crate::limits::ROSTER_LIFETIME / 2);
        assert_eq!(pair.open(&pair.seal(b"x")?)?.body(), b"x");
    }
    assert!(pair.endpoint.roster().version() >= 5);
    Ok(())
}

#[test]
fn what_may_live_longer_than_a_lane_is_an_opening() -> Outcome {
    let pair = pair()?;
    pair.lane()?;
    let long = pair.endpoint.seal(&pair.a, &pair.b, &Draft::new("note", "x").lifetime(REQUEST_LIFETIME + 1))?;
    assert_eq!((long.envelope.form(), pair.seal(b"short")?.form()), (Form::Opening, Form::Lane));
    Ok(())
}

#[test]
fn a_node_whose_key_was_replaced_is_another_node() -> Outcome {
    let Hosts { one, two, a, b, root, .. } = hosts()?;
    two.open(&one.seal(&a, &b, &Draft::new("note", "x"))?.envelope)?;
    one.open(&two.acknowledge(&b, &a)?.ok_or("ack")?.envelope)?;
    let in_lane = one.seal(&a, &b, &Draft::new("note", "x"))?;
    assert_eq!(in_lane.envelope.form(), Form::Lane);
    let known = two.roster();
    let others = known.claims().nodes.iter().filter(|node| node.name != "one").cloned();
    let nodes = others.chain([NodeKey::generate("one")?.listed()?]).collect();
    two.follow(root.sign_roster(Some(&known), RosterClaims { nodes, ..RosterClaims::default() }, START).as_bytes())?;
    assert_eq!(two.open(&in_lane.envelope).err(), Some(OpenError::UnknownSigner));
    assert_eq!(two.seal(&b, &a, &Draft::new("note", "x")).err(), Some(SealError::Revoked(a)));
    Ok(())
}

#[test]
fn a_revocation_while_policy_thinks_counts() -> Outcome {
    let Hosts { one, a, root, hands, .. } = hosts()?;
    let node = NodeKey::generate("three")?;
    let known = one.roster();
    let nodes = known.claims().nodes.iter().cloned().chain([node.listed()?]).collect();
    let roster = root.sign_roster(Some(&known), RosterClaims { nodes, ..RosterClaims::default() }, START);
    let mut claims = roster.claims().clone();
    claims.revoked.push(one.certificate(&a).ok_or("a")?.thumbprint());
    let revoking = root.sign_roster(Some(&roster), claims, START);
    let place: Arc<Mutex<std::sync::Weak<Endpoint>>> = Arc::default();
    let own = Arc::clone(&place);
    let policy = move |_: &Request<'_>| {
        let endpoint = own.lock().ok().and_then(|own| own.upgrade());
        endpoint.map_or(Verdict::Deny("no endpoint".into()), |endpoint| {
            endpoint.follow(revoking.as_bytes()).map_or_else(|error| Verdict::Deny(error.to_string()), |()| Verdict::Allow)
        })
    };
    let three = Arc::new(Endpoint::builder().clock(hands).policy(policy).member(node, *root.verifying_key(), roster.clone())?);
    *place.lock().map_err(|error| error.to_string())? = Arc::downgrade(&three);
    one.follow(roster.as_bytes())?;
    let c = three.host("c")?;
    one.introduce(three.certificate(&c).ok_or("c")?.as_bytes())?;
    let sealed = one.seal(&a, &c, &Draft::new("note", "x"))?;
    assert_eq!(three.open(&sealed.envelope).err(), Some(OpenError::Revoked));
    Ok(())
}

#[test]
fn an_acknowledgement_is_not_for_users_to_write() -> Outcome {
    let pair = pair()?;
    assert!(matches!(pair.endpoint.seal(&pair.a, &pair.b, &Draft::new("ack", "")), Err(SealError::Invalid(_))));
    Ok(())
}

#[test]
fn a_pair_that_has_all_its_lanes_goes_on_with_openings() -> Outcome {
    let Hosts { one, two, a, b, .. } = hosts()?;
    for _ in 0..2 * crate::limits::MAX_LANES_PER_PEER {
        two.open(&one.seal(&a, &b, &Draft::new("note", "x"))?.envelope)?;
    }
    let reply = two.seal(&b, &a, &Draft::new("reply", "y"))?;
    assert_eq!(reply.header.acknowledged.lanes.len(), crate::limits::MAX_LANES_PER_PEER);
    one.open(&reply.envelope)?;
    assert_eq!(one.seal(&a, &b, &Draft::new("note", "x"))?.envelope.form(), Form::Lane);
    Ok(())
}

/// Opens a message at its end and one after it, so that rows are purged; gives back a message that ended with the first and was not opened.
fn with_a_horizon(pair: &Pair) -> Result<Envelope, Box<dyn std::error::Error>> {
    let [opened, left] = [pair.seal(b"1")?, pair.seal(b"2")?];
    pair.open(&opened)?;
    pair.hands.forward(REQUEST_LIFETIME + CLOCK_TOLERANCE);
    pair.open(&pair.seal(b"3")?)?;
    Ok(left)
}

#[test]
fn the_last_second_of_a_message_is_not_taken_for_a_clock_set_back() -> Outcome {
    let pair = pair()?;
    let late = with_a_horizon(&pair)?;
    let under_way = pair.seal(b"under way")?;
    pair.hands.0.fetch_sub(1, Ordering::SeqCst);
    assert_eq!(pair.open(&late).err(), Some(OpenError::Expired { by: CLOCK_TOLERANCE - 1 }));
    assert_eq!(pair.open(&under_way)?.body(), b"under way", "no key was burned");
    Ok(())
}

type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

#[test]
fn what_was_decrypted_in_one_life_is_not_released_in_the_next() -> Outcome {
    let hook = Hook::default();
    let called = Arc::clone(&hook);
    let rule = move |_: &Request<'_>| {
        let then = called.lock().map_or(None, |mut hook| hook.take());
        if let Some(then) = then {
            then();
        }
        Verdict::Allow
    };
    let Pair { endpoint, hands, a, b } = pair_with(Endpoint::builder().policy(rule))?;
    let pair = Arc::new(Pair { endpoint, hands, a, b });
    let beyond = with_a_horizon(&pair)?;
    pair.hands.0.store(START, Ordering::SeqCst);
    let twice = pair.endpoint.seal(&pair.a, &pair.b, &Draft::new("task", b"twice").lifetime(3600))?.envelope;
    let released = Arc::new(AtomicU64::new(0));
    let (inner, copy, count) = (Arc::clone(&pair), twice.clone(), Arc::clone(&released));
    let meanwhile = move || {
        count.fetch_add(u64::from(inner.open(&copy).is_ok()), Ordering::SeqCst);
        assert_eq!(inner.open(&beyond).err(), Some(OpenError::UnknownKey), "a new life begins");
    };
    if let Ok(mut hook) = hook.lock() {
        *hook = Some(Box::new(meanwhile));
    }
    assert_eq!(pair.open(&twice).err(), Some(OpenError::UnknownKey));
    assert_eq!(released.load(Ordering::SeqCst), 1);
    Ok(())
}
