#!/usr/bin/env python3
"""Takes each defence of sealwire out, one at a time, and checks that the test of that attack fails.

A test of an attack that never failed proves little. Each entry below names an attack, its test and the lines that stop it; the lines are
changed in a copy of the tree, the test is run there and must fail. The tree itself is not touched.

    python3 tests/mutants.py              all of them, about 10 minutes on 2 cores
    python3 tests/mutants.py lane clock   those whose attack, test or file contains one of these words
    python3 tests/mutants.py --table      what `docs/testing.md` shows: the table of the last run
    python3 tests/mutants.py --check      only that each line to be changed is still there, once: a second

An entry whose line is not there any more has to be brought up to date with the code.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = Path(os.environ.get("SEALWIRE_MUTANTS", ROOT / "target" / "mutants"))
RESULTS = SCRATCH / "results.json"
SOURCES = ("core", "tests", "Cargo.toml", "Cargo.lock", ".cargo", "clippy.toml", "README.md")

# A test that hangs on a broken build has noticed it too, but nobody should wait for it.
SECONDS = 300


@dataclass(frozen=True)
class Edit:
    """A place in the source: what stands there, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A broken build: the attack, the test that must notice, what is broken in words, and how."""

    attack: str
    test: str
    broken: str
    edits: tuple[Edit, ...]

    def matches(self, words: list[str]) -> bool:
        """Whether one of the words stands in it."""
        text = " ".join([self.attack, self.test, *(edit.file for edit in self.edits)])
        return not words or any(word in text for word in words)

    def command(self) -> list[str]:
        """How its test is run."""
        target, name = self.test.split(" ", 1)
        core = ["-p", "sealwire", "--features", "pairing,node", "--lib"]
        where = core if target == "core" else ["-p", "sealwire-tests", "--test", target]
        return ["cargo", "test", "--quiet", *where, "--", "--exact", name]


CBOR = "core/src/cbor.rs"
CERTIFICATE = "core/src/certificate.rs"
CONNECTION = "core/src/home/connection.rs"
ENVELOPE = "core/src/envelope.rs"
ENDPOINT = "core/src/endpoint.rs"
UPKEEP = "core/src/endpoint/upkeep.rs"
JOURNAL = "core/src/journal.rs"
KEEPING = "core/src/endpoint/keeping.rs"
KEY = "core/src/key.rs"
LANE = "core/src/lane.rs"
LIFE = "core/src/home/life.rs"
LOG = "core/src/home/log.rs"
LOCK = "core/src/home/lock.rs"
FILES = "core/src/home/files.rs"
OPENING = "core/src/endpoint/opening.rs"
PAIR_INVITE = "core/src/pairing/invite.rs"
PAIR_INVITER = "core/src/pairing/inviter.rs"
PAIR_JOINER = "core/src/pairing/joiner.rs"
PAIR_MESSAGE = "core/src/pairing/message.rs"
PAIR_OFFER = "core/src/pairing/offer.rs"
PAIR_SCHEDULE = "core/src/pairing/schedule.rs"
PAIR_JOINING = "core/src/home/joining.rs"
ROSTER = "core/src/roster.rs"
SCHEDULE = "core/src/schedule.rs"
SECRET = "core/src/secret.rs"
SEALING = "core/src/endpoint/sealing.rs"
STORE = "core/src/home/store.rs"

TAG_UNCHECKED = Edit(
    SCHEDULE,
    "cipher.decrypt_inout_detached(&Nonce::default(), &enc_structure(), buffer.into(), &Tag::from(*tag)).map_err(|_| NotOpened)",
    "{ let _ = tag; cipher.encrypt_inout_detached(&Nonce::default(), &enc_structure(), buffer.into()).map(drop).map_err(|_| NotOpened) }",
)
CONSTANT_CONTENT_KEY = Edit(
    SCHEDULE,
    "let content_key = hedge.draw::<32>(labels::HEDGE_CONTENT_KEY);",
    "let content_key = Secret::<32>::init_with(|key| key.fill(1));",
)
NO_VERIFICATION = Edit(OPENING, "if !certificate.key().verify(&to_verify, &parts.signature) {", "if false {")
NO_AUTHOR_CHECK = Edit(
    OPENING, "if header.from != *certificate.subject() || header.signer != certificate.thumbprint().short() {", "if false {"
)
READER_CHECK = "if header.to != *to || header.to_key != thumbprint.short() {"
NO_TIME_CHECK = Edit(OPENING, "check_time(header.issued, header.expires, now).or_else(&mut *object)?;", "")
CERTIFICATES_NEVER_END = Edit(CERTIFICATE, "check_time(self.issued, self.expires, now)\n", "Ok(())\n")
NO_HORIZON_IN_HOME = Edit(
    STORE,
    "None if row.expires <= self.horizon => Seen::BeyondHorizon,",
    "None if row.expires == 0 && self.horizon == 0 => Seen::BeyondHorizon,",
)
LANES_END_BEFORE_TAG = Edit(
    OPENING,
    "key.open(&mut plaintext, &tag).map_err(|_| OpenError::NotAuthentic)?;",
    "key.open(&mut plaintext, &tag).map_err(|_| { self.state().lanes = Default::default(); OpenError::NotAuthentic })?;",
)
NOTED_BEFORE_TAG = Edit(
    OPENING,
    "key.open(&mut plaintext, &tag).map_err(|_| OpenError::NotAuthentic)?;",
    "let (_, early, _) = self.unlock(envelope, now)?;\n"
    "        let _unchecked = early.seal(&mut plaintext);\n"
    "        if let Ok(parts) = Plaintext::parse(&plaintext) {\n"
    "            let header = Header::decode(parts.protected).map_err(|_| OpenError::NotAuthentic)?;\n"
    "            let content = Blinded { blind: parts.blind, body: plaintext.get(parts.body.clone()).unwrap_or_default() };\n"
    "            let digest = Sha256::digest(sig_structure(parts.protected, &external_aad(&self.domain), &content.digest())).into();\n"
    "            let certificate = self.certificate_behind(&lock, parts.certificate)?;\n"
    "            let (reader, signer) = (lock.check_names(&header, &certificate)?, certificate.thumbprint());\n"
    "            let row = Row { reader, signer, id: header.id, digest, expires: header.expires };\n"
    "            let mut checked = ciphertext.to_vec();\n"
    "            if key.open(&mut checked, &tag).is_err() { self.store().insert(&[&row], now)?; }\n"
    "        }\n"
    "        plaintext = ciphertext.to_vec();\n"
    "        key.open(&mut plaintext, &tag).map_err(|_| OpenError::NotAuthentic)?;",
)
NOT_IN_STORE = Edit(
    STORE, "Seen::New => add(connection, row).map(|()| Seen::New),", "Seen::New => { let _ = (connection, add); Ok(Seen::New) }"
)
ANY_MARK = Edit(
    STORE, "Ok(known.is_some_and(|known| mark.continues(&known)))", "Ok(known.is_none_or(|known| mark.continues(&known) || true))"
)

MUTANTS = (
    # Many deliveries of all sorts.
    Mutant(
        "hostile delivery",
        "hostile nothing_is_lost_and_nothing_comes_twice",
        "a message enters the journal before its tag is checked",
        (NOTED_BEFORE_TAG,),
    ),
    Mutant(
        "hostile delivery",
        "hostile nothing_is_lost_and_nothing_comes_twice",
        "a packet that does not decrypt ends the lanes",
        (LANES_END_BEFORE_TAG,),
    ),
    Mutant(
        "hostile delivery",
        "hostile nothing_is_lost_and_nothing_comes_twice",
        "opened messages not written to the store",
        (NOT_IN_STORE,),
    ),
    Mutant(
        "hostile delivery",
        "hostile nothing_is_lost_and_nothing_comes_twice",
        "opened messages not noted in memory",
        (Edit(JOURNAL, "self.rows.insert(key, (row.digest, row.expires));", ""),),
    ),
    # Altered on the way.
    Mutant("flipped bit", "attacks altered::any_flipped_bit_of_an_opening", "authentication tag not checked", (TAG_UNCHECKED,)),
    Mutant("flipped bit", "attacks altered::any_flipped_bit_of_a_lane_message", "authentication tag not checked", (TAG_UNCHECKED,)),
    Mutant(
        "flipped bit",
        "attacks altered::any_flipped_bit_of_a_lane_message",
        "outer header not compared",
        (Edit(ENVELOPE, 'if reader.bytes("expected a protected header")? != outer_protected() {', 'if reader.bytes("")?.is_empty() {'),),
    ),
    Mutant(
        "flipped bit",
        "attacks altered::any_flipped_bit_of_a_lane_message",
        "any IV taken",
        (Edit(ENVELOPE, "reader.bytes_of::<12>(WHAT)? == [0; 12];", "reader.bytes_of::<12>(WHAT)?.len() == 12;"),),
    ),
    Mutant(
        "flipped bit",
        "attacks altered::any_flipped_bit_of_a_lane_message",
        "lane's algorithm not compared",
        (Edit(ENVELOPE, "if protected == lane_protected() {", "if protected.len() == lane_protected().len() {"),),
    ),
    Mutant(
        "flipped bit",
        "attacks altered::any_flipped_bit_of_an_opening",
        "opening's algorithm not compared",
        (Edit(ENVELOPE, "if protected != opening_protected(id) {", "if protected.len() != opening_protected(id).len() {"),),
    ),
    Mutant(
        "truncation",
        "attacks altered::any_truncation",
        "an item that is missing read as an empty string",
        (
            Edit(
                CBOR,
                "let header = decoder.pull().map_err(|error| match error {",
                "if rest.is_empty() { return Ok(Header::Bytes(Some(0))); }\nlet header = decoder.pull().map_err(|error| match error {",
            ),
        ),
    ),
    Mutant(
        "trailing bytes",
        "attacks altered::anything_appended",
        "end of input not checked",
        (Edit(CBOR, "if self.offset == self.input.len() {", "if self.offset <= self.input.len() {"),),
    ),
    Mutant(
        "header swap between two envelopes",
        "attacks altered::recipients_of_two_openings_swapped",
        "one content key for all openings",
        (CONSTANT_CONTENT_KEY,),
    ),
    Mutant(
        "header swap between two envelopes",
        "attacks altered::recipients_of_two_lane_messages_swapped",
        "salt left out of the content key",
        (
            Edit(
                SCHEDULE, "Hkdf::<Sha256>::extract(Some(salt), self.0.expose())", "Hkdf::<Sha256>::extract(None, (self.0.expose(), salt).0)"
            ),
        ),
    ),
    Mutant(
        "header swap between two forms",
        "attacks altered::forms_swapped",
        "one content key for both forms, certificates in lanes let through",
        (
            CONSTANT_CONTENT_KEY,
            Edit(
                SCHEDULE,
                "ContentKey(Secret::init_with(|out| must_expand(&hkdf, &[&kdf_context()], out)))",
                "{ must_expand(&hkdf, &[&kdf_context()], &mut [0; 32]); ContentKey(Secret::init_with(|out| out.fill(1))) }",
            ),
            Edit(OPENING, "(Lock::Lane { lane, .. }, None)", "(Lock::Lane { lane, .. }, _)"),
        ),
    ),
    Mutant(
        "header swap, by an insider",
        "core endpoint::attacks::a_header_on_another_body",
        "body hash left out of the signature",
        (
            Edit(
                OPENING,
                "sig_structure(parts.protected, &external_aad(&self.domain), &content.digest())",
                "sig_structure(parts.protected, &external_aad(&self.domain), &content.digest()[..0])",
            ),
            Edit(
                SEALING,
                "sig_structure(&protected, &external_aad(&self.domain), &content.digest())",
                "sig_structure(&protected, &external_aad(&self.domain), &content.digest()[..0])",
            ),
        ),
    ),
    # For somebody else.
    Mutant(
        "wrong recipient",
        "attacks misdirected::an_envelope_for_another_reader",
        "sealed for the author's key",
        (Edit(SEALING, "plan.reader.receive_key()", "plan.author.certificate.receive_key()"),),
    ),
    Mutant(
        "readdressed to another key",
        "attacks misdirected::an_envelope_readdressed_to_another_key",
        "content key not from the encapsulation",
        (
            CONSTANT_CONTENT_KEY,
            Edit(
                SCHEDULE,
                "context.open_inout_detached(key.as_mut_slice().into(), &[], &tag).map_err(|_| NotOpened)",
                "{ let _ = context.open_inout_detached(key.as_mut_slice().into(), &[], &tag); key.fill(1); Ok::<(), NotOpened>(()) }",
            ),
        ),
    ),
    Mutant(
        "lane message under another lane's id",
        "attacks misdirected::a_lane_message_under_another_lanes_id",
        "one secret for all lanes",
        (
            Edit(
                SCHEDULE,
                "LaneSecret(Secret::init_with(|out| expand(labels::LANE, out)))",
                "LaneSecret(Secret::init_with(|out| out.fill(1)))",
            ),
        ),
    ),
    Mutant(
        "another domain",
        "attacks misdirected::an_envelope_and_a_certificate_of_another_domain",
        "whoever signs a roster taken for the root",
        (Edit(ROSTER, "(self.claims.next_root == Some(*Domain::of(&root).as_bytes())).then_some(root),", "Some(root),"),),
    ),
    Mutant(
        "roster altered, or of another root",
        "core roster::tests::another_root_a_flipped_bit_or_an_old_roster_is_refused",
        "root's signature on rosters not checked",
        (Edit(ROSTER, "if claimed.signer != root.thumbprint().short() || !claimed.is_signed_by(PROFILE, &domain, &root) {", "if false {"),),
    ),
    Mutant(
        "re-sealing to a third party",
        "core endpoint::attacks::resealed_to_a_third_party",
        "reader's name and key not compared",
        (Edit(OPENING, READER_CHECK, "if false {"),),
    ),
    Mutant(
        "two keys of one name",
        "core endpoint::attacks::two_keys_of_one_name",
        "reader's key not compared",
        (Edit(OPENING, READER_CHECK, "if header.to != *to {"),),
    ),
    Mutant(
        "two names of one key",
        "core endpoint::attacks::two_names_of_one_key",
        "reader's name not compared",
        (Edit(OPENING, READER_CHECK, "if header.to_key != thumbprint.short() {"),),
    ),
    # By somebody else.
    Mutant(
        "signature stripped and replaced",
        "core endpoint::attacks::signature_stripped_and_replaced",
        "signature not verified",
        (NO_VERIFICATION,),
    ),
    Mutant(
        "signature stripped and replaced",
        "core endpoint::attacks::signature_stripped_and_replaced",
        "author's name not compared with the certificate",
        (Edit(OPENING, "if header.from != *certificate.subject() || ", "if "),),
    ),
    Mutant(
        "signature stripped and replaced",
        "core endpoint::attacks::signature_stripped_and_replaced",
        "signer not compared with the certificate",
        (Edit(OPENING, " || header.signer != certificate.thumbprint().short() {", " {"),),
    ),
    Mutant(
        "another's words in one's own lane",
        "core endpoint::attacks::another_authors_words_in_ones_own_lane",
        "author not compared with the lane's",
        (NO_AUTHOR_CHECK,),
    ),
    Mutant(
        "a lane named by somebody else",
        "core endpoint::attacks::a_lane_named_by_somebody_else",
        "whoever names a lane confirms it",
        (
            Edit(
                LANE,
                "let named = self.offered.get(&pair)",
                "let pair = self.offered.iter().find(|(_, offer)| lanes.contains(&offer.id)).map_or(pair, |(pair, _)| *pair);\n"
                "        let named = self.offered.get(&pair)",
            ),
        ),
    ),
    # Again, or before the genuine one.
    Mutant(
        "replay",
        "attacks repeated::a_repeated_envelope_is_opened_once",
        "journal knows and lets through",
        (Edit(JOURNAL, "if *digest == row.digest => Seen::Before,", "if *digest == row.digest => Seen::New,"),),
    ),
    Mutant(
        "replay, reordered",
        "attacks repeated::reordering_loses_nothing_and_repeats_nothing",
        "journal knows and lets through",
        (Edit(JOURNAL, "if *digest == row.digest => Seen::Before,", "if *digest == row.digest => Seen::New,"),),
    ),
    Mutant(
        "id reuse",
        "core endpoint::attacks::an_id_used_again",
        "another message of that id is new",
        (Edit(JOURNAL, "Some(_) => Seen::Other,", "Some(_) => Seen::New,"),),
    ),
    Mutant(
        "forged packet before the genuine one",
        "attacks repeated::forged_packets_before_the_genuine_one",
        "a packet that does not decrypt ends the lanes",
        (LANES_END_BEFORE_TAG,),
    ),
    Mutant(
        "forged packet before the genuine one",
        "core endpoint::attacks::the_genuine_id_used_before_the_genuine_message",
        "a message enters the journal before its signature is verified",
        (
            Edit(
                OPENING,
                "if !certificate.key().verify(&to_verify, &parts.signature) {",
                "if !certificate.key().verify(&to_verify, &parts.signature) {\n"
                "            let (to, digest) = (lock.check_names(&header, &certificate)?, Sha256::digest(&to_verify).into());\n"
                "            let (signer, id, expires) = (certificate.thumbprint(), header.id, header.expires);\n"
                "            let row = Row { reader: to, signer, id, digest, expires };\n"
                "            self.store().insert(&[&row], now)?;",
            ),
        ),
    ),
    Mutant(
        "another's id before the genuine one",
        "core endpoint::attacks::the_genuine_id_used_before_the_genuine_message",
        "signer left out of the journal's key",
        (
            Edit(JOURNAL, "self.rows.get(&(row.reader, row.signer, row.id))", "self.rows.get(&(row.reader, row.reader, row.id))"),
            Edit(JOURNAL, "let key = (row.reader, row.signer, row.id);", "let key = (row.reader, row.reader, row.id);"),
        ),
    ),
    Mutant(
        "replay in a lane of one process",
        "attacks repeated::a_replay_in_a_near_lane",
        "messages of near lanes not noted",
        (
            Edit(
                OPENING,
                "if state.life == checked.life { state.near.insert(&checked.row, now) } else { Seen::OtherLife }",
                "if state.life == checked.life { state.near.seen(&checked.row) } else { Seen::OtherLife }",
            ),
            Edit(
                OPENING,
                "let _known = lane.near.then(|| state.near.insert(&checked.row, now));",
                "",
            ),
        ),
    ),
    Mutant(
        "replay beside a node",
        "core endpoint::attacks::a_near_message_taken_by_a_node_and_opened_beside_it",
        "what a node took of a near lane not noted",
        (Edit(OPENING, "let _known = lane.near.then(|| state.near.insert(&checked.row, now));", ""),),
    ),
    Mutant(
        "replay beside a node",
        "core endpoint::attacks::a_near_message_taken_by_a_node_and_opened_beside_it",
        "a node does not look up near lanes",
        (Edit(KEEPING, "self.look_up_near(&checked.row, &checked.message.header).map_err(refuse)?;", ""),),
    ),
    Mutant(
        "replay to a node",
        "core endpoint::attacks::a_message_taken_by_a_node_comes_again",
        "hooks asked before the journal",
        (Edit(KEEPING, "(checked, self.has_hooks)", "(checked, false)"),),
    ),
    Mutant(
        "replay to a node",
        "core endpoint::attacks::a_message_taken_by_a_node_comes_again",
        "what the journal says when it is written is not heard",
        (
            Edit(KEEPING, "if seen == Seen::Before {\n            return self.again(checked.message.header, key);\n        }\n", ""),
            Edit(KEEPING, "self.refuse_seen(seen, &checked, now)?;\n        self.commit", "self.commit"),
        ),
    ),
    Mutant(
        "lane of another endpoint taken for a near one",
        "attacks repeated::a_replay_after_a_restart",
        "opened messages not written to the store, as if each lane were near",
        (Edit(OPENING, "matches!(&self.lock, Lock::Lane { lane, .. } if lane.near)", "true"),),
    ),
    Mutant(
        "replay after a restart",
        "attacks repeated::a_replay_after_a_restart",
        "opened messages not written to the store",
        (NOT_IN_STORE,),
    ),
    Mutant(
        "replay after a restored copy, moved into place",
        "attacks restored::a_backup_moved_into_place",
        "store without a marker taken for the last one",
        (ANY_MARK,),
    ),
    Mutant(
        "replay after a restored copy, written over",
        "attacks restored::a_backup_written_over_the_files",
        "sequence not compared with the marker's",
        (Edit(LIFE, "self.life == marker.life && self.sequence >= marker.sequence", "self.life == marker.life"),),
    ),
    Mutant(
        "copy that runs elsewhere",
        "attacks restored::a_copy_that_runs_elsewhere",
        "store without a marker taken for the last one",
        (ANY_MARK,),
    ),
    Mutant(
        "copy that runs elsewhere",
        "attacks restored::a_copy_that_runs_elsewhere",
        "copies share the original's marker",
        (Edit(LIFE, "metadata.ino()", "0"),),
    ),
    Mutant(
        "copy that ran elsewhere and comes back",
        "attacks restored::a_copy_that_ran_elsewhere_and_comes_back",
        "life not compared with the marker's",
        (Edit(LIFE, "self.life == marker.life && self.sequence >= marker.sequence", "self.sequence >= marker.sequence"),),
    ),
    Mutant(
        "unclean stop",
        "attacks unclean::a_process_killed_while_it_opens",
        "journal entry not committed before release",
        (Edit(STORE, "transaction.commit()?;\n        Ok(seen)", "drop(transaction);\n        Ok(seen)"),),
    ),
    # Clocks, certificates and rosters.
    Mutant("clock jump", "attacks clock::an_old_message_and_one_from_the_future", "time not checked", (NO_TIME_CHECK,)),
    Mutant(
        "message outside its time, by an insider",
        "core endpoint::attacks::a_message_outside_its_time",
        "time not checked",
        (NO_TIME_CHECK,),
    ),
    Mutant(
        "clock jump forward and back",
        "attacks clock::forward_and_back_in_memory",
        "no horizon in memory",
        (Edit(JOURNAL, "None if row.expires <= self.horizon => Seen::BeyondHorizon,", ""),),
    ),
    Mutant(
        "clock jump forward and back",
        "attacks clock::forward_and_back_in_a_home",
        "no horizon in the store",
        (NO_HORIZON_IN_HOME,),
    ),
    Mutant(
        "clock jump forward and back over a restart",
        "attacks clock::forward_and_back_over_a_restart",
        "no horizon in the store, at start neither",
        (NO_HORIZON_IN_HOME, Edit(STORE, "if store.horizon()? > now {", "if store.horizon()? > u64::MAX - now % 2 {")),
    ),
    Mutant(
        "clock jump of days",
        "attacks clock::a_jump_of_days_ends_nothing_for_good",
        "what was made in the future is kept",
        (Edit(UPKEEP, " && made.saturating_sub(now) <= CLOCK_TOLERANCE\n", "\n"),),
    ),
    Mutant("expired certificate", "attacks clock::an_expired_certificate", "certificates never end", (CERTIFICATES_NEVER_END,)),
    Mutant(
        "expired certificate in a fresh message",
        "core endpoint::attacks::an_expired_certificate_in_a_fresh_message",
        "certificates never end",
        (CERTIFICATES_NEVER_END,),
    ),
    Mutant(
        "roster rollback",
        "attacks identities::a_roster_rolled_back",
        "any roster follows any other",
        (Edit(ROSTER, "if follows || same {", "if follows || same || offered.version > 0 {"),),
    ),
    Mutant(
        "roster rollback by a restart",
        "core endpoint::attacks::a_roster_rolled_back_in_a_home",
        "roster that is followed not kept",
        (Edit(STORE, "files::replace(&self.home.join(ROSTER), roster.as_bytes())", "{ let _ = roster; Ok(()) }"),),
    ),
    Mutant(
        "roster rollback by another process",
        "core endpoint::attacks::a_roster_rolled_back_in_a_home",
        "roster of another process not looked at",
        (Edit(ENDPOINT, "        self.join_roster()?;\n", ""),),
    ),
    Mutant(
        "two rosters of one version",
        "attacks identities::two_rosters_of_one_version",
        "content of the same version not compared",
        (Edit(ROSTER, "offered.version == self.version && offered.digest() == self.digest()", "offered.version == self.version"),),
    ),
    Mutant(
        "roster that follows a hidden one",
        "attacks identities::two_rosters_of_one_version",
        "hash of the roster before not compared",
        (Edit(ROSTER, "(!next || offered.previous == self.digest())", "(!next || offered.previous.len() == 32)"),),
    ),
    Mutant(
        "agent of a node that left",
        "attacks identities::an_agent_of_a_node_that_left",
        "roster not asked at each use of a lane",
        (
            Edit(OPENING, "standing.or_else(&mut *object)?;", "let _ = standing;"),
            Edit(OPENING, "checked.certificate.check_now(&self.current_roster(), now)?;", ""),
        ),
    ),
    Mutant(
        "all-zero and torsion keys",
        "core certificate::tests::unsound_signing_keys_are_refused_whoever_certified_them",
        "keys taken as they are",
        (Edit(KEY, "if sound { Ok(Self::new(key)) }", "if sound || key.is_weak() { Ok(Self::new(key)) }"),),
    ),
    Mutant(
        "torsion keys",
        "core certificate::tests::unsound_signing_keys_are_refused_whoever_certified_them",
        "torsion not looked for",
        (Edit(KEY, "point.is_torsion_free() && ", ""),),
    ),
    Mutant(
        "all-zero receive key",
        "core certificate::tests::unsound_receive_keys_are_refused_whoever_certified_them",
        "small order not looked for",
        (Edit(KEY, "is_none_or(|(_, point)| is_of_small_order(*point))", "is_none_or(|(_, point): (_, &[u8; 32])| point.is_empty())"),),
    ),
    # The home.
    Mutant(
        "marker gone, as after a reboot",
        "home without_its_marker_a_home_burns_its_receive_keys",
        "store without a marker taken for the last one",
        (ANY_MARK,),
    ),
    Mutant(
        "marker of another state",
        "home with_a_marker_that_does_not_fit_a_home_burns_its_receive_keys",
        "sequence not compared with the marker's",
        (Edit(LIFE, "self.life == marker.life && self.sequence >= marker.sequence", "self.life == marker.life"),),
    ),
    Mutant(
        "marker removed under running processes",
        "home processes_agree_again_after_their_marker_was_removed",
        "a file that is gone still trusted",
        (Edit(LIFE, "links(file) == 0", "links(file) == u64::MAX"),),
    ),
    Mutant(
        "erased key read from the disk",
        "home an_erased_receive_key_is_in_no_file",
        "pages with erased rows not overwritten",
        (Edit(CONNECTION, '"secure_delete", "on"', '"secure_delete", "off"'),),
    ),
    Mutant(
        "erased key read from the disk",
        "home an_erased_receive_key_is_in_no_file",
        "log not emptied after an erasure",
        (Edit(STORE, "self.log_holds_erased = true", "self.log_holds_erased = false"),),
    ),
    Mutant(
        "erased key read from the disk",
        "core home::log::tests::it_is_emptied_while_others_bring_it_in",
        "log not emptied while another process brings it in",
        (Edit(LOG, "if Instant::now() > until {", "if Instant::now() < until {"),),
    ),
    Mutant(
        "burned key read from the disk",
        "home a_burned_receive_key_is_in_no_file",
        "receive keys of another life kept",
        (Edit(STORE, "DELETE FROM receive_key; DELETE FROM opened;", "DELETE FROM opened;"),),
    ),
    Mutant(
        "memory of a process read after the fact",
        "memory secrets_of_a_dropped_endpoint_are_not_found",
        "secrets not wiped when dropped",
        (Edit(SECRET, "        self.0.zeroize();\n", ""),),
    ),
    Mutant(
        "something without an end in a file's place",
        "core home::files::tests::what_is_no_file_or_has_no_end_is_not_read",
        "whatever is there is read",
        (Edit(FILES, "if !metadata.is_file() {", "if false {"),),
    ),
    Mutant(
        "something without an end in a file's place",
        "core home::files::tests::what_is_no_file_or_has_no_end_is_not_read",
        "length only looked at before reading",
        (Edit(FILES, "if bytes.len() > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }", "Ok(bytes)"),),
    ),
    Mutant(
        "keys that others can read",
        "home keys_that_others_can_read_are_refused",
        "modes not looked at",
        (Edit(FILES, "if mode & 0o077 != 0 {", "if mode & 0o077 == 0o7777 {"),),
    ),
    # Pairing.
    Mutant(
        "pairing: altered on the way",
        "core pairing::attacks::anything_altered_is_refused_by_who_receives_it",
        "proofs not checked",
        (Edit(PAIR_SCHEDULE, ".verify_slice(proof).map_err(|_| PairingError::NotAuthentic)", ".verify_slice(proof).or(Ok(()))"),),
    ),
    Mutant(
        "pairing: without the secret",
        "core pairing::attacks::without_the_secret_nobody_answers_and_nobody_asks",
        "proofs not checked",
        (Edit(PAIR_SCHEDULE, ".verify_slice(proof).map_err(|_| PairingError::NotAuthentic)", ".verify_slice(proof).or(Ok(()))"),),
    ),
    Mutant(
        "pairing: invite found later",
        "core pairing::attacks::an_invite_found_later_opens_no_recording",
        "exchange left out of the keys",
        (Edit(PAIR_SCHEDULE, "&[secret.expose(), exported.expose()]", "&[secret.expose()]"),),
    ),
    Mutant(
        "pairing: inviter with the secret and another root",
        "core pairing::attacks::with_the_secret_but_another_root",
        "first root not compared with the invite's domain",
        (Edit(PAIR_JOINER, "if Domain::of(&greeting.first_root) != invite.domain {", "if false {"),),
    ),
    Mutant(
        "pairing: inviter with the secret and another root",
        "core pairing::attacks::with_the_secret_but_another_root",
        "roster's root not compared with the invite's",
        (Edit(PAIR_JOINER, "if !invite.is_root(roster.root()) {", "if false {"),),
    ),
    Mutant(
        "pairing: inviter that lists another key",
        "core pairing::attacks::with_the_secret_but_another_root",
        "roster not asked for the joiner's key",
        (Edit(PAIR_JOINER, "node.key == request.key && ", ""),),
    ),
    Mutant(
        "pairing: key that the joiner does not hold",
        "core pairing::attacks::a_request_without_its_key",
        "request's signature not verified",
        (Edit(PAIR_MESSAGE, "if !own || said_in", "if !own && said_in"),),
    ),
    Mutant(
        "pairing: request of another conversation",
        "core pairing::attacks::a_request_without_its_key",
        "conversation not compared",
        (Edit(PAIR_MESSAGE, "if !own || said_in != *conversation.as_bytes() {", "let _ = said_in; if !own {"),),
    ),
    Mutant(
        "pairing: clock seven minutes off",
        "core pairing::attacks::clocks_that_differ",
        "clocks not compared",
        (Edit(PAIR_JOINER, "match by > CLOCK_TOLERANCE {", "match by > u64::MAX - CLOCK_TOLERANCE {"),),
    ),
    Mutant(
        "pairing: invite that is over",
        "core pairing::attacks::an_invite_that_is_over_or_whose_name_is_taken",
        "end not looked at",
        (Edit(PAIR_INVITER, "if now >= invite.expires() {", "if now == u64::MAX {"),),
    ),
    Mutant(
        "pairing: name of another node",
        "core pairing::attacks::an_invite_that_is_over_or_whose_name_is_taken",
        "listed names not looked at",
        (Edit(PAIR_INVITER, "if roster.claims().nodes.iter().any(others) {", "if roster.claims().nodes.iter().any(others) && false {"),),
    ),
    Mutant(
        "pairing: node outside of its pattern",
        "core pairing::tests::what_the_invite_does_not_allow_is_not_listed",
        "patterns not compared",
        (Edit(PAIR_INVITER, "if let Some(wanted) = outside {", "if let Some(wanted) = outside.filter(|_| false) {"),),
    ),
    Mutant(
        "pairing: used invite",
        "core pairing::tests::an_invite_serves_one_machine",
        "whoever comes is taken for the one who used it",
        (Edit(PAIR_JOINING, "Ok(if by == key.as_bytes() {", "Ok(if by.len() == key.as_bytes().len() {"),),
    ),
    Mutant(
        "pairing: used invite, after a crash",
        "core pairing::tests::a_crash_between_spent_and_listed",
        "whoever comes is taken for the one who used it",
        (Edit(PAIR_JOINING, "Ok(if by == key.as_bytes() {", "Ok(if by.len() == key.as_bytes().len() {"),),
    ),
    Mutant(
        "pairing: invite not spent",
        "core pairing::tests::without_a_place_to_spend_it_an_invite_lists_nobody",
        "a node listed without spending its invite",
        (
            Edit(
                PAIR_OFFER,
                "match self.home.spend_invite(&invite_id(&self.invite.secret), &node.key)? {",
                "match self.home.spend_invite(&invite_id(&self.invite.secret), &node.key).unwrap_or(Spent::Now) {",
            ),
        ),
    ),
    Mutant(
        "pairing: mistyped invite",
        "core pairing::invite::tests::any_slip_of_the_pen_is_told",
        "checksum not compared",
        (Edit(PAIR_INVITE, "if *sum != checksum(claims) {", "if sum.is_empty() {"),),
    ),
    Mutant(
        "pairing: many connections",
        "core pairing::tests::more_connections_than_are_served_are_closed",
        "connections not counted",
        (Edit(PAIR_OFFER, "if active.load(Ordering::Acquire) >= MAX_CONNECTIONS {", "if active.load(Ordering::Acquire) == usize::MAX {"),),
    ),
    Mutant(
        "home stolen, with a passphrase",
        "core home::lock::tests::a_home_that_is_locked_from_the_start_never_shows_a_key",
        "files written as they are",
        (Edit(LOCK, "Ok(Zeroizing::new([MAGIC, &salt, &content, &tag].concat()))", "{ let _ = tag; Ok(Zeroizing::new(bytes.to_vec())) }"),),
    ),
    Mutant(
        "home stolen, with a passphrase",
        "core home::lock::tests::a_home_that_is_locked_from_the_start_never_shows_a_key",
        "passphrase left out of the key",
        (
            Edit(
                LOCK,
                "argon2.hash_password_into(passphrase.as_bytes(), salt, key)",
                "argon2.hash_password_into(passphrase.get(..0).unwrap_or_default().as_bytes(), salt, key)",
            ),
        ),
    ),
    Mutant(
        "file of a home in another's place",
        "core home::lock::tests::a_file_in_anothers_place_or_altered_does_not_open",
        "name left out of the key",
        (Edit(LOCK, "&[labels::HOME_FILE, name.as_bytes()]", "&[labels::HOME_FILE, name.get(..0).unwrap_or_default().as_bytes()]"),),
    ),
    Mutant(
        "pairing: roster of a root that nobody named",
        "spec_vectors each_case_gets_its_verdict",
        "successor not compared with the root that was named",
        (Edit(ROSTER, "(self.claims.next_root == Some(*Domain::of(&root).as_bytes())).then_some(root),", "Some(root),"),),
    ),
    Mutant(
        "pairing: next root replaced by a thief",
        "spec_vectors each_case_gets_its_verdict",
        "next root not compared with the one that was named",
        (
            Edit(
                ROSTER,
                "return self.claims.next_root.is_none() || offered.claims.next_root == self.claims.next_root;",
                "return true;",
            ),
        ),
    ),
)


def stale() -> list[str]:
    """Places that are not in the tree exactly once."""
    found = []
    for mutant in MUTANTS:
        for edit in mutant.edits:
            count = (ROOT / edit.file).read_text().count(edit.old)
            if count != 1:
                found.append(f"{edit.file}: {count} times, not once: {edit.old!r}")
    return found


def copy_tree() -> Path:
    """A copy of what the tests are built from, with a target folder of its own that is kept between runs."""
    tree = SCRATCH / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            # With the time of now: cargo must not take what the last run built for what stands here.
            shutil.copytree(source, tree / name, copy_function=shutil.copy)
        elif source.exists():
            shutil.copy(source, tree / name)
    manifest = tree / "Cargo.toml"
    manifest.write_text(re.sub(r"(?m)^members = .*$", 'members = ["core", "tests"]', manifest.read_text()))
    return tree


def cargo(tree: Path, command: list[str], seconds: int | None = SECONDS) -> subprocess.CompletedProcess[str]:
    """Runs cargo in the copy."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(SCRATCH / "build"), "RUST_BACKTRACE": "0", "CARGO_TERM_COLOR": "never"}
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds, check=False)


def outcome(tree: Path, mutant: Mutant) -> str:
    """How the test failed on the broken build. Empty: it did not."""
    whole = {edit.file: (tree / edit.file).read_text() for edit in mutant.edits}
    try:
        for edit in mutant.edits:
            path = tree / edit.file
            path.write_text(path.read_text().replace(edit.old, edit.new))
        return failure(cargo(tree, mutant.command()))
    except subprocess.TimeoutExpired:
        return f"no end after {SECONDS} s"
    finally:
        for file, text in whole.items():
            (tree / file).write_text(text)


def failure(run: subprocess.CompletedProcess[str]) -> str:
    """What the failed test said, in a line; an error if nothing was tested."""
    said = run.stdout + run.stderr
    if run.returncode == 0:
        if not re.search(r"test result: ok\. 1 passed", said):
            raise SystemExit(f"no test of that name:\n{said}")
        return ""
    if "test result: FAILED" not in said:
        raise SystemExit(f"the broken build does not compile:\n{said}")
    panic = re.search(r"panicked at [^\n]*\n((?:[^\n]+\n){1,3})", said) or re.search(r"(Error: [^\n]*\n)", said)
    text = " ".join(panic.group(1).split()) if panic else "failed"
    return re.sub(r"\b(0x)?[0-9a-f]{8,}\b", "…", text.partition(" note: run with")[0])


def run(words: list[str]) -> int:
    """Runs the mutants that are asked for; the number of those nobody noticed."""
    tree = copy_tree()
    wanted = [mutant for mutant in MUTANTS if mutant.matches(words)]
    tests = [word for target in ("attacks", "home", "hostile", "memory", "spec_vectors") for word in ("--test", target)]
    packages = ["-p", "sealwire", "-p", "sealwire-tests", "--features", "sealwire/pairing"]
    whole = cargo(tree, ["cargo", "test", "--quiet", *packages, "--lib", *tests], None)
    if whole.returncode:
        raise SystemExit(f"fails on the whole build:\n{whole.stdout}{whole.stderr}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    unnoticed = 0
    for number, mutant in enumerate(wanted, 1):
        said = outcome(tree, mutant)
        unnoticed += not said
        results[f"{mutant.test}: {mutant.broken}"] = said
        RESULTS.write_text(json.dumps(results, indent=1))
        print(f"{number}/{len(wanted)} {'noticed' if said else 'NOT NOTICED'}: {mutant.attack}: {mutant.broken}: {said}", flush=True)
    return unnoticed


def table() -> str:
    """The table of `docs/testing.md`."""
    results = json.loads(RESULTS.read_text())
    lines = ["| attack | test | broken on purpose, where | what failed |", "|---|---|---|---|"]
    for mutant in MUTANTS:
        said = results.get(f"{mutant.test}: {mutant.broken}", "")
        place = ", ".join(dict.fromkeys(edit.file.removeprefix("core/src/") for edit in mutant.edits))
        shown = (said[:90] + "…" if len(said) > 90 else said).replace("|", "\\|").replace("`", "'")
        target, name = mutant.test.split(" ", 1)
        lines.append(f"| {mutant.attack} | {target}: `{name}` | {mutant.broken} (`{place}`) | `{shown}` |")
    return "\n".join(lines)


def main() -> int:
    """See above."""
    words = sys.argv[1:]
    if words == ["--table"]:
        print(table())
        return 0
    if words != ["--check"] and any(word.startswith("-") for word in words):
        print(__doc__, file=sys.stderr)
        return 2
    if gone := stale():
        print("\n".join(gone), file=sys.stderr)
        return 1
    return 0 if words == ["--check"] else run(words)


if __name__ == "__main__":
    sys.exit(main())
