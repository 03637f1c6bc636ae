//! Standard output and standard error: the only place that writes to them.

use std::io::{self, Write};

use serde_json::json;

use crate::{DONE, NOT_STARTED, REFUSED, failure::Failure};

/// What a command has to say, and the code it ends with.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) code: u8,
}

impl Report {
    pub(crate) fn done(text: String) -> Self {
        Self { text, code: DONE }
    }
}

/// Prints what a command has to say, an error too, and gives the exit code.
pub(crate) fn finish(outcome: Result<Report, Failure>, json: bool) -> u8 {
    match outcome {
        // A command that has said all it had to say on its way has nothing to add.
        Ok(report) if report.text.is_empty() => report.code,
        Ok(report) => print(&report.text, report.code),
        Err(failure) if json => print(&json!({ "error": failure.message }).to_string(), failure.code),
        Err(failure) => {
            let _nobody_listens = writeln!(io::stderr(), "sealwire: {}", failure.message);
            failure.code
        }
    }
}

/// Says something on the way, to people: standard output is for what was asked for.
pub(crate) fn tell(text: &str) {
    let _nobody_listens = writeln!(io::stderr(), "{text}");
}

/// Prints what was asked for before the command has ended.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Prints help, the version, or what is wrong with a command line.
pub(crate) fn usage(usage: &clap::Error) -> u8 {
    let _nobody_listens = usage.print();
    if usage.use_stderr() { NOT_STARTED } else { DONE }
}

/// A reader that has seen enough and left (`| head`) is no failure.
fn print(text: &str, code: u8) -> u8 {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _nobody_listens = writeln!(io::stderr(), "sealwire: cannot write to standard output: {error}");
            REFUSED
        }
        _ => code,
    }
}
