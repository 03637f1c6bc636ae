//! Writes the test vectors of `docs/SPEC.md` to `tests/vectors/sealwire`. They are the same each time.

#![allow(clippy::unwrap_used)]

use std::fs;

use sealwire_tests::{case::folder, cases};

fn main() {
    let folder = folder();
    let _none_yet = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let cases = cases::all();
    for case in &cases {
        fs::write(folder.join(format!("{}.txt", case.name)), case.to_text()).unwrap();
    }
    println!("{} cases in {}", cases.len(), folder.display());
}
