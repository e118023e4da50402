//! `keyward check`, and loading the configuration for every other command.

use std::io::IsTerminal as _;
use std::path::Path;

use super::{Exit, Failure, Streams};
use crate::config::{self, Config, Loaded, Problems, Style};

/// The configuration in `file`, or the built-in defaults when there is none.
///
/// # Errors
/// Every problem of the file, with its place.
pub fn load(file: Option<&Path>) -> Result<Loaded, Failure> {
    let Some(file) = file else {
        return Ok(Loaded { config: Config::default_built_in(), warnings: Problems::default() });
    };
    config::load(file, &|name| std::env::var(name).ok()).map_err(|problems| {
        let count = problems.error_count();
        let noun = if count == 1 { "problem" } else { "problems" };
        let line = format!("{} has {count} {noun}", file.display());
        Failure { exit: Exit::Refused, line, hints: vec![problems.render(style())] }
    })
}

/// Checks the configuration.
///
/// # Errors
/// When it has problems.
pub fn run(file: Option<&Path>, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let loaded = load(file)?;
    if !loaded.warnings.is_empty() {
        streams.say(&loaded.warnings.render(style()));
    }
    match file {
        Some(file) => {
            let (routes, upstreams) = (loaded.config.routes.len(), loaded.config.upstreams.len());
            streams.print(&format!("{} is good: {routes} routes, {upstreams} upstreams\n", file.display()))
        }
        None => streams
            .print("there is no keyward.yaml here; the built-in defaults are good, but serve no route\n"),
    }
}

fn style() -> Style {
    if std::io::stderr().is_terminal() { Style::Coloured } else { Style::Plain }
}
