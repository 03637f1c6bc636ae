//! The server that a node goes through instead of connections of its own, as `sealwire.toml` beside the home or the environment names it.

use std::{
    env, fs, io,
    io::Read,
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

/// The file beside a home, and the variable that counts more.
const FILE: &str = "sealwire.toml";
const VARIABLE: &str = "SEALWIRE_VIA";

/// Where NATS servers listen, unless it was said otherwise.
const PORT: u16 = 4222;

/// The largest greeting that is read. One with the addresses of a large cluster is shorter.
const MAX_GREETING: usize = 64 * 1024;

/// Characters of a version that are shown.
const MAX_VERSION: usize = 32;

/// What the node of this home goes through: `None` if through connections of its own.
///
/// # Errors
/// Why the file cannot be read.
pub(crate) fn named(home: &Path) -> Result<Option<String>, String> {
    if let Some(via) = env::var(VARIABLE).ok().filter(|via| !via.is_empty()) {
        return Ok(Some(via));
    }
    let home = home.canonicalize().map_err(|error| error.to_string())?;
    let Some(file) = home.parent().map(|folder| folder.join(FILE)) else { return Ok(None) };
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| format!("`{}` cannot be read: {error}", file.display()))?,
    };
    let settings: toml::Table =
        text.parse().map_err(|error: toml::de::Error| format!("`{}` is not TOML: {}", file.display(), error.message()))?;
    Ok(settings.get("node").and_then(|node| node.get("via")).and_then(toml::Value::as_str).map(str::to_owned))
}

/// NATS servers as a location names them.
pub(crate) struct Servers {
    /// `host:port` of each server of a cluster.
    pub(crate) places: Vec<String>,
    pub(crate) with_jetstream: bool,
}

/// The servers of a location; `None` if it is none of NATS.
pub(crate) fn servers(location: &str) -> Option<Servers> {
    let (scheme, places) = location.split_once("://")?;
    let with_jetstream = match scheme {
        "nats" | "nats+tls" => false,
        "jetstream" | "jetstream+tls" => true,
        _ => return None,
    };
    let has_port = |place: &str| place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let place = |place: &str| if has_port(place) { place.to_owned() } else { format!("{place}:{PORT}") };
    Some(Servers { places: places.split(',').map(place).collect(), with_jetstream })
}

/// What a NATS server says of itself before anybody says anything.
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) has_jetstream: bool,
    pub(crate) max_payload: u64,
}

/// Listens to the server at `place`, for at most `patience` twice; `None` if what is there is no NATS server.
///
/// # Errors
/// If nothing takes the connection.
pub(crate) fn greeting(place: &SocketAddr, patience: Duration) -> io::Result<Option<Greeting>> {
    let stream = TcpStream::connect_timeout(place, patience)?;
    let said = line(stream, Instant::now() + patience).and_then(|line| serde_json::from_str(line.strip_prefix("INFO ")?).ok());
    Ok(said.map(|said: serde_json::Value| Greeting {
        version: shown(said.get("version").and_then(serde_json::Value::as_str).unwrap_or("of some version")),
        has_jetstream: said.get("jetstream").and_then(serde_json::Value::as_bool) == Some(true),
        max_payload: said.get("max_payload").and_then(serde_json::Value::as_u64).unwrap_or(u64::MAX),
    }))
}

/// The first line, if it comes in time: who sends a byte now and then is not listened to for ever.
fn line(mut stream: TcpStream, until: Instant) -> Option<String> {
    let (mut said, mut some) = (Vec::new(), [0; 4096]);
    while !said.contains(&b'\n') && said.len() < MAX_GREETING {
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        stream.set_read_timeout(Some(left)).ok()?;
        let count = stream.read(&mut some).ok().filter(|count| *count > 0)?;
        said.extend(some.iter().take(count));
    }
    String::from_utf8(said).ok()?.lines().next().map(str::to_owned)
}

/// Nobody has proven who says it: nothing that a terminal would obey.
fn shown(version: &str) -> String {
    version.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MAX_VERSION).collect()
}
