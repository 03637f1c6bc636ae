//! A transport of one's own: parcels over the Noise protocol (`Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s`), with the crate snow.
//!
//! Envelopes are sealed and signed already; what this adds is that only those who know the secret get in, and that the wire does not
//! show for whom a parcel is. The handshake and the records are here; queues, receipts and reconnecting come from `Streams`. The whole
//! passes the conformance suite (`core/tests/transports/noise.rs`).
//!
//! `cargo run -p sealwire --example noise --features tcp`

use std::{io, sync::Arc};

use sealwire::{
    Draft, Endpoint,
    transport::{
        Delivery, Location, Streams, Transport,
        stream::{ByteStream, Layer, Pending, Secured},
    },
};
use snow::{Builder, HandshakeState, StatelessTransportState};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};

const PATTERN: &str = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s";

/// A Noise message is at most 65,535 bytes, of which 16 are its tag.
const LARGEST: usize = 65_535;
const PLAIN: usize = LARGEST - 16;

/// Noise with a secret that all nodes share.
pub struct Noise {
    secret: [u8; 32],
}

impl Noise {
    /// Lets in whoever knows the secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    fn state(&self, initiates: bool) -> Result<HandshakeState, snow::Error> {
        let builder = Builder::new(PATTERN.parse()?);
        let own = builder.generate_keypair()?;
        let builder = builder.local_private_key(&own.private)?.psk(3, &self.secret)?;
        if initiates { builder.build_initiator() } else { builder.build_responder() }
    }

    /// -> e; <- e, ee, s, es; -> s, se, psk. Then a task carries bytes between the wire and the stream that is returned.
    async fn wrap(&self, mut wire: ByteStream, initiates: bool) -> io::Result<Secured> {
        let mut state = self.state(initiates).map_err(io::Error::other)?;
        while !state.is_handshake_finished() {
            let mut record = vec![0; LARGEST];
            if state.is_my_turn() {
                let length = state.write_message(&[], &mut record).map_err(io::Error::other)?;
                record.truncate(length);
                write_record(&mut wire, &record).await?;
            } else {
                let received = read_record(&mut wire).await?;
                state.read_message(&received, &mut record).map_err(io::Error::other)?;
            }
        }
        let keys = Arc::new(state.into_stateless_transport_mode().map_err(io::Error::other)?);
        let (outside, inside) = duplex(LARGEST);
        tokio::spawn(async move {
            let ((from_inside, to_inside), (from_wire, to_wire)) = (split(inside), split(wire));
            // When one direction ends, so does the other: both halves of a stream close together.
            tokio::select! {
                _ = encrypt(from_inside, to_wire, &keys) => {}
                _ = decrypt(from_wire, to_inside, &keys) => {}
            }
        });
        Ok(Secured { stream: Box::new(outside), node: None })
    }
}

impl Layer for Noise {
    fn connect<'a>(&'a self, wire: ByteStream, _: &'a Location) -> Pending<'a, io::Result<Secured>> {
        Box::pin(self.wrap(wire, true))
    }

    fn accept(&self, wire: ByteStream) -> Pending<'_, io::Result<Secured>> {
        Box::pin(self.wrap(wire, false))
    }
}

/// A record is its length in 2 bytes, and a Noise message.
async fn write_record(wire: &mut (impl AsyncWriteExt + Unpin), record: &[u8]) -> io::Result<()> {
    let length = u16::try_from(record.len()).map_err(io::Error::other)?;
    wire.write_all(&length.to_be_bytes()).await?;
    wire.write_all(record).await?;
    wire.flush().await
}

async fn read_record(wire: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut record = vec![0; wire.read_u16().await?.into()];
    wire.read_exact(&mut record).await?;
    Ok(record)
}

async fn encrypt(mut inside: ReadHalf<DuplexStream>, mut wire: WriteHalf<ByteStream>, keys: &StatelessTransportState) -> io::Result<()> {
    let (mut plain, mut record) = (vec![0; PLAIN], vec![0; LARGEST]);
    for number in 0.. {
        let length = inside.read(&mut plain).await?;
        if length == 0 {
            break;
        }
        let sealed = keys.write_message(number, plain.get(..length).unwrap_or_default(), &mut record).map_err(io::Error::other)?;
        write_record(&mut wire, record.get(..sealed).unwrap_or_default()).await?;
    }
    wire.shutdown().await
}

async fn decrypt(mut wire: ReadHalf<ByteStream>, mut inside: WriteHalf<DuplexStream>, keys: &StatelessTransportState) -> io::Result<()> {
    let mut plain = vec![0; LARGEST];
    for number in 0.. {
        let record = read_record(&mut wire).await?;
        let length = keys.read_message(number, &record, &mut plain).map_err(io::Error::other)?;
        inside.write_all(plain.get(..length).unwrap_or_default()).await?;
    }
    Ok(())
}

#[allow(dead_code, reason = "the tests of the suite include this file for what is above, and do not call this")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = [7; 32]; // in earnest: 32 random bytes, from a file that only these nodes can read
    let pi2 = Streams::builder("pi2").layer("noise", Noise::new(secret)).listen("noise://127.0.0.1:0").build().await?;
    let place = pi2.listening().first().map(ToString::to_string).unwrap_or_default();
    let pi1 = Streams::builder("pi1").layer("noise", Noise::new(secret)).peer("pi2", &place).build().await?;

    let endpoint = Endpoint::builder().in_memory("pi2")?; // in earnest each node has its own: docs/rust.md, "Two endpoints"
    let (asker, reader) = (endpoint.host("asker")?, endpoint.host("reader")?);
    let sealed = endpoint.seal(&asker, &reader, &Draft::new("task", "how warm is it?"))?;
    pi1.send(&reader, sealed.envelope.into()).await?;

    let delivery = pi2.receive(&reader).await?;
    let message = endpoint.open_bytes(delivery.bytes())?;
    delivery.acknowledge().await?;
    println!("{} asked over Noise: {}", message.header().from, String::from_utf8_lossy(message.body()));
    Ok(())
}
