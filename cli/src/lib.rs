//! The command `sealwire`, as a library: the binary of this crate and the Python package run the same one.
//!
//! What needs Python (a CrewAI program, agents that are served, the demo) is handed back to the caller as a [`Call`]: the binary starts an interpreter for it, the
//! Python package is in one already, and either way no Rust stands between the interpreter and the user's program.
//!
//! ```
//! use sealwire_cli::{Outcome, command};
//!
//! assert_eq!(command(["sealwire", "--version"]), Outcome::Exit(0));
//! let Outcome::Python(call) = command(["sealwire", "run", "crew.py", "--verbose"]) else { panic!("that needs Python") };
//! assert_eq!((call.module, call.arguments), ("sealwire.run", vec!["crew.py".into(), "--verbose".into()]));
//! ```

#![forbid(unsafe_code)]

use std::ffi::OsString;

mod arguments;
mod broker;
mod doctor;
mod failure;
mod init;
mod invite;
mod join;
mod members;
mod paint;
mod passphrase;
mod python;
mod revoke;
mod rotate;
mod show;
mod terminal;
mod time;
mod visit;

use arguments::{Arguments, Command};
use clap::Parser;
use passphrase::Ask;

/// Everything went as it should.
pub const DONE: u8 = 0;
/// Something was refused or failed.
pub const REFUSED: u8 = 1;
/// It was not started: used wrongly, or something it needs is not there.
pub const NOT_STARTED: u8 = 2;
/// `run` only: the program ended, and no crew was kicked off in it.
pub const NO_CREW: u8 = 3;

/// What is left to do once the command line was read and all that needs no Python was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing; the process ends with this code.
    Exit(u8),
    /// The rest is Python's.
    Python(Call),
}

/// A call of `main(arguments)` in a Python module; what it returns is the process's exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The module's full name.
    pub module: &'static str,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

/// Does what a command line says, the program's name first. Writes to standard output and standard error.
pub fn command<A: Into<OsString> + Clone>(line: impl IntoIterator<Item = A>) -> Outcome {
    let Arguments { command, passphrase_file: file } = match Arguments::try_parse_from(line) {
        Ok(arguments) => arguments,
        Err(usage) => return Outcome::Exit(terminal::usage(&usage)),
    };
    // For what Python does, the process may not be the one that uses the home: nobody is asked twice.
    let ask = if matches!(command, Command::Run(_) | Command::Serve(_) | Command::Up(_)) { Ask::Nobody } else { Ask::OnTerminal };
    let unlocked = command.home().map_or(Ok(()), |home| passphrase::unlock(home, file.as_deref(), ask));
    if let Err(failure) = unlocked {
        return Outcome::Exit(terminal::finish(Err(failure), false));
    }
    match command {
        Command::Init(init) => Outcome::Exit(terminal::finish(init::init(&init, file.as_deref()), init.json)),
        Command::Invite(invite) => Outcome::Exit(terminal::finish(invite::invite(&invite), false)),
        Command::Join(join) => Outcome::Exit(terminal::finish(join::join(&join), join.json)),
        Command::Members(members) => Outcome::Exit(terminal::finish(members::members(&members), members.json)),
        Command::Revoke(revoke) => Outcome::Exit(terminal::finish(revoke::revoke(&revoke), revoke.json)),
        Command::Rotate(rotate) => Outcome::Exit(terminal::finish(rotate::rotate(&rotate), rotate.json)),
        Command::Doctor(doctor) => Outcome::Exit(terminal::finish(doctor::doctor(&doctor), doctor.json)),
        Command::Show(show) => Outcome::Exit(terminal::finish(show::show(&show), show.json)),
        Command::Run(run) => match python::run(run) {
            Ok(call) => Outcome::Python(call),
            Err(failure) => Outcome::Exit(terminal::finish(Err(failure), false)),
        },
        Command::Serve(serve) => Outcome::Python(python::serve(serve)),
        Command::Up(up) => Outcome::Python(python::up(up)),
        Command::Demo(demo) => Outcome::Python(python::demo(&demo)),
    }
}
