//! What a program without sealwire would do, over the same loopback: length-prefixed frames on one connection, in the clear or under mutual TLS.
//!
//! As with nodes, the author of a one-way message keeps it until the reader has acknowledged it, one by one and after it was read; what is
//! written together goes in one write. Nothing survives the process, and nobody is asked whether a frame is new.

use std::{
    collections::VecDeque,
    path::Path,
    time::{Duration, Instant},
};

use sealwire::transport::{
    Location,
    stream::{ByteStream, Layer, Tls},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
};

use crate::{AT_ONCE, Measured, authority::Authority, processor_time};

/// Bytes that are read or written in one go, as in sealwire's transport.
const CHUNK: usize = 64 * 1024;

/// Says that a frame is to be sent back; without it, that it is to be acknowledged.
const REQUEST: u32 = 1 << 31;

/// Frames in the clear.
pub(crate) async fn tcp(size: usize, count: usize) -> Measured {
    let (left, right) = connection().await;
    measure(Box::new(left), Box::new(right), size, count).await
}

/// Frames under TLS 1.3, each side with a certificate.
pub(crate) async fn mutual_tls(folder: &Path, size: usize, count: usize) -> Measured {
    let authority = Authority::new(folder);
    let side = |name: &str| {
        authority.issue(name);
        let files = [folder.join(format!("{name}.pem")), folder.join(format!("{name}.key"))];
        Tls::builder().authority(folder.join("authority.pem")).certificate(&files[0], &files[1]).build().unwrap()
    };
    let (dialling, listening, (left, right)) = (side("left"), side("right"), connection().await);
    let location: Location = "tls://127.0.0.1:1".parse().unwrap();
    let (left, right) = tokio::join!(dialling.connect(Box::new(left), &location), listening.accept(Box::new(right)));
    measure(left.unwrap().stream, right.unwrap().stream, size, count).await
}

async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (left, right) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (left, right) = (left.unwrap(), right.unwrap().0);
    left.set_nodelay(true).unwrap();
    right.set_nodelay(true).unwrap();
    (left, right)
}

async fn measure(left: ByteStream, right: ByteStream, size: usize, count: usize) -> Measured {
    let serving = tokio::spawn(serve(right));
    let (reading, writing) = split(left);
    let (mut reading, mut writing) = (BufReader::with_capacity(CHUNK, reading), BufWriter::with_capacity(CHUNK, writing));
    let body = vec![7_u8; size];
    let mut times = Vec::new();
    for _ in 0..20 + count.min(1000) {
        let since = Instant::now();
        write_frame(&mut writing, REQUEST, &body).await;
        writing.flush().await.unwrap();
        assert_eq!(read_frame(&mut reading).await.unwrap().1.len(), size);
        times.push(since.elapsed());
    }
    times.drain(..20);
    let (wall, cpu) = one_way(reading, writing, &body, count).await;
    serving.await.unwrap();
    Measured::new(count, wall, cpu, times)
}

/// Sends `count` frames, as many at a time as a node's senders have; ends when all are acknowledged.
async fn one_way(
    mut reading: BufReader<ReadHalf<ByteStream>>,
    mut writing: BufWriter<WriteHalf<ByteStream>>,
    body: &[u8],
    count: usize,
) -> (Duration, Duration) {
    let (since, cpu) = (Instant::now(), processor_time());
    let (mut kept, mut sent) = (VecDeque::with_capacity(AT_ONCE), 0);
    while sent < count || !kept.is_empty() {
        while sent < count && kept.len() < AT_ONCE {
            let body = body.to_vec();
            write_frame(&mut writing, 0, &body).await;
            kept.push_back(body);
            sent += 1;
        }
        writing.flush().await.unwrap();
        reading.read_u32().await.unwrap();
        kept.pop_front();
        while reading.buffer().len() >= 4 {
            reading.read_u32().await.unwrap();
            kept.pop_front();
        }
    }
    (since.elapsed(), processor_time() - cpu)
}

/// The other side: sends requests back, acknowledges what comes one way, until the connection ends.
async fn serve(stream: ByteStream) {
    let (reading, writing) = split(stream);
    let (mut reading, mut writing) = (BufReader::with_capacity(CHUNK, reading), BufWriter::with_capacity(CHUNK, writing));
    let mut number = 0;
    while let Some((kind, body)) = read_frame(&mut reading).await {
        if kind == REQUEST {
            write_frame(&mut writing, 0, &body).await;
        } else {
            number += 1;
            writing.write_u32(number).await.unwrap();
        }
        if reading.buffer().len() < body.len() {
            writing.flush().await.unwrap();
        }
    }
}

async fn write_frame(writing: &mut BufWriter<WriteHalf<ByteStream>>, kind: u32, body: &[u8]) {
    writing.write_u32(kind | u32::try_from(body.len()).unwrap()).await.unwrap();
    writing.write_all(body).await.unwrap();
}

async fn read_frame(reading: &mut BufReader<ReadHalf<ByteStream>>) -> Option<(u32, Vec<u8>)> {
    let head = reading.read_u32().await.ok()?;
    let mut body = vec![0; (head & !REQUEST) as usize];
    reading.read_exact(&mut body).await.unwrap();
    Some((head & REQUEST, body))
}
