//! All test vectors of our own, made anew at each call and always the same.

use ed25519_dalek::SigningKey;

use crate::case::Case;
use crate::sealer::{Entries, Item, Sign1, array, bytes, int, key_id, map, public, receive_public, sha256, text, uint};

mod certificates;
mod envelopes;
mod rosters;

/// When messages are sealed.
pub const SEALED: u64 = 1_800_000_000;
/// When certificates were made.
pub const CERTIFIED: u64 = SEALED - 3600;
/// When the roster was signed.
const ROSTERED: u64 = SEALED - 7200;
/// The version of the roster in force.
const VERSION: u64 = 7;
const DAY: u64 = 86_400;
const CLOCKS: u64 = 120;

/// All cases, by name.
#[must_use]
pub fn all() -> Vec<Case> {
    let world = World::new();
    let mut cases = [envelopes::cases(&world), certificates::cases(&world), rosters::cases(&world)].concat();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases.windows(2).for_each(|pair| assert_ne!(pair[0].name, pair[1].name, "two cases of one name"));
    cases
}

/// The certificate of an agent of the cases.
#[must_use]
pub fn certificate_of(address: &str) -> Vec<u8> {
    let world = World::new();
    let agents = [&world.researcher, &world.mallory, &world.writer, &world.editor];
    world.certificate(agents.into_iter().find(|agent| agent.address == address).unwrap())
}

/// Seeds of what an agent of the cases stands on: the root's key, its node's, its own, and its receive key.
#[must_use]
pub fn seeds_of(address: &str) -> [[u8; 32]; 4] {
    let node = address.split_once('@').unwrap().1;
    ["root signs", &format!("{node} signs"), &format!("{address} signs"), &format!("{address} receives")].map(drawn)
}

/// Bytes that look random and are always the same for a name.
#[must_use]
pub fn drawn<const N: usize>(name: &str) -> [u8; N] {
    let blocks = (0_u8..8).flat_map(|block| sha256(&[&[block], name.as_bytes()].concat()));
    blocks.take(N).collect::<Vec<_>>().try_into().unwrap()
}

fn signing_key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&drawn(&format!("{name} signs")))
}

/// An agent, or somebody who would like to be one.
#[derive(Clone)]
struct Agent {
    address: &'static str,
    key: SigningKey,
    receive_seed: [u8; 32],
    receive_public: Vec<u8>,
}

impl Agent {
    fn new(address: &'static str) -> Self {
        let receive_seed = drawn(&format!("{address} receives"));
        Self { address, key: signing_key(address), receive_seed, receive_public: receive_public(&receive_seed) }
    }

    fn node(&self) -> &'static str {
        self.address.split_once('@').unwrap().1
    }
}

/// A domain: `researcher@pi1` and `mallory@pi1` write, `writer@pi2` and `editor@pi2` read.
struct World {
    root: SigningKey,
    domain: [u8; 32],
    researcher: Agent,
    mallory: Agent,
    writer: Agent,
    editor: Agent,
}

impl World {
    fn new() -> Self {
        let root = signing_key("root");
        let domain = sha256(&public(&root));
        let [researcher, mallory, writer, editor] = ["researcher@pi1", "mallory@pi1", "writer@pi2", "editor@pi2"].map(Agent::new);
        Self { root, domain, researcher, mallory, writer, editor }
    }

    fn certificate(&self, agent: &Agent) -> Item {
        self.certificate_with(agent, |_| ())
    }

    /// A certificate whose claims were edited before its node signed it.
    fn certificate_with(&self, agent: &Agent, edit: impl FnOnce(&mut Entries)) -> Item {
        let mut claims = certificate_claims(agent);
        edit(&mut claims);
        self.certificate_by(agent.node(), map(&claims)).sign(&signing_key(agent.node()))
    }

    /// The structure of a certificate that `node` signs.
    fn certificate_by(&self, node: &str, payload: Item) -> Sign1 {
        let kid = key_id(&public(&signing_key(node)));
        Sign1::new("application/sealwire-cert", "sealwire/1 cert", &self.domain, kid, payload)
    }

    fn roster(&self) -> Item {
        self.roster_with(|_| ())
    }

    /// A roster whose claims were edited before the root signed it.
    fn roster_with(&self, edit: impl FnOnce(&mut RosterClaims)) -> Item {
        let mut claims = RosterClaims::new();
        edit(&mut claims);
        self.roster_of(claims.encode()).sign(&self.root)
    }

    fn roster_of(&self, payload: Item) -> Sign1 {
        Sign1::new("application/sealwire-roster", "sealwire/1 roster", &self.domain, key_id(&public(&self.root)), payload)
    }
}

fn certificate_claims(agent: &Agent) -> Entries {
    vec![
        (int(1), text(agent.node())),
        (int(2), text(agent.address)),
        (int(4), uint(CERTIFIED + DAY)),
        (int(6), uint(CERTIFIED)),
        (int(8), confirmation(&public(&agent.key))),
        (int(-65801), array(&[bytes(&agent.receive_public)])),
    ]
}

fn confirmation(key: &[u8; 32]) -> Item {
    map(&[(int(1), map(&[(int(1), int(1)), (int(-1), int(6)), (int(-2), bytes(key))]))])
}

/// What a roster says, as encoded items.
struct RosterClaims {
    version: u64,
    previous: Vec<u8>,
    issued: u64,
    expires: u64,
    nodes: Vec<Item>,
    revoked: Vec<[u8; 32]>,
    next_root: Option<[u8; 32]>,
    /// The root that signs, where it is not the domain's first.
    root: Option<[u8; 32]>,
    more: Entries,
}

impl RosterClaims {
    fn new() -> Self {
        let nodes = ["pi1", "pi2"].map(|name| node(name, &public(&signing_key(name)), &["*"]));
        let (issued, expires) = (ROSTERED, ROSTERED + 30 * DAY);
        let previous = drawn::<32>("the roster before").to_vec();
        Self {
            version: VERSION,
            previous,
            issued,
            expires,
            nodes: nodes.to_vec(),
            revoked: Vec::new(),
            next_root: None,
            root: None,
            more: Vec::new(),
        }
    }

    fn entries(&self) -> Entries {
        let revoked: Vec<_> = self.revoked.iter().map(|key| bytes(key)).collect();
        let mut entries = vec![
            (int(1), uint(self.version)),
            (int(2), bytes(&self.previous)),
            (int(3), uint(self.issued)),
            (int(4), uint(self.expires)),
            (int(5), array(&self.nodes)),
            (int(6), array(&revoked)),
        ];
        entries.extend([(7, self.next_root), (8, self.root)].iter().filter_map(|(label, hash)| Some((int(*label), bytes(&(*hash)?)))));
        entries.extend(self.more.clone());
        entries
    }

    fn encode(&self) -> Item {
        map(&self.entries())
    }
}

fn node(name: &str, key: &[u8; 32], hosts: &[&str]) -> Item {
    node_at(name, key, hosts, &["tcp://10.0.0.3:7451"])
}

fn node_at(name: &str, key: &[u8; 32], hosts: &[&str], addresses: &[&str]) -> Item {
    let texts = |texts: &[&str]| array(&texts.iter().map(|one| text(one)).collect::<Vec<_>>());
    array(&[text(name), bytes(key), texts(hosts), array(&[text("pii")]), texts(addresses)])
}

/// Replaces the value under `key`.
fn set(entries: &mut Entries, key: Item, value: Item) {
    entries.retain(|(known, _)| *known != key);
    entries.push((key, value));
    entries.sort();
}

/// Removes the entry under `key`.
fn drop_entry(entries: &mut Entries, key: &[u8]) {
    entries.retain(|(known, _)| known != key);
}

fn flip(bytes: &mut [u8], at: usize) {
    bytes[at] ^= 1;
}
