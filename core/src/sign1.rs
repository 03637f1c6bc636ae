//! COSE_Sign1 (RFC 9052, section 4) with its payload inside: the form of certificates, their requests and rosters.

use crate::{
    cbor::{Malformed, Reader, Writer},
    domain::Domain,
    identity::{Identity, KeysFailed},
    key::{KeyId, SigningKey, VerifyingKey},
    labels,
};

/// What sets one kind of signed structure apart from another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Profile {
    /// Media type, in the protected header.
    pub(crate) typ: &'static str,
    /// First item of the external data.
    pub(crate) label: &'static str,
}

/// `Sig_structure` of RFC 9052, section 4.4.
pub(crate) fn sig_structure(protected: &[u8], external_aad: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(48 + protected.len() + external_aad.len() + payload.len());
    writer.array(4).text("Signature1").bytes(protected).bytes(external_aad).bytes(payload);
    writer.finish()
}

/// Signs with a key that is in this process.
pub(crate) fn sign(profile: Profile, domain: &Domain, key: &SigningKey, payload: &[u8]) -> Vec<u8> {
    let protected = protected(profile, key.verifying_key().thumbprint().short());
    let signature = key.sign(&sig_structure(&protected, &external_aad(profile, domain), payload));
    assemble(&protected, payload, &signature)
}

/// Signs with a key wherever it is.
pub(crate) fn sign_as(profile: Profile, domain: &Domain, key: &Identity, payload: &[u8]) -> Result<Vec<u8>, KeysFailed> {
    let protected = protected(profile, key.verifying_key().thumbprint().short());
    let signature = key.sign(&sig_structure(&protected, &external_aad(profile, domain), payload))?;
    Ok(assemble(&protected, payload, &signature))
}

fn assemble(protected: &[u8], payload: &[u8], signature: &[u8; 64]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(payload.len() + protected.len() + 80);
    writer.tag(labels::TAG_SIGN1).array(4).bytes(protected).map(0).bytes(payload).bytes(signature);
    writer.finish()
}

/// A structure that says who signed it and what; nothing of it is proven yet.
pub(crate) struct Claimed<'a> {
    pub(crate) signer: KeyId,
    pub(crate) payload: &'a [u8],
    protected: &'a [u8],
    signature: [u8; 64],
}

impl<'a> Claimed<'a> {
    pub(crate) fn parse(profile: Profile, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes)?;
        reader.tag(labels::TAG_SIGN1, "expected a COSE_Sign1 (tag 18)")?;
        reader.array(4, "expected a COSE_Sign1 of 4 items")?;
        let start = reader.offset();
        let protected_bytes = reader.bytes("expected a protected header")?;
        let signer = signer(protected_bytes).map_err(|inner| Malformed { offset: start + inner.offset, ..inner })?;
        if protected_bytes != protected(profile, signer) {
            return Err(Malformed { what: "protected header is not the one of this structure", offset: start });
        }
        reader.map("expected an empty unprotected header", |reader, _| Err(reader.expected("expected an empty unprotected header")))?;
        let payload = reader.bytes("expected a payload")?;
        let signature = reader.bytes_of::<64>("expected a signature of 64 bytes")?;
        Ok(Self { signer, payload, protected: protected_bytes, signature })
    }

    /// Whether `key` signed this in `domain`.
    pub(crate) fn is_signed_by(&self, profile: Profile, domain: &Domain, key: &VerifyingKey) -> bool {
        let message = sig_structure(self.protected, &external_aad(profile, domain), self.payload);
        key.verify(&message, &self.signature)
    }
}

fn signer(protected: &[u8]) -> Result<KeyId, Malformed> {
    let mut found = None;
    Reader::new(protected)?.map("expected a map", |reader, label| match label {
        labels::HEADER_ALG => reader.int("expected alg").map(drop),
        labels::HEADER_KID => reader.bytes_of("expected a kid of 16 bytes").map(|kid| found = Some(KeyId(kid))),
        labels::HEADER_TYP => reader.text("expected typ").map(drop),
        _ => Err(reader.expected("unknown header label")),
    })?;
    found.ok_or(Malformed { what: "protected header without kid", offset: 0 })
}

fn protected(profile: Profile, signer: KeyId) -> Vec<u8> {
    let mut writer = Writer::with_capacity(64);
    writer.map(3).int(labels::HEADER_ALG).int(labels::ALG_ED25519).int(labels::HEADER_KID).bytes(signer.as_bytes());
    writer.int(labels::HEADER_TYP).text(profile.typ);
    writer.finish()
}

fn external_aad(profile: Profile, domain: &Domain) -> Vec<u8> {
    Writer::with_capacity(64).array(2).text(profile.label).bytes(domain.as_bytes()).finish()
}
