//! A node with nothing to do takes little memory and no processor time. `cargo test -p sealwire-tests --test idle -- --nocapture` prints what.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// Bytes that stay in memory, at most.
const MEMORY: u64 = 25_000_000;

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(10);

/// Hundredths of a second of processor time that it may take meanwhile: a node that polls ten times a second takes more.
const PROCESSOR: u64 = 5;

#[test]
fn an_idle_node_takes_little_memory_and_no_processor_time() {
    let place = std::env::temp_dir().join(format!("sealwire-idle-{}", std::process::id()));
    fs::create_dir_all(&place).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_idle-subject"));
    let mut process = command.arg(place.join("home")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(process.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(said, "idle");
    // Acknowledgements that waited for a ride are sent, and threads for blocking work go home.
    sleep(Duration::from_secs(12));
    let before = processor_time(process.id());
    sleep(WATCHED);
    let (processor, memory) = (processor_time(process.id()) - before, memory(process.id()));
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
    fs::remove_dir_all(&place).ok();
    println!("{:.1} MB of memory; {processor} hundredths of a second in {} s", memory as f64 / 1e6, WATCHED.as_secs());
    assert!(memory < MEMORY, "{memory} bytes");
    assert!(processor <= PROCESSOR, "{processor} hundredths of a second");
}

/// Resident memory in bytes.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Hundredths of a second, of all threads.
fn processor_time(process: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}
