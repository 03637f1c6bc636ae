//! Two ends on this machine. Node `a` dials node `b`, with a wire between them that can be cut; `b` answers on the connection `a` made.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use sealwire::transport::{
    Streams,
    conformance::{Ability, Ends, Fixture},
    stream::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::watch,
};

use crate::folder::Folder;

/// A scheme, and what each side is given for it.
pub struct Loopback {
    pub scheme: &'static str,
    pub dress: fn(Builder, &str) -> Builder,
}

/// The ends, and the wire between them.
pub struct Wired {
    scheme: &'static str,
    dress: fn(Builder, &str) -> Builder,
    a: Streams,
    b: Streams,
    place: String,
    cut: watch::Sender<u32>,
    strangers: Mutex<Vec<Box<dyn Socket>>>,
    _folder: Option<Folder>,
}

pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

impl Fixture for Loopback {
    type Ends = Wired;

    async fn open(&self) -> Result<Wired, String> {
        self.wire().await.map_err(|error| error.to_string())
    }
}

impl Loopback {
    async fn wire(&self) -> io::Result<Wired> {
        let folder = if self.scheme == "unix" { Some(Folder::new()?) } else { None };
        let listen = match &folder {
            Some(folder) => format!("unix://{}/b.socket", folder.0.display()),
            None => format!("{}://127.0.0.1:0", self.scheme),
        };
        let b = (self.dress)(Streams::builder("b").listen(&listen), "b").build().await?;
        let place = b.listening()[0].place().to_string();
        let (cut, wire) = wire(folder.as_ref(), place.clone()).await?;
        let a = (self.dress)(Streams::builder("a").peer("b", &format!("{}://{wire}", self.scheme)), "a").build().await?;
        let strangers = Mutex::default();
        Ok(Wired { scheme: self.scheme, dress: self.dress, a, b, place, cut, strangers, _folder: folder })
    }
}

impl Ends for Wired {
    type Transport = Streams;

    fn a(&self) -> &Streams {
        &self.a
    }

    fn b(&self) -> &Streams {
        &self.b
    }

    async fn close(&self) {
        self.a.close();
        self.b.close();
    }

    async fn cut(&self) -> Ability {
        self.cut.send_modify(|count| *count += 1);
        Ability::Done
    }

    async fn restart_b(&mut self) -> Ability {
        self.b.close();
        let listen = format!("{}://{}", self.scheme, self.place);
        loop {
            match (self.dress)(Streams::builder("b").listen(&listen), "b").build().await {
                Ok(b) => self.b = b,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            }
            return Ability::Done;
        }
    }

    async fn intrude(&self, bytes: &[u8]) -> Ability {
        let mut stranger = connect(self.scheme == "unix", &self.place).await.expect("strangers can connect");
        let _ = stranger.write_all(bytes).await;
        self.strangers.lock().expect("no panic").push(stranger);
        Ability::Done
    }
}

async fn connect(unix: bool, place: &str) -> io::Result<Box<dyn Socket>> {
    #[cfg(feature = "unix")]
    if unix {
        return Ok(Box::new(tokio::net::UnixStream::connect(place).await?));
    }
    let _ = unix;
    Ok(Box::new(tokio::net::TcpStream::connect(place).await?))
}

/// A wire to `place`; returns what cuts it and where it begins.
async fn wire(folder: Option<&Folder>, place: String) -> io::Result<(watch::Sender<u32>, String)> {
    let cut = watch::Sender::new(0);
    let (watched, place) = (cut.clone(), Arc::new(place));
    #[cfg(feature = "unix")]
    if let Some(folder) = folder {
        let path = folder.0.join("wire.socket");
        let listener = tokio::net::UnixListener::bind(&path)?;
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                carry(near, true, &place, &watched);
            }
        });
        return Ok((cut, path.display().to_string()));
    }
    let _ = folder;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let begin = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            carry(near, false, &place, &watched);
        }
    });
    Ok((cut, begin))
}

fn carry(mut near: impl Socket + 'static, unix: bool, place: &Arc<String>, cut: &watch::Sender<u32>) {
    let (place, mut cut) = (Arc::clone(place), cut.subscribe());
    tokio::spawn(async move {
        let Ok(mut far) = connect(unix, &place).await else { return };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
            _ = cut.changed() => {}
        }
    });
}
