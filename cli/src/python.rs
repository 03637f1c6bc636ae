//! `run` and `demo`: what is left for Python to do.

use std::ffi::{OsStr, OsString};

use crate::{
    Call,
    arguments::{Demo, Run},
    failure::Failure,
};

/// The program with its arguments, in the one form that `sealwire.run.main` reads: options first, then the program.
pub(crate) fn run(run: Run) -> Result<Call, Failure> {
    refuse_unknown_option(run.program.first().map(OsString::as_os_str))?;
    let mut arguments = Vec::new();
    for (option, path) in [("--home", run.home), ("--audit", run.audit)] {
        arguments.extend(path.into_iter().flat_map(|path| [option.into(), path.into_os_string()]));
    }
    if !run.module.is_empty() {
        arguments.push("-m".into());
    }
    arguments.extend(run.module);
    arguments.extend(run.program);
    Ok(Call { module: "sealwire.run", arguments })
}

pub(crate) fn demo(demo: &Demo) -> Call {
    let arguments = if demo.json { vec!["--json".into()] } else { Vec::new() };
    Call { module: "sealwire.demo", arguments }
}

/// Options of the program come after its file. What comes before it and is none of ours is a slip, not a file.
fn refuse_unknown_option(file: Option<&OsStr>) -> Result<(), Failure> {
    match file.and_then(OsStr::to_str) {
        Some(option) if option.starts_with('-') => Err(Failure::not_started(format!(
            "`run` has no option `{option}`; see `sealwire run --help`. Options of the program come after its file"
        ))),
        _ => Ok(()),
    }
}
