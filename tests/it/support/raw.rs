//! A client over a bare socket: sends any bytes, and reads answers with a parser of its own that takes nothing sloppy.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{find, within};

/// One connection. Every wait has a deadline.
pub struct Raw {
    stream: TcpStream,
    /// Received and not yet taken.
    pub leftover: Vec<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By FIN.
    Closed,
    /// By RST.
    Reset,
}

/// Why no whole answer could be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Broken {
    /// The connection ended before its first byte.
    Nothing(Ending),
    /// The connection ended inside the head.
    Head(Ending, Vec<u8>),
    /// The connection ended inside the body; what had come of it.
    Body(Ending, Box<Response>),
    /// It is not HTTP/1.1 as RFC 9112 writes it.
    Malformed(String),
}

/// One whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// `HTTP/1.1`.
    pub version: String,
    pub status: u16,
    pub reason: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// The sizes of its chunks, if it came in chunks.
    pub chunks: Vec<usize>,
    pub trailers: Vec<(String, String)>,
    /// The statuses of 1xx answers that came first.
    pub interim: Vec<u16>,
}

impl Response {
    /// The only value of a field; fails when it is there twice.
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

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
    Close,
}

impl Raw {
    /// Connects; small pieces are sent at once.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::try_connect(to).await.expect("the connection is accepted")
    }

    /// Connects, or tells why not.
    pub async fn try_connect(to: SocketAddr) -> io::Result<Self> {
        let stream = within("connecting", TcpStream::connect(to)).await?;
        stream.set_nodelay(true).unwrap();
        Ok(Self { stream, leftover: Vec::new() })
    }

    /// Connects with a small receive buffer, so that a peer that is not read from is soon held back.
    pub async fn connect_narrow(to: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = within("connecting", socket.connect(to)).await.expect("the connection is accepted");
        Self { stream, leftover: Vec::new() }
    }

    /// This side's address.
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// Sends all of it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.expect("the peer takes what is sent");
    }

    /// Sends all of it, or tells why not.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within("sending", self.stream.write_all(bytes.as_ref())).await
    }

    /// Sends each byte in a segment of its own.
    pub async fn send_slowly(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]).await;
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the peer, on this machine, has read all that was sent.
    pub async fn until_read(&self) {
        let (local, peer) = (self.local(), self.stream.peer_addr().unwrap());
        within("the peer's reading", async {
            while unread(peer, local) != Some(0) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Sends until the peer takes no more for `patience`, at most `most` bytes; tells how many it took.
    pub async fn send_until_held_back(&mut self, most: usize, patience: Duration) -> usize {
        let piece = vec![b'x'; 64 * 1024];
        let mut sent = 0;
        while sent < most {
            match tokio::time::timeout(patience, self.stream.write(&piece[..piece.len().min(most - sent)]))
                .await
            {
                Ok(Ok(n)) => sent += n,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        sent
    }

    /// Says that no more will be sent, and still reads.
    pub fn half_close(&self) {
        SockRef::from(&self.stream).shutdown(std::net::Shutdown::Write).expect("the connection is open");
    }

    /// Breaks the connection off with RST.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        let head = request.as_ref().starts_with(b"HEAD ");
        self.send(request).await;
        self.answer(if head { "HEAD" } else { "GET" }).await.expect("a whole answer")
    }

    /// Reads one answer to a request that was no `HEAD`.
    pub async fn response(&mut self) -> Response {
        self.answer("GET").await.expect("a whole answer")
    }

    /// Reads one answer, 1xx before it included.
    pub async fn answer(&mut self, method: &str) -> Result<Response, Broken> {
        within("reading an answer", self.read_answer(method)).await
    }

    /// Reads one head, whatever its status; its body stays unread.
    pub async fn head(&mut self) -> Result<Response, Broken> {
        within("reading a head", self.read_head()).await
    }

    /// Reads exactly `len` bytes.
    pub async fn exactly(&mut self, len: usize) -> Vec<u8> {
        within("reading bytes", async {
            while self.leftover.len() < len {
                self.fill().await.unwrap_or_else(|ending| panic!("{ending:?} before {len} bytes"));
            }
        })
        .await;
        self.leftover.drain(..len).collect()
    }

    /// Reads so many bytes and keeps none of them.
    pub async fn discard(&mut self, len: usize) {
        let mut left = len;
        while left > 0 {
            let count = left.min(64 * 1024);
            self.exactly(count).await;
            left -= count;
        }
    }

    /// Reads exactly `len` bytes, or tells how the connection ended before them.
    pub async fn try_exactly(&mut self, len: usize) -> Result<Vec<u8>, Ending> {
        while self.leftover.len() < len {
            self.fill().await?;
        }
        Ok(self.leftover.drain(..len).collect())
    }

    /// Reads until this text has come, and takes everything up to its end.
    pub async fn until(&mut self, text: &[u8]) -> Vec<u8> {
        within("reading up to a text", async {
            loop {
                if let Some(at) = find(&self.leftover, text) {
                    return self.leftover.drain(..at + text.len()).collect();
                }
                self.fill().await.unwrap_or_else(|ending| panic!("{ending:?} before the text"));
            }
        })
        .await
    }

    /// Reads to the end of the connection.
    pub async fn rest(&mut self) -> (Vec<u8>, Ending) {
        within("the end of the connection", async {
            loop {
                if let Err(ending) = self.fill().await {
                    return (std::mem::take(&mut self.leftover), ending);
                }
            }
        })
        .await
    }

    /// Reads to the end of the connection and keeps nothing.
    pub async fn until_end(&mut self) {
        within("the end of the connection", async {
            while self.fill().await.is_ok() {
                self.leftover.clear();
            }
        })
        .await;
    }

    /// Fails unless the connection ends without another byte; tells how.
    pub async fn ends(&mut self) -> Ending {
        let (rest, ending) = self.rest().await;
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
        ending
    }

    /// Fails when a byte or the end comes within `patience`.
    pub async fn stays_silent(&mut self, patience: Duration) {
        assert!(self.leftover.is_empty(), "already there: {:?}", String::from_utf8_lossy(&self.leftover));
        if let Ok(read) = tokio::time::timeout(patience, self.fill()).await {
            panic!("{read:?} instead of silence: {:?}", String::from_utf8_lossy(&self.leftover));
        }
    }

    async fn fill(&mut self) -> Result<(), Ending> {
        match self.stream.read_buf(&mut self.leftover).await {
            Ok(0) => Err(Ending::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(Ending::Reset),
            Err(error) => panic!("reading failed: {error}"),
        }
    }

    async fn read_answer(&mut self, method: &str) -> Result<Response, Broken> {
        let mut interim = Vec::new();
        loop {
            let mut response = self.read_head().await?;
            if (100..200).contains(&response.status) && response.status != 101 {
                interim.push(response.status);
                continue;
            }
            response.interim = interim;
            let framing = framing(&response, method).map_err(Broken::Malformed)?;
            return self.read_body(response, framing).await;
        }
    }

    async fn read_head(&mut self) -> Result<Response, Broken> {
        loop {
            if let Some(end) = find(&self.leftover, b"\r\n\r\n") {
                let head: Vec<u8> = self.leftover.drain(..end + 4).collect();
                return parse_head(&head).map_err(Broken::Malformed);
            }
            match self.fill().await {
                Ok(()) => {}
                Err(ending) if self.leftover.is_empty() => return Err(Broken::Nothing(ending)),
                Err(ending) => return Err(Broken::Head(ending, std::mem::take(&mut self.leftover))),
            }
        }
    }

    async fn read_body(&mut self, mut response: Response, framing: Framing) -> Result<Response, Broken> {
        let ended = match framing {
            Framing::None => None,
            Framing::Length(len) => self.read_length(&mut response, len).await,
            Framing::Chunked => self.read_chunks(&mut response).await?,
            Framing::Close => match self.read_length(&mut response, usize::MAX).await {
                Some(Ending::Closed) => None,
                ended => ended,
            },
        };
        match ended {
            None => Ok(response),
            Some(ending) => Err(Broken::Body(ending, Box::new(response))),
        }
    }

    async fn read_length(&mut self, response: &mut Response, len: usize) -> Option<Ending> {
        loop {
            let take = self.leftover.len().min(len - response.body.len());
            response.body.extend(self.leftover.drain(..take));
            if response.body.len() == len {
                return None;
            }
            if let Err(ending) = self.fill().await {
                return Some(ending);
            }
        }
    }

    async fn read_chunks(&mut self, response: &mut Response) -> Result<Option<Ending>, Broken> {
        loop {
            let line = match self.line().await {
                Ok(line) => line,
                Err(ending) => return Ok(Some(ending)),
            };
            let digits = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            let size = usize::from_str_radix(&line, 16).ok().filter(|_| digits);
            let size = size.ok_or_else(|| Broken::Malformed(format!("chunk size {line:?}")))?;
            if size == 0 {
                return self.read_trailers(response).await;
            }
            let upto = response.body.len() + size;
            if let Some(ending) = self.read_length(response, upto).await {
                return Ok(Some(ending));
            }
            response.chunks.push(size);
            match self.line().await {
                Ok(line) if line.is_empty() => {}
                Ok(line) => return Err(Broken::Malformed(format!("after a chunk: {line:?}"))),
                Err(ending) => return Ok(Some(ending)),
            }
        }
    }

    async fn read_trailers(&mut self, response: &mut Response) -> Result<Option<Ending>, Broken> {
        loop {
            match self.line().await {
                Ok(line) if line.is_empty() => return Ok(None),
                Ok(line) => response.trailers.push(parse_field(&line).map_err(Broken::Malformed)?),
                Err(ending) => return Ok(Some(ending)),
            }
        }
    }

    async fn line(&mut self) -> Result<String, Ending> {
        loop {
            if let Some(end) = find(&self.leftover, b"\r\n") {
                let line: Vec<u8> = self.leftover.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.fill().await?;
        }
    }
}

/// How many bytes wait at `to` that came from `from`; `None` when there is no such connection.
fn unread(to: SocketAddr, from: SocketAddr) -> Option<u64> {
    let shown = |address: SocketAddr| match address {
        SocketAddr::V4(address) => {
            format!("{:08X}:{:04X}", u32::from_le_bytes(address.ip().octets()), address.port())
        }
        SocketAddr::V6(_) => panic!("{address} is no address of IPv4"),
    };
    let (to, from) = (shown(to), shown(from));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1) == Some(&&*to) && row.get(2) == Some(&&*from))?;
    u64::from_str_radix(row.get(4)?.split_once(':')?.1, 16).ok()
}

/// RFC 9112 section 6.3, without its tolerances.
fn framing(response: &Response, method: &str) -> Result<Framing, String> {
    let lengths = response.all("content-length");
    let codings = response.all("transfer-encoding");
    let bodiless = method == "HEAD" || matches!(response.status, 101 | 204 | 304);
    match (lengths.as_slice(), codings.as_slice()) {
        ([_, ..], [_, ..]) => Err("Content-Length beside Transfer-Encoding".to_owned()),
        ([], [_, ..]) if matches!(response.status, 101 | 204) => {
            Err("Transfer-Encoding where no body can be".to_owned())
        }
        ([], [coding]) if *coding == "chunked" => Ok(if bodiless { Framing::None } else { Framing::Chunked }),
        ([], [_, ..]) => Err(format!("Transfer-Encoding {codings:?}")),
        ([length], []) => {
            let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            let length =
                length.parse().ok().filter(|_| digits).ok_or(format!("Content-Length {length:?}"))?;
            Ok(if bodiless { Framing::None } else { Framing::Length(length) })
        }
        ([_, _, ..], []) => Err("several Content-Length".to_owned()),
        ([], []) => Ok(if bodiless { Framing::None } else { Framing::Close }),
    }
}

fn parse_head(head: &[u8]) -> Result<Response, String> {
    let text = std::str::from_utf8(head)
        .map_or_else(|_| head.iter().map(|byte| char::from(*byte)).collect::<String>(), str::to_owned);
    let lines = text.strip_suffix("\r\n\r\n").ok_or("no end")?;
    if lines.split("\r\n").any(|line| line.contains(['\r', '\n', '\0'])) {
        return Err(format!("a bare CR or LF, or a NUL: {text:?}"));
    }
    let mut lines = lines.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let (version, rest) = status_line.split_once(' ').ok_or(format!("status line {status_line:?}"))?;
    let (status, reason) = rest.split_once(' ').ok_or(format!("status line {status_line:?}"))?;
    if version != "HTTP/1.1" && version != "HTTP/1.0" || status.len() != 3 {
        return Err(format!("status line {status_line:?}"));
    }
    Ok(Response {
        version: version.to_owned(),
        status: status.parse().map_err(|_| format!("status {status:?}"))?,
        reason: reason.to_owned(),
        headers: lines.map(parse_field).collect::<Result<_, _>>()?,
        ..Response::default()
    })
}

fn parse_field(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or(format!("field {line:?}"))?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(format!("field name {name:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}
