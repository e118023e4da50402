//! More connections, more requests, fewer descriptors than there should be: what is too much is told so, and what can be
//! served goes on.

use std::process::Command;
use std::time::Duration;

use keyward::auth::refusal::Code;

use super::{one_route, open_home, readiness, until_metric};
use crate::support::gateway::Gateway;
use crate::support::http::Client;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const CONNECTIONS: &str = r#"keyward_connections{listener="public"}"#;

const PUBLIC: &str = crate::proxy::PUBLIC;

#[tokio::test]
async fn connections_over_the_limit_are_told_and_the_rest_is_served() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let builder = Gateway::builder().upstream("api", &upstream.url()).workers(2);
    let gateway = builder.yaml(&format!("max: {{ connections: 4 }}\n{PUBLIC}")).start().await;
    for _ in 0..3 {
        let mut open = Vec::new();
        for _ in 0..4 {
            let mut raw = gateway.raw().await;
            assert_eq!(raw.ask(REQUEST).await.status, 200);
            open.push(raw);
        }
        until_metric(gateway.admin(), CONNECTIONS, 4).await;
        for _ in 0..10 {
            let mut fifth = gateway.raw().await;
            // It has sent a request, which nobody reads: it must see the answer all the same.
            let _ = fifth
                .try_send(format!(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n{}",
                    "x".repeat(20_000)
                ))
                .await;
            let response = fifth.response().await;
            response.refused(Code::Overloaded);
            assert_eq!(
                (response.header("retry-after"), response.header("connection")),
                (Some("1"), Some("close"))
            );
            assert_eq!(fifth.ends().await, Ending::Closed);
        }
        assert_eq!(open[0].ask(REQUEST).await.status, 200);
        drop(open);
        until_metric(gateway.admin(), CONNECTIONS, 0).await;
    }
}

/// However a connection ends, its place is free again.
#[tokio::test]
async fn a_place_is_given_back_however_its_connection_ends() {
    let upstream = Upstream::always(Answer::hang()).await;
    let gateway = Gateway::with(
        &upstream,
        &format!("max: {{ connections: 2 }}\ntimeouts: {{ request_head: 20ms }}\n{PUBLIC}"),
    )
    .await;
    for round in 0..40 {
        until_metric(gateway.admin(), CONNECTIONS, 0).await;
        let mut raw = gateway.raw().await;
        let bytes = ["", "GET", "nonsense\r\n\r\n", REQUEST][round % 4];
        raw.send(bytes).await;
        if round % 8 < 4 { raw.reset() } else { drop(raw) }
    }
    until_metric(gateway.admin(), CONNECTIONS, 0).await;
}

#[tokio::test]
async fn of_many_requests_at_once_as_many_as_may_are_let_in() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let builder = Gateway::builder().upstream("api", &upstream.url()).workers(2);
    let gateway = builder.yaml(&format!("max: {{ in_flight: 3 }}\n{PUBLIC}")).start().await;
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(gateway.raw().await);
    }
    for raw in &mut all {
        raw.send(REQUEST).await;
    }
    let shed = r#"keyward_decisions_total{door="proxy",outcome="overloaded",route=""}"#;
    until_metric(gateway.admin(), shed, 47).await;
    gate.open();
    let mut shed = Vec::new();
    for (number, raw) in all.iter_mut().enumerate() {
        let response = raw.response().await;
        if response.status != 200 {
            response.refused(Code::Overloaded);
            assert_eq!(response.header("retry-after"), Some("1"));
            shed.push(number);
        }
    }
    assert_eq!(shed.len(), 47);
    // Their connections are as good as before.
    for number in shed {
        assert_eq!(all[number].ask(REQUEST).await.status, 200);
    }
}

#[tokio::test]
async fn clients_leave_descriptors_to_the_control_plane() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve_under(&["prlimit", "--nofile=200"]).await;
    let mut crowd = Vec::new();
    for _ in 0..400 {
        crowd.push(Raw::connect(home.public()).await);
    }
    let (mut served, mut turned_away) = (0, 0);
    for raw in &mut crowd {
        let _ = raw.try_send(REQUEST).await;
        match raw.answer("GET").await {
            Ok(response) if response.status == 200 => served += 1,
            Ok(response) => {
                response.refused(Code::Overloaded);
                turned_away += 1;
            }
            // Beyond what can be told gently.
            Err(_) => turned_away += 1,
        }
    }
    assert!(served >= 36 && turned_away >= 200, "{served} served, {turned_away} turned away");
    assert_eq!(readiness(home.admin()).await, (200, "ready".to_owned()));
    assert!(!serving.output().contains("cannot accept"), "{}", serving.output());
    drop(crowd);
    until_metric(home.admin(), CONNECTIONS, 0).await;
    assert_eq!(Client::new(home.public()).get("/").await.status, 200);
}

fn soft_limit(process: u32) -> u64 {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    files.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_soft_limit_on_descriptors_is_lifted_and_a_hard_one_that_cuts_is_told() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "max: { connections: 400, tunnels: 100 }\n");
    let serving = home.serve_under(&["prlimit", "--nofile=200:1000"]).await;
    assert_eq!(soft_limit(serving.id()), 1000);
    assert!(!serving.output().contains("files open"), "{}", serving.output());
    let (_, output) = serving.stop().await;
    assert!(!output.contains("files open"), "{output}");

    let serving = home.serve_under(&["prlimit", "--nofile=200:500"]).await;
    let told = "this process may have 500 files open, which leaves room for 248 connections (max.connections is 400) \
                and 93 tunnels (max.tunnels is 100); raise the limit: LimitNOFILE= in the systemd unit, or ulimit -n";
    serving.until_output(told).await;
    let line = serving.output().lines().find(|line| line.contains(told)).unwrap().to_owned();
    assert!(line.contains(r#""level":"warn""#), "{line}");
    // It goes for every configuration that wants more.
    let reloaded = home.run(&["reload"]);
    assert!(reloaded.stderr.contains(told), "{}", reloaded.stderr);
    reloaded.exited(0);
}

/// For how many descriptors the system's table of a process has room as it is.
fn table_of_descriptors(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let room = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
    room.trim().parse().unwrap()
}

/// Its growth would hold up who is served just then.
#[tokio::test]
async fn the_table_of_descriptors_never_grows_under_clients() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "max: { connections: 1000 }\n");
    let serving = home.serve_under(&["prlimit", "--nofile=200:6000"]).await;
    let room = table_of_descriptors(serving.id());
    assert!((1600..3000).contains(&room), "{room}");
    home.rewrite(&format!("{}max: {{ connections: 3000 }}\n", one_route(&upstream, "public")));
    home.run(&["reload"]).exited(0);
    let room = table_of_descriptors(serving.id());
    assert!((4600..9000).contains(&room), "{room}");
}

/// Processor time of a process so far, in hundredths of a second.
fn processor_time(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn limit_descriptors(process: u32, to: &str) {
    let words = ["--pid", &process.to_string(), &format!("--nofile={to}:")];
    assert!(Command::new("prlimit").args(words).status().unwrap().success());
}

#[tokio::test]
async fn without_a_descriptor_left_it_waits_without_spinning_and_recovers() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let mut kept = Client::new(home.public());
    assert_eq!(kept.get("/").await.status, 200);
    limit_descriptors(serving.id(), "3");
    let mut waiting = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::connect(home.public()).await;
        raw.send(REQUEST).await;
        waiting.push(raw);
    }
    serving.until_output("cannot accept connections").await;
    let before = processor_time(serving.id());
    waiting[0].stays_silent(Duration::from_secs(1)).await;
    let spent = processor_time(serving.id()) - before;
    assert!(spent < 50, "{spent} hundredths of a second of processor time in a second of waiting");
    assert_eq!(kept.get("/").await.status, 200);
    limit_descriptors(serving.id(), "1024");
    for raw in &mut waiting {
        assert_eq!(raw.response().await.status, 200);
    }
    assert_eq!(readiness(home.admin()).await.0, 200);
    let told = serving.output().matches("cannot accept connections").count();
    assert!(told <= 4, "told {told} times");
    within("the end", serving.stop()).await;
}
