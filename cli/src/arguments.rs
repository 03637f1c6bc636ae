//! The command line as people write it. What stands here is what `--help` says.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgGroup, Args, Parser, Subcommand};

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
    /// The file whose first line is the passphrase of the home, if it has one
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl Command {
    /// The home it uses, if it is one that can be locked.
    pub(crate) fn home(&self) -> Option<&Path> {
        match self {
            Self::Run(run) => Some(run.home.as_deref().unwrap_or(Path::new(HOME))),
            Self::Serve(serve) => Some(&serve.home),
            Self::Up(up) => Some(&up.home),
            Self::Demo(_) => None,
            Self::Show(show) => Some(show.home.as_deref().unwrap_or(Path::new(HOME))),
            Self::Init(init) => Some(&init.home),
            Self::Invite(invite) => Some(&invite.home),
            Self::Join(join) => Some(&join.home),
            Self::Members(members) => Some(&members.home),
            Self::Revoke(revoke) => Some(&revoke.home),
            Self::Rotate(rotate) => Some(&rotate.home),
            Self::Doctor(doctor) => Some(&doctor.home),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Run),
    Serve(Serve),
    Up(Up),
    Demo(Demo),
    Show(Show),
    Init(Init),
    Invite(Invite),
    Join(Join),
    Members(Members),
    Revoke(Revoke),
    Rotate(Rotate),
    Doctor(Doctor),
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

/// Serve CrewAI agents to crews on other hosts, until it is stopped.
///
/// The agents work here, with their models, tools and secrets; crews elsewhere in the domain use them by `remote("name@node")`. This machine must
/// have joined the domain, by `sealwire join`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Serve {
    /// An agent, a list of agents, a crew, or a function that makes one of these; with --all, `:ATTRIBUTE` is left out
    #[arg(value_name = "MODULE:ATTRIBUTE|FILE:ATTRIBUTE", required = true)]
    pub(crate) targets: Vec<String>,
    /// Serve every agent that is found in the modules or files
    #[arg(long)]
    pub(crate) all: bool,
    /// This machine's home
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// Where to take connections: tcp://HOST:PORT, tls://HOST:PORT or unix:///PATH; may be given several times [default: what sealwire.toml
    /// says, or tcp://0.0.0.0:7451]
    #[arg(long, value_name = "LOCATION", conflicts_with = "via")]
    pub(crate) listen: Vec<String>,
    /// What to go through instead: nats://HOST:PORT, jetstream://HOST:PORT, the same with +tls, or python:MODULE:ATTRIBUTE. Passwords stand
    /// in files that sealwire.toml names
    #[arg(long, value_name = "WAY")]
    pub(crate) via: Option<String>,
    /// The name it is served under, if there is one agent [default: made of its role]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Append a JSON line to FILE for each message sealed, opened or refused; never its content
    #[arg(long, value_name = "FILE")]
    pub(crate) audit: Option<PathBuf>,
    /// Also stop when standard input ends: whoever started it has ended then
    #[arg(long)]
    pub(crate) stop_with_stdin: bool,
}

/// Run every agent of a sealwire.toml on this machine, each as a process of its own, until it is stopped.
///
/// Each agent has a home, keys and an environment of its own, and is started again when it ends. Crews on this machine use them by
/// `remote("NAME")`. What is needed for that is made at the first start, and nothing has to be typed.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Up {
    /// The agents to run [default: all]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// The file that says which agents there are
    #[arg(long, value_name = "FILE", default_value = "sealwire.toml")]
    pub(crate) file: PathBuf,
    /// The home of the crews on this machine; made when it does not exist. Those of the agents are in a folder beside it
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// Print a JSON object a line for machines, on standard output
    #[arg(long)]
    pub(crate) json: bool,
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
    #[arg(long, value_name = "NAME", visible_alias = "name")]
    pub(crate) node: Option<String>,
    /// Encrypt the home's keys under a passphrase: that of --passphrase-file, or one that is asked for
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Invite another machine into the domain: print one line for it, wait for it, and list it.
///
/// The line goes to standard output, all else to standard error. It is a secret until it is used: hand it over by ssh, by a chat you trust, or as
/// a QR code; on the other machine, `sealwire join` reads it. Without a home, one is made first.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Invite {
    /// The name of the node to come, the part behind the `@` of its agents' addresses
    #[arg(value_name = "NODE", required_unless_present = "resume")]
    pub(crate) node: Option<String>,
    /// A name that agents of the node may have, or the beginning of names and `*`; may be given several times [default: *]
    #[arg(long, value_name = "PATTERN")]
    pub(crate) agents: Vec<String>,
    /// How long the invite is good for, as in 90s, 10m or 2h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = crate::time::span)]
    pub(crate) expires: u64,
    /// Where to wait [default: port 7452 of all addresses of this machine, or another port if it is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Where the other machine finds this one, if its own addresses are not it; may be given several times
    #[arg(long, value_name = "HOST[:PORT]")]
    pub(crate) at: Vec<String>,
    /// Also show the line as a QR code
    #[arg(long)]
    pub(crate) qr: bool,
    /// Wait once more for an invite that was interrupted; FILE holds its line, `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["node", "agents", "expires", "at"])]
    pub(crate) resume: Option<PathBuf>,
    /// This machine's home; made when it does not exist
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// This node's name, if its home is made now [default: local]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Join the domain of an invite, which `sealwire invite` printed on another machine.
///
/// The invite is read from standard input, or from a file. It can be given as an argument too, but then it stands in the shell's history and in
/// the list of processes, where others may read it while it is good. Who was interrupted runs the same command again.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Join {
    /// `-` for standard input, a file that holds the line, or the line itself
    #[arg(value_name = "INVITE", default_value = "-")]
    pub(crate) invite: PathBuf,
    /// Where to make this machine's home
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// Ask for less than the invite allows: a name, or the beginning of names and `*`; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub(crate) agents: Vec<String>,
    /// Where other nodes reach this one [default: tcp://, the address it joins from, port 7451]; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) at: Vec<String>,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show the nodes of the domain, and the agents of this one; or set where a node is reached.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Members {
    /// The node whose addresses are set; with --at
    #[arg(value_name = "NODE", requires = "at")]
    pub(crate) node: Option<String>,
    /// Where it is reached, such as tcp://10.0.0.3:7451; up to four times. Needs the root key
    #[arg(long, value_name = "ADDRESS", requires = "node")]
    pub(crate) at: Vec<String>,
    /// The home
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Revoke a node, an agent, or a key: what it signs is not accepted any more where the new roster is known.
///
/// Needs the root key. Processes that use this home take the new roster with their next message, nodes that are running and can be reached now, at
/// once; the others when they next hear from one that has it. One that hears nothing goes on with the old roster until that ends, after 30 days at
/// most.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Revoke {
    /// A node; an agent of this home as `name@node`; or a key, 64 hexadecimal digits as `sealwire members` shows them
    #[arg(value_name = "NODE|AGENT|KEY")]
    pub(crate) what: String,
    /// The home with the root key
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Replace a key: an agent's, the domain's root key by one that was named in advance, or the passphrase of the home.
///
/// A node's own key is not replaced: revoke the node, remove its home and invite it again.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, group(ArgGroup::new("key").required(true).args(["agent", "next_root", "root", "passphrase"])))]
pub(crate) struct Rotate {
    /// Make a new key for an agent of this home; where the root key is, the old one is revoked
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// Make the key of the root to come, write it to FILE, and name it in the roster; keep FILE away from this machine
    #[arg(long, value_name = "FILE")]
    pub(crate) next_root: Option<PathBuf>,
    /// Let the root whose key is in FILE, and which the roster names, take over
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// Encrypt the home's keys under a passphrase, or under another one; stop what uses the home first
    #[arg(long)]
    pub(crate) passphrase: bool,
    /// The file whose first line is the new passphrase; without it, it is asked for
    #[arg(long, value_name = "FILE", requires = "passphrase")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// The home
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Look for what keeps this node from working: permissions, files, clock, expiry, addresses, ports and whether others can be reached.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Doctor {
    /// The home
    #[arg(long, value_name = "PATH", default_value = HOME)]
    pub(crate) home: PathBuf,
    /// Print JSON for machines
    #[arg(long)]
    pub(crate) json: bool,
}
