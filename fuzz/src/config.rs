//! A configuration of any text: every problem has its place and can be shown, what is accepted compiles.

use std::path::Path;

use keyward::config::{self, Entry, Problems, Severity, Style};
use keyward::proxy::plan::Plan;

/// Stands for a secret in the environment: no message may repeat it.
const SECRET: &str = "s3cr3t-0f-th3-3nv1r0nm3nt";

/// Takes the input as the text of a file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The reader's own time is linear; a large file finds nothing that a small one does not.
    if text.len() > 16 * 1024 {
        return;
    }
    match parse(text) {
        Err(problems) => {
            assert!(problems.error_count() > 0, "refused without a reason");
            judge(&problems, text);
        }
        Ok(loaded) => {
            assert_eq!(loaded.warnings.error_count(), 0);
            judge(&loaded.warnings, text);
            let again = parse(text).expect("what is accepted is accepted again");
            assert_eq!(again.config, loaded.config);
            for route in &loaded.config.routes {
                let Some(way) = route.way(None) else { continue };
                let upstream = loaded.config.upstreams.get(way.upstream);
                assert!(upstream.is_some_and(|upstream| !upstream.endpoints.is_empty()));
            }
            drop(Plan::compile(loaded.config, Vec::new()));
        }
    }
}

fn parse(text: &str) -> Result<config::Loaded, Problems> {
    config::parse(text, "fuzz.yaml", Path::new("/nowhere"), &|name| match name {
        "PORT" => Some("8080".to_owned()),
        "EMPTY" => Some(String::new()),
        "LINES" => Some("a: b\n- c".to_owned()),
        name if name.starts_with('S') => Some(SECRET.to_owned()),
        _ => None,
    })
}

fn judge(problems: &Problems, text: &str) {
    let entries = problems.entries();
    assert_eq!(entries.len(), problems.len());
    let shown = [problems.render(Style::Plain), problems.render(Style::Coloured)];
    for entry in &entries {
        assert!(!entry.message.is_empty());
        assert!(entry.severity == Severity::Error || entry.line.is_some(), "a warning without a place");
        judge_place(entry, text);
    }
    let told = entries.iter().map(|entry| entry.message.as_str()).chain(shown.iter().map(String::as_str));
    for told in told {
        assert!(!told.contains(SECRET) || text.contains(SECRET), "a value of the environment is told");
    }
    assert_eq!(shown[0].is_empty(), entries.is_empty());
}

/// A problem is at a place in the file, or of a file that has nothing to point at.
fn judge_place(entry: &Entry, text: &str) {
    let (Some(line), Some(column)) = (entry.line, entry.column) else {
        assert_eq!((entry.line, entry.column), (None, None));
        return assert_eq!(entry.message, "this file sets nothing", "a problem without a place");
    };
    // Behind the last line's end there is one more, empty one.
    let lines: Vec<&str> = text.strip_prefix('\u{feff}').unwrap_or(text).split('\n').collect();
    assert!(line > 0 && column > 0, "{entry:?}");
    let line = lines.get(line - 1);
    assert!(line.is_some_and(|line| column <= line.chars().count() + 1), "{entry:?} is outside");
}
