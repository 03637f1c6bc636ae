//! Signing keys in a process of their own: a signing agent, asked over a Unix socket. Who breaks into the process that seals and opens
//! finds no signing key there, and once the signing agent is gone, nothing is signed any more.
//!
//! Started by hand it starts itself once more as the signing agent, and seals and opens with keys that only that process has:
//!
//! `cargo run -p sealwire --example signing_agent`
//!
//! A question is a letter, an identity and a newline, then what is to be signed, to the end of the stream: `P researcher@pi1\n` asks for a
//! public key, `S researcher@pi1\n…` for a signature. The answer is `+` and 32 or 64 bytes, or `-` and a reason.

#[cfg(unix)]
mod unix {
    use std::{
        collections::HashMap,
        error::Error,
        fs::DirBuilder,
        io::{self, Read, Write},
        net::Shutdown,
        os::unix::{
            fs::DirBuilderExt,
            net::{UnixListener, UnixStream},
        },
        path::{Path, PathBuf},
        process::{Child, Command},
        sync::Arc,
        thread,
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    use ed25519_dalek::{Signer, SigningKey};
    use sealwire::{Draft, Endpoint, IdentityKeys, NodeKey, Root, RosterClaims, SealError, VerifyingKey};

    type Outcome<T> = Result<T, Box<dyn Error>>;

    /// Longest question that is read. Sealwire signs certificates, of at most 8 KiB, and headers, of at most 4.
    const MAX_QUESTION: u64 = 16 * 1024;

    /// Time for one answer: longer than any signature takes, short for who waits.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// How each `Sig_structure` of a COSE_Sign1 begins: an array of 4, and a text of 10. Nothing else is signed.
    const SIGNATURE1: &[u8] = b"\x84\x6aSignature1";

    // --- the process with the keys ---------------------------------------------------------------------------------------

    /// Answers questions about keys of these identities, which are made now, until the process is ended.
    fn sign_for(identities: &[String], socket: &Path) -> Outcome<()> {
        let made = identities.iter().map(|identity| Ok((identity.clone(), new_key()?)));
        let keys: HashMap<String, SigningKey> = made.collect::<Outcome<_>>()?;
        for stream in UnixListener::bind(socket)?.incoming() {
            if let Err(error) = stream.and_then(|stream| serve(&keys, stream)) {
                eprintln!("signing agent: {error}");
            }
        }
        Ok(())
    }

    fn new_key() -> Outcome<SigningKey> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(SigningKey::from_bytes(&seed))
    }

    fn serve(keys: &HashMap<String, SigningKey>, mut stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut question = Vec::new();
        (&stream).take(MAX_QUESTION).read_to_end(&mut question)?;
        let answer = match answer(keys, &question) {
            Ok(bytes) => [b"+", &bytes[..]].concat(),
            Err(reason) => [b"-", reason.as_bytes()].concat(),
        };
        stream.write_all(&answer)
    }

    fn answer(keys: &HashMap<String, SigningKey>, question: &[u8]) -> Result<Vec<u8>, &'static str> {
        let mut parts = question.splitn(2, |byte| *byte == b'\n');
        let (Some(line), Some(message)) = (parts.next(), parts.next()) else { return Err("a question has a line") };
        let (verb, identity) = line.split_at_checked(2).ok_or("a line is a letter, a space and an identity")?;
        let identity = std::str::from_utf8(identity).map_err(|_| "an identity is text")?;
        let key = keys.get(identity).ok_or("no key of that name is held here")?;
        match verb {
            b"P " => Ok(key.verifying_key().to_bytes().to_vec()),
            b"S " if message.starts_with(SIGNATURE1) => Ok(key.sign(message).to_bytes().to_vec()),
            b"S " => Err("that is nothing that sealwire signs"),
            _ => Err("P asks for a public key, S for a signature"),
        }
    }

    // --- the process without them ----------------------------------------------------------------------------------------

    /// Keys that are held at the other end of a Unix socket.
    struct SocketKeys(PathBuf);

    impl SocketKeys {
        fn ask<const N: usize>(&self, verb: &str, identity: &str, message: &[u8]) -> Result<[u8; N], String> {
            let answer = self.exchange(verb, identity, message).map_err(|error| format!("{}: {error}", self.0.display()))?;
            match answer.split_first() {
                Some((b'+', bytes)) => bytes.try_into().map_err(|_| "an answer of another length".into()),
                Some((b'-', reason)) => Err(String::from_utf8_lossy(reason).into_owned()),
                _ => Err("the signing agent gave no answer".into()),
            }
        }

        fn exchange(&self, verb: &str, identity: &str, message: &[u8]) -> io::Result<Vec<u8>> {
            let mut stream = UnixStream::connect(&self.0)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            stream.write_all(&[format!("{verb} {identity}\n").as_bytes(), message].concat())?;
            stream.shutdown(Shutdown::Write)?;
            let mut answer = Vec::new();
            (&stream).take(MAX_QUESTION).read_to_end(&mut answer)?;
            Ok(answer)
        }
    }

    impl IdentityKeys for SocketKeys {
        fn verifying_key(&self, identity: &str) -> Result<VerifyingKey, String> {
            VerifyingKey::from_bytes(&self.ask("P", identity, b"")?).map_err(|error| error.to_string())
        }

        fn sign(&self, identity: &str, message: &[u8]) -> Result<[u8; 64], String> {
            self.ask("S", identity, message)
        }
    }

    // --- both ------------------------------------------------------------------------------------------------------------

    /// A signing agent, as a process that ends with this value.
    struct SigningAgent {
        process: Child,
        folder: PathBuf,
    }

    impl SigningAgent {
        /// Starts it, with its socket in a folder that only this user may enter.
        fn start(identities: &[&str]) -> Outcome<Self> {
            let folder = std::env::temp_dir().join(format!("sealwire-signing-agent-{}", std::process::id()));
            DirBuilder::new().mode(0o700).create(&folder)?;
            let process = Command::new(std::env::current_exe()?).arg(folder.join("socket")).args(identities).spawn()?;
            let agent = Self { process, folder };
            for _ in 0..500 {
                if UnixStream::connect(agent.socket()).is_ok() {
                    return Ok(agent);
                }
                thread::sleep(Duration::from_millis(10));
            }
            Err("the signing agent did not start".into())
        }

        fn socket(&self) -> PathBuf {
            self.folder.join("socket")
        }
    }

    impl Drop for SigningAgent {
        fn drop(&mut self) {
            let _ended = self.process.kill().and_then(|()| self.process.wait());
            let _removed = std::fs::remove_dir_all(&self.folder);
        }
    }

    /// A domain of one node. Its root is here only because somebody must sign the roster; it has no part in what follows.
    fn endpoint(keys: &Arc<dyn IdentityKeys>) -> Outcome<Endpoint> {
        let (root, node) = (Root::generate()?, NodeKey::elsewhere("pi1", keys)?);
        let claims = RosterClaims { nodes: vec![node.listed()?], ..RosterClaims::default() };
        let roster = root.sign_roster(None, claims, SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs());
        Ok(Endpoint::builder().identity_keys(keys).member(node, *root.verifying_key(), roster)?)
    }

    fn seal_and_open() -> Outcome<()> {
        let agent = SigningAgent::start(&["pi1", "researcher@pi1", "writer@pi1"])?;
        let keys: Arc<dyn IdentityKeys> = Arc::new(SocketKeys(agent.socket()));
        let endpoint = endpoint(&keys)?;
        let (researcher, writer) = (endpoint.host("researcher")?, endpoint.host("writer")?);

        let sealed = endpoint.seal(&researcher, &writer, &Draft::new("result", "42 degrees"))?;
        println!("opened: {}", String::from_utf8_lossy(endpoint.open(&sealed.envelope)?.body()));
        println!("a stranger: {}", endpoint.host("stranger").err().ok_or("was given a key")?);
        println!("something else: {}", keys.sign("pi1", b"a cheque").err().ok_or("was signed")?);

        drop(agent);
        let refused = endpoint.seal(&researcher, &writer, &Draft::new("result", "43 degrees"));
        let Err(error @ SealError::KeysFailed(_)) = refused else { return Err("sealed without the signing agent".into()) };
        println!("without the signing agent: {error}");
        Ok(())
    }

    pub(super) fn main() -> Outcome<()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        match arguments.split_first() {
            Some((socket, identities)) => sign_for(identities, Path::new(socket)),
            None => seal_and_open(),
        }
    }
}

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    unix::main()
}

#[cfg(not(unix))]
fn main() {
    eprintln!("this example asks over a Unix socket");
}
