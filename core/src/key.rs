//! Signing keys (Ed25519) and receive keys (MLKEM768-X25519), and how they are named.

use core::fmt;

use ed25519_dalek::{Signature, Signer};
use hpke::{Deserializable, Kem as _, Serializable};
use sha2::{Digest, Sha256};

use crate::{cbor::Writer, entropy::Entropy, error::EntropyFailed, labels, schedule::Kem, secret::Secret};

/// Length of a receive key's public part in bytes (X-Wing, section 5.1).
pub const RECEIVE_KEY_LEN: usize = 1216;

/// The public half of a signing key, checked: canonical, of full order, without a torsion component.
///
/// A weak key verifies signatures nobody made; a key with torsion is a second name for another key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerifyingKey {
    key: ed25519_dalek::VerifyingKey,
    /// Asked for several times with each message.
    thumbprint: Thumbprint,
}

/// A public key that must not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("key is not a sound public key")
    }
}

impl std::error::Error for InvalidKey {}

impl VerifyingKey {
    /// Reads the 32 bytes of RFC 8032, section 5.1.5.
    ///
    /// # Errors
    /// If the bytes are not a point, not in canonical form, of small order, or have a torsion component.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes).map_err(|_| InvalidKey)?;
        let point = key.to_edwards();
        let sound = !key.is_weak() && point.is_torsion_free() && point.compress().as_bytes() == bytes;
        if sound { Ok(Self::new(key)) } else { Err(InvalidKey) }
    }

    fn new(key: ed25519_dalek::VerifyingKey) -> Self {
        let named = Writer::with_capacity(40).map(3).int(1).int(1).int(-1).int(6).int(-2).bytes(key.as_bytes()).finish();
        Self { key, thumbprint: Thumbprint(Sha256::digest(named).into()) }
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The key's full name.
    pub fn thumbprint(&self) -> Thumbprint {
        self.thumbprint
    }

    /// Whether `signature` over `message` was made with this key, by the strict rules: no malleability, no weak keys.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.thumbprint())
    }
}

/// A key's name: SHA-256 of its COSE_Key in the form of RFC 9679, section 4.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    /// Takes 32 bytes that were a thumbprint.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 bytes: a look-up hint in headers, never a proof.
    pub fn short(&self) -> KeyId {
        KeyId(first_16(&self.0))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(crate) [u8; 16]);

        impl $name {
            /// Takes the 16 bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }
    };
}

id!(
    /// The short name of a signing key: the first 16 bytes of its [`Thumbprint`].
    KeyId
);
id!(
    /// The name of a receive key.
    ReceiveKeyId
);
id!(
    /// The name of a lane.
    LaneId
);
id!(
    /// The name of a message: 16 random bytes.
    MessageId
);
id!(
    /// What belongs together: a conversation, or one kickoff of a crew. 16 random bytes.
    Thread
);

/// A signing key.
pub(crate) struct SigningKey {
    key: Box<ed25519_dalek::SigningKey>,
    public: VerifyingKey,
}

impl SigningKey {
    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        let seed = Secret::<32>::try_init_with(|seed| entropy.fill(seed))?;
        Ok(Self::from_seed(&seed))
    }

    pub(crate) fn from_seed(seed: &Secret<32>) -> Self {
        let key = Box::new(ed25519_dalek::SigningKey::from_bytes(seed.expose()));
        let public = VerifyingKey::new(key.verifying_key());
        Self { key, public }
    }

    pub(crate) fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// Takes a key that was read from a home.
    #[cfg(feature = "home")]
    pub(crate) fn from_dalek(key: ed25519_dalek::SigningKey) -> Self {
        let key = Box::new(key);
        let public = VerifyingKey::new(key.verifying_key());
        Self { key, public }
    }

    /// The key, to be written to the home.
    #[cfg(feature = "home")]
    pub(crate) fn as_dalek(&self) -> &ed25519_dalek::SigningKey {
        &self.key
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.thumbprint())
    }
}

/// The public half of a receive key, as a certificate carries it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ReceiveKeyPublic {
    key: Box<<Kem as hpke::Kem>::PublicKey>,
    id: ReceiveKeyId,
}

impl ReceiveKeyPublic {
    /// Refuses a key that is only half a key: the X25519 part must not be of small order, as the secret shared with it is no secret.
    pub(crate) fn from_bytes(bytes: &[u8; RECEIVE_KEY_LEN]) -> Result<Self, InvalidKey> {
        if bytes.split_last_chunk().is_none_or(|(_, point)| is_of_small_order(*point)) {
            return Err(InvalidKey);
        }
        let key = Box::new(<Kem as hpke::Kem>::PublicKey::from_bytes(bytes).map_err(|_| InvalidKey)?);
        Ok(Self { key, id: receive_key_id(bytes) })
    }

    pub(crate) fn id(&self) -> ReceiveKeyId {
        self.id
    }

    pub(crate) fn as_hpke(&self) -> &<Kem as hpke::Kem>::PublicKey {
        &self.key
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.key.to_bytes().to_vec()
    }
}

impl fmt::Debug for ReceiveKeyPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiveKeyPublic({})", self.id)
    }
}

/// The private half of a receive key: an X-Wing seed, erased on drop like any [`Secret`], with its public half beside it.
pub(crate) struct ReceiveKey {
    private: Box<<Kem as hpke::Kem>::PrivateKey>,
    public: ReceiveKeyPublic,
}

impl ReceiveKey {
    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyFailed> {
        Ok(Self::from_seed(&Secret::try_init_with(|seed| entropy.fill(seed))?))
    }

    pub(crate) fn from_seed(seed: &Secret<32>) -> Self {
        let private = Box::new(to_hpke(seed));
        let key = Box::new(Kem::sk_to_pk(&private));
        let id = receive_key_id(&key.to_bytes());
        Self { private, public: ReceiveKeyPublic { key, id } }
    }

    pub(crate) fn public(&self) -> &ReceiveKeyPublic {
        &self.public
    }

    pub(crate) fn as_hpke(&self) -> &<Kem as hpke::Kem>::PrivateKey {
        &self.private
    }

    /// What is kept of it in a home.
    #[cfg(feature = "home")]
    pub(crate) fn seed(&self) -> Secret<32> {
        Secret::init_with(|seed| self.private.write_exact(seed))
    }
}

impl fmt::Debug for ReceiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiveKey({})", self.public.id)
    }
}

#[allow(clippy::expect_used, reason = "the only refusal is of another length")]
fn to_hpke(seed: &Secret<32>) -> <Kem as hpke::Kem>::PrivateKey {
    <Kem as hpke::Kem>::PrivateKey::from_bytes(seed.expose()).expect("any 32 bytes are an X-Wing seed")
}

/// The seven u-coordinates of Curve25519 and its twist with which X25519 gives zero whatever the scalar, below the bit that it ignores
/// (<https://cr.yp.to/ecdh.html>, "How do I validate Curve25519 public keys?").
const SMALL_ORDER: [[u8; 32]; 7] = [
    little_endian(0, 0, 0),
    little_endian(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
        0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c,
        0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    little_endian(0xec, 0xff, 0x7f),
    little_endian(0xed, 0xff, 0x7f),
    little_endian(0xee, 0xff, 0x7f),
];

/// A number of 32 bytes: the lowest, all between, the highest.
const fn little_endian(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    let [lowest, .., highest] = &mut bytes;
    (*lowest, *highest) = (first, last);
    bytes
}

fn is_of_small_order(mut point: [u8; 32]) -> bool {
    let [.., highest] = &mut point;
    *highest &= 0x7f;
    SMALL_ORDER.contains(&point)
}

fn receive_key_id(public: &[u8]) -> ReceiveKeyId {
    let digest: [u8; 32] = Sha256::new().chain_update(labels::RECEIVE_KEY_ID).chain_update(public).finalize().into();
    ReceiveKeyId(first_16(&digest))
}

pub(crate) fn first_16(bytes: &[u8; 32]) -> [u8; 16] {
    let (first, _) = bytes.split_first_chunk().unwrap_or((&[0; 16], &[]));
    *first
}

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight points of small order and the non-canonical forms of them, plus a full-order key with torsion added.
    #[test]
    fn unsound_keys_are_refused() {
        let torsion = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "0100000000000000000000000000000000000000000000000000000000000080",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for hex in torsion {
            assert_eq!(VerifyingKey::from_bytes(&unhex(hex)), Err(InvalidKey), "{hex}");
        }
        let sound = SigningKey::from_seed(&Secret::init_with(|seed| seed.fill(7)));
        let mixed = sound.public.key.to_edwards() + curve25519_dalek::constants::EIGHT_TORSION[1];
        assert_eq!(VerifyingKey::from_bytes(mixed.compress().as_bytes()), Err(InvalidKey));
        assert!(VerifyingKey::from_bytes(sound.verifying_key().as_bytes()).is_ok());
    }

    #[test]
    fn small_order_is_what_x25519_turns_into_zero() {
        use curve25519_dalek::montgomery::MontgomeryPoint;
        for point in SMALL_ORDER {
            assert_eq!(MontgomeryPoint(point).mul_clamped([0x5a; 32]).to_bytes(), [0; 32], "{point:02x?}");
            let ignored_bit = core::array::from_fn(|at| point[at] | if at == 31 { 0x80 } else { 0 });
            assert!(is_of_small_order(point) && is_of_small_order(ignored_bit));
        }
        assert!(!is_of_small_order(curve25519_dalek::constants::X25519_BASEPOINT.to_bytes()));
    }

    fn unhex(text: &str) -> [u8; 32] {
        core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }
}
