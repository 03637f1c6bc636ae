//! [`Envelope`]: what travels (SPEC.md, "Envelope").

use core::{fmt, ops::Range};

use sha2::{Digest, Sha256};

use crate::{
    cbor::{Malformed, Reader, Writer, number_length},
    error::OpenError,
    key::{LaneId, ReceiveKeyId},
    labels,
    limits::{MAX_ENVELOPE, MAX_HEADER},
    schedule::{ENCAPSULATED_LEN, Encapsulated, SALT_LEN, TAG_LEN, WRAPPED_LEN, lane_protected, opening_protected, outer_protected},
};

const BLIND_LEN: usize = 16;

/// A sealed message as it travels. It says nothing but which key or lane it is for; what it claims is proven by opening it only.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    bytes: Vec<u8>,
    recipient: Recipient,
    ciphertext: Range<usize>,
}

/// Which of its two forms an envelope has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// Sealed for a receive key; whoever holds it opens the envelope, whatever came before.
    Opening,
    /// Sealed in a lane that an opening has set up.
    Lane,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening => "opening",
            Self::Lane => "lane",
        })
    }
}

/// What anyone can read on an envelope: routing, never a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claims {
    /// An opening for this receive key.
    Opening(ReceiveKeyId),
    /// A message in this lane.
    Lane(LaneId),
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Recipient {
    Opening { receive_key: ReceiveKeyId, encapsulated: Box<[u8; ENCAPSULATED_LEN]>, wrapped: Box<[u8; WRAPPED_LEN]> },
    Lane { lane: LaneId, salt: [u8; SALT_LEN] },
}

impl Envelope {
    /// Reads an envelope, strictly: one form for each envelope, nothing before or after it.
    ///
    /// # Errors
    /// [`OpenError::TooLarge`] before anything is decoded; [`OpenError::Malformed`] with what is wrong and where.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, OpenError> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(OpenError::TooLarge { size: bytes.len(), limit: MAX_ENVELOPE });
        }
        let (recipient, ciphertext) = parse(&bytes)?;
        Ok(Self { bytes, recipient, ciphertext })
    }

    /// The bytes that travel.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes that travel.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What anyone can read on it.
    pub fn claims(&self) -> Claims {
        match &self.recipient {
            Recipient::Opening { receive_key, .. } => Claims::Opening(*receive_key),
            Recipient::Lane { lane, .. } => Claims::Lane(*lane),
        }
    }

    /// Its form.
    pub fn form(&self) -> Form {
        match &self.recipient {
            Recipient::Opening { .. } => Form::Opening,
            Recipient::Lane { .. } => Form::Lane,
        }
    }

    pub(crate) fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// Ciphertext without its tag, and the tag.
    pub(crate) fn ciphertext(&self) -> (&[u8], [u8; TAG_LEN]) {
        let all = self.bytes.get(self.ciphertext.clone()).unwrap_or_default();
        let (body, tag) = all.split_last_chunk().unwrap_or((&[], &[0; TAG_LEN]));
        (body, *tag)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Envelope({} of {} bytes)", self.form(), self.bytes.len())
    }
}

fn parse(bytes: &[u8]) -> Result<(Recipient, Range<usize>), Malformed> {
    let mut reader = Reader::new(bytes)?;
    reader.tag(labels::TAG_ENCRYPT, "expected a COSE_Encrypt (tag 96)")?;
    reader.array(4, "expected a COSE_Encrypt of 4 items")?;
    let at = reader.offset();
    if reader.bytes("expected a protected header")? != outer_protected() {
        return Err(Malformed { what: "protected header is not that of sealwire/1", offset: at });
    }
    parse_iv(&mut reader)?;
    let ciphertext = reader.bytes("expected a ciphertext")?;
    let end = reader.offset();
    if ciphertext.len() < TAG_LEN {
        return Err(Malformed { what: "ciphertext shorter than its tag", offset: end });
    }
    reader.array(1, "expected exactly one recipient")?;
    let recipient = parse_recipient(&mut reader)?;
    Ok((recipient, end - ciphertext.len()..end))
}

/// The IV is zero, as each key is used once; any other would be a second way to write the same envelope.
fn parse_iv(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    const WHAT: &str = "expected {5: 12 zero bytes}";
    let mut found = false;
    reader.map(WHAT, |reader, label| {
        found = label == labels::HEADER_IV && reader.bytes_of::<12>(WHAT)? == [0; 12];
        if found { Ok(()) } else { Err(reader.expected(WHAT)) }
    })?;
    if found { Ok(()) } else { Err(reader.expected(WHAT)) }
}

fn parse_recipient(reader: &mut Reader<'_>) -> Result<Recipient, Malformed> {
    reader.array(3, "expected a recipient of 3 items")?;
    let at = reader.offset();
    let protected = reader.bytes("expected a recipient's protected header")?;
    if protected == lane_protected() { parse_lane(reader) } else { parse_opening(reader, protected, at) }
}

fn parse_lane(reader: &mut Reader<'_>) -> Result<Recipient, Malformed> {
    const WHAT: &str = "expected {4: lane-id, -20: salt}";
    let (mut lane, mut salt) = (None, None);
    reader.map(WHAT, |reader, label| match label {
        labels::HEADER_KID => reader.bytes_of(WHAT).map(|id| lane = Some(LaneId(id))),
        labels::RECIPIENT_SALT => reader.bytes_of(WHAT).map(|bytes| salt = Some(bytes)),
        _ => Err(reader.expected(WHAT)),
    })?;
    reader.bytes_of::<0>("expected no wrapped key in a lane")?;
    let (Some(lane), Some(salt)) = (lane, salt) else { return Err(reader.expected(WHAT)) };
    Ok(Recipient::Lane { lane, salt })
}

fn parse_opening(reader: &mut Reader<'_>, protected: &[u8], at: usize) -> Result<Recipient, Malformed> {
    let wrong = Malformed { what: "recipient is neither an opening nor a lane of sealwire/1", offset: at };
    let id = protected.split_last_chunk::<16>().map(|(_, id)| ReceiveKeyId(*id)).ok_or(wrong)?;
    if protected != opening_protected(id) {
        return Err(wrong);
    }
    const WHAT: &str = "expected {-4: encapsulated key}";
    let mut encapsulated = None;
    reader.map(WHAT, |reader, label| match label {
        labels::RECIPIENT_EK => reader.bytes_of(WHAT).map(|bytes| encapsulated = Some(Box::new(bytes))),
        _ => Err(reader.expected(WHAT)),
    })?;
    let wrapped = Box::new(reader.bytes_of("expected a wrapped key of 48 bytes")?);
    let encapsulated = encapsulated.ok_or_else(|| reader.expected(WHAT))?;
    Ok(Recipient::Opening { receive_key: id, encapsulated, wrapped })
}

/// The body with the random bytes that keep its hash from being guessed.
pub(crate) struct Blinded<'a> {
    pub(crate) blind: [u8; BLIND_LEN],
    pub(crate) body: &'a [u8],
}

impl Blinded<'_> {
    /// SHA-256 of det-CBOR `[blind, body]`: the detached payload of the signature.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let head = Writer::with_capacity(32).array(2).bytes(&self.blind).bytes_header(self.body.len()).finish();
        Sha256::new().chain_update(head).chain_update(self.body).finalize().into()
    }
}

/// The signed part: a COSE_Sign1 whose payload is the body's digest, detached.
pub(crate) struct Signed<'a> {
    pub(crate) protected: &'a [u8],
    pub(crate) certificate: Option<&'a [u8]>,
    pub(crate) signature: [u8; 64],
}

impl Signed<'_> {
    fn len(&self) -> usize {
        let protected = self.protected.len();
        1 + 1 + number_length(protected as u64) + protected + 1 + self.certificate.map_or(0, |c| 1 + c.len()) + 1 + 2 + 64
    }

    fn write(&self, writer: &mut Writer) {
        writer.tag(labels::TAG_SIGN1).array(4).bytes(self.protected);
        match self.certificate {
            Some(certificate) => writer.map(1).int(labels::HEADER_KCWT).raw(certificate),
            None => writer.map(0),
        };
        writer.null().bytes(&self.signature);
    }
}

/// How an envelope reaches its reader.
pub(crate) enum Route {
    Opening { receive_key: ReceiveKeyId, encapsulated: Encapsulated },
    Lane { lane: LaneId, salt: [u8; SALT_LEN] },
}

impl Route {
    fn write(self, writer: &mut Writer) -> Recipient {
        writer.array(1).array(3);
        match self {
            Self::Opening { receive_key, encapsulated } => {
                writer.bytes(&opening_protected(receive_key));
                writer.map(1).int(labels::RECIPIENT_EK).bytes(&encapsulated.key).bytes(&encapsulated.wrapped);
                let mut key = Box::new([0; ENCAPSULATED_LEN]);
                key.copy_from_slice(&encapsulated.key);
                Recipient::Opening { receive_key, encapsulated: key, wrapped: Box::new(encapsulated.wrapped) }
            }
            Self::Lane { lane, salt } => {
                writer.bytes(&lane_protected());
                writer.map(2).int(labels::HEADER_KID).bytes(&lane.0).int(labels::RECIPIENT_SALT).bytes(&salt).bytes(&[]);
                Recipient::Lane { lane, salt }
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Opening { .. } => 1 + 1 + 2 + 25 + 5 + ENCAPSULATED_LEN + 2 + WRAPPED_LEN,
            Self::Lane { .. } => 1 + 1 + 1 + 3 + 1 + 18 + 1 + 34 + 1,
        }
    }
}

/// Size of the envelope around `plaintext` bytes, in bytes.
fn envelope_len(plaintext: usize, route: &Route) -> usize {
    let ciphertext = plaintext + TAG_LEN;
    2 + 1 + 1 + outer_protected().len() + 1 + 2 + 13 + number_length(ciphertext as u64) + ciphertext + route.len()
}

/// Puts an envelope together: the body is copied once and encrypted in place, in one allocation.
pub(crate) fn assemble(
    signed: &Signed<'_>,
    content: &Blinded<'_>,
    route: Route,
    encrypt: impl FnOnce(&mut [u8]) -> [u8; TAG_LEN],
) -> Result<Envelope, (usize, usize)> {
    let body = content.body.len();
    let plaintext = 1 + signed.len() + 1 + BLIND_LEN + number_length(body as u64) + body;
    let size = envelope_len(plaintext, &route);
    if size > MAX_ENVELOPE {
        return Err((size, MAX_ENVELOPE));
    }
    let mut writer = Writer::with_capacity(size);
    writer.tag(labels::TAG_ENCRYPT).array(4).bytes(&outer_protected()).map(1).int(labels::HEADER_IV).bytes(&[0; 12]);
    writer.bytes_header(plaintext + TAG_LEN);
    let start = writer.len();
    writer.array(3);
    signed.write(&mut writer);
    writer.bytes(&content.blind).bytes(content.body);
    let tag = encrypt(writer.tail_mut(start));
    writer.raw(&tag);
    let ciphertext = start..writer.len();
    let recipient = route.write(&mut writer);
    debug_assert_eq!(writer.len(), size, "the size was foreseen, and one allocation was enough");
    Ok(Envelope { bytes: writer.finish(), recipient, ciphertext })
}

/// The plaintext of a lane message with this content: all that its author signed, the signature, and nothing of the way it travels.
#[cfg(feature = "node")]
pub(crate) fn lane_plaintext(signed: &Signed<'_>, content: &Blinded<'_>) -> Vec<u8> {
    let mut writer = Writer::with_capacity(signed.len() + content.body.len() + 32);
    writer.array(3);
    Signed { certificate: None, ..*signed }.write(&mut writer);
    writer.bytes(&content.blind).bytes(content.body);
    writer.finish()
}

/// A decrypted envelope, taken apart; nothing in it is proven yet.
pub(crate) struct Plaintext<'a> {
    pub(crate) protected: &'a [u8],
    pub(crate) certificate: Option<&'a [u8]>,
    pub(crate) signature: [u8; 64],
    pub(crate) blind: [u8; BLIND_LEN],
    pub(crate) body: Range<usize>,
}

impl<'a> Plaintext<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes)?;
        reader.array(3, "expected [inner, blind, body]")?;
        reader.tag(labels::TAG_SIGN1, "expected a COSE_Sign1 (tag 18)")?;
        reader.array(4, "expected a COSE_Sign1 of 4 items")?;
        let protected = reader.bytes("expected a protected header")?;
        if protected.len() > MAX_HEADER {
            return Err(reader.expected("header of over 4 KiB"));
        }
        let certificate = parse_certificate(&mut reader)?;
        reader.null("expected a detached payload")?;
        let signature = reader.bytes_of("expected a signature of 64 bytes")?;
        let blind = reader.bytes_of("expected a blind of 16 bytes")?;
        let length = reader.bytes("expected a body")?.len();
        let body = reader.offset() - length..reader.offset();
        Ok(Self { protected, certificate, signature, blind, body })
    }
}

/// The certificate as received: it is checked and kept as these bytes.
fn parse_certificate<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    const WHAT: &str = "expected at most a certificate in the unprotected header";
    let mut certificate = None;
    reader.map(WHAT, |reader, label| {
        if label != labels::HEADER_KCWT {
            return Err(reader.expected(WHAT));
        }
        let start = reader.offset();
        reader.skip()?;
        certificate = Some(reader.since(start));
        Ok(())
    })?;
    Ok(certificate)
}
