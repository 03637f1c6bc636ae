//! [`Worker`]: a process that works on messages of this home, for as long as it lives.
//!
//! What it has taken over bears its name. A file that it keeps locked tells others that it lives; the system lets go of the lock when the
//! process ends, however it ends, and then whoever comes next takes over what it left.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::files::{self, create_private, fail};
use crate::{
    entropy::{Entropy, random},
    error::StoreFailed,
};

/// Folder of the lock files, in the home.
const WORKERS: &str = "workers";

/// Name of a worker, made at random.
pub(super) type WorkerId = [u8; 16];

pub(super) struct Worker {
    pub(super) id: WorkerId,
    /// Turns it has had: each thing it takes over has one.
    pub(super) turns: i64,
    path: PathBuf,
    process: u32,
    /// Locked until it is closed.
    _lock: File,
}

impl Worker {
    pub(super) fn begin(home: &Path, entropy: &dyn Entropy) -> Result<Self, StoreFailed> {
        let folder = home.join(WORKERS);
        if !folder.exists() {
            files::make_folder(&folder).or_else(|error| if folder.exists() { Ok(()) } else { Err(error) })?;
        }
        let id = random::<16>(entropy).map_err(|error| StoreFailed(error.to_string()))?;
        let path = path_of(home, &id);
        let lock = create_private(&path).and_then(|file| file.lock().map(|()| file)).map_err(|error| fail("make", &path, &error))?;
        Ok(Self { id, turns: 0, path, process: std::process::id(), _lock: lock })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // In a child made by fork the worker is still the parent.
        if self.process == std::process::id() {
            let _left_behind = fs::remove_file(&self.path);
        }
    }
}

/// Whether the worker of that name is gone. Its file is removed then.
pub(super) fn has_ended(home: &Path, id: &WorkerId) -> Result<bool, StoreFailed> {
    let path = path_of(home, id);
    let file = match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(fail("open", &path, &error)),
    };
    match file.try_lock() {
        Ok(()) => {
            let _gone_already = fs::remove_file(&path);
            Ok(true)
        }
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(fail("lock", &path, &error)),
    }
}

fn path_of(home: &Path, id: &WorkerId) -> PathBuf {
    let name: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    home.join(WORKERS).join(name)
}
