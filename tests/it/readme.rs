//! What the README says and the code decides: a claim that has become false fails here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use keyward::auth::refusal::Code;
use keyward::cli::Cli;
use serde_json::Value;

use crate::support::gateway::Gateway;
use crate::support::tls::{Authority, paths};
use crate::support::upstream::Upstream;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap()
}

/// From the heading `title` to the next one.
fn section(title: &str) -> String {
    let text = readme();
    let heading = format!("\n## {title}\n");
    let start = text.find(&heading).unwrap_or_else(|| panic!("there is no section {title}")) + heading.len();
    let rest = &text[start..];
    rest[..rest.find("\n## ").unwrap_or(rest.len())].to_owned()
}

/// The cells of every row of the tables in `text`, without heads.
fn rows(text: &str) -> Vec<Vec<String>> {
    let row = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    let is_rule = |line: &str| line.starts_with("| ---");
    let heads = lines.windows(2).filter(|pair| is_rule(pair[1])).map(|pair| pair[0]);
    let heads: BTreeSet<&str> = heads.collect();
    lines.into_iter().filter(|line| !is_rule(line) && !heads.contains(line)).map(row).collect()
}

/// The texts in back-quotes.
fn quoted(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn set<T: Into<String>>(items: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    items.into_iter().map(Into::into).collect()
}

fn schema() -> Value {
    serde_json::from_str(&keyward::config::schema()).unwrap()
}

#[test]
fn its_commands_are_the_programs() {
    let program = Cli::command();
    let mut told = BTreeSet::new();
    for row in rows(&section("Commands")) {
        let name = row[0].trim_matches('`').strip_prefix("keyward ").unwrap().to_owned();
        let command = program.find_subcommand(&name).unwrap_or_else(|| panic!("there is no {name}"));
        let below: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        if !below.is_empty() {
            assert_eq!(set(quoted(&row[1])), set(below), "{name}");
        }
        told.insert(name);
    }
    assert_eq!(told, set(program.get_subcommands().map(clap::Command::get_name)));
}

#[test]
fn every_command_line_in_it_can_be_read() {
    let mut seen = 0;
    let text = readme();
    let in_blocks = text.split("```").skip(1).step_by(2).flat_map(str::lines).map(str::to_owned);
    let spans: Vec<String> = quoted(&text.replace("```", ""));
    for line in in_blocks.chain(spans) {
        let line = line.split(" #").next().unwrap_or_default().trim().trim_end_matches([')', '&', ' ']);
        let Some(at) = line.find("keyward ").filter(|at| is_start_of_command(&line[..*at])) else { continue };
        let words: Vec<&str> = line[at..].split_whitespace().map(|word| word.trim_matches('"')).collect();
        if words.len() < 2 || words.contains(&"…") {
            continue;
        }
        let mut command = Cli::command();
        let read = command.try_get_matches_from_mut(&words);
        let complete = read.map(|_| ()).map_err(|error| error.kind());
        let only_the_name = words.len() == 2;
        assert!(
            complete.is_ok()
                || only_the_name
                    && matches!(
                        complete,
                        Err(clap::error::ErrorKind::MissingRequiredArgument
                            | clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
                    ),
            "{line}: {complete:?}"
        );
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

fn is_start_of_command(before: &str) -> bool {
    before.is_empty() || before.ends_with("$ ") || before.ends_with("$(") || before.ends_with("| ")
}

#[test]
fn its_refusals_are_all_there_are() {
    let told: BTreeSet<(String, String)> = rows(&section("Refusals"))
        .into_iter()
        .map(|row| (row[0].trim_matches('`').to_owned(), row[1].clone()))
        .collect();
    let real = Code::ALL.map(|code| (code.as_str().to_owned(), code.status().to_string()));
    assert_eq!(told, BTreeSet::from(real));
}

#[test]
fn its_sections_are_the_configurations() {
    let schema = schema();
    let told = rows(&section("Configuration")).into_iter().flat_map(|row| quoted(&row[0]));
    assert_eq!(set(told), set(schema["properties"].as_object().unwrap().keys().map(String::as_str)));
}

#[test]
fn its_limits_are_the_defaults() {
    let schema = schema();
    for (section_name, columns) in [("timeouts", [0, 1]), ("max", [3, 4])] {
        let known = schema["properties"][section_name]["properties"].as_object().unwrap();
        let mut told = BTreeSet::new();
        for row in rows(&section("Time-outs and limits")) {
            let [name, default] = columns.map(|column| row.get(column).cloned().unwrap_or_default());
            let Some(name) = quoted(&name).into_iter().next() else { continue };
            let real = &known[&name]["default"];
            let real = real.as_str().map_or_else(|| real.to_string(), str::to_owned);
            assert_eq!(default.split(':').next(), Some(real.as_str()), "{section_name}.{name}");
            told.insert(name);
        }
        assert_eq!(told, set(known.keys().map(String::as_str)));
    }
}

#[test]
fn its_path_words_are_the_configurations() {
    let words: BTreeSet<String> = rows(&section("Routes and paths"))
        .iter()
        .flat_map(|row| [&row[0], &row[2]])
        .flat_map(|cell| quoted(cell))
        .collect();
    let route = &schema()["properties"]["routes"]["items"]["properties"]["path"]["properties"]["allow"];
    for word in &words {
        assert!(route.to_string().contains(word), "{word} in {route}");
    }
    assert_eq!(words.len(), 6);
}

#[tokio::test]
async fn its_metrics_are_those_that_are_rendered() {
    let upstream = Upstream::echo().await;
    let folder = tempfile::TempDir::new().unwrap();
    let certificate = Authority::new().issue(&["a.test"]).write(folder.path(), "a");
    let tls = format!("{{ certificates: [{certificate}] }}");
    let (cert, key) = paths(folder.path(), "a");
    let (cert, key) = (cert.display(), key.display());
    let shown = format!("{{ ca_file: {cert}, cert_file: {cert}, key_file: {key} }}");
    let builder = Gateway::builder().upstream("api", &upstream.url()).tls(&tls);
    let gateway = builder.upstream_by("sealed", "https://127.0.0.1:9", &shown).start().await;
    assert_eq!(gateway.client().await.get("/").await.status, 200);
    let text = crate::support::http::Client::new(gateway.admin()).get("/metrics").await.text().to_owned();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE keyward_"));
    let rendered = types.filter_map(|rest| rest.split(' ').next()).map(|name| format!("keyward_{name}"));
    let told = rows(&section("Operating it")).into_iter().flat_map(|row| quoted(&row[0]));
    assert_eq!(set(told), set(rendered));
}

#[test]
fn its_fields_of_the_access_log_are_those_that_are_written() {
    let record = keyward::telemetry::access::AccessRecord {
        time: keyward::clock::Timestamp(0),
        request_id: "1",
        door: keyward::telemetry::Door::Proxy,
        route: None,
        method: Some("GET"),
        path: Some(b"/"),
        status: None,
        code: None,
        account: None,
        credential: None,
        client: None,
        bytes_in: 0,
        bytes_out: 0,
        own: std::time::Duration::ZERO,
        upstream: None,
    };
    let mut line = Vec::new();
    record.write(keyward::telemetry::Form::Json, &mut line);
    let written: Value = serde_json::from_slice(&line).unwrap();
    let operating = section("Operating it");
    let paragraph = operating.split("**Access log**").nth(1).unwrap().split("\n\n").next().unwrap();
    assert_eq!(set(quoted(paragraph)), set(written.as_object().unwrap().keys().map(String::as_str)));
}

#[test]
fn its_routes_are_a_configuration() {
    let block = section("Routes and paths");
    let yaml = block.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap().to_owned();
    let whole = yaml
        + "scopes: { \"orders:read\": {} }\nupstreams: [{ name: api, endpoints: [{ url: \"http://127.0.0.1:9\" }] }]\n";
    let loaded = keyward::config::parse(&whole, "README.md", Path::new(""), &|_| None);
    assert_eq!(loaded.unwrap_or_else(|problems| panic!("{problems}")).config.routes.len(), 2);
}

#[test]
fn its_scope_of_the_account_can_be_given() {
    let block = section("Logging in, tokens and the console");
    let yaml = block.split("```yaml\n").nth(2).unwrap().split("```").next().unwrap();
    let can_be_given = |yaml: &str| {
        let loaded = keyward::config::parse(yaml, "README.md", Path::new(""), &|_| None);
        let config = loaded.unwrap_or_else(|problems| panic!("{problems}")).config;
        config.catalogue().read(&[keyward::auth::principal::ACCOUNT.to_owned()]).is_ok()
    };
    assert_eq!((can_be_given(yaml), can_be_given("admin: {}")), (true, false));
}

#[test]
fn what_it_points_to_is_there() {
    let text = readme();
    let anchors: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| title.to_lowercase().replace(' ', "-"))
        .collect();
    let links: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 10);
    for link in links {
        match link.strip_prefix('#') {
            Some(anchor) => assert!(anchors.contains(anchor), "#{anchor}"),
            None => assert!(Path::new(ROOT).join(link).exists(), "{link}"),
        }
    }
    let development = section("Development");
    let layout = development.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    for folder in layout.lines().filter_map(|line| line.split_whitespace().next()) {
        assert!(Path::new(ROOT).join(folder).is_dir(), "{folder}");
    }
    for file in ["tests/run", "src/proxy/gateway.rs", "src/config/mod.rs", "src/config/sections"] {
        assert!(text.contains(file) && Path::new(ROOT).join(file).exists(), "{file}");
    }
}

#[test]
fn its_boxes_are_the_folders() {
    let parts = section("The parts");
    let drawing = parts.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    let boxes: BTreeSet<String> = fs::read_dir(Path::new(ROOT).join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .filter(|name| name != "lib")
        .collect();
    let words: BTreeSet<&str> = drawing.split_whitespace().collect();
    for name in boxes {
        assert!(words.contains(name.as_str()), "{name} is not in the drawing");
    }
}
