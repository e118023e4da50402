//! Following a client's bytes from message to message, beside hyper, for what hyper does not tell: a `#` in the target,
//! which it cuts off; a `Content-Length` that is repeated or stands beside a `Transfer-Encoding`, which it removes; a
//! line of a head or a trailer that ends with LF alone, which it takes; and whether a body that nobody read has come
//! whole.
//!
//! It judges nothing: what is malformed hyper refuses, and the connection ends. It allocates for pipelined requests only.

use std::collections::VecDeque;

use memchr::memchr;

/// The part of a line that is kept: longer than any field that matters.
const KEPT: usize = 64;

/// What a head has that its parsed form does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// A `#` in the target.
    pub fragment: bool,
    /// Fields named `Content-Length`; more than 255 count as 255.
    pub content_lengths: u8,
    /// A line that ends without CR.
    pub bare_lf: bool,
}

/// Where in the stream of messages a connection stands.
#[derive(Debug, Default)]
pub struct Follower {
    stage: Stage,
    line: Line,
    head: Head,
    /// Lines of the head so far.
    lines: usize,
    length: u64,
    chunked: bool,
    /// Whether the method has ended.
    in_target: bool,
    /// Heads that have come whole and are not taken yet.
    ready: VecDeque<Head>,
    /// Whether the end of the last body could be read in more than one way.
    doubtful_end: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// In a head, or between messages.
    #[default]
    Head,
    /// In a body with a length, so many bytes before its end.
    Length(u64),
    /// In the line of a chunk's size.
    Size,
    /// In a chunk or the end of its line, so many bytes before the next size.
    Chunk(u64),
    /// Among the trailers.
    Trailers,
    /// In a body that has no end that could be told.
    Lost,
    /// In a head whose body has no end that could be told; hyper refuses it.
    LostInHead,
}

impl Follower {
    /// Takes the next bytes that arrived.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = match self.stage {
                Stage::Lost | Stage::LostInHead => return,
                Stage::Length(left) => self.skip(bytes, left, Stage::Length, Stage::Head),
                Stage::Chunk(left) => self.skip(bytes, left, Stage::Chunk, Stage::Size),
                Stage::Head | Stage::Size | Stage::Trailers => self.take_line(bytes),
            };
        }
    }

    /// Follows no more: what comes now is not HTTP.
    pub fn stop(&mut self) {
        *self = Self { stage: Stage::Lost, ..Self::default() };
    }

    /// The oldest head that came whole and was not taken; `None` when the bytes could not be followed.
    pub fn next_head(&mut self) -> Option<Head> {
        self.ready.pop_front()
    }

    /// Whether part of a head has come, or a whole one that was not taken.
    #[must_use]
    pub fn has_begun_another(&self) -> bool {
        !self.ready.is_empty() || self.stage == Stage::Head && (self.lines > 0 || !self.line.is_blank())
    }

    /// Whether the body of the last head that was taken has come whole.
    #[must_use]
    pub fn is_past_body(&self) -> bool {
        !self.ready.is_empty() || matches!(self.stage, Stage::Head | Stage::LostInHead)
    }

    /// Whether the body of the last head that was taken ends where another parser could see another end. Certain once hyper
    /// has seen its own.
    #[must_use]
    pub fn is_end_doubtful(&self) -> bool {
        self.doubtful_end && self.ready.is_empty()
    }

    fn skip<'a>(
        &mut self,
        bytes: &'a [u8],
        left: u64,
        within: impl Fn(u64) -> Stage,
        after: Stage,
    ) -> &'a [u8] {
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - count as u64;
        self.stage = if left == 0 { after } else { within(left) };
        bytes.get(count..).unwrap_or_default()
    }

    /// Takes a line, or as much of it as there is.
    fn take_line<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let end = memchr(b'\n', bytes);
        let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if self.stage == Stage::Head {
            if self.lines == 0 {
                self.look_for_fragment(part);
            } else if end.is_some() && self.line.length == 0 && is_plainly_dull(part) {
                self.lines += 1;
                return rest.get(1..).unwrap_or_default();
            }
        }
        self.line.push(part);
        if end.is_none() {
            return rest;
        }
        match self.stage {
            Stage::Size => self.end_size(),
            // For whoever takes LF for an end, an empty line ends the trailers and a request follows.
            Stage::Trailers if !self.line.ends_with_cr() => {
                self.stage = Stage::Lost;
                self.doubtful_end = true;
            }
            Stage::Trailers if self.line.is_blank() => self.stage = Stage::Head,
            Stage::Head => self.end_head_line(),
            _ => {}
        }
        self.line.length = 0;
        rest.get(1..).unwrap_or_default()
    }

    /// Looks at a part of the request line. A `#` is legal in a method.
    fn look_for_fragment(&mut self, part: &[u8]) {
        let target = match memchr(b' ', part) {
            _ if self.in_target => part,
            Some(space) => part.get(space..).unwrap_or_default(),
            None => return,
        };
        self.in_target = true;
        self.head.fragment |= memchr(b'#', target).is_some();
    }

    fn end_size(&mut self) {
        self.stage = match self.line.hexadecimal() {
            Some(0) => Stage::Trailers,
            // With the CRLF behind the chunk.
            Some(size) => Stage::Chunk(size + 2),
            None => Stage::Lost,
        };
    }

    fn end_head_line(&mut self) {
        self.head.bare_lf |= !self.line.ends_with_cr();
        if !self.line.is_blank() {
            self.lines += 1;
            if let Some(value) = self.line.value_of(b"content-length:") {
                self.head.content_lengths = self.head.content_lengths.saturating_add(1);
                match value {
                    Some(length) => self.length = length,
                    None => self.stage = Stage::LostInHead,
                }
            }
            self.chunked |= self.line.value_of(b"transfer-encoding:").is_some();
            return;
        }
        // Empty lines before the request line are legal (RFC 9112 §2.2).
        if self.lines > 0 {
            self.end_head();
        }
    }

    fn end_head(&mut self) {
        self.stage = match (self.chunked, self.length) {
            (true, _) => Stage::Size,
            (false, 0) => Stage::Head,
            (false, length) => Stage::Length(length),
        };
        self.ready.push_back(std::mem::take(&mut self.head));
        (self.lines, self.length, self.chunked, self.in_target) = (0, 0, false, false);
    }
}

/// Whether a whole line of a head, without its LF, is none of those that matter. Most are not, and most arrive whole.
const fn is_plainly_dull(line: &[u8]) -> bool {
    matches!(line, [first, .., b'\r'] if !matches!(first, b'c' | b'C' | b't' | b'T'))
}

/// The line that is arriving, without its LF.
#[derive(Debug)]
struct Line {
    start: [u8; KEPT],
    length: usize,
    last: u8,
}

impl Default for Line {
    fn default() -> Self {
        Self { start: [0; KEPT], length: 0, last: 0 }
    }
}

impl Line {
    fn push(&mut self, part: &[u8]) {
        let room = self.start.get_mut(self.length.min(KEPT)..).unwrap_or_default();
        let count = room.len().min(part.len());
        if let (Some(room), Some(part)) = (room.get_mut(..count), part.get(..count)) {
            room.copy_from_slice(part);
        }
        self.length += part.len();
        self.last = part.last().copied().unwrap_or(self.last);
    }

    fn ends_with_cr(&self) -> bool {
        self.length > 0 && self.last == b'\r'
    }

    fn kept(&self) -> &[u8] {
        self.start.get(..self.length.min(KEPT)).unwrap_or_default()
    }

    fn is_blank(&self) -> bool {
        matches!(self.kept(), [] | [b'\r'])
    }

    /// If the line is the field `name` (in lower case, with its colon): its value, if that is a whole decimal number.
    #[expect(clippy::option_option, reason = "whether it is the field, and whether it has a number")]
    fn value_of(&self, name: &[u8]) -> Option<Option<u64>> {
        let (start, value) = self.kept().split_at_checked(name.len())?;
        if !start.eq_ignore_ascii_case(name) {
            return None;
        }
        let whole = self.length <= KEPT;
        let digits = std::str::from_utf8(value.trim_ascii()).ok().filter(|_| whole);
        Some(digits.and_then(|digits| digits.parse().ok()))
    }

    /// The hexadecimal number at the start of the line.
    fn hexadecimal(&self) -> Option<u64> {
        let kept = self.kept();
        let end = kept.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(kept.len());
        let digits = kept.get(..end.min(16)).and_then(|digits| std::str::from_utf8(digits).ok())?;
        u64::from_str_radix(digits, 16).ok().filter(|size| *size < u64::MAX - 2 && end <= 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Head = Head { fragment: false, content_lengths: 0, bare_lf: false };
    const LENGTH: Head = Head { content_lengths: 1, ..PLAIN };
    const LENGTHS: Head = Head { content_lengths: 2, ..PLAIN };
    const FRAGMENT: Head = Head { fragment: true, ..PLAIN };
    const BARE_LF: Head = Head { bare_lf: true, ..PLAIN };

    /// Takes `bytes` by `step`; the heads, and whether another has begun.
    fn follow(bytes: &[u8], step: usize) -> (Vec<Head>, bool) {
        let mut follower = Follower::default();
        let mut heads = Vec::new();
        for piece in bytes.chunks(step) {
            follower.take(piece);
            heads.extend(std::iter::from_fn(|| follower.next_head()));
        }
        (heads, follower.has_begun_another())
    }

    #[test]
    fn every_head_is_seen_however_its_bytes_arrive() {
        for (bytes, heads, begun) in [
            (&b""[..], vec![], false),
            (b"\r\n\r\n", vec![], false),
            (b"G", vec![], true),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", vec![PLAIN], false),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n", vec![PLAIN], false),
            (b"\r\n\r\nGET /#x HTTP/1.1\r\nHost: a\r\n\r\n", vec![FRAGMENT], false),
            (b"GET / HTTP/1.1\r\nX: #\r\n\r\nGET /# HTTP/1.1\r\n\r\nG", vec![PLAIN, FRAGMENT], true),
            (b"GET / HTTP/1.1\nContent-Length: 3\n\n#\n\n", vec![Head { bare_lf: true, ..LENGTH }], false),
            (b"GET / HTTP/1.1\r\nHost: a\n\r\n", vec![BARE_LF], false),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", vec![BARE_LF], false),
            (b"G#T / HTTP/1.1\r\nHost: a\r\n\r\n", vec![PLAIN], false),
            (b"GET / HTTP/1.1\r\nContent-Lengths: 3\r\n\r\n", vec![PLAIN], false),
            (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nX: y\r\ncontent-length: 1\r\n\r\n#", vec![LENGTHS], false),
            (b"GET / HTTP/1.1\r\nX-Content-Length: 3\r\n\r\n", vec![PLAIN], false),
            (b"POST / HTTP/1.1\r\ncontent-LENGTH: \t3 \r\n\r\n#\n\nGET /# HTTP/1.1\r\n\r\n", vec![LENGTH, FRAGMENT], false),
            (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n#", vec![LENGTH], false),
            (
                b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=#\r\n\n\n\n\r\n0\r\nX: #\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                vec![PLAIN, PLAIN],
                false,
            ),
            (
                b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                vec![LENGTH, PLAIN],
                false,
            ),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nGET / HTTP/1.1\r\n\r\n", vec![PLAIN], false),
            (b"POST / HTTP/1.1\r\nContent-Length: zz\r\n\r\nGET / HTTP/1.1\r\n\r\n", vec![], false),
        ] {
            for step in 1..=bytes.len().max(1) {
                assert_eq!(follow(bytes, step), (heads.clone(), begun), "{} by {step}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn a_body_is_past_when_its_last_byte_has_come() {
        for (head, body) in [
            (&b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"[..], &b"abc"[..]),
            (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n0\r\n\r\n"),
        ] {
            let mut follower = Follower::default();
            follower.take(head);
            assert_eq!(follower.ready.len(), 1);
            follower.next_head();
            for byte in body {
                assert!(!follower.is_past_body() && !follower.has_begun_another());
                follower.take(&[*byte]);
            }
            assert!(follower.is_past_body() && !follower.has_begun_another());
            follower.take(b"G");
            assert!(follower.is_past_body() && follower.has_begun_another());
        }
    }

    #[test]
    fn trailers_that_end_with_lf_alone_leave_the_end_of_their_body_in_doubt() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (body, doubtful) in [
            (&b"0\r\n\r\n"[..], false),
            (b"0\r\nX: y\r\n\r\n", false),
            (b"0\r\n\nGET / HTTP/1.1\r\n\r\n", true),
            (b"0\r\nX: y\n\r\n\r\n", true),
            (b"0\r\nX: y\r\nZ: w\n\r\n", true),
            (b"1\r\n\n\r\n0\r\n\r\n\n", false),
        ] {
            for step in 1..=body.len() {
                let mut follower = Follower::default();
                follower.take(&[head.as_slice(), b"0\r\n\r\n", head].concat());
                for piece in body.chunks(step) {
                    follower.take(piece);
                }
                assert!(
                    follower.next_head().is_some() && !follower.is_end_doubtful(),
                    "its own body is well"
                );
                assert!(follower.next_head().is_some());
                assert_eq!(follower.is_end_doubtful(), doubtful, "{} by {step}", body.escape_ascii());
            }
        }
    }

    #[test]
    fn numbers_without_end_lead_nowhere() {
        for line in
            ["Content-Length: 99999999999999999999", "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff"]
        {
            let (heads, begun) = follow(format!("POST / HTTP/1.1\r\n{line}\r\n\r\nx\r\n\r\n").as_bytes(), 7);
            assert!(heads.len() < 2 && !begun, "{line}");
        }
    }
}
