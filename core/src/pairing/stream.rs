//! Messages over a byte stream: four bytes of length, big endian, then the message. One deadline for the whole conversation.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

/// A connection that ends when its time is over, however slowly the other side goes on.
pub(super) struct Stream {
    stream: TcpStream,
    deadline: Instant,
}

impl Stream {
    pub(super) fn new(stream: TcpStream, time: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(false)?;
        Ok(Self { stream, deadline: Instant::now() + time })
    }

    /// Writes a message; it is given up when the time is over.
    pub(super) fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let length = u32::try_from(message.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes(), message].concat();
        let mut rest = framed.as_slice();
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(self.left()?))?;
            let written = self.stream.write(rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads a message of at most `limit` bytes. Memory is taken as bytes arrive, not as they are announced.
    pub(super) fn receive(&mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is longer than it may be"));
        }
        let mut message = Vec::new();
        while message.len() < length {
            let mut chunk = [0; 4096];
            let wanted = chunk.len().min(length - message.len());
            let chunk = chunk.get_mut(..wanted).unwrap_or_default();
            self.fill(chunk)?;
            message.extend_from_slice(chunk);
        }
        Ok(message)
    }

    fn fill(&mut self, mut rest: &mut [u8]) -> io::Result<()> {
        while !rest.is_empty() {
            self.stream.set_read_timeout(Some(self.left()?))?;
            let read = self.stream.read(rest)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            rest = rest.get_mut(read..).unwrap_or_default();
        }
        Ok(())
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    pub(super) fn local_ip(&self) -> Option<std::net::IpAddr> {
        self.stream.local_addr().ok().map(|address| address.ip())
    }

    pub(super) fn close(self) {
        let _gone = self.stream.shutdown(Shutdown::Both);
    }
}

/// How a connection ended, in a few words.
pub(super) fn how(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the other side hung up".into(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer in time".into(),
        io::ErrorKind::ConnectionRefused => "refused".into(),
        _ => error.to_string(),
    }
}
