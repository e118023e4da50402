//! A client of HTTP/2 by prior knowledge: one connection, any number of requests on it at once.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::raw;
use super::within;

/// One connection. Ends with its test.
pub struct H2 {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
    to: String,
    key: Option<String>,
}

/// A request on its way.
pub struct Exchange {
    /// To be read from.
    pub response: ResponseFuture,
    /// To be written to.
    pub body: SendStream<Bytes>,
}

/// One whole answer.
#[derive(Debug)]
pub struct Whole {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

impl H2 {
    /// Connects and says hello.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::with(to, &h2::client::Builder::new()).await
    }

    /// Connects with these settings.
    pub async fn with(to: SocketAddr, settings: &h2::client::Builder) -> Self {
        let stream = within("connecting", TcpStream::connect(to)).await.expect("the connection is accepted");
        stream.set_nodelay(true).unwrap();
        Self::over(stream, to, settings).await
    }

    /// Speaks over a connection that is made.
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        to: SocketAddr,
        settings: &h2::client::Builder,
    ) -> Self {
        let (requests, connection) =
            within("saying hello", settings.handshake(stream)).await.expect("hello is taken");
        Self { requests, connection: tokio::spawn(connection), to: to.to_string(), key: None }
    }

    /// Sends `Authorization: Bearer` with every request.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// A request without a body, to be added to.
    pub fn request(&self, method: &str, target: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(format!("http://{}{target}", self.to));
        match &self.key {
            Some(key) => request.header("authorization", format!("Bearer {key}")),
            None => request,
        }
    }

    /// Sends a request without a body, if the connection takes any.
    pub async fn try_ask(&mut self, request: http::request::Builder) -> Result<Exchange, h2::Error> {
        self.try_start(request, true).await
    }

    /// Begins a request whose body is still to be sent.
    pub async fn begin(&mut self, request: http::request::Builder) -> Exchange {
        self.start(request, false).await
    }

    /// Sends a request without a body.
    pub async fn ask(&mut self, request: http::request::Builder) -> Exchange {
        self.start(request, true).await
    }

    async fn start(&mut self, request: http::request::Builder, end: bool) -> Exchange {
        self.try_start(request, end).await.expect("the connection is open")
    }

    async fn try_start(&mut self, request: http::request::Builder, end: bool) -> Result<Exchange, h2::Error> {
        let ready = std::future::poll_fn(|cx| self.requests.poll_ready(cx));
        within("room for a stream", ready).await?;
        let (response, body) = self.requests.send_request(request.body(()).unwrap(), end)?;
        Ok(Exchange { response, body })
    }

    /// `GET`, to its end.
    pub async fn get(&mut self, target: &str) -> Whole {
        let request = self.request("GET", target);
        self.ask(request).await.whole().await
    }

    /// `POST`, to its end.
    pub async fn post(&mut self, target: &str, body: impl Into<Bytes>) -> Whole {
        let request = self.request("POST", target);
        let mut exchange = self.begin(request).await;
        exchange.body.send_data(body.into(), true).unwrap();
        exchange.whole().await
    }

    /// How the connection ends by the other side's doing.
    pub async fn is_ended(&mut self) -> Result<(), h2::Error> {
        within("the end of the connection", &mut self.connection).await.expect("no panic")
    }
}

impl Exchange {
    /// The whole answer.
    pub async fn whole(self) -> Whole {
        self.outcome().await.unwrap_or_else(|error| panic!("no whole answer: {error:?}"))
    }

    /// The whole answer, or why there is none.
    pub async fn outcome(self) -> Result<Whole, h2::Error> {
        let response = within("an answer", self.response).await?;
        read(response).await
    }

    /// Why there is no whole answer.
    pub async fn reset(self) -> Option<Reason> {
        match self.outcome().await {
            Ok(whole) => panic!("a whole answer: {whole:?}"),
            Err(error) => error.reason(),
        }
    }
}

/// Reads an answer to its end.
pub async fn read(response: Response<RecvStream>) -> Result<Whole, h2::Error> {
    let (head, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = within("a piece of the answer", stream.data()).await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        body.extend(piece);
    }
    let trailers = within("the trailers", stream.trailers()).await?;
    Ok(Whole { status: head.status.as_u16(), headers: head.headers, body, trailers })
}

impl Whole {
    /// The only value of a field; fails when it is there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// Fails unless this is the refusal `code`, whole.
    #[track_caller]
    pub fn refused(&self, code: keyward::auth::refusal::Code) -> String {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
            .collect();
        let same =
            raw::Response { status: self.status, headers, body: self.body.clone(), ..Default::default() };
        assert_eq!(same.header("connection"), None);
        same.refused(code)
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values: Vec<_> = headers.get_all(name).iter().collect();
    assert!(values.len() < 2, "{name} is there {} times: {values:?}", values.len());
    values.first().map(|value| value.to_str().unwrap())
}
