//! The imports between the boxes of `src/` run one way, and no file grows past being read.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, str};

/// Which boxes a box may import. A box is a folder or file directly under `src/`; `store::sqlite` is one apart from the
/// port it implements. The data plane (`proxy`, `decision`) sees neither `issuer` nor `control` nor any SQL.
const ARROWS: &[(&str, &[&str])] = &[
    // L0
    ("clock", &[]),
    ("auth", &["clock"]),
    ("limits", &["auth", "clock"]),
    // L1
    ("message", &["auth", "clock"]),
    // Which paths are Keyward's own.
    ("config", &["auth", "clock", "limits", "message", "web"]),
    ("web", &["auth", "clock", "message"]),
    ("server", &["auth", "clock", "web"]),
    ("telemetry", &["auth", "clock", "config", "limits"]),
    ("store", &["auth", "clock", "limits"]),
    // L2
    ("routes", &["auth", "clock", "config", "message"]),
    ("authenticator", &["auth", "clock", "config", "limits", "store", "telemetry"]),
    (
        "decision",
        &["auth", "authenticator", "clock", "config", "limits", "message", "routes", "telemetry", "web"],
    ),
    ("issuer", &["auth", "clock", "config", "limits", "store", "telemetry"]),
    ("store::sqlite", &["auth", "clock", "config", "limits", "store", "telemetry"]),
    // L3
    (
        "proxy",
        &[
            "auth",
            "authenticator",
            "clock",
            "config",
            "decision",
            "limits",
            "message",
            "routes",
            "server",
            "telemetry",
            "web",
        ],
    ),
    (
        "control",
        &["auth", "authenticator", "clock", "config", "issuer", "limits", "store", "telemetry", "web"],
    ),
    // L4
    ("app", EVERYTHING_BELOW_APP),
    ("cli", ALL),
    ("main", ALL),
];

const EVERYTHING_BELOW_APP: &[&str] = &[
    "auth",
    "authenticator",
    "clock",
    "config",
    "control",
    "decision",
    "issuer",
    "limits",
    "message",
    "proxy",
    "routes",
    "server",
    "store",
    "store::sqlite",
    "telemetry",
    "web",
];

const ALL: &[&str] = &[
    "app",
    "auth",
    "authenticator",
    "cli",
    "clock",
    "config",
    "control",
    "decision",
    "issuer",
    "limits",
    "message",
    "proxy",
    "routes",
    "server",
    "store",
    "store::sqlite",
    "telemetry",
    "web",
];

/// Paths that only the named boxes may write.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("sqlx::", &["store::sqlite"]),
    ("axum::", &["app", "control"]),
    ("h2::", &["proxy", "server"]),
    ("hyper::", &["app", "cli", "control", "proxy", "server"]),
    ("clap::", &["cli", "main"]),
    ("rustls::", &["server"]),
];

/// What the lowest layer never touches, so that it stays testable without anything.
const NOT_PURE: [&str; 7] =
    ["tokio::", "hyper::", "axum::", "sqlx::", "std::fs", "std::net::Tcp", "std::net::Udp"];
const PURE: [&str; 3] = ["auth", "clock", "message"];

const MOST_LINES: usize = 500;

#[test]
fn imports_run_one_way() {
    let mut found = String::new();
    let files = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert!(files.len() > 5, "the sources were not found");
    for (path, text) in &files {
        for violation in violations(path, text) {
            writeln!(found, "{violation}").unwrap();
        }
    }
    assert!(
        found.is_empty(),
        "imports against the layers (the table is in tests/it/architecture.rs):\n{found}"
    );
}

#[test]
fn no_file_is_longer_than_can_be_read() {
    let long: Vec<String> = sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")))
        .iter()
        .map(|(path, text)| (path, production(text).lines().filter(|line| !line.is_empty()).count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(path, lines)| format!("src/{path}: {lines} lines without tests, at most {MOST_LINES}"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn a_wrong_arrow_is_told_with_file_and_line() {
    let source = r##"
//! May be about [`crate::issuer`] and "crate::issuer".
use std::sync::Arc;

use crate::{
    auth::{refusal::Refusal, scope::Scope},
    store::sqlite::{self, Sqlite},
};

fn f<'a>(text: &'a str) -> char {
    let _ = ("crate::control", r#"crate::control"#, '"', "\"crate::control");
    crate::control::router();
    super::super::issuer::make();
    super::identity::stamp();
    sqlx::query("select 1");
    'x'
}

#[cfg(test)]
mod tests {
    use crate::issuer::Issuer;
    fn g() {
    }
}
"##;
    assert_eq!(
        violations("proxy/forward.rs", source),
        [
            "src/proxy/forward.rs:7: proxy may not import store::sqlite",
            "src/proxy/forward.rs:12: proxy may not import control",
            "src/proxy/forward.rs:13: proxy may not import issuer",
            "src/proxy/forward.rs:15: proxy may not use sqlx::",
        ]
    );
    assert_eq!(
        violations("auth/x.rs", "use tokio::net::TcpStream;\nuse crate::store::Store;\n"),
        ["src/auth/x.rs:2: auth may not import store", "src/auth/x.rs:1: auth may not use tokio::"]
    );
    assert_eq!(violations("newbox.rs", ""), ["src/newbox.rs:1: newbox is not in the table of boxes"]);
    assert_eq!(violations("store/sqlite/x.rs", "use crate::store::Store;"), [""; 0]);
    assert_eq!(violations("app/x.rs", "use crate::cli;"), ["src/app/x.rs:1: app may not import cli"]);
}

#[test]
fn lines_of_tests_do_not_count() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
    assert_eq!(production(text), "fn a() {}\n\n\n\n\nfn c() {}\n");
}

/// Everything in the file that the tables do not allow, as `src/file:line: what`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let from = owner(path);
    if from == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == from) else {
        return vec![format!("src/{path}:1: {from} is not in the table of boxes")];
    };
    let code = blank_comments_and_text(&production(text));
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    for (at, to) in imports(&code, path) {
        if to != from && !allowed.contains(&to.as_str()) {
            found.push(format!("src/{path}:{}: {from} may not import {to}", line(at)));
        }
    }
    found.dedup();
    let outside = OUTSIDE.iter().filter(|(_, boxes)| !boxes.contains(&from.as_str())).map(|(name, _)| *name);
    let impure = NOT_PURE.into_iter().filter(|_| PURE.contains(&from.as_str()));
    let mut forbidden: Vec<&str> = outside.chain(impure).collect();
    forbidden.sort_unstable();
    forbidden.dedup();
    for name in forbidden {
        for (at, _) in code.match_indices(name).filter(|(at, _)| starts_a_word(&code, *at)) {
            found.push(format!("src/{path}:{}: {from} may not use {name}", line(at)));
        }
    }
    found
}

/// The box a file under `src/` belongs to.
fn owner(path: &str) -> String {
    let mut parts = path.trim_end_matches(".rs").split('/');
    let first = parts.next().unwrap_or_default();
    if first == "store" && parts.next() == Some("sqlite") {
        return "store::sqlite".to_owned();
    }
    first.to_owned()
}

/// The box that a path of modules leads to.
fn target(modules: &[String]) -> Option<String> {
    match modules {
        [store, sqlite, ..] if store == "store" && sqlite == "sqlite" => Some("store::sqlite".to_owned()),
        [first, ..] if first.starts_with(|c: char| c.is_ascii_lowercase()) => Some(first.clone()),
        _ => None,
    }
}

/// Every path that starts at the root of the crate, with where it is written and the box it leads to.
fn imports(code: &str, path: &str) -> Vec<(usize, String)> {
    let mut modules: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if modules.last() == Some(&"mod") {
        modules.pop();
    }
    let mut found = Vec::new();
    for word in ["crate::", "super::"] {
        for (at, _) in code.match_indices(word).filter(|(at, _)| starts_a_word(code, *at)) {
            let mut rest = at + word.len();
            let mut base: Vec<String> = Vec::new();
            if word == "super::" {
                let mut ups = 1;
                while code[rest..].starts_with("super::") {
                    ups += 1;
                    rest += "super::".len();
                }
                let kept = modules.len().saturating_sub(ups);
                base = modules[..kept].iter().map(|&module| module.to_owned()).collect();
            }
            paths(code, &mut rest, &base, &mut |at, modules| {
                if let Some(to) = target(modules) {
                    found.push((at, to));
                }
            });
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Reads one tree of a path, `a::{b, c::d}`, and tells every leaf.
fn paths(code: &str, at: &mut usize, base: &[String], tell: &mut dyn FnMut(usize, &[String])) {
    skip_space(code, at);
    if code[*at..].starts_with('{') {
        *at += 1;
        loop {
            skip_space(code, at);
            match code[*at..].chars().next() {
                None => return,
                Some('}') => {
                    *at += 1;
                    return;
                }
                Some(',') => *at += 1,
                Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                    paths(code, at, base, tell);
                    skip_alias(code, at);
                }
                Some(c) => *at += c.len_utf8(),
            }
        }
    }
    let start = *at;
    let len =
        code[start..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(code.len() - start);
    *at += len;
    let mut modules = base.to_vec();
    if &code[start..*at] != "self" {
        modules.push(code[start..*at].to_owned());
    }
    if code[*at..].starts_with("::") {
        *at += 2;
        if code[*at..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '{') {
            return paths(code, at, &modules, tell);
        }
    }
    tell(start, &modules);
}

fn skip_space(code: &str, at: &mut usize) {
    *at = code.len() - code[*at..].trim_start().len();
}

fn skip_alias(code: &str, at: &mut usize) {
    let mut rest = *at;
    skip_space(code, &mut rest);
    if code[rest..].starts_with("as ") {
        *at = rest + code[rest..].find([',', '}']).unwrap_or(0);
    }
}

fn starts_a_word(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_:$".contains(c))
}

/// The text with every test module emptied; lines keep their numbers.
fn production(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ")) {
            kept.push('\n');
            let mut inner = lines.next();
            while let Some(line) = inner {
                kept.push('\n');
                if line == "}" || line.ends_with(';') && line.starts_with("mod ") {
                    break;
                }
                inner = lines.next();
            }
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

/// The code with comments and text between quotes replaced by spaces; every byte keeps its place.
fn blank_comments_and_text(code: &str) -> String {
    let bytes = code.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = end_of_opaque(code, at);
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(out).expect("only spaces were written")
}

/// Where the comment or literal that starts at `at` ends; `at` itself when none does.
fn end_of_opaque(code: &str, at: usize) -> usize {
    let bytes = code.as_bytes();
    let find = |from: usize, what: &[u8]| {
        let from = from.min(bytes.len());
        let found = bytes[from..].windows(what.len()).position(|window| window == what);
        found.map_or(bytes.len(), |found| from + found + what.len())
    };
    match &bytes[at..] {
        [b'/', b'/', ..] => find(at, b"\n") - usize::from(code[at..].contains('\n')),
        [b'/', b'*', ..] => find(at + 2, b"*/"),
        [b'r', b'"' | b'#', ..]
            if at == 0 || !bytes[at - 1].is_ascii_alphanumeric() && bytes[at - 1] != b'_' =>
        {
            let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
            if bytes.get(at + 1 + hashes) != Some(&b'"') {
                return at;
            }
            let mut close = vec![b'"'];
            close.extend(std::iter::repeat_n(b'#', hashes));
            find(at + 2 + hashes, &close)
        }
        [b'"', ..] => {
            let mut end = at + 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            (end + 1).min(bytes.len())
        }
        [b'\'', b'\\', ..] => find(at + 3, b"'"),
        // A character, not a lifetime.
        [b'\'', _, b'\'', ..] => at + 3,
        _ => at,
    }
}

/// Every source file, by its path under `root`, without files that hold tests alone.
fn sources(root: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src/ can be read") {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("tests") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ext| ext == "rs") && !path.ends_with("tests.rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read_to_string(&path).expect("a source file is text")));
            }
        }
    }
    files.sort();
    files
}
