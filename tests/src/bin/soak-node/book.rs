//! What the asking side has noted: which request was made for a task, and which was answered. It outlives any kill of its process.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::Write,
    path::Path,
    time::Duration,
};

use sealwire::{KeyId, MessageId, MessageRef};

/// Lines that are appended whole, each by one write.
pub(crate) struct Book {
    asked: File,
    answers: File,
    failures: File,
}

/// What is in the book.
#[derive(Default)]
pub(crate) struct Noted {
    /// Requests without answer, and their tasks.
    pub(crate) open: HashMap<MessageRef, u64>,
    pub(crate) answered: HashSet<MessageRef>,
    /// Tasks that were asked, answered, or told one way.
    pub(crate) begun: HashSet<u64>,
}

impl Book {
    pub(crate) fn open(log: &Path) -> (Self, Noted) {
        fs::create_dir_all(log).unwrap();
        let append = |name| OpenOptions::new().create(true).append(true).open(log.join(name)).unwrap();
        let book = Self { asked: append("asked"), answers: append("answers"), failures: append("failures") };
        (book, Noted::read(log))
    }

    pub(crate) fn asked(&mut self, number: u64, request: MessageRef) {
        self.asked.write_all(format!("{number} {} {}\n", request.signer, request.id).as_bytes()).unwrap();
    }

    /// With the time that it took, where that is known.
    pub(crate) fn answered(&mut self, number: u64, request: MessageRef, took: Option<Duration>) {
        let took = took.map_or("-".into(), |took| took.as_millis().to_string());
        self.answers.write_all(format!("{number} {} {} {took}\n", request.signer, request.id).as_bytes()).unwrap();
    }

    pub(crate) fn failed(&mut self, what: &str) {
        self.failures.write_all(format!("{what}\n").as_bytes()).unwrap();
    }
}

impl Noted {
    fn read(log: &Path) -> Self {
        let mut noted = Self::default();
        for (number, request) in lines(&log.join("asked")) {
            noted.begun.insert(number);
            noted.open.insert(request, number);
        }
        for (number, request) in lines(&log.join("answers")) {
            noted.begun.insert(number);
            noted.open.remove(&request);
            noted.answered.insert(request);
        }
        noted
    }
}

fn lines(file: &Path) -> Vec<(u64, MessageRef)> {
    let text = fs::read_to_string(file).unwrap();
    let read = |line: &str| {
        let mut words = line.split(' ');
        let number = words.next()?.parse().ok()?;
        let mut name = || <[u8; 16]>::try_from(hex::decode(words.next()?).ok()?).ok();
        let (signer, id) = (KeyId::from_bytes(name()?), MessageId::from_bytes(name()?));
        Some((number, MessageRef { signer, id }))
    };
    text.lines().map(|line| read(line).expect("a whole line")).collect()
}
