//! What operators see of a running gateway: numbers, one line per request, and the application's own log.
//!
//! Workers count and write into buffers of their own; a tick hands them over, so that no request waits for another
//! thread, a lock or a disk. Nothing here decides about a request, and nothing here is given a credential.

pub mod access;
mod encode;
pub mod limit_counts;
pub mod log;
mod log_line;
pub mod log_sink;
mod log_writer;
pub mod metrics;
pub mod pace;
#[cfg(test)]
mod redaction;
pub mod worker_metrics;

use crate::config::LogFormat;

/// Where a request asked for its verdict: a label of metrics and a field of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The reverse proxy itself.
    Proxy,
    /// What Keyward answers itself about accounts and credentials.
    Identity,
}

impl Door {
    /// Every door.
    pub const ALL: [Self; 2] = [Self::Proxy, Self::Identity];

    /// The wire name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Identity => "identity",
        }
    }
}

/// How lines look, once it is known where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

impl Form {
    /// What `format` means for a destination that is, or is not, a terminal.
    #[must_use]
    pub const fn of(format: LogFormat, terminal: bool) -> Self {
        match format {
            LogFormat::Human => Self::Human,
            LogFormat::Auto if terminal => Self::Human,
            LogFormat::Json | LogFormat::Auto => Self::Json,
        }
    }
}
