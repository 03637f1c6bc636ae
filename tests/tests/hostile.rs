//! 20,000 hostile deliveries: `src/bin/hostile.rs` tells what they are and what it counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::process::Command;

#[test]
fn nothing_is_lost_and_nothing_comes_twice() {
    let run = Command::new(env!("CARGO_BIN_EXE_hostile")).args(["--deliveries", "20000", "--seed", "1"]).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}{}", String::from_utf8_lossy(&run.stderr));
}
