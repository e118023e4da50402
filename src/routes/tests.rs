use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::auth::refusal::Ambiguity;
use crate::config::{PathPattern, parse};

fn route(name: &str, hosts: &[&str], path: PathPattern, methods: &[&str]) -> Route {
    let host = |text: &&str| match text.strip_prefix('*') {
        Some(suffix) => HostPattern::Wildcard(suffix.into()),
        None => HostPattern::Exact((*text).into()),
    };
    Route {
        name: name.into(),
        hosts: hosts.iter().map(host).collect(),
        path,
        methods: methods.iter().map(|method| method.parse().unwrap()).collect(),
        ..plain()
    }
}

/// A route, read from a configuration once.
fn plain() -> Route {
    static ANY: LazyLock<Route> = LazyLock::new(|| {
        let yaml = "upstreams: [{ name: api, endpoints: [{ url: \"http://10.0.0.1\" }] }]
routes: [{ name: any, match: { path: / }, auth: public, upstream: api }]";
        parse(yaml, "", Path::new(""), &|_| None).unwrap().config.routes.remove(0)
    });
    ANY.clone()
}

/// `=/a` exact, `/a` prefix, `~/a/{x}` pattern.
fn path(text: &str) -> PathPattern {
    match (text.strip_prefix('='), text.strip_prefix('~')) {
        (Some(text), _) => PathPattern::Exact(text.into()),
        (_, Some(text)) => PathPattern::Pattern(text.into()),
        _ => PathPattern::Prefix(text.into()),
    }
}

/// Routes written as `name host,host path METHOD,METHOD`, `-` for none; a path that begins with `i` ignores case.
fn routes(lines: &[&str]) -> Vec<Route> {
    let list = |text: &'static str| if text == "-" { Vec::new() } else { text.split(',').collect() };
    let parse = |line: &&str| {
        let words: Vec<&'static str> = line.to_string().leak().split(' ').collect();
        let (spelled, ignore_case) =
            words[2].strip_prefix('i').map_or((words[2], false), |spelled| (spelled, true));
        Route { ignore_case, ..route(words[0], &list(words[1]), path(spelled), &list(words[3])) }
    };
    lines.iter().map(parse).collect()
}

/// The route's name, `-` for none, or `405` with the value of `Allow`.
fn ask(table: &Table, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    let (method, host, path) = (words[0].parse().unwrap(), words[1], words[2]);
    let found = table.find(host, &method, path);
    assert_eq!(table.trace(host, &method, path).found, found);
    match found {
        Found::Route(index) => table.names[index].to_string(),
        Found::NoRoute => "-".to_owned(),
        Found::MethodNotAllowed { allow } => format!("405 {allow}"),
    }
}

fn expect(lines: &[&str], rows: &[(&str, &str)]) {
    let table = Table::compile(&routes(lines));
    for (question, answer) in rows {
        assert_eq!(ask(&table, question), *answer, "{question}");
    }
}

#[test]
fn a_host_that_matches_has_the_last_word() {
    expect(
        &[
            "any - / -",
            "api api.example.com /v1 -",
            "wild *.example.com /v1 -",
            "deep *.a.example.com / -",
            "both x.test,*.y.test / -",
            "literal [::1] / -",
        ],
        &[
            ("GET api.example.com /v1", "api"),
            ("GET api.example.com /other", "-"),
            ("GET www.example.com /v1", "wild"),
            ("GET www.example.com /other", "-"),
            ("GET a.b.example.com /v1", "wild"),
            ("GET a.example.com /v1", "wild"),
            ("GET x.a.example.com /v1", "deep"),
            ("GET x.y.a.example.com /anything", "deep"),
            ("GET example.com /v1", "any"),
            ("GET .example.com /v1", "any"),
            ("GET notexample.com /v1", "any"),
            ("GET api.example.com.evil.test /v1", "any"),
            ("GET x.test /", "both"),
            ("GET z.y.test /", "both"),
            ("GET y.test /", "any"),
            ("GET [::1] /", "literal"),
            ("GET elsewhere /v1", "any"),
        ],
    );
    expect(&["a a.test / -"], &[("GET b.test /", "-"), ("GET a.test /", "a")]);
    expect(&[], &[("GET a /", "-")]);
}

#[test]
fn the_best_path_is_exact_then_longest_prefix_then_first_pattern() {
    expect(
        &[
            "rest - ~/files/{*rest} -",
            "one - ~/users/{id} -",
            "orders - /v1/orders -",
            "v1 - /v1 -",
            "exact - =/v1/orders/special -",
            "root - =/ -",
            "late - ~/users/{id}/posts/{post} -",
            "later - ~/{a}/{b}/posts/{c} -",
            "any2 - ~/{a}/b -",
            "under - /static/ -",
        ],
        &[
            ("GET a /v1/orders", "orders"),
            ("GET a /v1/orders/", "orders"),
            ("GET a /v1/orders/7", "orders"),
            ("GET a /v1/orders/7/8/9", "orders"),
            ("GET a /v1/ordersX", "v1"),
            ("GET a /v1/Orders", "v1"),
            ("GET a /v1/orders/special", "exact"),
            ("GET a /v1/orders/special/", "orders"),
            ("GET a /v1", "v1"),
            ("GET a /v1/", "v1"),
            ("GET a /v10", "-"),
            ("GET a /", "root"),
            ("GET a /users/7", "one"),
            ("GET a /users/", "-"),
            ("GET a /users", "-"),
            ("GET a /users/7/", "-"),
            ("GET a /users/b", "one"),
            ("GET a /x/b", "any2"),
            ("GET a //b", "-"),
            ("GET a /users/7/posts/8", "late"),
            ("GET a /groups/7/posts/8", "later"),
            ("GET a /users/{id}", "one"),
            ("GET a /files/", "rest"),
            ("GET a /files/a/b/c", "rest"),
            ("GET a /files", "-"),
            ("GET a /files/b", "rest"),
            ("GET a /static/a", "under"),
            ("GET a /static/", "under"),
            ("GET a /static", "-"),
        ],
    );
}

#[test]
fn the_root_prefix_takes_everything_before_any_pattern() {
    expect(
        &["pattern - ~/users/{id} -", "all - / -", "exact - =/a -"],
        &[
            ("GET a /users/7", "all"),
            ("GET a /", "all"),
            ("GET a /a", "exact"),
            ("GET a //", "all"),
            ("GET a /a/", "all"),
        ],
    );
}

#[test]
fn where_case_is_ignored_the_more_specific_path_is_still_the_best() {
    expect(
        &[
            "all - / -",
            "admin - i/Admin -",
            "deep - /ADMIN/keys/own -",
            "keys - i=/admin/KEYS GET",
            "more - i=/Admin/keys POST",
            "item - i~/Items/{Id}/Parts -",
            "first - i~/x/{a}/b -",
            "second - ~/x/c/{b} -",
            "under - i/Static/ -",
        ],
        &[
            ("GET a /admin", "admin"),
            ("GET a /ADMIN/x", "admin"),
            ("GET a /aDmin/", "admin"),
            ("GET a /admins", "all"),
            ("GET a /ADMIN/keys/own", "deep"),
            ("GET a /admin/keys/own", "admin"),
            ("GET a /Admin/Keys", "keys"),
            ("POST a /ADMIN/KEYS", "more"),
            ("PUT a /admin/keys", "405 GET, HEAD, POST"),
            ("GET a /static/X", "under"),
            ("GET a /STATIC", "all"),
        ],
    );
    expect(
        &[
            "item - i~/Items/{Id}/Parts -",
            "first - i~/x/{a}/b -",
            "second - ~/x/c/{b} -",
            "third - ~/Y/{a} -",
        ],
        &[
            ("GET a /items/A/PARTS", "item"),
            ("GET a /X/c/B", "first"),
            ("GET a /x/c/d", "second"),
            ("GET a /X/c/d", "-"),
            ("GET a /y/1", "-"),
        ],
    );
}

#[test]
fn methods_are_looked_at_on_the_best_path_alone() {
    expect(
        &[
            "read - /v1 GET",
            "write - /v1 POST,PUT",
            "all - / -",
            "head - =/h HEAD",
            "get - =/h GET",
            "fallback - /m -",
            "delete - /m DELETE",
            "p1 - ~/p/{a} GET",
            "p2 - ~/p/{b} POST",
            "p3 - ~/p/{*c} PUT",
        ],
        &[
            ("GET a /v1", "read"),
            ("HEAD a /v1", "read"),
            ("POST a /v1/x", "write"),
            ("DELETE a /v1", "405 GET, HEAD, POST, PUT"),
            ("OPTIONS a /v1", "405 GET, HEAD, POST, PUT"),
            ("get a /v1", "405 GET, HEAD, POST, PUT"),
            ("OPTIONS a /x", "all"),
            ("PURGE a /x", "all"),
            ("HEAD a /h", "head"),
            ("GET a /h", "get"),
            ("POST a /h", "405 HEAD, GET"),
            ("DELETE a /m", "delete"),
            ("GET a /m", "fallback"),
            ("GET a /p/x", "all"),
        ],
    );
    expect(
        &["p1 - ~/p/{a} GET", "p2 - ~/p/{b} POST", "p3 - ~/p/{*c} PUT"],
        &[
            ("POST a /p/x", "p2"),
            ("PUT a /p/x", "405 GET, HEAD, POST"),
            ("PUT a /p/x/y", "p3"),
            ("GET a /p/x/y", "405 PUT"),
        ],
    );
}

#[test]
fn each_route_keeps_what_it_allows() {
    let mut list = routes(&["a - / -", "b - /b -"]);
    list[1].allow = vec![Ambiguity::EncodedSlash, Ambiguity::NonUtf8];
    let table = Table::compile(&list);
    assert_eq!(table.quirks(0), Quirks::NONE);
    assert_eq!(table.quirks(1), Quirks::ENCODED_SLASH.with(Quirks::NON_UTF8));
    assert_eq!(table.quirks(2), Quirks::NONE);
}

#[test]
fn a_trace_says_what_was_chosen_and_what_was_not() {
    let table = Table::compile(&routes(&[
        "any - / -",
        "wild *.example.com / -",
        "orders api.example.com /v1/orders GET",
        "v1 api.example.com /v1 -",
        "special api.example.com ~/v1/{x} -",
    ]));
    let lines =
        |method: &str, host: &str, path: &str| table.trace(host, &method.parse().unwrap(), path).lines;
    assert_eq!(
        lines("GET", "api.example.com", "/v1/orders"),
        [
            "host api.example.com: the routes for api.example.com apply",
            "host api.example.com: the routes for *.example.com do not, they are less specific",
            "host api.example.com: the routes without hosts do not, they are less specific",
            "path /v1/orders: path_prefix /v1/orders applies",
            "path /v1/orders: path_prefix /v1 does not, it is shorter",
            "path /v1/orders: path_pattern /v1/{x} does not, prefixes go before patterns",
            "method GET: route orders",
        ]
    );
    assert_eq!(
        lines("POST", "api.example.com", "/v1/orders").last().unwrap(),
        "method POST: no route of this path; it has GET, HEAD"
    );
    assert_eq!(
        lines("GET", "api.example.com", "/x").last().unwrap(),
        "path /x: matches none of the 3 paths of this host"
    );
    let empty = Table::compile(&[]).trace("a", &Method::GET, "/");
    assert_eq!(empty.lines, ["host a: no route names it, and none is without hosts"]);
}

/// The contract's rules read aloud: slow, and sharing nothing with the table.
mod model {
    use super::*;

    fn host_rank(route: &Route, host: &str) -> Option<usize> {
        if route.hosts.is_empty() {
            return Some(0);
        }
        let rank = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(name) => (**name == *host).then_some(usize::MAX),
            HostPattern::Wildcard(end) => {
                (host.ends_with(&**end) && host.len() > end.len()).then_some(end.len())
            }
        };
        route.hosts.iter().filter_map(rank).max()
    }

    /// Higher is better; patterns by file order, so that their rank is none until all are known.
    fn path_rank(route: &Route, path: &str) -> Option<(u8, usize, bool)> {
        let (spelled, path) = match route.ignore_case {
            true => (route.path.in_lower_case(), path.to_ascii_lowercase()),
            false => (route.path.clone(), path.to_owned()),
        };
        let case_counts = !route.ignore_case && !matches!(spelled, PathPattern::Pattern(_));
        rank(&spelled, &path).map(|(kind, length)| (kind, length, case_counts))
    }

    fn rank(spelled: &PathPattern, path: &str) -> Option<(u8, usize)> {
        match spelled {
            PathPattern::Exact(text) => (**text == *path).then_some((2, 0)),
            PathPattern::Prefix(text) => {
                let stem = text.strip_suffix('/').unwrap_or(text);
                let under = path.starts_with(&format!("{stem}/"));
                let itself = !text.ends_with('/') && **text == *path;
                (under || itself).then_some((1, text.len()))
            }
            PathPattern::Pattern(text) => {
                let want: Vec<&str> = text.split('/').collect();
                let have: Vec<&str> = path.split('/').collect();
                let rest = want.last().is_some_and(|part| part.starts_with("{*"));
                let fixed = if rest { want.len() - 1 } else { want.len() };
                let long_enough = if rest { have.len() > fixed } else { have.len() == fixed };
                let fits = |(want, have): (&&str, &&str)| {
                    if want.starts_with('{') { !have.is_empty() } else { want == have }
                };
                (long_enough && want.iter().take(fixed).zip(&have).all(fits)).then_some((0, 0))
            }
        }
    }

    fn same_path(left: &Route, right: &Route) -> bool {
        let plain = |text: &str| text.replace("{x}", "{}").replace("{y}", "{}");
        let spelled =
            |route: &Route| if route.ignore_case { route.path.in_lower_case() } else { route.path.clone() };
        if left.ignore_case != right.ignore_case {
            return false;
        }
        let (left, right) = (&spelled(left), &spelled(right));
        match (left, right) {
            (PathPattern::Pattern(left), PathPattern::Pattern(right)) => plain(left) == plain(right),
            _ => left == right,
        }
    }

    pub(super) fn find(routes: &[Route], host: &str, method: &Method, path: &str) -> Found {
        let Some(best_host) = routes.iter().filter_map(|route| host_rank(route, host)).max() else {
            return Found::NoRoute;
        };
        let of_host =
            || routes.iter().enumerate().filter(|(_, route)| host_rank(route, host) == Some(best_host));
        let matching: Vec<_> = of_host().filter(|(_, route)| path_rank(route, path).is_some()).collect();
        let Some(best_path) = matching.iter().filter_map(|(_, route)| path_rank(route, path)).max() else {
            return Found::NoRoute;
        };
        let first = matching.iter().find(|(_, route)| path_rank(route, path) == Some(best_path)).unwrap();
        let same: Vec<_> = of_host().filter(|(_, route)| same_path(route, first.1)).collect();
        let with = |method: &Method| same.iter().find(|(_, route)| route.methods.contains(method));
        let any = same.iter().find(|(_, route)| route.methods.is_empty());
        let get = with(&Method::GET).filter(|_| method == Method::HEAD);
        if let Some((index, _)) = with(method).or(get).or(any) {
            return Found::Route(*index);
        }
        let mut allow: Vec<&str> = Vec::new();
        for method in same.iter().flat_map(|(_, route)| &route.methods) {
            if !allow.contains(&method.as_str()) {
                allow.push(method.as_str());
                if method == Method::GET && with(&Method::HEAD).is_none() {
                    allow.push("HEAD");
                }
            }
        }
        Found::MethodNotAllowed { allow: allow.join(", ").into() }
    }
}

fn any_route() -> impl Strategy<Value = Route> {
    let host =
        prop_oneof![Just("a.test"), Just("b.a.test"), Just("*.test"), Just("*.a.test"), Just("*.b.a.test")];
    let segment = prop_oneof![Just("a"), Just("b"), Just("ab"), Just("A"), Just("")];
    let literal = prop::collection::vec(segment, 1..4).prop_map(|parts| format!("/{}", parts.join("/")));
    let part = prop_oneof![Just("a"), Just("A"), Just("b"), Just("{x}"), Just("{y}")];
    let pattern = (prop::collection::vec(part, 1..4), any::<bool>())
        .prop_map(|(parts, rest)| format!("/{}{}", parts.join("/"), if rest { "/{*r}" } else { "" }));
    let path = prop_oneof![
        literal.clone().prop_map(|text| PathPattern::Exact(text.into())),
        literal.prop_map(|text| PathPattern::Prefix(text.into())),
        pattern.prop_map(|text| PathPattern::Pattern(text.into())),
    ];
    let method = prop_oneof![Just("GET"), Just("POST"), Just("HEAD")];
    let methods = prop::collection::vec(method, 0..3);
    (prop::collection::vec(host, 0..3), path, methods, any::<bool>()).prop_map(
        |(hosts, path, methods, ignore_case)| Route { ignore_case, ..route("r", &hosts, path, &methods) },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn the_table_says_what_the_rules_say(
        routes in prop::collection::vec(any_route(), 0..20),
        questions in prop::collection::vec(
            ("(b\\.|x\\.)?(a\\.)?(test|other)", "(GET|HEAD|POST|DELETE)", "(/(a|b|ab|A|AB|)){1,4}"),
            1..20,
        ),
    ) {
        let table = Table::compile(&routes);
        for (host, method, path) in questions {
            let method = method.parse().unwrap();
            let want = model::find(&routes, &host, &method, &path);
            prop_assert_eq!(table.trace(&host, &method, &path).found, want.clone());
            prop_assert_eq!(table.find(&host, &method, &path), want, "{} {}{}", method, host, path);
        }
    }
}
