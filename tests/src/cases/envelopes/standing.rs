//! Envelopes that are authentic, and refused: not for this reader, not now, not again, or not from this author any more.

use super::*;

impl Maker<'_> {
    pub(super) fn standing(&mut self) {
        self.misdirected();
        self.times();
        self.authors();
        self.rosters();
    }

    fn misdirected(&mut self) {
        let (world, to_editor) = (self.world, self.task_between("first", &self.world.researcher, &self.world.editor));
        let mut passed_on = to_editor.clone();
        passed_on.receive_key = world.writer.receive_public.clone();
        let what = "signed for `editor@pi2`, who sealed it again for `writer@pi2`";
        self.add("sealed-again-for-a-third", "misdirected", what, &passed_on.opening().encode());
        let mut other_key = self.task();
        set(&mut other_key.letter.claims, int(1), bytes(&key_id(&public(&world.editor.key))));
        self.add("other-key-of-that-name", "misdirected", "signed for another key of the reader's name", &other_key.opening().encode());
        let mut other_name = self.task();
        set(&mut other_name.letter.cwt, int(3), text("editor@pi2"));
        self.add("other-name-of-that-key", "misdirected", "signed for another name of the reader's key", &other_name.opening().encode());
        let (scene, lane) = self.lane_scene();
        let mut in_lane = self.second();
        set(&mut in_lane.letter.cwt, int(3), text("editor@pi2"));
        self.add_in(
            &scene,
            "lane-other-name",
            "misdirected",
            "signed for another name, in the reader's lane",
            &in_lane.in_lane(&lane).encode(),
        );
        let mut from_mallory = self.task_between("second", &world.mallory, &world.writer);
        from_mallory.certificate = None;
        let envelope = from_mallory.in_lane(&lane).encode();
        self.add_in(&scene, "lane-of-another-author", "not-authentic", "another author in somebody's lane", &envelope);
    }

    fn times(&mut self) {
        let envelope = self.task().opening().encode();
        let mut at = |name: &str, expect: &str, what: &str, now: u64| {
            let scene = Scene { now, ..self.scene() };
            self.add_in(&scene, name, expect, what, &envelope);
        };
        at("expired", "expired", "opened two minutes after its end", SEALED + 600 + CLOCKS);
        at("from-the-future", "from-future", "sealed two minutes and a second from now", SEALED - CLOCKS - 1);
        let end = SEALED + 600 + CLOCKS - 1;
        let task = self.task();
        for (name, now, what) in [
            ("just-not-expired", end, "opened a second before two minutes after its end"),
            ("just-not-from-the-future", SEALED - CLOCKS, "sealed two minutes from now"),
        ] {
            let scene = Scene { now, ..self.scene() };
            self.accepted(&scene, name, what, &task, &envelope, &[]);
        }
        let mut long = self.task();
        set(&mut long.letter.cwt, int(4), uint(SEALED + DAY));
        let scene = Scene { now: CERTIFIED + DAY + CLOCKS, ..self.scene() };
        self.add_in(
            &scene,
            "certificate-of-author-expired",
            "expired",
            "the message lives, its author's certificate does not",
            &long.opening().encode(),
        );
        let (scene, lane) = self.lane_scene();
        let mut old = self.second();
        set(&mut old.letter.cwt, int(6), uint(SEALED - 600 - CLOCKS));
        set(&mut old.letter.cwt, int(4), uint(SEALED - CLOCKS));
        self.add_in(&scene, "lane-expired", "expired", "a lane message opened two minutes after its end", &old.in_lane(&lane).encode());
    }

    fn authors(&mut self) {
        let world = self.world;
        let mut stranger = Agent::new("researcher@pi9");
        stranger.key = world.researcher.key.clone();
        let mut task = self.task_between("first", &stranger, &world.writer);
        let by_pi1 = |agent: &Agent| world.certificate_by("pi1", map(&certificate_claims(agent))).sign(&signing_key("pi1"));
        task.certificate = Some(by_pi1(&stranger));
        self.add("author-of-an-unlisted-node", "unknown-signer", "the roster does not list the author's node", &task.opening().encode());
        let mut elsewhere = self.task();
        let (other, payload) = (signing_key("pi9"), map(&certificate_claims(&world.researcher)));
        let kid = key_id(&public(&other));
        let certificate = Sign1::new("application/sealwire-cert", "sealwire/1 cert", &world.domain, kid, payload);
        elsewhere.certificate = Some(certificate.sign(&other));
        self.add(
            "author-certified-by-another-key",
            "unknown-signer",
            "certified by a key that is not the node's",
            &elsewhere.opening().encode(),
        );
        let mut forged = self.task();
        forged.certificate = Some(world.certificate_by("pi1", map(&certificate_claims(&world.researcher))).sign(&world.researcher.key));
        self.add("author-certified-by-itself", "not-authentic", "certified by the author in the node's name", &forged.opening().encode());
    }

    fn rosters(&mut self) {
        let (world, envelope) = (self.world, self.task().opening().encode());
        let revoked = |key: &SigningKey| world.roster_with(|claims| claims.revoked.push(thumbprint(&public(key))));
        let mut under = |name: &str, expect: &str, what: &str, roster: Item| {
            let scene = Scene { roster, ..self.scene() };
            self.add_in(&scene, name, expect, what, &envelope);
        };
        under("author-revoked", "revoked", "the author's key is revoked", revoked(&world.researcher.key));
        under("node-of-author-revoked", "revoked", "the key of the author's node is revoked", revoked(&signing_key("pi1")));
        let narrow = world.roster_with(|claims| claims.nodes[0] = node("pi1", &public(&signing_key("pi1")), &["mallory"]));
        under("author-not-hosted", "revoked", "the author's node may not host that name", narrow);
        let mut ahead = self.task();
        set(&mut ahead.letter.claims, int(6), uint(VERSION + 1));
        self.add("roster-behind", "roster-behind", "the author knows a newer roster", &ahead.opening().encode());
    }

    pub(super) fn repeated(&mut self) {
        let (first, (scene, lane)) = (self.task().opening().encode(), self.lane_scene());
        self.add_in(&scene, "opening-again", "duplicate", "the same opening a second time", &first);
        let mut anew = self.task();
        anew.fresh = drawn("another encapsulation");
        self.add_in(&scene, "opening-sealed-anew", "duplicate", "the same message in another envelope", &anew.opening().encode());
        let mut reused = self.task();
        reused.letter.body = b"The figures for May, please.".to_vec();
        self.add_in(&scene, "id-reused", "id-reused", "another message under the same id", &reused.opening().encode());
        let second = self.second();
        let in_lane = second.in_lane(&lane).encode();
        let after = Scene { before: [scene.before.clone(), vec![in_lane.clone()]].concat(), ..scene.clone() };
        self.add_in(&after, "lane-again", "duplicate", "the same lane message a second time", &in_lane);
        let mut as_opening = second.clone();
        as_opening.certificate = Some(self.world.certificate(&self.world.researcher));
        let what = "a lane message that was opened, sealed anew as an opening";
        self.add_in(&after, "lane-sealed-anew", "duplicate", what, &as_opening.opening().encode());
    }
}
