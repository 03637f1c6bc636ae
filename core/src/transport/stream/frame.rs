//! Frames: what travels over a byte stream (SPEC.md, "Stream transport").
//!
//! A frame is its body's length (4 bytes, big-endian), a kind (1 byte) and the body. Nothing in it is believed; all of it is bounded
//! before it is read, and memory grows with what has arrived, never with what was announced.

use core::time::Duration;
use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::Semaphore,
    time::timeout,
};

use crate::{
    address::{Address, check_name},
    limits::{MAX_NAME, MAX_PARCEL},
};

/// First bytes of a hello's body: protocol and version.
const MAGIC: &[u8; 17] = b"sealwire/1 stream";

/// Names in a hello: the agents of one process that does not speak for all of its node.
pub(super) const MAX_NAMES: usize = 32;

/// Numbers in one frame of receipts: as many as a sender may have under way.
pub(super) const MAX_RECEIPTS: usize = 1024;

/// An address is two names and an `@`.
const MAX_ADDRESS: usize = 2 * MAX_NAME + 1;

const MAX_HELLO: usize = MAGIC.len() + 16 + 1 + MAX_NAMES * (1 + MAX_ADDRESS);

/// What is read or written in one go; also what a frame may claim without leave from the budget.
pub(super) const CHUNK: usize = 64 * 1024;

/// Bytes a second below which the other side counts as stopped: a poor mobile link carries more.
const SLOWEST: u64 = 16 * 1024;

/// Time a read or a write may take beyond what [`SLOWEST`] explains.
const PATIENCE: Duration = Duration::from_secs(30);

const HELLO: u8 = 1;
const PARCEL: u8 = 2;
const DONE: u8 = 3;
const LATER: u8 = 4;
const PING: u8 = 5;
const PONG: u8 = 6;

/// Identifies the numbering of the parcels of one sender to one peer.
pub(super) type Session = [u8; 16];

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Hello(Hello),
    /// A parcel with its number in the sender's session.
    Parcel {
        number: u64,
        to: Address,
        bytes: Vec<u8>,
    },
    /// Parcels with these numbers were processed.
    Done(Vec<u64>),
    /// Parcels with these numbers were not taken, nor were later ones for the same reader.
    Later(Vec<u64>),
    Ping,
    Pong,
}

/// Who speaks: a claim, unless the layer below has proven it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) session: Session,
    /// Nodes (`pi2`) or agents (`researcher@pi2`) that are reached through this process.
    pub(super) names: Vec<String>,
}

impl Hello {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let body = MAGIC.len() + 16 + 1 + self.names.iter().map(|name| 1 + name.len()).sum::<usize>();
        header(out, HELLO, body);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.session);
        out.push(self.names.len() as u8);
        for name in &self.names {
            text(out, name);
        }
    }

    fn parse(body: &[u8]) -> io::Result<Self> {
        let rest = body.strip_prefix(MAGIC).ok_or_else(|| invalid("the other side does not speak `sealwire/1 stream`"))?;
        let (session, rest) = rest.split_first_chunk().ok_or_else(broken)?;
        let (&count, mut rest) = rest.split_first().ok_or_else(broken)?;
        let mut names = Vec::new();
        for _ in 0..count {
            let (name, after) = split_text(rest)?;
            if !is_name(name) {
                return Err(invalid("a hello with a name that is neither a node nor an agent"));
            }
            names.push(name.to_string());
            rest = after;
        }
        if names.is_empty() || names.len() > MAX_NAMES || !rest.is_empty() {
            return Err(broken());
        }
        Ok(Self { session: *session, names })
    }
}

/// That `name` is a node or an agent.
pub(super) fn is_name(name: &str) -> bool {
    if name.contains('@') { name.parse::<Address>().is_ok() } else { check_name(name).is_ok() }
}

fn header(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(kind);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(text.len() as u8);
    out.extend_from_slice(text.as_bytes());
}

fn split_text(bytes: &[u8]) -> io::Result<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first().ok_or_else(broken)?;
    let (text, rest) = rest.split_at_checked(length.into()).ok_or_else(broken)?;
    Ok((core::str::from_utf8(text).map_err(|_| broken())?, rest))
}

/// All of a parcel's frame but the parcel's `size` bytes.
pub(super) fn write_parcel_head(out: &mut Vec<u8>, number: u64, to: &Address, size: usize) {
    header(out, PARCEL, 8 + 1 + to.as_str().len() + size);
    out.extend_from_slice(&number.to_be_bytes());
    text(out, to.as_str());
}

pub(super) fn write_done(out: &mut Vec<u8>, numbers: &[u64]) {
    write_numbers(out, DONE, numbers);
}

pub(super) fn write_later(out: &mut Vec<u8>, numbers: &[u64]) {
    write_numbers(out, LATER, numbers);
}

fn write_numbers(out: &mut Vec<u8>, kind: u8, numbers: &[u64]) {
    for some in numbers.chunks(MAX_RECEIPTS) {
        header(out, kind, 8 * some.len());
        some.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
    }
}

pub(super) fn write_ping(out: &mut Vec<u8>) {
    header(out, PING, 0);
}

pub(super) fn write_pong(out: &mut Vec<u8>) {
    header(out, PONG, 0);
}

/// Reads the next frame. `budget` has a permit for each KiB that all connections together may be reading; `heard` is called whenever
/// something has arrived.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin), budget: &Semaphore, heard: impl Fn()) -> io::Result<Frame> {
    let mut head = [0; 5];
    from.read_exact(&mut head).await?;
    heard();
    let [a, b, c, d, kind] = head;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > longest(kind)? {
        return Err(invalid("a frame that is longer than its kind may be"));
    }
    let time = PATIENCE + Duration::from_secs(length as u64 / SLOWEST);
    timeout(time, read_body(from, kind, length, budget, heard)).await.map_err(|_| stopped())?
}

fn longest(kind: u8) -> io::Result<usize> {
    match kind {
        HELLO => Ok(MAX_HELLO),
        PARCEL => Ok(8 + 1 + MAX_ADDRESS + MAX_PARCEL),
        DONE | LATER => Ok(8 * MAX_RECEIPTS),
        PING | PONG => Ok(0),
        _ => Err(invalid("a frame of a kind that this version does not know")),
    }
}

async fn read_body(
    from: &mut (impl AsyncRead + Unpin),
    kind: u8,
    length: usize,
    budget: &Semaphore,
    heard: impl Fn(),
) -> io::Result<Frame> {
    if kind == PARCEL {
        return read_parcel(from, length, budget, heard).await;
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    match kind {
        HELLO => Hello::parse(&body).map(Frame::Hello),
        DONE => numbers(&body).map(Frame::Done),
        LATER => numbers(&body).map(Frame::Later),
        PING => Ok(Frame::Ping),
        _ => Ok(Frame::Pong),
    }
}

fn numbers(body: &[u8]) -> io::Result<Vec<u64>> {
    let (numbers, rest) = body.as_chunks::<8>();
    if rest.is_empty() { Ok(numbers.iter().map(|number| u64::from_be_bytes(*number)).collect()) } else { Err(broken()) }
}

async fn read_parcel(from: &mut (impl AsyncRead + Unpin), length: usize, budget: &Semaphore, heard: impl Fn()) -> io::Result<Frame> {
    let mut fixed = [0; 9];
    let mut name = [0; MAX_ADDRESS];
    if length < fixed.len() {
        return Err(broken());
    }
    from.read_exact(&mut fixed).await?;
    let [number @ .., name_length] = fixed;
    let name = name.get_mut(..name_length.into()).ok_or_else(broken)?;
    let size = length.checked_sub(fixed.len() + name.len()).filter(|size| *size <= MAX_PARCEL).ok_or_else(broken)?;
    from.read_exact(name).await?;
    let to = core::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).ok_or_else(broken)?;
    let _leave = match size.checked_sub(CHUNK) {
        Some(beyond) => Some(budget.acquire_many((beyond / 1024) as u32).await.map_err(|_| stopped())?),
        None => None,
    };
    let mut bytes = Vec::with_capacity(size.min(CHUNK));
    while bytes.len() < size {
        let some = (size - bytes.len()).min(CHUNK);
        if from.take(some as u64).read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        heard();
    }
    bytes.shrink_to_fit();
    Ok(Frame::Parcel { number: u64::from_be_bytes(number), to, bytes })
}

/// Writes all of it, or fails when the other side has stopped taking it.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    for chunk in bytes.chunks(CHUNK) {
        timeout(PATIENCE, to.write_all(chunk)).await.map_err(|_| stopped())??;
    }
    Ok(())
}

pub(super) fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn broken() -> io::Error {
    invalid("a frame that contradicts itself")
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the other side has stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> io::Result<Vec<Frame>> {
        let budget = Semaphore::new(MAX_PARCEL / 1024);
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            frames.push(read(&mut bytes, &budget, || ()).await?);
        }
        Ok(frames)
    }

    fn framed(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
        [&length.to_be_bytes()[..], &[kind], body].concat()
    }

    #[tokio::test]
    async fn what_was_written_is_read() -> Result<(), Box<dyn std::error::Error>> {
        let hello = Hello { session: [7; 16], names: vec!["pi2".into(), "a@pi3".into()] };
        let (to, body) = ("a@pi2".parse::<Address>()?, vec![9; 200_000]);
        let mut out = Vec::new();
        hello.write(&mut out);
        write_parcel_head(&mut out, 5, &to, body.len());
        out.extend_from_slice(&body);
        write_done(&mut out, &[1, u64::MAX]);
        write_later(&mut out, &[3]);
        write_ping(&mut out);
        write_pong(&mut out);
        let expected = vec![
            Frame::Hello(hello),
            Frame::Parcel { number: 5, to, bytes: body },
            Frame::Done(vec![1, u64::MAX]),
            Frame::Later(vec![3]),
            Frame::Ping,
            Frame::Pong,
        ];
        assert_eq!(read_all(&out).await?, expected);
        Ok(())
    }

    #[tokio::test]
    async fn every_truncation_is_refused() -> Result<(), Box<dyn std::error::Error>> {
        let mut out = Vec::new();
        Hello { session: [7; 16], names: vec!["pi2".into()] }.write(&mut out);
        let hello = out.len();
        write_parcel_head(&mut out, 5, &"a@pi2".parse()?, 3);
        out.extend_from_slice(b"abc");
        for end in (1..out.len()).filter(|end| *end != hello) {
            assert!(read_all(&out[..end]).await.is_err(), "{end}");
        }
        Ok(())
    }

    #[tokio::test]
    async fn contradictions_are_refused() {
        let name = |name: &str| [&[0; 8][..], &[name.len() as u8], name.as_bytes()].concat();
        for (what, bytes) in [
            ("unknown kind", framed(9, 0, &[])),
            ("kind zero", framed(0, 0, &[])),
            ("longest length", framed(PARCEL, u32::MAX, &[])),
            ("ping with a body", framed(PING, 1, &[0])),
            ("half a number", framed(DONE, 12, &[0; 12])),
            ("too many receipts", framed(DONE, 8 * 1025, &[0; 8 * 1025])),
            ("parcel without a head", framed(PARCEL, 3, &[0; 3])),
            ("name longer than the frame", framed(PARCEL, 14, &[&[0; 8][..], &[200], b"a@pi2"].concat())),
            ("no address", framed(PARCEL, 12, &name("pi2"))),
            ("capitals", framed(PARCEL, 14, &name("A@pi2"))),
            ("hello of another protocol", framed(HELLO, 17, b"HTTP/1.1 400 Bad ")),
            ("hello without names", framed(HELLO, 34, &[&MAGIC[..], &[0; 17]].concat())),
            ("hello with a path", framed(HELLO, 37, &[&MAGIC[..], &[0; 16], &[1, 2], b".."].concat())),
            ("hello with more behind", framed(HELLO, 37, &[&MAGIC[..], &[0; 16], &[1, 1], b"ab"].concat())),
            ("hello too long", framed(HELLO, 100_000, &[0; 100_000])),
        ] {
            assert!(read_all(&bytes).await.is_err(), "{what}");
        }
    }
}
