//! One request as the upstream received it, read leniently: nothing is refused, everything is shown.

use serde_json::json;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number at this upstream, from 0.
    pub number: usize,
    /// Its connection's number, from 0.
    pub connection: usize,
    /// Its number on that connection, from 0.
    pub on_connection: usize,
    pub method: String,
    /// Byte for byte.
    pub target: String,
    pub version: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    /// The body's first 8 MiB, without its framing.
    pub body: Vec<u8>,
    /// How many bytes of it have come.
    pub body_len: u64,
    /// SHA-256 of the body, once it is whole.
    pub sha256: Option<String>,
    pub trailers: Vec<(String, String)>,
}

impl Received {
    pub(super) fn read(head: &[u8], number: usize, connection: usize, on_connection: usize) -> Self {
        let text: String = head.iter().map(|byte| char::from(*byte)).collect();
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let mut words = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Self {
            number,
            connection,
            on_connection,
            method: word(),
            target: word(),
            version: word(),
            headers: lines.map(field).collect(),
            body: Vec::new(),
            body_len: 0,
            sha256: None,
            trailers: Vec::new(),
        }
    }

    /// Whether all of its body has come.
    pub fn is_whole(&self) -> bool {
        self.sha256.is_some()
    }

    /// The only value of a field; fails when it is there twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} is there {} times: {values:?}", values.len());
        values.first().copied()
    }

    /// All values of a field.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |field: &&(String, String)| field.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| value.as_str()).collect()
    }

    /// Names in lower case, sorted: what came, whatever its order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        names
    }

    pub(super) fn is_chunked(&self) -> bool {
        self.all("transfer-encoding").iter().any(|value| value.to_ascii_lowercase().contains("chunked"))
    }

    pub(super) fn length(&self) -> u64 {
        self.all("content-length").first().and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// What [`Answer::echo`](super::Answer::echo) answers.
    pub(super) fn described(&self) -> Vec<u8> {
        json!({
            "method": self.method,
            "target": self.target,
            "version": self.version,
            "headers": self.headers,
            "body_len": self.body_len,
            "body_sha256": self.sha256,
            "trailers": self.trailers,
        })
        .to_string()
        .into_bytes()
    }
}

pub(super) fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
}
