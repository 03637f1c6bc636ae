//! Two homes that pair, over TCP.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use super::{schedule::invite_id, stream::Stream, *};
use crate::{
    Draft, Endpoint,
    entropy::{Clock, System},
    home::{Home, Joining, Membership, Spent},
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// What the joiner has to say, and the inviter.
type Both<J> = (Result<J, PairingError>, Result<Admitted, PairingError>);

/// A folder of its own for each test, gone at its end.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new() -> std::io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = std::env::temp_dir().join(format!("sealwire-pairing-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A home with a domain of its own.
    pub(super) fn home(&self) -> Result<Home, Box<dyn std::error::Error>> {
        Ok(Home::init(self.join("one"), "pi1")?.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn terms(patterns: &[&str]) -> Terms {
    Terms { node: "pi2".into(), patterns: patterns.iter().map(|pattern| (*pattern).into()).collect(), lifetime: 600 }
}

fn offer(home: &Home, patterns: &[&str]) -> Result<Offer, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    Ok(Offer::make(home, listener, vec![address], terms(patterns))?)
}

fn read(offer: &Offer) -> Result<Invite, PairingError> {
    offer.invite().to_text().parse()
}

/// Joins with `ask` while the offer waits in a thread; what both sides have to say.
fn pair(offer: Offer, path: &Path, ask: &Join) -> Result<Both<Joined>, PairingError> {
    let invite = read(&offer)?;
    let waiting = thread::spawn(move || offer.wait_until(|_| true));
    let joined = join(&invite, path, ask);
    let admitted = waiting.join().unwrap();
    Ok((joined, admitted))
}

fn joined(place: &Place, home: &Home) -> Result<Joined, Box<dyn std::error::Error>> {
    let (joined, admitted) = pair(offer(home, &["*"])?, &place.join("two"), &Join::default())?;
    admitted?;
    Ok(joined?)
}

#[test]
fn a_node_joins_and_talks() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let ask = Join { addresses: Some(vec!["tcp://10.0.0.2:7451".into()]), ..Join::default() };
    let (joined, admitted) = pair(offer(&home, &["crew-*", "editor"])?, &place.join("two"), &ask)?;
    let (joined, admitted) = (joined?, admitted?);
    assert_eq!((admitted.node.name.as_str(), admitted.roster), ("pi2", 2));
    assert_eq!((&admitted.node.hosts, &admitted.node.addresses), (&vec!["crew-*".to_owned(), "editor".into()], &ask.addresses.unwrap()));
    assert!(!joined.membership.holds_root() && home.membership()?.holds_root());
    assert!(!place.join("two/root.pem").exists());

    let (one, two) = (Endpoint::builder().home(&home)?, Endpoint::builder().home(&joined.home)?);
    let (boss, editor) = (one.host("boss")?, two.host("editor")?);
    assert!(two.host("boss").is_err(), "outside the pattern");
    one.introduce(two.certificate(&editor).ok_or("none")?.as_bytes())?;
    let sealed = one.seal(&boss, &editor, &Draft::new("task", "read this"))?;
    assert_eq!(two.open(&sealed.envelope)?.body(), b"read this");
    Ok(())
}

#[test]
fn a_member_does_not_renew_the_roster_and_says_so_when_it_ends() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let joined = joined(&place, &home)?;
    let late = System.now() + crate::limits::ROSTER_LIFETIME + 600;
    let error = Endpoint::builder().clock(At(late)).home(&joined.home).err().ok_or("must not start")?.to_string();
    assert!(error.contains("roster.cbor` ended") && error.contains("sealwire invite"), "{error}");
    // Where the root is, it is renewed.
    assert_eq!(Endpoint::builder().clock(At(late)).home(&home)?.roster().version(), 3);
    Ok(())
}

struct At(u64);

impl Clock for At {
    fn now(&self) -> u64 {
        self.0
    }
}

#[test]
fn an_invite_serves_one_machine() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let offer = offer(&home, &["*"])?;
    let text = offer.invite().to_text();
    let (first, _) = pair(offer, &place.join("two"), &Join::default())?;
    let listed = first?.membership.key().thumbprint();
    let resume = || -> Result<Offer, Box<dyn std::error::Error>> {
        // At another port, as an attacker with the line would find it open again.
        Ok(Offer::resume(&home, TcpListener::bind("127.0.0.1:0")?, text.parse()?)?)
    };
    let (other, _) = pair_at(resume()?, &place.join("three"))?;
    assert_eq!(other.err(), Some(PairingError::NameTaken("pi2".into())), "the node is listed with another key");
    home.membership()?.revoke_node("pi2", System.now())?;
    let (other, _) = pair_at(resume()?, &place.join("three"))?;
    assert_eq!(other.err(), Some(PairingError::Used));
    let (same, _) = pair_at(resume()?, &place.join("two"))?;
    assert_eq!(same.err(), Some(PairingError::Revoked));
    let roster = home.membership()?.roster().clone();
    assert!(roster.node("pi2").is_none() && roster.is_revoked(&listed));
    Ok(())
}

/// As [`pair`], for an offer that waits elsewhere than its invite says.
fn pair_at(offer: Offer, path: &Path) -> Result<Both<Membership>, Box<dyn std::error::Error>> {
    let (invite, address) = (read(&offer)?, offer.local_addr()?);
    let waiting = thread::spawn(move || offer.wait_until(|_| true));
    let joining = Joining::at(path, &invite.domain(), invite.node())?;
    let outcome = super::join::converse(&invite, &joining, &Join::default(), TcpStream::connect(address)?);
    Ok((outcome, waiting.join().unwrap()))
}

/// The inviter died after the invite was spent and before the node was listed: the same machine can finish, and no other.
#[test]
fn a_crash_between_spent_and_listed() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let offer = offer(&home, &["*"])?;
    let (invite, text) = (read(&offer)?, offer.invite().to_text());
    drop(offer);
    let joining = Joining::at(&place.join("two"), &invite.domain(), "pi2")?;
    assert_eq!(home.spend_invite(&invite_id(&invite.secret), joining.node().key.verifying_key())?, Spent::Now);
    let resume = || Offer::resume(&home, TcpListener::bind("127.0.0.1:0").unwrap(), text.parse()?);
    let (other, _) = pair_at(resume()?, &place.join("three"))?;
    assert_eq!(other.err(), Some(PairingError::Used));
    let (same, _) = pair_at(resume()?, &place.join("two"))?;
    assert_eq!(same?.roster().version(), 2);
    Ok(())
}

/// Nothing is listed unless the invite is spent on disk before: where that cannot be, there is no node.
#[cfg(unix)]
#[test]
fn without_a_place_to_spend_it_an_invite_lists_nobody() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let offer = offer(&home, &["*"])?;
    let invites = home.path().join("invites");
    fs::remove_dir_all(&invites)?;
    fs::write(&invites, b"in the way")?;
    let (joined, _) = pair(offer, &place.join("two"), &Join::default())?;
    assert_eq!(joined.err(), Some(PairingError::InviterFailed));
    assert_eq!(home.membership()?.roster().version(), 1);
    Ok(())
}

/// The line breaks between the inviter's signature and the joiner's hearing of it: the joiner goes on by itself, and is listed once.
#[test]
fn a_connection_lost_after_the_invite_was_spent() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let inviter = listener.local_addr()?;
    let line = TcpListener::bind("127.0.0.1:0")?;
    let offer = Offer::make(&home, listener, vec![line.local_addr()?.to_string()], terms(&["*"]))?;
    let invite = read(&offer)?;
    let waiting = thread::spawn(move || offer.wait(|_, _| ()));
    thread::spawn(move || [4, 6].into_iter().for_each(|messages| relay(&line, inviter, messages).unwrap()));
    let joined = join(&invite, &place.join("two"), &Join::default())?;
    assert_eq!(waiting.join().unwrap()?.roster, 2);
    assert_eq!((joined.membership.roster().version(), home.membership()?.roster().version()), (2, 2));
    Ok(())
}

/// Passes on fewer than `messages` messages of one connection, then cuts it.
fn relay(line: &TcpListener, to: SocketAddr, messages: u32) -> std::io::Result<()> {
    let time = Duration::from_secs(10);
    let mut ends = [Stream::new(line.accept()?.0, time)?, Stream::new(TcpStream::connect(to)?, time)?];
    for number in 1..messages {
        let [joiner, inviter] = &mut ends;
        let (from, to) = if number % 2 == 1 { (joiner, inviter) } else { (inviter, joiner) };
        let Ok(message) = from.receive(1 << 20) else { break };
        to.send(&message)?;
    }
    if messages == 4 {
        // The inviter has answered; nobody hears it.
        let _unheard = ends[1].receive(1 << 20)?;
    }
    Ok(())
}

#[test]
fn what_the_invite_does_not_allow_is_not_listed() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    for wanted in ["boss", "*", "cre*", "crew"] {
        let ask = Join { hosts: vec!["crew-a".into(), wanted.into()], ..Join::default() };
        let (joined, _) = pair(offer(&home, &["crew-*", "editor"])?, &place.join("two"), &ask)?;
        let allowed = "`crew-*`, `editor`".to_owned();
        assert_eq!(joined.err(), Some(PairingError::OutsidePattern { wanted: wanted.into(), allowed }));
        assert_eq!(home.membership()?.roster().version(), 1);
    }
    let ask = Join { hosts: vec!["crew-a*".into()], ..Join::default() };
    let (_, admitted) = pair(offer(&home, &["crew-*", "editor"])?, &place.join("two"), &ask)?;
    assert_eq!(admitted?.node.hosts, ["crew-a*"]);
    Ok(())
}

#[test]
fn a_listed_node_is_invited_again_with_its_key_only() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let first = joined(&place, &home)?;
    let (again, _) = pair(offer(&home, &["crew-*"])?, &place.join("two"), &Join::default())?;
    let again = again?.membership;
    assert_eq!(again.key(), first.membership.key());
    assert_eq!(again.roster().node("pi2").ok_or("gone")?.hosts, ["crew-*"]);
    let (other, _) = pair(offer(&home, &["*"])?, &place.join("three"), &Join::default())?;
    assert_eq!(other.err(), Some(PairingError::NameTaken("pi2".into())));
    Ok(())
}

#[test]
fn a_home_of_another_domain_does_not_join() -> Outcome {
    let (place, other) = (Place::new()?, Place::new()?);
    let home = place.home()?;
    let invite = read(&offer(&home, &["*"])?)?;
    let own = join(&invite, other.home()?.path(), &Join::default()).err().ok_or("joined")?.to_string();
    assert!(own.contains("a domain of its own"), "{own}");
    let elsewhere = joined(&other, &Home::at(other.join("one"))?)?;
    let error = join(&invite, elsewhere.home.path(), &Join::default()).err().ok_or("joined")?.to_string();
    assert!(error.contains("another domain"), "{error}");
    Ok(())
}

#[test]
fn only_the_home_with_the_root_key_invites() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let member = joined(&place, &home)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let refused = Offer::make(&member.home, listener, vec!["127.0.0.1:1".into()], terms(&["*"])).err().ok_or("invited")?;
    assert!(refused.to_string().contains("does not hold the root key"), "{refused}");
    Ok(())
}

#[test]
fn an_invite_that_ended_is_named_as_the_cause() -> Outcome {
    let place = Place::new()?;
    let home = place.home()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let offer = Offer::make(&home, listener, vec![address], Terms { lifetime: 1, ..terms(&["*"]) })?;
    let invite = read(&offer)?;
    assert!(matches!(offer.wait(|_, _| ()), Err(PairingError::Expired { .. })));
    let ended = super::join::over(&invite, PairingError::Unreachable(String::new()));
    assert!(matches!(ended, PairingError::Expired { .. }), "{ended}");
    Ok(())
}

/// What is no pairing at all harms nobody: the genuine joiner is served.
#[test]
fn garbage_before_the_genuine_joiner() -> Outcome {
    use std::io::Write;

    let place = Place::new()?;
    let home = place.home()?;
    let offer = offer(&home, &["*"])?;
    let (invite, address) = (read(&offer)?, offer.local_addr()?);
    let (told, tell) = std::sync::mpsc::channel();
    let waiting = thread::spawn(move || offer.wait(|_, error| told.send(error.clone()).unwrap()));
    for garbage in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 64], &[0, 0, 0, 1, 0], &[0, 0, 0, 2, 0x80, 0x80]] {
        TcpStream::connect(address)?.write_all(garbage)?;
    }
    // One that says nothing and stays.
    let _silent = TcpStream::connect(address)?;
    for _ in 0..5 {
        assert!(matches!(tell.recv_timeout(Duration::from_secs(10))?, PairingError::Cut(_) | PairingError::Malformed(_)));
    }
    assert!(join(&invite, &place.join("two"), &Join::default()).is_ok());
    assert!(waiting.join().unwrap().is_ok());
    Ok(())
}

#[test]
fn more_connections_than_are_served_are_closed() -> Outcome {
    use std::io::Read;

    let place = Place::new()?;
    let home = place.home()?;
    let offer = offer(&home, &["*"])?;
    let address = offer.local_addr()?;
    thread::spawn(move || offer.wait(|_, _| ()));
    let silent: Vec<_> = (0..MAX_CONNECTIONS).map(|_| TcpStream::connect(address)).collect::<Result<_, _>>()?;
    let mut next = TcpStream::connect(address)?;
    next.set_read_timeout(Some(Duration::from_secs(10)))?;
    assert_eq!(next.read(&mut [0])?, 0, "closed unheard");
    drop(silent);
    Ok(())
}

#[test]
fn every_error_reads_as_a_sentence() {
    let by = 432;
    let clock = PairingError::ClockBehind { by }.to_string();
    assert_eq!(
        clock,
        "the joining machine's clock is 7 min 12 s behind the inviter's; they may differ by 2 min: set the wrong one, then try again"
    );
    let errors = [
        PairingError::Mistyped("its checksum is wrong"),
        PairingError::LaterVersion,
        PairingError::Unreachable("`a:1` (refused)".into()),
        PairingError::UnknownInvite,
        PairingError::Busy,
        PairingError::NotAuthentic,
        PairingError::Expired { by },
        PairingError::Used,
        PairingError::ClockAhead { by },
        PairingError::NameTaken("pi2".into()),
        PairingError::OutsidePattern { wanted: "a".into(), allowed: "`b`".into() },
        PairingError::Revoked,
        PairingError::OtherRoot,
        PairingError::Roster(OpenError::NotAuthentic),
        PairingError::NotListed,
        PairingError::InviterFailed,
        PairingError::TooManyTries,
        PairingError::Cut("no answer in time".into()),
        PairingError::NotConfirmed { node: "pi2".into() },
    ];
    for text in errors.map(|error| error.to_string()) {
        assert!(text.len() > 30 && text.starts_with(|c: char| c.is_lowercase() || c.is_numeric() || c == '`'), "{text}");
    }
}
