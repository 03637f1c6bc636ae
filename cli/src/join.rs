//! `sealwire join`: uses an invite.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal},
    path::Path,
};

use sealwire::pairing::{self, Invite, PairingError};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    arguments::Join,
    failure::Failure,
    terminal::{Report, tell},
};

/// Bytes that are read in search of an invite: the longest has half of it.
const MAX_INPUT: u64 = 4096;

pub(crate) fn join(join: &Join) -> Result<Report, Failure> {
    let invite = invite(&join.invite)?;
    let asked = pairing::Join { hosts: join.agents.clone(), addresses: (!join.at.is_empty()).then(|| join.at.clone()) };
    let joined = pairing::join(&invite, &join.home, &asked)?;
    let (membership, home) = (&joined.membership, join.home.display());
    let (node, domain) = (membership.node(), membership.domain().to_string());
    let roster = membership.roster();
    if join.json {
        let made = json!({ "home": home.to_string(), "node": node, "domain": domain, "roster": roster.version() });
        return Ok(Report::done(made.to_string()));
    }
    let short = domain.get(..16).unwrap_or(&domain);
    let others = roster.claims().nodes.iter().filter(|other| other.name != node).map(|other| format!("`{}`", other.name));
    let others = others.collect::<Vec<_>>().join(", ");
    Ok(Report::done(format!(
        "joined as node `{node}`: {home} (domain {short}…, with {others}); `sealwire doctor` looks whether all is well"
    )))
}

/// The invite in an argument: the line itself, or where it is.
fn invite(argument: &Path) -> Result<Invite, Failure> {
    match argument.to_str().filter(|text| text.to_ascii_lowercase().starts_with("sealwire-invite-")) {
        Some(text) => {
            tell("the invite stands in the shell's history and the list of processes now; `sealwire join -` reads it unseen");
            Ok(text.parse()?)
        }
        None => read_invite(argument),
    }
}

/// The invite in a file, or the first one on standard input.
pub(crate) fn read_invite(file: &Path) -> Result<Invite, Failure> {
    if file.as_os_str() == "-" {
        if io::stdin().is_terminal() {
            tell("paste the invite, then press Enter:");
        }
        return read_from(io::stdin().lock());
    }
    let named = file.display();
    let opened = File::open(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::not_started(format!("there is no file `{named}`, and it is no invite; `-` reads one from standard input"))
        }
        _ => Failure::not_started(format!("cannot read `{named}`: {error}")),
    })?;
    read_from(BufReader::new(opened))
}

/// Reads line by line until they are a whole invite: who pipes it may keep the pipe open, and chats break long lines.
fn read_from(input: impl BufRead) -> Result<Invite, Failure> {
    let mut input = input.take(MAX_INPUT);
    let mut text = Zeroizing::new(String::with_capacity(MAX_INPUT as usize));
    let mut last = PairingError::Mistyped("there is none");
    loop {
        let read = input.read_line(&mut text).map_err(|error| Failure::not_started(format!("cannot read the invite: {error}")))?;
        if text.trim().is_empty() && read > 0 {
            continue;
        }
        if read == 0 {
            return Err(last.into());
        }
        match text.parse() {
            Ok(invite) => return Ok(invite),
            Err(error) => last = error,
        }
    }
}
