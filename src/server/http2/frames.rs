//! Following a client's frames (RFC 9113 §4.1) beside h2, for what h2 does not tell: whether part of a head has come, what
//! a head has that its parsed form does not show, and how many frames came that carry nothing.
//!
//! It judges nothing: what is malformed h2 refuses.

use super::hpack::{Found, Table};
use crate::server::sniff::PREFACE;

#[cfg(test)]
mod tests;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 32;

/// The largest frame, where nothing else is said (RFC 9113 §6.5.2).
const FRAME_MAX: usize = 16 * 1024;
/// The largest head of several frames that is followed: more than h2 takes.
const HEAD_MAX: usize = 256 * 1024;

/// Where in the stream of frames a connection stands.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes of the preface that are still to come.
    preface: usize,
    /// Bytes of a frame's payload that are still to come.
    left: usize,
    /// A frame's header, as far as it has come.
    header: [u8; 9],
    known: usize,
    /// A payload of a head, as far as it has come: most come whole.
    payload: Vec<u8>,
    /// The payloads of a head's frames before this one.
    head: Vec<u8>,
    stage: Stage,
    table: Table,
    /// Heads that have begun or ended.
    number: u64,
    /// Whether the heads could not be followed, or nothing followed the preface that could.
    lost: bool,
    /// The stream that was opened last.
    last: u32,
    idle: u32,
    noted: Noted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Before the end of the client's first frame, its settings: that counts as part of a head.
    Opening,
    /// In a head.
    Head,
    /// Elsewhere.
    Other,
}

/// Streams of which there is something to say.
#[derive(Debug, Default)]
struct Noted {
    fragments: Vec<u32>,
    pseudo_trailers: Vec<u32>,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            preface: PREFACE.len(),
            left: 0,
            header: [0; 9],
            known: 0,
            payload: Vec::new(),
            head: Vec::new(),
            stage: Stage::Opening,
            table: Table::default(),
            number: 0,
            lost: false,
            last: 0,
            idle: 0,
            noted: Noted::default(),
        }
    }
}

impl Frames {
    /// Takes the next bytes that came.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let (preface, mut bytes) = bytes.split_at(self.preface.min(bytes.len()));
        self.preface -= preface.len();
        while !bytes.is_empty() {
            if self.left > 0 {
                let (part, rest) = bytes.split_at(self.left.min(bytes.len()));
                bytes = rest;
                self.left -= part.len();
                self.take_payload(part);
                continue;
            }
            let [first, rest @ ..] = bytes else { return };
            bytes = rest;
            if let Some(place) = self.header.get_mut(self.known) {
                *place = *first;
            }
            self.known += 1;
            if self.known == self.header.len() {
                self.begin_frame();
            }
        }
    }

    /// Whether part of a head has come.
    pub(super) fn is_in_head(&self) -> bool {
        self.stage != Stage::Other
    }

    /// Another after every beginning and every end of a head.
    pub(super) const fn head_number(&self) -> u64 {
        self.number
    }

    /// Whether what comes cannot be followed any more.
    pub(super) const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the path of a stream's request had a fragment; `None` when its head was not followed. Streams are asked for
    /// in their order, each once.
    pub(super) fn had_fragment(&mut self, stream: u32) -> Option<bool> {
        let fragments = &mut self.noted.fragments;
        fragments.retain(|other| *other >= stream);
        let had = fragments.first() == Some(&stream);
        (!self.lost).then_some(had)
    }

    /// Whether a stream's trailers had pseudo-fields, or could not be followed.
    pub(super) fn had_pseudo_trailers(&self, stream: u32) -> bool {
        self.lost || self.noted.pseudo_trailers.contains(&stream)
    }

    /// A stream is over.
    pub(super) fn forget(&mut self, stream: u32) {
        self.noted.pseudo_trailers.retain(|other| *other != stream);
    }

    /// How many frames came, since this was asked last, that carry nothing.
    pub(super) fn take_idle(&mut self) -> u32 {
        std::mem::take(&mut self.idle)
    }

    const fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.header;
        kind
    }

    const fn has(&self, flag: u8) -> bool {
        let [_, _, _, _, flags, ..] = self.header;
        flags & flag != 0
    }

    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.header;
        u32::from_be_bytes([a & 0x7f, b, c, d])
    }

    const fn is_of_head(&self) -> bool {
        matches!(self.kind(), HEADERS | CONTINUATION)
    }

    fn begin_frame(&mut self) {
        self.known = 0;
        let [a, b, c, ..] = self.header;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        // The client's settings are part of the preface (RFC 9113 §3.4); h2 does without.
        let opens = self.stage != Stage::Opening || self.kind() == SETTINGS && !self.has(ACK);
        self.lost |= self.left > FRAME_MAX || !opens;
        let carries = match self.kind() {
            DATA => self.left > 0 || self.has(END_STREAM),
            _ => self.is_of_head(),
        };
        self.idle = self.idle.saturating_add(u32::from(!carries));
        if self.is_of_head() && self.stage != Stage::Head {
            self.number += 1;
            self.stage = Stage::Head;
        }
        if self.left == 0 {
            self.take_payload(&[]);
        }
    }

    /// Takes a part of a payload, the last one if nothing of it is left.
    fn take_payload(&mut self, part: &[u8]) {
        if !self.is_of_head() {
            if self.left == 0 && self.stage == Stage::Opening {
                self.number += 1;
                self.stage = Stage::Other;
            }
            return;
        }
        if self.lost {
            return self.end_of_head_frame();
        }
        if self.left > 0 {
            return self.payload.extend_from_slice(part);
        }
        if self.payload.is_empty() {
            self.read_payload(part);
        } else {
            let mut payload = std::mem::take(&mut self.payload);
            payload.extend_from_slice(part);
            self.read_payload(&payload);
        }
        self.end_of_head_frame();
    }

    fn end_of_head_frame(&mut self) {
        if self.left == 0 && self.has(END_HEADERS) {
            self.number += 1;
            self.stage = Stage::Other;
        }
    }

    fn read_payload(&mut self, payload: &[u8]) {
        let Some(list) = self.field_list(payload) else {
            self.lost = true;
            return;
        };
        if self.head.is_empty() && self.has(END_HEADERS) {
            return self.read_head(list);
        }
        self.head.extend_from_slice(list);
        self.lost |= self.head.len() > HEAD_MAX;
        if self.has(END_HEADERS) {
            let head = std::mem::take(&mut self.head);
            self.read_head(&head);
        }
    }

    /// What a payload has of the field list; `None` when h2 does not read it.
    fn field_list<'a>(&self, mut payload: &'a [u8]) -> Option<&'a [u8]> {
        if self.kind() == CONTINUATION {
            return Some(payload);
        }
        let mut padding = 0;
        if self.has(PADDED) {
            let (first, rest) = payload.split_first()?;
            (padding, payload) = (usize::from(*first), rest);
        }
        if self.has(PRIORITY) {
            let ([a, b, c, d, _], rest) = payload.split_first_chunk()?;
            // Of a stream that depends on itself h2 does not read the fields, and knows less than the client from then on.
            if u32::from_be_bytes([a & 0x7f, *b, *c, *d]) == self.stream() {
                return None;
            }
            payload = rest;
        }
        payload.get(..payload.len().checked_sub(padding)?)
    }

    fn read_head(&mut self, list: &[u8]) {
        let Some(Found { pseudo, fragment }) = self.table.read(list) else {
            self.lost = true;
            return;
        };
        let stream = self.stream();
        if stream > self.last {
            self.last = stream;
            if fragment {
                self.note(|noted| &mut noted.fragments);
            }
        } else if pseudo {
            self.note(|noted| &mut noted.pseudo_trailers);
        }
    }

    fn note(&mut self, list: impl Fn(&mut Noted) -> &mut Vec<u32>) {
        let stream = self.stream();
        let list = list(&mut self.noted);
        list.push(stream);
        // More than there can be streams: they were not asked for, because h2 refused them.
        self.lost |= list.len() > 2000;
    }
}
