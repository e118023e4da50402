//! What is written about a request tells nobody's secret and is nobody's to forge.

use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::raw::Raw;
use crate::support::upstream::Upstream;

const CANARY: &str = "CanaryCanary";

#[tokio::test]
async fn no_secret_and_no_forged_line_is_in_any_output() {
    let upstream = Upstream::echo().await;
    let home = Home::new(&format!(
        "upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n\
         credentials: {{ basic: true, headers: [X-Api-Key] }}\n\
         log: {{ level: trace, format: json }}\n\
         routes:\n\
         \x20 - {{ name: all, match: {{ path_prefix: / }}, upstream: api }}\n\
         \x20 - {{ name: public, match: {{ path_prefix: /pub }}, auth: public, upstream: api }}\n",
        upstream.url()
    ));
    home.account("a@example.com");
    let (id, key) = home.key("a@example.com", &[]);
    let (revoked, dead) = home.key("a@example.com", &[]);
    home.run(&["keys", "revoke", &revoked]).exited(0);
    let serving = home.serve().await;
    let basic = "Basic Q2FuYXJ5Q2FuYXJ5Og==";
    let junk = [
        CANARY.to_owned(),
        format!("Bearer {CANARY}"),
        format!("Bearer {CANARY} {CANARY}"),
        format!("Bearer kw_sk_{CANARY}"),
        format!("{CANARY} realm=\"x\""),
        format!("Digest username=\"{CANARY}\""),
        format!("Bearer {CANARY}\u{fc}"),
        format!("Bearer {CANARY}\u{1b}[31m"),
        format!("Bearer {}", CANARY.repeat(1000)),
        basic.to_owned(),
        format!("Basic {CANARY}"),
    ];
    let mut told = String::new();
    for accept in ["*/*", "text/html", "text/plain", "text/html<script>alert(1)</script>"] {
        for value in &junk {
            for name in ["Authorization", "X-Api-Key"] {
                for target in ["/x", "/pub/x", "/%", "/x?token=CanaryCanary"] {
                    let mut raw = Raw::connect(home.public()).await;
                    let request = format!(
                        "GET {target} HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n{name}: {value}\r\n\r\n"
                    );
                    let answer = raw.ask(request).await;
                    if answer.status != 200 {
                        told += &format!("{:?}{}", answer.headers, answer.text());
                    }
                }
            }
        }
    }
    for secret in [&key, &dead] {
        for target in ["/x", "/%2e", "/pub/%00"] {
            let answer = Client::new(home.public()).with_key(secret).get(target).await;
            if answer.status != 200 {
                told += &format!("{:?}{}", answer.headers, answer.text());
            }
        }
    }
    // Text that would forge a line, move a cursor or become markup.
    for line in [
        "GET /%0d%0a{\"forged\":true} HTTP/1.1",
        "GET /\u{1b}[2J HTTP/1.1",
        "GET /%1b[2J HTTP/1.1",
        "GET /x\"},{\"forged\":1 HTTP/1.1",
        "GET /'><script>alert(1)</script> HTTP/1.1",
        "<SCRIPT> / HTTP/1.1",
        "!#$%&'*+-.^_`|~ /forged%22 HTTP/1.1",
    ] {
        for host in ["a", "<script>", "a\u{1b}[2J"] {
            let mut raw = Raw::connect(home.public()).await;
            let answer = raw.ask(format!("{line}\r\nHost: {host}\r\nAccept: text/html\r\n\r\n")).await;
            assert!([400, 401].contains(&answer.status), "{line}: {answer:?}");
            assert!(!answer.text().contains("<script>"), "{line}: {answer:?}");
        }
    }
    let explained = home.run_with_input(&["explain", "--method", "GET", "--url", "http://a/x"], &dead);
    told += &format!("{}{}", explained.stdout, explained.stderr);
    told += Client::new(home.admin()).get("/metrics").await.text();
    let (status, log) = serving.stop().await;
    assert!(status.success());
    for (name, output) in [("an answer", &told), ("the log", &log)] {
        for secret in [CANARY, "Q2FuYXJ5", key.as_str(), dead.as_str()] {
            assert!(!output.contains(secret), "{name} tells {secret}");
        }
    }
    assert!(log.contains(&id), "the log does not name the key that was used");
    for line in log.lines() {
        let parsed: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        assert_eq!(parsed.get("forged"), None, "{line}");
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{line:?}");
    }
}
