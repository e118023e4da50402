//! What runs, and is probably not meant so.

use keyward::config::Style;

use super::{read, snapshot, with_route};

fn warning(text: &str) -> String {
    read(&with_route(text)).unwrap().warnings.render(Style::Plain)
}

#[test]
fn what_is_probably_not_meant_is_told() {
    let cases = [
        "admin: { address: 0.0.0.0:8081 }",
        "trusted_proxies: [0.0.0.0/0]",
        "routes: []",
        "upstreams: [{ name: api, endpoints: [{ url: http://localhost:8080 }] }]",
        "upstreams: [{ name: api, endpoints: [{ url: http://a }] }, { name: spare, endpoints: [{ url: http://b }] }]",
        "routes: [{ name: all, match: { path_prefix: / }, auth: public, upstream: api }]",
    ];
    let told: Vec<String> = cases.into_iter().map(warning).collect();
    snapshot("warnings", &told.join("\n\n\n"));
}

#[test]
fn a_sound_configuration_is_told_nothing() {
    assert_eq!(warning("admin: { address: \"[::1]:8081\" }\n"), "");
}
