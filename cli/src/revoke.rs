//! `sealwire revoke`: ends the trust in a node, an agent or a key.

use sealwire::{Address, Thumbprint};
use serde_json::json;

use crate::{
    arguments::Revoke,
    failure::{Failure, membership},
    terminal::Report,
    time::now,
    visit,
};

pub(crate) fn revoke(revoke: &Revoke) -> Result<Report, Failure> {
    let (_, mut known) = membership(&revoke.home)?;
    let what = revoke.what.as_str();
    let key = if let Some(key) = thumbprint(what) {
        known.revoke_key(key, now())?;
        key
    } else if what.contains('@') {
        let agent: Address = what.parse().map_err(Failure::not_started)?;
        known.revoke_agent(&agent, now())?
    } else {
        known.revoke_node(what, now())?
    };
    let version = known.roster().version();
    // It is revoked, whoever can be told of it now.
    let (called, told) = visit::tell_roster(&known).unwrap_or_default();
    let (told, untold): (Vec<_>, Vec<_>) = called.into_iter().partition(|node| told.contains(node));
    if revoke.json {
        let revoked = json!({ "revoked": what, "key": key.to_string(), "roster": version, "told": told, "untold": untold });
        return Ok(Report::done(revoked.to_string()));
    }
    Ok(Report::done(format!("revoked {what}, key {key}, in roster version {version}; {}", spread(&told, &untold))))
}

/// Who knows it, and when the others will.
fn spread(told: &[String], untold: &[String]) -> String {
    let names = |nodes: &[String]| nodes.iter().map(|node| format!("`{node}`")).collect::<Vec<_>>().join(", ");
    let later = "nodes that do not know it yet take it from each other when they talk";
    match (told, untold) {
        ([], []) => later.into(),
        (told, []) => format!("{} took it; {later}", names(told)),
        ([], untold) => format!("{} did not answer; {later}", names(untold)),
        (told, untold) => format!("{} took it, {} did not answer; {later}", names(told), names(untold)),
    }
}

/// 64 hexadecimal digits.
fn thumbprint(text: &str) -> Option<Thumbprint> {
    let digits = text.bytes().map(|digit| char::from(digit).to_digit(16)).collect::<Option<Vec<_>>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | *digit as u8)).collect();
    let whole = text.len() == 64;
    bytes.try_into().ok().filter(|_| whole).map(Thumbprint::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::thumbprint;

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(thumbprint(&text).map(|key| key.to_string()), Some(text.clone()));
        assert!(["", "pi2", &text[1..], &format!("{text}0"), &text.replace('0', "g")].iter().all(|text| thumbprint(text).is_none()));
    }
}
