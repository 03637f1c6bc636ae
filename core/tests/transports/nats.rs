//! NATS and JetStream, with a real server.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use sealwire::{
    Address, Parcel,
    transport::{
        Delivery, Transport, TransportError,
        conformance::{Ability, Ends, Fixture, Suite},
        nats::{JetStream, Keeping, Nats, Server},
    },
};

use crate::folder::Folder;

/// A `nats-server` of this test's own.
struct Running {
    folder: Folder,
    port: u16,
    process: Mutex<Child>,
    tls: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// Starts it, or says that the test was skipped.
    fn start(tls: bool) -> Option<Self> {
        if Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            assert!(std::env::var_os("SEALWIRE_REQUIRE_NATS").is_none(), "nats-server is missing, and SEALWIRE_REQUIRE_NATS is set");
            eprintln!("SKIPPED: nats-server is missing (`apt install nats-server`)");
            return None;
        }
        let folder = Folder::new().expect("a folder");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let mut config = format!(
            "listen: \"127.0.0.1:{port}\"\nmax_payload: 17825792\nmax_pending: 134217728\njetstream {{ store_dir: \"{}\" }}\n",
            folder.0.join("jetstream").display()
        );
        if tls {
            let pem = crate::authority::Authority::new(&folder.0);
            pem.issue("server");
            pem.issue("client");
            let at = |file: &str| folder.0.join(file).display().to_string();
            config += &format!(
                "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}\n",
                at("server.pem"),
                at("server.key"),
                at("authority.pem")
            );
        }
        std::fs::write(folder.0.join("server.conf"), config).expect("a configuration");
        let process = Mutex::new(spawn(&folder, port));
        Some(Self { folder, port, process, tls })
    }

    fn kill(&self) {
        let mut process = self.process.lock().expect("no panic");
        let _ = process.kill();
        let _ = process.wait();
    }

    fn restart(&self) {
        self.kill();
        *self.process.lock().expect("no panic") = spawn(&self.folder, self.port);
    }

    /// The server, under a prefix that no other test uses.
    fn server(&self) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
        if !self.tls {
            return Server::new(&format!("nats://127.0.0.1:{}", self.port)).prefix(&prefix);
        }
        let at = |file: &str| self.folder.0.join(file);
        Server::new(&format!("tls://localhost:{}", self.port))
            .prefix(&prefix)
            .authority(at("authority.pem"))
            .certificate(at("client.pem"), at("client.key"))
    }
}

fn spawn(folder: &Folder, port: u16) -> Child {
    let log = std::fs::File::create(folder.0.join("log")).expect("a log");
    let mut command = Command::new("nats-server");
    let child = command.arg("-c").arg(folder.0.join("server.conf")).stdout(Stdio::null()).stderr(log).spawn().expect("nats-server");
    let started = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = || std::fs::read_to_string(folder.0.join("log")).unwrap_or_default();
        assert!(started.elapsed() < Duration::from_secs(20), "nats-server does not start: {}", log());
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn keeping() -> Keeping {
    Keeping { bytes: 512 << 20, parcels: 1500, redelivery: Duration::from_secs(2), ..Keeping::default() }
}

struct Core<'a>(&'a Running);

impl<'a> Fixture for Core<'a> {
    type Ends = CoreEnds<'a>;

    async fn open(&self) -> Result<CoreEnds<'a>, String> {
        let server = self.0.server();
        let connect = async || Nats::connect(&server).await.map_err(|error| error.to_string());
        Ok(CoreEnds { a: connect().await?, b: connect().await?, running: self.0 })
    }
}

struct CoreEnds<'a> {
    a: Nats,
    b: Nats,
    running: &'a Running,
}

impl Ends for CoreEnds<'_> {
    type Transport = Nats;

    fn a(&self) -> &Nats {
        &self.a
    }

    fn b(&self) -> &Nats {
        &self.b
    }

    async fn close(&self) {
        self.a.close();
        self.b.close();
    }

    /// The server itself is killed and started again; both ends connect and subscribe anew.
    async fn cut(&self) -> Ability {
        self.running.restart();
        Ability::Done
    }
}

struct Jet<'a>(&'a Running);

impl<'a> Fixture for Jet<'a> {
    type Ends = JetEnds<'a>;

    async fn open(&self) -> Result<JetEnds<'a>, String> {
        let server = self.0.server();
        let connect = async || JetStream::connect(&server, keeping()).await.map_err(|error| error.to_string());
        Ok(JetEnds { a: connect().await?, b: connect().await?, server, running: self.0 })
    }
}

struct JetEnds<'a> {
    a: JetStream,
    b: JetStream,
    server: Server,
    running: &'a Running,
}

impl Ends for JetEnds<'_> {
    type Transport = JetStream;

    fn a(&self) -> &JetStream {
        &self.a
    }

    fn b(&self) -> &JetStream {
        &self.b
    }

    async fn close(&self) {
        self.a.close();
        self.b.close();
    }

    /// The broker itself is killed and started again.
    async fn cut(&self) -> Ability {
        self.running.restart();
        Ability::Done
    }

    fn keeps_order_when_cut(&self) -> bool {
        false
    }

    async fn restart_b(&mut self) -> Ability {
        self.b = JetStream::connect(&self.server, keeping()).await.expect("the server is there");
        Ability::Done
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_passes_the_suite() {
    let Some(running) = Running::start(false) else { return };
    let report = Suite::default().run(&Core(&running)).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jetstream_passes_the_suite() {
    let Some(running) = Running::start(false) else { return };
    let report = Suite::default().run(&Jet(&running)).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn jetstream_passes_the_suite_over_mutual_tls() {
    let Some(running) = Running::start(true) else { return };
    let report = Suite::default().run(&Jet(&running)).await;
    println!("{report}");
    assert!(report.passed(), "{report}");
    let anonymous = Server::new(&format!("tls://localhost:{}", running.port)).authority(running.folder.0.join("authority.pem"));
    assert!(Nats::connect(&anonymous).await.is_err(), "the server asks for a certificate");
    let untrusting = Server::new(&format!("tls://localhost:{}", running.port));
    assert!(Nats::connect(&untrusting).await.is_err(), "the server's authority is unknown");
}

fn envelopes(count: usize) -> (Address, Vec<Parcel>) {
    let endpoint = sealwire::Endpoint::builder().in_memory("b").expect("an endpoint");
    let (from, to) = (endpoint.host("a").expect("an agent"), endpoint.host("reader").expect("an agent"));
    let seal = |_| endpoint.seal(&from, &to, &sealwire::Draft::new("task", "x")).expect("sealed").envelope.into();
    (to.clone(), (0..count).map(seal).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_the_work_of_a_reader() {
    let Some(running) = Running::start(false) else { return };
    let (to, parcels) = envelopes(200);
    let server = running.server();
    let connect = async || JetStream::connect(&server, keeping()).await.expect("connected");
    let (sender, one, other) = (connect().await, connect().await, connect().await);
    for parcel in &parcels {
        sender.send(&to, parcel.clone()).await.expect("sent");
        sender.send(&to, parcel.clone()).await.expect("sent twice, kept once");
    }
    let work = async |replica: &JetStream| {
        let mut done = Vec::new();
        while let Ok(Ok(delivery)) = tokio::time::timeout(Duration::from_secs(3), replica.receive(&to)).await {
            done.push(delivery.bytes().to_vec());
            delivery.acknowledge().await.expect("acknowledged");
        }
        done
    };
    let (mut done, others) = tokio::join!(work(&one), work(&other));
    assert!(!done.is_empty() && !others.is_empty(), "{} and {}", done.len(), others.len());
    done.extend(others);
    done.sort();
    let mut sent: Vec<_> = parcels.into_iter().map(Parcel::into_bytes).collect();
    sent.sort();
    assert!(done == sent, "{} of {} came", done.len(), sent.len());
}

/// A server that was killed knows how far the reader was, and not how many parcels there had been: it gives their numbers again.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_forgotten_how_far_it_was_withholds_nothing() {
    let Some(running) = Running::start(false) else { return };
    let (to, parcels) = envelopes(13);
    let (before, after) = parcels.split_at(10);
    let server = running.server();
    let transport = JetStream::connect(&server, keeping()).await.expect("connected");
    let receive = async || tokio::time::timeout(Duration::from_secs(30), transport.receive(&to)).await;
    for parcel in before {
        transport.send(&to, parcel.clone()).await.expect("sent");
        let delivery = receive().await.expect("in time").expect("received");
        delivery.acknowledge().await.expect("acknowledged");
    }
    // The server writes down within half a second how far the reader was.
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.kill();
    let streams = running.folder.0.join("jetstream/jetstream/$G/streams");
    for stream in std::fs::read_dir(streams).expect("streams") {
        std::fs::remove_dir_all(stream.expect("a stream").path().join("msgs")).expect("its parcels");
    }
    running.restart();
    for parcel in after {
        let until = Instant::now() + Duration::from_secs(20);
        while let Err(error) = transport.send(&to, parcel.clone()).await {
            assert!(Instant::now() < until, "{error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let delivery = receive().await.expect("not withheld").expect("received");
        assert_eq!(delivery.bytes(), parcel.as_bytes());
        delivery.acknowledge().await.expect("acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_receives_is_an_error_of_its_own() {
    let Some(running) = Running::start(false) else { return };
    let (to, parcels) = envelopes(1);
    let nats = Nats::connect(&running.server()).await.expect("connected");
    assert_eq!(nats.send(&to, parcels[0].clone()).await, Err(TransportError::NoRoute { to }));
}
