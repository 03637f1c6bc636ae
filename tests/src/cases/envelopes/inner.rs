//! Flaws inside the ciphertext: sealed as they should be, so only a reader that opens them can find them.

use super::*;

impl Maker<'_> {
    /// Sealed as an opening after what was signed has been edited.
    fn signed_part(&mut self, name: &str, what: &str, edit: impl FnOnce(&mut Signed)) {
        let task = self.task();
        let mut signed = task.signed();
        edit(&mut signed);
        self.add(name, "not-authentic", what, &task.opening_of(&signed).encode());
    }

    /// Sealed as an opening around an edited plaintext.
    fn plaintext(&mut self, name: &str, what: &str, edit: impl FnOnce(Item) -> Item) {
        let task = self.task();
        let signed = task.signed();
        self.add(name, "not-authentic", what, &task.opening_around(&edit(signed.plaintext()), &signed).encode());
    }

    /// Signed and sealed with an edited header.
    fn letter(&mut self, name: &str, what: &str, edit: impl FnOnce(&mut Letter)) {
        let mut task = self.task();
        edit(&mut task.letter);
        self.add(name, "not-authentic", what, &task.opening().encode());
    }

    fn claim(&mut self, name: &str, what: &str, key: i64, value: Item) {
        self.letter(name, what, |letter| set(&mut letter.claims, int(key), value));
    }

    pub(super) fn inner(&mut self) {
        self.plaintext("inner-trailing", "a byte after the plaintext", |plain| [plain, vec![0]].concat());
        self.plaintext("inner-array-of-four", "one item too many", |plain| [&[0x84][..], &plain[1..], &[0xf6]].concat());
        self.plaintext("inner-array-without-length", "an array of indefinite length", |plain| [&[0x9f][..], &plain[1..], &[0xff]].concat());
        self.plaintext("inner-untagged", "the inner structure has no tag", |plain| [&plain[..1], &plain[2..]].concat());
        self.plaintext("inner-empty", "nothing was encrypted", |_| Vec::new());
        self.signed_part("payload-attached", "the body's digest stands in the payload", |signed| signed.payload = bytes(&[0; 32]));
        self.signed_part("signature-short", "a signature of 63 bytes", |signed| signed.signature.truncate(63));
        self.signed_part("blind-short", "a blind of 15 bytes", |signed| signed.blind = bytes(&[0; 15]));
        self.signed_part("body-as-text", "a body that is a text string", |signed| signed.body = text("The figures for June, please."));
        self.signed_part("body-length-not-shortest", "the body's length in two bytes that fits one", |signed| {
            signed.body = [&[0x59, 0][..], &signed.body[1..]].concat();
        });
        self.signed_part("certificate-missing", "an opening without certificate", |signed| signed.unprotected.clear());
        self.signed_part("certificate-as-bytes", "the certificate in a byte string", |signed| {
            signed.unprotected = vec![(int(13), bytes(&signed.unprotected[0].1))];
        });
        self.signed_part("certificate-twice", "the certificate stands there twice", |signed| {
            signed.unprotected.extend(signed.unprotected.clone())
        });
        self.signed_part("inner-unknown-label", "a label nobody knows", |signed| signed.unprotected.push((int(33), bytes(&[]))));
        self.weak_certificate();
        let (scene, lane) = self.lane_scene();
        let mut with_certificate = self.second();
        with_certificate.certificate = Some(self.world.certificate(&self.world.researcher));
        let envelope = with_certificate.in_lane(&lane).encode();
        self.add_in(&scene, "lane-with-certificate", "not-authentic", "a certificate in a lane message", &envelope);
    }

    /// For a weak key everybody can make signatures: here R is the neutral element and S is zero.
    fn weak_certificate(&mut self) {
        let neutral: [u8; 32] = core::array::from_fn(|at| u8::from(at == 0));
        let mut task = self.task();
        task.certificate = Some(self.world.certificate_with(&self.world.researcher, |claims| set(claims, int(8), confirmation(&neutral))));
        set(&mut task.letter.header, int(4), bytes(&key_id(&neutral)));
        let mut signed = task.signed();
        signed.signature = [neutral, [0; 32]].concat();
        self.add("weak-signer", "not-authentic", "the author's key is of small order", &task.opening_of(&signed).encode());
    }

    pub(super) fn header(&mut self) {
        self.header_labels();
        self.header_values();
        self.header_times();
    }

    fn header_labels(&mut self) {
        for (name, key) in [("alg", 1), ("signer", 4), ("hash", 258)] {
            self.letter(&format!("header-without-{name}"), "an entry is missing", |letter| drop_entry(&mut letter.header, &int(key)));
        }
        for (name, key) in [("from", 1), ("to", 3), ("expires", 4), ("issued", 6), ("id", 7)] {
            self.letter(&format!("header-without-{name}"), "a claim is missing", |letter| drop_entry(&mut letter.cwt, &int(key)));
        }
        for (name, key) in [("reader-key", 1), ("kind", 2), ("thread", 3)] {
            self.letter(&format!("header-without-{name}"), "a claim is missing", |letter| drop_entry(&mut letter.claims, &int(key)));
        }
        self.letter("header-unknown-label", "a header nobody knows", |letter| letter.header.push((int(99), int(0))));
        self.letter("header-unknown-cwt-claim", "a claim nobody knows", |letter| set(&mut letter.cwt, int(5), uint(SEALED)));
        self.claim("header-unknown-claim", "a claim nobody knows", 10, int(0));
        self.letter("header-claim-twice", "the kind stands there twice", |letter| letter.claims.insert(1, (int(2), text("task"))));
        self.letter("header-claims-out-of-order", "kind before the reader's key", |letter| letter.claims.swap(0, 1));
        let header = self.task().letter.header();
        self.whole_header("header-out-of-order", "signer before alg", |entries| entries.swap(0, 1));
        self.whole_header("header-label-twice", "alg stands there twice", |entries| entries.insert(0, entries[0].clone()));
        self.whole_header("header-label-as-text", "a label that is a text string", |entries| entries.push((text("x"), int(0))));
        let trailing = [header, vec![0]].concat();
        self.signed_header("header-trailing", "a byte after the header", trailing);
        self.signed_header("header-empty", "an empty header", Vec::new());
        self.signed_header("header-too-large", "a header of over 4 KiB", map(&[(int(1), bytes(&[0; 4096]))]));
    }

    fn whole_header(&mut self, name: &str, what: &str, edit: impl FnOnce(&mut Entries)) {
        let letter = self.task().letter;
        let mut entries = letter.header.clone();
        entries.extend([(int(15), map(&letter.cwt)), (int(-65800), map(&letter.claims))]);
        entries.sort();
        edit(&mut entries);
        self.signed_header(name, what, map(&entries));
    }

    fn signed_header(&mut self, name: &str, what: &str, header: Item) {
        let task = self.task();
        let signed = task.letter.sign_header(header, &task.key, &external_data(&task.domain));
        let signed = signed.with_certificate(self.world.certificate(&self.world.researcher));
        self.add(name, "not-authentic", what, &task.opening_of(&signed).encode());
    }

    fn header_values(&mut self) {
        self.letter("header-alg-eddsa", "the older number of the same algorithm", |letter| set(&mut letter.header, int(1), int(-8)));
        self.letter("header-hash-sha512", "another hash of the body", |letter| set(&mut letter.header, int(258), int(-44)));
        self.letter("header-content-type-with-newline", "a line break in the content type", |letter| {
            set(&mut letter.header, int(259), text("text/plain\n"));
        });
        self.letter("header-from-without-node", "an address without node", |letter| set(&mut letter.cwt, int(1), text("researcher")));
        self.letter("header-to-as-bytes", "an address in a byte string", |letter| set(&mut letter.cwt, int(3), bytes(b"writer@pi2")));
        self.letter("header-id-short", "a message-id of 15 bytes", |letter| set(&mut letter.cwt, int(7), bytes(&[0; 15])));
        self.claim("header-kind-in-capitals", "a kind in capitals", 2, text("Task"));
        self.claim("header-kind-empty", "a kind of no characters", 2, text(""));
        self.claim("header-kind-long", "a kind of 33 characters", 2, text(&"k".repeat(33)));
        self.claim("header-thread-null", "null in place of the thread", 3, null());
        self.claim("header-labels-out-of-order", "labels not in order", 4, array(&[text("pii"), text("anonymized")]));
        self.claim("header-label-twice-in-list", "a label listed twice", 4, array(&[text("pii"), text("pii")]));
        self.claim("header-labels-empty", "an empty list of labels", 4, array(&[]));
        let seventeen: Vec<_> = (0..17).map(|number| text(&format!("{number:02}"))).collect();
        self.claim("header-seventeen-labels", "a label too many", 4, array(&seventeen));
        self.claim("header-label-with-space", "a space in a label", 4, array(&[text("p i")]));
        self.claim("header-label-long", "a label of 65 characters", 4, array(&[text(&"l".repeat(65))]));
        self.claim("header-roster-version-negative", "a negative version", 6, int(-1));
        self.claim("header-answers-without-id", "an answered message without its id", 7, array(&[bytes(&[0; 16])]));
        self.claim("header-acknowledges-nothing", "two empty lists", 9, array(&[array(&[]), array(&[])]));
        let many = vec![bytes(&[0; 16]); 65];
        self.claim("header-acknowledges-many", "65 message-ids", 9, array(&[array(&many), array(&[])]));
    }

    fn header_times(&mut self) {
        let mut until = |name: &str, what: &str, expires: u64| {
            self.letter(name, what, |letter| set(&mut letter.cwt, int(4), uint(expires)));
        };
        until("header-no-lifetime", "expires when it is issued", SEALED);
        until("header-expires-before-issued", "expires before it is issued", SEALED - 1);
        until("header-lifetime-long", "a lifetime of a day and a second", SEALED + DAY + 1);
        until("header-expires-never", "the greatest number", u64::MAX);
        self.letter("header-time-as-float", "a time as a floating-point number", |letter| {
            set(&mut letter.cwt, int(6), [&[0xfb][..], &1.8e9_f64.to_be_bytes()].concat());
        });
    }

    pub(super) fn signatures(&mut self) {
        let world = self.world;
        self.signed_part("flipped-signature-r", "a bit of R is flipped", |signed| flip(&mut signed.signature, 0));
        self.signed_part("flipped-signature-s", "a bit of S is flipped", |signed| flip(&mut signed.signature, 32));
        self.signed_part("other-body", "the body was changed after signing", |signed| signed.body = bytes(b"The figures for May, please."));
        self.signed_part("other-blind", "the blind was changed after signing", |signed| signed.blind = bytes(&[0; 16]));
        let mut task = self.task();
        task.key = world.mallory.key.clone();
        self.add("signed-by-another", "not-authentic", "signed with another agent's key", &task.opening().encode());
        let mut task = self.task();
        task.domain = [9; 32];
        self.add("signed-in-another-domain", "not-authentic", "signed for another domain", &task.opening().encode());
        let task = self.task();
        let external = array(&[text("sealwire/2"), bytes(&world.domain), bytes(&crate::sealer::envelope_protected())]);
        let signed = task.letter.sign_header(task.letter.header(), &task.key, &external);
        let signed = signed.with_certificate(world.certificate(&world.researcher));
        self.add("signed-for-another-version", "not-authentic", "signed under another version's label", &task.opening_of(&signed).encode());
        self.stripped();
        self.names();
    }

    /// The signature taken off and put on anew by somebody else.
    fn stripped(&mut self) {
        let (mallory, mut task) = (&self.world.mallory, self.task());
        task.key = mallory.key.clone();
        task.certificate = Some(self.world.certificate(mallory));
        self.add(
            "signature-replaced",
            "not-authentic",
            "another agent's signature and certificate under the same header",
            &task.opening().encode(),
        );
        set(&mut task.letter.header, int(4), bytes(&key_id(&public(&mallory.key))));
        self.add(
            "signature-and-signer-replaced",
            "not-authentic",
            "the same, and the signer changed; `from` is the first author",
            &task.opening().encode(),
        );
    }

    fn names(&mut self) {
        self.letter("signer-not-of-certificate", "the signer is not the certificate's key", |letter| {
            set(&mut letter.header, int(4), bytes(&[0; 16]));
        });
        self.letter("from-not-of-certificate", "`from` is not the certificate's subject", |letter| {
            set(&mut letter.cwt, int(1), text("mallory@pi1"));
        });
    }
}
