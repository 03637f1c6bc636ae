//! The passphrase of a home: from a file, or asked for on a terminal. The environment variables are the core's.

use std::{
    env,
    io::{IsTerminal, stderr},
    path::Path,
};

use sealwire::Home;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Whether somebody may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    OnTerminal,
    Nobody,
}

/// Unlocks the home at `path`, if there is one and it is locked.
pub(crate) fn unlock(path: &Path, file: Option<&Path>, ask: Ask) -> Result<(), Failure> {
    let Ok(home) = Home::at(path) else { return Ok(()) };
    if !home.is_locked() {
        return Ok(());
    }
    let passphrase = match file {
        Some(file) => Home::read_passphrase(file).map_err(Failure::not_started)?,
        None if is_in_environment() || ask == Ask::Nobody || !stderr().is_terminal() => return Ok(()),
        None => prompt(&format!("passphrase of {}: ", path.display()))?,
    };
    home.unlock(&passphrase).map_err(Failure::refused)
}

/// A new passphrase. Asked for twice, as nobody sees what is typed.
pub(crate) fn new(file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    if let Some(file) = file {
        return Home::read_passphrase(file).map_err(Failure::not_started);
    }
    if !stderr().is_terminal() {
        return Err(Failure::not_started("there is no terminal to ask for a passphrase on; give it in a file"));
    }
    let first = prompt("new passphrase: ")?;
    if *first != *prompt("once more: ")? {
        return Err(Failure::not_started("the two passphrases differ; nothing was changed"));
    }
    Ok(first)
}

fn prompt(text: &str) -> Result<Zeroizing<String>, Failure> {
    let read = rpassword::prompt_password(text).map(Zeroizing::new);
    read.map_err(|error| Failure::not_started(format!("cannot ask for the passphrase: {error}")))
}

fn is_in_environment() -> bool {
    ["SEALWIRE_PASSPHRASE", "SEALWIRE_PASSPHRASE_FILE"].iter().any(|name| env::var_os(name).is_some())
}
