//! The key schedule of a pairing (SPEC.md, "Pairing").
//!
//! ```text
//!  secret --HKDF-Extract(salt "")--> PRK 0 --Expand("sealwire/1 pair invite id")--> invite id (16)
//!                                      +-----Expand("sealwire/1 pair proof" || 1)--> proof of message 1
//!
//!  one-time key --HPKE(info), export("sealwire/1 pair")--> exported
//!
//!  HKDF-Extract(salt T1, secret || exported) --> PRK 1 --Expand("sealwire/1 pair proof" || n)--------> proof of message n
//!                                                 +----Expand("sealwire/1 pair seal" || n || Tn-1)--> key of message n
//!
//!  T0 = SHA-256("sealwire/1 pair" || domain)      Tn = SHA-256(Tn-1 || message n)
//! ```
//! A key belongs to one message number, and odd numbers are the joiner's: nothing can be sent back to who said it.

use hkdf::{Hkdf, HkdfExtract};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::PairingError;
use crate::{
    cbor::Writer,
    domain::Domain,
    entropy::Entropy,
    key::{ReceiveKey, ReceiveKeyPublic},
    labels,
    schedule::{ContentKey, ENCAPSULATED_LEN, must_expand, share, shared},
    secret::Secret,
};

/// Length of a proof.
pub(super) const PROOF_LEN: usize = 32;

/// All that was said so far, as a hash.
#[derive(Clone, Copy)]
pub(super) struct Transcript([u8; 32]);

impl Transcript {
    pub(super) fn of(domain: &Domain) -> Self {
        Self(Sha256::new().chain_update(labels::PAIR).chain_update(domain.as_bytes()).finalize().into())
    }

    pub(super) fn after(self, message: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(message).finalize().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The name of an invite: what a joiner says before it proves anything.
pub(super) fn invite_id(secret: &Secret<32>) -> [u8; 16] {
    let mut id = [0; 16];
    must_expand(&extract(None, &[secret.expose()]), &[labels::PAIR_INVITE_ID], &mut id);
    id
}

/// What proves that a message comes from who knows the secret.
pub(super) struct Prover(Hkdf<Sha256>);

impl Prover {
    /// Before anything was exchanged: for message 1.
    pub(super) fn of_invite(secret: &Secret<32>) -> Self {
        Self(extract(None, &[secret.expose()]))
    }

    pub(super) fn prove(&self, number: u8, before: Transcript, body: &[u8]) -> [u8; PROOF_LEN] {
        self.mac(number, before, body).finalize().into_bytes().into()
    }

    /// # Errors
    /// [`PairingError::NotAuthentic`], found in constant time.
    pub(super) fn check(&self, number: u8, before: Transcript, body: &[u8], proof: &[u8]) -> Result<(), PairingError> {
        self.mac(number, before, body).verify_slice(proof).map_err(|_| PairingError::NotAuthentic)
    }

    #[allow(clippy::expect_used, reason = "the only refusal of an HMAC key is of none")]
    fn mac(&self, number: u8, before: Transcript, body: &[u8]) -> Hmac<Sha256> {
        let key = Secret::<32>::init_with(|key| must_expand(&self.0, &[labels::PAIR_PROOF, &[number]], key));
        let mac: Hmac<Sha256> = KeyInit::new_from_slice(key.expose()).expect("HMAC takes keys of any length");
        mac.chain_update(before.0).chain_update(body)
    }
}

/// The keys of a pairing, once both sides have what was exchanged.
pub(super) struct Schedule(Prover);

impl Schedule {
    /// The inviter's side: answers the one-time key of message 1.
    pub(super) fn answer(
        secret: &Secret<32>,
        domain: &Domain,
        first: Transcript,
        one_time: &ReceiveKeyPublic,
        entropy: &dyn Entropy,
    ) -> Result<([u8; ENCAPSULATED_LEN], Self), PairingError> {
        let (encapsulated, exported) =
            share(one_time, &info(domain, first), labels::PAIR, entropy).map_err(|_| PairingError::NotAuthentic)?;
        Ok((encapsulated, Self::of(secret, first, &exported)))
    }

    /// The joiner's side.
    pub(super) fn take(
        secret: &Secret<32>,
        domain: &Domain,
        first: Transcript,
        one_time: &ReceiveKey,
        encapsulated: &[u8; ENCAPSULATED_LEN],
    ) -> Result<Self, PairingError> {
        let exported = shared(one_time, encapsulated, &info(domain, first), labels::PAIR).map_err(|_| PairingError::NotAuthentic)?;
        Ok(Self::of(secret, first, &exported))
    }

    fn of(secret: &Secret<32>, first: Transcript, exported: &Secret<32>) -> Self {
        Self(Prover(extract(Some(&first.0), &[secret.expose(), exported.expose()])))
    }

    pub(super) fn prover(&self) -> &Prover {
        &self.0
    }

    /// The key that the content of message `number` is encrypted with, once.
    pub(super) fn key(&self, number: u8, before: Transcript) -> ContentKey {
        ContentKey::new(Secret::init_with(|key| must_expand(&self.0.0, &[labels::PAIR_SEAL, &[number], &before.0], key)))
    }
}

fn info(domain: &Domain, first: Transcript) -> Vec<u8> {
    let label = core::str::from_utf8(labels::PAIR).unwrap_or_default();
    Writer::with_capacity(96).array(3).text(label).bytes(domain.as_bytes()).bytes(&first.0).finish()
}

fn extract(salt: Option<&[u8]>, parts: &[&[u8; 32]]) -> Hkdf<Sha256> {
    let mut extract = HkdfExtract::<Sha256>::new(salt);
    for part in parts {
        extract.input_ikm(part.as_slice());
    }
    let (mut prk, hkdf) = extract.finalize();
    prk.as_mut_slice().zeroize();
    hkdf
}
