//! What a configuration becomes, and that no text does any harm.

use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward::auth::certificate::Name;
use keyward::config::{
    AccessLog, Auth, ClientAuth, Config, Entry, HostField, HostPattern, PathPattern, Route, Severity, Style,
    Synchronous, WebsocketCredential, load, parse,
};
use proptest::prelude::{ProptestConfig, Strategy, any, proptest};

use super::{env, good, read, with_route};

#[test]
fn everything_that_is_written_is_what_runs() {
    let config = good(
        r#"
listeners:
  - { name: a, address: "[::1]:8443" }
  - name: b
    address: 127.0.0.1:0
    tls:
      certificates: [{ cert_file: a.pem, key_file: a.key }]
      client_ca_file: clients.pem
      client_auth: optional
      client_accounts: [{ dns: A.Test, account: 0198c0de-0000-7000-8000-00000000000a }, { email: Ann@A.Test, account: ann@a.test }]
trusted_proxies: [10.0.0.0/8, "::1"]
admin: { address: 127.0.0.1:9901 }
store: { sqlite: { path: data/kw.db, synchronous: normal } }
scopes:
  "orders:read": { description: Read your orders, default: true }
  "orders:write": {}
keys: { prefix: acme, default_lifetime: 30d, max_lifetime: 60d, keep_dead: 0s }
credentials: { basic: true, headers: [X-Api-Key] }
identity_headers: { subject: X-Account }
upstreams:
  - name: api
    endpoints: [{ url: "http://[::1]:9000" }, { url: http://backend }]
routes:
  - name: orders
    match: { hosts: [api.example.com, "*.example.org"], path_prefix: /v1/orders, methods: [GET, POST] }
    auth: { required: { scopes: ["orders:write", "orders:read"] } }
    upstream: api
    host: api.internal:81
    path: { allow: [encoded_slash] }
    forward_credential: true
    upgrades: [websocket, SPDY/3.1]
    websocket_credential: subprotocol
  - { name: users, match: { path_pattern: "/users/{id}/{*rest}" }, auth: { optional: { certificate: true } }, upstream: api, host: upstream }
  - { name: health, match: { path: /health }, auth: public, upstream: api, upgrades: [] }
timeouts: { total: 5m, first_byte: 500ms, tunnel_idle: 2h }
max: { body: 0, headers: 64KiB, target: 8192, tunnels: 7 }
log: { level: debug, format: json, access: logs/access.log }
errors: { type_base: https://docs.example.com/errors/, realm: Acme API }
"#,
    );
    let [orders, users, health] = &config.routes[..] else { panic!("{:?}", config.routes) };
    assert_eq!(config.listeners[0].address, "[::1]:8443".parse().unwrap());
    let tls = config.listeners[1].tls.as_ref().unwrap();
    let names: Vec<_> = tls.client_accounts.iter().map(|known| known.name.clone()).collect();
    assert_eq!(names, [Name::Dns("a.test".into()), Name::Email("Ann@a.test".into())]);
    assert_eq!(&*tls.client_accounts[0].account, "0198c0de-0000-7000-8000-00000000000a");
    assert_eq!(tls.client_auth, ClientAuth::Optional);
    assert_eq!([orders, users, health].map(|route| route.certificate), [false, true, false]);
    assert_eq!(config.trusted_proxies[1].to_string(), "::1/128");
    assert_eq!(config.store.path, PathBuf::from("/etc/keyward/data/kw.db"));
    assert_eq!(config.store.synchronous, Synchronous::Normal);
    assert!(config.scopes[0].default && !config.scopes[1].default);
    assert_eq!(config.keys.max_lifetime, Duration::from_secs(60 * 86_400));
    assert_eq!(config.identity_headers.subject, "x-account");
    assert_eq!(config.identity_headers.client, "x-auth-client");
    assert_eq!(&*config.upstreams[0].endpoints[0].host, "::1");
    assert_eq!(config.upstreams[0].endpoints[1].port, 80);
    assert_eq!(orders.hosts[1], HostPattern::Wildcard(".example.org".into()));
    assert!(matches!(&orders.auth, Auth::Required(scopes) if scopes.as_str() == "orders:read orders:write"));
    assert!(matches!(&orders.host, HostField::Fixed(host) if host == "api.internal:81"));
    let upgrades = |route: &Route| route.upgrades.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(upgrades(orders), ["websocket", "spdy/3.1"]);
    assert_eq!((upgrades(users), upgrades(health)), (vec!["websocket".to_owned()], vec![]));
    assert_eq!(orders.websocket_credential, WebsocketCredential::Subprotocol);
    assert_eq!(users.websocket_credential, WebsocketCredential::None);
    assert_eq!((config.timeouts.tunnel_idle, config.max.tunnels), (Duration::from_hours(2), 7));
    assert_eq!(users.path, PathPattern::Pattern("/users/{id}/{*rest}".into()));
    assert!(matches!(&users.auth, Auth::Optional(scopes) if scopes.is_empty()));
    assert_eq!(health.auth, Auth::Public);
    assert_eq!(config.timeouts.total, Some(Duration::from_secs(300)));
    assert_eq!((config.max.body, config.max.headers, config.max.target), (None, 65_536, 8192));
    assert_eq!(config.log.access, AccessLog::File(PathBuf::from("/etc/keyward/logs/access.log")));
}

#[test]
fn nothing_but_braces_is_the_built_in_defaults() {
    let defaults = parse("{}", "keyward.yaml", Path::new(""), &env).unwrap().config;
    assert_eq!(defaults, Config::default_built_in());
    assert_eq!(&*defaults.listeners[0].name, "public");
    assert_eq!(defaults.listeners[0].address, "0.0.0.0:8080".parse().unwrap());
    assert_eq!(defaults.admin.address, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(defaults.store.path, PathBuf::from("keyward-data/keyward.db"));
    assert!(defaults.routes.is_empty() && defaults.upstreams.is_empty());
    assert_eq!((defaults.max.body, defaults.timeouts.total), (Some(10 << 20), None));
}

#[test]
fn variables_stand_in_plain_and_quoted_scalars_and_inside_text() {
    let config = good(&with_route(
        r#"
admin: { address: "127.0.0.1:${PORT}" }
credentials: { basic: "${SWITCH}" }
max: { header_count: "50", connections: '${PORT}' }
errors: { realm: "$${HOST} is literal" }
upstreams: [{ name: api, endpoints: [{ url: "http://${HOST}:${PORT}" }] }]
"#,
    ));
    assert_eq!(config.admin.address.port(), 9001);
    assert_eq!(config.credentials.basic, keyward::auth::credential::Basic::Read);
    assert_eq!(config.max.connections, 9001);
    assert_eq!(config.errors.realm, "${HOST} is literal");
    assert_eq!(&*config.upstreams[0].endpoints[0].host, "10.1.2.3");
}

#[test]
fn a_value_cannot_bring_in_yaml() {
    let config = good(&with_route("scopes: { a: { description: \"${YAML}\" } }"));
    assert_eq!(config.scopes[0].description, "{ a: 1 }, \"b\": [c]");
}

#[test]
fn what_a_variable_holds_is_never_shown() {
    for text in [
        "listeners: [{ name: \"${SECRET}\", address: \"${SECRET}\" }]",
        "admin: { address: \"${SECRET}:80\" }",
        "trusted_proxies: [\"${SECRET}\"]",
        "keys: { max_lifetime: \"${SECRET}\", prefix: \"${SECRET}!\" }",
        "log: { level: \"${SECRET}\", access: \"${SECRET}\" }",
        "errors: { type_base: \"${SECRET}\" }",
        "upstreams: [{ name: a, endpoints: [{ url: \"${SECRET}\" }, { url: \"http://${SECRET}/\" }] }]",
        "routes: [{ name: a, match: { path: \"${SECRET}\", hosts: [\"${SECRET}:80\"] }, upstream: \"${SECRET}\" }]",
        "routes: [{ name: a, match: { path: \"/${SECRET}?\" }, auth: { required: { scopes: [\"${SECRET}\"] } }, upstream: api }]",
        "routes: [{ name: a, match: { path: \"/%61${SECRET}\" }, host: \"${SECRET} \", upstream: api }]",
    ] {
        let problems = read(&with_route(text)).unwrap_err();
        let told = format!("{} {:?} {problems:?}", problems.render(Style::Plain), problems.entries());
        assert!(!told.contains("hunter2"), "{told}");
        assert!(!told.contains("not YAML"), "{told}");
        assert!(told.contains("SECRET"), "{told}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_the_file() {
    let text = "admin: { address: nowhere }\nmax: { body: 10MB, bodi: 1 }\nroutes:\n  - upstream: nobody\n";
    let problems = read(text).unwrap_err();
    let places: Vec<_> = problems.entries().iter().map(|entry| (entry.line, entry.column)).collect();
    let at = |line, column| (Some(line), Some(column));
    assert_eq!(places, [at(1, 19), at(2, 14), at(2, 20), at(4, 5), at(4, 5), at(4, 15)]);
}

#[test]
fn programs_read_problems_as_fields() {
    let problems = read(&with_route("max: { body: 10MB }")).unwrap_err();
    let expected = Entry {
        file: "keyward.yaml".to_owned(),
        line: Some(1),
        column: Some(14),
        severity: Severity::Error,
        message: "`10MB` is not a size: the unit is not one of KiB, MiB, GiB".to_owned(),
        expected: Some(
            "write 10MiB; a whole number of bytes, or one with a unit: 512, 32KiB, 10MiB or 1GiB".to_owned(),
        ),
    };
    assert_eq!(problems.entries(), [expected]);
}

#[test]
fn colours_are_there_when_asked_for() {
    let problems = read("max: 1").unwrap_err();
    assert!(problems.render(Style::Coloured).contains('\u{1b}'));
    assert!(!problems.render(Style::Plain).contains('\u{1b}'));
}

#[test]
fn a_byte_order_mark_and_carriage_returns_change_nothing() {
    let text = with_route("max:\n  body: 1MiB\n");
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(good(&windows), good(&text));
    let problems = read(&windows.replace("1MiB", "1MB")).unwrap_err();
    assert_eq!((problems.entries()[0].line, problems.entries()[0].column), (Some(2), Some(9)));
}

#[test]
fn files_that_cannot_be_read_are_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("latin1.yaml"), b"a: 1\nb: caf\xe9\n").unwrap();
    std::fs::write(path("utf16.yaml"), b"\xff\xfea\0:\0").unwrap();
    std::fs::write(path("large.yaml"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    for (name, expected) in [
        ("absent.yaml", "there is no such file"),
        ("", "this is a folder"),
        ("latin1.yaml", "this file is not UTF-8: line 2"),
        ("utf16.yaml", "looks like UTF-16"),
        ("large.yaml", "larger than 1 MiB"),
    ] {
        let told = load(&path(name), &env).unwrap_err().render(Style::Plain);
        assert!(told.contains(expected) && told.contains(&*path(name).to_string_lossy()), "{told}");
    }
}

#[test]
fn relative_paths_start_from_the_folder_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyward.yaml");
    std::fs::write(&path, with_route("")).unwrap();
    let config = load(&path, &env).unwrap().config;
    assert_eq!(config.store.path, folder.path().join("keyward-data/keyward.db"));
}

#[test]
fn many_problems_are_told_quickly_and_counted() {
    let items = "- { name: \"!\", address: x }\n".repeat(20_000);
    let problems = read(&format!("listeners:\n{items}")).unwrap_err();
    assert_eq!(problems.len(), 40_000);
    assert!(problems.render(Style::Plain).ends_with("... and 39900 more"));
    let problems = read(&format!("routes: [{}]", "{é: []},".repeat(2000))).unwrap_err();
    assert_eq!(problems.entries().len(), 8000);
    assert!(problems.render(Style::Plain).len() < 200_000);
}

/// Text that gets past the first brackets more often than noise does.
fn nearly_yaml() -> impl Strategy<Value = String> {
    let pieces = [
        "routes:",
        "upstreams:",
        "- ",
        "  ",
        "\n",
        "{",
        "}",
        "[",
        "]",
        ": ",
        ",",
        "name",
        "match",
        "path",
        "/%2f",
        "a",
        "auth",
        "required",
        "scopes",
        "&x ",
        "*x",
        "!t ",
        "<<",
        "---",
        "\"",
        "'",
        "|",
        ">",
        "#",
        "\t",
        "\r",
        "é",
        "\0",
        "${",
        "${HOST}",
        "$${",
        "}",
        "?",
        "10",
        "s",
        "\u{2028}",
        "\u{feff}",
        "max",
        "listeners",
        "address",
        "::1",
        "%",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..60)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_text_does_any_harm(text in any::<String>()) {
        let _ = read(&text).map_err(|problems| (problems.render(Style::Coloured), problems.entries()));
    }

    #[test]
    fn nothing_that_looks_like_yaml_does_either(text in nearly_yaml()) {
        let _ = read(&text).map_err(|problems| (problems.render(Style::Plain), problems.entries()));
        let nested = format!("routes:\n  - {}\n", text.replace('\n', "\n    "));
        let _ = read(&nested).map_err(|problems| problems.render(Style::Plain));
    }
}

#[test]
fn identity_is_absent_or_has_defaults() {
    assert_eq!(super::good("{}").identity, None);
    let identity = super::good("identity: { public_url: https://auth.example.com:8443 }").identity.unwrap();
    assert_eq!(identity.public_url.as_str(), "https://auth.example.com:8443");
    assert_eq!(
        (&*identity.audience, identity.hosts),
        ("https://auth.example.com:8443", vec!["auth.example.com".into()])
    );
    assert_eq!(
        (identity.access_token_ttl, identity.refresh.reuse_window),
        (Duration::from_mins(15), Duration::ZERO)
    );
    let text =
        "identity: { public_url: http://auth.internal, insecure_http: true, hosts: [a, b], audience: api }";
    let identity = super::good(text).identity.unwrap();
    assert_eq!((&*identity.audience, identity.hosts.len()), ("api", 2));
}
