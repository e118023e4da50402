//! Look-ups in small and large route tables: they cost the same.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use http::Method;
use keyward::config::{HostPattern, PathPattern, Route, parse};
use keyward::routes::{Found, Table};

/// A route, read from a configuration.
#[expect(clippy::expect_used, reason = "the text is there to be read")]
fn any() -> Route {
    let yaml = "upstreams: [{ name: api, endpoints: [{ url: \"http://10.0.0.1\" }] }]
routes: [{ name: any, match: { path: / }, auth: public, upstream: api }]";
    parse(yaml, "", Path::new(""), &|_| None).expect("it is right").config.routes.remove(0)
}

fn route(any: &Route, host: usize, index: usize) -> Route {
    let path = match index % 3 {
        0 => PathPattern::Exact(format!("/v1/exact-{index}").into()),
        1 => PathPattern::Prefix(format!("/v1/prefix-{index}").into()),
        _ => PathPattern::Pattern(format!("/v2/pattern-{index}/{{id}}/items").into()),
    };
    Route {
        name: format!("route-{index}").into(),
        hosts: vec![HostPattern::Exact(format!("host-{host}.example.com").into())],
        path,
        methods: vec![Method::GET, Method::POST],
        ..any.clone()
    }
}

fn find(criterion: &mut Criterion) {
    let any = any();
    for (hosts, count) in [(1, 10), (1, 10_000), (1_000, 10_000)] {
        let routes: Vec<Route> = (0..count).map(|index| route(&any, index % hosts, index)).collect();
        let table = Table::compile(&routes);
        for (kind, last) in [
            ("exact", count - count % 3 - 3),
            ("prefix", count - count % 3 - 2),
            ("pattern", count - count % 3 - 1),
        ] {
            let host = format!("host-{}.example.com", last % hosts);
            let path = match kind {
                "exact" => format!("/v1/exact-{last}"),
                "prefix" => format!("/v1/prefix-{last}/orders/4711"),
                _ => format!("/v2/pattern-{last}/4711/items"),
            };
            assert_eq!(table.find(&host, &Method::GET, &path), Found::Route(last));
            criterion.bench_function(&format!("{count} routes on {hosts} hosts, {kind}"), |bencher| {
                bencher.iter(|| table.find(black_box(&host), black_box(&Method::GET), black_box(&path)));
            });
        }
        let deep = format!("/v1{}", "/x".repeat(1000));
        let host = "host-0.example.com";
        criterion.bench_function(
            &format!("{count} routes on {hosts} hosts, none for a long path"),
            |bencher| {
                bencher.iter(|| table.find(black_box(host), black_box(&Method::GET), black_box(&deep)));
            },
        );
    }
}

criterion_group!(benches, find);
criterion_main!(benches);
