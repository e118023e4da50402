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
        "routes:
  - { name: sea, match: { hosts: [a, b], path_prefix: /v1 }, auth: public, upstream: api }
  - { name: user, match: { hosts: [c, b], path_pattern: \"/v1/users/{id}\" }, upstream: api }
",
        "identity: { public_url: https://auth.test }\n",
        "identity: { public_url: https://auth.test, hosts: [login.test, auth.test] }
routes:
  - { name: all, match: { path_prefix: / }, upstream: api }
  - { name: own, match: { hosts: [login.test], path_prefix: /docs }, upstream: api }
  - { name: wide, match: { hosts: [\"*.test\"], path_prefix: / }, upstream: api }
",
        "limits: { account: { per_minute: 9, per_day: 10 }, plans: { pro: { per_minute: 99 }, small: { per_minute: 99, smooth: { burst: 5 } } } }
routes:
  - { name: small, match: { path_prefix: / }, upstream: api }
  - { name: dear, match: { path_prefix: /dear }, upstream: api, limits: { per_minute: 100, smooth: { burst: 4 }, cost: 10 } }
  - { name: paced, match: { path_prefix: /paced }, upstream: api, limits: { smooth: { burst: 4 } } }
",
        "routes: [{ name: all, match: { path_prefix: / }, auth: { optional: { certificate: true } }, upstream: api }]",
    ];
    let told: Vec<String> = cases.into_iter().map(warning).collect();
    snapshot("warnings", &told.join("\n\n\n"));
}

#[test]
fn a_sound_configuration_is_told_nothing() {
    assert_eq!(warning("admin: { address: \"[::1]:8081\" }\n"), "");
    let beside = "routes:
  - { name: sea, match: { hosts: [a], path_prefix: /v1 }, upstream: api }
  - { name: other_host, match: { hosts: [b], path_pattern: \"/v1/users/{id}\" }, upstream: api }
  - { name: every_host, match: { path_pattern: \"/v1/users/{id}\" }, upstream: api }
  - { name: other_path, match: { hosts: [a], path_pattern: \"/v12/{id}\" }, upstream: api }
  - { name: above, match: { hosts: [a], path_pattern: \"/{id}\" }, upstream: api }
";
    assert_eq!(warning(beside), "");
    let apart = "identity: { public_url: https://auth.test }
routes:
  - { name: all, match: { hosts: [api.test, \"*.auth.test\", \"*.api.test\"], path_prefix: / }, upstream: api }
";
    assert_eq!(warning(apart), "");
    let certified = "listeners: [{ name: a, address: 0.0.0.0:443, tls: { certificates: [{ cert_file: a, key_file: b }], client_ca_file: c, \
                     client_accounts: [{ dns: a, account: a@b }] } }]
routes: [{ name: all, match: { path_prefix: / }, auth: { required: { certificate: true } }, upstream: api }]
";
    assert_eq!(warning(certified), "");
    let no_console = "identity: { public_url: https://auth.test, console: false }\n";
    assert_eq!(warning(no_console), "");
}
