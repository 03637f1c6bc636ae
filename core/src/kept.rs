//! [`Kept`]: a message as it is kept, to be sealed anew or released again (SPEC.md, "Loss" and "Work").

use core::fmt;

use crate::{
    cbor::Malformed,
    envelope::{Blinded, Form, Plaintext, Signed, lane_plaintext},
    header::Header,
    key::Thumbprint,
    message::Message,
};

/// Header, blind, body and signature in the form of a lane message's plaintext: what was signed, byte for byte, and nothing of how it travelled.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    bytes: Vec<u8>,
}

impl Kept {
    pub(crate) fn new(signed: &Signed<'_>, content: &Blinded<'_>) -> Self {
        Self { bytes: lane_plaintext(signed, content) }
    }

    /// What is kept of a message that was opened: its plaintext, without the certificate that an opening carries.
    pub(crate) fn of_plaintext(plaintext: &[u8]) -> Result<Self, Malformed> {
        let parts = Plaintext::parse(plaintext)?;
        if parts.certificate.is_none() {
            return Ok(Self { bytes: plaintext.to_vec() });
        }
        let signed = Signed { protected: parts.protected, certificate: None, signature: parts.signature };
        let body = plaintext.get(parts.body.clone()).unwrap_or_default();
        Ok(Self::new(&signed, &Blinded { blind: parts.blind, body }))
    }

    /// Takes bytes that were kept.
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn parts(&self) -> Result<(Plaintext<'_>, Header), Malformed> {
        let parts = Plaintext::parse(&self.bytes)?;
        let header = Header::decode(parts.protected)?;
        Ok((parts, header))
    }

    /// The message, to be released again. It was proven when it was kept.
    pub(crate) fn into_message(self, signer: Thumbprint, form: Form) -> Result<Message, Malformed> {
        let (parts, header) = self.parts()?;
        let body = parts.body.clone();
        Ok(Message { header, signer, form, plaintext: self.bytes, body })
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({} bytes)", self.bytes.len())
    }
}
