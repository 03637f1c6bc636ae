//! The labels of every derivation and signature, and the numbers of the wire (SPEC.md, "Labels" and "Numbers").

/// Names the version; stands in each `external_aad` of an envelope.
pub(crate) const VERSION: &str = "sealwire/1";
/// Stands in the `external_aad` of a certificate.
pub(crate) const CERTIFICATE: &str = "sealwire/1 cert";
/// Stands in the `external_aad` of a certificate request.
pub(crate) const CERTIFICATE_REQUEST: &str = "sealwire/1 cert request";
/// Stands in the `external_aad` of a roster.
pub(crate) const ROSTER: &str = "sealwire/1 roster";
/// What a notice begins with.
#[cfg(feature = "node")]
pub(crate) const NOTICE: &str = "sealwire/1 notice";
/// Stands in the `external_aad` of a node's time.
#[cfg(feature = "node")]
pub(crate) const CLOCK: &str = "sealwire/1 clock";
/// Names a receive key.
pub(crate) const RECEIVE_KEY_ID: &[u8] = b"sealwire/1 rk";
/// The exporter context, and the lane secret.
pub(crate) const LANE: &[u8] = b"sealwire/1 lane";
/// The lane's id.
pub(crate) const LANE_ID: &[u8] = b"sealwire/1 lane id";
/// Hedged randomness: what is drawn for one message.
pub(crate) const HEDGE_SALT: &[u8] = b"sealwire/1 hedge salt";
/// Hedged randomness: the content key of an opening.
pub(crate) const HEDGE_CONTENT_KEY: &[u8] = b"sealwire/1 hedge content key";
/// Hedged randomness: what HPKE draws for its encapsulation.
pub(crate) const HEDGE_ENCAPSULATION: &[u8] = b"sealwire/1 hedge encapsulation";

/// A home's store: what its endpoint hedges its randomness with.
#[cfg(feature = "home")]
pub(crate) const STORE_HEDGE: &[u8] = b"sealwire/1 store hedge";
/// A home's store: what a receive key is encrypted with.
#[cfg(feature = "home")]
pub(crate) const STORE_RECEIVE_KEY: &[u8] = b"sealwire/1 store receive key";
/// A home's store: what a message that is kept is encrypted with.
#[cfg(all(feature = "home", feature = "node"))]
pub(crate) const STORE_MESSAGE: &[u8] = b"sealwire/1 store message";

/// A home with a passphrase: what one of its files is encrypted with.
#[cfg(feature = "home")]
pub(crate) const HOME_FILE: &[u8] = b"sealwire/1 home file";
/// Pairing: start of the transcript, HPKE's info and exporter context.
#[cfg(feature = "pairing")]
pub(crate) const PAIR: &[u8] = b"sealwire/1 pair";
/// Pairing: the name of an invite.
#[cfg(feature = "pairing")]
pub(crate) const PAIR_INVITE_ID: &[u8] = b"sealwire/1 pair invite id";
/// Pairing: what a message is proven with.
#[cfg(feature = "pairing")]
pub(crate) const PAIR_PROOF: &[u8] = b"sealwire/1 pair proof";
/// Pairing: what a message is encrypted with.
#[cfg(feature = "pairing")]
pub(crate) const PAIR_SEAL: &[u8] = b"sealwire/1 pair seal";
/// Pairing: the checksum of an invite's text.
#[cfg(feature = "pairing")]
pub(crate) const INVITE: &[u8] = b"sealwire/1 invite";
/// Stands in the `external_aad` of a node's request to be listed.
#[cfg(feature = "pairing")]
pub(crate) const NODE_REQUEST: &str = "sealwire/1 node request";

/// Media type of an envelope, in its protected header.
pub(crate) const TYP_ENVELOPE: &str = "application/sealwire";
/// Media type of a certificate.
pub(crate) const TYP_CERTIFICATE: &str = "application/sealwire-cert";
/// Media type of a certificate request.
pub(crate) const TYP_CERTIFICATE_REQUEST: &str = "application/sealwire-cert-request";
/// Media type of a roster.
pub(crate) const TYP_ROSTER: &str = "application/sealwire-roster";
/// Media type of a node's request to be listed.
#[cfg(feature = "pairing")]
pub(crate) const TYP_NODE_REQUEST: &str = "application/sealwire-node-request";

/// Media type of a node's time.
#[cfg(feature = "node")]
pub(crate) const TYP_CLOCK: &str = "application/sealwire-clock";

/// COSE_Encrypt (RFC 9052, section 2).
pub(crate) const TAG_ENCRYPT: u64 = 96;
/// COSE_Sign1 (RFC 9052, section 2).
pub(crate) const TAG_SIGN1: u64 = 18;

/// Ed25519, fully specified (RFC 9864).
pub(crate) const ALG_ED25519: i64 = -19;
/// ChaCha20-Poly1305 (RFC 9053, section 4.3).
pub(crate) const ALG_CHACHA20_POLY1305: i64 = 24;
/// Direct key with HKDF-SHA-256 (RFC 9053, section 6.1.2).
pub(crate) const ALG_DIRECT_HKDF: i64 = -10;
/// HPKE key encryption with the one suite of this version; from the private range.
pub(crate) const ALG_HPKE: i64 = -65901;
/// SHA-256 (RFC 9054).
pub(crate) const ALG_SHA256: i64 = -16;

/// Header `alg`.
pub(crate) const HEADER_ALG: i64 = 1;
/// Header `kid`.
pub(crate) const HEADER_KID: i64 = 4;
/// Header `IV`.
pub(crate) const HEADER_IV: i64 = 5;
/// Header `kcwt` (RFC 9528).
pub(crate) const HEADER_KCWT: i64 = 13;
/// Header `CWT Claims` (RFC 9597).
pub(crate) const HEADER_CLAIMS: i64 = 15;
/// Header `typ` (RFC 9596).
pub(crate) const HEADER_TYP: i64 = 16;
/// Header `payload-hash-alg` of the COSE hash envelope.
pub(crate) const HEADER_HASH_ALG: i64 = 258;
/// Header `preimage content type` of the COSE hash envelope.
pub(crate) const HEADER_CONTENT_TYPE: i64 = 259;
/// Header with the claims of this protocol; from the private range.
pub(crate) const HEADER_SEALWIRE: i64 = -65800;
/// Recipient parameter `ek` of COSE-HPKE: the encapsulated key.
pub(crate) const RECIPIENT_EK: i64 = -4;
/// Recipient parameter `salt` (RFC 9053, section 5.1).
pub(crate) const RECIPIENT_SALT: i64 = -20;

/// Claim of a certificate: its receive keys; from the private range.
pub(crate) const CLAIM_RECEIVE_KEYS: i64 = -65801;
