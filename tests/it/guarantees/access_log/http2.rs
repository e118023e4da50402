//! The same of requests whose upstream speaks HTTP/2.

use h2::Reason;
use serde_json::{Value, json};

use super::{by_code, decisions, has, id, lines};
use crate::guarantees::{metric, until_metric};
use crate::support::binary::Home;
use crate::support::h2_upstream::{H2Upstream, Stream};
use crate::support::http::Client;
use crate::support::raw::Raw;
use crate::support::upstream::Gate;

/// Answers by path; what is to break off does when the gate opens.
async fn upstream(gate: &Gate) -> H2Upstream {
    let gate = gate.clone();
    H2Upstream::serving(move |stream| answer(stream, gate.clone())).await
}

async fn answer(mut stream: Stream, gate: Gate) {
    match stream.path().as_str() {
        "/gone" => stream.never().await,
        "/empty" => drop(stream.head(204, &[], true)),
        "/broken" => {
            let mut out = stream.head(200, &[("content-length", "9")], false);
            out.send_data("four".into(), false).unwrap();
            gate.passed().await;
            out.send_reset(Reason::INTERNAL_ERROR);
        }
        "/reset" => stream.reset(Reason::INTERNAL_ERROR),
        _ => stream.answer(200, &[], "twelve bytes").await,
    }
}

#[tokio::test]
async fn a_request_that_goes_up_over_http_2_is_told_of_like_any_other() {
    let gate = Gate::new();
    let upstream = upstream(&gate).await;
    let home = Home::new(&format!(
        "log: {{ access: access.log }}\n\
         upstreams: [{{ name: api, protocol: http2, endpoints: [{{ url: \"{}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api }}]\n",
        upstream.url(),
    ));
    home.account("a@example.com");
    let (key_id, key) = home.key("a@example.com", &[]);
    let serving = home.serve().await;
    let client = || Client::new(home.public()).with_key(&key);
    let get = client().get("/get?secret=1").await;
    let post = client().post("/post", "seven b").await;
    let head = client().request("HEAD", "/head").send().await;
    let empty = client().get("/empty").await;
    let anonymous = Client::new(home.public()).get("/anonymous").await;
    let reset = client().get("/reset").await;
    let ask = async |target: &str| {
        let mut raw = Raw::connect(home.public()).await;
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n")).await;
        raw
    };
    let mut broken = ask("/broken").await;
    broken.head().await.unwrap();
    assert_eq!(broken.exactly(4).await, b"four");
    gate.open();
    broken.until_end().await;
    let gone = ask("/gone").await;
    upstream.until_requests(7).await;
    gone.reset();
    until_metric(home.admin(), "keyward_own_seconds_count", 8).await;
    let decided = decisions(&home).await;
    let waited = metric(home.admin(), "keyward_upstream_seconds_count{upstream=\"api\"}").await;
    let took = metric(home.admin(), "keyward_request_seconds_count{door=\"proxy\",route=\"all\"}").await;
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");

    let lines = lines(&home);
    let known = |mut members: Value| {
        for (name, value) in
            [("credential", &*key_id), ("client", "127.0.0.1"), ("door", "proxy"), ("route", "all")]
        {
            members[name] = value.into();
        }
        members
    };
    for (path, members) in [
        (
            "/get",
            json!({"request_id": id(&get), "method": "GET", "status": 200, "code": null, "bytes_in": 0, "bytes_out": 12}),
        ),
        (
            "/post",
            json!({"request_id": id(&post), "method": "POST", "status": 200, "bytes_in": 7, "bytes_out": 12}),
        ),
        ("/head", json!({"request_id": id(&head), "method": "HEAD", "status": 200, "bytes_out": 0})),
        ("/empty", json!({"request_id": id(&empty), "status": 204, "code": null, "bytes_out": 0})),
        (
            "/reset",
            json!({"request_id": id(&reset), "status": 502, "code": "upstream_protocol_error", "bytes_out": reset.body.len()}),
        ),
        ("/broken", json!({"status": 200, "code": "upstream_protocol_error", "bytes_out": 4})),
        ("/gone", json!({"status": null, "code": null, "bytes_out": 0})),
    ] {
        has(&lines, path, &known(members));
        assert!(lines[path][0]["upstream_ms"].is_number(), "{:?}", lines[path]);
    }
    has(
        &lines,
        "/anonymous",
        &json!({"request_id": id(&anonymous), "status": 401, "credential": null, "upstream_ms": null}),
    );
    // Waiting for the upstream is not our own time, though its answer never came.
    assert!(lines["/gone"][0]["upstream_ms"].as_f64() > lines["/gone"][0]["own_ms"].as_f64());
    assert_eq!(decided, by_code(&lines), "the metrics tell another story than the lines");
    assert_eq!((waited, took), (7, 8), "those that went up, and all");
}
