//! Secrets cannot reach a log: their types show nothing, and no log statement asks them to.

use std::fs;
use std::path::Path;

use super::log::tests::logged;
use crate::auth::random::System;
use crate::auth::token::{Kind, PlainToken, Prefix};
use crate::config::{Level, LogFormat};

#[test]
fn a_secret_that_is_logged_shows_nothing_of_itself() {
    let token = PlainToken::generate(&Prefix::default(), Kind::ApiKey, &System::default()).unwrap();
    let hashed = token.hashed();
    for format in [LogFormat::Json, LogFormat::Human] {
        let text = logged(Level::Trace, format, |_| {
            tracing::error!(?token, ?hashed, nested = ?(Some(&token), vec![hashed]), "{token:?} {hashed:?}");
        });
        assert!(text.contains("PlainToken"), "{text}");
        assert!(!text.contains(token.expose()) && !text.contains(token.last4()), "{text}");
        assert!(!text.contains(&hashed.hex()) && !text.contains(&hashed.short().to_string()), "{text}");
    }
}

/// Whether a log statement of `source` touches a secret in clear, and its text.
fn leaks(source: &str) -> Option<&str> {
    let macros = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];
    let begins = macros.iter().flat_map(|name| source.match_indices(name));
    begins
        .filter_map(|(begin, _)| {
            let rest = source.get(begin..)?;
            rest.get(..rest.find(");").unwrap_or(rest.len()))
        })
        .find(|statement| {
            ["expose(", "as_bytes()", ".hex()", "AUTHORIZATION"].iter().any(|word| statement.contains(word))
        })
}

fn scan(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scan(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("telemetry/redaction.rs")
        {
            let source = fs::read_to_string(&path).unwrap();
            assert_eq!(leaks(&source), None, "{}", path.display());
        }
    }
}

#[test]
fn no_log_statement_exposes_a_secret() {
    assert!(leaks(r#"tracing::info!(key = token.expose(), "made");"#).is_some());
    assert!(leaks(r#"tracing::info!(%id, "made"); print(token.expose());"#).is_none());
    scan(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
}
