//! The five messages of a pairing, and what is inside them (SPEC.md, "Pairing").

use super::{
    MAX_MESSAGE, PairingError,
    schedule::{PROOF_LEN, Prover, Schedule, Transcript},
};
use crate::{
    address::check_name,
    cbor::{Malformed, Reader, Writer},
    domain::Domain,
    error::StoreFailed,
    identity::Identity,
    key::{RECEIVE_KEY_LEN, ReceiveKeyPublic, VerifyingKey},
    labels,
    limits::{MAX_LABEL, MAX_NODE_ADDRESS, MAX_NODE_ADDRESSES, MAX_ROSTER},
    roster::{MAX_PATTERNS, check_node_address, check_pattern, read_words, write_words},
    schedule::{ENCAPSULATED_LEN, TAG_LEN},
    sign1::{self, Claimed, Profile},
};

pub(super) const HELLO: u8 = 1;
pub(super) const WELCOME: u8 = 2;
pub(super) const REQUEST: u8 = 3;
pub(super) const VERDICT: u8 = 4;
pub(super) const KEPT: u8 = 5;
/// Number of what is said in clear and proves nothing.
const TURNED_AWAY: u8 = 0;

const PROFILE: Profile = Profile { typ: labels::TYP_NODE_REQUEST, label: labels::NODE_REQUEST };

/// Size in bytes of the message with the roster.
pub(super) const MAX_VERDICT: usize = MAX_ROSTER + MAX_MESSAGE;

/// A message that says what number it has and what is in it; nothing of it is proven yet.
pub(super) struct Frame<'a> {
    body: &'a [u8],
    proof: [u8; PROOF_LEN],
}

impl<'a> Frame<'a> {
    /// Reads message `number`, or what is said in its place to turn the joiner away.
    pub(super) fn parse(number: u8, bytes: &'a [u8]) -> Result<Self, PairingError> {
        let limit = if number == VERDICT { MAX_VERDICT } else { MAX_MESSAGE };
        if bytes.len() > limit {
            return Err(Malformed { what: "message is too long", offset: limit }.into());
        }
        let mut reader = Reader::new(bytes)?;
        match reader.array_up_to(3, "expected a message")? {
            2 if reader.uint("expected a number")? == u64::from(TURNED_AWAY) => Err(turned_away(reader.uint("expected a reason")?)),
            3 if reader.uint("expected a number")? == u64::from(number) => {
                let body = reader.bytes("expected a body")?;
                Ok(Self { body, proof: reader.bytes_of("expected a proof of 32 bytes")? })
            }
            _ => Err(reader.expected("message out of turn").into()),
        }
    }

    /// What it says, once it is proven.
    pub(super) fn proven(&self, prover: &Prover, number: u8, before: Transcript) -> Result<&'a [u8], PairingError> {
        prover.check(number, before, self.body, &self.proof)?;
        Ok(self.body)
    }

    /// What it says, as anybody could have said it.
    pub(super) fn claimed(&self) -> &'a [u8] {
        self.body
    }
}

pub(super) fn write(prover: &Prover, number: u8, before: Transcript, body: &[u8]) -> Vec<u8> {
    let proof = prover.prove(number, before, body);
    Writer::with_capacity(body.len() + 48).array(3).uint(number.into()).bytes(body).bytes(&proof).finish()
}

/// What is said to who has not proven the secret: it tells nothing that a closed door would not.
pub(super) fn turn_away(reason: &PairingError) -> Vec<u8> {
    let code = if *reason == PairingError::Busy { 2 } else { 1 };
    Writer::default().array(2).uint(TURNED_AWAY.into()).uint(code).finish()
}

fn turned_away(code: u64) -> PairingError {
    match code {
        2 => PairingError::Busy,
        _ => PairingError::UnknownInvite,
    }
}

/// Encrypts the content of message `number`.
pub(super) fn seal(schedule: &Schedule, number: u8, before: Transcript, mut content: Vec<u8>) -> Vec<u8> {
    let tag = schedule.key(number, before).seal(&mut content);
    content.extend_from_slice(&tag);
    content
}

pub(super) fn open(schedule: &Schedule, number: u8, before: Transcript, sealed: &[u8]) -> Result<Vec<u8>, PairingError> {
    let (body, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(PairingError::NotAuthentic)?;
    let mut content = body.to_vec();
    schedule.key(number, before).open(&mut content, tag).map_err(|_| PairingError::NotAuthentic)?;
    Ok(content)
}

/// Body of message 1.
pub(super) struct Hello {
    pub(super) invite: [u8; 16],
    pub(super) one_time: ReceiveKeyPublic,
}

impl Hello {
    pub(super) fn encode(invite: &[u8; 16], nonce: &[u8; 32], one_time: &ReceiveKeyPublic) -> Vec<u8> {
        Writer::with_capacity(RECEIVE_KEY_LEN + 64).array(3).bytes(invite).bytes(nonce).bytes(&one_time.to_bytes()).finish()
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body)?;
        reader.array(3, "expected a hello")?;
        let invite = reader.bytes_of("expected an invite's name")?;
        let _nonce = reader.bytes_of::<32>("expected a nonce of 32 bytes")?;
        let one_time = reader.bytes_of::<RECEIVE_KEY_LEN>("expected a one-time key")?;
        let one_time = ReceiveKeyPublic::from_bytes(&one_time).map_err(|_| reader.expected("not a sound one-time key"))?;
        Ok(Self { invite, one_time })
    }
}

/// Body of message 2: what is exchanged, and the rest encrypted under it.
pub(super) struct Welcome<'a> {
    pub(super) encapsulated: [u8; ENCAPSULATED_LEN],
    pub(super) sealed: &'a [u8],
}

impl<'a> Welcome<'a> {
    pub(super) fn encode(nonce: &[u8; 32], encapsulated: &[u8; ENCAPSULATED_LEN], sealed: &[u8]) -> Vec<u8> {
        Writer::with_capacity(ENCAPSULATED_LEN + 128).array(3).bytes(nonce).bytes(encapsulated).bytes(sealed).finish()
    }

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(body)?;
        reader.array(3, "expected a welcome")?;
        let _nonce = reader.bytes_of::<32>("expected a nonce of 32 bytes")?;
        let encapsulated = reader.bytes_of("expected an encapsulated key")?;
        Ok(Self { encapsulated, sealed: reader.bytes("expected what is encrypted")? })
    }
}

/// Content of message 2.
pub(super) struct Greeting {
    pub(super) time: u64,
    pub(super) first_root: VerifyingKey,
}

impl Greeting {
    pub(super) fn encode(time: u64, first_root: &VerifyingKey) -> Vec<u8> {
        Writer::with_capacity(48).array(2).uint(time).bytes(first_root.as_bytes()).finish()
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content)?;
        reader.array(2, "expected a greeting")?;
        let time = reader.uint("expected a time")?;
        let key = reader.bytes_of::<32>("expected a root key")?;
        let first_root = VerifyingKey::from_bytes(&key).map_err(|_| reader.expected("root key is not a sound public key"))?;
        Ok(Self { time, first_root })
    }
}

/// What a node asks to be listed as, in a COSE_Sign1 that proves that it holds its key, in this conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its name.
    pub node: String,
    /// Its key.
    pub key: VerifyingKey,
    /// Names it would host; empty: all that the invite allows.
    pub hosts: Vec<String>,
    /// Where it may be reached.
    pub addresses: Vec<String>,
}

impl Request {
    /// Content of message 3.
    pub(super) fn sign(&self, time: u64, key: &Identity, domain: &Domain, conversation: Transcript) -> Result<Vec<u8>, StoreFailed> {
        let mut writer = Writer::with_capacity(MAX_MESSAGE);
        writer.map(5).int(1).text(&self.node).int(2).bytes(self.key.as_bytes());
        write_words(writer.int(3), &self.hosts);
        write_words(writer.int(4), &self.addresses);
        writer.int(5).bytes(conversation.as_bytes());
        let signed = sign1::sign_as(PROFILE, domain, key, &writer.finish()).map_err(|error| StoreFailed(error.to_string()))?;
        Ok(Writer::with_capacity(signed.len() + 16).array(2).uint(time).bytes(&signed).finish())
    }

    /// The time by the joiner's clock, and the request, if the key it names signed it in this conversation.
    pub(super) fn verify(content: &[u8], domain: &Domain, conversation: Transcript) -> Result<(u64, Self), PairingError> {
        let mut reader = Reader::new(content)?;
        reader.array(2, "expected a request")?;
        let time = reader.uint("expected a time")?;
        let claimed = Claimed::parse(PROFILE, reader.bytes("expected a signed request")?)?;
        let (request, said_in) = Self::decode(claimed.payload)?;
        let own = claimed.signer == request.key.thumbprint().short() && claimed.is_signed_by(PROFILE, domain, &request.key);
        if !own || said_in != *conversation.as_bytes() {
            return Err(PairingError::NotAuthentic);
        }
        Ok((time, request))
    }

    fn decode(payload: &[u8]) -> Result<(Self, [u8; 32]), Malformed> {
        let (mut node, mut key, mut hosts, mut addresses, mut conversation) = (None, None, None, None, None);
        let mut reader = Reader::new(payload)?;
        reader.map("expected a request's claims", |reader, label| {
            match label {
                1 => node = Some(reader.text("expected a name")?.to_owned()),
                2 => key = VerifyingKey::from_bytes(&reader.bytes_of("expected a key")?).ok(),
                3 => hosts = Some(read_words(reader, MAX_PATTERNS, MAX_LABEL)?),
                4 => addresses = Some(read_words(reader, MAX_NODE_ADDRESSES, MAX_NODE_ADDRESS)?),
                5 => conversation = Some(reader.bytes_of("expected a hash")?),
                _ => return Err(reader.expected("unknown claim")),
            }
            Ok(())
        })?;
        match (node, key, hosts, addresses, conversation) {
            (Some(node), Some(key), Some(hosts), Some(addresses), Some(conversation)) => {
                let request = Self { node, key, hosts, addresses };
                request.check().map_err(|what| Malformed { what, offset: 0 })?;
                Ok((request, conversation))
            }
            _ => Err(Malformed { what: "request lacks a claim, or its key is unsound", offset: 0 }),
        }
    }

    /// That all in it can stand in a roster.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let patterns = self.hosts.iter().try_for_each(|pattern| check_pattern(pattern));
        let addresses = self.addresses.iter().try_for_each(|address| check_node_address(address));
        check_name(&self.node).and(patterns).and(addresses).map_err(|invalid| invalid.what)
    }
}

/// Content of message 4: the roster, or why not.
pub(super) enum Verdict {
    Listed(Vec<u8>),
    Refused(PairingError),
}

impl Verdict {
    pub(super) fn listed(roster: &[u8]) -> Vec<u8> {
        Writer::with_capacity(roster.len() + 16).array(2).uint(0).bytes(roster).finish()
    }

    pub(super) fn refused(reason: &PairingError) -> Vec<u8> {
        let nothing = String::new();
        let (code, number, [one, other]) = match reason {
            PairingError::Expired { by } => (1, *by, [&nothing, &nothing]),
            PairingError::Used => (2, 0, [&nothing, &nothing]),
            PairingError::ClockAhead { by } => (3, *by, [&nothing, &nothing]),
            PairingError::ClockBehind { by } => (4, *by, [&nothing, &nothing]),
            PairingError::NameTaken(node) => (5, 0, [node, &nothing]),
            PairingError::OutsidePattern { wanted, allowed } => (6, 0, [wanted, allowed]),
            PairingError::Revoked => (7, 0, [&nothing, &nothing]),
            _ => (8, 0, [&nothing, &nothing]),
        };
        Writer::with_capacity(256).array(4).uint(code).uint(number).text(one).text(other).finish()
    }

    pub(super) fn decode(content: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(content)?;
        if reader.array_up_to(4, "expected a verdict")? == 2 {
            let code = reader.uint("expected a verdict")?;
            let roster = reader.bytes("expected a roster")?;
            return if code == 0 { Ok(Self::Listed(roster.to_vec())) } else { Err(reader.expected("unknown verdict")) };
        }
        let (code, by) = (reader.uint("expected a verdict")?, reader.uint("expected a number")?);
        let one = reader.text("expected a text")?.to_owned();
        let allowed = reader.text("expected a text")?.to_owned();
        Ok(Self::Refused(match code {
            1 => PairingError::Expired { by },
            2 => PairingError::Used,
            3 => PairingError::ClockAhead { by },
            4 => PairingError::ClockBehind { by },
            5 => PairingError::NameTaken(one),
            6 => PairingError::OutsidePattern { wanted: one, allowed },
            7 => PairingError::Revoked,
            8 => PairingError::InviterFailed,
            _ => return Err(reader.expected("unknown verdict")),
        }))
    }
}
