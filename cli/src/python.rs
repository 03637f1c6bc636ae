//! `run`, `serve`, `up` and `demo`: what is left for Python to do.

use std::ffi::{OsStr, OsString};

use crate::{
    Call,
    arguments::{Demo, Run, Serve, Up},
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

/// What to serve, in the one form that `sealwire.serve.main` reads: options first, then the targets.
pub(crate) fn serve(serve: Serve) -> Call {
    let mut arguments: Vec<OsString> = vec!["--home".into(), serve.home.into_os_string()];
    arguments.extend(serve.listen.into_iter().flat_map(|location| ["--listen".into(), location.into()]));
    arguments.extend(serve.via.into_iter().flat_map(|way| ["--via".into(), way.into()]));
    arguments.extend(serve.name.into_iter().flat_map(|name| ["--name".into(), name.into()]));
    arguments.extend(serve.audit.into_iter().flat_map(|file| ["--audit".into(), file.into_os_string()]));
    arguments.extend(serve.all.then(|| "--all".into()));
    arguments.extend(serve.stop_with_stdin.then(|| "--stop-with-stdin".into()));
    arguments.extend(serve.targets.into_iter().map(OsString::from));
    Call { module: "sealwire.serve", arguments }
}

/// What to run, in the one form that `sealwire.up.main` reads: options first, then the names.
pub(crate) fn up(up: Up) -> Call {
    let mut arguments: Vec<OsString> = vec!["--home".into(), up.home.into_os_string(), "--file".into(), up.file.into_os_string()];
    arguments.extend(up.json.then(|| "--json".into()));
    arguments.extend(up.names.into_iter().map(OsString::from));
    Call { module: "sealwire.up", arguments }
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
