//! Composition: the one place that sees every box. Starts them in order, swaps what a reload swaps, ends them in order.

mod acceptor;
mod checking;
mod cleaning;
pub mod demo;
mod logins;
mod reloading;
mod running;
pub mod signals;
mod signing;
mod start;
pub mod tls;
mod upstreams;
pub mod watch;
mod workers;

use std::path::PathBuf;

pub use running::{Cut, Running};
pub use start::{StartError, start};

use crate::clock::Clock;
use crate::proxy::upstream::resolve::Resolver;
use crate::telemetry::log::LogHandle;

/// How Keyward is started, beside its configuration.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time.
    pub clock: Clock,
    /// Threads of the data plane; one for each core by default.
    pub workers: Option<usize>,
    /// The file that a reload reads again.
    pub config_file: Option<PathBuf>,
    /// The switches of this process's log.
    pub log: Option<LogHandle>,
    /// What tells the addresses of servers' names.
    pub resolver: Resolver,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            workers: None,
            config_file: None,
            log: None,
            resolver: Resolver::default(),
        }
    }
}
