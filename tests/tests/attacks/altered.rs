//! Envelopes that were changed on the way.

use sealwire::{Claims, Envelope, Form, OpenError};

use crate::{
    hostile::{Hostile, open},
    world::Hosts,
};

/// Length of the recipient that ends an envelope: two arrays, protected header, unprotected header, wrapped key (SPEC.md, "Envelope").
const fn recipient_len(form: Form) -> usize {
    match form {
        Form::Opening => 1 + 1 + 2 + 25 + 1 + 1 + 3 + 1120 + 2 + 48,
        Form::Lane => 1 + 1 + 1 + 3 + 1 + 1 + 17 + 1 + 34 + 1,
    }
}

fn every_bit_flipped(genuine: &[u8]) -> Vec<Vec<u8>> {
    let flipped = (0..genuine.len() * 8).map(|bit| {
        let mut bytes = genuine.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    flipped.chain([genuine.to_vec()]).collect()
}

fn every_truncation(genuine: &[u8]) -> Vec<Vec<u8>> {
    let cut_at_the_end = (0..genuine.len()).map(|end| genuine[..end].to_vec());
    let cut_at_the_start = (1..genuine.len()).map(|start| genuine[start..].to_vec());
    cut_at_the_end.chain(cut_at_the_start).chain([genuine.to_vec()]).collect()
}

fn extended(genuine: &[u8]) -> Vec<Vec<u8>> {
    let longer = (0..=u8::MAX).map(|byte| [genuine, &[byte]].concat());
    longer.chain([[genuine, genuine].concat(), genuine.to_vec()]).collect()
}

/// Whatever comes first is refused, and what comes last, the genuine envelope, opens as if nothing had been.
fn only_the_last_opens(form: Form, attack: fn(&[u8]) -> Vec<Vec<u8>>) {
    let hosts = Hosts::new();
    let genuine = hosts.seal(form, "genuine");
    let mut outcomes = Hostile::new(attack).carry(genuine, &hosts.b, &hosts.two);
    let last = outcomes.pop().unwrap();
    for (number, outcome) in outcomes.iter().enumerate() {
        assert!(outcome.is_err(), "{form}: change {number} was opened");
    }
    assert_eq!(last.unwrap().body(), b"genuine");
}

#[test]
fn any_flipped_bit_of_an_opening() {
    only_the_last_opens(Form::Opening, every_bit_flipped);
}

#[test]
fn any_flipped_bit_of_a_lane_message() {
    only_the_last_opens(Form::Lane, every_bit_flipped);
}

#[test]
fn any_truncation() {
    only_the_last_opens(Form::Opening, every_truncation);
    only_the_last_opens(Form::Lane, every_truncation);
}

#[test]
fn anything_appended() {
    only_the_last_opens(Form::Opening, extended);
    only_the_last_opens(Form::Lane, extended);
}

/// Two envelopes of one pair exchange their recipients: key and salt are right, and belong to another content.
fn swapped_recipients(form: Form) {
    let hosts = Hosts::new();
    let [first, second] = [hosts.seal(form, "body"), hosts.seal(form, "body")];
    for (content, recipient) in [(&first, &second), (&second, &first)] {
        let [content, recipient] = [content, recipient].map(Envelope::as_bytes);
        let at = content.len() - recipient_len(form);
        let swapped = [&content[..at], &recipient[recipient.len() - recipient_len(form)..]].concat();
        let parsed = Envelope::parse(swapped.clone()).unwrap();
        assert_eq!(parsed.form(), form, "it is well formed");
        assert_eq!(open(&hosts.two, &swapped).err(), Some(OpenError::NotAuthentic));
    }
    assert!(hosts.open(&first).is_ok() && hosts.open(&second).is_ok());
}

#[test]
fn recipients_of_two_openings_swapped() {
    swapped_recipients(Form::Opening);
}

#[test]
fn recipients_of_two_lane_messages_swapped() {
    swapped_recipients(Form::Lane);
}

/// A lane's recipient on an opening's content, and the other way round: same author, same reader.
#[test]
fn forms_swapped() {
    let hosts = Hosts::new();
    let lane = hosts.seal(Form::Lane, "body");
    let Claims::Lane(id) = lane.claims() else { panic!("a lane") };
    hosts.one.forget_lane(id);
    let opening = hosts.seal(Form::Opening, "body");
    let cut = |envelope: &Envelope| {
        let bytes = envelope.as_bytes();
        let (content, recipient) = bytes.split_at(bytes.len() - recipient_len(envelope.form()));
        (content.to_vec(), recipient.to_vec())
    };
    let ((lane_content, lane_recipient), (opening_content, opening_recipient)) = (cut(&lane), cut(&opening));
    for swapped in [[lane_content, opening_recipient].concat(), [opening_content, lane_recipient].concat()] {
        assert!(Envelope::parse(swapped.clone()).is_ok(), "it is well formed");
        assert_eq!(open(&hosts.two, &swapped).err(), Some(OpenError::NotAuthentic));
    }
    assert!(hosts.open(&lane).is_ok() && hosts.open(&opening).is_ok());
}
