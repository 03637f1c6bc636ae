//! `sealwire invite`: lets another machine join the domain.

use std::net::{IpAddr, SocketAddr, TcpListener};

use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use sealwire::{
    Created, Endpoint, Home,
    pairing::{Admitted, MAX_INVITE_ADDRESSES, Offer, PAIRING_PORT, Terms},
};

use crate::{
    arguments::Invite,
    failure::Failure,
    init::NODE,
    join::read_invite,
    paint::Paint,
    terminal::{Report, say, tell},
    time::{now, said},
};

pub(crate) fn invite(invite: &Invite) -> Result<Report, Failure> {
    let home = home(invite)?;
    let listener = listen(invite.listen.as_deref())?;
    let offer = match (&invite.resume, &invite.node) {
        (Some(file), _) => Offer::resume(&home, listener, read_invite(file)?)?,
        (None, node) => {
            let addresses = addresses(&home, invite, &listener)?;
            let patterns = if invite.agents.is_empty() { vec!["*".into()] } else { invite.agents.clone() };
            let terms = Terms { node: node.clone().unwrap_or_default(), patterns, lifetime: invite.expires };
            Offer::make(&home, listener, addresses, terms)?
        }
    };
    show(&offer, invite)?;
    let admitted = offer.wait(|from, error| tell(&format!("a try from {from} failed: {error}")))?;
    tell(&done(&admitted));
    Ok(Report::done(String::new()))
}

/// The home that is there, or a new one, so that a machine's first command can be this one.
fn home(invite: &Invite) -> Result<Home, Failure> {
    if invite.resume.is_some() {
        return Home::at(&invite.home).map_err(Failure::not_started);
    }
    let (_, created) = Endpoint::builder().home_or_init(&invite.home, invite.name.as_deref().unwrap_or(NODE))?;
    let home = Home::at(&invite.home).map_err(Failure::not_started)?;
    let membership = home.membership().map_err(Failure::refused)?;
    let (node, place) = (membership.node(), invite.home.display());
    match invite.name.as_deref() {
        Some(name) if name != node => {
            return Err(Failure::refused(format!("`{place}` is a home of node `{node}`, not `{name}`; a node keeps its name")));
        }
        _ if created == Created::Now => {
            tell(&format!("made a home: {place} (node `{node}`); it holds the root key of a new domain: back it up"))
        }
        _ => {}
    }
    Ok(home)
}

fn listen(asked: Option<&str>) -> Result<TcpListener, Failure> {
    if let Some(asked) = asked {
        let listener = TcpListener::bind(asked);
        return listener
            .map_err(|error| Failure::not_started(format!("cannot wait at `{asked}`: {error}; name another place with --listen")));
    }
    // All addresses of both kinds, or of the old kind where there is no other; a port that is taken is none to wait for.
    let places = [("::", PAIRING_PORT), ("0.0.0.0", PAIRING_PORT), ("::", 0), ("0.0.0.0", 0)];
    let listener = places.iter().find_map(|place| TcpListener::bind(place).ok());
    listener.ok_or_else(|| Failure::refused("cannot wait at any port of this machine; name one with --listen"))
}

/// Where the joiner will find this machine: what was said, or what the listener and this machine's interfaces tell.
fn addresses(home: &Home, invite: &Invite, listener: &TcpListener) -> Result<Vec<String>, Failure> {
    let local = listener.local_addr().map_err(|error| Failure::refused(format!("cannot wait for the other machine: {error}")))?;
    if !invite.at.is_empty() {
        return Ok(invite.at.iter().map(|at| with_port(at, local.port())).collect());
    }
    if !local.ip().is_unspecified() {
        return Ok(vec![local.to_string()]);
    }
    let mut ips: Vec<_> = if_addrs::get_if_addrs().unwrap_or_default().iter().map(if_addrs::Interface::ip).filter(can_be_called).collect();
    let listed = listed_ips(home);
    ips.sort_by_key(|ip| (!listed.contains(ip), ip.is_loopback(), ip.is_ipv6()));
    ips.dedup();
    if ips.iter().any(|ip| !ip.is_loopback()) {
        ips.retain(|ip| !ip.is_loopback());
    } else {
        tell("this machine has no address that another one could call; the invite serves on this machine only (--at names others)");
    }
    ips.truncate(MAX_INVITE_ADDRESSES);
    Ok(ips.into_iter().map(|ip| SocketAddr::new(ip, local.port()).to_string()).collect())
}

/// A link-local address says nothing without its interface, which is another one there.
fn can_be_called(ip: &IpAddr) -> bool {
    !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) && !ip.is_unspecified()
}

/// The addresses this node has in the roster: others reach it there.
fn listed_ips(home: &Home) -> Vec<IpAddr> {
    let Ok(membership) = home.membership() else { return Vec::new() };
    let addresses = membership.roster().node(membership.node()).map(|node| node.addresses.clone()).unwrap_or_default();
    addresses.iter().filter_map(|address| address.split_once("://")?.1.parse::<SocketAddr>().ok()).map(|address| address.ip()).collect()
}

fn with_port(at: &str, port: u16) -> String {
    let bare_v6 = at.parse::<std::net::Ipv6Addr>().is_ok();
    let has_port = !bare_v6 && at.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match (has_port, bare_v6) {
        (true, _) => at.to_owned(),
        (false, true) => format!("[{at}]:{port}"),
        (false, false) => format!("{at}:{port}"),
    }
}

/// The line, and to people what to do with it.
fn show(offer: &Offer, asked: &Invite) -> Result<(), Failure> {
    let invite = offer.invite();
    let text = invite.to_text();
    let left = invite.expires().saturating_sub(now());
    let patterns = offer.patterns().iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(", ");
    tell(&format!("`{}` may join within {}, and host agents named {patterns}. On the other machine:", invite.node(), said(left)));
    tell("  sealwire join -      and paste this line, which is a secret until it is used:");
    say(&text).map_err(|error| Failure::refused(format!("cannot print the invite: {error}")))?;
    if asked.qr {
        tell(&qr(&text, Paint::for_stderr())?);
    }
    tell(&format!("waiting at {}; interrupt to withdraw it", invite.addresses().join(", ")));
    Ok(())
}

/// A QR code of half blocks. In capitals the line needs 5.5 bits a character instead of 8.
fn qr(text: &str, paint: Paint) -> Result<String, Failure> {
    let code = QrCode::with_error_correction_level(text.to_ascii_uppercase(), EcLevel::L);
    let code = code.map_err(|_| Failure::refused("the invite is too long for a QR code: name fewer addresses with --at"))?;
    // On a terminal the colours are set; elsewhere dark is what is not printed, as most screens are dark.
    let (dark, light) = if paint.is_on() { (Dense1x2::Dark, Dense1x2::Light) } else { (Dense1x2::Light, Dense1x2::Dark) };
    let drawn = code.render::<Dense1x2>().dark_color(light).light_color(dark).quiet_zone(true).build();
    Ok(drawn.lines().map(|line| paint.black_on_white(line)).collect::<Vec<_>>().join("\n"))
}

fn done(admitted: &Admitted) -> String {
    let Admitted { node, roster, from, .. } = admitted;
    let reached =
        if node.addresses.is_empty() { "no address yet: `sealwire members --at` sets it".into() } else { node.addresses.join(", ") };
    format!("`{}` joined from {from}: listed in roster version {roster}, key {}, {reached}", node.name, node.key.thumbprint())
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn a_port_is_added_where_there_is_none() {
        let added = ["pi1.local", "10.0.0.3", "10.0.0.3:99", "fd00::1", "[fd00::1]:99", "pi1:99"].map(|at| with_port(at, 7));
        assert_eq!(added, ["pi1.local:7", "10.0.0.3:7", "10.0.0.3:99", "[fd00::1]:7", "[fd00::1]:99", "pi1:99"]);
    }
}
