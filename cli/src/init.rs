//! `sealwire init`: makes a home.

use std::path::Path;

use sealwire::{Created, Endpoint, EndpointError, Home};
use serde_json::json;

use crate::{arguments::Init, failure::Failure, passphrase, terminal::Report};

/// Name of a node that nobody named.
pub(crate) const NODE: &str = "local";

pub(crate) fn init(init: &Init, passphrase_file: Option<&Path>) -> Result<Report, Failure> {
    let (home, created) = make(init, passphrase_file)?;
    let inspector = Endpoint::builder().inspector(&home).map_err(failure)?;
    let (node, domain, place) = (inspector.node(), inspector.domain().to_string(), init.home.display().to_string());
    if let Some(asked) = init.node.as_deref().filter(|asked| *asked != node) {
        return Err(Failure::refused(format!(
            "`{place}` is a home of node `{node}`, not `{asked}`; a node keeps its name: choose another place with --home"
        )));
    }
    if init.json {
        let made = json!({ "home": place, "created": created == Created::Now, "node": node, "domain": domain });
        return Ok(Report::done(made.to_string()));
    }
    let short = domain.get(..16).unwrap_or(&domain);
    Ok(Report::done(match created {
        Created::Now => format!("made a home: {place} (node `{node}`, domain {short}…)"),
        Created::Before => format!("{place} is a home already (node `{node}`, domain {short}…)"),
    }))
}

fn make(init: &Init, passphrase_file: Option<&Path>) -> Result<(Home, Created), Failure> {
    let node = init.node.as_deref().unwrap_or(NODE);
    if !init.passphrase || Home::at(&init.home).is_ok() {
        return Home::init(&init.home, node).map_err(failure);
    }
    let passphrase = passphrase::new(passphrase_file)?;
    Home::init_locked(&init.home, node, &passphrase).map_err(failure)
}

fn failure(error: EndpointError) -> Failure {
    match error {
        EndpointError::Invalid(_) => Failure::not_started(format!("--node: {error}")),
        _ => Failure::refused(error),
    }
}
