//! Running the command, in a folder of its own.
#![allow(dead_code, unreachable_pub, reason = "each test program is compiled with all of it and uses a part")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use sealwire::{Address, Draft, Endpoint, Sealed};

pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A folder of its own for each test, gone at its end.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sealwire-cli-{}-{unique}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap_or(self.path()))?;
        fs::write(&path, bytes)?;
        Ok(path)
    }

    /// The command, to be run in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealwire"));
        command
            .current_dir(&self.0)
            .args(arguments)
            .env_remove("VIRTUAL_ENV")
            .env_remove("PYTHONPATH")
            .env_remove("NO_COLOR")
            .env_remove("SEALWIRE_VIA")
            .env_remove("SEALWIRE_PASSPHRASE")
            .env_remove("SEALWIRE_PASSPHRASE_FILE");
        command
    }

    /// Runs the command and tells exit code, standard output and standard error.
    pub fn run(&self, arguments: &[&str]) -> io::Result<Said> {
        self.command(arguments).output().map(Said::from)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// What a command said.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Two agents in a home.
pub struct Crew {
    pub endpoint: Endpoint,
    pub a: Address,
    pub b: Address,
}

impl Crew {
    pub fn at(home: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let (endpoint, _) = Endpoint::builder().home_or_init(home, "local")?;
        let (a, b) = (endpoint.host("researcher")?, endpoint.host("writer")?);
        Ok(Self { endpoint, a, b })
    }

    pub fn seal(&self, body: impl AsRef<[u8]>) -> Result<Sealed, Box<dyn std::error::Error>> {
        let draft = Draft::new("result", body).label("pii").content_type("text/plain");
        Ok(self.endpoint.seal(&self.a, &self.b, &draft)?)
    }
}
