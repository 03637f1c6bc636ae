//! What is left of a secret in the memory of the process that used it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use hkdf::Hkdf;
use sealwire::{Endpoint, Thumbprint};
use sealwire_tests::memory::{Subject, mask};
use sealwire_tests::sealer::{
    Drawn, Ends, Letter, Opening, array, bytes, int, key_id, map, opening, public, receive_public, text, thumbprint, uint,
};
use sha2::Sha256;

/// 32 bytes of no pattern that a program might hold by chance.
fn secret() -> [u8; 32] {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).unwrap();
    secret
}

/// In how many places a piece of the secret lies while the subject holds it, and after it let go.
fn places(case: &str) -> (usize, usize) {
    let secret = secret();
    let mut subject = Subject::start(Command::new(env!("CARGO_BIN_EXE_memory-subject")).args([case, &mask(&secret)]));
    subject.run_to("held");
    let held = subject.find(&[&secret]).len();
    subject.run_to("dropped");
    let dropped = subject.find(&[&secret]);
    println!("{case}: {held} held, {dropped:?} after");
    (held, dropped.len())
}

/// The control of all the others: what is there is found, once, in its two pieces.
#[test]
fn kept_secret_is_found() {
    assert_eq!(places("kept"), (2, 2));
}

/// Reading in chunks loses nothing at their borders.
#[test]
fn scattered_secret_is_found_everywhere() {
    let all = (4 << 20) / 33 * 2;
    assert_eq!(places("scattered"), (all, all));
}

/// The second control: giving memory back is not wiping it. How much the allocator itself overwrites is its own affair; glibc leaves the second half.
#[test]
#[cfg(target_env = "gnu")]
fn freed_secret_is_found() {
    assert_eq!(places("freed"), (2, 1));
}

#[test]
fn wiped_secret_is_not_found() {
    assert_eq!(places("wiped"), (2, 0));
}

#[test]
fn dropped_signing_key_is_not_found() {
    assert_eq!(places("signing-key"), (2, 0));
}

#[test]
fn dropped_receive_key_is_not_found() {
    assert_eq!(places("receive-key"), (2, 0));
}

/// A home in a folder that goes away with the test, and its secrets as they are on disk.
struct Home {
    path: PathBuf,
    keys: [SigningKey; 4],
    receive_seeds: Vec<[u8; 32]>,
    store_keys: [[u8; 32]; 2],
    opening: Opening,
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.path.parent().unwrap());
    }
}

fn home() -> Home {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("memory-{}", std::process::id()));
    let _left_by_an_earlier_run = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).unwrap();
    let path = folder.join("home");
    let (endpoint, _) = Endpoint::builder().home_or_init(&path, "local").unwrap();
    let [a, b] = ["a", "b"].map(|name| endpoint.host(name).unwrap());
    let keys = ["root", "node", "agents/a", "agents/b"].map(|file| {
        let pem = fs::read_to_string(path.join(file).with_extension("pem")).unwrap();
        SigningKey::from_pkcs8_pem(&pem).unwrap()
    });
    let store = rusqlite::Connection::open(path.join("store.db")).unwrap();
    let store_key: [u8; 32] = fs::read(path.join("store.key")).unwrap().try_into().unwrap();
    let derive = |info: &[&[u8]]| {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(None, &store_key).expand_multi_info(info, &mut key).unwrap();
        key
    };
    let unwrap = |id: &[u8], wrapped: &[u8]| -> [u8; 32] {
        let (body, tag) = wrapped.split_last_chunk::<16>().unwrap();
        let key = derive(&[b"sealwire/1 store receive key", id]);
        let outer = map(&[(int(1), int(24)), (int(16), text("application/sealwire"))]);
        let associated = array(&[text("Encrypt"), bytes(&outer), bytes(&[])]);
        let mut seed: [u8; 32] = body.try_into().unwrap();
        ChaCha20Poly1305::new(&key.into())
            .decrypt_inout_detached(&Nonce::default(), &associated, seed.as_mut_slice().into(), tag.into())
            .unwrap();
        seed
    };
    let mut statement = store.prepare("SELECT id, wrapped FROM receive_key ORDER BY agent").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?))).unwrap();
    let receive_seeds: Vec<_> = rows.map(Result::unwrap).map(|(id, wrapped)| unwrap(&id, &wrapped)).collect();
    let store_keys = [store_key, derive(&[b"sealwire/1 store hedge"])];
    let certificate = endpoint.certificate(&a).unwrap();
    assert_eq!(endpoint.certificate(&b).unwrap().thumbprint(), Thumbprint::from_bytes(thumbprint(&public(&keys[3]))));
    let opening = offer(&endpoint, &keys, certificate.as_bytes(), &receive_seeds[1]);
    fs::write(folder.join("envelope"), opening.encode()).unwrap();
    Home { path, keys, receive_seeds, store_keys, opening }
}

/// An opening of `a` for `b`, sealed outside of sealwire so that the secrets of the lane it offers are known.
fn offer(endpoint: &Endpoint, keys: &[SigningKey; 4], certificate: &[u8], receive_seed: &[u8; 32]) -> Opening {
    let [author, reader] = [public(&keys[2]), public(&keys[3])];
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let domain = *endpoint.domain().as_bytes();
    let letter = Letter {
        header: vec![(int(1), int(-19)), (int(4), bytes(&key_id(&author))), (int(258), int(-16))],
        cwt: vec![
            (int(1), text("a@local")),
            (int(3), text("b@local")),
            (int(4), uint(now + 600)),
            (int(6), uint(now)),
            (int(7), bytes(&[1; 16])),
        ],
        claims: vec![(int(1), bytes(&key_id(&reader))), (int(2), text("task")), (int(3), bytes(&[2; 16])), (int(6), uint(1))],
        blind: vec![3; 16],
        body: b"offers a lane".to_vec(),
    };
    let signed = letter.sign(&keys[2], &domain).with_certificate(certificate.to_vec());
    let ends = Ends { domain, signer: thumbprint(&author), reader: thumbprint(&reader) };
    let drawn = Drawn { content_key: secret(), encapsulation: [5; 64] };
    opening(&signed.plaintext(), &signed.digest, &ends, &receive_public(receive_seed), &drawn)
}

/// All secrets of an endpoint with a home: signing keys, receive keys, the hedging key, and of a lane its secret and what it came from.
#[test]
fn secrets_of_a_dropped_endpoint_are_not_found() {
    let home = home();
    let mut subject = Subject::start(
        Command::new(env!("CARGO_BIN_EXE_memory-subject")).arg("endpoint").args([&home.path, &home.path.with_file_name("envelope")]),
    );
    let [root, node, a, b] = home.keys.each_ref().map(SigningKey::to_bytes);
    let held = [
        ("root", root),
        ("node", node),
        ("a", a),
        ("b", b),
        ("store", home.store_keys[0]),
        ("hedge", home.store_keys[1]),
        ("lane", home.opening.lane.secret),
    ];
    let held: Vec<_> = held.into_iter().chain(home.receive_seeds.iter().map(|seed| ("receive key", *seed))).collect();
    let passing = [("content key", home.opening.content_key), ("exporter", home.opening.exported)];
    subject.run_to("held");
    for (name, secret) in &held {
        assert!(!subject.find(&[secret]).is_empty(), "the control: {name} is in use");
    }
    let find_any = |secrets: &[(&'static str, [u8; 32])]| {
        let found = secrets.iter().map(|(name, secret)| (*name, subject.find(&[secret])));
        found.filter(|(_, hits)| !hits.is_empty()).collect::<Vec<_>>()
    };
    assert_eq!(find_any(&passing), [], "keys of one message are gone when it is opened");
    subject.run_to("dropped");
    let left: Vec<_> =
        held.iter().chain(&passing).map(|(name, secret)| (name, subject.find(&[secret]))).filter(|(_, hits)| !hits.is_empty()).collect();
    assert_eq!(left, [], "left behind");
}
