//! Looks for secrets in the memory of another process, as an attacker on its host would after the fact.
//!
//! The process looked into is a [`Subject`]: a program that stops at points it names ([`pause`]), so that its memory is quiet while it is read
//! through `/proc/PID/mem`. A parent may read its children there without further rights.
//!
//! A search that finds nothing proves something only beside one that finds: each test first finds the secret at a point where it is in use.
//! And a secret must reach the subject without a copy outside the code under test, so it travels masked: [`mask`], [`unmask_into`].

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use memchr::memmem;

/// Secrets are searched for in pieces of this many bytes: an allocator writes over the first bytes of what is freed, and leaves the rest.
pub const PIECE: usize = 16;

/// How much of the other process is read at a time.
const CHUNK: u64 = 1 << 20;

/// A place where a piece of a secret was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Where in the other process.
    pub address: u64,
    /// What the kernel calls that region: `[heap]`, `[stack]`, a file; nothing for anonymous memory.
    pub region: String,
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} {}", self.address, self.region)
    }
}

/// What a search has seen.
#[derive(Debug, Default)]
pub struct Search {
    /// Bytes read.
    pub bytes: u64,
    /// Places where a piece of a secret lies, in order.
    pub hits: BTreeSet<Hit>,
}

/// Searches all memory that the process `pid` can write for `secrets`, in pieces of [`PIECE`] bytes.
///
/// # Errors
///
/// When the process is gone or may not be looked into. A region that the kernel does not hand out (a device) is passed over.
pub fn search(pid: u32, secrets: &[&[u8]]) -> io::Result<Search> {
    let pieces: Vec<_> = secrets.iter().flat_map(|secret| secret.chunks_exact(PIECE)).map(memmem::Finder::new).collect();
    assert!(!pieces.is_empty(), "a secret of at least {PIECE} bytes is needed");
    let mut memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut search = Search::default();
    for region in writable_regions(pid)? {
        search_region(&mut memory, &region, &pieces, &mut search);
    }
    Ok(search)
}

struct Region {
    start: u64,
    end: u64,
    name: String,
}

/// Reads `/proc/PID/maps`, see proc_pid_maps(5).
fn writable_regions(pid: u32) -> io::Result<Vec<Region>> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let regions = maps.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let readable_and_writable = fields.next()?.starts_with("rw");
        let name = fields.nth(3).unwrap_or_default().to_owned();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        readable_and_writable.then(|| Region { start: address(start), end: address(end), name })
    });
    Ok(regions.collect())
}

/// Reads in overlapping chunks, so that a piece across their border is found too.
fn search_region(memory: &mut File, region: &Region, pieces: &[memmem::Finder<'_>], search: &mut Search) {
    let overlap = PIECE as u64 - 1;
    let mut start = region.start;
    while start < region.end {
        let end = region.end.min(start + CHUNK + overlap);
        let Ok(chunk) = read_at(memory, start, end) else { return };
        search.bytes += (end - start).min(CHUNK);
        for position in pieces.iter().flat_map(|piece| piece.find_iter(&chunk)) {
            search.hits.insert(Hit { address: start + position as u64, region: region.name.clone() });
        }
        start += CHUNK;
    }
}

fn read_at(memory: &mut File, start: u64, end: u64) -> io::Result<Vec<u8>> {
    let mut chunk = vec![0; usize::try_from(end - start).unwrap()];
    memory.seek(SeekFrom::Start(start))?;
    memory.read_exact(&mut chunk)?;
    Ok(chunk)
}

/// A program whose memory is looked into. It is killed when this is dropped.
#[derive(Debug)]
pub struct Subject {
    process: Child,
    says: BufReader<ChildStdout>,
    hears: ChildStdin,
    paused: bool,
}

impl Subject {
    /// Starts the program.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        let hears = process.stdin.take().unwrap();
        Self { process, says, hears, paused: false }
    }

    /// Lets the program run until it pauses at `point`, which must be its next.
    pub fn run_to(&mut self, point: &str) {
        if self.paused {
            writeln!(self.hears).unwrap();
        }
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), point, "the subject paused elsewhere, or ended");
        self.paused = true;
    }

    /// Where in the paused program `secrets` lie.
    #[must_use]
    pub fn find(&self, secrets: &[&[u8]]) -> BTreeSet<Hit> {
        let search = search(self.process.id(), secrets).unwrap();
        assert!(search.bytes > 0, "no memory was read");
        search.hits
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a subject: says where it is and waits until it is told to go on.
pub fn pause(point: &str) {
    let mut said = io::stdout().lock();
    writeln!(said, "{point}").unwrap();
    said.flush().unwrap();
    let told = io::stdin().lock().read(&mut [0]).unwrap();
    assert_eq!(told, 1, "nobody is listening any more");
}

/// In a subject: overwrites what earlier calls left on the stack. Moving a value leaves a copy behind that no drop reaches.
#[inline(never)]
pub fn scrub_stack() {
    // Deeper than the deepest call made with a secret: key generation of ML-KEM, built without optimisation.
    let mut depth = [0_u8; 256 * 1024];
    std::hint::black_box(&mut depth);
}

/// A secret as hexadecimal text in which its bytes do not occur.
#[must_use]
pub fn mask(secret: &[u8]) -> String {
    secret.iter().map(|byte| format!("{:02x}", !byte)).collect()
}

/// Undoes [`mask`] straight into `secret`, leaving no other copy.
///
/// # Panics
///
/// When `masked` is not the text of that many bytes.
pub fn unmask_into(masked: &str, secret: &mut [u8]) {
    assert_eq!(masked.len(), 2 * secret.len());
    for (byte, digits) in secret.iter_mut().zip(masked.as_bytes().chunks_exact(2)) {
        *byte = !(digit(digits[0]) << 4 | digit(digits[1]));
    }
}

fn digit(letter: u8) -> u8 {
    u8::try_from(char::from(letter).to_digit(16).unwrap()).unwrap()
}
