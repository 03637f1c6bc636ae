//! The Python that runs the user's programs: that of the active virtual environment, or the first on the path.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use sealwire_cli::NOT_STARTED;

/// Ends with 0 if the package can be imported. A folder that happens to be called `sealwire` is no package: it has no origin.
const PROBE: &str = "import importlib.util as u, sys; s = u.find_spec('sealwire'); sys.exit(s is None or s.origin is None)";

/// Hands the command line to `python -m sealwire`. Returns only if that could not be started, and says why.
pub(crate) fn run(arguments: &[OsString]) -> u8 {
    let Some(python) = find() else {
        eprintln!("sealwire: no Python was found: activate a virtual environment, or install Python 3.10 or newer");
        return NOT_STARTED;
    };
    if !has_package(&python) {
        let python = python.display();
        eprintln!("sealwire: `{python}` does not have the Python package sealwire: run `{python} -m pip install 'sealwire[crewai]'`");
        return NOT_STARTED;
    }
    let mut command = Command::new(&python);
    become_it(command.args(["-m", "sealwire"]).args(arguments), &python)
}

fn find() -> Option<PathBuf> {
    let active = env::var_os("VIRTUAL_ENV").map(PathBuf::from).map(|folder| folder.join(if cfg!(windows) { "Scripts" } else { "bin" }));
    let path = env::var_os("PATH").unwrap_or_default();
    active.into_iter().chain(env::split_paths(&path)).find_map(|folder| in_folder(&folder))
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let names = if cfg!(windows) { ["python.exe", "python3.exe"] } else { ["python3", "python"] };
    names.iter().map(|name| folder.join(name)).find(|file| is_executable(file))
}

#[cfg(unix)]
fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(file: &Path) -> bool {
    file.is_file()
}

fn has_package(python: &Path) -> bool {
    let probe = Command::new(python).args(["-c", PROBE]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

/// The interpreter takes this process's place: its signals and its exit code are the program's own.
#[cfg(unix)]
fn become_it(command: &mut Command, python: &Path) -> u8 {
    let error = std::os::unix::process::CommandExt::exec(command);
    eprintln!("sealwire: cannot start `{}`: {error}", python.display());
    NOT_STARTED
}

#[cfg(not(unix))]
fn become_it(command: &mut Command, python: &Path) -> u8 {
    match command.status() {
        Ok(status) => status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(sealwire_cli::REFUSED),
        Err(error) => {
            eprintln!("sealwire: cannot start `{}`: {error}", python.display());
            NOT_STARTED
        }
    }
}
