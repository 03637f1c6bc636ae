//! Rosters, sound and flawed.

use super::*;

struct Maker<'w> {
    world: &'w World,
    cases: Vec<Case>,
}

pub(super) fn cases(world: &World) -> Vec<Case> {
    let mut maker = Maker { world, cases: Vec::new() };
    maker.sound();
    maker.claims();
    maker.structure();
    maker.signatures();
    maker.succession();
    maker.roots();
    maker.cases
}

impl Maker<'_> {
    fn add(&mut self, name: &str, expect: &str, what: &str, roster: &[u8]) {
        self.add_at(name, expect, what, roster, SEALED);
    }

    fn add_at(&mut self, name: &str, expect: &str, what: &str, roster: &[u8], now: u64) {
        let case = Case::new(&format!("roster-{name}"))
            .line("expect", expect)
            .line("what", what)
            .line("structure", "roster")
            .line("now", now.to_string())
            .hex("root", &public(&self.world.root))
            .hex("roster", roster);
        self.cases.push(case);
    }

    fn claim(&mut self, name: &str, what: &str, edit: impl FnOnce(&mut RosterClaims)) {
        let roster = self.world.roster_with(edit);
        self.add(name, "malformed", what, &roster);
    }

    fn sound(&mut self) {
        let roster = self.world.roster();
        self.add("sound", "accepted", "as a root writes it", &roster);
        let empty = self.world.roster_with(|claims| claims.nodes.clear());
        self.add("empty", "accepted", "nobody is listed", &empty);
        let revoked = self.world.roster_with(|claims| claims.revoked = vec![[1; 32], [2; 32]]);
        self.add("with-revoked-keys", "accepted", "two revoked keys, in order", &revoked);
        let end = ROSTERED + 30 * DAY + CLOCKS;
        self.add_at("expired", "expired", "two minutes after its end", &roster, end);
        self.add_at("just-not-expired", "accepted", "a second before that", &roster, end - 1);
        self.add_at("from-the-future", "from-future", "made two minutes and a second from now", &roster, ROSTERED - CLOCKS - 1);
    }

    fn claims(&mut self) {
        let key = public(&signing_key("pi1"));
        self.claim("version-zero", "version 0", |claims| claims.version = 0);
        self.claim("short-hash", "a hash of 31 bytes", |claims| claims.previous.truncate(31));
        self.claim("nodes-out-of-order", "nodes not in order of their names", |claims| claims.nodes.reverse());
        self.claim("node-twice", "a node listed twice", |claims| claims.nodes[1] = claims.nodes[0].clone());
        self.claim("node-in-capitals", "a node's name in capitals", |claims| claims.nodes[0] = node("PI1", &key, &["*"]));
        self.claim("weak-node-key", "a node's key of small order", |claims| claims.nodes[0] = node("pi1", &[0; 32], &["*"]));
        self.claim("revoked-out-of-order", "revoked keys not in order", |claims| claims.revoked = vec![[2; 32], [1; 32]]);
        self.claim("revoked-twice", "a revoked key listed twice", |claims| claims.revoked = vec![[1; 32], [1; 32]]);
        self.claim("unknown-claim", "a claim nobody knows", |claims| claims.more.push((int(9), uint(1))));
        self.claim("claim-twice", "a claim that stands there twice", |claims| claims.more.push((int(6), array(&[]))));
        self.claim("lifetime-long", "a lifetime of 30 days and a second", |claims| claims.expires += 1);
        self.claim("no-lifetime", "expires when it is issued", |claims| claims.expires = claims.issued);
        self.claim("pattern-empty", "a host pattern of no characters", |claims| claims.nodes[0] = node("pi1", &key, &[""]));
        self.claim("pattern-with-space", "a space in a host pattern", |claims| claims.nodes[0] = node("pi1", &key, &["a b"]));
        let long = "x".repeat(65);
        self.claim("long-pattern", "a host pattern of 65 characters", |claims| claims.nodes[0] = node("pi1", &key, &[&long]));
        let many = vec!["x"; 65];
        self.claim("many-patterns", "65 host patterns", |claims| claims.nodes[0] = node("pi1", &key, &many));
        self.addresses(&key);
        self.claim("short-next-root", "a next root of 31 bytes", |claims| claims.more.push((int(7), bytes(&[1; 31]))));
        let first = public(&self.world.root);
        self.claim("first-root-named", "the domain's first root named, which its name says already", |claims| claims.root = Some(first));
        self.claim("weak-root", "a root of small order named", |claims| claims.root = Some([0; 32]));
        for (label, name) in [(1, "version"), (2, "hash"), (3, "issued"), (4, "expires"), (5, "nodes"), (6, "revoked")] {
            let mut entries = RosterClaims::new().entries();
            drop_entry(&mut entries, &int(label));
            let roster = self.world.roster_of(map(&entries)).sign(&self.world.root);
            self.add(&format!("without-{name}"), "malformed", "a claim is missing", &roster);
        }
    }

    fn addresses(&mut self, key: &[u8; 32]) {
        let at = |addresses: &[&str]| node_at("pi1", key, &["*"], addresses);
        let long = format!("tcp://{}", "x".repeat(123));
        self.claim("many-addresses", "five addresses of a node", |claims| claims.nodes[0] = at(&["tcp://a:1"; 5]));
        self.claim("address-with-space", "a space in an address", |claims| claims.nodes[0] = at(&["tcp://a b:1"]));
        self.claim("long-address", "an address of 129 characters", |claims| claims.nodes[0] = at(&[&long]));
        self.claim("without-addresses", "a node of four items", |claims| {
            claims.nodes[0] = array(&[text("pi1"), bytes(key), array(&[text("*")]), array(&[])]);
        });
        let roster = self.world.roster_with(|claims| claims.nodes[0] = at(&[]));
        self.add("no-address", "accepted", "a node without an address", &roster);
        let most = self
            .world
            .roster_with(|claims| claims.nodes[0] = at(&[&long[..128], "tls://[fd00::3]:7451", "unix:///run/s", "nats://b:4222"]));
        self.add("four-addresses", "accepted", "four addresses, one of 128 characters", &most);
    }

    fn structure(&mut self) {
        let (root, sound) = (&self.world.root, self.world.roster_of(RosterClaims::new().encode()));
        let mut certificate = sound.clone();
        set(&mut certificate.protected, int(16), text("application/sealwire-cert"));
        let signed = sound.sign(root);
        self.add("typ-of-a-certificate", "malformed", "the media type of a certificate", &certificate.sign(root));
        self.add("trailing", "malformed", "a byte after the roster", &[&signed[..], &[0]].concat());
        self.add("truncated", "malformed", "the last byte is missing", &signed[..signed.len() - 1]);
        self.add("indefinite-length", "malformed", "the array has no length", &[&[0xd2, 0x9f][..], &signed[2..], &[0xff]].concat());
        let case = Case::new("roster-too-large").line("expect", "too-large").line("what", "a byte over 1 MiB").line("structure", "roster");
        let case = case.line("now", SEALED.to_string()).hex("root", &public(root));
        self.cases.push(case.line("roster", format!("{}+{}", hex::encode(&signed), (1 << 20) + 1 - signed.len())));
    }

    fn signatures(&mut self) {
        let (root, sound) = (&self.world.root, self.world.roster_of(RosterClaims::new().encode()));
        let mut signature = sound.signature(root);
        flip(&mut signature, 63);
        self.add("flipped-signature", "not-authentic", "a bit of the signature is flipped", &sound.with(&signature));
        self.add("signed-by-a-node", "not-authentic", "signed by a node in the root's name", &sound.sign(&signing_key("pi1")));
        let other = signing_key("another root");
        let kid = key_id(&public(&other));
        let by_other = Sign1::new("application/sealwire-roster", "sealwire/1 roster", &self.world.domain, kid, sound.payload.clone());
        self.add("another-root", "not-authentic", "signed by another root", &by_other.sign(&other));
        let mut domain = sound.clone();
        domain.external = array(&[text("sealwire/1 roster"), bytes(&[9; 32])]);
        self.add("other-domain", "not-authentic", "signed in another domain", &domain.sign(root));
        let mut changed = sound.clone();
        let signature = sound.signature(root);
        changed.payload = RosterClaims { version: 8, ..RosterClaims::new() }.encode();
        self.add("changed", "not-authentic", "the version was raised after signing", &changed.with(&signature));
    }

    fn succession(&mut self) {
        let (in_force, root) = (self.world.roster(), public(&self.world.root));
        let mut after = |name: &str, expect: &str, what: &str, roster: &[u8]| {
            let case = Case::new(&format!("roster-{name}")).line("expect", expect).line("what", what).line("structure", "roster");
            let case = case.line("now", SEALED.to_string()).hex("root", &root).hex("in-force", &in_force);
            self.cases.push(case.hex("roster", roster));
        };
        let next =
            |version: u64| self.world.roster_with(|claims| (claims.version, claims.previous) = (version, sha256(&in_force).to_vec()));
        after("next", "accepted", "the next version", &next(8));
        let from_another = self.world.roster_with(|claims| claims.version = 8);
        after("next-of-another", "roster-conflict", "the next version, made from another than the one in force", &from_another);
        after("skipping", "accepted", "a version was skipped", &next(9));
        after("again", "accepted", "the one in force", &in_force);
        after("older", "roster-conflict", "an older version", &next(6));
        after("fork", "roster-conflict", "the version in force, with other content", &next(7));
    }

    /// A root that is named takes over; no other does.
    fn roots(&mut self) {
        let (first, second, third) = (&self.world.root, signing_key("second root"), signing_key("third root"));
        let named = self.world.roster_with(|claims| claims.next_root = Some(sha256(&public(&second))));
        let after = |before: &Item, version, root: Option<&SigningKey>, next: Option<&SigningKey>, signer: &SigningKey| {
            let mut claims = RosterClaims { version, previous: sha256(before).to_vec(), ..RosterClaims::new() };
            (claims.root, claims.next_root) = (root.map(public), next.map(|key| sha256(&public(key))));
            let kid = key_id(&public(signer));
            Sign1::new("application/sealwire-roster", "sealwire/1 roster", &self.world.domain, kid, claims.encode()).sign(signer)
        };
        let succeeded = after(&named, 8, Some(&second), None, &second);
        let plain = self.world.roster();
        let (yes, forged, conflict) = ("accepted", "not-authentic", "roster-conflict");
        let offered = [
            ("successor", yes, "signed by the root that was named", &named, succeeded.clone()),
            (
                "successor-names-the-next",
                yes,
                "signed by the root that was named, which names another",
                &named,
                after(&named, 8, Some(&second), Some(&third), &second),
            ),
            ("successor-goes-on", yes, "the successor's next roster", &succeeded, after(&succeeded, 9, Some(&second), None, &second)),
            ("successor-not-named", forged, "signed by a root that nobody named", &plain, after(&plain, 8, Some(&second), None, &second)),
            (
                "successor-other-than-named",
                forged,
                "signed by another root than was named",
                &named,
                after(&named, 8, Some(&third), None, &third),
            ),
            (
                "successor-unsigned",
                forged,
                "the root that was named is in it, but the old one signed",
                &named,
                after(&named, 8, Some(&second), None, first),
            ),
            (
                "successor-not-in-it",
                forged,
                "signed by the root that was named, without saying so",
                &named,
                after(&named, 8, None, None, &second),
            ),
            ("succeeded-root", forged, "signed by a root that has been succeeded", &succeeded, after(&succeeded, 9, None, None, first)),
            (
                "successor-older",
                conflict,
                "signed by the root that was named, of a version that was",
                &named,
                after(&named, 6, Some(&second), None, &second),
            ),
            (
                "next-root-changed",
                conflict,
                "the root names another next root than before",
                &named,
                after(&named, 8, None, Some(&third), first),
            ),
            ("next-root-dropped", conflict, "the root names no next root any more", &named, after(&named, 8, None, None, first)),
            ("next-root-kept", yes, "the root names the same next root", &named, after(&named, 8, None, Some(&second), first)),
        ];
        for (name, expect, what, in_force, roster) in offered {
            let case = Case::new(&format!("roster-{name}")).line("expect", expect).line("what", what).line("structure", "roster");
            let mut case = case.line("now", SEALED.to_string()).hex("root", &public(first));
            if *in_force == succeeded {
                case = case.hex("in-force", &named);
            }
            self.cases.push(case.hex("in-force", in_force).hex("roster", &roster));
        }
        let alone = &succeeded;
        self.add("of-a-successor-alone", "not-authentic", "of a successor, to who has no roster in force", alone);
    }
}
