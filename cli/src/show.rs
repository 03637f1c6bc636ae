//! `sealwire show`: an envelope in readable form.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use sealwire::{Claims, Endpoint, EndpointError, Envelope, Form, Home, Inspected, Inspector, OpenError, limits::MAX_ENVELOPE};

use crate::{
    DONE, REFUSED,
    arguments::{HOME, Show},
    failure::Failure,
    paint::Paint,
    terminal::Report,
};

mod json;
mod text;

/// An envelope, and what could be learned of it here.
struct Shown {
    form: Form,
    size: usize,
    /// The receive key or lane it names, in hexadecimal.
    key: String,
    inside: Inside,
}

/// What is inside, or why that is not known.
enum Inside {
    /// It opened with a home's keys.
    Seen(Box<Inspected>),
    /// No home was there to look into it with.
    NoHome,
    /// A home's keys did not open it.
    Refused(OpenError),
}

pub(crate) fn show(show: &Show) -> Result<Report, Failure> {
    let bytes = read(&show.file)?;
    let envelope = Envelope::parse(bytes).map_err(|error| refused(&show.file, &error))?;
    let inside = match inspector(show.home.as_deref())? {
        None => Inside::NoHome,
        Some(inspector) => inspector.inspect(&envelope).map_or_else(Inside::Refused, |inspected| Inside::Seen(Box::new(inspected))),
    };
    let key = match envelope.claims() {
        Claims::Opening(key) => key.to_string(),
        Claims::Lane(lane) => lane.to_string(),
        _ => String::new(),
    };
    let shown = Shown { form: envelope.form(), size: envelope.as_bytes().len(), key, inside };
    let text = if show.json { json::json(&shown) } else { text::text(&shown, Paint::for_stdout()) };
    let code = if matches!(shown.inside, Inside::Refused(_)) { REFUSED } else { DONE };
    Ok(Report { text, code })
}

impl Shown {
    /// Why the inside is not shown, and what could be done about it.
    fn reason(&self) -> Option<String> {
        match &self.inside {
            Inside::Seen(_) => None,
            Inside::NoHome => Some(format!("there is no home at {HOME}; name the reader's with --home")),
            Inside::Refused(OpenError::UnknownLane) => Some(
                "it was sealed in a lane, and lane keys are only ever in the memory of the process that reads them: nobody can show it now"
                    .into(),
            ),
            Inside::Refused(OpenError::UnknownKey) => Some(
                "this home does not hold its receive key: it is for another reader, or the key is erased, which happens two days after it \
                 was made and when the home is used after a reboot or as a copy"
                    .into(),
            ),
            Inside::Refused(error) => Some(error.to_string()),
        }
    }
}

/// The keys of the home that was named, or of the one that is here; none when there is none.
fn inspector(named: Option<&Path>) -> Result<Option<Inspector>, Failure> {
    let path = named.unwrap_or(Path::new(HOME));
    if named.is_none() && !path.exists() {
        return Ok(None);
    }
    let home = Home::at(path).map_err(Failure::not_started)?;
    Endpoint::builder().inspector(&home).map(Some).map_err(|error| match error {
        EndpointError::Store(error) => Failure::refused(error),
        other => Failure::refused(format!("`{}`: {other}", path.display())),
    })
}

/// The whole file or standard input, but never more than an envelope can have.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if is_stdin(path) { read_up_to(io::stdin().lock(), None) } else { read_file(path) };
    let bytes = read.map_err(|error| cannot_read(path, &error))?;
    match bytes {
        Bytes::Whole(bytes) => Ok(bytes),
        Bytes::TooMany(count) => {
            let count = count.map_or_else(|| format!("more than {MAX_ENVELOPE}"), |count| count.to_string());
            Err(Failure::refused(format!("{} is no envelope: {count} bytes, but an envelope has at most {MAX_ENVELOPE}", name(path))))
        }
    }
}

enum Bytes {
    Whole(Vec<u8>),
    TooMany(Option<u64>),
}

fn read_file(path: &Path) -> io::Result<Bytes> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    read_up_to(file, metadata.is_file().then_some(metadata.len()))
}

fn read_up_to(input: impl Read, size: Option<u64>) -> io::Result<Bytes> {
    if size.is_some_and(|size| size > MAX_ENVELOPE as u64) {
        return Ok(Bytes::TooMany(size));
    }
    let mut bytes = Vec::new();
    input.take(MAX_ENVELOPE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > MAX_ENVELOPE { Bytes::TooMany(None) } else { Bytes::Whole(bytes) })
}

fn cannot_read(path: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::not_started(format!("there is no file {}", name(path))),
        io::ErrorKind::IsADirectory => Failure::not_started(format!("{} is a folder; name the file with the envelope", name(path))),
        io::ErrorKind::PermissionDenied => Failure::not_started(format!("{} cannot be read by this user", name(path))),
        _ => Failure::refused(format!("cannot read {}: {error}", name(path))),
    }
}

fn refused(path: &Path, error: &OpenError) -> Failure {
    Failure::refused(format!("{} is no envelope: {error}", name(path)))
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".into() } else { format!("`{}`", path.display()) }
}
