//! Envelopes in both forms, sound and flawed.

use super::*;
use crate::sealer::{
    Drawn, Ends, Lane, LaneMessage, Letter, Opening, Outer, Recipient, Signed, external_data, hedged_salt, lane_message, null, opening,
    tag, thumbprint,
};

mod inner;
mod outer;
mod standing;

/// What the endpoints of these cases hedge their randomness with.
const HEDGE: &str = "hedge";

pub(super) fn cases(world: &World) -> Vec<Case> {
    let mut maker = Maker { world, cases: Vec::new() };
    maker.sound();
    maker.outer();
    maker.keys();
    maker.inner();
    maker.header();
    maker.signatures();
    maker.standing();
    maker.repeated();
    maker.cases
}

/// Everything about one envelope that a case may change.
#[derive(Clone)]
struct Task {
    letter: Letter,
    key: SigningKey,
    certificate: Option<Item>,
    domain: [u8; 32],
    ends: Ends,
    receive_key: Vec<u8>,
    fresh: [u8; 32],
}

impl Task {
    fn signed(&self) -> Signed {
        let signed = self.letter.sign(&self.key, &self.domain);
        match &self.certificate {
            Some(certificate) => signed.with_certificate(certificate.clone()),
            None => signed,
        }
    }

    fn opening(&self) -> Opening {
        self.opening_of(&self.signed())
    }

    fn opening_of(&self, signed: &Signed) -> Opening {
        self.opening_around(&signed.plaintext(), signed)
    }

    fn opening_around(&self, plaintext: &[u8], signed: &Signed) -> Opening {
        let certificate = self.certificate.as_deref().unwrap_or_default();
        let drawn = Drawn::hedged(&drawn(HEDGE), &self.fresh, &signed.digest, &self.receive_key, certificate);
        opening(plaintext, &signed.digest, &self.ends, &self.receive_key, &drawn)
    }

    fn in_lane(&self, lane: &Lane) -> LaneMessage {
        let signed = self.signed();
        lane_message(&signed.plaintext(), lane, &hedged_salt(&drawn(HEDGE), &self.fresh, &signed.digest, lane))
    }
}

struct Maker<'w> {
    world: &'w World,
    cases: Vec<Case>,
}

/// The state in which an envelope is opened.
#[derive(Clone)]
struct Scene {
    reader: Agent,
    roster: Item,
    now: u64,
    before: Vec<Item>,
}

impl Scene {
    fn case(&self, world: &World, name: &str, expect: &str, what: &str) -> Case {
        let case = Case::new(name)
            .line("expect", expect)
            .line("what", what)
            .line("structure", "envelope")
            .line("now", self.now.to_string())
            .hex("root", &public(&world.root))
            .hex("root-key", world.root.as_bytes())
            .hex("node-key", signing_key(self.reader.node()).as_bytes())
            .line("reader", self.reader.address)
            .hex("reader-key", self.reader.key.as_bytes())
            .hex("receive-key", &self.reader.receive_seed)
            .hex("roster", &self.roster);
        self.before.iter().fold(case, |case, envelope| case.hex("before", envelope))
    }
}

impl Maker<'_> {
    fn scene(&self) -> Scene {
        Scene { reader: self.world.writer.clone(), roster: self.world.roster(), now: SEALED, before: Vec::new() }
    }

    /// A message from one agent to another, sealed as an opening.
    fn task_between(&self, name: &str, from: &Agent, to: &Agent) -> Task {
        let world = self.world;
        let letter = Letter {
            header: vec![(int(1), int(-19)), (int(4), bytes(&key_id(&public(&from.key)))), (int(258), int(-16))],
            cwt: vec![
                (int(1), text(from.address)),
                (int(3), text(to.address)),
                (int(4), uint(SEALED + 600)),
                (int(6), uint(SEALED)),
                (int(7), bytes(&drawn::<16>(&format!("{name} id")))),
            ],
            claims: vec![
                (int(1), bytes(&key_id(&public(&to.key)))),
                (int(2), text("task")),
                (int(3), bytes(&drawn::<16>("thread"))),
                (int(6), uint(VERSION)),
            ],
            blind: drawn::<16>(&format!("{name} blind")).to_vec(),
            body: b"The figures for June, please.".to_vec(),
        };
        let [signer, reader] = [from, to].map(|agent| thumbprint(&public(&agent.key)));
        Task {
            letter,
            key: from.key.clone(),
            certificate: Some(world.certificate(from)),
            domain: world.domain,
            ends: Ends { domain: world.domain, signer, reader },
            receive_key: to.receive_public.clone(),
            fresh: drawn(&format!("{name} fresh")),
        }
    }

    /// The first message of `researcher@pi1` to `writer@pi2`.
    fn task(&self) -> Task {
        self.task_between("first", &self.world.researcher, &self.world.writer)
    }

    /// The second, for the lane of the first.
    fn second(&self) -> Task {
        let mut task = self.task_between("second", &self.world.researcher, &self.world.writer);
        drop_entry(&mut task.letter.claims, &int(6));
        task.certificate = None;
        task.letter.body = b"And those for July.".to_vec();
        task
    }

    /// The scene in which the lane of the first message is held.
    fn lane_scene(&self) -> (Scene, Lane) {
        let first = self.task().opening();
        (Scene { before: vec![first.encode()], ..self.scene() }, first.lane)
    }

    fn add(&mut self, name: &str, expect: &str, what: &str, envelope: &[u8]) {
        self.add_in(&self.scene(), name, expect, what, envelope);
    }

    fn add_in(&mut self, scene: &Scene, name: &str, expect: &str, what: &str, envelope: &[u8]) {
        self.cases.push(scene.case(self.world, name, expect, what).hex("envelope", envelope));
    }

    fn add_in_lane(&mut self, name: &str, expect: &str, what: &str, edit: impl FnOnce(&mut LaneMessage)) {
        let (scene, lane) = self.lane_scene();
        let mut message = self.second().in_lane(&lane);
        edit(&mut message);
        self.add_in(&scene, name, expect, what, &message.encode());
    }

    fn accepted(&mut self, scene: &Scene, name: &str, what: &str, task: &Task, envelope: &[u8], known: &[(&str, &[u8])]) {
        let signed = task.signed();
        let case = scene
            .case(self.world, name, "accepted", what)
            .hex("envelope", envelope)
            .hex("body", &task.letter.body)
            .hex("header", &signed.header)
            .hex("signer", &public(&task.key))
            .hex("known-sig-structure", &signed.sig_structure)
            .hex("known-signed-digest", &signed.digest)
            .hex("known-plaintext", &signed.plaintext());
        self.cases.push(known.iter().fold(case, |case, (name, value)| case.hex(&format!("known-{name}"), value)));
    }

    fn accepted_opening(&mut self, name: &str, what: &str, task: &Task) {
        let mut scene = self.scene();
        if task.ends.reader != thumbprint(&public(&scene.reader.key)) {
            scene.reader = self.world.researcher.clone();
        }
        let opening = task.opening();
        let known: [(&str, &[u8]); 4] = [
            ("content-key", &opening.content_key),
            ("exported", &opening.exported),
            ("lane-id", &opening.lane.id),
            ("lane-secret", &opening.lane.secret),
        ];
        self.accepted(&scene, name, what, task, &opening.encode(), &known);
    }

    fn accepted_lane(&mut self, scene: &Scene, lane: &Lane, name: &str, what: &str, task: &Task) {
        let message = task.in_lane(lane);
        let known: [(&str, &[u8]); 2] = [("lane-secret", &lane.secret), ("content-key", &message.content_key)];
        self.accepted(scene, name, what, task, &message.encode(), &known);
    }

    fn sound(&mut self) {
        let task = self.task();
        self.accepted_opening("opening", "as an author writes it", &task);
        let mut full = self.task();
        set(&mut full.letter.header, int(259), text("application/json"));
        let reference = |name: &str| array(&[bytes(&drawn::<16>(name)), bytes(&drawn::<16>(&format!("{name} too")))]);
        let [answers, came_from] = ["answered", "source"].map(reference);
        let acknowledged = array(&[array(&[bytes(&[1; 16])]), array(&[bytes(&[2; 16])])]);
        for (key, value) in
            [(4, array(&[text("anonymized"), text("pii")])), (5, bytes(&[5; 16])), (7, answers), (8, came_from), (9, acknowledged)]
        {
            set(&mut full.letter.claims, int(key), value);
        }
        self.accepted_opening("opening-with-everything", "every optional entry is there", &full);
        let mut empty = self.task();
        empty.letter.body.clear();
        self.accepted_opening("opening-with-an-empty-body", "a body of no bytes", &empty);
        let mut bare = self.task();
        drop_entry(&mut bare.letter.claims, &int(6));
        self.accepted_opening("opening-without-roster-version", "the header of a lane message, sealed anew as an opening", &bare);
        let ack = self.acknowledgement();
        self.accepted_opening("opening-that-names-a-lane", "an acknowledgement of the lane that `opening` offers", &ack);
        let (scene, lane) = self.lane_scene();
        let second = self.second();
        self.accepted_lane(&scene, &lane, "lane", "the second message, in the lane that the first offered", &second);
        let after = Scene { before: [scene.before.clone(), vec![second.in_lane(&lane).encode()]].concat(), ..scene };
        let mut third = self.task_between("third", &self.world.researcher, &self.world.writer);
        (third.certificate, third.letter.body) = (None, vec![0x55; 300]);
        self.accepted_lane(&after, &lane, "lane-with-roster-version", "the header of an opening in a lane", &third);
    }

    fn acknowledgement(&self) -> Task {
        let lane = self.task().opening().lane;
        let mut ack = self.task_between("ack", &self.world.writer, &self.world.researcher);
        set(&mut ack.letter.claims, int(2), text("ack"));
        set(&mut ack.letter.claims, int(9), array(&[array(&[]), array(&[bytes(&lane.id)])]));
        ack.letter.body.clear();
        ack
    }
}
