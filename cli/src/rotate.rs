//! `sealwire rotate`: replaces keys.

use std::path::Path;

use sealwire::Home;
use serde_json::json;

use crate::{
    arguments::Rotate,
    failure::{Failure, membership},
    passphrase,
    terminal::Report,
    time::now,
};

pub(crate) fn rotate(rotate: &Rotate) -> Result<Report, Failure> {
    match (&rotate.agent, &rotate.next_root, &rotate.root) {
        (Some(agent), ..) => rotate_agent(rotate, agent),
        (_, Some(file), _) => name_next_root(rotate, file),
        (.., Some(file)) => succeed_root(rotate, file),
        _ if rotate.passphrase => set_passphrase(rotate),
        _ => Err(Failure::not_started("say what to rotate: --agent, --next-root or --root")),
    }
}

fn set_passphrase(rotate: &Rotate) -> Result<Report, Failure> {
    let home = Home::at(&rotate.home).map_err(Failure::not_started)?;
    let before = home.is_locked();
    let passphrase = passphrase::new(rotate.new_passphrase_file.as_deref())?;
    home.set_passphrase(&passphrase).map_err(Failure::refused)?;
    if rotate.json {
        return Ok(Report::done(json!({ "home": rotate.home.display().to_string(), "locked_before": before }).to_string()));
    }
    let home = rotate.home.display();
    Ok(Report::done(if before {
        format!("{home} has another passphrase; a copy that was made before still opens with the old one")
    } else {
        format!(
            "{home} is locked with a passphrase; its keys may still be found in copies, and in what the disk keeps of files that were replaced"
        )
    }))
}

fn rotate_agent(rotate: &Rotate, agent: &str) -> Result<Report, Failure> {
    let (home, mut known) = membership(&rotate.home)?;
    let (old, new) = home.renew_agent(agent)?;
    let here = known.holds_root();
    if here {
        known.revoke_key(old, now())?;
    }
    if rotate.json {
        let done = json!({ "agent": agent, "old_key": old.to_string(), "key": new.to_string(), "old_key_revoked": here });
        return Ok(Report::done(done.to_string()));
    }
    let old = if here {
        format!("the old one, {old}, is revoked")
    } else {
        format!("where the root key is, `sealwire revoke {old}` ends the old one")
    };
    Ok(Report::done(format!("{agent}@{} has a new key, {new}; {old}. Restart what runs the agent", known.node())))
}

fn name_next_root(rotate: &Rotate, file: &Path) -> Result<Report, Failure> {
    let (_, mut known) = membership(&rotate.home)?;
    known.name_next_root(file, now())?;
    let (file, version) = (file.display().to_string(), known.roster().version());
    if rotate.json {
        return Ok(Report::done(json!({ "next_root": file, "roster": version }).to_string()));
    }
    Ok(Report::done(format!(
        "roster version {version} names the next root. Its key is in {file}: keep it off this machine, in two places. Whoever has it can take the domain \
         over, and without it nobody can; `sealwire rotate --root {file}` does it, once every node has this roster"
    )))
}

fn succeed_root(rotate: &Rotate, file: &Path) -> Result<Report, Failure> {
    let (_, mut known) = membership(&rotate.home)?;
    known.succeed_root(file, now())?;
    let (version, root) = (known.roster().version(), known.roster().root().thumbprint());
    if rotate.json {
        return Ok(Report::done(json!({ "root": root.to_string(), "roster": version }).to_string()));
    }
    Ok(Report::done(format!(
        "roster version {version} is signed by the new root, {root}; its key has taken the old one's place in this home. Nodes that had the roster before \
         follow by themselves; others must be invited again. Name the next root now: `sealwire rotate --next-root FILE`"
    )))
}
