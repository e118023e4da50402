//! Look-ups in small and large route tables: they cost the same.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderValue, Method};
use keyward::config::{Auth, HostField, HostPattern, PathPattern, Route, WebsocketCredential};
use keyward::routes::{Found, Table};

fn route(host: usize, index: usize) -> Route {
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
        auth: Auth::Public,
        upstream: 0,
        host: HostField::Fixed(HeaderValue::from_static("x")),
        allow: Vec::new(),
        forward_credential: false,
        assertion: false,
        upgrades: Vec::new(),
        websocket_credential: WebsocketCredential::None,
        limits: std::sync::Arc::default(),
        cost: 1,
    }
}

fn find(criterion: &mut Criterion) {
    for (hosts, count) in [(1, 10), (1, 10_000), (1_000, 10_000)] {
        let routes: Vec<Route> = (0..count).map(|index| route(index % hosts, index)).collect();
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
