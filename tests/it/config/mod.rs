//! The configuration: what is read, what is refused and how that is said, and the files that are generated.

mod files;
mod reading;
mod warnings;
mod wrong;

use std::path::Path;

use keyward::config::{Config, Loaded, Problems, Style, parse};

/// What every configuration of these tests finds in its environment.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "HOST" => "10.1.2.3",
        "PORT" => "9001",
        "SWITCH" => "true",
        "EMPTY" => "",
        "LINES" => "a\nroutes: []",
        "SECRET" => "hunter2",
        "YAML" => "{ a: 1 }, \"b\": [c]",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(text: &str) -> Result<Loaded, Problems> {
    parse(text, "keyward.yaml", Path::new("/etc/keyward"), &env)
}

#[track_caller]
fn good(text: &str) -> Config {
    match read(text) {
        Ok(loaded) => loaded.config,
        Err(problems) => panic!("{problems}"),
    }
}

#[track_caller]
fn refusal(text: &str) -> String {
    match read(text) {
        Ok(loaded) => panic!("taken as {:#?}", loaded.config),
        Err(problems) => problems.render(Style::Plain),
    }
}

/// `text` with an upstream `api` and a route to it, where it sets neither.
fn with_route(text: &str) -> String {
    let mut whole = text.to_owned();
    if !whole.ends_with('\n') {
        whole.push('\n');
    }
    if !text.contains("upstreams:") {
        whole.push_str("upstreams: [{ name: api, endpoints: [{ url: http://127.0.0.1:9000 }] }]\n");
    }
    if !text.contains("routes:") {
        whole.push_str("routes: [{ name: all, match: { path_prefix: / }, upstream: api }]\n");
    }
    whole
}

/// Compares with `snapshots/NAME.snap`.
#[track_caller]
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
