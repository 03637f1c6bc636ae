//! A process that is killed at any moment: what it had opened stays opened, what it had not is not lost.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use sealwire::{Envelope, OpenError};

use crate::world::{Homely, Scratch};

const MESSAGES: usize = 200;

/// Starts a process that opens `envelopes` in turn and says the number of each.
fn start(home: &Path, envelopes: &Path) -> Child {
    let mut subject = Command::new(env!("CARGO_BIN_EXE_home-subject"));
    subject.arg("open").arg(home).arg(envelopes).stdout(Stdio::piped()).spawn().unwrap()
}

/// Lets it say `count` numbers, then kills it. Returns all it said.
fn kill_after(mut process: Child, count: usize) -> BTreeSet<usize> {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut said: BTreeSet<usize> = lines.by_ref().take(count).map(|line| line.unwrap().parse().unwrap()).collect();
    process.kill().unwrap();
    process.wait().unwrap();
    said.extend(lines.map_while(Result::ok).filter_map(|line| line.parse::<usize>().ok()));
    said
}

#[test]
fn a_process_killed_while_it_opens() {
    let scratch = Scratch::new("killed");
    let (home, file) = (scratch.join("home"), scratch.join("envelopes"));
    let author = Homely::start_now(&home);
    let sealed: Vec<Envelope> = (0..MESSAGES).map(|number| author.seal(&number.to_string())).collect();
    let lines: Vec<String> = sealed.iter().map(|envelope| hex::encode(envelope.as_bytes())).collect();
    std::fs::write(&file, lines.join("\n")).unwrap();
    drop(author);

    let mut opened = BTreeSet::new();
    for count in [1, 10, 30, 60] {
        let said = kill_after(start(&home, &file), count);
        assert!(said.len() >= count && said.is_disjoint(&opened), "{said:?} after {opened:?}");
        opened.extend(said);
    }

    let reader = Homely::start_now(&home);
    let mut released = 0;
    for (number, envelope) in sealed.iter().enumerate() {
        match reader.open(envelope) {
            Ok(message) => {
                assert!(!opened.contains(&number), "message {number} was opened twice");
                assert_eq!(message.body(), number.to_string().as_bytes());
                released += 1;
            }
            Err(refused) => assert!(matches!(refused, OpenError::Duplicate(_)), "message {number}: {refused}"),
        }
    }
    // Of each killed process, one message may have been entered and not yet said.
    assert!(released + opened.len() + 4 >= MESSAGES, "{released} released now, {} before", opened.len());
}
