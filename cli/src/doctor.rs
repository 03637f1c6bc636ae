//! `sealwire doctor`: what keeps a node from working, and what to do about it.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::Path,
    thread,
    time::{Duration, UNIX_EPOCH},
};

use sealwire::{Endpoint, Home, Membership, RosterNode, node::Clock};
use serde_json::json;

use crate::{
    DONE, REFUSED,
    arguments::Doctor,
    broker::{self, Greeting},
    failure::Failure,
    paint::Paint,
    terminal::Report,
    time::{now, said},
    visit,
};

/// Time another node has to take a connection.
const REACH: Duration = Duration::from_secs(3);

/// Seconds before a roster's end at which a node that cannot renew it should ask.
const ENDS_SOON: u64 = 7 * 24 * 60 * 60;

/// Seconds a file may be newer than now: what two clocks may differ.
const AHEAD: u64 = 2 * 60;

/// Seconds that two clocks may seem to differ although they do not: answers are in whole seconds, and take their time.
const SAME: u64 = 5;

/// Bytes that a server has to take for the largest envelopes to pass.
const LARGEST: u64 = 17 * 1024 * 1024;

/// How a clock is set where systemd runs, as on a Raspberry Pi.
const SET: &str = "set it: `sudo timedatectl set-ntp true`";

/// One thing that was looked at.
struct Finding {
    what: String,
    state: State,
}

enum State {
    Well,
    /// Works, but somebody should know.
    Note(String),
    /// Does not work; what to do.
    Wrong(String),
}

impl Finding {
    fn well(what: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Well }
    }

    fn note(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Note(remedy.into()) }
    }

    fn wrong(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), state: State::Wrong(remedy.into()) }
    }
}

pub(crate) fn doctor(doctor: &Doctor) -> Result<Report, Failure> {
    let home = Home::at(&doctor.home).map_err(Failure::not_started)?;
    let mut findings = permissions(home.path());
    findings.push(clock(home.path()));
    match home.membership() {
        Err(error) => findings.push(Finding::wrong("the home cannot be used", error.to_string())),
        Ok(known) => {
            findings.push(Finding::well(format!("node `{}` is listed in roster version {}", known.node(), known.roster().version())));
            findings.push(roster(&known));
            findings.push(store(&home));
            findings.push(lock(&home));
            findings.extend(agents(&home, &known));
            match broker::named(home.path()) {
                Ok(Some(via)) => findings.extend(server(&via)),
                named => {
                    findings.extend(named.err().map(|why| Finding::wrong("the settings cannot be read", why)));
                    findings.extend(own_addresses(&known));
                    findings.extend(others(&known));
                    findings.extend(clocks(&known));
                }
            }
            findings.push(next_root(&known));
        }
    }
    let wrong = findings.iter().any(|finding| matches!(finding.state, State::Wrong(_)));
    let text = if doctor.json { json(&findings, wrong) } else { text(&findings, Paint::for_stdout()) };
    Ok(Report { text, code: if wrong { REFUSED } else { DONE } })
}

fn text(findings: &[Finding], paint: Paint) -> String {
    let line = |finding: &Finding| match &finding.state {
        State::Well => format!("{}  {}", paint.good("ok   "), finding.what),
        State::Note(remedy) => format!("{}  {}\n       {remedy}", paint.bold("note "), finding.what),
        State::Wrong(remedy) => format!("{}  {}\n       {remedy}", paint.bad("wrong"), finding.what),
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn json(findings: &[Finding], wrong: bool) -> String {
    let finding = |finding: &Finding| {
        let (state, remedy) = match &finding.state {
            State::Well => ("ok", None),
            State::Note(remedy) => ("note", Some(remedy)),
            State::Wrong(remedy) => ("wrong", Some(remedy)),
        };
        json!({ "what": finding.what, "state": state, "remedy": remedy })
    };
    json!({ "well": !wrong, "findings": findings.iter().map(finding).collect::<Vec<_>>() }).to_string()
}

/// That nobody else can read what is secret.
#[cfg(unix)]
fn permissions(home: &Path) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt;

    let folders = [home.to_path_buf(), home.join("agents"), home.join("invites")];
    let inside = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().filter_map(Result::ok).map(|file| file.path());
    let open = folders.iter().cloned().chain(inside).filter_map(|path| {
        let metadata = fs::metadata(&path).ok()?;
        let mode = metadata.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| {
            let private = if metadata.is_dir() { "700" } else { "600" };
            Finding::wrong(format!("others can use `{}` (mode {mode:03o})", path.display()), format!("chmod {private} {}", path.display()))
        })
    });
    let mut open: Vec<_> = open.collect();
    open.sort_by(|a, b| a.what.cmp(&b.what));
    open.dedup_by(|a, b| a.what == b.what);
    if open.is_empty() { vec![Finding::well("only this user can read the home")] } else { open }
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Vec<Finding> {
    Vec::new()
}

/// A clock that was set back shows by files from the future.
fn clock(home: &Path) -> Finding {
    let made = |name: &str| fs::metadata(home.join(name)).and_then(|metadata| metadata.modified()).ok();
    let newest = ["store.db", "roster.cbor", "node.pem"].iter().filter_map(|name| made(name)).max();
    let newest = newest.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs());
    match newest.checked_sub(now()) {
        Some(ahead) if ahead > AHEAD => Finding::wrong(
            format!("the clock was set back: the home was written {} from now", said(ahead)),
            "set the clock, or run a time service",
        ),
        _ => Finding::well("the clock is not behind the home's files"),
    }
}

fn roster(known: &Membership) -> Finding {
    let (roster, now) = (known.roster(), now());
    let ahead = roster.issued().saturating_sub(now);
    if ahead > AHEAD {
        let remedy = "set the clock of this machine, or of the one with the root key";
        return Finding::wrong(format!("the roster was made {} from now", said(ahead)), remedy);
    }
    let left = roster.expires().saturating_sub(now);
    let renew = "where the root key is, invite this node again, and here join again";
    match (known.holds_root(), left) {
        (true, _) => Finding::well("the roster is renewed here, where the root key is"),
        (false, 0) => Finding::wrong("the roster has ended", renew),
        (false, left) if left < ENDS_SOON => {
            Finding::note(format!("the roster ends in {}", said(left)), format!("if it does not change soon: {renew}"))
        }
        (false, left) => Finding::well(format!("the roster ends in {}", said(left))),
    }
}

/// That the store can be read, and is of a version that is known.
fn store(home: &Home) -> Finding {
    match Endpoint::builder().inspector(home) {
        Ok(_) => Finding::well("the store can be read"),
        Err(error) => Finding::wrong("the store cannot be used", error.to_string()),
    }
}

fn lock(home: &Home) -> Finding {
    let what = if home.is_locked() {
        "the home's keys are encrypted under a passphrase"
    } else {
        "the home has no passphrase; its files are private"
    };
    Finding::well(what)
}

fn agents(home: &Home, known: &Membership) -> Vec<Finding> {
    let keys = match home.agent_keys() {
        Ok(keys) => keys,
        Err(error) => return vec![Finding::wrong("a key cannot be read", error.to_string())],
    };
    let listed = known.roster().node(known.node());
    let finding = |(name, key): (String, _)| {
        if known.roster().is_revoked(&key) {
            return Some(Finding::wrong(format!("the key of `{name}` is revoked"), format!("sealwire rotate --agent {name}")));
        }
        let allowed = listed.is_none_or(|node| node.may_host(&name));
        let remedy = "invite this node again, with --agents for its name, and join again";
        (!allowed).then(|| Finding::wrong(format!("the roster does not let this node host `{name}`"), remedy))
    };
    keys.into_iter().filter_map(finding).collect()
}

/// The server that this node goes through.
fn server(via: &str) -> Vec<Finding> {
    // Not repeated: what stands before it is a password.
    if via.contains('@') {
        return vec![Finding::wrong("`via` holds a password, where others may read it", "put it into a file (docs/transports.md)")];
    }
    let Some(servers) = broker::servers(via) else {
        let what = format!("what the node goes through is not looked at: `{via}`");
        return vec![Finding::note(what, "only NATS servers are: nats://HOST:4222 or jetstream://HOST:4222")];
    };
    servers.places.iter().flat_map(|place| greeting(place, servers.with_jetstream)).collect()
}

fn greeting(place: &str, with_jetstream: bool) -> Vec<Finding> {
    let places = match resolve(place) {
        Ok(places) => places,
        Err(error) => {
            let what = format!("the server `{place}` has no meaning here: {error}");
            return vec![Finding::wrong(what, "correct `via` in sealwire.toml, or SEALWIRE_VIA")];
        }
    };
    let Some(said) = places.iter().find_map(|place| broker::greeting(place, REACH).ok()) else {
        let remedy = "is nats-server running there, and does a firewall let that port through?";
        return vec![Finding::wrong(format!("no server answers at `{place}`"), remedy)];
    };
    let Some(Greeting { version, has_jetstream, max_payload }) = said else {
        let remedy = "correct `via` in sealwire.toml, or SEALWIRE_VIA; a server that speaks TLS first says nothing that could be looked at";
        return vec![Finding::note(format!("what answers at `{place}` does not greet as a NATS server does"), remedy)];
    };
    if with_jetstream && !has_jetstream {
        let remedy = "add `jetstream { store_dir: \"/var/lib/nats\" }` to its configuration, or start it with `-js`";
        return vec![Finding::wrong(format!("the NATS server at `{place}` has no JetStream"), remedy)];
    }
    let mut findings = vec![Finding::well(format!("NATS server {version} answers at `{place}`"))];
    if max_payload < LARGEST {
        let remedy = format!("`max_payload: {LARGEST}` in its configuration, if larger messages are to pass (docs/transports.md)");
        findings.push(Finding::note(format!("the server at `{place}` takes messages up to {max_payload} bytes"), remedy));
    }
    findings
}

fn own_addresses(known: &Membership) -> Vec<Finding> {
    let Some(node) = known.roster().node(known.node()) else { return Vec::new() };
    if node.addresses.is_empty() {
        let what = "the roster has no address of this node: others cannot call it";
        let remedy = format!("where the root key is: sealwire members {} --at tcp://HOST:7451", node.name);
        // A node that calls others is answered over its own connection.
        return if known.roster().claims().nodes.len() > 1 { vec![Finding::note(what, remedy)] } else { Vec::new() };
    }
    let local: Vec<_> = if_addrs::get_if_addrs().unwrap_or_default().iter().map(if_addrs::Interface::ip).collect();
    let finding = |address: &String| {
        let Some(place) = host_and_port(address) else {
            return Finding::note(format!("`{address}` is not looked at"), "only tcp:// and tls:// are");
        };
        match resolve(place) {
            Err(error) => Finding::wrong(
                format!("this node's address `{address}` has no meaning here: {error}"),
                "correct it with `sealwire members --at`",
            ),
            Ok(places) if !places.iter().any(|place| local.contains(&place.ip())) => {
                let remedy = "if no router passes it on to this machine, correct it where the root key is, with `sealwire members --at`";
                Finding::note(format!("this node's address `{address}` is none of this machine"), remedy)
            }
            Ok(places) if connects(&places) => Finding::well(format!("something listens at this node's address `{address}`")),
            Ok(_) => {
                Finding::note(format!("nothing listens at this node's address `{address}`"), "start the node, if it should be running")
            }
        }
    };
    node.addresses.iter().map(finding).collect()
}

/// The other nodes, all at once: each that does not answer takes its time.
fn others(known: &Membership) -> Vec<Finding> {
    let others = known.roster().claims().nodes.iter().filter(|node| node.name != known.node()).cloned();
    let looks: Vec<_> = others.map(|node| (node.name.clone(), thread::spawn(move || reach(&node)))).collect();
    let found = looks
        .into_iter()
        .map(|(name, look)| look.join().unwrap_or_else(|_| Finding::note(format!("`{name}` was not looked at"), "try again")));
    found.collect()
}

fn reach(node: &RosterNode) -> Finding {
    let name = &node.name;
    let places: Vec<_> = node.addresses.iter().filter_map(|address| host_and_port(address)).collect();
    if places.is_empty() {
        let remedy = format!("if this node has to call it, where the root key is: sealwire members {name} --at tcp://HOST:7451");
        return Finding::note(format!("`{name}` has no tcp:// or tls:// address in the roster"), remedy);
    }
    let answers = places.iter().any(|place| resolve(place).is_ok_and(|places| connects(&places)));
    let shown = node.addresses.join(", ");
    if answers {
        Finding::well(format!("`{name}` answers at {shown}"))
    } else {
        let remedy =
            "is it running, and does a firewall let that port through? `sealwire members --at` corrects the address, where the root key is";
        Finding::wrong(format!("`{name}` does not answer at {shown}"), remedy)
    }
}

/// The clocks and programs of the nodes that run.
fn clocks(known: &Membership) -> Vec<Finding> {
    let clocks = match visit::clocks(known) {
        Ok(clocks) => BTreeMap::from_iter(clocks),
        Err(error) => return vec![Finding::note(format!("no clock was compared: {error}"), "try again")],
    };
    clocks.iter().flat_map(|(node, clock)| [difference(node, clock), version(node, clock)]).collect()
}

fn difference(node: &str, clock: &Clock) -> Finding {
    let off = clock.ahead.unsigned_abs();
    if off <= SAME {
        return Finding::well(format!("clock of `{node}` agrees with this one"));
    }
    let what = format!("clock of `{node}` is {clock}");
    if off <= AHEAD {
        return Finding::note(what, format!("over {} they do not talk; {SET}", said(AHEAD)));
    }
    Finding::wrong(format!("{what}; messages may differ by {}", said(AHEAD)), format!("on the machine whose clock is wrong, {SET}"))
}

fn version(node: &str, clock: &Clock) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    if clock.version == own {
        return Finding::well(format!("`{node}` runs version {own} of sealwire, as this machine does"));
    }
    let what = format!("`{node}` runs version {} of sealwire, this machine {own}", clock.version);
    Finding::note(what, "they understand each other as long as both say `sealwire/1`; install the newer one on both")
}

fn next_root(known: &Membership) -> Finding {
    match (known.roster().claims().next_root, known.holds_root()) {
        (Some(_), _) => Finding::well("the roster names the next root: a stolen root key can be replaced"),
        (None, true) => Finding::note(
            "no next root is named: should the root key be stolen, everything has to be paired anew",
            "sealwire rotate --next-root FILE",
        ),
        (None, false) => Finding::well("the root key is elsewhere"),
    }
}

fn host_and_port(address: &str) -> Option<&str> {
    address.split_once("://").filter(|(scheme, _)| ["tcp", "tls"].contains(scheme)).map(|(_, place)| place)
}

fn resolve(place: &str) -> Result<Vec<SocketAddr>, String> {
    let places: Vec<_> = place.to_socket_addrs().map_err(|error| error.to_string())?.collect();
    if places.is_empty() { Err("nothing is known by that name".into()) } else { Ok(places) }
}

fn connects(places: &[SocketAddr]) -> bool {
    places.iter().any(|place| TcpStream::connect_timeout(place, REACH).is_ok_and(|stream| stream.local_addr().ok() != Some(*place)))
}
