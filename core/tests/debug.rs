//! What the public types say of themselves in logs: a snapshot of each, and no byte of a key or a body in any. That no public type lacks
//! `Debug` is checked by the compiler (`missing_debug_implementations`).

#![cfg(feature = "home")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{cell::RefCell, fmt::Debug, fs, path::PathBuf};

use sealwire::{
    Address, Decision, Direction, Draft, Endpoint, EntropyFailed, Envelope, Home, NodeKey, OpenError, Parcel, Root, Secret, Transport,
    VerifyingKey, transport::Memory,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

const BODY: &str = "the body of the message";

/// Hexadecimal digits in a row that are taken for a name that is another one in each run.
const NAME: usize = 16;

/// What was shown so far.
#[derive(Default)]
struct Shown {
    said: RefCell<String>,
    unexpected: RefCell<Vec<[String; 2]>>,
}

impl Shown {
    /// That `value` shows itself as `expected`, in which `#` stands for names and `@` for times of this run.
    fn is(&self, value: impl Debug, expected: &str) {
        let said = format!("{value:?}");
        let settled = settled(&said);
        if settled != expected {
            self.unexpected.borrow_mut().push([settled, expected.into()]);
        }
        // With line breaks a type may say more.
        self.said.borrow_mut().push_str(&format!("{said}\n{value:#?}\n"));
    }

    /// That all was as expected, and no secret of these stands there, however bytes are written.
    fn has_none_of(self, secrets: &[Vec<u8>]) {
        let (shown, unexpected) = (self.said.into_inner(), self.unexpected.into_inner());
        assert!(unexpected.is_empty(), "shown, and expected: {unexpected:#?}");
        for secret in secrets {
            for form in written(secret) {
                assert!(!shown.contains(&form), "a secret is shown as {form}");
            }
        }
    }
}

/// Half of a secret is enough to be found.
fn written(secret: &[u8]) -> Vec<String> {
    let part = &secret[..secret.len() / 2];
    let list = |separator: &str| part.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
    let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![hex.to_uppercase(), hex, list(", "), list(",\n    "), list(",\n        "), String::from_utf8_lossy(part).into_owned()]
}

/// A snapshot that is the same in each run: long hexadecimal numbers are `#`, times are `@`.
fn settled(said: &str) -> String {
    let mut settled = String::new();
    let mut rest = said;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(digits);
        let is_time = word.len() == 10 && word.bytes().all(|byte| byte.is_ascii_digit());
        settled.push_str(if word.len() >= NAME {
            "#"
        } else if is_time {
            "@"
        } else {
            word
        });
        let between = after.find(|c: char| c.is_ascii_hexdigit()).unwrap_or(after.len());
        let (text, next) = after.split_at(between);
        settled.push_str(text);
        rest = next;
    }
    settled
}

/// A home in a folder that is removed with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("sealwire-debug-{name}-{}", std::process::id())))
    }

    /// The seed in a PKCS #8 file: the last 32 bytes of the DER, or those before a public key.
    fn seed(&self, file: &str) -> Vec<u8> {
        let pem = fs::read_to_string(self.0.join(file)).unwrap();
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = decode(&base64);
        // RFC 8410, section 7: the seed is an OCTET STRING of 32 bytes within one of 34.
        let at = der.windows(4).position(|bytes| bytes == [0x04, 0x22, 0x04, 0x20]).unwrap() + 4;
        der[at..at + 32].to_vec()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn decode(base64: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = base64.bytes().filter_map(|byte| digits.iter().position(|digit| *digit == byte));
    let (mut bytes, mut held, mut count) = (Vec::new(), 0_usize, 0);
    for six in bits {
        (held, count) = ((held << 6 | six) & 0xffff, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((held >> count & 0xff) as u8);
        }
    }
    bytes
}

#[test]
fn nothing_shows_a_key_or_a_body() -> Outcome {
    let (place, shown) = (Place::new("all"), Shown::default());
    let (endpoint, created) = Endpoint::builder().home_or_init(&place.0, "pi1")?;
    let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
    let draft = Draft::new("task", BODY).label("pii").content_type("text/plain");
    shown.is(&draft, "Draft(task of 23 bytes)");
    let sealed = endpoint.seal(&a, &b, &draft)?;
    shown.is(&sealed, "Sealed { envelope: Envelope(opening of 2941 bytes), header: Header(a@pi1 to b@pi1, task #) }");
    shown.is(sealed.envelope.claims(), "Opening(#)");
    shown.is(Parcel::from(sealed.envelope.clone()), "Parcel(2941 bytes)");
    shown.is(&a, "a@pi1");
    let inspected = Endpoint::builder().inspector(&Home::at(&place.0)?)?;
    shown.is(&inspected, "Inspector(Endpoint { domain: Domain(#), node: \"pi1\", .. })");
    shown.is(inspected.inspect(&sealed.envelope)?, "Inspected(Header(a@pi1 to b@pi1, task #), 23 bytes, opening, 0 objections)");
    let message = endpoint.open(&sealed.envelope)?;
    shown.is(&message, "Message(Header(a@pi1 to b@pi1, task #), 23 bytes, opening)");
    shown.is(message.header(), "Header(a@pi1 to b@pi1, task #)");
    shown.is(message.header().message_ref(), "MessageRef { signer: #, id: # }");
    shown.is(endpoint.open(&sealed.envelope), "Err(Duplicate(#))");
    shown.is(Envelope::parse(b"no envelope".to_vec()), "Err(Malformed(Malformed { what: \"input ends inside a string\", offset: 1 }))");

    shown.is(&endpoint, "Endpoint { domain: Domain(#), node: \"pi1\", .. }");
    shown.is(Endpoint::builder(), "Builder");
    shown.is(endpoint.certificate(&a).unwrap(), "Certificate { subject: a@pi1, key: #, issued: @, expires: @ }");
    let listed = "RosterNode { name: \"pi1\", key: VerifyingKey(#), hosts: [\"*\"], clearances: [], addresses: [] }";
    let claims = format!("RosterClaims {{ nodes: [{listed}], revoked: [], next_root: None }}");
    let roster = format!("Roster {{ domain: Domain(#), version: 1, issued: @, expires: @, claims: {claims}, .. }}");
    shown.is(endpoint.roster(), &roster);
    shown.is(created, "Now");
    let home = Home::at(&place.0)?;
    assert!(format!("{home:?}").starts_with("Home("));
    shown.is(home.membership()?.node(), "\"pi1\"");

    let root = Root::generate()?;
    shown.is(&root, "Root(SigningKey(#))");
    shown.is(root.verifying_key(), "VerifyingKey(#)");
    shown.is(root.domain(), "Domain(#)");
    shown.is(NodeKey::generate("pi2")?, "NodeKey { name: \"pi2\", key: Here(SigningKey(#)) }");
    shown.is(NodeKey::generate("pi2")?.listed()?.name, "\"pi2\"");
    shown.is(Secret::<32>::init_with(|bytes| bytes.fill(0xa5)), "Secret(..)");
    shown.is(VerifyingKey::from_bytes(&[0; 32]), "Err(InvalidKey)");
    shown.is(EntropyFailed, "EntropyFailed");
    shown.is(OpenError::NotAuthentic, "NotAuthentic");
    shown.is((Direction::Seal, Decision::Refused("why")), "(Seal, Refused(\"why\"))");
    shown.is("no address".parse::<Address>(), "Err(InvalidName { what: \"an address is `name@node`\" })");
    carried(&shown, &endpoint, &a, &b)?;

    let files = ["root.pem", "node.pem", "agents/a.pem", "agents/b.pem"];
    let mut secrets: Vec<_> = files.iter().map(|file| place.seed(file)).collect();
    secrets.extend([fs::read(place.0.join("store.key"))?, vec![0xa5; 32], BODY.into()]);
    shown.has_none_of(&secrets);
    Ok(())
}

fn carried(shown: &Shown, endpoint: &Endpoint, a: &Address, b: &Address) -> Outcome {
    let memory = Memory::new();
    let sealed = endpoint.seal(a, b, &Draft::new("task", BODY))?;
    pollster(memory.send(b, sealed.envelope.into()))?;
    shown.is(&memory, "Memory");
    shown.is(pollster(memory.receive(b))?, "MemoryDelivery(358 bytes)");
    Ok(())
}

/// Memory is ready at once.
fn pollster<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(ready) => ready,
        std::task::Poll::Pending => panic!("what is in memory is there at once"),
    }
}

/// An invite is a secret: who has its text can join.
#[cfg(feature = "pairing")]
#[test]
fn pairing_shows_no_secret() -> Outcome {
    use std::net::TcpListener;

    use sealwire::Entropy;
    use sealwire::pairing::{Invite, Join, Offer, Terms, enrol, inviter::Answering, join, joiner::Calling};

    /// Nothing of this is kept.
    struct Fixed;

    impl Entropy for Fixed {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyFailed> {
            bytes.fill(0x11);
            Ok(())
        }
    }

    let (here, there, third) = (Place::new("here"), Place::new("there"), Place::new("third"));
    Endpoint::builder().home_or_init(&here.0, "pi1")?;
    let (root, shown) = (Home::at(&here.0)?, Shown::default());
    let (listener, terms) = (TcpListener::bind("127.0.0.1:0")?, Terms { node: "pi2".into(), patterns: vec!["*".into()], lifetime: 600 });
    let addresses = vec![listener.local_addr()?.to_string()];
    shown.is(&terms, "Terms { node: \"pi2\", patterns: [\"*\"], lifetime: 600 }");
    let offer = Offer::make(&root, listener, addresses, terms)?;
    let line = offer.invite().to_text();
    shown.is(offer.invite(), "Invite { domain: Domain(#), node: \"pi2\", expires: @, .. }");
    shown.said.borrow_mut().push_str(&format!("{offer:?}\n{offer:#?}\n"));
    let invite: Invite = line.parse()?;
    let (calling, hello) = Calling::start(&invite, &Fixed)?;
    shown.is(&calling, "Calling");
    shown.is(Answering::answer(&invite, root.membership()?.roster().root(), &hello, 0, &Fixed)?.0, "Answering");
    shown.is("sealwire-invite-1-".parse::<Invite>(), "Err(Mistyped(\"it is too short\"))");
    shown.is(Join::default(), "Join { hosts: [], addresses: None }");

    let waiting = std::thread::spawn(move || offer.wait(|_, _| {}));
    let joined = join(&invite, &there.0, &Join::default())?;
    shown.said.borrow_mut().push_str(&format!("{joined:?}\n{joined:#?}\n"));
    let admitted = waiting.join().unwrap()?;
    shown.is(&admitted.node.name, "\"pi2\"");
    shown.said.borrow_mut().push_str(&format!("{admitted:?}\n{admitted:#?}\n"));
    let enrolled = enrol(&root, &third.0, "pi3", vec!["*".into()], Vec::new())?;
    shown.said.borrow_mut().push_str(&format!("{enrolled:?}\n{enrolled:#?}\n"));

    // Before the secret stand 39 bytes, which are 62.4 letters; the secret itself is 51 letters.
    let text = line.rsplit('-').next().unwrap();
    let mut secrets = vec![text.as_bytes().to_vec(), text.as_bytes()[64..112].to_vec()];
    secrets.extend([here.seed("root.pem"), here.seed("node.pem"), there.seed("node.pem"), third.seed("node.pem")]);
    shown.has_none_of(&secrets);
    Ok(())
}

/// Passwords of servers, keys in files, and what passes a node.
#[cfg(all(feature = "node", feature = "nats", feature = "tls"))]
#[tokio::test]
async fn nodes_and_transports_show_no_secret() -> Outcome {
    use std::time::Duration;

    use sealwire::{
        node::{Node, Refusal, Reply, Request},
        transport::{
            Location, Streams,
            nats::{Keeping, Server},
            stream::Tls,
        },
    };

    const PASSWORD: &str = "Zyxomma-4711-Zyxomma";
    let shown = Shown::default();
    let builder = Node::builder(Endpoint::builder().in_memory("pi1")?, Memory::new());
    shown.is(&builder, "Builder { endpoint: Endpoint { domain: Domain(#), node: \"pi1\", .. }, .. }");
    let node = builder.build()?;
    let (asked, mut asking) = tokio::sync::mpsc::channel(1);
    let (a, b) = (
        node.host("a")?,
        node.serve("b", move |request: Request| {
            let asked = asked.clone();
            async move {
                let _gone = asked.send(format!("{request:?}\n{request:#?}\n")).await;
                Ok::<_, Refusal>(Reply::new("result", BODY))
            }
        })?,
    );
    let mut ticket = node.ask(&a, &b, Draft::new("task", BODY), Duration::from_secs(20)).await?;
    shown.is(&ticket, "Ticket(#)");
    let piece = ticket.next().await?;
    shown.is(piece, "Reply(Message(Header(b@pi1 to a@pi1, result #), 23 bytes, opening))");
    let request = asking.recv().await.unwrap();
    shown.said.borrow_mut().push_str(&request);
    shown.is(Reply::new("result", BODY), "Reply(Some(Draft(result of 23 bytes)))");
    shown.is(Refusal::from("why"), "Refusal(\"why\")");
    node.close().await;
    shown.is(&node, "Node { endpoint: Endpoint { domain: Domain(#), node: \"pi1\", .. }, under_way: 0 }");

    shown.is(Server::new("nats://crew@broker").password("crew", PASSWORD).token(PASSWORD), "Server");
    shown.is(Keeping::default(), "Keeping { bytes: @, parcels: 16384, redelivery: 30s, replicas: 1, age: 86400s }");
    shown.is("tcp://pi2:1".parse::<Location>()?, "tcp://pi2:1");
    shown.is(Tls::builder().authority("ca.pem"), "TlsBuilder { authorities: [\"ca.pem\"], certificate: None, strangers: false }");
    let tls = Tls::of_members(std::sync::Arc::new(Endpoint::builder().in_memory("pi1")?))?;
    shown.is(&tls, "Tls");
    let streams = Streams::builder("pi1").tls(tls).peer("pi2", "tls://127.0.0.1:9");
    shown.is(&streams, "Builder { names: [\"pi1\"], listen: [], peers: [(\"pi2\", \"tls://127.0.0.1:9\")], .. }");
    let streams = streams.build().await?;
    shown.is(&streams, "Streams(pi1)");
    shown.said.borrow_mut().push_str(&format!("{:?}", streams.peers()));
    streams.close();
    shown.has_none_of(&[PASSWORD.into(), BODY.into()]);
    Ok(())
}

#[test]
fn a_secret_that_is_shown_is_found() {
    for shown in [format!("{:?}", [0xa5_u8; 32]), format!("{:#?}", [0xa5_u8; 32]), "a5".repeat(32), "A5".repeat(32)] {
        let secret = vec![0xa5; 32];
        assert!(written(&secret).iter().any(|form| shown.contains(form)), "{shown}");
    }
}
