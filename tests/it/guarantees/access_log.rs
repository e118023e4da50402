//! One line for each request, with what really happened to it; and a log that nobody reads holds nobody up.

mod http2;

use std::collections::BTreeMap;
use std::process::Command;

use keyward::auth::refusal::Code;
use serde_json::{Value, json};

use super::{metric, open_home, until_metric};
use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::raw::{Raw, Response};
use crate::support::upstream::{Answer, Upstream, refusing};
use crate::support::within;

/// Who asks, and what they asked so far.
struct Scene {
    upstream: Upstream,
    home: Home,
    key: String,
    key_id: String,
}

impl Scene {
    async fn new() -> Self {
        let upstream = Upstream::answering(|request| match request.target.split('?').next().unwrap() {
            "/gone" => Answer::hang(),
            "/broken" => {
                Answer::new(200).header("content-length", "9").only_head().then_send("four").then_close()
            }
            "/big" => Answer::new(200).filled(1 << 30),
            _ => Answer::ok("twelve bytes"),
        })
        .await;
        let home = Home::new(&format!(
            "max: {{ body: 1KiB }}\nlog: {{ access: access.log }}\n\
             upstreams:\n  - {{ name: api, endpoints: [{{ url: \"{}\" }}] }}\n  - {{ name: refusing, endpoints: [{{ url: \"http://{}\" }}] }}\n\
             routes:\n  - {{ name: all, match: {{ path_prefix: / }}, upstream: api }}\n\
             \x20 - {{ name: refusing, match: {{ path: /refusing }}, upstream: refusing }}\n",
            upstream.url(),
            refusing().await
        ));
        home.account("a@example.com");
        let (key_id, key) = home.key("a@example.com", &[]);
        Self { upstream, home, key, key_id }
    }

    fn client(&self) -> Client {
        Client::new(self.home.public()).with_key(&self.key)
    }

    async fn send(&self, line: &str, more: &str) -> Raw {
        let mut raw = Raw::connect(self.home.public()).await;
        let key = &self.key;
        raw.send(format!("{line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{more}")).await;
        raw
    }

    async fn until_asked(&self, target: &str) {
        let asked = |seen: &crate::support::upstream::Seen| {
            seen.requests.iter().any(|request| request.target == target).then_some(())
        };
        self.upstream.until(target, asked).await;
    }

    fn lines(&self) -> BTreeMap<String, Vec<Value>> {
        lines(&self.home)
    }
}

/// The lines by path, all of them with another id.
fn lines(home: &Home) -> BTreeMap<String, Vec<Value>> {
    let text = std::fs::read_to_string(home.path().join("access.log")).unwrap();
    let mut lines = BTreeMap::<String, Vec<Value>>::new();
    let mut ids = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        ids.push(line["request_id"].as_str().unwrap().to_owned());
        lines.entry(line["path"].as_str().unwrap().to_owned()).or_default().push(line);
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "a request has two lines");
    lines
}

fn id(response: &Response) -> Value {
    response.header("x-request-id").unwrap().into()
}

/// These members of a line.
#[track_caller]
fn has(lines: &BTreeMap<String, Vec<Value>>, path: &str, members: &Value) {
    let found = lines.get(path).map_or(&[][..], Vec::as_slice);
    assert_eq!(found.len(), 1, "lines of {path}: {found:?}");
    for (name, value) in members.as_object().unwrap() {
        assert_eq!(&found[0][name], value, "{name} of {}", found[0]);
    }
}

#[tokio::test]
async fn each_request_has_one_line_that_says_what_happened() {
    let scene = Scene::new().await;
    let serving = scene.home.serve().await;
    let get = scene.client().get("/get?secret=1").await;
    let post = scene.client().post("/post", "seven b").await;
    let chunked = scene.client().request("POST", "/chunked").chunked(&[b"12345", b"678"]).send().await;
    let head = scene.client().request("HEAD", "/head").send().await;
    let anonymous = Client::new(scene.home.public()).get("/anonymous").await;
    let junk = Client::new(scene.home.public()).with_key("junk").get("/junk").await;
    let refused = scene.client().get("/refusing").await;
    let large = scene.client().post("/large", vec![b'x'; 1025]).await;
    let broken = scene.client().request("GET", "/broken").try_send().await;
    assert!(broken.is_err(), "{broken:?}");
    let gone = scene.send("GET /gone", "\r\n").await;
    scene.until_asked("/gone").await;
    gone.reset();
    let half = scene.send("POST /half", "Content-Length: 100\r\n\r\nhalf").await;
    scene.until_asked("/half").await;
    half.reset();
    let mut big = scene.send("GET /big", "\r\n").await;
    big.head().await.unwrap();
    big.exactly(1000).await;
    big.reset();
    until_metric(scene.home.admin(), "keyward_own_seconds_count", 12).await;
    let decided = decisions(&scene.home).await;
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");

    let lines = scene.lines();
    assert_eq!(lines.values().map(Vec::len).sum::<usize>(), 12, "{lines:#?}");
    let known = |mut members: Value| {
        members["credential"] = scene.key_id.as_str().into();
        members["client"] = "127.0.0.1".into();
        members["door"] = "proxy".into();
        members
    };
    has(
        &lines,
        "/get",
        &known(
            json!({"request_id": id(&get), "route": "all", "method": "GET", "status": 200, "code": null, "bytes_in": 0, "bytes_out": 12}),
        ),
    );
    has(
        &lines,
        "/post",
        &known(
            json!({"request_id": id(&post), "method": "POST", "status": 200, "bytes_in": 7, "bytes_out": 12}),
        ),
    );
    has(
        &lines,
        "/chunked",
        &known(json!({"request_id": id(&chunked), "status": 200, "bytes_in": 8, "bytes_out": 12})),
    );
    has(
        &lines,
        "/head",
        &known(json!({"request_id": id(&head), "method": "HEAD", "status": 200, "bytes_out": 0})),
    );
    let nobody = |response: &Response, code: Code| json!({"request_id": id(response), "route": "all", "status": 401, "code": code.as_str(), "account": null, "credential": null, "upstream_ms": null, "bytes_out": response.body.len()});
    has(&lines, "/anonymous", &nobody(&anonymous, Code::MissingCredentials));
    has(&lines, "/junk", &nobody(&junk, Code::InvalidCredentials));
    has(
        &lines,
        "/refusing",
        &known(
            json!({"request_id": id(&refused), "route": "refusing", "status": 502, "code": "upstream_unreachable"}),
        ),
    );
    has(
        &lines,
        "/large",
        &known(
            json!({"request_id": id(&large), "status": 413, "code": "body_too_large", "upstream_ms": null, "bytes_in": 0}),
        ),
    );
    has(&lines, "/broken", &known(json!({"status": 200, "code": "upstream_protocol_error", "bytes_out": 4})));
    has(&lines, "/gone", &known(json!({"status": null, "code": null, "bytes_out": 0})));
    has(&lines, "/half", &known(json!({"bytes_in": 4})));
    has(&lines, "/big", &known(json!({"status": 200, "code": null})));
    let taken = lines["/big"][0]["bytes_out"].as_u64().unwrap();
    assert!((1000..1 << 30).contains(&taken), "{taken}");
    // Waiting for the upstream is not our own time, though its answer never came.
    assert!(lines["/gone"][0]["upstream_ms"].as_f64() > lines["/gone"][0]["own_ms"].as_f64());
    assert_eq!(decided, by_code(&lines), "the metrics tell another story than the lines");
}

/// `keyward_decisions_total` by outcome.
async fn decisions(home: &Home) -> BTreeMap<String, u64> {
    let text = Client::new(home.admin()).get("/metrics").await;
    let mut decisions = BTreeMap::new();
    for line in text.text().lines().filter(|line| line.starts_with("keyward_decisions_total")) {
        let outcome = line.split("outcome=\"").nth(1).unwrap().split('"').next().unwrap();
        let count: u64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        *decisions.entry(outcome.to_owned()).or_default() += count;
    }
    decisions.retain(|_, count| *count > 0);
    decisions
}

fn by_code(lines: &BTreeMap<String, Vec<Value>>) -> BTreeMap<String, u64> {
    let mut codes = BTreeMap::new();
    for line in lines.values().flatten() {
        *codes.entry(line["code"].as_str().unwrap_or("allowed").to_owned()).or_default() += 1;
    }
    codes
}

/// Who shows the right secret is no stranger.
#[tokio::test]
async fn a_key_that_is_good_no_more_is_named_to_the_operator_and_not_to_its_client() {
    let scene = Scene::new().await;
    let (short_id, short) = scene.home.key("a@example.com", &["--expires-in", "1s"]);
    let serving = scene.home.serve().await;
    assert_eq!(scene.client().get("/good").await.status, 200);
    scene.home.run(&["keys", "revoke", &scene.key_id]).exited(0);
    let refused = async |key: &str, code: Code| {
        let mut client = Client::new(scene.home.public()).with_key(key);
        within("the refusal", async { while client.get("/").await.status == 200 {} }).await;
        for _ in ["looked up", "out of the cache"] {
            let answer = client.get("/").await;
            assert!(!answer.text().contains(&scene.key_id) && !answer.text().contains(&short_id));
            answer.refused(code);
        }
    };
    refused(&scene.key, Code::RevokedCredentials).await;
    refused(&short, Code::ExpiredCredentials).await;
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
    let account = scene.lines().remove("/good").unwrap().remove(0)["account"].clone();
    assert!(account.is_string());
    let lines = scene.lines().remove("/").unwrap();
    for (code, id, key) in
        [(Code::RevokedCredentials, &scene.key_id, &scene.key), (Code::ExpiredCredentials, &short_id, &short)]
    {
        let lines: Vec<_> = lines.iter().filter(|line| line["code"] == code.as_str()).collect();
        assert!(lines.len() >= 2, "{lines:?}");
        for line in lines {
            assert_eq!((&line["account"], &line["credential"]), (&account, &id.as_str().into()), "{line}");
        }
        let words = ["explain", "--url", "http://a/"];
        let told = scene.home.run_with_input(&words, key).exited(1);
        assert!(told.contains(&format!("account {}, credential {id}", account.as_str().unwrap())), "{told}");
        let told = scene.home.run_with_input(&[&words[..], &["--json"]].concat(), key).exited(1);
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!((&told["account"], &told["credential"]), (&account, &id.as_str().into()), "{told}");
    }
}

/// Whoever is refused before there is a request is seen all the same, under the id that it was told.
#[tokio::test]
async fn what_no_request_was_read_from_has_its_line_and_is_counted() {
    const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let more = "log: { access: access.log }\nmax: { connections: 1, headers: 8KiB, target: 1KiB }\n\
                timeouts: { request_head: 1s }\n";
    let home = open_home(&upstream, more);
    let serving = home.serve().await;
    let connect = async || {
        until_metric(home.admin(), "keyward_connections", 0).await;
        Raw::connect(home.public()).await
    };
    let mut kept = connect().await;
    assert_eq!(kept.ask(REQUEST).await.status, 200);
    let crowded = Raw::connect(home.public()).await.response().await;
    assert_eq!(crowded.json()["detail"], "Too many connections are open. Try again shortly.");
    drop(kept);
    // Who is gone was told nothing.
    let mut gone = connect().await;
    gone.send("GET / HT").await;
    gone.until_read().await;
    gone.reset();
    let mut told = Vec::new();
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "a".repeat(16 << 10));
    for (bytes, ends) in
        [("GET / HT", false), ("nonsense\r\n\r\n", false), ("GET / HT", true), (&large, false)]
    {
        let mut raw = connect().await;
        raw.send(bytes).await;
        if ends {
            raw.half_close();
        }
        told.push(raw.response().await);
    }
    let codes =
        [Code::Overloaded, Code::RequestTimeout, Code::BadRequest, Code::BadRequest, Code::HeadersTooLarge];
    for code in codes {
        let series =
            format!("keyward_decisions_total{{door=\"proxy\",outcome=\"{}\",route=\"\"}}", code.as_str());
        let count = codes.iter().filter(|other| **other == code).count();
        until_metric(home.admin(), &series, count as u64).await;
    }
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");

    let text = std::fs::read_to_string(home.path().join("access.log")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut lines: Vec<Value> = lines.filter(|line| line["path"].is_null()).collect();
    // Each worker hands over its own.
    lines.sort_by_key(|line| codes.iter().position(|code| line["code"] == code.as_str()));
    let found: Vec<_> = lines.iter().map(|line| line["code"].as_str().unwrap()).collect();
    assert_eq!(found, codes.map(Code::as_str), "{lines:#?}");
    for (line, answer) in lines.iter().zip([&crowded].into_iter().chain(&told)) {
        let members = [&line["method"], &line["route"], &line["client"], &line["status"], &line["bytes_out"]];
        let expected =
            [Value::Null, Value::Null, "127.0.0.1".into(), answer.status.into(), answer.body.len().into()];
        assert_eq!(members.map(Value::clone), expected, "{line}");
        // Those that get a bare status are told no id.
        if let Some(id) = answer.header("x-request-id") {
            assert_eq!(line["request_id"], id);
        }
    }
    assert!(crowded.header("x-request-id").is_some() && told[0].header("x-request-id").is_some());
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_nobody_up_and_what_is_lost_is_counted() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "log: { access: access.fifo }\n");
    assert!(Command::new("mkfifo").arg(home.path().join("access.fifo")).status().unwrap().success());
    let serving = home.serve().await;
    // Long lines, to fill what may wait sooner.
    let target = format!("/{}", "a".repeat(15 << 10));
    let mut client = Client::new(home.public());
    let lost = async || metric(home.admin(), "keyward_log_dropped_total").await;
    let mut answered = 0;
    while answered % 100 != 0 || answered == 0 || lost().await == 0 {
        assert_eq!(client.get(&target).await.status, 200);
        answered += 1;
        assert!(answered < 5000, "nothing was lost though nobody reads");
    }
    serving.until_output("lines of the access log are lost").await;
    // Not even the end.
    let (status, output) = within("the end", serving.stop()).await;
    assert_eq!(status.code(), Some(0), "{output}");
}
