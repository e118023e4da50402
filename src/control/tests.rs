use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

use super::serve::{Limits, serve, tcp};
use super::socket::{ControlSocket, NoSocket};
use super::*;
use crate::clock::{Clock, Timestamp};

const BOUND: Duration = Duration::from_secs(20);

/// A control plane that is ready and whose reloads end so.
pub fn control(outcome: ReloadOutcome) -> Control {
    Control {
        metrics: Arc::new(Metrics::new().unwrap()),
        health: Arc::new(|| health(Status::Ready)),
        reload: Arc::new(move || std::future::ready(outcome.clone()).boxed()),
        type_base: Arc::new(ArcSwap::from_pointee("urn:keyward:error:".to_owned())),
    }
}

fn loaded() -> Control {
    control(ReloadOutcome::Loaded { file: "/keyward.yaml".into(), warnings: Vec::new() })
}

fn health(status: Status) -> Health {
    let checks = Checks {
        store_up: status == Status::Ready,
        feed_age: Some(Duration::from_millis(250)),
        config_loaded: Some(Timestamp(1_793_491_200_000)),
        workers_running: 2,
        workers: 2,
        upstreams_down: vec!["api".into()],
        certificates: vec![CertificateEnd {
            shown: Shown::Listener("public".into()),
            file: "/tls/cert.pem".to_owned(),
            expires: Timestamp(1_793_491_200_000),
        }],
    };
    Health { status, checks }
}

struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

fn start(control: Control, limits: Limits) -> Server {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = router::admin(Arc::new(control));
    let task = tokio::spawn(serve(tcp(listener).unwrap(), router, stop.clone(), limits));
    Server { address, stop, task }
}

/// Head and body of what a peer answers to `request` until it closes.
async fn exchange(mut io: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> (String, String) {
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(BOUND, io.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

async fn ask(server: &Server, method: &str, target: &str) -> (String, String) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    exchange(stream, &request).await
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn livez_is_ok_while_the_process_lives() {
    let server = start(loaded(), Limits::default());
    let (head, body) = ask(&server, "GET", "/livez").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body, "ok");
    let (head, body) = ask(&server, "HEAD", "/livez").await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body.is_empty());
}

#[tokio::test]
async fn readyz_tells_load_balancers_where_to_send_traffic() {
    for (status, http, word) in [
        (Status::Ready, "200", "ready"),
        (Status::Degraded, "200", "degraded"),
        (Status::Starting, "503", "starting"),
        (Status::Draining, "503", "draining"),
        (Status::Unavailable, "503", "unavailable"),
    ] {
        let server =
            start(Control { health: Arc::new(move || health(status)), ..loaded() }, Limits::default());
        let (head, body) = ask(&server, "GET", "/readyz").await;
        assert!(head.starts_with(&format!("HTTP/1.1 {http} ")), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        assert_eq!(json_of(&body), json!({ "status": word }));
    }
}

#[tokio::test]
async fn readyz_verbose_says_what_its_word_rests_on() {
    let server = start(loaded(), Limits::default());
    let expected = json!({
        "status": "ready",
        "checks": {
            "store": "up",
            "feed_age_seconds": 0.25,
            "config_loaded": "2026-11-01T00:00:00Z",
            "upstreams_down": ["api"],
            "workers": { "running": 2, "expected": 2 },
            "certificates": [
                { "listener": "public", "file": "/tls/cert.pem", "expires": "2026-11-01T00:00:00Z" },
            ],
        },
    });
    for target in ["/readyz?verbose", "/readyz?a=b&verbose=1"] {
        assert_eq!(json_of(&ask(&server, "GET", target).await.1), expected);
    }
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let server = start(loaded(), Limits::default());
    let (head, body) = ask(&server, "GET", "/metrics").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4\r\n"), "{head}");
    assert!(body.starts_with("# HELP "), "{body}");
    assert!(body.contains("\nkeyward_store_up 0\n"));
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let server = start(loaded(), Limits::default());
    for target in ["/", "/livez/", "/reload", "/metrics/x"] {
        let (head, body) = ask(&server, "GET", target).await;
        assert!(head.starts_with("HTTP/1.1 404 "), "{target}: {head}");
        assert!(head.contains("content-type: application/problem+json\r\n"), "{head}");
        let body = json_of(&body);
        let id = body["request_id"].as_str().unwrap();
        assert!(head.contains(&format!("x-request-id: {id}\r\n")), "{head}");
        assert_eq!(
            body,
            json!({
                "type": "urn:keyward:error:not_found",
                "title": "There is nothing here",
                "status": 404,
                "detail": "This listener has nothing at this path. Check the URL.",
                "instance": format!("urn:uuid:{id}"),
                "code": "not_found",
                "request_id": id,
            })
        );
    }
}

#[tokio::test]
async fn a_wrong_method_names_the_right_ones() {
    let server = start(loaded(), Limits::default());
    let (head, body) = ask(&server, "DELETE", "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    assert!(head.contains("allow: GET,HEAD\r\n"), "{head}");
    assert_eq!(json_of(&body)["code"], "method_not_allowed");
}

#[tokio::test]
async fn a_silent_client_is_cut_off() {
    let server = start(loaded(), Limits { head: Duration::from_millis(50), ..Limits::default() });
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    silent.write_all(b"GET /livez HTTP/1.1\r\nhost").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(BOUND, silent.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn for_a_connection_over_the_limit_the_oldest_goes() {
    let server = start(loaded(), Limits { connections: 1, ..Limits::default() });
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: admin\r\n\r\n").await.unwrap();
    assert!(first.read(&mut [0; 1024]).await.unwrap() > 0);
    let second = ask(&server, "GET", "/livez");
    assert_eq!(tokio::time::timeout(BOUND, second).await.unwrap().1, "ok");
    let ended = tokio::time::timeout(BOUND, first.read(&mut [0; 1024])).await.unwrap();
    assert_eq!(ended.unwrap(), 0, "the first connection is closed in good order");
}

#[tokio::test]
async fn a_connection_ends_after_its_life() {
    let server = start(loaded(), Limits { life: Duration::from_millis(50), ..Limits::default() });
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: admin\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(BOUND, idle.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn stopping_closes_idle_connections_and_ends() {
    let server = start(loaded(), Limits::default());
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: admin\r\n\r\n").await.unwrap();
    assert!(idle.read(&mut [0; 1024]).await.unwrap() > 0);
    server.stop.cancel();
    tokio::time::timeout(BOUND, server.task).await.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 1024]).await.unwrap(), 0);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_knows_one_route() {
    let directory = tempfile::tempdir().unwrap();
    let socket = ControlSocket::bind(&directory.path().join("keyward.db")).await.unwrap();
    let path = socket.path().to_owned();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let router = router::socket(Arc::new(loaded()));
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(socket, router, stop.clone(), Limits::default()));
    for (line, status) in [("POST /reload", "200"), ("GET /reload", "405"), ("GET /metrics", "404")] {
        let request = format!("{line} HTTP/1.1\r\nhost: k\r\nconnection: close\r\n\r\n");
        let (head, _) = exchange(UnixStream::connect(&path).await.unwrap(), &request).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {head}");
    }
    stop.cancel();
    task.await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_reload_is_done_whole_though_its_client_goes_away() {
    let (begun, wait) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
    let done = Arc::new(Mutex::new(false));
    let reload: AskReload = {
        let (begun, wait, done) = (Arc::clone(&begun), Arc::clone(&wait), Arc::clone(&done));
        Arc::new(move || {
            let (begun, wait, done) = (Arc::clone(&begun), Arc::clone(&wait), Arc::clone(&done));
            async move {
                begun.notify_one();
                wait.notified().await;
                *done.lock().unwrap() = true;
                ReloadOutcome::Loaded { file: "/keyward.yaml".into(), warnings: Vec::new() }
            }
            .boxed()
        })
    };
    let directory = tempfile::tempdir().unwrap();
    let socket = ControlSocket::bind(&directory.path().join("keyward.db")).await.unwrap();
    let mut client = UnixStream::connect(socket.path()).await.unwrap();
    let router = router::socket(Arc::new(Control { reload, ..loaded() }));
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(socket, router, stop.clone(), Limits::default()));
    client.write_all(b"POST /reload HTTP/1.1\r\nhost: k\r\n\r\n").await.unwrap();
    begun.notified().await;
    drop(client);
    stop.cancel();
    task.await.unwrap();
    wait.notify_one();
    until("the reload is done", || *done.lock().unwrap()).await;
}

#[tokio::test]
async fn a_second_server_leaves_the_socket_to_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("keyward.db");
    let first = ControlSocket::bind(&store).await.unwrap();
    assert!(matches!(ControlSocket::bind(&store).await, Err(NoSocket::Taken(_))));
    assert!(first.path().exists());
}

#[tokio::test]
async fn a_socket_that_a_dead_server_left_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("keyward.db");
    drop(StdUnixListener::bind(socket::path(&store)).unwrap());
    assert!(socket::path(&store).exists());
    assert!(ControlSocket::bind(&store).await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_socket_stays() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("keyward.db");
    fs::write(socket::path(&store), "precious").unwrap();
    assert!(matches!(ControlSocket::bind(&store).await, Err(NoSocket::NotASocket(_))));
    assert_eq!(fs::read_to_string(socket::path(&store)).unwrap(), "precious");
}

#[tokio::test]
async fn a_socket_of_another_server_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("keyward.db");
    let first = ControlSocket::bind(&store).await.unwrap();
    fs::remove_file(first.path()).unwrap();
    let second = ControlSocket::bind(&store).await.unwrap();
    drop(first);
    assert!(second.path().exists());
}

#[tokio::test]
async fn a_path_too_long_is_done_without() {
    let store = Path::new("/tmp").join("x".repeat(120)).join("keyward.db");
    assert!(matches!(ControlSocket::bind(&store).await, Err(NoSocket::TooLong(_))));
    let missing = ControlSocket::bind(Path::new("/nonexistent/keyward.db")).await;
    assert!(matches!(missing, Err(NoSocket::Failed { .. })));
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let clock = Clock::system();
    let began = clock.tick();
    while !holds() {
        assert!(clock.tick().since(began) < BOUND, "waited in vain: {what}");
        tokio::task::yield_now().await;
    }
}
