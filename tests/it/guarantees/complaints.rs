//! The application's log when much fails at once: it says enough, counts the rest, and holds nobody up.

use std::process::Command;

use super::open_home;
use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::raw::Raw;
use crate::support::upstream::{Answer, Upstream, refusing};
use crate::support::within;

/// The sum of a whole number that lines with this message have.
fn sum(output: &str, message: &str, field: &str) -> usize {
    let lines = output.lines().filter(|line| line.contains(message));
    let values =
        lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()[field].as_u64().unwrap());
    usize::try_from(values.sum::<u64>()).unwrap()
}

async fn every_failure_is_told_or_counted(upstream: String, one: &str) {
    const REQUESTS: usize = 2000;
    let home = Home::new(&format!(
        "log: {{ access: \"off\" }}\nupstreams: [{{ name: api, endpoints: [{{ url: \"{upstream}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, auth: public, upstream: api }}]\n"
    ));
    let serving = home.serve().await;
    let mut client = Client::new(home.public());
    for _ in 0..REQUESTS {
        // Broken off, or refused: neither is 200 and whole.
        let answer = client.request("GET", "/").try_send().await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 502));
    }
    let told = |output: &str| output.matches(one).count();
    within("every failure told or counted", async {
        loop {
            let output = serving.output();
            if told(&output) + sum(&output, "more requests failed", "failures") == REQUESTS {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let told = told(&serving.output());
    assert!(told < REQUESTS / 4, "{told} lines about {REQUESTS} failures");
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_does_not_flood_the_log() {
    every_failure_is_told_or_counted(
        format!("http://{}", refusing().await),
        "a request failed at its upstream",
    )
    .await;
}

#[tokio::test]
async fn an_upstream_whose_answers_break_off_does_not_flood_the_log() {
    let broken = Answer::new(200).header("content-length", "9").only_head().then_send("four").then_close();
    let upstream = Upstream::always(broken).await;
    every_failure_is_told_or_counted(upstream.url(), "an answer broke off").await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_nobody_up() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "log: { level: debug, access: \"off\" }\n");
    assert!(Command::new("mkfifo").arg(home.path().join("errors.fifo")).status().unwrap().success());
    let serving = home.serve_under(&["sh", "-c", "exec \"$@\" 2<>errors.fifo", "sh"]).await;
    // Each leaves a line; a pipe holds some hundreds.
    for _ in 0..2000 {
        let mut raw = Raw::connect(home.public()).await;
        raw.send("nonsense\r\n\r\n").await;
        assert_eq!(raw.response().await.status, 400);
    }
    assert_eq!(Client::new(home.public()).get("/").await.text(), "ok");
    let (status, _) = serving.stop().await;
    assert_eq!(status.code(), Some(0));
}
