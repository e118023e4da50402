//! `keyward check`, and loading the configuration for every other command.

use std::io::IsTerminal as _;
use std::path::Path;

use super::{Exit, Failure, Streams};
use crate::app::tls;
use crate::clock::Clock;
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
        let line = format!("{} has {}", file.display(), counted(count, "problem"));
        Failure::new(Exit::Refused, line).report(problems.render(style()))
    })
}

/// Checks the configuration.
///
/// # Errors
/// When it has problems.
pub fn run(file: Option<&Path>, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let loaded = load(file)?;
    let notices = look_at_files(&loaded.config, file)?;
    if !loaded.warnings.is_empty() {
        streams.say(&format!("{}\n", loaded.warnings.render(style())));
    }
    for notice in &notices {
        streams.say(&format!("warning: {notice}\n"));
    }
    match file {
        Some(file) => {
            let routes = counted(loaded.config.routes.len(), "route");
            let upstreams = counted(loaded.config.upstreams.len(), "upstream");
            let warnings = match loaded.warnings.len() + notices.len() {
                0 => String::new(),
                count => format!(", {}", counted(count, "warning")),
            };
            streams.print(&format!("{} is good: {routes}, {upstreams}{warnings}\n", file.display()))
        }
        None => streams
            .print("there is no keyward.yaml here; the built-in defaults are good, but serve no route\n"),
    }
}

/// Certificates and keys, which other commands need not be able to read; gives what is probably not meant so.
fn look_at_files(config: &Config, file: Option<&Path>) -> Result<Vec<String>, Failure> {
    let files = tls::Files::load(config).map_err(|flaws| {
        let name = file.unwrap_or(Path::new("the configuration")).display();
        let line = format!("{name} has {}", counted(flaws.0.len(), "problem"));
        let report: Vec<String> = flaws.0.iter().map(|flaw| format!("error: {flaw}")).collect();
        Failure::new(Exit::Refused, line).report(report.join("\n"))
    })?;
    Ok(files.notices(Clock::system().now()))
}

/// `1 route`, `2 routes`.
fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

fn style() -> Style {
    if std::io::stderr().is_terminal() { Style::Coloured } else { Style::Plain }
}
