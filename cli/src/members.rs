//! `sealwire members`: the nodes of the domain.

use sealwire::{Home, Membership, RosterNode};
use serde_json::json;

use crate::{
    arguments::Members,
    failure::{Failure, membership},
    paint::Paint,
    terminal::Report,
    time::{now, said, utc},
};

pub(crate) fn members(members: &Members) -> Result<Report, Failure> {
    let (home, mut known) = membership(&members.home)?;
    if let Some(node) = &members.node {
        known.set_addresses(node, members.at.clone(), now())?;
    }
    let text = if members.json { json(&home, &known)? } else { text(&home, &known, Paint::for_stdout())? };
    Ok(Report::done(text))
}

fn text(home: &Home, known: &Membership, paint: Paint) -> Result<String, Failure> {
    let roster = known.roster();
    let rows = roster.claims().nodes.iter().map(|node| row(node, known.node()));
    let heads = ["NODE", "AGENTS", "ADDRESSES", "KEY"].map(str::to_owned);
    let mut lines = table(&[vec![heads], rows.collect()].concat());
    if let Some(heads) = lines.first_mut() {
        *heads = paint.bold(heads);
    }
    let root = if known.holds_root() { "the root key is here" } else { "the root key is elsewhere" };
    let left = roster.expires().saturating_sub(now());
    let end = if left == 0 { paint.bad("has ended") } else { format!("ends in {}", said(left)) };
    let revoked = roster.claims().revoked.len();
    lines.push(paint.dim(&format!("roster version {}, {end}; {revoked} keys revoked; {root}", roster.version())));
    for (agent, key) in home.agent_keys().map_err(Failure::refused)? {
        let state = if roster.is_revoked(&key) { paint.bad(", revoked") } else { String::new() };
        lines.push(format!("{agent}@{}  key {key}{state}", known.node()));
    }
    Ok(lines.join("\n"))
}

fn row(node: &RosterNode, own: &str) -> [String; 4] {
    let or_none = |words: &[String]| if words.is_empty() { "-".to_owned() } else { words.join(" ") };
    let name = if node.name == own { format!("{} (this)", node.name) } else { node.name.clone() };
    let key: String = node.key.thumbprint().to_string().chars().take(16).collect();
    [name, or_none(&node.hosts), or_none(&node.addresses), format!("{key}…")]
}

/// Columns as wide as their widest entry.
fn table(rows: &[[String; 4]]) -> Vec<String> {
    let width = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(String::len).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), 0];
    let line = |row: &[String; 4]| row.iter().zip(widths).map(|(entry, width)| format!("{entry:width$}")).collect::<Vec<_>>().join("  ");
    rows.iter().map(line).collect()
}

fn json(home: &Home, known: &Membership) -> Result<String, Failure> {
    let roster = known.roster();
    let nodes = roster.claims().nodes.iter().map(|node| {
        let key = node.key.thumbprint().to_string();
        json!({ "name": node.name, "key": key, "agents": node.hosts, "addresses": node.addresses, "clearances": node.clearances })
    });
    let agents = home
        .agent_keys()
        .map_err(Failure::refused)?
        .into_iter()
        .map(|(name, key)| json!({ "name": name, "key": key.to_string(), "revoked": roster.is_revoked(&key) }));
    let revoked = roster.claims().revoked.iter().map(ToString::to_string);
    Ok(json!({
        "node": known.node(),
        "domain": known.domain().to_string(),
        "holds_root": known.holds_root(),
        "roster": { "version": roster.version(), "issued": utc(roster.issued()), "expires": utc(roster.expires()) },
        "nodes": nodes.collect::<Vec<_>>(),
        "agents": agents.collect::<Vec<_>>(),
        "revoked": revoked.collect::<Vec<_>>(),
    })
    .to_string())
}
