//! Following a client's frames (RFC 9113 §4.1) beside h2, for what h2 does not tell: whether part of a head has come.
//!
//! It judges nothing: what is malformed h2 refuses.

use crate::server::sniff::PREFACE;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Where in the stream of frames a connection stands.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface, or of a frame's payload, that are still to come.
    left: usize,
    /// A frame's header, as far as it has come.
    header: [u8; 9],
    known: usize,
    /// Whether a head has begun and its last frame has not come whole.
    in_head: bool,
    /// Whether the end of the payload is the end of a head.
    ends_head: bool,
    /// Heads that have begun or ended.
    number: u64,
}

impl Default for Frames {
    /// Before the preface. The client's settings, which follow, count as part of a head.
    fn default() -> Self {
        Self { left: PREFACE.len(), header: [0; 9], known: 0, in_head: true, ends_head: false, number: 0 }
    }
}

impl Frames {
    /// Takes the next bytes that came.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                bytes = bytes.get(count..).unwrap_or_default();
                self.left -= count;
                self.end_payload();
                continue;
            }
            let [first, rest @ ..] = bytes else { return };
            bytes = rest;
            if let Some(place) = self.header.get_mut(self.known) {
                *place = *first;
            }
            self.known += 1;
            if self.known == self.header.len() {
                self.known = 0;
                self.begin_frame();
                self.end_payload();
            }
        }
    }

    /// Whether part of a head has come.
    pub(super) const fn is_in_head(&self) -> bool {
        self.in_head
    }

    /// Another after every beginning and every end of a head.
    pub(super) const fn head_number(&self) -> u64 {
        self.number
    }

    fn begin_frame(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let first = self.number == 0;
        let of_head = matches!(kind, HEADERS | CONTINUATION);
        if of_head && !self.in_head {
            self.number += 1;
            self.in_head = true;
        }
        self.ends_head = if of_head { flags & END_HEADERS != 0 } else { first };
    }

    fn end_payload(&mut self) {
        if self.left == 0 && self.ends_head {
            self.number += 1;
            (self.in_head, self.ends_head) = (false, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, kind: u8, flags: u8) -> Vec<u8> {
        let length = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(frame.len() + usize::from(length[2]) * 256 + usize::from(length[3]), 1);
        frame
    }

    /// After each byte: is it in a head?
    fn follow(bytes: &[u8], step: usize) -> Vec<bool> {
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for piece in bytes.chunks(step) {
            frames.take(piece);
            seen.push(frames.is_in_head());
        }
        seen
    }

    #[test]
    fn a_head_begins_with_its_first_frame_and_ends_with_its_last() {
        let wire = [
            (PREFACE.to_vec(), true),
            (frame(6, 4, 0), false),
            (frame(8, 6, 0), false),
            (frame(300, HEADERS, 0), true),
            (frame(0, CONTINUATION, 0), true),
            (frame(5, CONTINUATION, END_HEADERS), false),
            (frame(5, 0, 1), false),
            (frame(0, HEADERS, END_HEADERS), false),
            (frame(0, 4, 1), false),
            (frame(1, HEADERS, 0), true),
        ];
        let bytes: Vec<u8> = wire.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let each = follow(&bytes, 1);
        for step in 1..bytes.len() {
            let seen = follow(&bytes, step);
            let want: Vec<bool> =
                (0..seen.len()).map(|n| each[(n * step + step).min(bytes.len()) - 1]).collect();
            assert_eq!(seen, want, "by {step}");
        }
        let mut end = 0;
        for (bytes, in_head) in wire {
            end += bytes.len();
            assert_eq!(each[end - 1], in_head, "after {end} bytes");
        }
    }

    #[test]
    fn each_head_has_its_own_time() {
        let mut frames = Frames::default();
        frames.take(PREFACE);
        frames.take(&frame(0, 4, 0));
        let before = frames.head_number();
        frames.take(&frame(10, HEADERS, 0)[..12]);
        let begun = frames.head_number();
        frames.take(&[&[1; 7][..], &frame(0, CONTINUATION, END_HEADERS), &frame(4, HEADERS, 0)].concat());
        assert!(frames.is_in_head() && before != begun && begun != frames.head_number());
    }
}
