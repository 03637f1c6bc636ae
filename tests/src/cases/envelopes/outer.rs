//! Flaws outside the ciphertext: found before any key is used, or by the key.

use super::*;

impl Maker<'_> {
    fn items(&mut self, name: &str, what: &str, edit: impl FnOnce(&mut Vec<Item>)) {
        let mut items = self.task().opening().outer.items();
        edit(&mut items);
        self.add(name, "malformed", what, &tag(96, &array(&items)));
    }

    fn outer_of(&mut self, name: &str, what: &str, edit: impl FnOnce(&mut Outer)) {
        let mut outer = self.task().opening().outer;
        edit(&mut outer);
        self.add(name, "malformed", what, &outer.encode());
    }

    fn recipient(&mut self, name: &str, expect: &str, what: &str, edit: impl FnOnce(&mut Recipient)) {
        let Opening { mut outer, mut recipient, .. } = self.task().opening();
        edit(&mut recipient);
        outer.recipients = vec![recipient.encode()];
        self.add(name, expect, what, &outer.encode());
    }

    fn lane_recipient(&mut self, name: &str, expect: &str, what: &str, edit: impl FnOnce(&mut Recipient)) {
        self.add_in_lane(name, expect, what, |LaneMessage { outer, recipient, .. }| {
            edit(recipient);
            outer.recipients = vec![recipient.encode()];
        });
    }

    pub(super) fn outer(&mut self) {
        self.framing();
        self.forms_of_cbor();
        self.headers();
        self.recipients();
        self.lane_recipients();
    }

    fn framing(&mut self) {
        let sound = self.task().opening().encode();
        let mut add = |name: &str, what: &str, envelope: &[u8]| self.add(name, "malformed", what, envelope);
        add("empty", "no bytes", &[]);
        add("not-cbor", "a reserved first byte", &[0x1c]);
        add("truncated", "the last byte is missing", &sound[..sound.len() - 1]);
        add("trailing", "a byte after the envelope", &[&sound[..], &[0]].concat());
        add("untagged", "no tag", &sound[2..]);
        add("tag-of-encrypt0", "the tag of COSE_Encrypt0", &[&[0xd0][..], &sound[2..]].concat());
        add("tag-in-tag", "the tag stands there twice", &[&sound[..2], &sound].concat());
        add("length-beyond-the-end", "a byte string of 2^64 - 1 bytes", &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        add("too-deep", "64 arrays in each other", &[[0x81; 64].as_slice(), &[0xf6]].concat());
        let case = self.scene().case(self.world, "too-many-items", "malformed", "an array of 262,145 zeros");
        self.cases.push(case.line("envelope", "9a00040001+262145"));
        let case = self.scene().case(self.world, "too-large", "too-large", "a byte over 16 MiB");
        self.cases.push(case.line("envelope", format!("{}+{}", hex::encode(&sound), (16 << 20) + 1 - sound.len())));
    }

    fn forms_of_cbor(&mut self) {
        let iv = bytes(&[0; 12]);
        self.items("array-of-three", "no recipients at all", |items| drop(items.pop()));
        self.items("array-of-five", "one item too many", |items| items.push(null()));
        self.items("float", "a floating-point number", |items| items[3] = vec![0xf9, 0x00, 0x00]);
        self.items("undefined", "a simple value other than null", |items| items[3] = vec![0xf7]);
        self.items("text-not-utf8", "a text string that is not UTF-8", |items| items[3] = vec![0x61, 0xff]);
        self.items("ciphertext-null", "null in place of the ciphertext", |items| items[2] = null());
        self.items("ciphertext-in-pieces", "a byte string of indefinite length", |items| {
            items[2] = [&[0x5f][..], &items[2], &[0xff]].concat();
        });
        self.items("ciphertext-length-not-shortest", "a length in eight bytes that fits two", |items| {
            let content = &items[2][3..];
            items[2] = [&[0x5b][..], &(content.len() as u64).to_be_bytes(), content].concat();
        });
        self.items("label-not-shortest", "label 5 in two bytes", |items| items[1] = [&[0xa1, 0x18, 0x05][..], &iv].concat());
        self.items("map-without-length", "a map of indefinite length", |items| items[1] = [&[0xbf, 0x05][..], &iv, &[0xff]].concat());
        self.items("iv-twice", "a label that stands there twice", |items| items[1] = map(&vec![(int(5), iv.clone()); 2]));
        let sound = self.task().opening().outer.items().concat();
        self.add(
            "array-without-length",
            "malformed",
            "an array of indefinite length",
            &[&[0xd8, 0x60, 0x9f][..], &sound, &[0xff]].concat(),
        );
    }

    fn headers(&mut self) {
        let protected = |entries: &[(Item, Item)]| map(entries);
        let typ = || (int(16), text("application/sealwire"));
        self.outer_of("alg-aes", "content encrypted with AES-256-GCM", |outer| outer.protected = protected(&[(int(1), int(3)), typ()]));
        self.outer_of("other-typ", "the media type of a certificate", |outer| {
            outer.protected = protected(&[(int(1), int(24)), (int(16), text("application/sealwire-cert"))]);
        });
        self.outer_of("without-typ", "no media type", |outer| outer.protected = protected(&[(int(1), int(24))]));
        self.outer_of("unknown-protected-label", "a label nobody knows", |outer| {
            outer.protected = protected(&[(int(1), int(24)), typ(), (int(99), int(0))]);
        });
        self.outer_of("protected-out-of-order", "the header's labels have changed places", |outer| {
            outer.protected = protected(&[typ(), (int(1), int(24))]);
        });
        self.outer_of("iv-not-zero", "an IV of ones", |outer| outer.unprotected = vec![(int(5), bytes(&[1; 12]))]);
        self.outer_of("iv-short", "an IV of eleven bytes", |outer| outer.unprotected = vec![(int(5), bytes(&[0; 11]))]);
        self.outer_of("iv-missing", "no IV", |outer| outer.unprotected.clear());
        self.outer_of("unknown-unprotected-label", "a label nobody knows", |outer| outer.unprotected.push((int(6), bytes(&[0]))));
        self.outer_of("ciphertext-short", "fewer bytes than a tag has", |outer| outer.ciphertext.truncate(15));
    }

    fn recipients(&mut self) {
        self.outer_of("no-recipients", "an empty list of recipients", |outer| outer.recipients.clear());
        self.outer_of("two-recipients", "the recipient stands there twice", |outer| outer.recipients.push(outer.recipients[0].clone()));
        self.outer_of("recipient-of-two", "a recipient without key", |outer| outer.recipients[0] = array(&[bytes(&[]), map(&[])]));
        let mut bad = |name: &str, what: &str, edit: fn(&mut Recipient)| self.recipient(name, "malformed", what, edit);
        bad("alg-other-hpke", "a neighbouring number of another suite", |one| set(&mut one.protected, int(1), int(-65902)));
        bad("receive-key-id-short", "a receive key's id of 15 bytes", |one| set(&mut one.protected, int(4), bytes(&[0; 15])));
        bad("receive-key-id-missing", "no receive key's id", |one| drop_entry(&mut one.protected, &int(4)));
        bad("encapsulated-key-short", "an encapsulated key that lacks a byte", |one| one.unprotected = vec![(int(-4), bytes(&[0; 1119]))]);
        bad("encapsulated-key-missing", "no encapsulated key", |one| one.unprotected.clear());
        bad("psk-id", "HPKE's mode with a shared key", |one| one.unprotected.push((int(-5), bytes(b"psk"))));
        bad("wrapped-key-short", "a wrapped key of 47 bytes", |one| one.key.truncate(47));
        bad("wrapped-key-long", "a wrapped key of 49 bytes", |one| one.key.push(0));
    }

    fn lane_recipients(&mut self) {
        let mut bad = |name: &str, what: &str, edit: fn(&mut Recipient)| self.lane_recipient(name, "malformed", what, edit);
        bad("lane-alg-sha512", "direct key with HKDF-SHA-512", |one| set(&mut one.protected, int(1), int(-11)));
        bad("lane-alg-direct", "the lane's secret as content key", |one| set(&mut one.protected, int(1), int(-6)));
        bad("lane-id-long", "a lane's id of 17 bytes", |one| one.unprotected[0].1 = bytes(&[0; 17]));
        bad("lane-id-missing", "no lane's id", |one| drop(one.unprotected.remove(0)));
        bad("lane-salt-short", "a salt of 31 bytes", |one| one.unprotected[1].1 = bytes(&[0; 31]));
        bad("lane-salt-missing", "no salt", |one| drop(one.unprotected.pop()));
        bad("lane-labels-out-of-order", "salt before id", |one| one.unprotected.reverse());
        bad("lane-with-key", "a wrapped key in a lane", |one| one.key = vec![0; 48]);
    }

    pub(super) fn keys(&mut self) {
        let ek = |one: &mut Recipient, at: usize| flip(&mut one.unprotected[0].1, at);
        self.recipient("unknown-receive-key", "unknown-key", "a receive key that is not held", |one| {
            set(&mut one.protected, int(4), bytes(&[0; 16]));
        });
        self.recipient("flipped-encapsulated-first", "not-authentic", "first bit of the ML-KEM part is flipped", |one| ek(one, 3));
        self.recipient("flipped-encapsulated-last", "not-authentic", "last bit of the X25519 part is flipped", |one| ek(one, 3 + 1119));
        self.recipient("flipped-wrapped-key", "not-authentic", "a bit of the wrapped key is flipped", |one| flip(&mut one.key, 0));
        self.recipient("flipped-wrapped-tag", "not-authentic", "a bit of the wrapped key's tag is flipped", |one| flip(&mut one.key, 47));
        let length = self.task().opening().outer.ciphertext.len();
        for (name, at) in [("first", 0), ("middle", length / 2), ("body", length - 17), ("tag", length - 1)] {
            let mut outer = self.task().opening().outer;
            flip(&mut outer.ciphertext, at);
            let what = "a bit of the ciphertext is flipped";
            self.add(&format!("flipped-ciphertext-{name}"), "not-authentic", what, &outer.encode());
            self.add_in_lane(&format!("lane-flipped-ciphertext-{name}"), "not-authentic", what, |message| {
                let at = at.min(message.outer.ciphertext.len() - 1);
                flip(&mut message.outer.ciphertext, at);
            });
        }
        let mut elsewhere = self.task();
        elsewhere.ends.domain = [9; 32];
        self.add("encapsulated-for-another-domain", "not-authentic", "HPKE's info names another domain", &elsewhere.opening().encode());
        self.lane_recipient("lane-flipped-salt", "not-authentic", "a bit of the salt is flipped", |one| {
            flip(&mut one.unprotected[1].1, 33)
        });
        self.lane_recipient("unknown-lane", "unknown-lane", "a lane that is not held", |one| one.unprotected[0].1 = bytes(&[0; 16]));
        let lane = self.task().opening().lane;
        let early = self.second().in_lane(&lane).encode();
        self.add("lane-before-its-opening", "unknown-lane", "a lane message that overtook its opening", &early);
        let other = Lane { secret: drawn("another secret"), ..lane };
        let (scene, message) = (self.lane_scene().0, self.second().in_lane(&other));
        self.add_in(&scene, "lane-other-secret", "not-authentic", "sealed with another secret under the lane's id", &message.encode());
    }
}
