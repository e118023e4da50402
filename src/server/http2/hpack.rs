//! Following the field lists of a connection (HPACK, RFC 7541) beside h2, for what h2 does not tell: a `#` in a path, which
//! it cuts off, and pseudo-fields among trailers, which it drops.
//!
//! Of each field it keeps no more than its size and what matters of its name, so that it knows what an index stands for.
//! It judges nothing: what cannot be read ends the connection in h2, too.

use std::collections::VecDeque;

mod huffman;
#[cfg(test)]
mod tests;

/// What a field list has that its parsed form does not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// A field whose name begins with `:`.
    pub(super) pseudo: bool,
    /// A `#` in the path.
    pub(super) fragment: bool,
}

/// The table of fields that a client may name by an index.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Field>,
    size: usize,
    most: usize,
}

/// What is known of a field.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: Name,
    /// Bytes of its value.
    value: usize,
    fragment: bool,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    length: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Pseudo,
    Path,
}

/// RFC 7541 §4.1.
const OVERHEAD: usize = 32;
/// SETTINGS_HEADER_TABLE_SIZE, where nothing else is said (RFC 9113 §6.5.2).
const MOST: usize = 4096;

/// Bytes of each name of the static table (RFC 7541 appendix A); the first is no entry.
const STATIC: [u8; 62] = [
    0, 10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16,
    13, 12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4,
    3, 16,
];

impl Default for Table {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, most: MOST }
    }
}

impl Table {
    /// Reads one whole field list; `None` when it is none.
    pub(super) fn read(&mut self, mut list: &[u8]) -> Option<Found> {
        let mut found = Found::default();
        while let [first, ..] = list {
            let field = match first {
                0x80.. => {
                    let index = integer(&mut list, 7)?;
                    self.field(index)?
                }
                0x40.. => {
                    let field = self.literal(&mut list, 6, Value::Measured)?;
                    self.insert(field);
                    field
                }
                0x20.. => {
                    let most = integer(&mut list, 5)?;
                    self.resize(most)?;
                    continue;
                }
                _ => self.literal(&mut list, 4, Value::Skipped)?,
            };
            found.pseudo |= field.name.kind != Kind::Plain;
            found.fragment |= field.fragment;
        }
        Some(found)
    }

    fn literal(&self, list: &mut &[u8], prefix: u32, value: Value) -> Option<Field> {
        let name = match integer(list, prefix)? {
            0 => Name::read(Text::take(list)?)?,
            index => self.field(index)?.name,
        };
        let text = Text::take(list)?;
        if name.kind == Kind::Path {
            let (mut length, mut fragment) = (0, false);
            text.each(|byte| {
                length += 1;
                fragment |= byte == b'#';
            })?;
            return Some(Field { name, value: length, fragment });
        }
        let value = match value {
            Value::Skipped => 0,
            Value::Measured => text.length()?,
        };
        Some(Field { name, value, fragment: false })
    }

    fn field(&self, index: usize) -> Option<Field> {
        match STATIC.get(index) {
            Some(0) => None,
            Some(length) => {
                let kind = match index {
                    4 | 5 => Kind::Path,
                    1..=14 => Kind::Pseudo,
                    _ => Kind::Plain,
                };
                // Only its name is used again.
                Some(Field { name: Name { length: usize::from(*length), kind }, value: 0, fragment: false })
            }
            None => self.entries.get(index - STATIC.len()).copied(),
        }
    }

    fn insert(&mut self, field: Field) {
        self.evict(field.size());
        if field.size() <= self.most {
            self.size += field.size();
            self.entries.push_front(field);
        }
    }

    fn resize(&mut self, most: usize) -> Option<()> {
        if most > MOST {
            return None;
        }
        self.most = most;
        self.evict(0);
        Some(())
    }

    /// Makes room.
    fn evict(&mut self, room: usize) {
        while self.size + room > self.most {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size -= oldest.size();
        }
    }
}

/// What is asked of a value that matters to nobody.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Skipped,
    /// It takes room in the table.
    Measured,
}

impl Field {
    const fn size(&self) -> usize {
        self.name.length + self.value + OVERHEAD
    }
}

impl Name {
    fn read(text: Text<'_>) -> Option<Self> {
        const PATH: &[u8] = b":path";
        let (mut length, mut pseudo, mut path) = (0, false, true);
        text.each(|byte| {
            pseudo |= length == 0 && byte == b':';
            path &= PATH.get(length) == Some(&byte);
            length += 1;
        })?;
        let kind = match (pseudo, path && length == PATH.len()) {
            (_, true) => Kind::Path,
            (true, _) => Kind::Pseudo,
            (false, _) => Kind::Plain,
        };
        (length > 0).then_some(Self { length, kind })
    }
}

/// A string as it stands on the wire.
#[derive(Clone, Copy)]
enum Text<'a> {
    Plain(&'a [u8]),
    Huffman(&'a [u8]),
}

impl<'a> Text<'a> {
    fn take(list: &mut &'a [u8]) -> Option<Self> {
        let coded = list.first()? & 0x80 != 0;
        let length = integer(list, 7)?;
        let (text, rest) = list.split_at_checked(length)?;
        *list = rest;
        Some(if coded { Self::Huffman(text) } else { Self::Plain(text) })
    }

    fn each(self, mut seen: impl FnMut(u8)) -> Option<()> {
        match self {
            Self::Plain(text) => text.iter().for_each(|byte| seen(*byte)),
            Self::Huffman(text) => huffman::decode(text, seen)?,
        }
        Some(())
    }

    fn length(self) -> Option<usize> {
        let mut length = 0;
        match self {
            Self::Plain(text) => length = text.len(),
            Self::Huffman(_) => self.each(|_| length += 1)?,
        }
        Some(length)
    }
}

/// An integer that begins in the last `prefix` bits of a byte (RFC 7541 §5.1), of at most five bytes, as h2 takes it.
fn integer(list: &mut &[u8], prefix: u32) -> Option<usize> {
    let [first, rest @ ..] = *list else { return None };
    *list = rest;
    let mask = (1 << prefix) - 1;
    let mut value = usize::from(*first) & mask;
    if value < mask {
        return Some(value);
    }
    for shift in [0, 7, 14, 21] {
        let [next, rest @ ..] = *list else { return None };
        *list = rest;
        value += usize::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
