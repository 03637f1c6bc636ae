//! What a program without sealwire would do, over the same loopback: length-prefixed frames on one connection, in the clear or under mutual TLS.
//!
//! As with nodes, the author of a one-way message keeps it until the reader has acknowledged it, one by one and after it was read; what is
//! written together goes in one write. Nothing survives the process, and nobody is asked whether a frame is new.

use std::{collections::VecDeque, path::Path, time::Instant};

use sealwire::transport::{
    Location,
    stream::{ByteStream, Layer, Tls},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpStream},
};

use crate::{
    AT_ONCE, Measured,
    authority::Authority,
    side::{self, Side},
};

/// Bytes that are read or written in one go, as in sealwire's transport.
const CHUNK: usize = 64 * 1024;

/// Says that a frame is to be sent back; without it, that it is to be acknowledged.
const REQUEST: u32 = 1 << 31;

/// Frames in the clear.
pub(crate) fn tcp(sides: &[Side; 2], size: usize, count: usize) -> Measured {
    measure(sides, connection(sides, None), size, count)
}

/// Frames under TLS 1.3, each side with a certificate.
pub(crate) fn mutual_tls(sides: &[Side; 2], folder: &Path, size: usize, count: usize) -> Measured {
    let authority = Authority::new(folder);
    let side = |name: &str| {
        authority.issue(name);
        let files = [folder.join(format!("{name}.pem")), folder.join(format!("{name}.key"))];
        Tls::builder().authority(folder.join("authority.pem")).certificate(&files[0], &files[1]).build().unwrap()
    };
    measure(sides, connection(sides, Some([side("left"), side("right")])), size, count)
}

fn connection([sending, receiving]: &[Side; 2], tls: Option<[Tls; 2]>) -> [ByteStream; 2] {
    let [dialling, listening] = tls.map_or([None, None], |tls| tls.map(Some));
    let listener = receiving.run(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let location: Location = "tls://127.0.0.1:1".parse().unwrap();
    let accepting = receiving.spawn(async move {
        let stream = listener.accept().await.unwrap().0;
        stream.set_nodelay(true).unwrap();
        match listening {
            None => Box::new(stream) as ByteStream,
            Some(tls) => tls.accept(Box::new(stream)).await.unwrap().stream,
        }
    });
    let left = sending.run(async move {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        match dialling {
            None => Box::new(stream) as ByteStream,
            Some(tls) => tls.connect(Box::new(stream), &location).await.unwrap().stream,
        }
    });
    [left, receiving.run(async { accepting.await.unwrap() })]
}

fn measure(sides: &[Side; 2], [left, right]: [ByteStream; 2], size: usize, count: usize) -> Measured {
    let [sending, receiving] = sides;
    let serving = receiving.spawn(serve(right));
    let (reading, writing) = split(left);
    let (mut reading, mut writing) = (BufReader::with_capacity(CHUNK, reading), BufWriter::with_capacity(CHUNK, writing));
    let (reading, writing, times) = sending.run(async move {
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
        (reading, writing, times)
    });
    let took = side::time(sides, one_way(reading, writing, vec![7_u8; size], count));
    receiving.run(async { serving.await.unwrap() });
    Measured::new(count, took, times)
}

/// Sends `count` frames, as many at a time as a node's senders have; ends when all are acknowledged.
async fn one_way(mut reading: BufReader<ReadHalf<ByteStream>>, mut writing: BufWriter<WriteHalf<ByteStream>>, body: Vec<u8>, count: usize) {
    let (mut kept, mut sent) = (VecDeque::with_capacity(AT_ONCE), 0);
    while sent < count || !kept.is_empty() {
        while sent < count && kept.len() < AT_ONCE {
            let body = body.clone();
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
