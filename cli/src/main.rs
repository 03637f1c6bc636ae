//! The command `sealwire` on its own, without the Python package around it. What needs Python it leaves to the Python that is active.

#![forbid(unsafe_code)]

use std::{env, ffi::OsString, process::ExitCode};

use sealwire_cli::{Outcome, command};

mod interpreter;

fn main() -> ExitCode {
    let line: Vec<OsString> = env::args_os().collect();
    let code = match command(line.clone()) {
        Outcome::Exit(code) => code,
        Outcome::Python(_) => interpreter::run(line.get(1..).unwrap_or_default()),
    };
    ExitCode::from(code)
}
