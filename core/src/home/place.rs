//! [`Place`]: where a test makes a home, which is removed with it.

pub(crate) struct Place(pub(crate) std::path::PathBuf);

impl Place {
    /// One for each name; of each process its own.
    pub(crate) fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("sealwire-home-{name}-{}", std::process::id())))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}
