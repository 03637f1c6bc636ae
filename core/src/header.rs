//! [`Header`]: what the author signs about a message (SPEC.md, "Header").

use core::fmt;

use crate::{
    address::{Address, InvalidName},
    cbor::{Malformed, Reader, Writer},
    key::{KeyId, LaneId, MessageId, Thread},
    labels,
    limits::{MAX_ACKNOWLEDGED, MAX_CONTENT_TYPE, MAX_KIND, MAX_LABEL, MAX_LABELS, MAX_LIFETIME},
};

/// Names a message for good: who signed it, and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageRef {
    /// Short name of the signer's key.
    pub signer: KeyId,
    /// The message's id.
    pub id: MessageId,
}

/// What the reader of earlier messages confirms by this one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Messages that were processed.
    pub messages: Vec<MessageId>,
    /// Lanes that are held.
    pub lanes: Vec<LaneId>,
}

impl Acknowledged {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.lanes.is_empty()
    }
}

/// The signed header of a message.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The author.
    pub from: Address,
    /// The only reader.
    pub to: Address,
    /// Short name of the author's key.
    pub signer: KeyId,
    /// Short name of the reader's key: what is sealed for one key cannot be passed on to another, even of the same name.
    pub to_key: KeyId,
    /// Unix time of sealing.
    pub issued: u64,
    /// Unix time at which the message ends.
    pub expires: u64,
    /// The message's own id.
    pub id: MessageId,
    /// The conversation.
    pub thread: Thread,
    /// What kind of message it is, such as `task` or `result`.
    pub kind: String,
    /// Words that policy reads, sorted, each once.
    pub labels: Vec<String>,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// The sender's policy, as a digest.
    pub policy: Option<[u8; 16]>,
    /// The newest roster the sender knows.
    pub roster: Option<u64>,
    /// The message this one answers.
    pub answers: Option<MessageRef>,
    /// The message this one was made from.
    pub came_from: Option<MessageRef>,
    /// What this message confirms.
    pub acknowledged: Acknowledged,
}

impl Header {
    /// The message's name.
    pub fn message_ref(&self) -> MessageRef {
        MessageRef { signer: self.signer, id: self.id }
    }

    /// Encodes the protected header of the signed part.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(320);
        writer.map(5 + usize::from(self.content_type.is_some()));
        writer.int(labels::HEADER_ALG).int(labels::ALG_ED25519);
        writer.int(labels::HEADER_KID).bytes(&self.signer.0);
        writer.int(labels::HEADER_CLAIMS).map(5);
        writer.int(CWT_ISS).text(self.from.as_str()).int(CWT_AUD).text(self.to.as_str());
        writer.int(CWT_EXP).uint(self.expires).int(CWT_IAT).uint(self.issued).int(CWT_CTI).bytes(&self.id.0);
        writer.int(labels::HEADER_HASH_ALG).int(labels::ALG_SHA256);
        if let Some(content_type) = &self.content_type {
            writer.int(labels::HEADER_CONTENT_TYPE).text(content_type);
        }
        writer.int(labels::HEADER_SEALWIRE);
        self.encode_claims(&mut writer);
        writer.finish()
    }

    fn encode_claims(&self, writer: &mut Writer) {
        let optional = [
            !self.labels.is_empty(),
            self.policy.is_some(),
            self.roster.is_some(),
            self.answers.is_some(),
            self.came_from.is_some(),
            !self.acknowledged.is_empty(),
        ];
        writer.map(3 + optional.into_iter().filter(|present| *present).count());
        writer.int(TO_KEY).bytes(&self.to_key.0).int(KIND).text(&self.kind).int(THREAD).bytes(&self.thread.0);
        if !self.labels.is_empty() {
            writer.int(LABELS).array(self.labels.len());
            for label in &self.labels {
                writer.text(label);
            }
        }
        if let Some(policy) = &self.policy {
            writer.int(POLICY).bytes(policy);
        }
        if let Some(roster) = self.roster {
            writer.int(ROSTER).uint(roster);
        }
        for (label, message) in [(ANSWERS, self.answers), (CAME_FROM, self.came_from)] {
            if let Some(message) = message {
                writer.int(label).array(2).bytes(&message.signer.0).bytes(&message.id.0);
            }
        }
        if !self.acknowledged.is_empty() {
            let Acknowledged { messages, lanes } = &self.acknowledged;
            writer.int(ACKNOWLEDGED).array(2).array(messages.len());
            for id in messages {
                writer.bytes(&id.0);
            }
            writer.array(lanes.len());
            for id in lanes {
                writer.bytes(&id.0);
            }
        }
    }

    /// Decodes what [`Header::encode`] writes, and nothing else.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut draft = Decoded::default();
        Reader::new(bytes)?.map("expected a header", |reader, label| draft.entry(reader, label))?;
        draft.finish().ok_or(Malformed { what: "header lacks an entry, or one is not of its form", offset: 0 })
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({} to {}, {} {})", self.from, self.to, self.kind, self.id)
    }
}

// CWT claims (RFC 8392, section 3.1).
const CWT_ISS: i64 = 1;
const CWT_AUD: i64 = 3;
const CWT_EXP: i64 = 4;
const CWT_IAT: i64 = 6;
const CWT_CTI: i64 = 7;

// Claims of this protocol, under header -65800.
const TO_KEY: i64 = 1;
const KIND: i64 = 2;
const THREAD: i64 = 3;
const LABELS: i64 = 4;
const POLICY: i64 = 5;
const ROSTER: i64 = 6;
const ANSWERS: i64 = 7;
const CAME_FROM: i64 = 8;
const ACKNOWLEDGED: i64 = 9;

/// That `kind` can be a message's kind.
pub(crate) fn check_kind(kind: &str) -> Result<(), InvalidName> {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if (1..=MAX_KIND).contains(&kind.len()) && kind.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName { what: "a kind is 1 to 32 characters of a-z, 0-9 and `-`" })
    }
}

/// That `label` can be a label.
pub(crate) fn check_label(label: &str) -> Result<(), InvalidName> {
    if (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(|c| c.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(InvalidName { what: "a label is 1 to 64 printable ASCII characters without spaces" })
    }
}

/// That `content_type` can be a media type.
pub(crate) fn check_content_type(content_type: &str) -> Result<(), InvalidName> {
    let printable = content_type.bytes().all(|c| c.is_ascii_graphic() || c == b' ');
    if (1..=MAX_CONTENT_TYPE).contains(&content_type.len()) && printable {
        Ok(())
    } else {
        Err(InvalidName { what: "a content type is 1 to 128 printable ASCII characters" })
    }
}

/// A header while it is read.
#[derive(Default)]
struct Decoded {
    numbers: [Option<i64>; 2],
    signer: Option<KeyId>,
    addresses: [Option<Address>; 2],
    times: [Option<u64>; 2],
    id: Option<MessageId>,
    to_key: Option<KeyId>,
    kind: Option<String>,
    thread: Option<Thread>,
    labels: Vec<String>,
    content_type: Option<String>,
    policy: Option<[u8; 16]>,
    roster: Option<u64>,
    refs: [Option<MessageRef>; 2],
    acknowledged: Acknowledged,
}

impl Decoded {
    fn entry(&mut self, reader: &mut Reader<'_>, label: i64) -> Result<(), Malformed> {
        match label {
            labels::HEADER_ALG => self.numbers[0] = Some(reader.int("expected alg")?),
            labels::HEADER_KID => self.signer = Some(KeyId(reader.bytes_of("expected a kid of 16 bytes")?)),
            labels::HEADER_CLAIMS => reader.map("expected CWT claims", |reader, label| self.cwt_claim(reader, label))?,
            labels::HEADER_HASH_ALG => self.numbers[1] = Some(reader.int("expected a hash algorithm")?),
            labels::HEADER_CONTENT_TYPE => {
                let text = reader.text("expected a content type")?;
                check_content_type(text).map_err(|_| reader.expected("content type is not of its form"))?;
                self.content_type = Some(text.into());
            }
            labels::HEADER_SEALWIRE => reader.map("expected claims", |reader, label| self.claim(reader, label))?,
            _ => return Err(reader.expected("unknown header label")),
        }
        Ok(())
    }

    fn cwt_claim(&mut self, reader: &mut Reader<'_>, label: i64) -> Result<(), Malformed> {
        match label {
            CWT_ISS => self.addresses[0] = Some(address(reader)?),
            CWT_AUD => self.addresses[1] = Some(address(reader)?),
            CWT_EXP => self.times[1] = Some(reader.uint("expected a time")?),
            CWT_IAT => self.times[0] = Some(reader.uint("expected a time")?),
            CWT_CTI => self.id = Some(MessageId(reader.bytes_of("expected a message id of 16 bytes")?)),
            _ => return Err(reader.expected("unknown CWT claim")),
        }
        Ok(())
    }

    fn claim(&mut self, reader: &mut Reader<'_>, label: i64) -> Result<(), Malformed> {
        match label {
            TO_KEY => self.to_key = Some(KeyId(reader.bytes_of("expected a key id of 16 bytes")?)),
            KIND => {
                let kind = reader.text("expected a kind")?;
                check_kind(kind).map_err(|_| reader.expected("kind is not of its form"))?;
                self.kind = Some(kind.into());
            }
            THREAD => self.thread = Some(Thread(reader.bytes_of("expected a thread of 16 bytes")?)),
            LABELS => self.labels = read_labels(reader)?,
            POLICY => self.policy = Some(reader.bytes_of("expected a policy digest of 16 bytes")?),
            ROSTER => self.roster = Some(reader.uint("expected a roster version")?),
            ANSWERS => self.refs[0] = Some(message_ref(reader)?),
            CAME_FROM => self.refs[1] = Some(message_ref(reader)?),
            ACKNOWLEDGED => self.acknowledged = acknowledged(reader)?,
            _ => return Err(reader.expected("unknown claim")),
        }
        Ok(())
    }

    fn finish(self) -> Option<Header> {
        if self.numbers != [Some(labels::ALG_ED25519), Some(labels::ALG_SHA256)] {
            return None;
        }
        let ([from, to], [issued, expires], [answers, came_from]) = (self.addresses, self.times, self.refs);
        let (issued, expires) = (issued?, expires?);
        if expires.checked_sub(issued).is_none_or(|lifetime| lifetime == 0 || lifetime > MAX_LIFETIME) {
            return None;
        }
        Some(Header {
            from: from?,
            to: to?,
            signer: self.signer?,
            to_key: self.to_key?,
            issued,
            expires,
            id: self.id?,
            thread: self.thread?,
            kind: self.kind?,
            labels: self.labels,
            content_type: self.content_type,
            policy: self.policy,
            roster: self.roster,
            answers,
            came_from,
            acknowledged: self.acknowledged,
        })
    }
}

fn address(reader: &mut Reader<'_>) -> Result<Address, Malformed> {
    let text = reader.text("expected an address")?;
    text.parse().map_err(|_| reader.expected("address is not of its form"))
}

fn read_labels(reader: &mut Reader<'_>) -> Result<Vec<String>, Malformed> {
    let count = reader.array_up_to(MAX_LABELS, "expected 1 to 16 labels")?;
    let mut labels: Vec<String> = Vec::with_capacity(count);
    for _ in 0..count {
        let label = reader.text("expected a label")?;
        let ascending = labels.last().is_none_or(|last| last.as_str() < label);
        if !ascending || check_label(label).is_err() {
            return Err(reader.expected("labels are not sorted, or one is not of its form"));
        }
        labels.push(label.into());
    }
    if labels.is_empty() { Err(reader.expected("expected 1 to 16 labels")) } else { Ok(labels) }
}

fn message_ref(reader: &mut Reader<'_>) -> Result<MessageRef, Malformed> {
    reader.array(2, "expected a signer and a message id")?;
    let signer = KeyId(reader.bytes_of("expected a key id of 16 bytes")?);
    Ok(MessageRef { signer, id: MessageId(reader.bytes_of("expected a message id of 16 bytes")?) })
}

fn acknowledged(reader: &mut Reader<'_>) -> Result<Acknowledged, Malformed> {
    const WHAT: &str = "expected at most 64 message ids and 64 lane ids";
    reader.array(2, WHAT)?;
    let messages = ids(reader, WHAT)?.map(|id| id.map(MessageId)).collect::<Result<_, _>>()?;
    let lanes = ids(reader, WHAT)?.map(|id| id.map(LaneId)).collect::<Result<_, _>>()?;
    let acknowledged = Acknowledged { messages, lanes };
    if acknowledged.is_empty() { Err(reader.expected(WHAT)) } else { Ok(acknowledged) }
}

fn ids<'r>(reader: &'r mut Reader<'_>, what: &'static str) -> Result<impl Iterator<Item = Result<[u8; 16], Malformed>> + 'r, Malformed> {
    let count = reader.array_up_to(MAX_ACKNOWLEDGED, what)?;
    Ok((0..count).map(move |_| reader.bytes_of(what)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::address::InvalidName;

    pub(crate) fn full() -> Result<Header, InvalidName> {
        Ok(Header {
            from: Address::new("researcher", "pi1")?,
            to: Address::new("writer", "pi2")?,
            signer: KeyId([1; 16]),
            to_key: KeyId([2; 16]),
            issued: 1_000,
            expires: 1_600,
            id: MessageId([3; 16]),
            thread: Thread([4; 16]),
            kind: "task".into(),
            labels: vec!["anonymized".into(), "pii".into()],
            content_type: Some("application/json".into()),
            policy: Some([5; 16]),
            roster: Some(6),
            answers: Some(MessageRef { signer: KeyId([7; 16]), id: MessageId([8; 16]) }),
            came_from: Some(MessageRef { signer: KeyId([9; 16]), id: MessageId([10; 16]) }),
            acknowledged: Acknowledged { messages: vec![MessageId([11; 16])], lanes: vec![LaneId([12; 16])] },
        })
    }

    #[test]
    fn what_is_written_is_read_back() -> Result<(), Box<dyn std::error::Error>> {
        let mut bare = full()?;
        (bare.labels, bare.content_type, bare.policy, bare.roster) = (vec![], None, None, None);
        (bare.answers, bare.came_from, bare.acknowledged) = (None, None, Acknowledged::default());
        for header in [full()?, bare] {
            assert_eq!(Header::decode(&header.encode()).map_err(|error| error.to_string())?, header);
        }
        Ok(())
    }

    #[test]
    fn a_header_out_of_form_is_refused() -> Result<(), InvalidName> {
        let refused = |change: fn(&mut Header)| -> Result<bool, InvalidName> {
            let mut header = full()?;
            change(&mut header);
            Ok(Header::decode(&header.encode()).is_err())
        };
        assert!(refused(|header| header.expires = header.issued)?, "no lifetime");
        assert!(refused(|header| header.expires = header.issued + MAX_LIFETIME + 1)?, "too long a lifetime");
        assert!(refused(|header| header.labels.reverse())?, "labels not sorted");
        assert!(refused(|header| header.labels.push("pii".into()))?, "label twice");
        assert!(refused(|header| header.labels = (0..17).map(|i| format!("{i:02}")).collect())?, "17 labels");
        assert!(refused(|header| header.kind = "Task".into())?, "kind in capitals");
        assert!(refused(|header| header.content_type = Some("\n".into()))?, "content type with a line break");
        assert!(!refused(|_| ())?, "unchanged");
        Ok(())
    }
}
