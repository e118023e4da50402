//! A running server whose store or log goes away: what it knows serves on, it says what is wrong, and it recovers.

use std::fs;
use std::process::Command;

use keyward::auth::refusal::Code;

use super::{Bed, EMAIL};
use crate::support::binary::Serving;
use crate::support::upstream::Upstream;
use crate::support::within;

const UNREACHABLE: i32 = 3;

/// Files of the running process may grow to so many bytes.
pub fn allow_file_size(serving: &Serving, bytes: &str) {
    let limit = format!("--fsize={bytes}:unlimited");
    let limited =
        Command::new("prlimit").args(["--pid", &serving.id().to_string(), &limit]).status().unwrap();
    assert!(limited.success());
}

#[tokio::test]
async fn a_store_that_goes_away_and_comes_back_interrupts_nobody_it_knew() {
    let bed = Bed::new().await;
    let ((id, known), (_, unknown)) = (bed.key(), bed.key());
    let serving = bed.home.serve().await;
    let mut client = bed.client(&known);
    assert_eq!(client.get("/").await.status, 200);
    assert!(bed.metrics().await.get("keyward_store_up") > 0.5);

    let elsewhere = bed.home.path().join("elsewhere");
    fs::rename(bed.data(), &elsewhere).unwrap();
    bed.until_ready_is(200, "degraded").await;
    assert_eq!(client.get("/").await.status, 200);
    let told = bed.client(&unknown).get("/").await;
    told.refused(Code::ValidationUnavailable);
    assert!(told.header("retry-after").is_some());
    let metrics = bed.metrics().await;
    assert!(metrics.get("keyward_store_up") < 0.5);
    let age = metrics.get("keyward_feed_age_seconds");
    within("a growing age", async { while bed.metrics().await.get("keyward_feed_age_seconds") <= age {} })
        .await;
    bed.home.run(&["keys", "list"]).refused(UNREACHABLE, "there is no store at");
    serving.until_output("its file is gone").await;

    fs::rename(&elsewhere, bed.data()).unwrap();
    bed.until_ready_is(200, "ready").await;
    assert_eq!(bed.client(&unknown).get("/").await.status, 200);
    assert!(bed.metrics().await.get("keyward_store_up") > 0.5);
    bed.home.run(&["keys", "revoke", &id]).exited(0);
    within("the revocation", async { while client.get("/").await.status == 200 {} }).await;
    client.get("/").await.refused(Code::RevokedCredentials);
    assert_eq!(client.connections, 1);
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test]
async fn a_store_that_is_deleted_and_made_anew_is_not_taken_for_the_old_one() {
    let bed = Bed::new().await;
    let (_, known) = bed.key();
    let serving = bed.home.serve().await;
    let mut client = bed.client(&known);
    assert_eq!(client.get("/").await.status, 200);
    fs::remove_dir_all(bed.data()).unwrap();
    bed.until_ready_is(200, "degraded").await;
    bed.home.account(EMAIL);
    let (_, new) = bed.key();
    assert_eq!(client.get("/").await.status, 200);
    bed.client(&new).get("/").await.refused(Code::ValidationUnavailable);
    bed.until_ready_is(200, "degraded").await;
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");

    let _serving = bed.home.serve().await;
    assert_eq!(bed.client(&new).get("/").await.status, 200);
    bed.client(&known).get("/").await.refused(Code::InvalidCredentials);
}

#[tokio::test]
async fn without_contact_for_longer_than_the_bound_nothing_is_vouched_for() {
    let bed = Bed::before(Upstream::echo().await, "cache: { stale_while_unavailable: 0s }\n");
    let (_, known) = bed.key();
    let _serving = bed.home.serve().await;
    let mut client = bed.client(&known);
    assert_eq!(client.get("/").await.status, 200);
    let elsewhere = bed.home.path().join("elsewhere");
    fs::rename(bed.data(), &elsewhere).unwrap();
    bed.until_ready_is(503, "unavailable").await;
    client.get("/").await.refused(Code::ValidationUnavailable);
    fs::rename(&elsewhere, bed.data()).unwrap();
    bed.until_ready_is(200, "ready").await;
    assert_eq!(client.get("/").await.status, 200);
}

#[tokio::test]
async fn without_space_the_server_serves_on_counts_lost_lines_and_recovers() {
    let bed = Bed::before(Upstream::echo().await, "log: { access: access.log }\n");
    let (_, key) = bed.key();
    let serving = bed.home.serve_as(bed.home.command_with_little_space("unlimited", &["serve"])).await;
    let mut client = bed.client(&key);
    let log = || fs::read_to_string(bed.home.path().join("access.log")).unwrap();
    assert_eq!(client.get("/before").await.status, 200);
    within("the line", async {
        while !log().contains("/before") {
            tokio::task::yield_now().await;
        }
    })
    .await;

    allow_file_size(&serving, "0");
    within("lost lines", async {
        while bed.metrics().await.get("keyward_log_dropped_total") < 1.0 {
            assert_eq!(client.get("/during").await.status, 200);
        }
    })
    .await;
    // The store is only read, which takes no space.
    assert_eq!(bed.client(&bed.key().1).get("/during").await.status, 200);
    bed.until_ready_is(200, "ready").await;
    serving.until_output("lines of the access log are lost").await;

    allow_file_size(&serving, "unlimited");
    within("a line again", async {
        while !log().contains("/after") {
            assert_eq!(client.get("/after").await.status, 200);
        }
    })
    .await;
    let whole = log();
    assert!(whole.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{whole}");
    assert_eq!(client.connections, 1);
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");
}
