//! The backend that `keyward dev` brings when none is named: it answers every request with what it received.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[derive(Serialize)]
struct Echo {
    message: &'static str,
    method: String,
    path: String,
    query: Option<String>,
    headers: BTreeMap<String, String>,
    body_bytes: usize,
}

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let echo = Echo {
        message: "The demo backend received this request from Keyward.",
        method: method.to_string(),
        path: uri.path().to_owned(),
        query: uri.query().map(str::to_owned),
        headers: headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body_bytes: body.len(),
    };
    // Set in lines: people read it in a terminal.
    let text = serde_json::to_string_pretty(&echo).unwrap_or_default() + "\n";
    ([(CONTENT_TYPE, "application/json")], text)
}

/// Serves the demo backend on a free loopback port until the returned set is dropped.
///
/// # Errors
/// When no port can be had.
pub async fn start() -> std::io::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = axum::Router::new().fallback(echo);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new());
            connections.spawn(async move {
                // A broken connection is the client's business.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Ok((address, tasks))
}
