//! Certificates, sound and flawed.

use super::*;
use crate::sealer::{null, thumbprint};

struct Maker<'w> {
    world: &'w World,
    cases: Vec<Case>,
}

pub(super) fn cases(world: &World) -> Vec<Case> {
    let mut maker = Maker { world, cases: Vec::new() };
    maker.sound();
    maker.claims();
    maker.keys();
    maker.structure();
    maker.signatures();
    maker.standing();
    maker.cases
}

impl Maker<'_> {
    fn add(&mut self, name: &str, expect: &str, what: &str, certificate: &[u8]) {
        let roster = self.world.roster();
        self.add_under(name, expect, what, certificate, &roster, SEALED);
    }

    fn add_under(&mut self, name: &str, expect: &str, what: &str, certificate: &[u8], roster: &[u8], now: u64) {
        let case = Case::new(&format!("certificate-{name}"))
            .line("expect", expect)
            .line("what", what)
            .line("structure", "certificate")
            .line("now", now.to_string())
            .hex("root", &public(&self.world.root))
            .hex("roster", roster)
            .hex("certificate", certificate);
        self.cases.push(case);
    }

    fn claim(&mut self, name: &str, what: &str, edit: impl FnOnce(&mut Entries)) {
        let certificate = self.world.certificate_with(&self.world.researcher, edit);
        self.add(name, "malformed", what, &certificate);
    }

    fn sound(&mut self) {
        let certificate = self.world.certificate(&self.world.researcher);
        self.add("sound", "accepted", "as a node writes it", &certificate);
        let keys = array(&vec![bytes(&self.world.researcher.receive_public); 4]);
        let four = self.world.certificate_with(&self.world.researcher, |claims| set(claims, int(-65801), keys));
        self.add("four-receive-keys", "accepted", "as many receive keys as there may be", &four);
    }

    fn claims(&mut self) {
        for (name, key) in [("issuer", 1), ("subject", 2), ("expires", 4), ("issued", 6), ("confirmation", 8), ("receive-keys", -65801)] {
            self.claim(&format!("without-{name}"), "a claim is missing", |claims| drop_entry(claims, &int(key)));
        }
        self.claim("unknown-claim", "a claim nobody knows", |claims| set(claims, int(7), bytes(b"x")));
        self.claim("claim-twice", "the subject stands there twice", |claims| claims.insert(1, (int(2), text("researcher@pi1"))));
        self.claim("claims-out-of-order", "issuer and subject have changed places", |claims| claims.swap(0, 1));
        self.claim("other-issuer", "issued by a node that is not the subject's", |claims| set(claims, int(1), text("pi2")));
        self.claim("subject-in-capitals", "a name in capitals", |claims| set(claims, int(2), text("Researcher@pi1")));
        self.claim("lifetime-long", "a lifetime of a day and a second", |claims| set(claims, int(4), uint(CERTIFIED + DAY + 1)));
        self.claim("no-lifetime", "expires when it is issued", |claims| set(claims, int(4), uint(CERTIFIED)));
        self.claim("time-as-float", "a time as a floating-point number", |claims| {
            set(claims, int(6), [&[0xfb][..], &1.8e9_f64.to_be_bytes()].concat());
        });
        self.claim("time-not-shortest", "a time in eight bytes that fits four", |claims| {
            set(claims, int(6), [&[0x1b][..], &CERTIFIED.to_be_bytes()].concat());
        });
    }

    fn keys(&mut self) {
        let curve = map(&[(int(1), map(&[(int(1), int(1)), (int(-1), int(4)), (int(-2), bytes(&[7; 32]))]))]);
        self.claim("other-curve", "an X25519 key in place of an Ed25519 key", |claims| set(claims, int(8), curve));
        let weak = [
            ("identity", "0100000000000000000000000000000000000000000000000000000000000000", "the neutral element"),
            ("all-zero", "0000000000000000000000000000000000000000000000000000000000000000", "a point of order four"),
            ("order-eight", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "a point of order eight"),
            ("not-canonical", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y is not reduced"),
            ("not-a-point", "0200000000000000000000000000000000000000000000000000000000000000", "no point has this y"),
        ];
        for (name, key, what) in weak {
            let key = hex::decode(key).unwrap().try_into().unwrap();
            self.claim(&format!("weak-key-{name}"), what, |claims| set(claims, int(8), confirmation(&key)));
        }
        let mixed = confirmation(&with_torsion(&self.world.researcher.key));
        self.claim("weak-key-torsion", "a sound point plus one of order eight: a second name for a key", |claims| {
            set(claims, int(8), mixed)
        });
        let receive = self.world.researcher.receive_public.clone();
        self.claim("no-receive-key", "an empty list of receive keys", |claims| set(claims, int(-65801), array(&[])));
        self.claim("five-receive-keys", "one receive key too many", |claims| set(claims, int(-65801), array(&vec![bytes(&receive); 5])));
        self.claim("short-receive-key", "a receive key that lacks a byte", |claims| {
            set(claims, int(-65801), array(&[bytes(&receive[1..])]))
        });
        let zero = [&receive[..1184], &[0; 32]].concat();
        self.claim("receive-key-x25519-zero", "its X25519 part is of small order", |claims| {
            set(claims, int(-65801), array(&[bytes(&zero)]))
        });
        let unreduced = [vec![0xff; 1152], receive[1152..].to_vec()].concat();
        self.claim("receive-key-not-reduced", "coefficients above q", |claims| set(claims, int(-65801), array(&[bytes(&unreduced)])));
    }

    fn structure(&mut self) {
        let (node, payload) = (signing_key("pi1"), map(&certificate_claims(&self.world.researcher)));
        let sound = self.world.certificate_by("pi1", payload.clone());
        let mut add = |name: &str, what: &str, certificate: &[u8]| self.add(name, "malformed", what, certificate);
        let mut request = sound.clone();
        set(&mut request.protected, int(16), text("application/sealwire-cert-request"));
        add("typ-of-a-request", "the media type of a certificate request", &request.sign(&node));
        let mut no_typ = sound.clone();
        drop_entry(&mut no_typ.protected, &int(16));
        add("without-typ", "no media type", &no_typ.sign(&node));
        let mut other_alg = sound.clone();
        set(&mut other_alg.protected, int(1), int(-8));
        add("alg-eddsa", "the older number of the same algorithm", &other_alg.sign(&node));
        let mut unprotected = sound.clone();
        unprotected.unprotected = map(&[(int(4), bytes(&[1]))]);
        add("unprotected-entry", "something in the unprotected header", &unprotected.sign(&node));
        let mut trailing = sound.clone();
        trailing.payload.push(0);
        add("trailing-in-payload", "a byte after the claims", &trailing.sign(&node));
        let signed = sound.sign(&node);
        add("trailing", "a byte after the certificate", &[&signed[..], &[0]].concat());
        add("truncated", "the last byte is missing", &signed[..signed.len() - 1]);
        add("untagged", "no tag", &signed[1..]);
        add("short-signature", "a signature of 63 bytes", &sound.with(&[1; 63]));
        let kid = bytes(&map(&sound.protected));
        let detached = crate::sealer::tag(18, &array(&[kid, map(&[]), null(), bytes(&[1; 64])]));
        add("without-payload", "null in place of the payload", &detached);
        self.add("too-large", "too-large", "a byte over 8 KiB", &[signed, vec![0; 8192]].concat()[..8193]);
    }

    fn signatures(&mut self) {
        let world = self.world;
        let (node, payload) = (signing_key("pi1"), map(&certificate_claims(&world.researcher)));
        let sound = world.certificate_by("pi1", payload.clone());
        let signature = sound.signature(&node);
        for (name, at, what) in [("r", 0, "a bit of R is flipped"), ("s", 32, "a bit of S is flipped")] {
            let mut flipped = signature;
            flip(&mut flipped, at);
            self.add(&format!("flipped-{name}"), "not-authentic", what, &sound.with(&flipped));
        }
        let malleable = plus_order(&signature);
        self.add("s-plus-order", "not-authentic", "S with the group order added: another signature for the same", &sound.with(&malleable));
        self.add(
            "signed-by-the-agent",
            "not-authentic",
            "signed by the agent itself in its node's name",
            &sound.sign(&world.researcher.key),
        );
        let mut other = sound.clone();
        other.external = array(&[text("sealwire/1 cert"), bytes(&[9; 32])]);
        self.add("other-domain", "not-authentic", "signed in another domain", &other.sign(&node));
        other.external = array(&[text("sealwire/1 cert request"), bytes(&world.domain)]);
        self.add("label-of-a-request", "not-authentic", "signed under the label of a request", &other.sign(&node));
        let stranger = signing_key("pi9");
        let kid = key_id(&public(&stranger));
        let by_stranger = Sign1::new("application/sealwire-cert", "sealwire/1 cert", &world.domain, kid, payload);
        self.add(
            "other-node-key",
            "unknown-signer",
            "signed by a key that the roster does not list for the node",
            &by_stranger.sign(&stranger),
        );
        let mut nowhere = Agent::new("researcher@pi9");
        nowhere.key = world.researcher.key.clone();
        let certificate = world.certificate_with(&nowhere, |_| ());
        self.add("unlisted-node", "unknown-signer", "of a node that the roster does not list", &certificate);
    }

    fn standing(&mut self) {
        let world = self.world;
        let certificate = world.certificate(&world.researcher);
        let roster = world.roster();
        let end = CERTIFIED + DAY + CLOCKS;
        let mut at = |name: &str, expect: &str, what: &str, now: u64| self.add_under(name, expect, what, &certificate, &roster, now);
        at("expired", "expired", "two minutes after its end", end);
        at("just-not-expired", "accepted", "a second before that", end - 1);
        at("from-the-future", "from-future", "made two minutes and a second from now", CERTIFIED - CLOCKS - 1);
        at("just-not-from-the-future", "accepted", "made two minutes from now", CERTIFIED - CLOCKS);
        let revoked = |key: &SigningKey| world.roster_with(|claims| claims.revoked.push(thumbprint(&public(key))));
        let mut under = |name: &str, what: &str, roster: &[u8]| self.add_under(name, "revoked", what, &certificate, roster, SEALED);
        under("agent-revoked", "the agent's key is revoked", &revoked(&world.researcher.key));
        under("node-revoked", "the node's key is revoked", &revoked(&signing_key("pi1")));
        let narrow = |patterns: &[&str]| world.roster_with(|claims| claims.nodes[0] = node("pi1", &public(&signing_key("pi1")), patterns));
        under("not-hosted", "the node may not host that name", &narrow(&["writer", "res"]));
        self.add_under(
            "hosted-by-pattern",
            "accepted",
            "the node may host names that begin so",
            &certificate,
            &narrow(&["x", "res*"]),
            SEALED,
        );
    }
}

/// The key's point plus a point of order eight.
fn with_torsion(key: &SigningKey) -> [u8; 32] {
    let point = key.verifying_key().to_edwards() + curve25519_dalek::constants::EIGHT_TORSION[1];
    point.compress().to_bytes()
}

/// The signature with the group order added to S.
fn plus_order(signature: &[u8; 64]) -> [u8; 64] {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0x10,
    ];
    let (mut sum, mut carry) = (*signature, 0_u16);
    for (byte, order) in sum[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(order);
        [*byte, _] = carry.to_le_bytes();
        carry >>= 8;
    }
    assert_eq!(carry, 0);
    sum
}
