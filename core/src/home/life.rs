//! One life of one journal: a marker in volatile storage that tells whether the journal is the one this machine wrote last.
//!
//! A restored backup, a copied home and a reboot all leave a marker that does not match, or none. The receive keys are burned then: what was
//! sealed for them before cannot be opened by a journal that has forgotten it (SPEC.md, "One life of one journal").

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{files::create_private, io_error};

/// Name of a life, made at random.
pub(super) type LifeId = [u8; 16];

const MARKER_LEN: usize = 24;

/// Where and how far: a life and the number of transactions in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) life: LifeId,
    pub(super) sequence: u64,
}

impl Mark {
    /// Whether a journal at `self` can be the one that wrote `marker` last. It may be ahead, never behind.
    pub(super) fn continues(&self, marker: &Self) -> bool {
        self.life == marker.life && self.sequence >= marker.sequence
    }
}

/// The marker of one journal. Without volatile storage on this system there is none, and each start is a new life.
pub(super) struct Marker {
    file: Option<File>,
}

impl Marker {
    /// The marker of the journal at `store`: one for each file on this machine, so that a copy does not find the original's.
    pub(super) fn of(store: &Path) -> io::Result<Self> {
        let Some(folder) = volatile_folder() else { return Ok(Self { file: None }) };
        let path = folder.join(name(store)?);
        Ok(Self { file: Some(open_own(&path)?) })
    }

    pub(super) fn read(&self) -> io::Result<Option<Mark>> {
        let Some(file) = &self.file else { return Ok(None) };
        let mut bytes = [0; MARKER_LEN];
        let length = read_at(file, &mut bytes)?;
        if length < MARKER_LEN {
            return Ok(None);
        }
        let (life, sequence) = bytes.split_first_chunk::<16>().ok_or_else(|| io_error("marker too short"))?;
        let sequence = sequence.try_into().map(u64::from_be_bytes).map_err(|_| io_error("marker too short"))?;
        Ok(Some(Mark { life: *life, sequence }))
    }

    /// Written before the transaction commits: if the process dies in between, the journal is behind its marker and its keys are burned,
    /// which costs a resealing; the other way round it would cost a replay.
    pub(super) fn write(&self, mark: Mark) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut bytes = [0; MARKER_LEN];
        let (life, sequence) = bytes.split_at_mut(16);
        life.copy_from_slice(&mark.life);
        sequence.copy_from_slice(&mark.sequence.to_be_bytes());
        write_at(file, &bytes)
    }

    /// Whether the file is gone, as when a login session ends on systems that clear its memory: another process will make a new one, and
    /// two that each trust their own would burn each other's keys for ever.
    pub(super) fn is_unlinked(&self) -> bool {
        self.file.as_ref().is_some_and(|file| links(file) == 0)
    }

    /// Whether this system has storage that a reboot empties.
    pub(super) fn is_kept(&self) -> bool {
        self.file.is_some()
    }
}

/// Memory that looks like a folder, on Linux.
fn volatile_folder() -> Option<PathBuf> {
    let folder = Path::new("/dev/shm");
    (cfg!(target_os = "linux") && folder.is_dir()).then(|| folder.to_path_buf())
}

#[cfg(unix)]
fn name(store: &Path) -> io::Result<String> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(store)?;
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut hash = Sha256::new_with_prefix(boot);
    for part in [metadata.dev(), metadata.ino(), u64::from(metadata.uid())] {
        hash.update(part.to_be_bytes());
    }
    let digest: [u8; 32] = hash.finalize().into();
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sealwire-{hex}"))
}

#[cfg(not(unix))]
fn name(_: &Path) -> io::Result<String> {
    Err(io_error("no volatile storage on this system"))
}

/// Opens or makes the marker; one that belongs to somebody else is refused, as it could be forged.
#[cfg(unix)]
fn open_own(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::MetadataExt;

    match create_private(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (ours, theirs, named) = (fs::metadata("/proc/self")?.uid(), file.metadata()?, fs::symlink_metadata(path)?);
    let itself = named.is_file() && (named.dev(), named.ino()) == (theirs.dev(), theirs.ino());
    if itself && theirs.uid() == ours && theirs.mode() & 0o077 == 0 {
        Ok(file)
    } else {
        Err(io_error(format!("`{}` is a link or belongs to another user; remove it", path.display())))
    }
}

#[cfg(not(unix))]
fn open_own(_: &Path) -> io::Result<File> {
    Err(io_error("no volatile storage on this system"))
}

#[cfg(unix)]
fn links(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| std::os::unix::fs::MetadataExt::nlink(&metadata))
}

#[cfg(not(unix))]
fn links(_: &File) -> u64 {
    1
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, bytes, 0)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn read_at(_: &File, _: &mut [u8]) -> io::Result<usize> {
    Ok(0)
}

#[cfg(not(unix))]
fn write_at(_: &File, _: &[u8]) -> io::Result<()> {
    Ok(())
}
