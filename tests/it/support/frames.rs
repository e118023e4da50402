//! HTTP/2 frame by frame, over a bare socket: any frames in any order, and what comes back, read by a parser of its own.

use std::collections::VecDeque;
use std::net::SocketAddr;

pub use super::frame::*;
use super::raw::{Ending, Raw};
use super::within;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, perhaps cut off: its status and body.
    Answer(u16, Vec<u8>),
    /// The stream alone was reset.
    Reset(u32),
    /// The connection was ended.
    Goaway(u32),
    /// It ended without a word.
    Ended(Ending),
}

impl Outcome {
    /// The status of an answer.
    #[track_caller]
    pub fn status(&self) -> u16 {
        match self {
            Self::Answer(status, _) => *status,
            other => panic!("{other:?} instead of an answer"),
        }
    }
}

/// The head of a request: its pseudo-fields and these.
pub fn head(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut list = vec![(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)];
    list.extend(more);
    fields(&list)
}

/// A `HEADERS` frame with a whole head, on which more follows.
pub fn open(stream: u32, head: impl AsRef<[u8]>) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, head)
}

/// A `HEADERS` frame with a whole head that is the whole request.
pub fn whole(stream: u32, head: impl AsRef<[u8]>) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, head)
}

/// `GET /`.
pub fn get(stream: u32) -> Vec<u8> {
    whole(stream, head("GET", "/", &[]))
}

/// `SETTINGS_HEADER_TABLE_SIZE` 0: what comes back then stands for itself.
pub const NO_TABLE: (u16, u32) = (1, 0);

/// One connection.
pub struct Frames {
    pub raw: Raw,
    /// Of streams that were not asked for yet.
    kept: VecDeque<Frame>,
    /// Of the first SETTINGS.
    pub settings: Vec<(u16, u32)>,
}

impl Frames {
    /// Connects, says hello and hears hello.
    pub async fn connect(to: SocketAddr) -> Self {
        Self::with(to, &[]).await
    }

    /// The same with these settings besides.
    pub async fn with(to: SocketAddr, values: &[(u16, u32)]) -> Self {
        Self::over(Raw::connect(to).await, values).await
    }

    /// The same over a connection that is made.
    pub async fn over(mut raw: Raw, values: &[(u16, u32)]) -> Self {
        let values = [&[NO_TABLE][..], values].concat();
        raw.send([PREFACE, &settings(&values), &frame(SETTINGS, ACK, 0, b"")].concat()).await;
        let mut frames = Self { raw, kept: VecDeque::new(), settings: Vec::new() };
        let hello = frames.next().await.expect("hello");
        assert_eq!((hello.kind, hello.flags), (SETTINGS, 0));
        frames.settings = hello
            .payload
            .chunks(6)
            .map(|pair| {
                (u16::from_be_bytes([pair[0], pair[1]]), u32::from_be_bytes(pair[2..].try_into().unwrap()))
            })
            .collect();
        let ack = frames.until(|frame| frame.kind == SETTINGS).await.expect("its answer");
        assert_eq!(ack.flags, ACK);
        frames
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.raw.send(bytes).await;
    }

    /// The next frame, or how the connection ended.
    pub async fn next(&mut self) -> Result<Frame, Ending> {
        within("a frame", self.read()).await
    }

    async fn read(&mut self) -> Result<Frame, Ending> {
        let header = self.raw.try_exactly(9).await?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        assert!(length <= 16 * 1024, "a frame of {length} bytes");
        let stream = u32::from_be_bytes(header[5..].try_into().unwrap());
        let payload = self.raw.try_exactly(usize::try_from(length).unwrap()).await?;
        Ok(Frame { kind: header[3], flags: header[4], stream, payload })
    }

    /// The first frame of this kind, kept or still to come; the others are kept.
    pub async fn until(&mut self, mut wanted: impl FnMut(&Frame) -> bool) -> Result<Frame, Ending> {
        if let Some(at) = self.kept.iter().position(&mut wanted) {
            return Ok(self.kept.remove(at).unwrap());
        }
        loop {
            let frame = self.next().await?;
            if wanted(&frame) {
                return Ok(frame);
            }
            self.kept.push_back(frame);
        }
    }

    /// What becomes of a stream's request.
    pub async fn outcome(&mut self, stream: u32) -> Outcome {
        let (mut status, mut body) = (0, Vec::new());
        loop {
            let wanted = |frame: &Frame| {
                frame.kind == GOAWAY && code(frame) != NO_ERROR
                    || frame.stream == stream && matches!(frame.kind, HEADERS | DATA | RST_STREAM)
            };
            let frame = match self.until(wanted).await {
                Ok(frame) => frame,
                Err(ending) => return Outcome::Ended(ending),
            };
            match frame.kind {
                GOAWAY => return Outcome::Goaway(code(&frame)),
                RST_STREAM => return Outcome::Reset(code(&frame)),
                HEADERS if status == 0 => {
                    status = status_of(&frame.payload);
                    if status < 200 {
                        status = 0;
                    }
                }
                DATA => body.extend(&frame.payload),
                _ => {}
            }
            if frame.flags & END_STREAM != 0 {
                return Outcome::Answer(status, body);
            }
        }
    }

    /// Sends a request and tells what becomes of it.
    pub async fn ask(&mut self, stream: u32, request: impl AsRef<[u8]>) -> Outcome {
        self.send(request).await;
        self.outcome(stream).await
    }

    /// Answered: everything that was sent before has been read.
    pub async fn ping(&mut self) {
        self.send(frame(PING, 0, 0, b"are you?")).await;
        let pong = |frame: &Frame| frame.kind == PING && frame.flags == ACK && frame.payload == b"are you?";
        self.until(pong).await.expect("the answer to a ping");
    }

    /// Reads to the end of the connection; the code of the last GOAWAY, and how it ended.
    pub async fn ends(&mut self) -> (Option<u32>, Ending) {
        let mut last = self.kept.iter().rev().find(|frame| frame.kind == GOAWAY).map(code);
        loop {
            match self.next().await {
                Ok(frame) if frame.kind == GOAWAY => last = Some(code(&frame)),
                Ok(_) => {}
                Err(ending) => return (last, ending),
            }
        }
    }
}

/// The error code of a GOAWAY or RST_STREAM.
pub fn code(frame: &Frame) -> u32 {
    frame.code().expect("a frame with a code")
}

/// The last stream of a GOAWAY.
pub fn last_stream(frame: &Frame) -> u32 {
    u32::from_be_bytes(frame.payload[..4].try_into().unwrap())
}

/// The status of an answer's field list, which begins with it.
pub fn status_of(mut list: &[u8]) -> u16 {
    while list[0] & 0xe0 == 0x20 {
        // The table's size.
        list = &list[1..];
    }
    match list[0] {
        index @ 0x88..=0x8e => [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)],
        // A literal under the name of the table's entry 8.
        0x08 | 0x18 | 0x48 => digits(&list[1..]),
        other => panic!("an answer begins with {other:#x}"),
    }
}

fn digits(text: &[u8]) -> u16 {
    let length = usize::from(text[0] & 0x7f);
    let text = if text[0] & 0x80 == 0 {
        String::from_utf8(text[1..=length].to_vec()).unwrap()
    } else {
        coded_digits(&text[1..=length])
    };
    text.parse().unwrap()
}

/// RFC 7541 appendix B: 0 to 2 are the numbers 0 to 2 in five bits, 3 to 9 the numbers 25 to 31 in six.
fn coded_digits(coded: &[u8]) -> String {
    let bits: Vec<u8> = coded.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let number = |bits: &[u8]| bits.iter().fold(0_u32, |number, bit| number * 2 + u32::from(*bit));
    let (mut digits, mut at) = (String::new(), 0);
    while digits.len() < 3 {
        let short = number(&bits[at..at + 5]);
        let digit = if short < 3 { short } else { number(&bits[at..at + 6]) - 22 };
        at += if short < 3 { 5 } else { 6 };
        digits.push(char::from_digit(digit, 10).unwrap());
    }
    digits
}
