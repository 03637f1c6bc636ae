//! A home on disk: shared by endpoints and processes, damaged, readable by others, not writable; and what is gone from it when a key is erased.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Barrier,
    thread,
};

use sealwire::{
    Address, Created, Draft, Endpoint, EndpointError, Envelope, Message, OpenError,
    limits::{CERTIFICATE_LIFETIME, CLOCK_TOLERANCE, MAX_LIFETIME},
};
use sealwire_tests::prescribed::Hands;

const START: u64 = 1_800_000_000;

/// A folder that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("home-{test}-{}", std::process::id()));
        let _left_by_an_earlier_run = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn home(&self) -> PathBuf {
        self.0.join("home")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Two agents of one home.
struct Pair {
    endpoint: Endpoint,
    hands: Hands,
    a: Address,
    b: Address,
}

fn start(home: &Path) -> Pair {
    try_start(home).unwrap()
}

fn try_start(home: &Path) -> Result<Pair, EndpointError> {
    let hands = Hands::at(START);
    let (endpoint, _) = Endpoint::builder().clock(hands.clone()).home_or_init(home, "local")?;
    let (a, b) = (endpoint.host("a")?, endpoint.host("b")?);
    Ok(Pair { endpoint, hands, a, b })
}

impl Pair {
    fn seal(&self, body: &str) -> Envelope {
        self.endpoint.seal(&self.a, &self.b, &Draft::new("task", body)).unwrap().envelope
    }

    fn open(&self, envelope: &Envelope) -> Result<Message, OpenError> {
        self.endpoint.open(envelope)
    }
}

fn refusal(home: &Path) -> String {
    try_start(home).err().expect("must be refused").to_string()
}

// Several at once.

#[test]
fn two_endpoints_on_one_home_share_keys_and_journal() {
    let scratch = Scratch::new("two");
    let (one, two) = (start(&scratch.home()), start(&scratch.home()));
    assert_eq!(one.endpoint.certificate(&one.a).unwrap().thumbprint(), two.endpoint.certificate(&two.a).unwrap().thumbprint());
    let [first, second] = [one.seal("first"), two.seal("second")];
    assert_eq!(two.open(&first).unwrap().body(), b"first");
    assert_eq!(one.open(&second).unwrap().body(), b"second");
    for endpoint in [&one, &two] {
        assert!([&first, &second].iter().all(|envelope| matches!(endpoint.open(envelope), Err(OpenError::Duplicate(_)))));
    }
}

fn subject(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_home-subject")).args(arguments).stdout(Stdio::piped()).spawn().unwrap()
}

fn output(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn processes_that_make_one_home_at_once_agree_on_it() {
    let scratch = Scratch::new("race");
    let home = scratch.home();
    let racing: Vec<_> = (0..4).map(|_| subject(&["host", home.to_str().unwrap(), "a"])).collect();
    let keys: BTreeSet<_> = racing.into_iter().map(output).collect();
    assert_eq!(keys.len(), 1, "one agent, one key: {keys:?}");
    let around: Vec<_> = fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(around, ["home"], "what was made aside is gone");
}

#[test]
fn threads_that_make_one_home_at_once_agree_on_it() {
    const THREADS: usize = 8;
    let scratch = Scratch::new("threads");
    let (home, barrier) = (scratch.home(), Barrier::new(THREADS));
    let made: Vec<_> = thread::scope(|scope| {
        let make = || {
            barrier.wait();
            let (endpoint, created) = Endpoint::builder().home_or_init(&home, "local").unwrap();
            let address = endpoint.host("a").unwrap();
            (created, endpoint.domain().to_string(), endpoint.certificate(&address).unwrap().thumbprint())
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(made.iter().filter(|(created, ..)| *created == Created::Now).count(), 1);
    assert_eq!(made.iter().map(|(_, domain, key)| (domain, key)).collect::<BTreeSet<_>>().len(), 1);
}

/// Two processes are given the same envelopes: each is opened by one of them.
#[test]
fn two_processes_open_each_envelope_once() {
    let scratch = Scratch::new("processes");
    let (home, file) = (scratch.home(), scratch.0.join("envelopes"));
    let author = Endpoint::builder().home_or_init(&home, "local").unwrap().0;
    let (a, b) = (author.host("a").unwrap(), author.host("b").unwrap());
    let lines: Vec<_> = (0..100).map(|_| hex::encode(author.seal(&a, &b, &Draft::new("task", "x")).unwrap().envelope.as_bytes())).collect();
    fs::write(&file, lines.join("\n")).unwrap();

    let arguments = ["open", home.to_str().unwrap(), file.to_str().unwrap()];
    let racing = [subject(&arguments), subject(&arguments)];
    let opened: Vec<usize> =
        racing.into_iter().flat_map(|child| output(child).lines().map(|line| line.parse().unwrap()).collect::<Vec<_>>()).collect();
    let distinct: BTreeSet<_> = opened.iter().copied().collect();
    assert_eq!((opened.len(), distinct), (100, (0..100).collect()));
}

// Restart.

#[test]
fn a_restart_keeps_journal_keys_and_what_is_under_way() {
    let scratch = Scratch::new("restart");
    let first = start(&scratch.home());
    let [opened, under_way] = [first.seal("opened"), first.seal("under way")];
    first.open(&opened).unwrap();
    let thumbprint = first.endpoint.certificate(&first.a).unwrap().thumbprint();
    drop(first);
    let second = start(&scratch.home());
    assert_eq!(second.endpoint.certificate(&second.a).unwrap().thumbprint(), thumbprint);
    assert!(matches!(second.open(&opened).err(), Some(OpenError::Duplicate(_))));
    assert_eq!(second.open(&under_way).unwrap().body(), b"under way");
}

/// The marker of a home in volatile storage (SPEC.md, "Home").
#[cfg(target_os = "linux")]
fn marker(home: &Path) -> PathBuf {
    use sha2::{Digest, Sha256};
    use std::os::unix::fs::MetadataExt;

    let store = fs::metadata(home.join("store.db")).unwrap();
    let boot = fs::read("/proc/sys/kernel/random/boot_id").unwrap();
    let numbers = [store.dev(), store.ino(), u64::from(store.uid())].map(u64::to_be_bytes).concat();
    let digest = Sha256::digest([boot, numbers].concat());
    Path::new("/dev/shm").join(format!("sealwire-{}", hex::encode(&digest[..16])))
}

/// As after a reboot: the journal may have lost its last transactions, so what was sealed before cannot be opened any more.
#[test]
#[cfg(target_os = "linux")]
fn without_its_marker_a_home_burns_its_receive_keys() {
    let scratch = Scratch::new("marker");
    let first = start(&scratch.home());
    let [opened, under_way] = [first.seal("opened"), first.seal("under way")];
    first.open(&opened).unwrap();
    drop(first);
    fs::remove_file(marker(&scratch.home())).unwrap();
    let second = start(&scratch.home());
    assert!([&opened, &under_way].iter().all(|envelope| second.open(envelope).err() == Some(OpenError::UnknownKey)));
    assert_eq!(second.open(&second.seal("anew")).unwrap().body(), b"anew");
}

/// A marker that says another number of transactions, or nothing a marker says.
#[test]
#[cfg(target_os = "linux")]
fn with_a_marker_that_does_not_fit_a_home_burns_its_receive_keys() {
    let scratch = Scratch::new("marker-wrong");
    for wrong in [|whole: &[u8]| [&whole[..23], &[whole[23] + 1]].concat(), |whole: &[u8]| whole[..20].to_vec(), |_: &[u8]| vec![7; 24]] {
        let first = start(&scratch.home());
        let under_way = first.seal("under way");
        first.open(&first.seal("x")).unwrap();
        drop(first);
        let path = marker(&scratch.home());
        fs::write(&path, wrong(&fs::read(&path).unwrap())).unwrap();
        assert_eq!(start(&scratch.home()).open(&under_way).err(), Some(OpenError::UnknownKey));
    }
}

/// Some systems empty volatile storage when a user logs out, while that user's processes go on: they and those that start later agree again.
#[test]
#[cfg(target_os = "linux")]
fn processes_agree_again_after_their_marker_was_removed() {
    let scratch = Scratch::new("marker-removed");
    let first = start(&scratch.home());
    first.open(&first.seal("x")).unwrap();
    fs::remove_file(marker(&scratch.home())).unwrap();
    let second = start(&scratch.home());
    for pair in [&first, &second, &first, &second] {
        let _one_burned_the_others = pair.open(&pair.seal("y"));
    }
    for pair in [&first, &second, &first, &second] {
        assert_eq!(pair.open(&pair.seal("z")).unwrap().body(), b"z");
    }
}

// Damage.

const FILES: [&str; 6] = ["root.pem", "node.pem", "agents/a.pem", "roster.cbor", "store.key", "store.db"];

fn whole_home(scratch: &Scratch) -> PathBuf {
    drop(start(&scratch.home()));
    scratch.home()
}

/// Each way to damage each file is refused, and the refusal names the file.
#[test]
fn a_damaged_file_is_named() {
    let scratch = Scratch::new("damaged");
    let home = whole_home(&scratch);
    for file in FILES {
        let path = home.join(file);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let middle = if file == "store.db" { 3 } else { whole.len() / 2 };
        flipped[middle] ^= 4;
        let damaged =
            [Vec::new(), whole[..1].to_vec(), whole[..whole.len() / 2].to_vec(), vec![b'x'; whole.len()], vec![0xff; 1 << 20], flipped];
        for (number, bytes) in damaged.iter().enumerate() {
            fs::write(&path, bytes).unwrap();
            let refusal = refusal(&home);
            // 32 other bytes are a key too; what does not open with them names it without its folder.
            let named = refusal.contains(path.to_str().unwrap()) || refusal.contains("`store.key` is of another home");
            assert!(named, "{file}, damage {number}: {refusal}");
        }
        fs::write(&path, whole).unwrap();
        start(&home);
    }
}

#[test]
fn a_missing_file_is_named() {
    let scratch = Scratch::new("missing");
    let home = whole_home(&scratch);
    for file in ["root.pem", "node.pem", "roster.cbor", "store.key", "store.db"] {
        let (path, aside) = (home.join(file), scratch.0.join("aside"));
        fs::rename(&path, &aside).unwrap();
        let refusal = refusal(&home);
        assert!(refusal.contains(path.to_str().unwrap()) && refusal.contains("restore"), "{refusal}");
        fs::rename(&aside, &path).unwrap();
        start(&home);
    }
}

/// The keys of two homes mixed up: each file is whole, but they do not belong together.
#[test]
fn files_of_another_home_are_refused() {
    let (scratch, other) = (Scratch::new("mixed"), Scratch::new("mixed-other"));
    let (home, other) = (whole_home(&scratch), whole_home(&other));
    for (file, named) in
        [("root.pem", "roster.cbor"), ("node.pem", "roster.cbor"), ("roster.cbor", "roster.cbor"), ("store.key", "store.key")]
    {
        let whole = fs::read(home.join(file)).unwrap();
        fs::write(home.join(file), fs::read(other.join(file)).unwrap()).unwrap();
        assert!(refusal(&home).contains(named), "{file}: {}", refusal(&home));
        fs::write(home.join(file), whole).unwrap();
    }
    start(&home);
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let scratch = Scratch::new("newer");
    let home = whole_home(&scratch);
    let store = rusqlite::Connection::open(home.join("store.db")).unwrap();
    store.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    assert!(refusal(&home).contains("version 99"), "{}", refusal(&home));
}

#[test]
fn a_folder_that_is_no_home_is_not_filled() {
    let scratch = Scratch::new("occupied");
    fs::create_dir(scratch.home()).unwrap();
    fs::write(scratch.home().join("thesis.txt"), "chapter 1").unwrap();
    let refusal = refusal(&scratch.home());
    assert!(refusal.contains("not a sealwire home"), "{refusal}");
    assert_eq!(fs::read_dir(scratch.home()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing is left beside it");
}

// Permissions.

#[test]
fn everything_is_for_its_owner_only() {
    let scratch = Scratch::new("modes");
    let home = whole_home(&scratch);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&home), mode(&home.join("agents"))), (0o700, 0o700));
    assert!(FILES.iter().all(|file| mode(&home.join(file)) == 0o600));
    let others = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path());
    assert!(others.filter(|path| path.is_file()).all(|path| mode(&path) == 0o600));
    assert_eq!(fs::read_to_string(home.join(".gitignore")).unwrap(), "*\n");
}

#[test]
fn keys_that_others_can_read_are_refused() {
    let scratch = Scratch::new("open");
    let home = whole_home(&scratch);
    for (path, open, private) in [
        ("", 0o755, 0o700),
        ("root.pem", 0o644, 0o600),
        ("node.pem", 0o640, 0o600),
        ("agents/a.pem", 0o604, 0o600),
        ("store.db", 0o660, 0o600),
    ] {
        let path = if path.is_empty() { home.clone() } else { home.join(path) };
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let refusal = refusal(&home);
        assert!(refusal.contains(path.to_str().unwrap()) && refusal.contains(&format!("chmod {private:o}")), "{refusal}");
        fs::set_permissions(&path, fs::Permissions::from_mode(private)).unwrap();
        start(&home);
    }
}

#[test]
fn a_place_that_can_hold_no_home_is_named() {
    let scratch = Scratch::new("file");
    let file = scratch.0.join("file");
    fs::write(&file, "").unwrap();
    for place in [file.clone(), file.join("home"), file.join("deeper/home")] {
        let refusal = refusal(&place);
        assert!(refusal.contains(file.to_str().unwrap()), "{refusal}");
    }
}

/// Run as root, the subject becomes another user, as nothing is read-only for root.
#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = std::env::temp_dir().join(format!("sealwire-read-only-{}", std::process::id()));
    fs::create_dir(&place).unwrap();
    let program = place.join("home-subject");
    fs::copy(env!("CARGO_BIN_EXE_home-subject"), &program).unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o555)).unwrap();
    let mut command = Command::new(&program);
    command.args(["host", place.join("home").to_str().unwrap(), "a"]);
    if fs::write(place.join("as-root"), "").is_ok() {
        command.uid(65_534);
    }
    let output = command.output();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir_all(&place).unwrap();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(said.contains("cannot be written by this user") && said.contains(place.to_str().unwrap()), "{said}");
}

// Erasure.

/// The receive keys as they are in the store.
fn wrapped_keys(home: &Path) -> Vec<Vec<u8>> {
    let store = rusqlite::Connection::open(home.join("store.db")).unwrap();
    let mut statement = store.prepare("SELECT wrapped FROM receive_key").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// How many of `keys` occur in some file of the home.
fn found(home: &Path, keys: &[Vec<u8>]) -> usize {
    let files = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let contents: Vec<_> = files.map(|path| fs::read(path).unwrap()).collect();
    keys.iter().filter(|key| contents.iter().any(|bytes| memchr::memmem::find(bytes, key).is_some())).count()
}

/// Rotation makes new receive keys and, when no message can need the old ones, erases them: from the database and from its log.
#[test]
fn an_erased_receive_key_is_in_no_file() {
    let scratch = Scratch::new("erased");
    let pair = start(&scratch.home());
    pair.open(&pair.seal("x")).unwrap();
    let old = wrapped_keys(&scratch.home());
    assert_eq!((old.len(), found(&scratch.home(), &old)), (2, 2), "the control: they are found while they are held");
    pair.hands.forward(CERTIFICATE_LIFETIME + MAX_LIFETIME + 3 * CLOCK_TOLERANCE);
    pair.open(&pair.seal("y")).unwrap();
    let new = wrapped_keys(&scratch.home());
    assert_eq!((found(&scratch.home(), &new), found(&scratch.home(), &old)), (2, 0));
}

/// A home that is started as a copy burns the receive keys it came with: they are in no file of it.
#[test]
fn a_burned_receive_key_is_in_no_file() {
    let scratch = Scratch::new("burned");
    let home = whole_home(&scratch);
    let old = wrapped_keys(&home);
    let copy = scratch.0.join("copy");
    assert!(Command::new("cp").arg("-a").args([&home, &copy]).status().unwrap().success());
    assert_eq!(found(&copy, &old), 2, "the control");
    let running = start(&copy);
    assert_eq!(found(&copy, &old), 0);
    drop(running);
    assert_eq!((found(&copy, &old), found(&home, &old)), (0, 2), "and the original has them still");
}
