//! How far the message reaches that is being read: its head, then its body, and not a byte of the next.
//!
//! hyper reads ahead as far as bytes come. What it is given here ends with each head and each body, so that every head
//! can be looked at before hyper reads it, however many messages a client sends at once.

use memchr::memchr;

use super::head_scan::HeadScan;

/// How a body ends, as hyper reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// After so many bytes; 0 is no body.
    After(u64),
    /// With the last chunk and the trailers.
    LastChunk,
}

/// What of a connection's bytes belongs to the message that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    head: HeadScan,
    part: Part,
    /// Whether the message was answered: when its body ends, the next head begins.
    answered: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Part {
    #[default]
    Head,
    Length(u64),
    Chunks(Chunks),
    /// All of the message was read, or of its head while nobody has said how its body ends.
    Over,
}

impl Reach {
    /// Takes what belongs to the message from the front of `bytes`; gives how many.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            let count = match &mut self.part {
                Part::Head => self.head.take(rest),
                Part::Length(left) => {
                    let count = rest.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= count as u64;
                    count
                }
                Part::Chunks(chunks) => chunks.take(rest),
                Part::Over => return taken,
            };
            taken += count;
            self.settle();
        }
        taken
    }

    /// Goes on to the next part when this one is complete.
    fn settle(&mut self) {
        let complete = match self.part {
            Part::Head => self.head.is_whole(),
            Part::Length(left) => left == 0,
            Part::Chunks(chunks) => chunks.at == At::End,
            Part::Over => true,
        };
        match (complete, self.answered) {
            (false, _) => {}
            (true, false) => self.part = Part::Over,
            (true, true) => *self = Self::default(),
        }
    }

    /// The head was read: a body follows that ends so.
    pub fn body(&mut self, end: BodyEnd) {
        self.part = match end {
            BodyEnd::After(length) => Part::Length(length),
            BodyEnd::LastChunk => Part::Chunks(Chunks::default()),
        };
        self.settle();
    }

    /// The message was answered; the next begins behind its body.
    pub fn answered(&mut self) {
        self.answered = true;
        self.settle();
    }

    /// Whether something of the message has come; the rest of the one before it does not count.
    #[must_use]
    pub const fn has_begun(&self) -> bool {
        !matches!(self.part, Part::Length(_) | Part::Chunks(_)) && self.head.has_begun()
    }

    /// What was seen of the message's head.
    #[must_use]
    pub const fn head(&self) -> HeadScan {
        self.head
    }
}

/// Where a body in chunks stands (RFC 9112 §7.1). Judges nothing: hyper does, and reads no further than it accepts.
#[derive(Clone, Copy, Debug, Default)]
struct Chunks {
    at: At,
    size: u64,
    /// Whether the line so far is empty.
    blank: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Size,
    Extension,
    Data,
    /// Before the line's end that follows the data.
    DataEnd,
    Trailers,
    End,
}

impl Chunks {
    /// Takes at least one byte, of which there is one.
    fn take(&mut self, bytes: &[u8]) -> usize {
        if self.at == At::Data {
            let count = bytes.len().min(usize::try_from(self.size).unwrap_or(usize::MAX));
            self.size -= count as u64;
            if self.size == 0 {
                self.at = At::DataEnd;
            }
            return count.max(1);
        }
        if self.at == At::Size {
            return self.take_digits(bytes);
        }
        let line = memchr(b'\n', bytes);
        let part = bytes.get(..line.unwrap_or(bytes.len())).unwrap_or_default();
        self.blank &= part.iter().all(|byte| *byte == b'\r');
        if line.is_some() {
            self.end_line();
        }
        part.len() + usize::from(line.is_some())
    }

    fn take_digits(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            let Some(digit) = char::from(*byte).to_digit(16) else {
                self.at = At::Extension;
                return at.max(usize::from(*byte != b'\n'));
            };
            self.size = self.size.saturating_mul(16).saturating_add(u64::from(digit));
        }
        bytes.len()
    }

    fn end_line(&mut self) {
        self.at = match self.at {
            At::Extension if self.size > 0 => At::Data,
            At::Trailers if self.blank => At::End,
            At::Extension | At::Trailers => At::Trailers,
            At::Size | At::Data | At::DataEnd => At::Size,
            At::End => At::End,
        };
        self.blank = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads messages that arrive `step` bytes at a time; the pieces that were let through before each wait.
    fn pieces(wire: &[u8], ends: &[BodyEnd], step: usize) -> Vec<Vec<u8>> {
        let (mut reach, mut pieces, mut held, mut ends) =
            (Reach::default(), vec![Vec::new()], Vec::new(), ends.iter());
        let mut arriving = wire.chunks(step);
        loop {
            let count = reach.take(&held);
            pieces.last_mut().unwrap().extend(held.drain(..count));
            if matches!(reach.part, Part::Over) {
                pieces.push(Vec::new());
                if pieces.len() % 2 == 0 {
                    reach.body(*ends.next().unwrap());
                } else {
                    assert!(reach.head().is_whole());
                    reach.answered();
                }
                continue;
            }
            match arriving.next() {
                Some(piece) => held.extend_from_slice(piece),
                None => return pieces,
            }
        }
    }

    #[test]
    fn every_message_ends_where_it_ends_however_its_bytes_arrive() {
        let parts: [(&[u8], &[u8], BodyEnd); 6] = [
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", BodyEnd::After(0)),
            (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", b"a\r\n\r\nb", BodyEnd::After(6)),
            (b"\r\nPOST / HTTP/1.1\nHost: a\n\n", b"3\r\nabc\r\n0\r\n\r\n", BodyEnd::LastChunk),
            (
                b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
                b"00B;a=\"b\" \r\n0\r\n\r\nGET / \r\n\r\n00\r\nX: y\r\n\r\n",
                BodyEnd::LastChunk,
            ),
            (
                b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
                b"1 \r\n\n\r\n0;x\r\nA: b\r\nC: d\r\n\r\n",
                BodyEnd::LastChunk,
            ),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"", BodyEnd::After(0)),
        ];
        let wire: Vec<u8> = parts.iter().flat_map(|(head, body, _)| [*head, *body].concat()).collect();
        let ends: Vec<_> = parts.iter().map(|(_, _, end)| *end).collect();
        let mut expected: Vec<Vec<u8>> =
            parts.iter().flat_map(|(head, body, _)| [head.to_vec(), body.to_vec()]).collect();
        expected.push(Vec::new());
        for step in 1..=wire.len() {
            assert_eq!(pieces(&wire, &ends, step), expected, "by {step}");
        }
    }

    #[test]
    fn an_answer_before_the_bodys_end_leaves_the_rest_to_the_body() {
        let mut reach = Reach::default();
        assert_eq!(reach.take(b"POST / HTTP/1.1\r\n\r\nab"), 19);
        reach.body(BodyEnd::After(4));
        assert_eq!(reach.take(b"ab"), 2);
        reach.answered();
        assert!(!reach.has_begun());
        assert_eq!(reach.take(b"cd"), 2);
        assert!(!reach.has_begun());
        assert_eq!(reach.take(b"GET /#x HTTP/1.1\r\n"), 18);
        assert!(reach.has_begun() && reach.head().has_fragment());
    }
}
