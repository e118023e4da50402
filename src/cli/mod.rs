//! The command line: words → use case → text. Exit codes: 0 done, 1 refused or invalid input, 2 wrong usage, 3 store or
//! server not reachable.

pub mod accounts;
mod backend;
pub mod check;
pub mod dev;
pub mod explain;
pub mod failure;
mod input;
pub mod keys;
pub mod migrate;
mod own_limits;
pub mod reload;
mod render;
pub mod serve;
pub mod sessions;
pub mod signing_keys;
mod table;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

pub use failure::{Exit, Failure};

use crate::app::signals;
use crate::config;

/// What is read when no file is named.
const DEFAULT_FILE: &str = "keyward.yaml";

/// An authenticating reverse-proxy gateway.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, about, propagate_version = false)]
pub struct Cli {
    /// The configuration [default: keyward.yaml if it is there, else the built-in defaults]
    #[arg(long, value_name = "FILE", global = true, display_order = 900)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway
    Serve,
    /// Try the gateway: no configuration, a backend and keys of its own
    Dev(dev::Dev),
    /// Check the configuration: every problem at once, each with its place
    Check,
    /// Tell what would become of a request, and why; the credential is read from standard input
    Explain(explain::Explain),
    /// Make, list and change accounts
    #[command(subcommand)]
    Accounts(accounts::Accounts),
    /// Make, list, replace, import and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// List and end the sessions of who is logged in
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    /// List and replace the keys that tokens are signed with
    #[command(subcommand)]
    SigningKeys(signing_keys::SigningKeys),
    /// Make the store, or bring it to the schema of this version
    Migrate(migrate::Migrate),
    /// Have the running server load its configuration anew
    Reload,
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print the completions of a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Where output goes.
pub struct Streams<'a> {
    /// What was asked for.
    pub out: &'a mut dyn Write,
    /// What else there is to say.
    pub err: &'a mut dyn Write,
}

impl Streams<'_> {
    /// Writes all of `text`. Whoever closed the pipe has seen enough.
    fn print(&mut self, text: &str) -> Result<(), Failure> {
        match self.write(text) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::output(&error)),
            _ => Ok(()),
        }
    }

    fn print_outcome(&mut self, outcome: Result<String, Failure>) -> Result<(), Failure> {
        self.print(&outcome?)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Says something beside the output; nobody listening is no failure.
    fn say(&mut self, line: &str) {
        let _ = writeln!(self.err, "{line}");
    }
}

/// Does what the words say.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(cli: Cli, streams: &mut Streams<'_>) -> Result<(), Failure> {
    signals::outlive_full_files();
    let named = cli.config;
    let file = named.clone().or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
    let settings = || check::load(file.as_deref());
    match cli.command {
        Command::Serve => serve::run(settings()?, file).await,
        Command::Dev(dev) => dev::run(dev, named.as_deref(), streams).await,
        Command::Check => check::run(file.as_deref(), streams),
        Command::Explain(explain) => explain::run(explain, &settings()?.config, streams).await,
        Command::Accounts(command) => accounts::run(command, &settings()?.config, streams).await,
        Command::Keys(command) => keys::run(command, &settings()?.config, streams).await,
        Command::Sessions(command) => sessions::run(command, &settings()?.config, streams).await,
        Command::SigningKeys(command) => signing_keys::run(command, &settings()?.config, streams).await,
        Command::Migrate(command) => migrate::run(command, &settings()?.config, streams).await,
        Command::Reload => reload::run(settings(), file.as_deref(), streams).await,
        Command::Schema => streams.print(&config::schema()),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keyward", &mut text);
            streams.print(&String::from_utf8_lossy(&text))
        }
    }
}
