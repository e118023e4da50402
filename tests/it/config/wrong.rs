//! Wrong configurations and all that is said about each. A message says where, what, and what to write instead.

use super::{read, refusal, snapshot, with_route};

/// The messages of a group of wrong configurations, one after the other.
#[track_caller]
fn messages(cases: &[&str]) -> String {
    let told: Vec<String> = cases.iter().map(|text| refusal(&with_route(text))).collect();
    told.join("\n\n\n")
}

/// As they are, without an upstream and a route put under them.
#[track_caller]
fn messages_of_files(cases: &[&str]) -> String {
    let told: Vec<String> = cases.iter().map(|text| refusal(text)).collect();
    told.join("\n\n\n")
}

#[test]
fn yaml() {
    snapshot(
        "yaml",
        &messages_of_files(&[
            "",
            "# only a comment\n",
            "---\n",
            "just text",
            "- a\n- b\n",
            "routes:\n",
            "routes:\n\t- name: a\n",
            "max:\n\tbody: 1\n\theaders: 1\n",
            "log:\n  level: info\n format: json\n",
            "log: { level: info\nmax: {}\n",
            "log:\n  level: a: b\n",
            "log:\n  level: \"info\nmax: {}\n",
            "routes:\n  - match: { hosts: [*.example.com], path: / }\n",
            "routes:\n  - match: { path_pattern: /users/{id} }\n",
            "log: { level: ${LEVEL} }\n",
            "log: &log { level: info }\n",
            "log: { level: !!str info }\n",
            "log:\n  <<: { level: info }\n",
            "{}\n---\n{}\n",
            "[a]: b\n",
            "log: { level: info, level: warn }\n",
            "routes: []\nmax: {}\nroutes: []\n",
            "log: { level: \"a\u{7}b\" }\n",
            "a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
        ]),
    );
}

#[test]
fn clients_certificates() {
    let tls = |keys: &str| {
        let certificates = "certificates: [{ cert_file: a.pem, key_file: a.key }]";
        format!("listeners: [{{ name: a, address: 0.0.0.0:443, tls: {{ {certificates}, {keys} }} }}]")
    };
    let without =
        ["crl_files: [revoked.pem]", "client_auth: optional", "client_accounts: [{ dns: a, account: a@b }]"];
    let accounts = [
        "",
        "{ account: a@b }",
        "{ dns: a }",
        "{ dns: a, uri: \"x:a\", account: a@b }",
        "{ dns: \"*.example.com\", account: a@b }",
        "{ uri: \"spiffe://example.com/*\", account: a@b }",
        "{ uri: example.com, account: a@b }",
        "{ uri: \"x:a b\", account: a@b }",
        "{ email: example.com, account: a@b }",
        "{ sha256: \"AA:BB\", account: a@b }",
        "{ common_name: \"\", account: a@b }",
        "{ dns: a, account: ann }",
        "{ dns: A.test, account: a@b }, { uri: \"x:A\", account: a@b }, { dns: a.TEST, account: c@d }, { uri: \"x:a\", account: a@b }",
    ]
    .map(|accounts| format!("client_ca_file: ca.pem, client_accounts: [{accounts}]"));
    let others = ["client_ca_file: ca.pem, client_auth: maybe".to_owned()];
    let cases = without.map(str::to_owned).into_iter().chain(others).chain(accounts);
    let cases: Vec<String> = cases.map(|keys| tls(&keys)).collect();
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    snapshot("clients_certificates", &messages(&cases));
}

#[test]
fn keys_and_forms() {
    snapshot(
        "keys_and_forms",
        &messages(&[
            "listener: []",
            "timeouts: { fist_byte: 1s }",
            "banana: 1",
            "doors: { address: 127.0.0.1:8082 }",
            "listeners: [{ name: a, address: 0.0.0.0:443, tls: {} }]",
            "routes: [{ name: a, match: { path: / }, upstream: api, auth: { required: { issuers: [x] } } }]",
            "timeouts: 10s",
            "timeouts: [10s]",
            "trusted_proxies: 10.0.0.0/8",
            "trusted_proxies: [[10.0.0.0/8]]",
            "listeners: { name: a, address: 0.0.0.0:1 }",
            "listeners: []",
            "listeners: [{ name: a, address: 0.0.0.0:443, proxy_protocol: {} }]",
            "listeners: [{ name: a, address: 0.0.0.0:443, proxy_protocol: { from: [] } }]",
            "listeners: [{ name: a, address: 0.0.0.0:443, proxy_protocol: { from: [balancer] } }]",
            "listeners: [public]",
            "log: { level: }",
            "log: { level: [info] }",
            "log:\n",
            "listeners:\n  - name: public\n",
            "scopes: [a, b]",
            "scopes: { a: Read things }",
            "scopes: { \"a b\": {} }",
            "scopes: { a: }",
            "timeouts: { total: [1s, 2s] }",
            "credentials: { headers: [{ name: X-Key }] }",
        ]),
    );
}

#[test]
fn values() {
    snapshot(
        "values",
        &messages(&[
            "timeouts: { idle: 60 }",
            "timeouts: { idle: 1 minute }",
            "timeouts: { idle: soon }",
            "timeouts: { idle: 1h30m }",
            "timeouts: { idle: 1.5s }",
            "timeouts: { idle: -1s }",
            "timeouts: { connect: 0s }",
            "timeouts: { idle: 40000d }",
            "cache: { ttl: 0s }",
            "cache: { capacity: 0 }",
            "cache: { capacity: 100_000 }",
            "cache: { capacity: many }",
            "max: { body: 10MB }",
            "max: { body: 1.5GiB }",
            "max: { body: lots }",
            "max: { headers: 1KiB }",
            "max: { headers: 8KiB, target: 16KiB }",
            "max: { connections: 0 }",
            "credentials: { basic: yes }",
            "credentials: { basic: \"True\" }",
            "credentials: { basic: maybe }",
            "log: { level: warning }",
            "log: { level: loud }",
            "log: { access: stdot }",
            "log: { access: none }",
            "log: { access: ./logs/ }",
            "store: { sqlite: { synchronous: off } }",
            "store: { sqlite: { path: ~/kw.db } }",
            "keys: { prefix: KW_ }",
            "keys: { prefix: \"my-company\" }",
            "keys: { default_lifetime: 60d, max_lifetime: 30d }",
            "keys: { max_lifetime: 30d }",
            "keys: { default_lifetime: 999d }",
            "keys: { default_lifetime: 10ms }",
            "errors: { type_base: urn:keyward:error }",
            "errors: { type_base: /errors/ }",
            "errors: { realm: 'say \"hi\"' }",
            "errors: { bodies: [{ codes: [no_route], body: a }, { codes: [no_route], body: b }] }",
        ]),
    );
}

#[test]
fn addresses_and_names() {
    snapshot(
        "addresses_and_names",
        &messages(&[
            "listeners: [{ name: a, address: localhost:8080 }]",
            "listeners: [{ name: a, address: gateway.example.com:8080 }]",
            "listeners: [{ name: a, address: 8080 }]",
            "listeners: [{ name: a, address: \":8080\" }]",
            "listeners: [{ name: a, address: 10.0.0.1 }]",
            "listeners: [{ name: a, address: \"::1\" }]",
            "listeners: [{ name: a, address: 10.0.0.1:80800 }]",
            "listeners: [{ name: a, address: http://10.0.0.1:80 }]",
            "listeners: [{ name: my listener, address: 10.0.0.1:80 }]",
            "listeners:\n  - { name: a, address: 10.0.0.1:80 }\n  - { name: a, address: 10.0.0.1:81 }\n",
            "listeners:\n  - { name: a, address: 10.0.0.1:80 }\n  - { name: b, address: 0.0.0.0:80 }\n",
            "listeners: [{ name: a, address: 0.0.0.0:8081 }]",
            "admin: { address: 127.0.0.1:8080 }",
            "listeners: [{ name: a, address: 127.0.0.1:9 }]\nadmin: { address: 127.0.0.1:9 }",
            "trusted_proxies: [10.0.0.1/8]",
            "trusted_proxies: [proxy.example.com]",
            "trusted_proxies: [10.0.0.0/8, 10.0.0.0/8]",
            "credentials: { headers: [Authorization] }",
            "credentials: { headers: [Transfer-Encoding] }",
            "credentials: { headers: [Cookie] }",
            "credentials: { headers: [X Key] }",
            "identity_headers: { subject: Host }",
            "identity_headers: { subject: X-Forwarded-User }",
            "identity_headers: { subject: X-User, client: x_user }",
            "identity_headers: { subject: X-Auth-Client }",
            "credentials: { headers: [X-Auth-Subject] }",
            "credentials: { headers: [X-Id] }\nidentity_headers: { method: X-Id }",
        ]),
    );
}

/// `identity` with `keys` beside its public URL.
fn identity(keys: &&str) -> String {
    refusal(&with_route(&format!("identity:\n  public_url: https://auth.example.com\n  {keys}\n")))
}

#[test]
fn identity_keys() {
    let urls = messages(&[
        "identity: {}",
        "identity: https://auth.example.com",
        "identity: { public_url: auth.example.com }",
        "identity: { public_url: https://auth.example.com/ }",
        "identity: { public_url: https://auth.example.com/login }",
        "identity: { public_url: \"https://auth.example.com?a=b\" }",
        "identity: { public_url: http://auth.example.com }",
        "identity: { public_url: ftp://auth.example.com }",
        "identity: { public_url: https://user@auth.example.com }",
        "identity: { public_url: https://auth.example.com:0 }",
    ]);
    let cases = [
        "hosts: [\"auth.example.com:443\"]",
        "hosts: [\"*.example.com\"]",
        "audience: my api",
        "audience: \":api\"",
        "algorithm: rs256",
        "access_token_ttl: 1s",
        "access_token_ttl: 30d",
        "access_token_ttl: 2h\n  refresh: { idle: 1h }",
        "refresh: { idle: 100d }",
        "session_max: 20d",
        "session_max: 1000d",
        "refresh: { reuse_window: 2m }",
        "signing_key_lifetime: 1m",
        "passwords: { min_length: 6 }",
        "passwords: { concurrent: 0 }",
        "password: { min_length: 9 }",
    ];
    let told: Vec<String> = std::iter::once(urls).chain(cases.iter().map(identity)).collect();
    snapshot("identity", &told.join("\n\n\n"));
}

#[test]
fn upstreams() {
    let upstream = |url: &str| {
        refusal(&with_route(&format!("upstreams: [{{ name: api, endpoints: [{{ url: {url} }}] }}]")))
    };
    let urls = [
        "127.0.0.1:9000",
        "HTTPS://api.example.com",
        "http://127.0.0.1:9000/",
        "http://127.0.0.1:9000/v1",
        "http://user:pass@127.0.0.1:9000",
        "http://127.0.0.1:0",
        "http://127.0.0.300:80",
        "\"http://::1:80\"",
        "tcp://127.0.0.1:80",
        "\"\"",
    ];
    let mut told: Vec<String> = urls.into_iter().map(upstream).collect();
    told.push(messages(&[
        "upstreams: [{ name: api, endpoints: [{ url: https://a }, { url: http://b }] }]",
        "upstreams: [{ name: api, endpoints: [{ url: http://a }], tls: { ca_file: ca.pem } }]",
        "upstreams: [{ name: api, endpoints: [{ url: https://a }], tls: { cert_file: a.pem } }]",
        "upstreams: [{ name: api, endpoints: [{ url: https://a }], tls: { verify: false } }]",
        "upstreams: [{ name: api, endpoints: [] }]",
        "upstreams: [{ name: api }]",
        "upstreams: [{ name: api, url: http://127.0.0.1:9000 }]",
        "upstreams: [{ name: api, endpoints: [http://127.0.0.1:9000] }]",
        "upstreams: [{ name: api, endpoints: [{ url: http://a }, { url: http://a:80 }] }]",
        "upstreams:\n  - { name: api, endpoints: [{ url: http://a }] }\n  - { name: api, endpoints: [{ url: http://b }] }\n",
    ]));
    let sharing = [
        "balance: random",
        "balance: { hash: { by: account } }",
        "balance: { hash: { field: Host } }",
        "ejection: { for: 0s, statuses: [600] }",
        "retries: { attempts: 99, budget: 20% }",
    ];
    let sharing =
        sharing.map(|keys| format!("upstreams: [{{ name: api, endpoints: [{{ url: http://a }}], {keys} }}]"));
    told.push(messages(&sharing.each_ref().map(String::as_str)));
    let protocols = ["h2", "http/2", "HTTP2", "grpc", "http3", "\"\"", "[http2]"];
    let protocols = protocols.map(|protocol| {
        format!("upstreams: [{{ name: api, protocol: {protocol}, endpoints: [{{ url: http://a }}] }}]")
    });
    told.push(messages(&protocols.each_ref().map(String::as_str)));
    let upgrades = [
        "upgrades: [websocket]",
        "upgrades: [websocket], websocket_credential: subprotocol",
        "websocket_credential: subprotocol",
    ];
    let upgrades = upgrades.map(|keys| {
        format!(
            "upstreams: [{{ name: api, protocol: http2, endpoints: [{{ url: http://a }}] }}]\n\
             routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api, {keys} }}]\n"
        )
    });
    told.push(messages_of_files(&upgrades.each_ref().map(String::as_str)));
    snapshot("upstreams", &told.join("\n\n\n"));
}

/// One route with `keys` beside its name.
fn route(keys: &str) -> String {
    refusal(&with_route(&format!(
        "scopes: {{ \"orders:read\": {{}} }}\nroutes:\n  - name: orders\n    {keys}\n"
    )))
}

#[test]
fn routes() {
    let cases = [
        "upstream: api",
        "match: {}\n    upstream: api",
        "match: { path: /a, path_prefix: /b }\n    upstream: api",
        "match: { path: /a }",
        "match: { path: /a }\n    upstream: apj",
        "match: { path: /a }\n    upstream: backend",
        "match: { path: /a }\n    upstream: api\n    auth: requird",
        "match: { path: /a }\n    upstream: api\n    auth: { public: {} }",
        "match: { path: /a }\n    upstream: api\n    auth: { required: { scopes: [] }, optional: {} }",
        "match: { path: /a }\n    upstream: api\n    auth: { required: [\"orders:read\"] }",
        "match: { path: /a }\n    upstream: api\n    auth: { required: { scopes: [\"order:read\"] } }",
        "match: { path: /a }\n    upstream: api\n    auth: { required: { scopes: [orders:read orders:write] } }",
        "match: { path: /a }\n    upstream: api\n    host: https://example.com",
        "match: { path: /a }\n    upstream: api\n    path: { allow: [double_slashes] }",
        "match: { path: /a }\n    upstream: api\n    rewrite: /b",
        "match: { path: /a }\n    upstream: api\n    timeouts: { idle: 1s, total: 5 }",
        "match: { path: /a }\n    upstream: api\n    max: { body: 1MB, headers: 1KiB }",
        "match: { path: /a, methods: [get] }\n    upstream: api",
        "match: { path: /a, methods: [\"*\"] }\n    upstream: api",
        "match: { path: /a, methods: [GET, GET] }\n    upstream: api",
        "match: { path: /a, hosts: [API.example.com] }\n    upstream: api",
        "match: { path: /a, hosts: [\"api.example.com:8080\"] }\n    upstream: api",
        "match: { path: /a, hosts: [\"*\"] }\n    upstream: api",
        "match: { path: /a, hosts: [\"api.*.com\"] }\n    upstream: api",
        "match: { path: /a, hosts: [bücher.example] }\n    upstream: api",
        "match: { path: /a }\n    upstream: api\n    upgrades: websocket",
        "match: { path: /a }\n    upstream: api\n    upgrades: [h2c]",
        "match: { path: /a }\n    upstream: api\n    upgrades: [HTTP/2.0, tls/1.2]",
        "match: { path: /a }\n    upstream: api\n    upgrades: [\"web socket\", websocket, WebSocket]",
        "match: { path: /a }\n    upstream: api\n    websocket_credential: query",
        "match: { path: /a }\n    upstream: api\n    upgrades: []\n    websocket_credential: subprotocol",
        "match: { path: /a }\n    upstream: api\n    upgrades: [tcp-ish/1]\n    websocket_credential: subprotocol",
    ];
    let told: Vec<String> = cases.into_iter().map(route).collect();
    snapshot("routes", &told.join("\n\n\n"));
}

#[test]
fn where_routes_lead() {
    let cases = [
        "match: { path: /a }",
        "match: { path: /a }\n    upstream: api\n    answer: { status: 404 }",
        "match: { path: /a }\n    upstream: api\n    rewrite: {}",
        "match: { path: /a }\n    upstream: api\n    rewrite: { prefix: /b, path: /c }",
        "match: { path: /a }\n    upstream: api\n    rewrite: { prefix: /b }",
        "match: { path_prefix: /v1/a }\n    upstream: api\n    rewrite: { strip_prefix: /v2 }",
        "match: { path_prefix: /v1/a }\n    upstream: api\n    rewrite: { strip_prefix: /v1/ }",
        "match: { path_prefix: /v1/a }\n    upstream: api\n    rewrite: { strip_prefix: /v }",
        "match: { path_prefix: /v1/a }\n    upstream: api\n    rewrite: { strip_prefix: / }",
        "match: { path_prefix: /v1/a }\n    upstream: api\n    rewrite: { prefix: /b//c }",
        "match: { path_prefix: /v1/a }\n    upstream: api\n    rewrite: { path: /b/../c }",
        "match: { path_prefix: /v1/a }\n    upstream: api\n    rewrite: { path: /b?x=1 }",
        "match: { path_pattern: \"/u/{id}\" }\n    upstream: api\n    rewrite: { path: \"/a/{name}\" }",
        "match: { path_pattern: \"/u/{*id}\" }\n    upstream: api\n    rewrite: { path: \"/a/{id}\" }",
        "match: { path_pattern: \"/u/{id}\" }\n    upstream: api\n    rewrite: { path: \"/a/{id}.json\" }",
        "match: { path: /a }\n    redirect: { to: \"//evil.example\" }",
        "match: { path: /a }\n    redirect: { to: ftp://example.com }",
        "match: { path: /a }\n    redirect: { to: https://u:p@example.com }",
        "match: { path: /a }\n    redirect: { to: https://example.com, status: 304 }",
        "match: { path: /a }\n    redirect: { to: \"https://example.com?x\", keep_path: true }",
        "match: { path: /a }\n    redirect: { to: https://example.com }\n    rewrite: { path: /b }",
        "match: { path: /a }\n    redirect: {}",
        "match: { path: /a }\n    answer: { status: 101 }",
        "match: { path: /a }\n    answer: { status: 302 }",
        "match: { path: /a }\n    answer: { status: 401 }",
        "match: { path: /a }\n    answer: { status: 204, body: x }",
        "match: { path: /a }\n    answer: { content_type: \"text/html \" }",
        "match: { path: /a }\n    answer: { body: x }\n    upgrades: [websocket]",
        "match: { path: /a }\n    answer: { body: x }\n    host: upstream\n    forward_credential: true\n    timeouts: { connect: 1s }",
        "match: { path: /a }\n    redirect: { to: /b }\n    assertion: false\n    request_fields: { remove: [X-A] }",
        "match: { path: /a }\n    auth: public\n    upstream: api\n    assertion: true",
    ];
    let told: Vec<String> = cases.into_iter().map(route).collect();
    snapshot("where_routes_lead", &told.join("\n\n\n"));
}

#[test]
fn what_routes_do_besides() {
    let keys = [
        "request_fields: { set: { Content-Length: \"5\" } }",
        "request_fields: { set: { Transfer_Encoding: x, Host: a } }",
        "request_fields: { remove: [X-Auth-Subject, X-Who, X-Api.Key, Authorization] }",
        "request_fields: { remove: [X-Forwarded-For, X-Request-Id, Connection, TE, Upgrade] }",
        "request_fields: { set: { X-A: \"a \", X-B: é, \"X C\": c } }",
        "request_fields: { set: { X-A: a }, remove: [x-a] }",
        "request_fields: { set: [X-A] }",
        "response_fields: { set: { Connection: close, X-Request-Id: a, RateLimit: b, Keep-Alive: c } }",
        "response_fields: { remove: [Content-Length, Trailer] }",
        "cors: {}",
        "cors: { origins: [] }",
        "cors: { origins: [app.example.com, https://app.example.com/, \"https://*.com\", \"null\"] }",
        "cors: { origins: [\"*\"], credentials: true }",
        "cors: { origins: [https://a.example], methods: [get], headers: [\"*, a\"], max_age: 5 }",
        "conditions: []",
        "conditions: [{ upstream: api }]",
        "conditions: [{ when: [{ field: X-A, equals: a }] }]",
        "conditions: [{ when: [{ field: X-A }], upstream: apj }]",
        "conditions: [{ when: [{ field: X-Who, equals: a }, { field: Authorization, present: true }], upstream: api }]",
        "conditions: [{ when: [{ field: X-A, equals: a }], auth: public, limits: {} }]",
        "conditions: [{ when: [{ field: X-A, equals: a, present: true }], rewrite: { strip_prefix: /b } }]",
        "errors: []",
        "errors: [{}]",
        "errors: [{ codes: [missing_credential], body: x }]",
        "errors: [{ codes: [no_route], body: \"{requst_id}\" }]",
        "errors: [{ codes: [no_route], body: x, body_file: x.html }]",
        "errors: [{ codes: [no_route], body_file: no-such.html }]",
        "errors: [{ codes: [no_route], body: a }, { codes: [bad_request, no_route], body: b }]",
    ];
    let names = "credentials: { headers: [X-Api-Key] }\nidentity_headers: { subject: X-Who }\n";
    let told: Vec<String> = keys
        .into_iter()
        .map(|keys| {
            let route = format!("match: {{ path: /a }}\n    upstream: api\n    {keys}");
            refusal(&with_route(&format!("{names}routes:\n  - name: orders\n    {route}\n")))
        })
        .collect();
    snapshot("what_routes_do_besides", &told.join("\n\n\n"));
}

#[test]
fn paths_of_routes() {
    let path = |form_and_path: &&str| route(&format!("match: {{ {form_and_path} }}\n    upstream: api"));
    let cases = [
        "path: v1/orders",
        "path: https://example.com/v1",
        "path: /v1?x=1",
        "path: \"/v1#top\"",
        "path: /v1/../admin",
        "path: /v1/%2e%2e/admin",
        "path: /%76%31",
        "path: /caf%c3%a9",
        "path: /café",
        "path: /a b",
        "path: /a//b",
        "path: /a%2Fb",
        "path: /a;b",
        "path: /100%",
        "path: /a%00",
        "path: /%FF",
        "path: \"/users/{id}\"",
        "path_prefix: /v1/",
        "path_prefix: /v1/*",
        "path: /v1/*",
        "path_pattern: /v1",
        "path_pattern: /users/:id",
        "path_pattern: \"/users/{id}-{name}\"",
        "path_pattern: \"/{*all}/edit\"",
        "path_pattern: \"/{id}/{id}\"",
    ];
    let told: Vec<String> = cases.iter().map(path).collect();
    snapshot("paths_of_routes", &told.join("\n\n\n"));
}

#[test]
fn routes_that_only_reserved_paths_could_reach() {
    let with = |console: bool, path: &str, host: &str| {
        with_route(&format!(
            "identity: {{ public_url: https://auth.test, console: {console} }}\n\
             routes:\n  - {{ name: own, match: {{ {path}, hosts: [{host}] }}, upstream: api }}\n"
        ))
    };
    let paths = [
        "path: /user/login",
        "path: /console",
        "path_prefix: /console",
        "path_prefix: /console/keys",
        "path_pattern: \"/user/api-keys/{id}\"",
        "path_pattern: \"/user/api-keys/{id}/rotate\"",
        "path_pattern: \"/console/{*rest}\"",
    ];
    let told: Vec<String> = paths.iter().map(|path| refusal(&with(true, path, "auth.test"))).collect();
    snapshot("routes_that_only_reserved_paths_could_reach", &told.join("\n\n\n"));
    for path in paths {
        assert!(read(&with(true, path, "auth.test, api.test")).is_ok(), "{path} of another host too");
        let is_consoles = path.contains("console");
        assert_eq!(read(&with(false, path, "auth.test")).is_ok(), is_consoles, "{path} without a console");
    }
    for path in [
        "path_prefix: /user",
        "path_prefix: /user/login",
        "path_prefix: /user/api-keys/x",
        "path: /user/profile",
        "path: /consoles",
        "path_prefix: /",
        "path_pattern: \"/user/{what}\"",
        "path_pattern: \"/user/api-keys/{*rest}\"",
    ] {
        assert!(read(&with(true, path, "auth.test")).is_ok(), "{path}");
    }
    // Where the public URL is on loopback, the other names of this machine are Keyward's too, unless hosts are named.
    for (more, read_well) in [("", false), (", hosts: [127.0.0.1]", true)] {
        let text = with(true, "path: /user/login", "localhost, \"[::1]\"");
        let text = text.replace("https://auth.test", &format!("http://127.0.0.1:8080{more}"));
        assert_eq!(read(&text).is_ok(), read_well, "{text}");
    }
}

#[test]
fn routes_that_tie() {
    let two = |first: &str, second: &str| {
        refusal(&with_route(&format!(
            "routes:\n  - name: first\n    match: {{ {first} }}\n    upstream: api\n  - name: second\n    match: {{ {second} }}\n    upstream: api\n"
        )))
    };
    let told = [
        two("path: /a", "path: /a"),
        two("path: /a, methods: [GET, POST]", "path: /a, methods: [HEAD]"),
        two("path: /a, hosts: [a.example, b.example]", "path: /a, hosts: [b.example, a.example]"),
        two("path_pattern: \"/{a}\", methods: [GET]", "path_pattern: \"/{b}\", methods: [POST]"),
        two("path: /a, ignore_case: true", "path: /A, ignore_case: true"),
        two("path: /a, ignore_case: true, methods: [GET]", "path: /a, methods: [POST]"),
        refusal(&with_route(
            "routes:\n  - { name: a, match: { path: /a }, upstream: api }\n  - { name: a, match: { path: /b }, upstream: api }\n",
        )),
    ];
    snapshot("routes_that_tie", &told.join("\n\n\n"));
}

#[test]
fn routes_that_differ_do_not_tie() {
    for (first, second) in [
        ("path: /a", "path_prefix: /a"),
        ("path: /a", "path: /A"),
        ("path: /a, ignore_case: true, methods: [GET]", "path: /A, ignore_case: true, methods: [POST]"),
        ("path_prefix: /a, ignore_case: true", "path_prefix: /A/b"),
        ("path: /a, methods: [GET]", "path: /a, methods: [POST]"),
        ("path: /a, hosts: [a.example]", "path: /a"),
        ("path: /a, hosts: [a.example]", "path: /a, hosts: [\"*.example\"]"),
        ("path_pattern: \"/{a}/b\"", "path_pattern: \"/{a}/{b}\""),
    ] {
        super::good(&with_route(&format!(
            "routes:\n  - {{ name: a, match: {{ {first} }}, upstream: api }}\n  - {{ name: b, match: {{ {second} }}, upstream: api }}\n"
        )));
    }
}

#[test]
fn variables() {
    snapshot(
        "variables",
        &messages(&[
            "log: { level: \"${NO_SUCH}\" }",
            "listeners: [{ name: a, address: \"10.0.0.1:${NO_SUCH}\" }]",
            "log: { level: \"${LEVEL:-info}\" }",
            "log: { level: \"${LEVEL\" }",
            "log: { level: \"${}\" }",
            "log: { \"${HOST}\": info }",
            "log: { level: \"${SECRET}\" }",
            "log: { level: \"${EMPTY}\" }",
            "errors: { realm: \"${LINES}\" }",
            "listeners: [{ name: a, address: \"${HOST}:http\" }]",
            "routes: [{ name: a, match: { path: / }, upstream: \"${SECRET}\" }]",
        ]),
    );
}
