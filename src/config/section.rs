//! One declaration per key, used in two ways: over a file it reads values and gathers problems; without one it
//! describes the keys, from which schema and full example are made. So the three cannot drift apart.

mod nested;

use std::path::PathBuf;

use super::describe::{Key, Presence, Shape, Turn};
use super::kind::Kind;
use super::problem::Problem;
use super::read::{Pair, Placed, Reading};
use super::reader::Reader;
use super::source::Span;
use super::yaml::Entry;

/// One map of the file, or what such a map would hold.
pub(super) struct Section<'a> {
    mode: Mode<'a>,
}

enum Mode<'a> {
    Read(Reader<'a>),
    Describe(Vec<Key>),
}

/// What a list may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Least {
    /// Nothing is fine.
    None,
    /// Left out it is the default; there it holds something.
    OneIfGiven,
    /// It is there and holds something.
    One,
}

impl<'a> Section<'a> {
    /// Reads `entries` by `f`, then tells which keys nobody asked for.
    pub fn read<T>(
        reading: &'a Reading,
        title: String,
        at: Span,
        entries: &'a [Entry],
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        let reader = Reader::new(reading, title, at, entries);
        let mut section = Section { mode: Mode::Read(reader) };
        let value = f(&mut section);
        if let Mode::Read(reader) = section.mode {
            reader.unknown_keys();
        }
        value
    }

    /// Where this section is.
    pub fn at(&self) -> Span {
        match &self.mode {
            Mode::Read(reader) => reader.at,
            Mode::Describe(_) => Span::default(),
        }
    }

    /// Tells a problem that is no matter of one key.
    pub fn tell(&self, problem: Problem) {
        if let Mode::Read(reader) = &self.mode {
            reader.reading.tell(problem);
        }
    }

    /// The text in a file of so many bytes at most; tells when there is none.
    pub fn text_file(&self, path: &Placed<PathBuf>, most: u64) -> Option<String> {
        match &self.mode {
            Mode::Read(reader) => reader.reading.text_file(path, most),
            Mode::Describe(_) => None,
        }
    }

    /// Keys of the contract that this version does not have.
    pub fn not_yet(&mut self, keys: &'static [&'static str]) {
        if let Mode::Read(reader) = &mut self.mode {
            reader.later = keys;
        }
    }

    /// A scalar with a default.
    pub fn value<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        default: K::Value,
        comment: &'static str,
    ) -> Placed<K::Value> {
        let at = self.at();
        let shape = |text| Shape::Scalar { schema: kind.schema(), text, default: true };
        let found = match &mut self.mode {
            Mode::Read(reader) => reader.scalar(key, kind),
            Mode::Describe(keys) => {
                keys.push(Key {
                    name: key,
                    comment,
                    shape: shape(kind.show(&default)),
                    presence: Presence::Optional,
                });
                None
            }
        };
        found.unwrap_or_else(|| Placed::default(default, at))
    }

    /// A scalar that must be there.
    pub fn required<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        example: &str,
        comment: &'static str,
    ) -> Option<Placed<K::Value>> {
        match &mut self.mode {
            Mode::Read(reader) => {
                if reader.entry(key).is_none() {
                    reader.missing(key, example);
                }
                reader.scalar(key, kind)
            }
            Mode::Describe(keys) => {
                let shape = Shape::Scalar { schema: kind.schema(), text: example.to_owned(), default: false };
                keys.push(Key { name: key, comment, shape, presence: Presence::Required });
                None
            }
        }
    }

    /// A scalar that may be there, and has no default; `example` is one.
    pub fn optional<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        example: &str,
        comment: &'static str,
    ) -> Option<Placed<K::Value>> {
        match &mut self.mode {
            Mode::Read(reader) => reader.scalar(key, kind),
            Mode::Describe(keys) => {
                let shape = Shape::Scalar { schema: kind.schema(), text: example.to_owned(), default: false };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
                None
            }
        }
    }

    /// One of a group of keys of which exactly one is there; [`Section::exactly_one`] sees to that.
    pub fn alternative<K: Kind>(
        &mut self,
        turn: Turn,
        key: &'static str,
        kind: &K,
        example: &str,
        comment: &'static str,
    ) -> Option<Placed<K::Value>> {
        match &mut self.mode {
            Mode::Read(reader) => reader.scalar(key, kind),
            Mode::Describe(keys) => {
                let shape = Shape::Scalar { schema: kind.schema(), text: example.to_owned(), default: false };
                keys.push(Key { name: key, comment, shape, presence: Presence::OneOf(turn) });
                None
            }
        }
    }

    /// The same for a section.
    pub fn alternative_section<T>(
        &mut self,
        turn: Turn,
        key: &'static str,
        comment: &'static str,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        self.seen_section(key, comment, Presence::OneOf(turn), f)
    }

    /// Tells when none or several of `keys` are there.
    pub fn exactly_one(&self, keys: &[&'static str], expected: &str) {
        let Mode::Read(reader) = &self.mode else { return };
        let given: Vec<&Entry> =
            reader.entries.iter().filter(|entry| keys.contains(&entry.key.as_str())).collect();
        match given.as_slice() {
            [] => self.tell(
                Problem::error(reader.at, format!("{} has none of {}", reader.title, keys.join(", ")))
                    .expected(expected),
            ),
            [_] => {}
            [first, second, ..] => self.tell(
                Problem::error(
                    second.key_at,
                    format!("`{}` and `{}` exclude each other", first.key, second.key),
                )
                .and(first.key_at, "the other one")
                .expected(expected),
            ),
        }
    }

    /// A list of scalars, empty by default, nothing in it twice.
    pub fn scalars<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        comment: &'static str,
    ) -> Vec<Placed<K::Value>>
    where
        K::Value: PartialEq,
    {
        match &mut self.mode {
            Mode::Read(reader) => reader.scalars(key, kind),
            Mode::Describe(keys) => {
                let shape = Shape::Scalars { schema: kind.schema(), default: Vec::new(), needed: false };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
                Vec::new()
            }
        }
    }

    /// A list of scalars that has to hold something, nothing in it twice.
    pub fn scalars_needed<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        example: &'static str,
        comment: &'static str,
    ) -> Vec<Placed<K::Value>>
    where
        K::Value: PartialEq,
    {
        match &mut self.mode {
            Mode::Read(reader) => reader.scalars_needed(key, kind, example),
            Mode::Describe(keys) => {
                let shape =
                    Shape::Scalars { schema: kind.schema(), default: vec![example.to_owned()], needed: true };
                keys.push(Key { name: key, comment, shape, presence: Presence::Required });
                Vec::new()
            }
        }
    }

    /// A list of scalars that holds something by default, nothing in it twice.
    pub fn scalars_or<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        default: Vec<K::Value>,
        comment: &'static str,
    ) -> Vec<Placed<K::Value>>
    where
        K::Value: PartialEq,
    {
        let at = self.at();
        match &mut self.mode {
            Mode::Read(reader) => {
                if reader.entry(key).is_some() {
                    return reader.scalars(key, kind);
                }
            }
            Mode::Describe(keys) => {
                let shown = default.iter().map(|value| kind.show(value)).collect();
                let shape = Shape::Scalars { schema: kind.schema(), default: shown, needed: false };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
            }
        }
        default.into_iter().map(|value| Placed::default(value, at)).collect()
    }

    /// A map of scalars with keys of the operator's choice, each with its example.
    pub fn pairs<N: Kind, V: Kind>(
        &mut self,
        key: &'static str,
        (names, name): (&N, &str),
        (values, value): (&V, &str),
        comment: &'static str,
    ) -> Vec<Pair<N::Value, V::Value>> {
        match &mut self.mode {
            Mode::Read(reader) => reader.pairs(key, names, values),
            Mode::Describe(keys) => {
                let example = (name.to_owned(), value.to_owned());
                let shape = Shape::Pairs { names: names.schema(), values: values.schema(), example };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
                Vec::new()
            }
        }
    }
}

/// What `f` makes of an absent section, defaults only, and the keys it asks for.
pub(super) fn described<'a, T>(f: impl FnOnce(&mut Section<'a>) -> T) -> (T, Vec<Key>) {
    let mut section = Section { mode: Mode::Describe(Vec::new()) };
    let value = f(&mut section);
    match section.mode {
        Mode::Describe(keys) => (value, keys),
        Mode::Read(_) => (value, Vec::new()),
    }
}
