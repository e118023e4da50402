//! `store`, `log`, `shutdown` and `errors`: how the process is run.

use std::time::Duration;

use super::routes::errors::bodies;
use crate::config::kind::text::{AccessTarget, File, TypeBase, Words as Text};
use crate::config::kind::time::Span;
use crate::config::kind::words::Words;
use crate::config::section::Section;
use crate::config::{AccessLog, Errors, Level, Log, LogFormat, Shutdown, Store, Synchronous};

const SYNCHRONOUS: Words<Synchronous> =
    Words(&[("full", Synchronous::Full), ("normal", Synchronous::Normal)]);

const LEVELS: Words<Level> = Words(&[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
]);

const FORMATS: Words<LogFormat> =
    Words(&[("auto", LogFormat::Auto), ("json", LogFormat::Json), ("human", LogFormat::Human)]);

/// `store`.
pub(super) fn store(s: &mut Section<'_>) -> Store {
    s.section("sqlite", "The embedded store.", |s| Store {
        path: s
            .value(
                "path",
                &File,
                "keyward-data/keyward.db".into(),
                "The database file; it is made when absent.",
            )
            .value,
        synchronous: s
            .value(
                "synchronous",
                &SYNCHRONOUS,
                Synchronous::Full,
                "full: what was acknowledged survives a power cut; normal: only a crash of the process.",
            )
            .value,
    })
}

/// `log`.
pub(super) fn log(s: &mut Section<'_>) -> Log {
    Log {
        level: s
            .value(
                "level",
                &LEVELS,
                Level::Info,
                "The lowest level written: error, warn, info, debug or trace.",
            )
            .value,
        format: s
            .value(
                "format",
                &FORMATS,
                LogFormat::Auto,
                "auto (for people on a terminal, else JSON), json or human.",
            )
            .value,
        access: s
            .value(
                "access",
                &AccessTarget,
                AccessLog::Stdout,
                "One line per request: stdout, stderr, off or a file, which SIGHUP opens anew. A change needs a restart.",
            )
            .value,
    }
}

/// `shutdown`.
pub(super) fn shutdown(s: &mut Section<'_>) -> Shutdown {
    let (delay, grace) = (Duration::ZERO, Duration::from_secs(30));
    Shutdown {
        delay: s
            .value(
                "delay",
                &Span::ANY,
                delay,
                "Still accepting after the signal, so that load balancers notice.",
            )
            .value,
        grace: s.value("grace", &Span::ANY, grace, "Letting requests finish after that.").value,
    }
}

/// `errors`.
pub(super) fn errors(s: &mut Section<'_>) -> Errors {
    let base = "urn:keyward:error:".to_owned();
    let comment = "Bodies of refusals as under `errors` of a route, for those whose route has none, or that have no route.";
    Errors {
        type_base: s.value("type_base", &TypeBase, base, "What stands before the code in `type`.").value,
        realm: s.value("realm", &Text::Realm, "keyward".to_owned(), "The realm of WWW-Authenticate.").value,
        bodies: bodies(s, "bodies", comment, "here"),
    }
}
