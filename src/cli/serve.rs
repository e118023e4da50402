//! `keyward serve`: runs until it is told to end.

use std::path::PathBuf;
use std::time::Duration;

use super::{Exit, Failure};
use crate::app::signals::{Signal, Signals};
use crate::app::{self, Options, Running, StartError};
use crate::clock::Clock;
use crate::config::{Config, Loaded, Problems};
use crate::telemetry::log;

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match error {
            StartError::Store(_) => Exit::Unreachable,
            _ => Exit::Refused,
        };
        let failure = Self::new(exit, error.to_string());
        let failure = match std::error::Error::source(&error) {
            // Its line has the cause already, in words.
            _ if matches!(error, StartError::Bind(_)) => failure,
            Some(cause) if !error.to_string().contains(&cause.to_string()) => failure.hint(cause.to_string()),
            _ => failure,
        };
        failure.hint(error.hint())
    }
}

/// Serves by what `file` held.
///
/// # Errors
/// When it cannot start, or when ending cut requests.
pub async fn run(loaded: Loaded, file: Option<PathBuf>) -> Result<(), Failure> {
    let signals = hear()?;
    let config = loaded.config;
    let clock = Clock::system();
    let log = log::init(&config.log, clock.clone())
        .map_err(|error| Failure::new(Exit::Refused, format!("the log cannot be set up: {error}")))?;
    let options = Options { clock, config_file: file, log: Some(log.clone()), ..Options::default() };
    let outcome = serve(config, &loaded.warnings, options, signals).await;
    log.flush(LOG_CLOSING);
    outcome
}

/// How long the last lines may take.
pub const LOG_CLOSING: Duration = Duration::from_secs(2);

async fn serve(
    config: Config,
    warnings: &Problems,
    options: Options,
    signals: Signals,
) -> Result<(), Failure> {
    let routes = config.routes.len();
    let running = app::start(config, options).await?;
    for warning in warnings.entries() {
        tracing::warn!(file = warning.file, line = warning.line, "{}", warning.message);
    }
    if routes == 0 {
        tracing::warn!("there are no routes: every request is answered with 404");
    }
    super::dev::warn_of_live_keys(&running).await;
    for (name, address) in running.listeners() {
        tracing::info!(listener = %name, %address, "listening");
    }
    tracing::info!(address = %running.admin(), "the admin listener is up: /livez, /readyz, /metrics");
    until_told(running, signals, Hangup::Reloads).await
}

/// From now on signals are heard.
///
/// # Errors
/// When the system refuses.
pub fn hear() -> Result<Signals, Failure> {
    Signals::install()
        .map_err(|error| Failure::new(Exit::Refused, format!("signals cannot be heard: {error}")))
}

/// What SIGHUP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// To load the configuration's file anew.
    Reloads,
    /// To end, because the terminal was closed.
    Ends,
}

/// Reloads and ends as signals say.
///
/// # Errors
/// When ending cut requests.
pub async fn until_told(running: Running, mut signals: Signals, hangup: Hangup) -> Result<(), Failure> {
    while signals.next().await == Signal::Reload && hangup == Hangup::Reloads {
        running.reopen_log();
        running.reload_file();
    }
    tracing::info!("ending: requests in flight may finish; a second signal ends at once");
    tokio::select! {
        cut = running.stop() => match cut.0 {
            0 => Ok(()),
            cut => Err(Failure::new(Exit::Refused, format!("{cut} connections were cut after shutdown.grace"))),
        },
        () = quit(&mut signals) => Err(Failure::new(Exit::Refused, "ended at once by a second signal")),
    }
}

async fn quit(signals: &mut Signals) {
    while signals.next().await != Signal::Quit {}
}
