//! The lock of a home: its secrets are encrypted on disk under a key that a passphrase opens (SPEC.md, "Home").
//!
//! ```text
//!  passphrase --Argon2id(salt)--> wrapping key --ChaCha20-Poly1305--> home key, in lock.cbor
//!  home key --HKDF(salt of the file, "sealwire/1 home file" || name)--> key of the file
//! ```
//! Another passphrase wraps the same home key, so that changing it is one file. A home is unlocked once for a process: endpoint, store and
//! inspector read its files at their own times, and a running agent makes keys for new agents by itself.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::{AGENTS, NODE, ROOT, STORE_KEY, files};
use crate::{
    cbor::{Malformed, Reader, Writer},
    entropy::{Entropy, System, random},
    error::StoreFailed,
    fork::{self, Locked},
    labels,
    schedule::{ContentKey, TAG_LEN, WRAPPED_LEN, must_expand},
    secret::Secret,
};

pub(super) const LOCK: &str = "lock.cbor";

/// Environment variable with the passphrase, for what starts without anybody.
const PASSPHRASE: &str = "SEALWIRE_PASSPHRASE";
/// Environment variable with the name of a file that holds it.
const PASSPHRASE_FILE: &str = "SEALWIRE_PASSPHRASE_FILE";

/// Bytes of a passphrase file that are read.
const MAX_PASSPHRASE: usize = 4096;

/// What Argon2id takes. RFC 9106, section 4, second choice, is 64 MiB, three passes, four lanes: half of the memory, as a Raspberry Pi with 512 MiB
/// runs agents beside it, and a pass more for it; one lane, as the computation is on one core here and four only help who has four. About a second on
/// a Pi.
const MEMORY_KIB: u32 = 32 * 1024;
const PASSES: u32 = 4;
const LANES: u32 = 1;
/// The most that a lock file can ask for: it is read before anything in it is proven.
const MAX_MEMORY_KIB: u32 = 1024 * 1024;
const MAX_PASSES: u32 = 64;

/// Longest lock that is read, in bytes: over four times what one has.
const MAX_LOCK: usize = 1024;

/// What an encrypted file begins with.
const MAGIC: &[u8] = b"sealwire/1 locked\n";
const SALT: usize = 32;

type HomeKey = Arc<Secret<32>>;

/// The homes this process has unlocked.
static UNLOCKED: Mutex<BTreeMap<PathBuf, HomeKey>> = Mutex::new(BTreeMap::new());

fn unlocked() -> Locked<'static, BTreeMap<PathBuf, HomeKey>> {
    fork::lock(&UNLOCKED)
}

fn remember(home: &Path, key: HomeKey) {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_path_buf());
    unlocked().insert(home, key);
}

/// A home that was made aside is in its place now.
pub(super) fn moved(aside: &Path, home: &Path) {
    let key = unlocked().remove(aside);
    if let Some(key) = key {
        remember(home, key);
    }
}

/// Locks a home with a passphrase, or one that is unlocked with another.
pub(super) fn set(home: &Path, passphrase: &str) -> Result<(), StoreFailed> {
    if passphrase.is_empty() {
        return Err(StoreFailed("an empty passphrase protects nothing; choose a long one".into()));
    }
    let key = match key_of(home)? {
        Some(key) => key,
        None => Arc::new(Secret::try_init_with(|key| System.fill(key)).map_err(|error| StoreFailed(error.to_string()))?),
    };
    let salt = random::<16>(&System).map_err(|error| StoreFailed(error.to_string()))?;
    let mut wrapped = [0; WRAPPED_LEN];
    let (body, tag) = wrapped.split_at_mut(32);
    body.copy_from_slice(key.expose());
    tag.copy_from_slice(&wrapping_key(passphrase, &salt, [MEMORY_KIB, PASSES, LANES])?.seal(body));
    let mut writer = Writer::default();
    writer.array(6).uint(1).uint(MEMORY_KIB.into()).uint(PASSES.into()).uint(LANES.into()).bytes(&salt).bytes(&wrapped);
    files::replace(&home.join(LOCK), &writer.finish())?;
    files::sync_folder(home)?;
    remember(home, key);
    lock_files(home)
}

/// Encrypts what is in clear. What is encrypted already stays, so it can be done again after a crash.
fn lock_files(home: &Path) -> Result<(), StoreFailed> {
    let agents = fs::read_dir(home.join(AGENTS)).into_iter().flatten().filter_map(|file| file.ok().map(|file| file.path()));
    let agents = agents.filter(|path| path.extension().is_some_and(|extension| extension == "pem"));
    for path in [ROOT, NODE, STORE_KEY].iter().map(|name| home.join(name)).chain(agents).filter(|path| path.exists()) {
        let bytes = Zeroizing::new(fs::read(&path).map_err(|error| files::fail("read", &path, &error))?);
        if !bytes.starts_with(MAGIC) {
            files::replace(&path, &seal(&path, &bytes)?)?;
        }
    }
    if home.join(AGENTS).exists() {
        files::sync_folder(&home.join(AGENTS))?;
    }
    files::sync_folder(home)
}

/// Opens the lock.
pub(super) fn unlock(home: &Path, passphrase: &str) -> Result<(), StoreFailed> {
    open(home, passphrase).map(|key| remember(home, key))
}

fn open(home: &Path, passphrase: &str) -> Result<HomeKey, StoreFailed> {
    let path = home.join(LOCK);
    let bytes = files::read(&path, MAX_LOCK).map_err(|error| files::fail("read", &path, &error))?;
    let lock = decode(&bytes).map_err(|error| {
        StoreFailed(format!(
            "`{}` is damaged ({error}): without it nothing in the home can be read; restore it from a backup",
            path.display()
        ))
    })?;
    let (body, tag) = lock.wrapped.split_last_chunk::<TAG_LEN>().ok_or_else(|| wrong(home))?;
    let wrapping = wrapping_key(passphrase, &lock.salt, lock.cost)?;
    let key = Secret::try_init_with(|key| {
        key.copy_from_slice(body);
        wrapping.open(key, tag)
    });
    key.map(Arc::new).map_err(|_| wrong(home))
}

fn wrong(home: &Path) -> StoreFailed {
    StoreFailed(format!("the passphrase is not that of `{}`", home.display()))
}

struct Lock {
    cost: [u32; 3],
    salt: [u8; 16],
    wrapped: [u8; WRAPPED_LEN],
}

fn decode(bytes: &[u8]) -> Result<Lock, Malformed> {
    let mut reader = Reader::new(bytes)?;
    reader.array(6, "expected a lock")?;
    if reader.uint("expected a version")? != 1 {
        return Err(reader.expected("a lock of a later version: update sealwire"));
    }
    let mut cost = [0; 3];
    for (value, limit) in cost.iter_mut().zip([MAX_MEMORY_KIB, MAX_PASSES, 1]) {
        let found = u32::try_from(reader.uint("expected a number")?).ok().filter(|found| (1..=limit).contains(found));
        *value = found.ok_or_else(|| reader.expected("a cost that is out of bounds"))?;
    }
    Ok(Lock { cost, salt: reader.bytes_of("expected a salt")?, wrapped: reader.bytes_of("expected a wrapped key")? })
}

fn wrapping_key(passphrase: &str, salt: &[u8; 16], [memory, passes, lanes]: [u32; 3]) -> Result<ContentKey, StoreFailed> {
    let failed = |error: argon2::Error| StoreFailed(format!("the passphrase cannot be used: {error}"));
    let params = Params::new(memory, passes, lanes, Some(32)).map_err(failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let key = Secret::try_init_with(|key| argon2.hash_password_into(passphrase.as_bytes(), salt, key));
    key.map(ContentKey::new).map_err(failed)
}

pub(super) fn is_locked(home: &Path) -> bool {
    home.join(LOCK).exists()
}

/// The key of a locked home; none if it is not locked.
fn key_of(home: &Path) -> Result<Option<HomeKey>, StoreFailed> {
    if !is_locked(home) {
        return Ok(None);
    }
    let known = home.canonicalize().ok().and_then(|home| unlocked().get(&home).cloned());
    if let Some(key) = known {
        return Ok(Some(key));
    }
    let passphrase = from_environment()?.ok_or_else(|| {
        StoreFailed(format!(
            "`{}` is locked with a passphrase: give it by the command's prompt, by --passphrase-file, or in {PASSPHRASE} or {PASSPHRASE_FILE}",
            home.display()
        ))
    })?;
    unlock(home, &passphrase)?;
    Ok(home.canonicalize().ok().and_then(|home| unlocked().get(&home).cloned()))
}

fn from_environment() -> Result<Option<Zeroizing<String>>, StoreFailed> {
    if let Ok(passphrase) = env::var(PASSPHRASE) {
        return Ok(Some(Zeroizing::new(passphrase)));
    }
    env::var_os(PASSPHRASE_FILE).map(|file| read_passphrase(Path::new(&file))).transpose()
}

/// The first line of a file.
pub(super) fn read_passphrase(file: &Path) -> Result<Zeroizing<String>, StoreFailed> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| StoreFailed(format!("cannot read the passphrase in `{shown}`: {error}")));
    let text = Zeroizing::new(text?);
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() > MAX_PASSPHRASE {
        return Err(StoreFailed(format!("the first line of `{shown}` is no passphrase")));
    }
    Ok(Zeroizing::new(line.into()))
}

/// The bytes of a secret file as they are on disk: encrypted, if its home is locked.
pub(super) fn seal(path: &Path, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, StoreFailed> {
    let (home, name) = place(path);
    let Some(key) = key_of(&home)? else { return Ok(Zeroizing::new(bytes.to_vec())) };
    let salt = random::<SALT>(&System).map_err(|error| StoreFailed(error.to_string()))?;
    let mut content = Zeroizing::new(bytes.to_vec());
    let tag = file_key(&key, &salt, &name).seal(&mut content);
    Ok(Zeroizing::new([MAGIC, &salt, &content, &tag].concat()))
}

/// The bytes of a secret file, decrypted if they are encrypted.
pub(super) fn unseal(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, StoreFailed> {
    let Some(sealed) = bytes.strip_prefix(MAGIC) else { return Ok(bytes) };
    let (home, name) = place(path);
    let damaged = || StoreFailed(format!("`{}` is damaged, or of another home; restore it from a backup", path.display()));
    let key = key_of(&home)?.ok_or_else(damaged)?;
    let (salt, rest) = sealed.split_first_chunk::<SALT>().ok_or_else(damaged)?;
    let (content, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(damaged)?;
    let mut content = Zeroizing::new(content.to_vec());
    file_key(&key, salt, &name).open(&mut content, tag).map_err(|_| damaged())?;
    Ok(content)
}

/// The home a file is in, and its name there: a file that takes another's place does not open.
fn place(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(Path::new(""));
    if folder.file_name().is_some_and(|folder| folder == AGENTS) {
        return (folder.parent().unwrap_or(Path::new("")).to_path_buf(), format!("{AGENTS}/{name}"));
    }
    (folder.to_path_buf(), name.into_owned())
}

fn file_key(key: &HomeKey, salt: &[u8; SALT], name: &str) -> ContentKey {
    let (mut prk, hkdf) = Hkdf::<Sha256>::extract(Some(salt), key.expose());
    prk.as_mut_slice().zeroize();
    ContentKey::new(Secret::init_with(|out| must_expand(&hkdf, &[labels::HOME_FILE, name.as_bytes()], out)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, Endpoint, Home};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const PHRASE: &str = "correct horse battery staple";

    /// A folder of its own for each test, gone at its end.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> std::io::Result<Self> {
            let path = env::temp_dir().join(format!("sealwire-lock-{}-{name}", std::process::id()));
            fs::create_dir_all(&path)?;
            Ok(Self(path))
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    fn forget(home: &Home) -> std::io::Result<()> {
        unlocked().remove(&home.path().canonicalize()?);
        Ok(())
    }

    const SECRETS: [&str; 4] = ["root.pem", "node.pem", "store.key", "agents/a.pem"];

    fn all_are_encrypted(home: &Home) -> std::io::Result<bool> {
        let encrypted = |name: &&str| fs::read(home.path().join(name)).map(|bytes| bytes.starts_with(MAGIC));
        SECRETS.iter().map(encrypted).try_fold(true, |all, one| Ok(all && one?))
    }

    fn works(home: &Home) -> Outcome {
        let endpoint = Endpoint::builder().home(home)?;
        let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
        assert_eq!(endpoint.open(&endpoint.seal(&a, &b, &Draft::new("task", "x"))?.envelope)?.body(), b"x");
        Ok(())
    }

    #[test]
    fn a_home_that_is_locked_from_the_start_never_shows_a_key() -> Outcome {
        let place = Place::new("start")?;
        let (home, _) = Home::init_locked(place.0.join("home"), "pi1", PHRASE)?;
        works(&home)?;
        assert!(home.is_locked() && all_are_encrypted(&home)?);
        forget(&home)?;
        let closed = Endpoint::builder().home(&home).err().ok_or("opened")?.to_string();
        assert!(closed.contains("is locked with a passphrase") && closed.contains(PASSPHRASE), "{closed}");
        let wrong = home.unlock("correct horse").err().ok_or("unlocked")?.to_string();
        assert!(wrong.contains("is not that of"), "{wrong}");
        home.unlock(PHRASE)?;
        works(&home)
    }

    #[test]
    fn a_home_gets_a_passphrase_and_another() -> Outcome {
        let place = Place::new("later")?;
        let (home, _) = Home::init(place.0.join("home"), "pi1")?;
        works(&home)?;
        assert!(!all_are_encrypted(&home)? && home.set_passphrase("").is_err() && !home.is_locked());
        home.set_passphrase(PHRASE)?;
        assert!(all_are_encrypted(&home)?);
        works(&home)?;
        home.set_passphrase("another")?;
        forget(&home)?;
        assert!(home.unlock(PHRASE).is_err());
        home.unlock("another")?;
        works(&home)
    }

    #[test]
    fn a_file_in_anothers_place_or_altered_does_not_open() -> Outcome {
        let place = Place::new("swap")?;
        let (home, _) = Home::init_locked(place.0.join("home"), "pi1", PHRASE)?;
        works(&home)?;
        let (node, agents) = (home.path().join("node.pem"), ["a", "b"].map(|name| home.path().join(format!("agents/{name}.pem"))));
        let (sound, one) = (fs::read(&node)?, fs::read(&agents[0])?);
        fs::write(&agents[0], fs::read(&agents[1])?)?;
        assert!(home.agent_keys().is_err(), "an agent with another's key");
        fs::write(&agents[0], one)?;
        assert!(home.agent_keys().is_ok());
        for at in [0, MAGIC.len(), MAGIC.len() + SALT, sound.len() - 1] {
            let mut altered = sound.clone();
            altered[at] ^= 1;
            fs::write(&node, altered)?;
            assert!(home.membership().is_err(), "byte {at}");
        }
        fs::write(&node, sound)?;
        assert!(home.membership().is_ok());
        let mut lock = fs::read(home.path().join(LOCK))?;
        *lock.last_mut().ok_or("empty")? ^= 1;
        fs::write(home.path().join(LOCK), lock)?;
        assert!(home.unlock(PHRASE).is_err());
        Ok(())
    }

    /// What a lock file asks for is bounded: it could be anybody's.
    #[test]
    fn a_lock_cannot_ask_for_all_memory() {
        let lock = |memory: u64, passes: u64| {
            let mut writer = Writer::default();
            writer.array(6).uint(1).uint(memory).uint(passes).uint(1).bytes(&[0; 16]).bytes(&[0; WRAPPED_LEN]);
            decode(&writer.finish()).is_ok()
        };
        assert!(lock(u64::from(MEMORY_KIB), u64::from(PASSES)));
        assert!(!lock(u64::from(MAX_MEMORY_KIB) + 1, 1) && !lock(8, u64::from(MAX_PASSES) + 1) && !lock(0, 1) && !lock(u64::MAX, 1));
    }
}
