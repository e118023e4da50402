//! What the upstream does with a request: a few steps, right or as wrong as the script wants them.

use std::time::Duration;

use tokio::sync::watch;

use crate::support::http::chunks;

/// Holds an answer until the test opens it. Clones are one gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn passed(&self) {
        let mut state = self.0.subscribe();
        state.wait_for(|open| *open).await.unwrap();
    }
}

/// When the request's body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    BeforeAnswering,
    AfterAnswering,
    Never,
}

/// How the connection goes on afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request is read.
    KeepAlive,
    /// It is closed for good.
    Close,
    /// FIN is sent, and everything that still comes is read.
    Linger,
    /// RST.
    Reset,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Whatever the method.
    Send(Vec<u8>),
    /// Not to `HEAD`.
    Body(Vec<u8>),
    /// Not to `HEAD`: so many bytes of nothing, in pieces.
    Fill(u64),
    /// Byte by byte.
    Trickle(Vec<u8>, Duration),
    Echo,
    Wait(Gate),
    /// Until the other side goes.
    Hang,
    /// Whatever comes is sent back, until the other side goes.
    Mirror,
}

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    head: Vec<u8>,
    headers: Vec<u8>,
    pub(super) early: Vec<u8>,
    pub(super) reading: Reading,
    pub(super) steps: Vec<Step>,
    pub(super) then: Then,
}

impl Answer {
    /// A status line; fields and a body are to be added.
    pub fn new(status: u16) -> Self {
        let reason = match status {
            101 => "Switching Protocols",
            200 => "OK",
            204 => "No Content",
            304 => "Not Modified",
            404 => "Not Found",
            _ => "Status",
        };
        Self { head: format!("HTTP/1.1 {status} {reason}\r\n").into_bytes(), ..Self::bytes("") }
    }

    /// 200 with a body of known length.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self::new(200).body(body)
    }

    /// 200 with a description of the request: method, target, version, fields in order, body's length and SHA-256.
    pub fn echo() -> Self {
        Self::bytes("").step(Step::Echo)
    }

    /// Exactly these bytes.
    pub fn bytes(bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        let steps = if bytes.is_empty() { Vec::new() } else { vec![Step::Send(bytes)] };
        Self {
            head: Vec::new(),
            headers: Vec::new(),
            early: Vec::new(),
            reading: Reading::BeforeAnswering,
            steps,
            then: Then::KeepAlive,
        }
    }

    /// Nothing, ever; what comes is still read.
    pub fn hang() -> Self {
        Self::bytes("").then_hang()
    }

    /// FIN instead of an answer.
    pub fn close() -> Self {
        Self::bytes("").then_close()
    }

    /// RST instead of an answer.
    pub fn reset() -> Self {
        Self::bytes("").then_reset()
    }

    /// `Server` fields until the head has about `len` bytes.
    pub fn oversized_head(len: usize) -> Self {
        let lines = len / 100;
        (0..lines)
            .fold(Self::new(200), |answer, n| answer.header(&format!("x-{n}"), &"v".repeat(90)))
            .body("")
    }

    /// Adds a field; before the body is.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.extend(format!("{name}: {value}\r\n").bytes());
        self
    }

    /// A body with its `Content-Length`.
    #[must_use]
    pub fn body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        self.header("content-length", &body.len().to_string()).finish_head().step(Step::Body(body))
    }

    /// A body of so many zero bytes, made as it is sent.
    #[must_use]
    pub fn filled(self, len: u64) -> Self {
        self.header("content-length", &len.to_string()).finish_head().step(Step::Fill(len))
    }

    /// A body in these chunks.
    #[must_use]
    pub fn chunked(self, pieces: &[&[u8]]) -> Self {
        self.header("transfer-encoding", "chunked").finish_head().step(Step::Body(chunks(pieces)))
    }

    /// A body that the end of the connection ends.
    #[must_use]
    pub fn until_close(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        self.finish_head().step(Step::Body(body)).then_close()
    }

    /// The head alone, as for 204 and 304; or for steps that follow.
    #[must_use]
    pub fn only_head(self) -> Self {
        self.finish_head()
    }

    /// More bytes, whatever the method.
    #[must_use]
    pub fn then_send(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.step(Step::Send(bytes))
    }

    /// More bytes, one at a time.
    #[must_use]
    pub fn then_trickle(self, bytes: impl AsRef<[u8]>, every: Duration) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.step(Step::Trickle(bytes, every))
    }

    /// Waits for the gate before whatever is added next.
    #[must_use]
    pub fn then_wait(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Waits for the gate before everything.
    #[must_use]
    pub fn after(mut self, gate: &Gate) -> Self {
        self.steps.insert(0, Step::Wait(gate.clone()));
        self
    }

    /// Says no more, and reads what comes until the other side goes.
    #[must_use]
    pub fn then_hang(self) -> Self {
        self.step(Step::Hang)
    }

    /// Sends back every byte that comes, until the other side ends.
    #[must_use]
    pub fn then_mirror(self) -> Self {
        self.step(Step::Mirror)
    }

    /// Closes for good, without having said so.
    #[must_use]
    pub fn then_close(mut self) -> Self {
        self.then = Then::Close;
        self
    }

    /// Sends FIN and goes on reading, as a careful server does after an early answer.
    #[must_use]
    pub fn then_linger(mut self) -> Self {
        self.then = Then::Linger;
        self
    }

    /// Breaks off with RST.
    #[must_use]
    pub fn then_reset(mut self) -> Self {
        self.then = Then::Reset;
        self
    }

    /// Sends these bytes, such as a `100 Continue`, before the body is read.
    #[must_use]
    pub fn early(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.early.extend(bytes.as_ref());
        self
    }

    /// Sends what has been put together so far, the head, before the body is read.
    #[must_use]
    pub fn early_head(mut self) -> Self {
        for step in std::mem::take(&mut self.steps) {
            match step {
                Step::Send(bytes) => self.early.extend(bytes),
                step => self.steps.push(step),
            }
        }
        self
    }

    /// Answers as soon as the head is there, then reads the body.
    #[must_use]
    pub fn before_the_body(mut self) -> Self {
        self.reading = Reading::AfterAnswering;
        self
    }

    /// Never reads the body.
    #[must_use]
    pub fn never_reading(mut self) -> Self {
        self.reading = Reading::Never;
        self
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn finish_head(mut self) -> Self {
        let mut head = std::mem::take(&mut self.head);
        head.append(&mut self.headers);
        head.extend(b"\r\n");
        self.step(Step::Send(head))
    }
}
