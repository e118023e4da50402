//! What hyper does not tell of a request's head: a `#` in the target, which it cuts off; a `Content-Length` beside a
//! `Transfer-Encoding`, which it removes; a second `Content-Length` that equals the first, which it drops; lines that end
//! with LF alone, which it takes.
//!
//! The bytes of a head are looked at as they arrive, up to its end.

use memchr::memchr;

const CONTENT_LENGTH: &[u8] = b"content-length:";

/// What was seen of the head that is arriving.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    /// The start of the line that is arriving.
    start: [u8; CONTENT_LENGTH.len()],
    /// Bytes of that line so far, as far as they matter.
    length: usize,
    /// Whether the last byte was CR.
    after_cr: bool,
    lines: usize,
    ended: bool,
    /// Whether the method has ended; `#` may stand in it.
    in_target: bool,
    fragment: bool,
    content_lengths: u8,
    bare_lf: bool,
}

impl HeadScan {
    /// Takes what belongs to the head from the front of `bytes`; gives how many.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !self.ended && !rest.is_empty() {
            let Some(end) = memchr(b'\n', rest) else {
                self.take_line(rest);
                return bytes.len();
            };
            let (line, tail) = rest.split_at(end);
            self.take_line(line);
            self.end_line();
            rest = tail.get(1..).unwrap_or_default();
        }
        bytes.len() - rest.len()
    }

    /// Whether its end was seen.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.ended
    }

    /// Whether anything of it was seen besides empty lines before it.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        self.lines > 0 || self.length > 0
    }

    /// Whether a line of it ends with LF alone.
    #[must_use]
    pub const fn has_bare_lf(&self) -> bool {
        self.bare_lf
    }

    /// Whether the request's target has a `#`.
    #[must_use]
    pub const fn has_fragment(&self) -> bool {
        self.fragment
    }

    /// How many fields are named `Content-Length`; from 255 on, 255.
    #[must_use]
    pub const fn content_lengths(&self) -> u8 {
        self.content_lengths
    }

    fn take_line(&mut self, part: &[u8]) {
        if self.lines == 0 {
            self.take_request_line(part);
        }
        for (place, byte) in self.start.iter_mut().skip(self.length).zip(part) {
            *place = *byte;
        }
        self.length += part.len();
        if let Some(last) = part.last() {
            self.after_cr = *last == b'\r';
        }
    }

    fn take_request_line(&mut self, part: &[u8]) {
        let target = match memchr(b' ', part) {
            _ if self.in_target => part,
            Some(space) => part.get(space..).unwrap_or_default(),
            None => return,
        };
        self.in_target = true;
        self.fragment |= memchr(b'#', target).is_some();
    }

    fn end_line(&mut self) {
        let blank = self.length == 0 || self.length == 1 && self.after_cr;
        // Empty lines before the request line are legal (RFC 9112 §2.2).
        self.ended = blank && self.lines > 0;
        self.bare_lf |= !self.after_cr;
        if self.start.eq_ignore_ascii_case(CONTENT_LENGTH) && self.length >= CONTENT_LENGTH.len() {
            self.content_lengths = self.content_lengths.saturating_add(1);
        }
        self.lines += usize::from(!blank);
        self.length = 0;
        self.after_cr = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(head: &[u8], step: usize) -> HeadScan {
        let mut scan = HeadScan::default();
        for piece in head.chunks(step) {
            scan.take(piece);
        }
        scan
    }

    #[test]
    fn everything_is_seen_however_the_bytes_arrive() {
        for (head, fragment, lengths, bare_lf) in [
            (&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], false, 0, false),
            (b"\r\n\r\nGET /#x HTTP/1.1\r\nHost: a\r\n\r\n", true, 0, false),
            (b"G#T / HTTP/1.1\r\nHost: a\r\n\r\n", false, 0, false),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: #\r\n\r\n#", false, 0, false),
            (b"POST / HTTP/1.1\r\ncontent-LENGTH: 3\r\n\r\n", false, 1, false),
            (b"POST / HTTP/1.1\nContent-Length: 3\n\n", false, 1, true),
            (b"POST / HTTP/1.1\r\nContent-Length:3\r\nContent-Length:\r\n\r\n", false, 2, false),
            (b"POST / HTTP/1.1\r\nX-Content-Length: 3\r\n\r\n", false, 0, false),
            (b"POST / HTTP/1.1\r\nContent-Lengths: 3\r\nContent-Length\r\n\r\n", false, 0, false),
            (b"POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Length: 3\r\n", false, 0, false),
            (b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", false, 0, true),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\n", false, 0, true),
            (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", false, 0, true),
        ] {
            for step in 1..=head.len() {
                let scan = scan(head, step);
                let seen = (scan.has_fragment(), scan.content_lengths(), scan.has_bare_lf());
                assert_eq!(seen, (fragment, lengths, bare_lf), "{} by {step}", head.escape_ascii());
                assert!(scan.is_whole());
            }
        }
    }

    #[test]
    fn a_head_ends_where_its_empty_line_does() {
        let mut scan = HeadScan::default();
        assert_eq!(scan.take(b"GET / HTTP/1.1\r\n\r\nGET /#"), 18);
        assert!(scan.is_whole() && !scan.has_fragment());
        assert_eq!(scan.take(b"GET"), 0);
    }
}
