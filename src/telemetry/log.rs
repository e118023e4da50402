//! The application's own log, on standard error: what operators must know, not what requests did.
//!
//! Dependencies may warn but never say more, whatever the level: their debug output has header fields in it.

use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{io, panic, thread};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::SetGlobalDefaultError;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

use super::log_writer::LogWriter;
use super::metrics::Dropped;
use super::{Form, log_line};
use crate::clock::Clock;
use crate::config::{Level, Log, LogFormat};

/// A panic's message is told up to this many characters.
const PANIC_MAX: usize = 512;

/// Changes the log while it runs.
#[derive(Clone, Debug)]
pub struct LogHandle {
    filter: reload::Handle<Targets, Registry>,
    human: Arc<AtomicBool>,
    terminal: bool,
    writer: Option<LogWriter>,
}

impl LogHandle {
    /// The lowest level that is written from now on.
    pub fn set_level(&self, level: Level) {
        // It fails only when no subscriber is left that could write.
        let _ = self.filter.reload(targets(level));
    }

    /// Counts lines that are lost from now on.
    pub fn count_dropped(&self, dropped: Dropped) {
        if let Some(writer) = &self.writer {
            writer.count_dropped(dropped);
        }
    }

    /// Waits until what was said so far is written, at most for `within`.
    pub fn flush(&self, within: Duration) {
        if let Some(writer) = &self.writer {
            writer.flush(within);
        }
    }

    /// How lines look from now on.
    pub fn set_format(&self, format: LogFormat) {
        self.human.store(Form::of(format, self.terminal) == Form::Human, Ordering::Relaxed);
    }
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum CannotInit {
    /// It was done before.
    #[error(transparent)]
    Again(#[from] SetGlobalDefaultError),
    /// The system gives no thread.
    #[error(transparent)]
    Thread(#[from] io::Error),
}

/// Makes standard error the log of this process, panics included. Once, at the start of a server.
///
/// # Errors
/// When it was done before, or no thread is to be had.
pub fn init(log: &Log, clock: Clock) -> Result<LogHandle, CannotInit> {
    let terminal = io::IsTerminal::is_terminal(&io::stderr());
    let writer = LogWriter::start(io::stderr())?;
    let outlet = writer.clone();
    let (subscriber, mut handle) = subscriber(log, clock, terminal, move |line| outlet.write(line));
    handle.writer = Some(writer);
    tracing::subscriber::set_global_default(subscriber)?;
    panic::set_hook(Box::new(tell_panic));
    Ok(handle)
}

fn subscriber(
    log: &Log,
    clock: Clock,
    terminal: bool,
    write: impl Fn(&[u8]) + Send + Sync + 'static,
) -> (impl Subscriber + Send + Sync, LogHandle) {
    let (filter, handle) = reload::Layer::new(targets(log.level));
    let handle = LogHandle { filter: handle, human: Arc::default(), terminal, writer: None };
    handle.set_format(log.format);
    let lines = Lines { human: Arc::clone(&handle.human), clock, write };
    (Registry::default().with(filter).with(lines), handle)
}

fn targets(level: Level) -> Targets {
    let own = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    Targets::new().with_default(own.min(LevelFilter::WARN)).with_target("keyward", own)
}

/// Says that a thread panicked, and where. What unwound is for whoever catches it.
fn tell_panic(info: &PanicHookInfo<'_>) {
    let message: String = info.payload_as_str().unwrap_or("no message").chars().take(PANIC_MAX).collect();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    tracing::error!(panic = message, place, thread = thread.name().unwrap_or_default(), "a thread panicked");
}

/// Event → line → `write`.
struct Lines<W> {
    human: Arc<AtomicBool>,
    clock: Clock,
    write: W,
}

impl<S: Subscriber, W: Fn(&[u8]) + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let form = if self.human.load(Ordering::Relaxed) { Form::Human } else { Form::Json };
        let mut line = Vec::with_capacity(256);
        log_line::write(event, self.clock.now(), form, &mut line);
        (self.write)(&line);
    }
}

#[cfg(test)]
pub mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::Timestamp;
    use crate::config::AccessLog;

    /// What `act` logs.
    pub fn logged(level: Level, format: LogFormat, act: impl FnOnce(&LogHandle)) -> String {
        let log = Log { level, format, access: AccessLog::Off };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&lines);
        let clock = Clock::manual(Timestamp(1_793_491_200_042));
        let write = move |line: &[u8]| into.lock().unwrap().extend_from_slice(line);
        let (subscriber, handle) = subscriber(&log, clock, false, write);
        tracing::subscriber::with_default(subscriber, || act(&handle));
        let lines = lines.lock().unwrap();
        String::from_utf8(lines.clone()).unwrap()
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the store is away")]
    struct Away(#[source] io::Error);

    #[test]
    fn a_json_line_has_time_level_target_message_and_fields() {
        let text = logged(Level::Info, LogFormat::Auto, |_| {
            let error = Away(io::Error::other("disk\ngone"));
            tracing::warn!(
                count = 3,
                good = false,
                ratio = f64::NAN,
                error = &error as &dyn std::error::Error,
                "cannot {}",
                "write"
            );
        });
        assert_eq!(
            text,
            concat!(
                r#"{"time":"2026-11-01T00:00:00.042Z","level":"warn","target":"keyward::telemetry::log::tests","#,
                r#""message":"cannot write","count":3,"good":false,"ratio":"NaN","#,
                r#""error":"the store is away: disk\ngone"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_human_line_quotes_what_is_not_one_word_and_indents_further_lines() {
        let text = logged(Level::Info, LogFormat::Human, |_| {
            tracing::info!(address = %"127.0.0.1:80", why = "two words\u{1b}[31m", "listening\nforged");
            tracing::error!(target: "elsewhere", "broken");
        });
        assert_eq!(
            text,
            "2026-11-01T00:00:00.042Z INFO  listening\n    forged address=127.0.0.1:80 why=\"two words\\u001b[31m\"\n\
             2026-11-01T00:00:00.042Z ERROR elsewhere: broken\n"
        );
    }

    #[test]
    fn level_and_format_change_while_it_runs() {
        let text = logged(Level::Warn, LogFormat::Human, |handle| {
            tracing::info!("unseen");
            handle.set_level(Level::Debug);
            tracing::debug!("seen");
            handle.set_format(LogFormat::Json);
            tracing::debug!("as json");
            handle.set_level(Level::Error);
            tracing::warn!("unseen");
        });
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(lines[0].ends_with("DEBUG seen") && lines[1].contains(r#""message":"as json""#));
    }

    #[test]
    fn dependencies_only_warn_at_any_level() {
        let text = logged(Level::Trace, LogFormat::Human, |_| {
            tracing::trace!("ours");
            tracing::info!(target: "h2::codec", "headers");
            tracing::warn!(target: "h2::codec", "theirs");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("headers"));
    }

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        let text = logged(Level::Info, LogFormat::Human, |_| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(tell_panic));
            let caught = panic::catch_unwind(|| panic!("index 7\nforged {}", "x".repeat(1000)));
            panic::set_hook(before);
            assert!(caught.is_err());
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains(r#"ERROR a thread panicked panic="index 7\nforged xxx"#), "{text}");
        assert!(text.contains("place=src/telemetry/log.rs:") && text.len() < 900);
    }
}
