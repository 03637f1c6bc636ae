//! The command line as people write it. What stands here is what `--help` says.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// Where keys are kept unless something else is said: in the folder the command is run in.
pub(crate) const HOME: &str = "./.sealwire";

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  refused or failed; `demo`: an attack passed
  2  not started: used wrongly, or a file, a home, Python or CrewAI is missing
  3  `run`: the program ended and no crew was kicked off in it
A program that ends with a code of its own under `run` keeps it.";

/// Seals and signs every message between AI agents.
#[derive(Debug, Parser)]
#[command(name = "sealwire", bin_name = "sealwire", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Demo(Demo),
    Show(Show),
    Init(Init),
}

/// Run a CrewAI program that nobody edited, with every crew in it sealed.
///
/// Give a Python file, or a module with -m, and its arguments; without either, the entry that pyproject.toml names is run, as `crewai run`
/// does. The program runs in the Python this command is installed in, or in the active virtual environment.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Run {
    /// The home that keeps the agents' keys; made when it does not exist [default: ./.sealwire]
    #[arg(long, value_name = "PATH")]
    pub(crate) home: Option<PathBuf>,
    /// Append a JSON line to FILE for each message sealed, opened or refused; never its content
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,
    /// Run a module as `python -m` does, or call a function of it; all that follows is its arguments
    #[arg(short, value_names = ["MODULE[:FUNC]", "ARGS"], num_args = 1.., allow_hyphen_values = true)]
    pub(crate) module: Vec<OsString>,
    /// The Python file to run, and its arguments
    #[arg(value_name = "FILE", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) program: Vec<OsString>,
}

/// Run a crew sealed, attack its wire, and show both on one screen; needs no network and no key.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show an envelope: its outside always, and with the keys of a home everything.
///
/// Looking changes nothing: the message is not marked as opened, no key is burned, and a crew that uses the home does not notice. Policy is
/// not asked: whoever holds the keys can read. Messages in lanes cannot be shown, because lane keys are never written down.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Show {
    /// The file that holds the envelope; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The home with the reader's keys [default: ./.sealwire if it is there]
    #[arg(long, value_name = "PATH")]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a home: a folder with the keys of a domain, a node and its agents.
///
/// A home that is there already is left as it is.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Init {
    /// Where to make it
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// The node's name, the part behind the `@` of its agents' addresses [default: local]
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<String>,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}
