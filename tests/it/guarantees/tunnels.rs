//! Tunnels of the real binary: counted, logged, and ended with the process.

use keyward::auth::refusal::Code;
use serde_json::Value;

use super::{metric, open_home, until_metric};
use crate::support::binary::Home;
use crate::support::gateway::Gateway;
use crate::support::raw::{Ending, Raw};
use crate::support::upstream::{Answer, Upstream};
use crate::support::websocket::{
    close, frame, handshake, handshake_with, is_closed, masked, naming, open, opening,
};

const OPEN: &str = r#"keyward_tunnels{route="all"}"#;

async fn mirror() -> Upstream {
    Upstream::answering(|request| match request.header("upgrade") {
        Some("websocket") => opening().then_mirror().then_close(),
        Some(protocol) => naming(protocol).only_head().then_mirror().then_close(),
        None => Answer::ok("plain"),
    })
    .await
}

fn with_key(upstream: &Upstream, more: &str) -> Home {
    let home = Home::new(&format!(
        "upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api, upgrades: [websocket, tcp-ish/1] }}]\n{more}",
        upstream.url()
    ));
    home.account("a@example.com");
    home
}

fn lines(home: &Home) -> Vec<Value> {
    let text = std::fs::read_to_string(home.path().join("access.log")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_tunnel_is_counted_while_it_lasts_and_logged_when_it_ends() {
    let upstream = mirror().await;
    let home = with_key(&upstream, "log: { access: access.log }\n");
    let (key_id, key) = home.key("a@example.com", &[]);
    let (revoked_id, revoked) = home.key("a@example.com", &[]);
    let serving = home.serve().await;
    let mut ends = open(Raw::connect(home.public()).await, &handshake_with("/ends?secret=1", &key)).await;
    let mut falls = open(Raw::connect(home.public()).await, &handshake_with("/falls", &revoked)).await;
    let mut cut = open(
        Raw::connect(home.public()).await,
        &handshake_with("/cut", &revoked).replace("Upgrade: websocket", "Upgrade: tcp-ish/1"),
    )
    .await;
    until_metric(home.admin(), OPEN, 3).await;
    // It is no request in flight, and none that is over.
    assert_eq!(metric(home.admin(), "keyward_decisions_total").await, 0);
    ends.send(masked(1, b"12345")).await;
    ends.exactly(11).await;
    ends.half_close();
    ends.ends().await;
    // By a command beside the server.
    home.run(&["keys", "revoke", &revoked_id]).exited(0);
    is_closed(&mut falls, 1008, "revoked_credentials").await;
    assert_eq!(cut.ends().await, Ending::Reset);
    until_metric(home.admin(), OPEN, 0).await;
    let refused = Raw::connect(home.public()).await.ask(handshake("/refused")).await;
    refused.refused(Code::MissingCredentials);
    let (status, output) = serving.stop().await;
    assert_eq!(status.code(), Some(0), "{output}");

    let farewell = close(1008, "revoked_credentials").len();
    let mut told = lines(&home);
    told.sort_by_key(|line| line["path"].as_str().unwrap().to_owned());
    let [cut, ends, falls, refused] = &told[..] else { panic!("{told:#?}") };
    for (line, path, status, code, credential, moved) in [
        (cut, "/cut", 101, Value::from("revoked_credentials"), Value::from(revoked_id.as_str()), (0, 0)),
        (ends, "/ends", 101, Value::Null, Value::from(key_id.as_str()), (11, 11)),
        (
            falls,
            "/falls",
            101,
            "revoked_credentials".into(),
            revoked_id.as_str().into(),
            (8, farewell as u64),
        ),
        (refused, "/refused", 401, "missing_credentials".into(), Value::Null, (0, refused_len(refused))),
    ] {
        assert_eq!((&line["path"], &line["status"]), (&path.into(), &status.into()), "{line}");
        assert_eq!((&line["code"], &line["credential"]), (&code, &credential), "{line}");
        assert_eq!(
            (line["bytes_in"].as_u64(), line["bytes_out"].as_u64()),
            (Some(moved.0), Some(moved.1)),
            "{line}"
        );
    }
    assert!(ends["upstream_ms"].as_f64().is_some());
}

fn refused_len(line: &Value) -> u64 {
    line["bytes_out"].as_u64().unwrap()
}

#[tokio::test]
async fn when_the_process_ends_websockets_are_told_and_nothing_is_cut() {
    let upstream = mirror().await;
    let home = open_home(&upstream, "log: { access: access.log }\nshutdown: { grace: 20s }\n");
    let serving = home.serve().await;
    let mut tunnels = Vec::new();
    for _ in 0..20 {
        tunnels.push(open(Raw::connect(home.public()).await, &handshake("/")).await);
    }
    let request = masked(1, b"just so");
    tunnels[0].send(&request).await;
    tunnels[0].exactly(request.len()).await;
    serving.signal("TERM");
    let farewell = close(1001, "the server is ending");
    let reply = masked(8, &1001_u16.to_be_bytes());
    for (number, raw) in tunnels.iter_mut().enumerate() {
        assert_eq!(raw.exactly(farewell.len()).await, farewell);
        // What a client still says goes on, its own Close at last.
        raw.send([&request[..], &reply].concat()).await;
        raw.half_close();
        assert_eq!(raw.ends().await, Ending::Closed);
        let said = [&request[..], &reply].concat();
        upstream
            .until("what the client still said", |seen| {
                seen.connections[number].raw.ends_with(&said).then_some(())
            })
            .await;
    }
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
    assert!(lines(&home).iter().all(|line| line["code"] == "draining" && line["status"] == 101));
}

#[tokio::test]
async fn a_websocket_whose_client_does_not_answer_the_farewell_holds_the_end_up_for_a_while() {
    let upstream = Upstream::always(opening().then_hang()).await;
    let home = open_home(&upstream, "shutdown: { grace: 20s }\n");
    let serving = home.serve().await;
    let mut raw = open(Raw::connect(home.public()).await, &handshake("/")).await;
    serving.signal("TERM");
    is_closed(&mut raw, 1001, "the server is ending").await;
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(0), "{output}");
}

#[tokio::test]
async fn other_tunnels_have_the_grace_and_are_cut_after_it() {
    let upstream = mirror().await;
    let home = with_key(&upstream, "shutdown: { grace: 3s }\n");
    let (_, key) = home.key("a@example.com", &[]);
    let serving = home.serve().await;
    let asking = handshake_with("/", &key).replace("Upgrade: websocket", "Upgrade: tcp-ish/1");
    let mut stays = open(Raw::connect(home.public()).await, &asking).await;
    let mut ends = open(Raw::connect(home.public()).await, &asking).await;
    serving.signal("TERM");
    serving.until_output("ending").await;
    ends.send("goes on").await;
    assert_eq!(ends.exactly(7).await, b"goes on");
    ends.half_close();
    ends.ends().await;
    let _ = stays.rest().await;
    let (status, output) = serving.ended().await;
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("1 connections were cut") || output.contains("1 connection was cut"), "{output}");
}

#[tokio::test]
async fn no_tunnel_is_opened_by_a_worker_that_ends() {
    let upstream = mirror().await;
    let gateway = Gateway::with(&upstream, super::super::proxy::PUBLIC).await;
    let mut late = gateway.raw().await;
    // It is used, so that it is not taken for one that never will be.
    late.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut tunnel = open(gateway.raw().await, &handshake("/")).await;
    let stopping = tokio::spawn(gateway.stop());
    let farewell = close(1001, "the server is ending");
    assert_eq!(tunnel.exactly(farewell.len()).await, farewell);
    late.ask(handshake("/")).await.refused(Code::Draining);
    assert_eq!(upstream.requests().len(), 2);
    drop(tunnel);
    assert_eq!(stopping.await.unwrap(), keyward::app::Cut(0));
}

#[tokio::test]
async fn a_message_is_not_broken_by_the_farewell() {
    let gate = crate::support::upstream::Gate::new();
    let message = frame(2, &crate::support::noise(70_000));
    let (first, rest) = message.split_at(40_000);
    let upstream = Upstream::always(
        opening().then_send(first).then_wait(&gate).then_send(rest).then_mirror().then_close(),
    )
    .await;
    let gateway = Gateway::with(&upstream, super::super::proxy::PUBLIC).await;
    let mut other = open(gateway.raw().await, &handshake("/")).await;
    let mut raw = open(gateway.raw().await, &handshake("/")).await;
    for raw in [&mut raw, &mut other] {
        assert_eq!(raw.exactly(first.len()).await, first);
    }
    let stopping = tokio::spawn(gateway.stop());
    // Whoever ends holds nothing up, and is seen to have begun to end.
    other.half_close();
    gate.open();
    for raw in [&mut raw, &mut other] {
        assert_eq!(raw.exactly(rest.len()).await, rest);
    }
    let farewell = close(1001, "the server is ending");
    assert_eq!(raw.exactly(farewell.len()).await, farewell);
    drop((raw, other));
    assert_eq!(stopping.await.unwrap(), keyward::app::Cut(0));
}
