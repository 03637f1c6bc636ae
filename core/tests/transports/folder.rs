//! A folder that goes with its test.

use std::{
    io,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sealwire-transports-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
