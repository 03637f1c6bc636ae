//! [`Notice`]: what nodes tell each other in the open (SPEC.md, "Notices").
//!
//! A notice is public and unsigned: anybody can have written it. What it carries proves itself (certificates, rosters) or is a hint that costs
//! its hearer little when it is a lie.

use core::fmt;

use crate::{
    address::Address,
    cbor::{Malformed, Reader, Writer},
    key::LaneId,
    labels,
    limits::{MAX_CERTIFICATE, MAX_NOTICE, MAX_ROSTER},
    node::{MAX_ANSWER, Nonce},
    transport::Parcel,
};

const ASK_CERTIFICATE: u64 = 1;
const CERTIFICATE: u64 = 2;
const STARTED: u64 = 3;
const ASK_ROSTER: u64 = 4;
const ROSTER: u64 = 5;
const UNKNOWN_LANE: u64 = 6;
const ASK_TIME: u64 = 7;
const TIME: u64 = 8;

/// Something that is no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Who knows how to seal for `about`? Answer to `asker`, who knows this version of the roster.
    AskCertificate { about: Address, asker: Address, roster: u64 },
    /// A certificate.
    Certificate(Vec<u8>),
    /// The agent of this certificate has started: lanes to it are gone.
    Started(Vec<u8>),
    /// Who has a newer roster than this version? Answer to `asker`.
    AskRoster { asker: Address, roster: u64 },
    /// A roster.
    Roster(Vec<u8>),
    /// Something came in this lane, and it is not held.
    UnknownLane(LaneId),
    /// What time is it there? Answer to `asker`.
    AskTime { asker: Address, nonce: Nonce },
    /// The time at a node, signed by it.
    Time(Vec<u8>),
}

impl Notice {
    /// Whether bytes may be a notice: they begin like one and no envelope does.
    pub(crate) fn may_be(bytes: &[u8]) -> bool {
        bytes.first().is_some_and(|first| matches!(first, 0x83..=0x85))
    }

    /// Encodes it, with its label in front.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(64);
        let mut begin = |count: usize, kind: u64| {
            writer.array(count + 2).text(labels::NOTICE).uint(kind);
        };
        match self {
            Self::AskCertificate { about, asker, roster } => {
                begin(3, ASK_CERTIFICATE);
                writer.text(about.as_str()).text(asker.as_str()).uint(*roster);
            }
            Self::Certificate(certificate) => {
                begin(1, CERTIFICATE);
                writer.bytes(certificate);
            }
            Self::Started(certificate) => {
                begin(1, STARTED);
                writer.bytes(certificate);
            }
            Self::AskRoster { asker, roster } => {
                begin(2, ASK_ROSTER);
                writer.text(asker.as_str()).uint(*roster);
            }
            Self::Roster(roster) => {
                begin(1, ROSTER);
                writer.bytes(roster);
            }
            Self::UnknownLane(lane) => {
                begin(1, UNKNOWN_LANE);
                writer.bytes(lane.as_bytes());
            }
            Self::AskTime { asker, nonce } => {
                begin(2, ASK_TIME);
                writer.text(asker.as_str()).bytes(nonce);
            }
            Self::Time(answer) => {
                begin(1, TIME);
                writer.bytes(answer);
            }
        }
        writer.finish()
    }

    /// Reads what [`Notice::encode`] writes, and nothing else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_NOTICE {
            return Err(Malformed { what: "longer than any notice", offset: 0 });
        }
        let mut reader = Reader::new(bytes)?;
        let count = reader.array_up_to(5, "expected a notice")?;
        if reader.text("expected a label")? != labels::NOTICE {
            return Err(reader.expected("expected the label of a notice"));
        }
        let kind = reader.uint("expected the kind of a notice")?;
        match (kind, count) {
            (ASK_CERTIFICATE, 5) => {
                let (about, asker) = (address(&mut reader)?, address(&mut reader)?);
                Ok(Self::AskCertificate { about, asker, roster: reader.uint("expected a version")? })
            }
            (CERTIFICATE, 3) => blob(&mut reader, MAX_CERTIFICATE).map(Self::Certificate),
            (STARTED, 3) => blob(&mut reader, MAX_CERTIFICATE).map(Self::Started),
            (ASK_ROSTER, 4) => Ok(Self::AskRoster { asker: address(&mut reader)?, roster: reader.uint("expected a version")? }),
            (ROSTER, 3) => blob(&mut reader, MAX_ROSTER).map(Self::Roster),
            (UNKNOWN_LANE, 3) => Ok(Self::UnknownLane(LaneId(reader.bytes_of("expected a lane id of 16 bytes")?))),
            (ASK_TIME, 4) => Ok(Self::AskTime { asker: address(&mut reader)?, nonce: reader.bytes_of("expected a nonce of 16 bytes")? }),
            (TIME, 3) => blob(&mut reader, MAX_ANSWER).map(Self::Time),
            _ => Err(reader.expected("unknown kind of notice")),
        }
    }
}

impl From<Notice> for Parcel {
    fn from(notice: Notice) -> Self {
        Self::in_the_open(notice.encode())
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AskCertificate { about, asker, .. } => write!(f, "Notice({asker} asks for the certificate of {about})"),
            Self::Certificate(_) => f.write_str("Notice(certificate)"),
            Self::Started(_) => f.write_str("Notice(started)"),
            Self::AskRoster { asker, .. } => write!(f, "Notice({asker} asks for a roster)"),
            Self::Roster(_) => f.write_str("Notice(roster)"),
            Self::UnknownLane(lane) => write!(f, "Notice(unknown lane {lane})"),
            Self::AskTime { asker, .. } => write!(f, "Notice({asker} asks for the time)"),
            Self::Time(_) => f.write_str("Notice(time)"),
        }
    }
}

fn address(reader: &mut Reader<'_>) -> Result<Address, Malformed> {
    reader.text("expected an address")?.parse().map_err(|_| reader.expected("address is not of its form"))
}

fn blob(reader: &mut Reader<'_>, limit: usize) -> Result<Vec<u8>, Malformed> {
    let bytes = reader.bytes("expected bytes")?;
    if bytes.len() > limit { Err(reader.expected("longer than it may be")) } else { Ok(bytes.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, Endpoint, transport::Parcel};

    fn all() -> Result<Vec<Notice>, Box<dyn std::error::Error>> {
        let (about, asker) = (Address::new("a", "n")?, Address::new("b", "m")?);
        Ok(vec![
            Notice::AskCertificate { about, asker: asker.clone(), roster: 7 },
            Notice::Certificate(vec![1; 300]),
            Notice::Started(vec![2; 3]),
            Notice::AskRoster { asker: asker.clone(), roster: u64::MAX },
            Notice::Roster(vec![]),
            Notice::UnknownLane(LaneId([3; 16])),
            Notice::AskTime { asker, nonce: [4; 16] },
            Notice::Time(vec![5; 200]),
        ])
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() -> Result<(), Box<dyn std::error::Error>> {
        for notice in all()? {
            let bytes = Parcel::from(notice.clone()).into_bytes();
            assert!(Notice::may_be(&bytes));
            assert_eq!(Notice::decode(&bytes).map_err(|error| error.to_string())?, notice);
            for end in 0..bytes.len() {
                assert!(Notice::decode(&bytes[..end]).is_err(), "cut at {end}");
            }
            assert!(Notice::decode(&[bytes.as_slice(), &[0]].concat()).is_err(), "something behind it");
            let mut other_kind = bytes.clone();
            other_kind[19] = 0x17;
            assert!(Notice::decode(&other_kind).is_err(), "unknown kind");
        }
        assert!(Notice::decode(&Notice::Certificate(vec![0; MAX_CERTIFICATE + 1]).encode()).is_err(), "too long");
        Ok(())
    }

    #[test]
    fn no_envelope_may_be_a_notice() -> Result<(), Box<dyn std::error::Error>> {
        let endpoint = Endpoint::builder().in_memory("local")?;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        let envelope = endpoint.seal(&a, &b, &Draft::new("task", "x"))?.envelope;
        assert!(!Notice::may_be(envelope.as_bytes()));
        assert!(!Notice::may_be(&[]));
        Ok(())
    }
}
