//! Upstreams of HTTP/2 by prior knowledge: one that keeps the protocol, by the `h2` crate, and in [`frames`] one that sends
//! any frames.

pub mod frames;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::sha256;

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its connection's number, from 0.
    pub connection: usize,
    pub method: String,
    /// Of the pseudo-header field.
    pub authority: Option<String>,
    pub scheme: Option<String>,
    /// Byte for byte.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
    /// How it came to its end, once it did.
    pub ended: Option<Ended>,
}

/// How the request's side of a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With all of the request.
    Whole,
    /// By RST_STREAM.
    Reset(Reason),
    /// With the connection.
    Lost,
}

impl Received {
    /// The only value of a field; fails when it is there twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert!(values.len() < 2, "{name} is there {} times: {values:?}", values.len());
        values.first().map(|value| value.to_str().unwrap())
    }

    /// Names of all fields, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }
}

/// What has come in so far.
#[derive(Debug, Default)]
pub struct Seen {
    pub requests: Vec<Received>,
    /// For each connection, whether it has ended.
    pub connections: Vec<bool>,
}

impl Seen {
    /// How many connections have not ended.
    pub fn open(&self) -> usize {
        self.connections.iter().filter(|ended| !**ended).count()
    }
}

type Record = super::record::Record<Seen>;

/// A running upstream; ends with its test.
pub struct H2Upstream {
    address: SocketAddr,
    record: Record,
    accepting: tokio::task::JoinHandle<()>,
}

impl H2Upstream {
    /// Runs each request by `script`, with settings that allow `streams` at once on each connection.
    pub async fn allowing<F: Future<Output = ()> + Send + 'static>(
        streams: u32,
        script: impl Fn(Stream) -> F + Send + Sync + 'static,
    ) -> Self {
        let mut settings = h2::server::Builder::new();
        settings.max_concurrent_streams(streams);
        Self::with(settings, script).await
    }

    /// Runs each request by `script`.
    pub async fn serving<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(Stream) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::with(h2::server::Builder::new(), script).await
    }

    /// Describes each request in its answer.
    pub async fn echo() -> Self {
        Self::serving(Stream::echo).await
    }

    /// Runs each request by `script`, with these settings.
    pub async fn with<F: Future<Output = ()> + Send + 'static>(
        settings: h2::server::Builder,
        script: impl Fn(Stream) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let record = Record::new();
        let accepting = tokio::spawn(accept(listener, settings, record.clone(), Arc::new(script)));
        Self { address, record, accepting }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Received> {
        self.record.lock().requests.clone()
    }

    /// The only request there was.
    #[track_caller]
    pub fn only_request(&self) -> Received {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:#?}");
        requests.into_iter().next().unwrap()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.record.lock().connections.len()
    }

    /// Waits until what has come in is as described.
    pub async fn until<T>(&self, what: &str, found: impl FnMut(&Seen) -> Option<T>) -> T {
        self.record.until(what, found).await
    }

    /// Waits for so many requests' heads.
    pub async fn until_requests(&self, count: usize) {
        self.until(&format!("{count} requests at the upstream"), |seen| {
            (seen.requests.len() >= count).then_some(())
        })
        .await;
    }

    /// Waits until the request of this number has ended, and tells how.
    pub async fn ending(&self, number: usize) -> Ended {
        self.until(&format!("the end of request {number}"), |seen| seen.requests.get(number)?.ended).await
    }

    /// Waits until the request of this number is taken back, and tells with which reason.
    pub async fn taken_back(&self, number: usize) -> Reason {
        self.until(&format!("a reset of request {number}"), |seen| match seen.requests.get(number)?.ended {
            Some(Ended::Reset(reason)) => Some(reason),
            _ => None,
        })
        .await
    }

    /// Waits until no connection is open.
    pub async fn until_all_closed(&self) {
        self.until("the end of every connection at the upstream", |seen| (seen.open() == 0).then_some(()))
            .await;
    }

    /// Stops listening and breaks every connection off.
    pub async fn stop(self) -> SocketAddr {
        self.accepting.abort();
        while !self.accepting.is_finished() {
            tokio::task::yield_now().await;
        }
        self.address
    }
}

impl Drop for H2Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    settings: h2::server::Builder,
    record: Record,
    script: Arc<impl Fn(Stream) -> F + Send + Sync + 'static>,
) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("accepting goes on");
        stream.set_nodelay(true).unwrap();
        let number = record.write(|seen| {
            seen.connections.push(false);
            seen.connections.len() - 1
        });
        connections.spawn(serve(stream, settings.clone(), number, record.clone(), script.clone()));
    }
}

async fn serve<F: Future<Output = ()> + Send + 'static>(
    stream: TcpStream,
    settings: h2::server::Builder,
    connection: usize,
    record: Record,
    script: Arc<impl Fn(Stream) -> F + Send + Sync + 'static>,
) {
    if let Ok(mut http) = settings.handshake::<_, Bytes>(stream).await {
        while let Some(Ok((request, respond))) = http.accept().await {
            let (head, body) = request.into_parts();
            let head = Request::from_parts(head, ());
            let number = record.write(|seen| {
                seen.requests.push(note(&head, connection));
                seen.requests.len() - 1
            });
            // It may still have to note how it ended when the connection has.
            tokio::spawn(script(Stream { number, respond, body, record: record.clone() }));
        }
    }
    record.write(|seen| {
        seen.connections[connection] = true;
        for request in seen.requests.iter_mut().filter(|request| request.connection == connection) {
            request.ended.get_or_insert(Ended::Lost);
        }
    });
}

fn note(head: &Request<()>, connection: usize) -> Received {
    let uri = head.uri();
    Received {
        connection,
        method: head.method().to_string(),
        authority: uri.authority().map(ToString::to_string),
        scheme: uri.scheme_str().map(str::to_owned),
        path: uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: head.headers().clone(),
        body: Vec::new(),
        trailers: None,
        ended: None,
    }
}

/// One request, to be read and answered by a script.
pub struct Stream {
    /// Its number at this upstream, from 0.
    pub number: usize,
    respond: SendResponse<Bytes>,
    body: RecvStream,
    record: Record,
}

impl Stream {
    /// The request's path.
    pub fn path(&self) -> String {
        self.record.lock().requests[self.number].path.clone()
    }

    /// Reads the next piece of the body; `None` at its end, however it ended.
    pub async fn piece(&mut self) -> Option<Bytes> {
        match self.body.data().await {
            Some(Ok(data)) => {
                let _ = self.body.flow_control().release_capacity(data.len());
                self.record.write(|seen| seen.requests[self.number].body.extend(&data));
                return Some(data);
            }
            Some(Err(error)) => self.ended(&error),
            None => match self.body.trailers().await {
                Ok(trailers) => self.record.write(|seen| {
                    seen.requests[self.number].trailers = trailers;
                    seen.requests[self.number].ended.get_or_insert(Ended::Whole);
                }),
                Err(error) => self.ended(&error),
            },
        }
        None
    }

    fn ended(&self, error: &h2::Error) {
        let how = error.reason().filter(|_| error.is_reset()).map_or(Ended::Lost, Ended::Reset);
        self.record.write(|seen| seen.requests[self.number].ended = Some(how));
    }

    /// Reads the body to its end.
    pub async fn read(&mut self) {
        while self.piece().await.is_some() {}
    }

    /// Waits for the other side to take the request back, and notes with which reason.
    pub async fn until_reset(&mut self, body: &mut SendStream<Bytes>) -> Reason {
        let reason = std::future::poll_fn(|cx| body.poll_reset(cx)).await;
        match reason {
            Ok(reason) => {
                self.record.write(|seen| seen.requests[self.number].ended = Some(Ended::Reset(reason)));
                reason
            }
            Err(_) => std::future::pending().await,
        }
    }

    /// Reads the request, never answers it, and waits for it to be taken back.
    pub async fn never(mut self) {
        self.read().await;
        match std::future::poll_fn(|cx| self.respond.poll_reset(cx)).await {
            Ok(reason) => self.record.write(|seen| {
                seen.requests[self.number].ended = Some(Ended::Reset(reason));
            }),
            Err(_) => std::future::pending().await,
        }
    }

    /// Sends the fields of an answer.
    pub fn head(&mut self, status: u16, fields: &[(&'static str, &str)], end: bool) -> SendStream<Bytes> {
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        for (name, value) in fields {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        self.respond.send_response(response, end).expect("the stream is open")
    }

    /// Refuses to go on with it.
    pub fn reset(mut self, reason: Reason) {
        self.respond.send_reset(reason);
    }

    /// Reads the request and answers it whole.
    pub async fn answer(mut self, status: u16, fields: &[(&'static str, &str)], body: impl Into<Bytes>) {
        self.read().await;
        let mut out = self.head(status, fields, false);
        let _ = out.send_data(body.into(), true);
    }

    /// Reads the request and describes it.
    pub async fn echo(mut self) {
        self.read().await;
        let request = self.record.lock().requests[self.number].clone();
        let headers: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| [name.as_str(), value.to_str().unwrap_or_default()])
            .collect();
        let described = serde_json::json!({
            "method": request.method,
            "authority": request.authority,
            "path": request.path,
            "headers": headers,
            "body_len": request.body.len(),
            "body_sha256": sha256(&request.body),
        });
        let mut out = self.head(200, &[("content-type", "application/json")], false);
        let _ = out.send_data(described.to_string().into(), true);
    }

    /// Says 1xx.
    pub fn interim(&mut self, status: u16) {
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
        self.respond.send_informational(response).expect("the stream is open");
    }
}

/// Sends all of it as the other side makes room; tells whether it took all.
pub async fn send_all(out: &mut SendStream<Bytes>, mut data: Bytes, end: bool) -> bool {
    while !data.is_empty() {
        out.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|cx| out.poll_capacity(cx)).await else { return false };
        let piece = data.split_to(room.min(data.len()));
        let last = end && data.is_empty();
        if out.send_data(piece, last).is_err() {
            return false;
        }
    }
    true
}
