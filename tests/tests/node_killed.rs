//! A node that is killed at random moments, again and again, answers every request all the same.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Requests of one run.
const COUNT: usize = 600;

/// Kills before the process is left to end. The moments are those of a fixed sequence, the process is where it is.
const KILLS: u64 = 12;

struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sealwire-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn start(&self) -> Child {
        let (home, count) = (self.0.join("home"), COUNT.to_string());
        let mut command = Command::new(env!("CARGO_BIN_EXE_node-subject"));
        command.arg(home).arg(self.0.join("log")).arg(count).stdout(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).map_or_else(|_| Vec::new(), |files| files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect())
}

#[test]
fn a_node_killed_at_random_answers_every_request() {
    let place = Place::new("killed");
    let log = place.0.join("log");
    let mut killed = 0;
    let mut process = place.start();
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_millis(60 + kill * 97 % 240));
        if process.try_wait().unwrap().is_some() {
            break;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        killed += 1;
        process = place.start();
    }
    assert!(killed >= 2, "it was killed in the middle of something");
    let until = Instant::now() + Duration::from_secs(240);
    let ended = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() > until => {
                process.kill().unwrap();
                panic!("{} of {COUNT} answered", names(&log.join("answers")).len());
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(ended.success());
    assert_eq!(names(&log.join("answers")).len(), COUNT);
    assert_eq!(names(&log.join("unmarked")), Vec::<String>::new(), "a run that finds its effect was told that it may");
    println!("killed {killed} times, {} runs found their effect there", names(&log.join("again")).len());
    let mut effects: HashMap<String, u32> = HashMap::new();
    for id in names(&log.join("effects")) {
        *effects.entry(fs::read_to_string(log.join("effects").join(id)).unwrap()).or_default() += 1;
    }
    assert!((0..COUNT).all(|number| effects.get(&number.to_string()) == Some(&1)), "each has one effect: none was lost and asked anew");
}
