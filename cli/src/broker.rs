//! The server that a node goes through instead of connections of its own, as `sealwire.toml` beside the home or the environment names it.

use std::{
    env, fs, io,
    io::{BufRead, BufReader, Read},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

/// The file beside a home, and the variable that counts more.
const FILE: &str = "sealwire.toml";
const VARIABLE: &str = "SEALWIRE_VIA";

/// Where NATS servers listen, unless it was said otherwise.
const PORT: u16 = 4222;

/// The largest greeting that is read. One with the addresses of a large cluster is shorter.
const MAX_GREETING: u64 = 64 * 1024;

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

/// A NATS server as a location names it.
pub(crate) struct Server<'a> {
    /// `host:port` of each server of a cluster.
    pub(crate) places: Vec<String>,
    pub(crate) with_jetstream: bool,
    pub(crate) location: &'a str,
}

/// The servers of a location; `None` if it is none of NATS.
pub(crate) fn servers(location: &str) -> Option<Server<'_>> {
    let (scheme, places) = location.split_once("://")?;
    let with_jetstream = match scheme {
        "nats" | "nats+tls" => false,
        "jetstream" | "jetstream+tls" => true,
        _ => return None,
    };
    let has_port = |place: &str| place.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let place = |place: &str| if has_port(place) { place.to_owned() } else { format!("{place}:{PORT}") };
    Some(Server { places: places.split(',').map(place).collect(), with_jetstream, location })
}

/// What a NATS server says of itself before anybody says anything.
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) has_jetstream: bool,
    pub(crate) max_payload: u64,
}

/// Listens to the server at `place`; `None` if what is there is no NATS server.
pub(crate) fn greeting(place: &SocketAddr, patience: Duration) -> io::Result<Option<Greeting>> {
    let stream = TcpStream::connect_timeout(place, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut line = String::new();
    let read = BufReader::new(stream.take(MAX_GREETING)).read_line(&mut line);
    let said = read.ok().and_then(|_| line.strip_prefix("INFO ")).and_then(|said| serde_json::from_str::<serde_json::Value>(said).ok());
    let greeting = |said: serde_json::Value| Greeting {
        version: said.get("version").and_then(|version| version.as_str()).unwrap_or("of some version").to_owned(),
        has_jetstream: said.get("jetstream").and_then(serde_json::Value::as_bool) == Some(true),
        max_payload: said.get("max_payload").and_then(serde_json::Value::as_u64).unwrap_or(u64::MAX),
    };
    Ok(said.map(greeting))
}
