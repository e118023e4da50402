//! The command line: words → use case → text. Exit codes: 0 done, 1 refused or invalid input, 2 wrong usage, 3 store or
//! server not reachable.

pub mod accounts;
mod backend;
mod duration;
pub mod failure;
pub mod keys;
pub mod migrate;
mod render;
mod table;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use failure::{Exit, Failure};

use crate::config::Config;

/// An authenticating reverse-proxy gateway.
#[derive(Debug, Parser)]
#[command(name = "keyward", version, about, propagate_version = false)]
pub struct Cli {
    /// The configuration [default: keyward.yaml if it is there, else the built-in defaults]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make, list and change accounts
    #[command(subcommand)]
    Accounts(accounts::Accounts),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Make the store, or bring it to the schema of this version
    Migrate(migrate::Migrate),
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

/// Does what `command` says.
///
/// # Errors
/// What to print and how to exit.
pub async fn run(command: Command, config: &Config, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match command {
        Command::Accounts(command) => accounts::run(command, config, streams).await,
        Command::Keys(command) => keys::run(command, config, streams).await,
        Command::Migrate(command) => migrate::run(command, config, streams).await,
    }
}
