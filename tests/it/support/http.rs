//! A client for tests that care about meaning, not bytes: it keeps its connection while it can, and knows what a refusal
//! looks like.

use std::net::SocketAddr;

use keyward::auth::refusal::Code;

use super::raw::{Broken, Raw, Response};

/// A client of one address with one connection at a time.
pub struct Client {
    to: SocketAddr,
    host: String,
    key: Option<String>,
    connection: Option<Raw>,
    /// How many connections it has made.
    pub connections: usize,
}

impl Client {
    /// A client without a credential.
    pub fn new(to: SocketAddr) -> Self {
        Self { to, host: to.to_string(), key: None, connection: None, connections: 0 }
    }

    /// Sends `Authorization: Bearer` with every request.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Sends this `Host` with every request.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// `GET`.
    pub async fn get(&mut self, target: &str) -> Response {
        self.request("GET", target).send().await
    }

    /// `POST` with a body of known length.
    pub async fn post(&mut self, target: &str, body: impl Into<Vec<u8>>) -> Response {
        self.request("POST", target).body(body).send().await
    }

    /// Any request, to be added to and sent.
    pub fn request(&mut self, method: &str, target: &str) -> Request<'_> {
        let mut headers = vec![("Host".to_owned(), self.host.clone())];
        headers.extend(self.key.iter().map(|key| ("Authorization".to_owned(), format!("Bearer {key}"))));
        Request { client: self, method: method.to_owned(), target: target.to_owned(), headers, body: None }
    }
}

/// A request that is being put together.
pub struct Request<'a> {
    client: &'a mut Client,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request<'_> {
    /// Adds a field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves out what the client would add under this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Adds a body and its `Content-Length`.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self.headers.push(("Content-Length".to_owned(), body.len().to_string()));
        self.body = Some(body);
        self
    }

    /// Adds a body in chunks.
    #[must_use]
    pub fn chunked(mut self, pieces: &[&[u8]]) -> Self {
        self.headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
        self.body = Some(chunks(pieces));
        self
    }

    /// Sends it and reads the answer.
    pub async fn send(self) -> Response {
        self.try_send().await.expect("a whole answer")
    }

    /// Sends it and reads the answer, or what came of it.
    pub async fn try_send(self) -> Result<Response, Broken> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut bytes = (bytes + "\r\n").into_bytes();
        bytes.extend(self.body.unwrap_or_default());
        let client = self.client;
        let mut connection = match client.connection.take() {
            Some(kept) => kept,
            None => {
                client.connections += 1;
                Raw::connect(client.to).await
            }
        };
        // An early refusal may close before all is sent; the answer says what happened.
        let _ = connection.try_send(bytes).await;
        let response = connection.answer(&self.method).await?;
        let closing = response.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
        if !closing && response.version == "HTTP/1.1" {
            client.connection = Some(connection);
        }
        Ok(response)
    }
}

/// Pieces as chunks, the last chunk included.
pub fn chunks(pieces: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(*piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

impl Response {
    /// Fails unless this is the refusal `code`, whole: status, fields, and every member of its body. Returns `detail`.
    #[track_caller]
    pub fn refused(&self, code: Code) -> String {
        let (detail, faults) = self.refused_for(code);
        assert_eq!(faults, [] as [(String, String); 0]);
        detail
    }

    /// The same for a body whose members are wrong. Returns `detail`, and of each fault the pointer and its `detail`.
    #[track_caller]
    pub fn refused_for(&self, code: Code) -> (String, Vec<(String, String)>) {
        let shown = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, code.status(), "{} instead of {}: {shown}", self.status, code.as_str());
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{shown}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{shown}");
        let id = self.header("x-request-id").expect("every answer names its request").to_owned();
        let mut body = self.json();
        let faults = body.as_object_mut().expect("an object").remove("errors");
        let detail = body["detail"].as_str().expect("detail is text").to_owned();
        assert_eq!(
            body,
            serde_json::json!({
                "type": format!("urn:keyward:error:{}", code.as_str()),
                "title": code.title(),
                "status": code.status(),
                "detail": detail,
                "instance": format!("urn:uuid:{id}"),
                "code": code.as_str(),
                "request_id": id,
            })
        );
        assert!(!detail.is_empty());
        let text = |fault: &serde_json::Value, name: &str| fault[name].as_str().expect(name).to_owned();
        let fault = |fault: serde_json::Value| {
            assert_eq!(fault.as_object().expect("an object").len(), 2, "{fault}");
            (text(&fault, "pointer"), text(&fault, "detail"))
        };
        let faults = faults.map_or(Vec::new(), |faults| serde_json::from_value(faults).expect("a list"));
        (detail, faults.into_iter().map(fault).collect())
    }
}
