//! The key schedule (SPEC.md, "Key schedule").
//!
//! ```text
//!  opening:   receive key --HPKE setup(info)--> context --seal(seq 0)--> wrapped content key
//!                                                  |
//!                                                  +--export("sealwire/1 lane")--+
//!                                                                                |
//!             salt = SHA-256(Sig_structure) --HKDF-Extract(export || content key)+--> PRK
//!             PRK --Expand("sealwire/1 lane"    || domain || signer || reader || receive-key-id)--> lane secret (32)
//!             PRK --Expand("sealwire/1 lane id" || domain || signer || reader || receive-key-id)--> lane-id    (16)
//!
//!  lane:      HKDF-Extract(salt = 32 bytes of the message, lane secret) --Expand(COSE_KDF_Context)--> content key
//!
//!  content key --ChaCha20-Poly1305, IV zero, AAD Enc_structure--> ciphertext
//! ```
//!
//! A lane comes into being from an [`Offer`] only, and an offer is turned into a lane only by somebody who holds the digest of a verified
//! or self-made signature input.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
use core::convert::Infallible;
use hkdf::{Hkdf, HkdfExtract};
use hpke::{Deserializable, OpModeR, OpModeS, Serializable, aead::AeadTag};
use sha2::Sha256;
use zeroize::Zeroize;

use crate::{
    cbor::Writer,
    domain::Domain,
    entropy::{Entropy, random},
    error::EntropyFailed,
    key::{LaneId, ReceiveKey, ReceiveKeyId, ReceiveKeyPublic, Thumbprint},
    labels,
    secret::Secret,
};

/// The KEM: MLKEM768-X25519, 0x647a.
pub(crate) type Kem = hpke::kem::XWing;
type Kdf = hpke::kdf::HkdfSha256;
type Aead = hpke::aead::ChaCha20Poly1305;

/// Length of an encapsulated key in bytes (X-Wing, section 5.1).
pub(crate) const ENCAPSULATED_LEN: usize = 1120;
/// Length of a wrapped content key: 32 bytes and a tag.
pub(crate) const WRAPPED_LEN: usize = 48;
/// Length of an authentication tag.
pub(crate) const TAG_LEN: usize = 16;
/// Length of a lane message's salt.
pub(crate) const SALT_LEN: usize = 32;

/// Something could not be opened. One reason, on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotOpened;

/// The key of one envelope's content.
pub(crate) struct ContentKey(Secret<32>);

impl ContentKey {
    /// A key that was derived for one content.
    #[cfg(feature = "home")]
    pub(crate) fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// Encrypts in place and returns the tag. Taken by value: a content key seals once.
    pub(crate) fn seal(self, buffer: &mut [u8]) -> [u8; TAG_LEN] {
        let cipher = ChaCha20Poly1305::new(self.0.expose().into());
        // The cipher's own limit is 256 GiB, the envelope's 16 MiB: it cannot refuse. An all-zero tag would open nowhere.
        let tag = cipher.encrypt_inout_detached(&Nonce::default(), &enc_structure(), buffer.into());
        tag.map_or([0; TAG_LEN], Into::into)
    }

    /// Decrypts in place; on failure the buffer is as it was.
    pub(crate) fn open(&self, buffer: &mut [u8], tag: &[u8; TAG_LEN]) -> Result<(), NotOpened> {
        let cipher = ChaCha20Poly1305::new(self.0.expose().into());
        cipher.decrypt_inout_detached(&Nonce::default(), &enc_structure(), buffer.into(), &Tag::from(*tag)).map_err(|_| NotOpened)
    }
}

/// `Enc_structure` of RFC 9052, section 5.3. The external data is bound by the signature and, in openings, by HPKE's info.
fn enc_structure() -> Vec<u8> {
    Writer::with_capacity(48).array(3).text("Encrypt").bytes(&outer_protected()).bytes(&[]).finish()
}

/// The protected header of every envelope: there is one suite.
pub(crate) fn outer_protected() -> Vec<u8> {
    let mut writer = Writer::with_capacity(32);
    writer.map(2).int(labels::HEADER_ALG).int(labels::ALG_CHACHA20_POLY1305).int(labels::HEADER_TYP).text(labels::TYP_ENVELOPE);
    writer.finish()
}

/// `external_aad` of an envelope: binds the version, the domain and the outer header.
pub(crate) fn external_aad(domain: &Domain) -> Vec<u8> {
    Writer::with_capacity(80).array(3).text(labels::VERSION).bytes(domain.as_bytes()).bytes(&outer_protected()).finish()
}

/// The protected header of an opening's recipient: `{1: -65901, 4: receive-key-id}`.
pub(crate) fn opening_protected(receive_key: ReceiveKeyId) -> Vec<u8> {
    let mut writer = Writer::with_capacity(32);
    writer.map(2).int(labels::HEADER_ALG).int(labels::ALG_HPKE).int(labels::HEADER_KID).bytes(receive_key.as_bytes());
    writer.finish()
}

/// The protected header of a lane's recipient: `{1: -10}`.
pub(crate) fn lane_protected() -> Vec<u8> {
    Writer::with_capacity(4).map(1).int(labels::HEADER_ALG).int(labels::ALG_DIRECT_HKDF).finish()
}

/// `Recipient_structure` of COSE-HPKE, the info of HPKE.
fn hpke_info(domain: &Domain, receive_key: ReceiveKeyId) -> Vec<u8> {
    let mut writer = Writer::with_capacity(160);
    writer.array(4).text("HPKE Recipient").int(labels::ALG_CHACHA20_POLY1305);
    writer.bytes(&opening_protected(receive_key)).bytes(&external_aad(domain));
    writer.finish()
}

/// `COSE_KDF_Context` of RFC 9053, section 5.2, with nothing known of the parties: the lane is theirs alone.
fn kdf_context() -> Vec<u8> {
    let mut writer = Writer::with_capacity(24);
    writer.array(4).int(labels::ALG_CHACHA20_POLY1305);
    for _party in ["U", "V"] {
        writer.array(3).null().null().null();
    }
    writer.array(2).uint(256).bytes(&lane_protected());
    writer.finish()
}

/// What an opening puts on the wire beside its ciphertext.
pub(crate) struct Encapsulated {
    pub(crate) key: Vec<u8>,
    pub(crate) wrapped: [u8; WRAPPED_LEN],
}

/// The lane an opening offers, before the signed part is bound in: HPKE's exporter output and the content key.
pub(crate) struct Offer(Secret<64>);

/// Wraps a fresh content key for `reader`.
pub(crate) fn encapsulate(
    domain: &Domain,
    reader: &ReceiveKeyPublic,
    hedge: &Hedge,
) -> Result<(Encapsulated, ContentKey, Offer), NotOpened> {
    let info = hpke_info(domain, reader.id());
    let mut drawn = Drawn(hedge.draw(labels::HEDGE_ENCAPSULATION));
    let (encapsulated, mut context) =
        hpke::setup_sender_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, reader.as_hpke(), &info, &mut drawn).map_err(|_| NotOpened)?;
    let content_key = hedge.draw::<32>(labels::HEDGE_CONTENT_KEY);
    let offer = offer(&content_key, |out| context.export(labels::LANE, out))?;
    let mut wrapped = [0; WRAPPED_LEN];
    let (body, tag) = wrapped.split_at_mut(32);
    body.copy_from_slice(content_key.expose());
    let sealed = context.seal_inout_detached(body.into(), &[]).map_err(|_| NotOpened)?;
    tag.copy_from_slice(&sealed.to_bytes());
    Ok((Encapsulated { key: encapsulated.to_bytes().to_vec(), wrapped }, ContentKey(content_key), offer))
}

/// Unwraps the content key of an opening.
pub(crate) fn decapsulate(
    domain: &Domain,
    reader: &ReceiveKey,
    encapsulated: &[u8; ENCAPSULATED_LEN],
    wrapped: &[u8; WRAPPED_LEN],
) -> Result<(ContentKey, Offer), NotOpened> {
    let info = hpke_info(domain, reader.public().id());
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| NotOpened)?;
    let mut context =
        hpke::setup_receiver::<Aead, Kdf, Kem>(&OpModeR::Base, reader.as_hpke(), &encapsulated, &info).map_err(|_| NotOpened)?;
    let (body, tag) = wrapped.split_at(32);
    let tag = AeadTag::<Aead>::from_bytes(tag).map_err(|_| NotOpened)?;
    let content_key = Secret::<32>::try_init_with(|key| {
        key.copy_from_slice(body);
        context.open_inout_detached(key.as_mut_slice().into(), &[], &tag).map_err(|_| NotOpened)
    })?;
    let offer = offer(&content_key, |out| context.export(labels::LANE, out))?;
    Ok((ContentKey(content_key), offer))
}

fn offer(content_key: &Secret<32>, export: impl FnOnce(&mut [u8]) -> Result<(), hpke::HpkeError>) -> Result<Offer, NotOpened> {
    Secret::try_init_with(|both| {
        let (exported, key) = both.split_at_mut(32);
        key.copy_from_slice(content_key.expose());
        export(exported).map_err(|_| NotOpened)
    })
    .map(Offer)
}

/// The two ends of a lane, in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneEnds {
    pub(crate) signer: Thumbprint,
    pub(crate) reader: Thumbprint,
    pub(crate) receive_key: ReceiveKeyId,
}

impl Offer {
    /// The lane of this offer between `ends`. `signed` is the SHA-256 of the opening's Sig_structure.
    pub(crate) fn lane(&self, domain: &Domain, ends: &LaneEnds, signed: &[u8; 32]) -> (LaneId, LaneSecret) {
        let (mut prk, hkdf) = Hkdf::<Sha256>::extract(Some(signed), self.0.expose());
        prk.as_mut_slice().zeroize();
        let expand = |label: &[u8], out: &mut [u8]| {
            let info: [&[u8]; 5] = [label, domain.as_bytes(), ends.signer.as_bytes(), ends.reader.as_bytes(), ends.receive_key.as_bytes()];
            must_expand(&hkdf, &info, out);
        };
        let mut id = [0; 16];
        expand(labels::LANE_ID, &mut id);
        (LaneId(id), LaneSecret(Secret::init_with(|out| expand(labels::LANE, out))))
    }
}

/// The secret of a lane. Each message's key is derived from it and the message's own salt; there is no counter to lose.
pub(crate) struct LaneSecret(Secret<32>);

impl LaneSecret {
    pub(crate) fn content_key(&self, salt: &[u8; SALT_LEN]) -> ContentKey {
        let (mut prk, hkdf) = Hkdf::<Sha256>::extract(Some(salt), self.0.expose());
        prk.as_mut_slice().zeroize();
        ContentKey(Secret::init_with(|out| must_expand(&hkdf, &[&kdf_context()], out)))
    }
}

impl core::fmt::Debug for LaneSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("LaneSecret(..)")
    }
}

/// HKDF-Expand to at most 64 bytes; its only failure is an output of over 8,160.
#[allow(clippy::expect_used, reason = "the only refusal is of a longer output")]
pub(crate) fn must_expand(hkdf: &Hkdf<Sha256>, info: &[&[u8]], out: &mut [u8]) {
    hkdf.expand_multi_info(info, out).expect("HKDF-SHA-256 gives up to 8160 bytes");
}

/// Randomness for one message, bound to the message: PRK = HMAC(key of the endpoint, fresh randomness || digest of what is sealed).
///
/// A virtual machine that is cloned and wakes twice with the same random state then repeats a key only for an identical message.
pub(crate) struct Hedge(Hkdf<Sha256>);

impl Hedge {
    pub(crate) fn new(key: &Secret<32>, entropy: &dyn Entropy, digest: &[u8; 32]) -> Result<Self, EntropyFailed> {
        let mut fresh = random::<32>(entropy)?;
        let mut extract = HkdfExtract::<Sha256>::new(Some(key.expose()));
        extract.input_ikm(&fresh);
        extract.input_ikm(digest);
        fresh.zeroize();
        let (mut prk, hkdf) = extract.finalize();
        prk.as_mut_slice().zeroize();
        Ok(Self(hkdf))
    }

    pub(crate) fn salt(&self) -> [u8; SALT_LEN] {
        *self.draw::<SALT_LEN>(labels::HEDGE_SALT).expose()
    }

    fn draw<const N: usize>(&self, label: &[u8]) -> Secret<N> {
        Secret::init_with(|out| must_expand(&self.0, &[label], out))
    }
}

/// A secret with whoever holds `reader`, and what that one needs to come to it (RFC 9180, base mode; nothing but the export is used).
#[cfg(feature = "pairing")]
pub(crate) fn share(
    reader: &ReceiveKeyPublic,
    info: &[u8],
    context: &[u8],
    entropy: &dyn Entropy,
) -> Result<([u8; ENCAPSULATED_LEN], Secret<32>), NotOpened> {
    let mut drawn = Drawn(Secret::try_init_with(|bytes| entropy.fill(bytes)).map_err(|_| NotOpened)?);
    let (encapsulated, hpke) =
        hpke::setup_sender_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, reader.as_hpke(), info, &mut drawn).map_err(|_| NotOpened)?;
    let secret = Secret::try_init_with(|out| hpke.export(context, out).map_err(|_| NotOpened))?;
    let encapsulated = encapsulated.to_bytes().as_slice().try_into().map_err(|_| NotOpened)?;
    Ok((encapsulated, secret))
}

/// The same secret, on the other side.
#[cfg(feature = "pairing")]
pub(crate) fn shared(
    reader: &ReceiveKey,
    encapsulated: &[u8; ENCAPSULATED_LEN],
    info: &[u8],
    context: &[u8],
) -> Result<Secret<32>, NotOpened> {
    let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| NotOpened)?;
    let hpke = hpke::setup_receiver::<Aead, Kdf, Kem>(&OpModeR::Base, reader.as_hpke(), &encapsulated, info).map_err(|_| NotOpened)?;
    Secret::try_init_with(|out| hpke.export(context, out).map_err(|_| NotOpened))
}

/// The key of a home's store. Receive keys are encrypted under it before SQLite sees them: what the database keeps in its own memory, and what
/// is left in a file that was copied alone, are no keys.
#[cfg(feature = "home")]
pub(crate) struct StoreKey(Secret<32>);

#[cfg(feature = "home")]
impl StoreKey {
    pub(crate) fn new(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The key that hedges the randomness of the home's endpoint.
    pub(crate) fn hedge(&self) -> Secret<32> {
        self.derive(&[labels::STORE_HEDGE])
    }

    /// Encrypts a receive key, and the tag behind it. Each has a key of its own, by its name, so the IV is zero here too.
    pub(crate) fn wrap(&self, id: ReceiveKeyId, seed: &Secret<32>) -> [u8; WRAPPED_LEN] {
        let mut wrapped = [0; WRAPPED_LEN];
        let (body, tag) = wrapped.split_at_mut(32);
        body.copy_from_slice(seed.expose());
        tag.copy_from_slice(&self.key_of(id).seal(body));
        wrapped
    }

    pub(crate) fn unwrap(&self, id: ReceiveKeyId, wrapped: &[u8]) -> Result<Secret<32>, NotOpened> {
        let (body, tag) = wrapped.split_last_chunk::<TAG_LEN>().ok_or(NotOpened)?;
        Secret::try_init_with(|seed| {
            if body.len() != seed.len() {
                return Err(NotOpened);
            }
            seed.copy_from_slice(body);
            self.key_of(id).open(seed, tag)
        })
    }

    /// Encrypts a message that is kept: salt, ciphertext, tag. The salt is hedged with what was signed, so that a cloned machine repeats a key
    /// for an identical message only. `place` says where it is kept.
    #[cfg(feature = "node")]
    pub(crate) fn lock(&self, place: &[u8], content: &[u8], digest: &[u8; 32], entropy: &dyn Entropy) -> Result<Vec<u8>, EntropyFailed> {
        let salt = Hedge::new(&self.hedge(), entropy, digest)?.salt();
        let mut locked = Vec::with_capacity(SALT_LEN + content.len() + TAG_LEN);
        locked.extend_from_slice(&salt);
        locked.extend_from_slice(content);
        let tag = self.message_key(&salt, place).seal(locked.get_mut(SALT_LEN..).unwrap_or_default());
        locked.extend_from_slice(&tag);
        Ok(locked)
    }

    /// Decrypts what [`StoreKey::lock`] made for that place, and nothing that was moved there.
    #[cfg(feature = "node")]
    pub(crate) fn unlock(&self, place: &[u8], locked: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let (salt, rest) = locked.split_first_chunk::<SALT_LEN>().ok_or(NotOpened)?;
        let (content, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(NotOpened)?;
        let mut content = content.to_vec();
        self.message_key(salt, place).open(&mut content, tag)?;
        Ok(content)
    }

    #[cfg(feature = "node")]
    fn message_key(&self, salt: &[u8; SALT_LEN], place: &[u8]) -> ContentKey {
        ContentKey(self.derive(&[labels::STORE_MESSAGE, salt, place]))
    }

    fn key_of(&self, id: ReceiveKeyId) -> ContentKey {
        ContentKey(self.derive(&[labels::STORE_RECEIVE_KEY, id.as_bytes()]))
    }

    fn derive(&self, info: &[&[u8]]) -> Secret<32> {
        let (mut prk, hkdf) = Hkdf::<Sha256>::extract(None, self.0.expose());
        prk.as_mut_slice().zeroize();
        Secret::init_with(|out| must_expand(&hkdf, info, out))
    }
}

/// The 64 bytes that one X-Wing encapsulation draws, in the form `hpke` asks for them.
struct Drawn(Secret<64>);

impl rand_core::TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        rand_core::utils::next_word_via_fill(self)
    }

    /// Gives the bytes once, then replaces them by a hash of themselves, so that a second draw never repeats the first.
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for chunk in out.chunks_mut(64) {
            chunk.copy_from_slice(self.0.expose().get(..chunk.len()).unwrap_or_default());
            let (mut prk, next) = Hkdf::<Sha256>::extract(None, self.0.expose());
            prk.as_mut_slice().zeroize();
            self.0 = Secret::init_with(|bytes| must_expand(&next, &[labels::HEDGE_ENCAPSULATION], bytes));
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Drawn {}
