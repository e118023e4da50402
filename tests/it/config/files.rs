//! The committed files are what the code makes of itself, and they pass.
//!
//! After a change of keys: `KEYWARD_WRITE_FILES=1 cargo test --test it config::files`, then look at the difference.

use std::fs;
use std::path::{Path, PathBuf};

use keyward::config::{Config, full_example, load, schema};
use keyward::limits::Plans;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

fn assert_committed(name: &str, generated: &str) {
    let path = file(name);
    if std::env::var_os("KEYWARD_WRITE_FILES").is_some() {
        // Whole or not at all: other tests read it meanwhile.
        let new = path.with_extension("new");
        fs::write(&new, generated).unwrap();
        fs::rename(&new, &path).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == generated, "config/{name} is not what the code makes; see the head of this test");
}

fn loaded(name: &str) -> Config {
    match load(&file(name), &|_| None) {
        Ok(loaded) => {
            // The full example shows a console and a route to every host, which are not for one file.
            let entries = loaded.warnings.entries();
            let mut others =
                entries.iter().filter(|entry| !entry.message.contains("the host of the console"));
            assert!(others.next().is_none(), "{}", loaded.warnings);
            loaded.config
        }
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn the_schema_is_committed() {
    assert_committed("keyward.schema.json", &schema());
}

#[test]
fn the_full_example_is_committed() {
    assert_committed("keyward.full.yaml", &full_example());
}

#[test]
fn the_smallest_file_sets_one_route_and_leaves_the_rest_to_the_defaults() {
    let config = loaded("keyward.yaml");
    assert_eq!((config.upstreams.len(), config.routes.len()), (1, 1));
    assert_eq!(config.store.path, file("keyward-data/keyward.db"));
    assert_eq!(bare(config), Config::default_built_in());
    let text = fs::read_to_string(file("keyward.yaml")).unwrap();
    assert!(text.starts_with("# yaml-language-server: $schema=keyward.schema.json\n"));
}

#[test]
fn the_full_example_shows_the_defaults() {
    let config = loaded("keyward.full.yaml");
    assert_eq!((config.scopes.len(), config.upstreams.len(), config.routes.len()), (1, 1, 1));
    assert_eq!(bare(config), Config::default_built_in());
}

/// Without what has no default, and with the store where the built-in defaults have it.
fn bare(mut config: Config) -> Config {
    config.identity = None;
    for listener in &mut config.listeners {
        (listener.tls, listener.balancers) = (None, Vec::new());
    }
    config.scopes.clear();
    config.limits.plans = Plans::default();
    config.upstreams.clear();
    config.routes.clear();
    config.store.path = config.store.path.strip_prefix(file("")).unwrap().to_owned();
    config
}

#[test]
fn the_schema_closes_every_section_and_knows_every_key_of_the_example() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let mut sections = 0;
    closed(&schema, &mut sections);
    assert!(sections > 20, "{sections}");
    let timeouts = &schema["properties"]["timeouts"]["properties"];
    assert_eq!(timeouts["first_byte"]["default"], "10s");
    assert_eq!(timeouts["first_byte"]["pattern"], "^0*[1-9][0-9]*(ms|s|m|h|d)$|\\$\\{");
    let route = &schema["properties"]["routes"]["items"];
    assert_eq!(route["required"], serde_json::json!(["name", "match"]));
    let one_of = serde_json::json!([
        { "required": ["upstream"] }, { "required": ["redirect"] }, { "required": ["answer"] }
    ]);
    assert_eq!(route["oneOf"], one_of);
}

fn closed(schema: &serde_json::Value, sections: &mut usize) {
    match schema {
        serde_json::Value::Object(object) => {
            if object.contains_key("properties") && object.get("type").is_some_and(|form| form == "object") {
                assert_eq!(object["additionalProperties"], false, "{schema}");
                *sections += 1;
            }
            object.values().for_each(|inner| closed(inner, sections));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|inner| closed(inner, sections)),
        _ => {}
    }
}
