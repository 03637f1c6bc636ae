//! A journal that was set back: a backup put in its place, or a copy that runs elsewhere. Its receive keys must be burned, or everything that was
//! opened since could be opened again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sealwire::{Envelope, OpenError};
use sealwire_tests::backup::copy;

use crate::world::{Homely, Scratch};

/// A home, a copy of it made before anything was opened, and an envelope that was opened after that.
struct Saved {
    _scratch: Scratch,
    home: PathBuf,
    copy: PathBuf,
    opened: Envelope,
}

fn saved(test: &str) -> Saved {
    let scratch = Scratch::new(test);
    let (home, aside) = (scratch.join("home"), scratch.join("copy"));
    let first = Homely::start(&home);
    let opened = first.seal("opened after the copy was made");
    drop(first);
    copy(&home, &aside);
    Homely::start(&home).open(&opened).unwrap();
    Saved { _scratch: scratch, home, copy: aside, opened }
}

/// The old receive keys are gone, new ones work.
fn is_burned(home: &Path, opened: &Envelope) {
    let restored = Homely::start(home);
    assert_eq!(restored.open(opened).err(), Some(OpenError::UnknownKey));
    assert_eq!(restored.open(&restored.seal("anew")).unwrap().body(), b"anew");
}

#[test]
fn a_backup_moved_into_place() {
    let saved = saved("restored");
    fs::remove_dir_all(&saved.home).unwrap();
    fs::rename(&saved.copy, &saved.home).unwrap();
    is_burned(&saved.home, &saved.opened);
}

/// As some backup programs do it: the files keep their identity and get their old content.
#[test]
fn a_backup_written_over_the_files() {
    let saved = saved("overwritten");
    for name in ["store.db-wal", "store.db-shm"] {
        let _may_not_be_there = fs::remove_file(saved.home.join(name));
    }
    fs::write(saved.home.join("store.db"), fs::read(saved.copy.join("store.db")).unwrap()).unwrap();
    is_burned(&saved.home, &saved.opened);
}

#[test]
fn a_copy_that_runs_elsewhere() {
    let saved = saved("elsewhere");
    is_burned(&saved.copy, &saved.opened);
    let original = Homely::start(&saved.home);
    assert!(matches!(original.open(&saved.opened).err(), Some(OpenError::Duplicate(_))), "the original goes on as before");
}

/// A copy that runs elsewhere is itself copied back over the original's files, and goes on: two journals of one life.
#[test]
fn a_copy_that_ran_elsewhere_and_comes_back() {
    let saved = saved("back");
    let elsewhere = Homely::start(&saved.copy);
    elsewhere.open(&elsewhere.seal("x")).unwrap();
    let under_way = Homely::start(&saved.copy).seal("opened elsewhere, later");
    drop(elsewhere);
    fs::write(saved.home.join("store.db"), fs::read(saved.copy.join("store.db")).unwrap()).unwrap();
    assert_eq!(Homely::start(&saved.copy).open(&under_way).unwrap().body(), b"opened elsewhere, later");
    is_burned(&saved.home, &under_way);
}
