//! A wall clock that jumps under a running server: expiry follows it, nothing else does.

use std::path::PathBuf;
use std::process::Command;

use keyward::auth::refusal::Code;

use super::Bed;
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

/// The library that shifts a process's wall clock as a file says; `tests/setup` installs it.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut found =
        folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().expect("Debian's package faketime; tests/setup installs it")
}

pub fn jump(bed: &Bed, by: &str) {
    // Renamed into place, so that it is never read half.
    bed.home.write("offset.new", by);
    std::fs::rename(bed.home.path().join("offset.new"), bed.home.path().join("offset")).unwrap();
}

pub fn under_the_library(bed: &Bed, mut command: Command) -> Command {
    jump(bed, "+0");
    command.env("LD_PRELOAD", library());
    command.env("FAKETIME_TIMESTAMP_FILE", bed.home.path().join("offset"));
    // Read at every look at the clock; and the monotonic clock does not jump, as it does not when the time is set.
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command
}

#[tokio::test]
async fn expiry_follows_the_wall_clock_and_nothing_else_does() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::answering(move |request| match request.target.as_str() {
        "/held" => Answer::ok("late").after(&held),
        _ => Answer::ok("there"),
    });
    let bed = Bed::before(upstream.await, "");
    let (_, short) = bed.home.key(super::EMAIL, &["--expires-in", "30m"]);
    let (_, long) = bed.home.key(super::EMAIL, &["--expires-in", "60d"]);
    let (id, revoked) = bed.key();
    bed.home.run(&["keys", "revoke", &id]).exited(0);
    let serving = bed.home.serve_as(under_the_library(&bed, bed.home.command(&["serve"]))).await;
    let [mut short, mut long, mut revoked, mut waiting] =
        [&short, &long, &revoked, &long].map(|key| bed.client(key));
    assert_eq!(waiting.get("/").await.status, 200);
    let in_flight = tokio::spawn(async move { (waiting.get("/held").await, waiting.connections) });
    bed.upstream.until_requests(2).await;

    let expired = Some(Code::ExpiredCredentials);
    for (offset, of_short, of_long) in [
        ("+0", None, None),
        ("+1h", expired, None),
        ("-1h", None, None),
        ("+400d", expired, expired),
        ("+0", None, None),
    ] {
        jump(&bed, offset);
        for (client, refusal) in [(&mut short, of_short), (&mut long, of_long)] {
            let response = client.get("/").await;
            match refusal {
                Some(code) => assert!(!response.refused(code).is_empty(), "at {offset}"),
                None => assert_eq!(response.status, 200, "at {offset}: {}", response.text()),
            }
        }
        revoked.get("/").await.refused(Code::RevokedCredentials);
        bed.until_ready_is(200, "ready").await;
        assert!(bed.metrics().await.get("keyward_store_up") > 0.5, "at {offset}");
    }
    jump(&bed, "+400d");
    gate.open();
    let (late, connections) = within("the answer in flight", in_flight).await.unwrap();
    assert_eq!((late.text(), connections), ("late", 1));
    assert_eq!(
        [short.connections, long.connections, revoked.connections],
        [1, 1, 1],
        "a connection was closed"
    );
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(!output.contains("panicked"), "{output}");
}
