//! [`Certificate`]: a node says which key an agent signs with and how to seal for it (SPEC.md, "Certificate").

use sha2::{Digest, Sha256};

use crate::{
    address::Address,
    cbor::{Malformed, Reader, Writer},
    domain::Domain,
    endpoint::EndpointError,
    error::OpenError,
    identity::{Identity, KeysFailed},
    key::{KeyId, RECEIVE_KEY_LEN, ReceiveKeyId, ReceiveKeyPublic, Thumbprint, VerifyingKey},
    labels,
    limits::{CERTIFICATE_LIFETIME, MAX_CERTIFICATE, MAX_RECEIVE_KEYS},
    roster::{Roster, check_time},
    sign1::{self, Claimed, Profile},
};

const PROFILE: Profile = Profile { typ: labels::TYP_CERTIFICATE, label: labels::CERTIFICATE };
const REQUEST: Profile = Profile { typ: labels::TYP_CERTIFICATE_REQUEST, label: labels::CERTIFICATE_REQUEST };

const CLAIM_ISSUER: i64 = 1;
const CLAIM_SUBJECT: i64 = 2;
const CLAIM_EXPIRES: i64 = 4;
const CLAIM_ISSUED: i64 = 6;
const CLAIM_CONFIRMATION: i64 = 8;

/// A certificate that was checked against a roster: whose it is, its key and how to seal for it.
#[derive(Clone)]
pub struct Certificate {
    subject: Address,
    key: VerifyingKey,
    issued: u64,
    expires: u64,
    receive_keys: Vec<ReceiveKeyPublic>,
    certifier: KeyId,
    bytes: Vec<u8>,
}

impl Certificate {
    /// Checks a certificate against the roster of its domain.
    ///
    /// # Errors
    /// [`OpenError::TooLarge`], [`OpenError::Malformed`], [`OpenError::UnknownSigner`], [`OpenError::Revoked`],
    /// [`OpenError::NotAuthentic`], [`OpenError::Expired`] or [`OpenError::FromFuture`].
    pub fn verify(bytes: &[u8], domain: &Domain, roster: &Roster, now: u64) -> Result<Self, OpenError> {
        let certificate = Self::verify_signature(bytes, domain, roster)?;
        certificate.check_now(roster, now)?;
        Ok(certificate)
    }

    /// As [`Certificate::verify`] without [`Certificate::check_now`]: a node of the roster made it, at some time.
    pub(crate) fn verify_signature(bytes: &[u8], domain: &Domain, roster: &Roster) -> Result<Self, OpenError> {
        if bytes.len() > MAX_CERTIFICATE {
            return Err(OpenError::TooLarge { size: bytes.len(), limit: MAX_CERTIFICATE });
        }
        let claimed = Claimed::parse(PROFILE, bytes)?;
        let mut certificate = decode(claimed.payload)?;
        let subject = &certificate.subject;
        let node = roster.certifier(subject.node(), claimed.signer)?;
        if !claimed.is_signed_by(PROFILE, domain, &node.key) {
            return Err(OpenError::NotAuthentic);
        }
        certificate.certifier = claimed.signer;
        certificate.bytes = bytes.to_vec();
        Ok(certificate)
    }

    /// What can change after a certificate was checked: time, and what the roster says of it. A node whose key was replaced is another
    /// node: what the old key certified is no longer vouched for.
    pub(crate) fn check_now(&self, roster: &Roster, now: u64) -> Result<(), OpenError> {
        self.check_standing(roster)?;
        roster.check_time(now)?;
        check_time(self.issued, self.expires, now)
    }

    /// As [`Certificate::check_now`], whatever the time.
    pub(crate) fn check_standing(&self, roster: &Roster) -> Result<(), OpenError> {
        let node = roster.certifier(self.subject.node(), self.certifier)?;
        let revoked = roster.is_revoked(&self.thumbprint()) || roster.is_revoked(&node.key.thumbprint());
        if revoked || !node.may_host(self.subject.name()) { Err(OpenError::Revoked) } else { Ok(()) }
    }

    /// The agent.
    pub fn subject(&self) -> &Address {
        &self.subject
    }

    /// The agent's key.
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// The full name of the agent's key.
    pub fn thumbprint(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// Unix time at which it was made.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Unix time at which it ends.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The name of the key that is sealed for.
    pub fn receive_key_id(&self) -> Option<ReceiveKeyId> {
        self.receive_key().map(ReceiveKeyPublic::id)
    }

    pub(crate) fn receive_key(&self) -> Option<&ReceiveKeyPublic> {
        self.receive_keys.first()
    }

    /// SHA-256 of the signed bytes.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }

    /// As it travels.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl core::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &self.subject)
            .field("key", &self.thumbprint())
            .field("issued", &self.issued)
            .field("expires", &self.expires)
            .finish()
    }
}

/// What an agent asks its node to certify. It is signed with the key it names: nobody gets a certificate for a key that is not theirs.
pub(crate) struct CertificateRequest(Vec<u8>);

impl CertificateRequest {
    /// Asks that `receive_key` be certified as `subject`'s, with `key` to sign.
    ///
    /// `made` is when the receive key was: the certificate ends with the key's time. Another process with a clock that is a little ahead may
    /// have made it.
    pub(crate) fn sign(
        domain: &Domain,
        key: &Identity,
        subject: &Address,
        receive_key: &ReceiveKeyPublic,
        made: u64,
        now: u64,
    ) -> Result<Self, KeysFailed> {
        let expires = made.min(now).saturating_add(CERTIFICATE_LIFETIME);
        let payload = encode(subject, key.verifying_key(), [now, expires], core::slice::from_ref(receive_key));
        sign1::sign_as(REQUEST, domain, key, &payload).map(Self)
    }

    /// Certifies the request, after checking that it was signed with the key it names.
    pub(crate) fn certify(&self, domain: &Domain, node: &Identity, now: u64) -> Result<Certificate, EndpointError> {
        let claimed = Claimed::parse(REQUEST, &self.0).map_err(OpenError::Malformed)?;
        let asked = decode(claimed.payload).map_err(OpenError::Malformed)?;
        let own = claimed.signer == asked.thumbprint().short() && claimed.is_signed_by(REQUEST, domain, &asked.key);
        if !own {
            return Err(OpenError::NotAuthentic.into());
        }
        check_time(asked.issued, asked.expires, now)?;
        let payload = encode(&asked.subject, &asked.key, [asked.issued, asked.expires], &asked.receive_keys);
        let bytes = sign1::sign_as(PROFILE, domain, node, &payload)?;
        Ok(Certificate { certifier: node.verifying_key().thumbprint().short(), bytes, ..asked })
    }
}

fn encode(subject: &Address, key: &VerifyingKey, [issued, expires]: [u64; 2], receive_keys: &[ReceiveKeyPublic]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(256 + receive_keys.len() * RECEIVE_KEY_LEN);
    writer.map(6).int(CLAIM_ISSUER).text(subject.node()).int(CLAIM_SUBJECT).text(subject.as_str());
    writer.int(CLAIM_EXPIRES).uint(expires).int(CLAIM_ISSUED).uint(issued);
    writer.int(CLAIM_CONFIRMATION).map(1).int(1);
    writer.map(3).int(1).int(1).int(-1).int(6).int(-2).bytes(key.as_bytes());
    writer.int(labels::CLAIM_RECEIVE_KEYS).array(receive_keys.len());
    for key in receive_keys {
        writer.bytes(&key.to_bytes());
    }
    writer.finish()
}

fn decode(payload: &[u8]) -> Result<Certificate, Malformed> {
    let (mut issuer, mut subject, mut key, mut receive_keys) = (None, None, None, Vec::new());
    let (mut issued, mut expires) = (None, None);
    let mut reader = Reader::new(payload)?;
    reader.map("expected a certificate's claims", |reader, label| {
        match label {
            CLAIM_ISSUER => issuer = Some(reader.text("expected the node's name")?),
            CLAIM_SUBJECT => {
                let text = reader.text("expected the agent's address")?;
                subject = Some(text.parse::<Address>().map_err(|_| reader.expected("address is not of its form"))?);
            }
            CLAIM_EXPIRES => expires = Some(reader.uint("expected a time")?),
            CLAIM_ISSUED => issued = Some(reader.uint("expected a time")?),
            CLAIM_CONFIRMATION => key = Some(decode_confirmation(reader)?),
            labels::CLAIM_RECEIVE_KEYS => {
                let count = reader.array_up_to(MAX_RECEIVE_KEYS, "expected 1 to 4 receive keys")?;
                receive_keys = (0..count).map(|_| decode_receive_key(reader)).collect::<Result<_, _>>()?;
            }
            _ => return Err(reader.expected("unknown claim")),
        }
        Ok(())
    })?;
    let lacking = Malformed { what: "certificate lacks a claim, lasts over 24 h, or its issuer is not its subject's node", offset: 0 };
    let lasts = |issued: u64, expires: u64| expires.checked_sub(issued).is_some_and(|time| (1..=CERTIFICATE_LIFETIME).contains(&time));
    match (subject, key, issued, expires) {
        (Some(subject), Some(key), Some(issued), Some(expires))
            if issuer == Some(subject.node()) && !receive_keys.is_empty() && lasts(issued, expires) =>
        {
            Ok(Certificate { subject, key, issued, expires, receive_keys, certifier: KeyId::from_bytes([0; 16]), bytes: Vec::new() })
        }
        _ => Err(lacking),
    }
}

/// `cnf` of RFC 8747: `{1: COSE_Key}`.
fn decode_confirmation(reader: &mut Reader<'_>) -> Result<VerifyingKey, Malformed> {
    const WHAT: &str = "expected an Ed25519 key";
    let mut found = None;
    reader.map(WHAT, |reader, label| {
        if label != 1 {
            return Err(reader.expected(WHAT));
        }
        let (mut numbers, mut point) = ((0, 0), None);
        reader.map(WHAT, |reader, label| match label {
            1 => reader.int(WHAT).map(|kty| numbers.0 = kty),
            -1 => reader.int(WHAT).map(|crv| numbers.1 = crv),
            -2 => reader.bytes_of::<32>(WHAT).map(|x| point = Some(x)),
            _ => Err(reader.expected(WHAT)),
        })?;
        found = point.filter(|_| numbers == (1, 6));
        Ok(())
    })?;
    let key = found.and_then(|point| VerifyingKey::from_bytes(&point).ok());
    key.ok_or_else(|| reader.expected("not a sound Ed25519 key"))
}

fn decode_receive_key(reader: &mut Reader<'_>) -> Result<ReceiveKeyPublic, Malformed> {
    let bytes = reader.bytes_of::<RECEIVE_KEY_LEN>("expected a receive key of 1216 bytes")?;
    ReceiveKeyPublic::from_bytes(&bytes).map_err(|_| reader.expected("not a sound receive key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::Root,
        entropy::System,
        key::{ReceiveKey, SigningKey},
        limits::CLOCK_TOLERANCE,
        roster::{RosterClaims, RosterNode},
    };

    struct World {
        root: Root,
        node: Identity,
        agent: Identity,
        receive: ReceiveKey,
        roster: Roster,
    }

    fn world(hosts: &str) -> Result<World, Box<dyn std::error::Error>> {
        let (root, node) = (Root::generate()?, Identity::from(SigningKey::generate(&System)?));
        let mut listed = RosterNode::new("pi1", *node.verifying_key())?;
        listed.hosts = vec![hosts.into()];
        let roster = root.sign_roster(None, RosterClaims { nodes: vec![listed], ..RosterClaims::default() }, 1000);
        Ok(World { root, node, agent: SigningKey::generate(&System)?.into(), receive: ReceiveKey::generate(&System)?, roster })
    }

    impl World {
        fn certificate(&self) -> Result<Certificate, Box<dyn std::error::Error>> {
            let subject = Address::new("researcher", "pi1")?;
            let domain = self.root.domain();
            let request = CertificateRequest::sign(&domain, &self.agent, &subject, self.receive.public(), 1000, 1000)?;
            Ok(request.certify(&domain, &self.node, 1000)?)
        }

        fn verify(&self, bytes: &[u8], now: u64) -> Result<Certificate, OpenError> {
            Certificate::verify(bytes, &self.root.domain(), &self.roster, now)
        }
    }

    #[test]
    fn what_the_node_signed_is_read_back() -> Result<(), Box<dyn std::error::Error>> {
        let world = world("*")?;
        let certificate = world.certificate()?;
        let read = world.verify(certificate.as_bytes(), 1000)?;
        assert_eq!(read.subject().as_str(), "researcher@pi1");
        assert_eq!(read.key(), world.agent.verifying_key());
        assert_eq!(read.receive_key_id(), Some(world.receive.public().id()));
        Ok(())
    }

    #[test]
    fn a_flipped_bit_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let world = world("*")?;
        let certificate = world.certificate()?;
        for at in 0..certificate.as_bytes().len() {
            let mut flipped = certificate.as_bytes().to_vec();
            flipped[at] ^= 0x10;
            assert!(world.verify(&flipped, 1000).is_err(), "byte {at}");
        }
        Ok(())
    }

    #[test]
    fn a_node_certifies_only_what_it_may_host_and_only_while_it_is_valid() -> Result<(), Box<dyn std::error::Error>> {
        let open = world("*")?;
        let certificate = open.certificate()?;
        let end = 1000 + CERTIFICATE_LIFETIME;
        assert!(open.verify(certificate.as_bytes(), end + CLOCK_TOLERANCE - 1).is_ok());
        assert_eq!(open.verify(certificate.as_bytes(), end + CLOCK_TOLERANCE).err(), Some(OpenError::Expired { by: CLOCK_TOLERANCE }));
        let narrow = world("writer")?;
        assert_eq!(narrow.verify(narrow.certificate()?.as_bytes(), 1000).err(), Some(OpenError::Revoked));
        assert_eq!(narrow.verify(certificate.as_bytes(), 1000).err(), Some(OpenError::UnknownSigner));
        Ok(())
    }

    /// What a node signs with `key` and `receive_key` as they are.
    fn signed_by_the_node(world: &World, key: &[u8; 32], receive_key: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let subject = Address::new("researcher", "pi1")?;
        let sound = encode(&subject, world.agent.verifying_key(), [1000, 1600], core::slice::from_ref(world.receive.public()));
        let at = |part: &[u8]| sound.windows(part.len()).position(|window| window == part).ok_or("not there");
        let (key_at, receive_key_at) = (at(world.agent.verifying_key().as_bytes())?, at(&world.receive.public().to_bytes())?);
        let mut payload = sound;
        payload[key_at..key_at + 32].copy_from_slice(key);
        payload[receive_key_at..receive_key_at + RECEIVE_KEY_LEN].copy_from_slice(receive_key);
        Ok(sign1::sign_as(PROFILE, &world.root.domain(), &world.node, &payload)?)
    }

    /// Keys under which anybody can sign, or that are a second name of another key.
    #[test]
    fn unsound_signing_keys_are_refused_whoever_certified_them() -> Result<(), Box<dyn std::error::Error>> {
        let world = world("*")?;
        let sound = world.agent.verifying_key();
        let receive_key = world.receive.public().to_bytes();
        assert!(world.verify(&signed_by_the_node(&world, sound.as_bytes(), &receive_key)?, 1000).is_ok(), "the control");

        let point = curve25519_dalek::edwards::CompressedEdwardsY(*sound.as_bytes()).decompress().ok_or("not a point")?;
        let torsion = curve25519_dalek::constants::EIGHT_TORSION;
        let mixed = torsion[1..].iter().map(|torsion| (point + torsion).compress().to_bytes());
        let small = torsion.iter().map(|torsion| torsion.compress().to_bytes());
        for key in mixed.chain(small).chain([[0; 32], [0xff; 32]]) {
            let refused = world.verify(&signed_by_the_node(&world, &key, &receive_key)?, 1000).err();
            let unsound = matches!(refused, Some(OpenError::Malformed(Malformed { what: "not a sound Ed25519 key", .. })));
            assert!(unsound, "{key:02x?}: {refused:?}");
        }
        Ok(())
    }

    /// A receive key half of which is no key: its X25519 part of small order, or ML-KEM coefficients out of range.
    #[test]
    fn unsound_receive_keys_are_refused_whoever_certified_them() -> Result<(), Box<dyn std::error::Error>> {
        let world = world("*")?;
        let sound = world.receive.public().to_bytes();
        let with_x25519 = |point: [u8; 32]| [&sound[..RECEIVE_KEY_LEN - 32], &point].concat();
        let one = core::array::from_fn(|at| u8::from(at == 0));
        let high_bit = core::array::from_fn(|at| if at == 31 { 0x80 } else { 0 });
        let out_of_range = [vec![0xff; RECEIVE_KEY_LEN - 32], sound[RECEIVE_KEY_LEN - 32..].to_vec()].concat();
        for receive_key in [with_x25519([0; 32]), with_x25519(one), with_x25519(high_bit), out_of_range, vec![0; RECEIVE_KEY_LEN]] {
            let refused = world.verify(&signed_by_the_node(&world, world.agent.verifying_key().as_bytes(), &receive_key)?, 1000).err();
            let unsound = matches!(refused, Some(OpenError::Malformed(Malformed { what: "not a sound receive key", .. })));
            assert!(unsound, "{refused:?}");
        }
        Ok(())
    }

    #[test]
    fn a_receive_key_made_by_a_clock_a_little_ahead_is_certified() -> Result<(), Box<dyn std::error::Error>> {
        let world = world("*")?;
        let subject = Address::new("researcher", "pi1")?;
        let request = CertificateRequest::sign(&world.root.domain(), &world.agent, &subject, world.receive.public(), 1001, 1000)?;
        assert_eq!(request.certify(&world.root.domain(), &world.node, 1000)?.expires(), 1000 + CERTIFICATE_LIFETIME);
        Ok(())
    }

    #[test]
    fn a_request_for_a_key_that_is_not_ones_own_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let world = world("*")?;
        let thief = SigningKey::generate(&System)?;
        let subject = Address::new("researcher", "pi1")?;
        let payload = encode(&subject, world.agent.verifying_key(), [1000, 1600], &[world.receive.public().clone()]);
        let request = CertificateRequest(sign1::sign(REQUEST, &world.root.domain(), &thief, &payload));
        assert_eq!(request.certify(&world.root.domain(), &world.node, 1000).err(), Some(OpenError::NotAuthentic.into()));
        Ok(())
    }
}
