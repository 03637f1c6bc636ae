//! Files of a home: private, whole or not there at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, spki::der::pem::LineEnding};

use zeroize::Zeroizing;

use super::lock;
use crate::{
    error::StoreFailed,
    key::{SigningKey, VerifyingKey},
    secret::Secret,
};

/// Longest key file that is read, in bytes: four times what PKCS #8 PEM of an Ed25519 key takes.
const MAX_KEY_FILE: usize = 1024;

/// An error that names what was tried, where, why it failed and what to do.
pub(super) fn fail(what: &str, path: &Path, error: &io::Error) -> StoreFailed {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "; choose a home that this user may write",
        io::ErrorKind::NotFound if what == "read" => "; the home is incomplete: restore it from a backup or make a new one",
        _ => "",
    };
    StoreFailed(format!("cannot {what} `{}`: {error}{remedy}", path.display()))
}

/// A folder under a temporary name, removed unless it is put in place.
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn aside(target: &Path) -> Result<Self, StoreFailed> {
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(|error| fail("make", parent, &error))?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let path = parent.join(format!("{name}.new-{}-{unique}", std::process::id()));
        make_folder(&path).map_err(|_| fail_writing(target, parent))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn canonical_path(&self) -> PathBuf {
        self.path.canonicalize().unwrap_or_else(|_| self.path.clone())
    }

    /// Renames it to `target`. `false` if another process was faster.
    pub(super) fn put_in_place(self, target: &Path) -> Result<bool, StoreFailed> {
        match fs::rename(&self.path, target) {
            Ok(()) => Ok(true),
            Err(_) if target.join("node.pem").exists() => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
                Err(StoreFailed(format!("`{}` exists and is not a sealwire home; choose another place or empty it", target.display())))
            }
            Err(error) => Err(fail("make", target, &error)),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.path.exists() {
            let _leftover = fs::remove_dir_all(&self.path);
        }
    }
}

fn fail_writing(target: &Path, parent: &Path) -> StoreFailed {
    StoreFailed(format!(
        "cannot make the home `{}`: `{}` cannot be written by this user; choose another place for it",
        target.display(),
        parent.display()
    ))
}

/// A folder for its owner only.
pub(super) fn make_folder(path: &Path) -> Result<(), StoreFailed> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| fail("make", path, &error))
}

/// A new file for its owner only.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A name beside `path` that no other thread or process writes to. What a process of the same number left there when it died is removed.
fn aside_of(path: &Path) -> PathBuf {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let aside = path.with_extension(format!("new-{}-{count}", std::process::id()));
    let _stale = fs::remove_file(&aside);
    aside
}

/// Reads a file of at most `limit` bytes. Root may run agents of other users, and what lies in their homes may be of their making: a pipe is not
/// waited for, and nothing without an end is read to it.
///
/// # Errors
/// [`io::ErrorKind::FileTooLarge`] if it is longer.
pub(super) fn read(path: &Path, limit: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    if metadata.len() > limit as u64 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has {} bytes, and at most {limit} are read", metadata.len())));
    }
    // One place for all of it: what may be a key is not left behind by a buffer that grew.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// As [`read`], for a key.
fn read_key_file(path: &Path, damaged: impl Fn() -> StoreFailed) -> Result<Zeroizing<Vec<u8>>, StoreFailed> {
    read(path, MAX_KEY_FILE)
        .map_err(|error| if error.kind() == io::ErrorKind::FileTooLarge { damaged() } else { fail("read", path, &error) })
}

/// Writes a file that must not exist yet. It appears whole.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreFailed> {
    let aside = aside_of(path);
    let written = create_private(&aside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::hard_link(&aside, path));
    let _gone = fs::remove_file(&aside);
    written.map_err(|error| fail("write", path, &error))
}

/// What tells a file from the one that took its place: a file that is replaced in one step is another one.
pub(super) type Stamp = (u64, Option<std::time::SystemTime>, u64);

/// Without reading it.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Some((number, metadata.modified().ok(), metadata.len()))
}

/// Replaces a file in one step. What root writes belongs to whom the home belongs to, who could not read it otherwise.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreFailed> {
    let aside = aside_of(path);
    create_private(&aside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| give_to_owner(&file, path)))
        .and_then(|()| fs::rename(&aside, path))
        .map_err(|error| fail("write", path, &error))
}

/// Gives a file that root has made to the owner of its folder.
#[cfg(unix)]
fn give_to_owner(file: &File, path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (owner, maker) = (fs::metadata(folder)?, file.metadata()?);
    if maker.uid() == 0 && owner.uid() != 0 { fchown(file, Some(owner.uid()), Some(owner.gid())) } else { Ok(()) }
}

#[cfg(not(unix))]
fn give_to_owner(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes what was written or renamed in a folder outlast a power cut.
pub(super) fn sync_folder(path: &Path) -> Result<(), StoreFailed> {
    if cfg!(not(unix)) {
        // Elsewhere a folder cannot be opened as a file; the file systems there order these things themselves.
        return Ok(());
    }
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| fail("write", path, &error))
}

pub(super) fn write_key(path: &Path, key: &SigningKey) -> Result<(), StoreFailed> {
    write_new(path, &lock::seal(path, encode_key(path, key)?.as_bytes())?)
}

/// Writes a key that is meant to leave this machine: in clear, also if its folder is a locked home.
pub(super) fn write_key_in_clear(path: &Path, key: &SigningKey) -> Result<(), StoreFailed> {
    write_new(path, encode_key(path, key)?.as_bytes())
}

/// Puts another key in a key's place.
pub(super) fn replace_key(path: &Path, key: &SigningKey) -> Result<(), StoreFailed> {
    replace(path, &lock::seal(path, encode_key(path, key)?.as_bytes())?)
}

fn encode_key(path: &Path, key: &SigningKey) -> Result<Zeroizing<String>, StoreFailed> {
    let pem = key.as_dalek().to_pkcs8_pem(LineEnding::LF);
    pem.map_err(|_| StoreFailed(format!("cannot encode the key for `{}`", path.display())))
}

/// Writes a public key (RFC 8410, PEM), in the place of another if there is one.
pub(super) fn write_public_key(path: &Path, key: &VerifyingKey) -> Result<(), StoreFailed> {
    let pem = ed25519_dalek::VerifyingKey::from_bytes(key.as_bytes()).ok().and_then(|key| key.to_public_key_pem(LineEnding::LF).ok());
    let pem = pem.ok_or_else(|| StoreFailed(format!("cannot encode the key for `{}`", path.display())))?;
    replace(path, pem.as_bytes())
}

pub(super) fn read_public_key(path: &Path) -> Result<VerifyingKey, StoreFailed> {
    let damaged = || {
        StoreFailed(format!(
            "`{}` is not an Ed25519 public key in PEM; restore it from a backup or join again in a new home",
            path.display()
        ))
    };
    let bytes = read_key_file(path, damaged)?;
    let pem = core::str::from_utf8(&bytes).map_err(|_| damaged())?;
    let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem).map_err(|_| damaged())?;
    VerifyingKey::from_bytes(key.as_bytes()).map_err(|_| damaged())
}

pub(super) fn read_key(path: &Path) -> Result<SigningKey, StoreFailed> {
    check_private(path)?;
    let damaged = || {
        StoreFailed(format!("`{}` is not a whole Ed25519 key in PKCS #8 PEM; restore it from a backup or make a new home", path.display()))
    };
    let bytes = lock::unseal(path, read_key_file(path, damaged)?)?;
    let pem = core::str::from_utf8(&bytes).map_err(|_| damaged())?;
    let key = ed25519_dalek::SigningKey::from_pkcs8_pem(pem).map_err(|_| damaged())?;
    Ok(SigningKey::from_dalek(key))
}

/// Writes a secret that is no signing key, as its bytes.
pub(super) fn write_secret(path: &Path, secret: &Secret<32>) -> Result<(), StoreFailed> {
    write_new(path, &lock::seal(path, secret.expose())?)
}

/// Reads it, straight to where it stays.
pub(super) fn read_secret(path: &Path) -> Result<Secret<32>, StoreFailed> {
    check_private(path)?;
    let damaged = || StoreFailed(format!("`{}` is not a key of 32 bytes; restore it from a backup or make a new home", path.display()));
    let bytes = lock::unseal(path, read_key_file(path, damaged)?)?;
    Secret::try_init_with(|secret| bytes.as_slice().try_into().map(|bytes: &[u8; 32]| secret.copy_from_slice(bytes))).map_err(|_| damaged())
}

/// That nobody but the owner can read `path`.
pub(super) fn check_private(path: &Path) -> Result<(), StoreFailed> {
    let metadata = fs::metadata(path).map_err(|error| fail("read", path, &error))?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            let private = if metadata.is_dir() { "700" } else { "600" };
            return Err(StoreFailed(format!(
                "`{}` can be read by others (mode {:03o}): its keys may be known; `chmod {private}` it, or better make a new home",
                path.display(),
                mode & 0o777
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever owns a folder decides what is in it. A pipe that nobody writes to would be waited for, and zeroes have no end.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_no_file_or_has_no_end_is_not_read() -> Result<(), Box<dyn std::error::Error>> {
        let folder = std::env::temp_dir().join(format!("sealwire-read-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let [pipe, endless, long, whole] = ["pipe", "endless", "long", "whole"].map(|name| folder.join(name));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status()?.success());
        std::os::unix::fs::symlink("/dev/zero", &endless)?;
        fs::write(&long, [7; 11])?;
        fs::write(&whole, [7; 10])?;
        let refused = |path: &Path| read(path, 10).err().map(|error| error.kind());
        assert_eq!(refused(&pipe), Some(io::ErrorKind::InvalidInput));
        assert_eq!(refused(&endless), Some(io::ErrorKind::InvalidInput));
        assert_eq!(refused(&long), Some(io::ErrorKind::FileTooLarge));
        assert_eq!(*read(&whole, 10)?, [7; 10]);
        // One that grows after it was measured, as those of /proc do: they say that they are empty.
        assert_eq!(refused(Path::new("/proc/self/status")), Some(io::ErrorKind::FileTooLarge));
        fs::remove_dir_all(&folder)?;
        Ok(())
    }
}
