//! The time at a node, as its key signs it (SPEC.md, "Notices"): for who looks why messages are refused.

#[cfg(any(test, all(feature = "home", feature = "tcp")))]
use crate::{cbor::Reader, error::OpenError, roster::Roster, sign1::Claimed};
use crate::{
    cbor::Writer,
    domain::Domain,
    endpoint::NodeKey,
    identity::KeysFailed,
    labels,
    sign1::{self, Profile},
};

/// Random bytes of who asks: an answer that is kept and shown later is none.
pub(crate) type Nonce = [u8; 16];

/// Longest version of a program that is read, in characters.
#[cfg(any(test, all(feature = "home", feature = "tcp")))]
const MAX_VERSION: usize = 64;

/// Longest answer in bytes: two names' worth of text, a nonce, a time and a signature.
pub(crate) const MAX_ANSWER: usize = 512;

const PROFILE: Profile = Profile { typ: labels::TYP_CLOCK, label: labels::CLOCK };

/// Answers with the time `now` and the version of this program.
pub(crate) fn sign(node: &NodeKey, domain: &Domain, nonce: &Nonce, now: u64) -> Result<Vec<u8>, KeysFailed> {
    let mut writer = Writer::with_capacity(MAX_ANSWER);
    writer.array(4).text(&node.name).bytes(nonce).uint(now).text(env!("CARGO_PKG_VERSION"));
    sign1::sign_as(PROFILE, domain, &node.key, &writer.finish())
}

/// The time and the version in an answer of the node `name` to `nonce`.
///
/// # Errors
/// If it is not of its form, that node has not signed it, or it answers another question.
#[cfg(any(test, all(feature = "home", feature = "tcp")))]
pub(crate) fn verify(answer: &[u8], roster: &Roster, name: &str, nonce: &Nonce) -> Result<(u64, String), OpenError> {
    let claimed = Claimed::parse(PROFILE, answer)?;
    let node = roster.certifier(name, claimed.signer)?;
    if !claimed.is_signed_by(PROFILE, &roster.domain(), &node.key) {
        return Err(OpenError::NotAuthentic);
    }
    let mut reader = Reader::new(claimed.payload)?;
    reader.array(4, "expected a time")?;
    let (signer, answered) = (reader.text("expected a name")?, reader.bytes_of::<16>("expected a nonce")?);
    let (time, version) = (reader.uint("expected a time")?, reader.text("expected a version")?);
    let printable = version.len() <= MAX_VERSION && version.bytes().all(|c| c.is_ascii_graphic());
    if signer != name || answered != *nonce || !printable {
        return Err(OpenError::Misdirected);
    }
    Ok((time, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Root, RosterClaims};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    #[test]
    fn only_the_node_itself_answers_and_only_this_question() -> Outcome {
        let (root, node, other) = (Root::generate()?, NodeKey::generate("pi2")?, NodeKey::generate("pi3")?);
        let claims = RosterClaims { nodes: vec![node.listed()?, other.listed()?], ..RosterClaims::default() };
        let roster = root.sign_roster(None, claims, 1_800_000_000);
        let domain = roster.domain();
        let answer = sign(&node, &domain, &[7; 16], 1_800_000_432)?;
        assert!(answer.len() <= MAX_ANSWER);
        assert_eq!(verify(&answer, &roster, "pi2", &[7; 16])?, (1_800_000_432, env!("CARGO_PKG_VERSION").to_owned()));

        assert_eq!(verify(&answer, &roster, "pi2", &[8; 16]), Err(OpenError::Misdirected), "another question");
        assert_eq!(verify(&answer, &roster, "pi3", &[7; 16]), Err(OpenError::UnknownSigner), "another node");
        let borrowed = NodeKey { name: "pi3".into(), key: node.key };
        assert_eq!(verify(&sign(&borrowed, &domain, &[7; 16], 1)?, &roster, "pi2", &[7; 16]), Err(OpenError::Misdirected), "another name");
        for at in 0..answer.len() {
            let mut altered = answer.clone();
            altered[at] ^= 1;
            assert!(verify(&altered, &roster, "pi2", &[7; 16]).is_err(), "byte {at}");
        }
        Ok(())
    }
}
