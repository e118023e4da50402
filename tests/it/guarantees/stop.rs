//! Ending without a cut: what is in flight finishes, what was promised is kept, and who has to go is told.

use super::load::Load;
use super::{metric, open_home, readiness, until_readiness};
use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Gate, Upstream};
use crate::support::within;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

async fn until_refused(home: &Home) {
    within("the end of listening", async { while Raw::try_connect(home.public()).await.is_ok() {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_no_request_fails() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    for _ in 0..3 {
        let home = open_home(&upstream, "");
        let serving = home.serve().await;
        let loads = [true, false].map(|keep| Load::start(home.public(), 8, REQUEST, keep));
        for load in &loads {
            load.until_answers(100).await;
        }
        serving.signal("TERM");
        for load in loads {
            let tally = load.ended().await;
            assert_eq!(tally.failed, Vec::<String>::new());
            assert_eq!(tally.refused, 8, "a client ended for another reason");
            assert_eq!(tally.statuses.keys().collect::<Vec<_>>(), [&200]);
        }
        let (status, output) = serving.ended().await;
        assert_eq!(status.code(), Some(0), "{output}");
    }
}

/// Stopped, it cannot accept: what the kernel accepts meanwhile waits, and must be served though the end comes first.
#[tokio::test]
async fn who_the_kernel_accepted_is_served() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    serving.signal("STOP");
    let mut waiting = Vec::new();
    for number in 0..600 {
        let mut raw = Raw::connect(home.public()).await;
        if number % 2 == 0 {
            raw.send(REQUEST).await;
        }
        waiting.push(raw);
    }
    serving.signal("TERM");
    serving.signal("CONT");
    // Those who are still to send their first request notice nothing.
    serving.until_output("ending").await;
    for raw in waiting.iter_mut().skip(1).step_by(2) {
        raw.send(REQUEST).await;
    }
    for raw in &mut waiting {
        assert_eq!(raw.response().await.text(), "ok");
        assert_eq!(raw.ends().await, Ending::Closed);
    }
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test]
async fn while_the_delay_runs_it_accepts_and_says_that_it_is_not_ready() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "shutdown: { delay: 3s }\n");
    let serving = home.serve().await;
    serving.signal("TERM");
    until_readiness(home.admin(), 503, "draining").await;
    let response = Client::new(home.public()).get("/").await;
    assert_eq!((response.text(), response.header("connection")), ("ok", None));
    until_refused(&home).await;
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test]
async fn the_admin_listener_closes_last() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let mut raw = Raw::connect(home.public()).await;
    raw.send(REQUEST).await;
    upstream.until_requests(1).await;
    serving.signal("TERM");
    until_refused(&home).await;
    assert_eq!(readiness(home.admin()).await, (503, "draining".to_owned()));
    assert_eq!(Client::new(home.admin()).get("/livez").await.status, 200);
    assert_eq!(metric(home.admin(), "keyward_connections").await, 1);
    gate.open();
    let response = raw.response().await;
    assert_eq!((response.text(), response.header("connection")), ("late", Some("close")));
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

/// One that was used, one that never was, one whose request's fields began to arrive: none of them holds the end up.
#[tokio::test]
async fn idle_connections_are_closed_and_cut_nothing() {
    let upstream = Upstream::always(Answer::ok("ok")).await;
    let home = open_home(&upstream, "timeouts: { first_byte: 1h, idle: 1h }\nshutdown: { grace: 5s }\n");
    let serving = home.serve().await;
    let (mut used, mut unused) = (Raw::connect(home.public()).await, Raw::connect(home.public()).await);
    assert_eq!(used.ask(REQUEST).await.status, 200);
    serving.signal("TERM");
    assert_eq!((used.ends().await, unused.ends().await), (Ending::Closed, Ending::Closed));
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

/// The request is over for Keyward when hyper has its last bytes; the client may not have them yet. How much hyper still
/// holds then depends on lengths, so there are several.
#[tokio::test]
async fn an_answer_that_the_client_has_not_taken_yet_is_not_cut() {
    const LENGTHS: usize = 6;
    const LEAST: usize = 5 << 20;
    let length = |number: usize| LEAST + number * (256 << 10);
    let upstream = Upstream::answering(move |request| {
        let number: usize = request.target[1..].parse().unwrap();
        Answer::new(200).filled(length(number) as u64)
    })
    .await;
    let routes = (0..LENGTHS).map(|number| {
        format!("  - {{ name: r{number}, match: {{ path: /{number} }}, auth: public, upstream: api }}\n")
    });
    let upstreams = format!("upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n", upstream.url());
    let home = Home::new(&format!("{upstreams}routes:\n{}", routes.collect::<String>()));
    let serving = home.serve().await;
    let mut idle = Raw::connect(home.public()).await;
    let mut clients = Vec::new();
    for number in 0..LENGTHS {
        let mut slow = Raw::connect_narrow(home.public()).await;
        slow.send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        slow.head().await.unwrap();
        let mut left = length(number);
        let over = format!("keyward_request_seconds_count{{door=\"proxy\",route=\"r{number}\"}}");
        while metric(home.admin(), &over).await == 0 {
            // In small steps, lest the rest is sent before it is seen that there is no more to come.
            left -= slow.exactly(4 << 10).await.len();
            assert!(left > 0, "nothing was left to take");
        }
        clients.push((slow, left));
    }
    serving.signal("TERM");
    // By then every connection that has nothing to do is closed.
    assert_eq!(idle.ends().await, Ending::Closed);
    for (slow, left) in &mut clients {
        assert_eq!(slow.exactly(*left).await.len(), *left);
        assert_eq!(slow.ends().await, Ending::Closed);
    }
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test]
async fn what_takes_longer_than_the_grace_is_cut_and_counted() {
    let upstream = Upstream::always(Answer::hang()).await;
    let home = open_home(&upstream, "shutdown: { grace: 300ms }\n");
    let serving = home.serve().await;
    let mut idle = Raw::connect(home.public()).await;
    let mut cut = [Raw::connect(home.public()).await, Raw::connect(home.public()).await];
    for raw in &mut cut {
        raw.send(REQUEST).await;
    }
    upstream.until_requests(2).await;
    serving.signal("TERM");
    for raw in cut.iter_mut().chain([&mut idle]) {
        let (rest, _) = raw.rest().await;
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
    }
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("2 connections were cut after shutdown.grace"), "{output}");
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let upstream = Upstream::always(Answer::hang()).await;
    for (delay, signals) in [("0s", ["TERM", "TERM"]), ("1h", ["INT", "TERM"]), ("0s", ["TERM", "INT"])] {
        let home = open_home(&upstream, &format!("shutdown: {{ delay: {delay}, grace: 1h }}\n"));
        let serving = home.serve().await;
        let mut raw = Raw::connect(home.public()).await;
        let before = upstream.requests().len();
        raw.send(REQUEST).await;
        upstream.until_requests(before + 1).await;
        serving.signal(signals[0]);
        until_readiness(home.admin(), 503, "draining").await;
        serving.signal(signals[1]);
        let (status, output) = serving.ended().await;
        assert_eq!(status.code(), Some(1), "{output}");
        assert!(output.contains("second signal"), "{output}");
    }
}

#[tokio::test]
async fn a_reload_is_refused_while_it_ends() {
    let gate = Gate::new();
    let upstream = Upstream::always(Answer::ok("late").after(&gate)).await;
    let home = open_home(&upstream, "");
    let serving = home.serve().await;
    let mut raw = Raw::connect(home.public()).await;
    raw.send(REQUEST).await;
    upstream.until_requests(1).await;
    serving.signal("TERM");
    until_readiness(home.admin(), 503, "draining").await;
    let told = home.run(&["reload"]);
    assert!(told.stderr.contains("this server is ending"), "{}", told.stderr);
    told.exited(1);
    gate.open();
    assert_eq!(raw.response().await.text(), "late");
    assert_eq!(serving.ended().await.0.code(), Some(0));
}
