//! [`Invite`]: one line of text that lets one machine join a domain.

use core::{fmt, str::FromStr};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{MAX_INVITE_ADDRESSES, PairingError};
use crate::{
    address::{InvalidName, check_name},
    cbor::{Malformed, Reader, Writer},
    domain::Domain,
    entropy::Entropy,
    error::EntropyFailed,
    key::VerifyingKey,
    labels,
    limits::MAX_NODE_ADDRESS,
    roster::{Roster, read_words, write_words},
    secret::Secret,
};

/// What an invite begins with. Letters, digits and hyphens only: it survives chats, shells and QR codes (their alphanumeric mode, in capitals).
const PREFIX: &str = "sealwire-invite-1-";
/// What an invite of any version begins with.
const ANY_VERSION: &str = "sealwire-invite-";
/// Base32 of RFC 4648, section 6: no letter looks like a digit in it, and capitals do not matter.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Bytes of the checksum: one in four thousand million slips is not seen by it, and then the secret is wrong.
const CHECKSUM: usize = 4;
/// Characters of the longest invite: four longest addresses and the longest name.
const MAX_TEXT: usize = 1400;

/// An invite, as the joiner reads it. It holds a secret: who has the text can join.
pub struct Invite {
    pub(super) domain: Domain,
    pub(super) secret: Secret<32>,
    node: String,
    expires: u64,
    addresses: Vec<String>,
    /// SHA-256 of the key that signs rosters now, if that is not the domain's first root.
    root: Option<[u8; 32]>,
}

impl Invite {
    /// A new invite for a node of the name `node` into the domain of `roster`, good until `expires`. `addresses` is where the inviter can be
    /// reached, as `host:port`.
    ///
    /// # Errors
    /// If the name or an address is not of its form, there are none or over four, or there are no random bytes.
    pub fn new(roster: &Roster, node: &str, addresses: Vec<String>, expires: u64, entropy: &dyn Entropy) -> Result<Self, PairingError> {
        check_name(node)?;
        if addresses.is_empty() || addresses.len() > MAX_INVITE_ADDRESSES || !addresses.iter().all(|address| is_host_and_port(address)) {
            return Err(InvalidName { what: "an invite names 1 to 4 addresses of the form `host:port`" }.into());
        }
        let domain = roster.domain();
        let current = Domain::of(roster.root());
        let root = (current != domain).then(|| *current.as_bytes());
        let secret = Secret::try_init_with(|bytes| entropy.fill(bytes)).map_err(|_: EntropyFailed| EntropyFailed)?;
        Ok(Self { domain, secret, node: node.into(), expires, addresses, root })
    }

    /// The line. It is a secret until it is used.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(self.encode());
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        let mut text = Zeroizing::new(String::with_capacity(MAX_TEXT));
        text.push_str(PREFIX);
        encode_base32(&bytes, &mut text);
        text
    }

    /// The domain it leads into.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// The name the joining node will have.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Unix time at which it ends.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// Where the inviter waits.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Whether `root` is the key that signs the domain's rosters.
    pub(super) fn is_root(&self, root: &VerifyingKey) -> bool {
        *Domain::of(root).as_bytes() == self.root.unwrap_or(*self.domain.as_bytes())
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(MAX_TEXT);
        writer.map(5 + usize::from(self.root.is_some())).int(1).bytes(self.domain.as_bytes()).int(2).bytes(self.secret.expose());
        writer.int(3).text(&self.node).int(4).uint(self.expires);
        write_words(writer.int(5), &self.addresses);
        if let Some(root) = &self.root {
            writer.int(6).bytes(root);
        }
        writer.finish()
    }
}

impl FromStr for Invite {
    type Err = PairingError;

    /// Reads the line. Capitals do not matter, nor does white space in it: chats break long lines.
    fn from_str(text: &str) -> Result<Self, PairingError> {
        let text = Zeroizing::new(
            text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).take(MAX_TEXT + 1).collect::<String>(),
        );
        let Some(rest) = text.strip_prefix(PREFIX) else {
            let version = text.strip_prefix(ANY_VERSION).and_then(|rest| rest.split_once('-')).map(|(version, _)| version);
            let later = version.is_some_and(|version| version.parse::<u32>().is_ok_and(|version| version > 1));
            return Err(if later {
                PairingError::LaterVersion
            } else {
                PairingError::Mistyped("an invite begins with `sealwire-invite-1-`")
            });
        };
        if text.len() > MAX_TEXT {
            return Err(PairingError::Mistyped("it is too long"));
        }
        let bytes = decode_base32(rest).ok_or(PairingError::Mistyped("it has a character that no invite has"))?;
        let (claims, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(PairingError::Mistyped("it is too short"))?;
        if *sum != checksum(claims) {
            return Err(PairingError::Mistyped("its checksum is wrong"));
        }
        // The checksum is right, so nobody mistyped it: it was made wrong.
        decode(claims).map_err(|_| PairingError::Mistyped("it does not say what an invite says"))
    }
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("domain", &self.domain)
            .field("node", &self.node)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

fn decode(bytes: &[u8]) -> Result<Invite, Malformed> {
    let (mut domain, mut secret, mut node, mut expires, mut addresses, mut root) = (None, None, None, None, Vec::new(), None);
    let mut reader = Reader::new(bytes)?;
    reader.map("expected an invite", |reader, label| {
        match label {
            1 => domain = Some(Domain::from_bytes(reader.bytes_of("expected a domain")?)),
            2 => {
                let bytes = reader.bytes("expected a secret")?;
                let filled = Secret::<32>::try_init_with(|secret| bytes.try_into().map(|bytes: [u8; 32]| *secret = bytes));
                secret = Some(filled.map_err(|_| reader.expected("expected a secret"))?);
            }
            3 => node = Some(reader.text("expected a name")?.to_owned()),
            4 => expires = Some(reader.uint("expected a time")?),
            5 => addresses = read_words(reader, MAX_INVITE_ADDRESSES, MAX_NODE_ADDRESS)?,
            6 => root = Some(reader.bytes_of("expected the hash of a root")?),
            _ => return Err(reader.expected("unknown entry")),
        }
        Ok(())
    })?;
    let sound = node.as_deref().is_some_and(|node| check_name(node).is_ok())
        && !addresses.is_empty()
        && addresses.iter().all(|address| is_host_and_port(address));
    match (domain, secret, node, expires) {
        (Some(domain), Some(secret), Some(node), Some(expires)) if sound => Ok(Invite { domain, secret, node, expires, addresses, root }),
        _ => Err(Malformed { what: "invite lacks an entry", offset: 0 }),
    }
}

fn is_host_and_port(address: &str) -> bool {
    let (host, port) = address.rsplit_once(':').unwrap_or_default();
    let printable = address.len() <= MAX_NODE_ADDRESS && address.bytes().all(|c| c.is_ascii_graphic());
    !host.is_empty() && printable && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let digest: [u8; 32] = Sha256::new().chain_update(labels::INVITE).chain_update(bytes).finalize().into();
    let (first, _) = digest.split_first_chunk().unwrap_or((&[0; CHECKSUM], &[]));
    *first
}

/// Five bits a character, the last filled with zeros.
fn encode_base32(bytes: &[u8], text: &mut String) {
    for group in bytes.chunks(5) {
        let mut bits = group.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) << (8 * (5 - group.len()));
        for _ in 0..(group.len() * 8).div_ceil(5) {
            let letter = ALPHABET.get((bits >> 35 & 31) as usize).copied().unwrap_or_default();
            text.push(char::from(letter));
            bits <<= 5;
        }
    }
}

/// `None` if a character is none of the alphabet, or the last one has bits that say nothing: each invite has one text.
fn decode_base32(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        bits = (bits << 5 | value as u32) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    (count < 5 && bits & ((1 << count) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::Root, entropy::System, roster::RosterClaims};

    fn invite() -> Result<Invite, PairingError> {
        let roster = Root::generate()?.sign_roster(None, RosterClaims::default(), 1000);
        Invite::new(&roster, "pi2", vec!["10.0.0.3:7452".into(), "[fd00::1]:7452".into()], 1600, &System)
    }

    #[test]
    fn what_is_written_is_read_back() -> Result<(), PairingError> {
        let invite = invite()?;
        let text = invite.to_text();
        assert!(text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-'), "{}", *text);
        let folded: String =
            text.as_bytes().chunks(40).map(|line| format!("  {}\r\n", String::from_utf8_lossy(line).to_uppercase())).collect();
        for text in [&*text, &folded] {
            let read: Invite = text.parse()?;
            assert!(read.secret.is_same(&invite.secret));
            assert_eq!((read.domain(), read.node(), read.expires(), read.addresses()), (invite.domain(), "pi2", 1600, invite.addresses()));
        }
        Ok(())
    }

    #[test]
    fn any_slip_of_the_pen_is_told() -> Result<(), PairingError> {
        let text = invite()?.to_text();
        for at in 0..text.len() {
            for letter in [b'a', b'q', b'7', b'0', b'!'] {
                let mut bytes = text.as_bytes().to_vec();
                if core::mem::replace(&mut bytes[at], letter) == letter {
                    continue;
                }
                let refused = String::from_utf8_lossy(&bytes).parse::<Invite>().err();
                assert!(matches!(refused, Some(PairingError::Mistyped(_) | PairingError::LaterVersion)), "{at} {refused:?}");
            }
            assert!(matches!(text[..at].parse::<Invite>(), Err(PairingError::Mistyped(_))), "cut at {at}");
        }
        assert!(matches!("sealwire-invite-2-abc".parse::<Invite>(), Err(PairingError::LaterVersion)));
        assert!(matches!("a".repeat(1 << 20).parse::<Invite>(), Err(PairingError::Mistyped(_))));
        Ok(())
    }

    /// RFC 4648, section 10.
    #[test]
    fn base32_is_that_of_the_rfc() {
        for (plain, coded) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foob", "mzxw6yq"), ("foobar", "mzxw6ytboi")] {
            let mut text = String::new();
            encode_base32(plain.as_bytes(), &mut text);
            assert_eq!(text, coded);
            assert_eq!(decode_base32(coded).as_deref().map(Vec::as_slice), Some(plain.as_bytes()));
        }
        assert!(["a", "mz0", "mzxw6z", "mzz"].iter().all(|text| decode_base32(text).is_none()));
    }

    #[test]
    fn debug_shows_no_secret() -> Result<(), PairingError> {
        let invite = invite()?;
        let (shown, text) = (format!("{invite:?}"), invite.to_text());
        let secret: String = invite.secret.expose().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!shown.contains(&secret) && !shown.contains(&text[20..60]), "{shown}");
        Ok(())
    }
}
