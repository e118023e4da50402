//! An upstream that reads frames and sends any others, right or wrong, as its script says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use crate::support::frame::*;
use crate::support::within;

/// One connection, as its script has it.
pub struct Wire {
    /// Its number, from 0.
    pub number: usize,
    stream: TcpStream,
    buffer: Vec<u8>,
    seen: watch::Sender<Vec<(usize, Frame)>>,
}

impl Wire {
    /// Reads the preface, and sends these settings.
    pub async fn hello(&mut self, settings: &[(u16, u32)]) {
        self.preface().await;
        self.settings(settings).await;
    }

    /// Reads the preface.
    pub async fn preface(&mut self) {
        let preface = self.take(PREFACE.len()).await.expect("a preface");
        assert_eq!(preface, PREFACE);
    }

    async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        }
        Some(self.buffer.drain(..count).collect())
    }

    /// The next frame; settings and pings are acknowledged. `None` at the end of the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        let head = self.take(9).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let frame = Frame { kind: head[3], flags: head[4], stream, payload: self.take(length).await? };
        self.seen.send_modify(|seen| seen.push((self.number, frame.clone())));
        if frame.flags & ACK == 0 {
            match frame.kind {
                SETTINGS => self.send(SETTINGS, ACK, 0, &[]).await,
                PING => self.send(PING, ACK, 0, &frame.payload).await,
                _ => {}
            }
        }
        Some(frame)
    }

    /// Waits for a frame of this kind.
    pub async fn next(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Waits for a request's fields and gives its stream.
    pub async fn request(&mut self) -> Option<u32> {
        Some(self.next(HEADERS).await?.stream)
    }

    /// Reads until the stream's request is whole.
    pub async fn whole(&mut self) -> Option<u32> {
        loop {
            let frame = self.frame().await?;
            if frame.ends() {
                return Some(frame.stream);
            }
        }
    }

    /// Whether what has been received of the stream's request so far is all of it.
    pub fn frames_end(&mut self, stream: u32) -> bool {
        let seen = self.seen.borrow();
        let own = |(number, frame): &&(usize, Frame)| *number == self.number && frame.stream == stream;
        seen.iter().filter(own).any(|(_, frame)| frame.ends())
    }

    /// Reads until the connection ends.
    pub async fn drain(&mut self) {
        while self.frame().await.is_some() {}
    }

    /// Reads nothing more and says nothing more.
    pub async fn stall(&mut self) {
        std::future::pending::<()>().await;
    }

    /// Any bytes. What the other side does not take is lost.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Any frame.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.raw(&frame(kind, flags, stream, payload)).await;
    }

    pub async fn settings(&mut self, values: &[(u16, u32)]) {
        self.raw(&settings(values)).await;
    }

    /// The fields of an answer, pseudo-header fields included.
    pub async fn headers(&mut self, stream: u32, flags: u8, fields: &[(&str, &str)]) {
        self.send(HEADERS, END_HEADERS | flags, stream, &block(fields)).await;
    }

    pub async fn data(&mut self, stream: u32, flags: u8, data: &[u8]) {
        self.send(DATA, flags, stream, data).await;
    }

    /// 200 with this text.
    pub async fn answer(&mut self, stream: u32, text: &str) {
        self.headers(stream, 0, &[(":status", "200")]).await;
        self.data(stream, END_STREAM, text.as_bytes()).await;
    }

    pub async fn reset(&mut self, stream: u32, code: u32) {
        self.raw(&reset(stream, code)).await;
    }

    pub async fn goaway(&mut self, last: u32, code: u32) {
        self.send(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat()).await;
    }

    pub async fn window(&mut self, stream: u32, more: u32) {
        self.raw(&window(stream, more)).await;
    }

    /// Ends the connection by RST.
    pub fn break_off(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}

/// A block of fields: literals that are not indexed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(0, name.as_bytes(), value.as_bytes())).collect()
}

/// A running upstream of frames; ends with its test.
pub struct FrameUpstream {
    address: SocketAddr,
    seen: watch::Sender<Vec<(usize, Frame)>>,
    connections: Arc<Mutex<usize>>,
    accepting: tokio::task::JoinHandle<()>,
}

impl FrameUpstream {
    /// Runs each connection by `script`; it is closed when the script ends.
    pub async fn scripted<F: Future<Output = ()> + Send + 'static>(
        script: impl Fn(Wire) -> F + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().unwrap();
        let seen = watch::Sender::new(Vec::new());
        let connections = Arc::new(Mutex::new(0));
        let (noted, counted) = (seen.clone(), connections.clone());
        let accepting = tokio::spawn(async move {
            let mut scripts = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accepting goes on");
                stream.set_nodelay(true).unwrap();
                let number = {
                    let mut count = counted.lock().unwrap();
                    *count += 1;
                    *count - 1
                };
                let wire = Wire { number, stream, buffer: Vec::new(), seen: noted.clone() };
                scripts.spawn(script(wire));
            }
        });
        Self { address, seen, connections, accepting }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }

    /// Every frame that was received, with its connection's number.
    pub fn frames(&self) -> Vec<(usize, Frame)> {
        self.seen.borrow().clone()
    }

    /// How many requests began.
    pub fn requests(&self) -> usize {
        self.seen.borrow().iter().filter(|(_, frame)| frame.kind == HEADERS).count()
    }

    /// Waits until the frames that were received are as described.
    pub async fn until<T>(&self, what: &str, found: impl Fn(&[(usize, Frame)]) -> Option<T>) -> T {
        let mut seen = self.seen.subscribe();
        within(what, async {
            loop {
                if let Some(result) = found(&seen.borrow_and_update()) {
                    return result;
                }
                seen.changed().await.unwrap();
            }
        })
        .await
    }

    /// Waits for RST_STREAM on this stream and gives its code.
    pub async fn until_reset(&self, stream: u32) -> u32 {
        self.until("RST_STREAM", |frames| {
            let resets = |(_, frame): &&(usize, Frame)| frame.kind == RST_STREAM && frame.stream == stream;
            frames.iter().find(resets)?.1.code()
        })
        .await
    }
}

impl Drop for FrameUpstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
