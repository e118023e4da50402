//! What hyper does not tell of a request's head: a `#` in the target, which it cuts off, and a `Content-Length` beside a
//! `Transfer-Encoding`, which it removes.
//!
//! The bytes of a head are looked at as they arrive, up to its end. A head that came in one piece with the request
//! before it is not looked at; hyper's own reading of it has one meaning too.

use memchr::memchr;

const CONTENT_LENGTH: &[u8] = b"content-length";

/// What was seen of the head that is arriving.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    /// The start of the line that is arriving.
    start: [u8; CONTENT_LENGTH.len()],
    /// Bytes of that line so far, as far as they matter.
    length: usize,
    lines: usize,
    ended: bool,
    fragment: bool,
    content_length: bool,
}

impl HeadScan {
    /// Takes the next bytes that arrived.
    pub fn take(&mut self, mut bytes: &[u8]) {
        while !self.ended {
            let Some(end) = memchr(b'\n', bytes) else {
                return self.take_line(bytes);
            };
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            // Most lines arrive whole, and most are plainly not what is looked for.
            if self.length == 0 && self.lines > 0 && !matches!(line, [b'c' | b'C' | b'\r', ..] | []) {
                self.lines += 1;
                continue;
            }
            self.take_line(line);
            self.end_line();
        }
    }

    /// Whether the request's target has a `#`.
    #[must_use]
    pub const fn has_fragment(&self) -> bool {
        self.fragment
    }

    /// Whether a field is named `Content-Length`.
    #[must_use]
    pub const fn has_content_length(&self) -> bool {
        self.content_length
    }

    fn take_line(&mut self, part: &[u8]) {
        if self.lines == 0 {
            self.fragment |= memchr(b'#', part).is_some();
        }
        for (place, byte) in self.start.iter_mut().skip(self.length).zip(part) {
            *place = *byte;
        }
        self.length += part.len();
    }

    fn end_line(&mut self) {
        let blank = match self.length {
            0 => true,
            1 => self.start.first() == Some(&b'\r'),
            _ => false,
        };
        // Empty lines before the request line are legal (RFC 9112 §2.2).
        self.ended = blank && self.lines > 0;
        self.content_length |=
            self.length > CONTENT_LENGTH.len() && self.start.eq_ignore_ascii_case(CONTENT_LENGTH);
        self.lines += usize::from(!blank);
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(head: &[u8], step: usize) -> (bool, bool) {
        let mut scan = HeadScan::default();
        for piece in head.chunks(step) {
            scan.take(piece);
        }
        (scan.has_fragment(), scan.has_content_length())
    }

    #[test]
    fn both_are_seen_however_the_bytes_arrive() {
        for (head, expected) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], (false, false)),
            (b"\r\n\r\nGET /#x HTTP/1.1\r\nHost: a\r\n\r\n", (true, false)),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: #\r\n\r\n#", (false, false)),
            (b"POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\n", (false, true)),
            (b"POST / HTTP/1.1\nContent-Length: 3\n\n", (false, true)),
            (b"POST / HTTP/1.1\r\nX-Content-Length: 3\r\n\r\n", (false, false)),
            (b"POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 3\r\n", (false, false)),
        ] {
            for step in 1..=head.len() {
                assert_eq!(scan(head, step), expected, "{} by {step}", head.escape_ascii());
            }
        }
    }
}
