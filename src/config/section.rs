//! One declaration per key, used in two ways: over a file it reads values and gathers problems; without one it
//! describes the keys, from which schema and full example are made. So the three cannot drift apart.

use super::describe::{Key, Presence, Shape, Turn};
use super::kind::Kind;
use super::problem::Problem;
use super::read::{Placed, Reading, shown};
use super::source::Span;
use super::suggest::nearest;
use super::yaml::{Entry, Node, Value};

/// One map of the file, or what such a map would hold.
pub(super) struct Section<'a> {
    mode: Mode<'a>,
}

enum Mode<'a> {
    Read(Reader<'a>),
    Describe(Vec<Key>),
}

struct Reader<'a> {
    reading: &'a Reading,
    /// For messages: `timeouts`, "the file".
    name: &'a str,
    at: Span,
    entries: &'a [Entry],
    known: Vec<&'static str>,
    later: &'static [&'static str],
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
        name: &'a str,
        at: Span,
        entries: &'a [Entry],
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        let reader = Reader { reading, name, at, entries, known: Vec::new(), later: &[] };
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
                    reader.missing(key, &kind.expected());
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

    /// Tells when none or several of `keys` are there.
    pub fn exactly_one(&self, keys: &[&'static str], expected: &str) {
        let Mode::Read(reader) = &self.mode else { return };
        let given: Vec<&Entry> =
            reader.entries.iter().filter(|entry| keys.contains(&entry.key.as_str())).collect();
        match given.as_slice() {
            [] => self.tell(
                Problem::error(reader.at, format!("{} has none of {}", reader.title(), keys.join(", ")))
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
                let shape = Shape::Scalars { schema: kind.schema() };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
                Vec::new()
            }
        }
    }

    /// A section whose keys all have defaults.
    pub fn section<T>(
        &mut self,
        key: &'static str,
        comment: &'static str,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> T {
        match &mut self.mode {
            Mode::Read(reader) => reader.section(key, f),
            Mode::Describe(keys) => {
                let (value, inner) = described(f);
                keys.push(Key {
                    name: key,
                    comment,
                    shape: Shape::Section(inner),
                    presence: Presence::Optional,
                });
                value
            }
        }
    }

    /// A section that must be there.
    pub fn required_section<T>(
        &mut self,
        key: &'static str,
        comment: &'static str,
        expected: &str,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        match &mut self.mode {
            Mode::Read(reader) => {
                if reader.entry(key).is_none() {
                    reader.missing(key, expected);
                    return None;
                }
                Some(reader.section(key, f))
            }
            Mode::Describe(keys) => {
                let (value, inner) = described(f);
                keys.push(Key {
                    name: key,
                    comment,
                    shape: Shape::Section(inner),
                    presence: Presence::Required,
                });
                Some(value)
            }
        }
    }

    /// A list of sections; `None` when the key is absent.
    pub fn sections<T>(
        &mut self,
        key: &'static str,
        least: Least,
        comment: &'static str,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Option<Vec<T>> {
        match &mut self.mode {
            Mode::Read(reader) => reader.sections(key, least, f),
            Mode::Describe(keys) => {
                let (_, inner) = described(f);
                let shape = Shape::Sections { keys: inner, least: usize::from(least != Least::None) };
                let presence = if least == Least::One { Presence::Required } else { Presence::Optional };
                keys.push(Key { name: key, comment, shape, presence });
                None
            }
        }
    }

    /// A map with keys of the operator's choice.
    pub fn map<K: Kind, T>(
        &mut self,
        key: &'static str,
        names: &K,
        example: &str,
        comment: &'static str,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Vec<(Placed<K::Value>, T)> {
        match &mut self.mode {
            Mode::Read(reader) => reader.map(key, names, f),
            Mode::Describe(keys) => {
                let (_, inner) = described(f);
                let shape = Shape::Map { names: names.schema(), example: example.to_owned(), keys: inner };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
                Vec::new()
            }
        }
    }

    /// One of `words`, or `{ tag: section }` with one of `tags`, which are words too.
    pub fn tagged<T>(
        &mut self,
        key: &'static str,
        words: &'static [&'static str],
        tags: &'static [&'static str],
        comment: &'static str,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Option<(&'static str, Option<T>)> {
        match &mut self.mode {
            Mode::Read(reader) => reader.tagged(key, words, tags, f),
            Mode::Describe(keys) => {
                let tag = |name: &&'static str| {
                    let (_, inner) = described(&f);
                    Key { name, comment: "", shape: Shape::Section(inner), presence: Presence::Optional }
                };
                let tags = tags.iter().map(tag).collect();
                let default = words.first().copied().unwrap_or_default();
                let shape = Shape::Tagged { words: words.to_vec(), default, tags };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
                None
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

impl<'a> Reader<'a> {
    /// The entry of `key`, which is known from now on.
    fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn title(&self) -> String {
        match self.name {
            "" => "this file".to_owned(),
            name => format!("`{name}`"),
        }
    }

    fn missing(&self, key: &str, expected: &str) {
        let message = format!("{} has no `{key}`", self.title());
        self.reading.tell(Problem::error(self.at, message).expected(format!("{key}: {expected}")));
    }

    fn scalar<K: Kind>(&mut self, key: &'static str, kind: &K) -> Option<Placed<K::Value>> {
        let entry = self.entry(key)?;
        self.reading.scalar(key, &entry.node, entry.key_at, kind)
    }

    fn scalars<K: Kind>(&mut self, key: &'static str, kind: &K) -> Vec<Placed<K::Value>>
    where
        K::Value: PartialEq,
    {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Some(items) = self.reading.list(key, &entry.node, entry.key_at) else { return Vec::new() };
        let mut values: Vec<Placed<K::Value>> = Vec::new();
        for item in items {
            let Some(value) = self.reading.scalar(key, item, entry.key_at, kind) else { continue };
            match values.iter().find(|known| known.value == value.value) {
                None => values.push(value),
                Some(first) => self.reading.tell(
                    Problem::error(value.at, format!("`{}` is in this list twice", shown(&value.written)))
                        .and(first.at, "first here")
                        .expected("remove one of the two"),
                ),
            }
        }
        values
    }

    fn section<T>(&mut self, key: &'static str, f: impl FnOnce(&mut Section<'a>) -> T) -> T {
        let entry = self.entry(key);
        let entries = entry.and_then(|entry| self.reading.map(key, &entry.node, entry.key_at));
        let at = entry.map_or(self.at, |entry| entry.key_at);
        match entries {
            Some(entries) => Section::read(self.reading, key, at, entries, f),
            // Defaults fill in; where the node is no section, that has been told and nothing can be missing in it.
            None => described(f).0,
        }
    }

    fn sections<T>(
        &mut self,
        key: &'static str,
        least: Least,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Option<Vec<T>> {
        let Some(entry) = self.entry(key) else {
            if least == Least::One {
                self.missing(key, "a list with at least one item");
            }
            return None;
        };
        let items = self.reading.list(key, &entry.node, entry.key_at)?;
        if items.is_empty() && least != Least::None {
            let message = format!("`{key}` is empty");
            self.reading.tell(Problem::error(entry.key_at, message).expected("at least one item"));
        }
        let read = |item: &'a Node| {
            let entries = self.reading.map(key, item, entry.key_at)?;
            Some(Section::read(self.reading, key, item.at, entries, &f))
        };
        Some(items.iter().filter_map(read).collect())
    }

    fn map<K: Kind, T>(
        &mut self,
        key: &'static str,
        names: &K,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Vec<(Placed<K::Value>, T)> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Some(entries) = self.reading.map(key, &entry.node, entry.key_at) else { return Vec::new() };
        let read = |entry: &'a Entry| {
            let name = self.reading.name(&entry.key, entry.key_at, names);
            let inner = self.reading.map(&entry.key, &entry.node, entry.key_at)?;
            let value = Section::read(self.reading, &entry.key, entry.key_at, inner, &f);
            Some((name?, value))
        };
        entries.iter().filter_map(read).collect()
    }

    fn tagged<T>(
        &mut self,
        key: &'static str,
        words: &'static [&'static str],
        tags: &'static [&'static str],
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Option<(&'static str, Option<T>)> {
        let entry = self.entry(key)?;
        if !matches!(entry.node.value, Value::Map(_)) {
            let word = super::kind::words::Named(words);
            let word = self.reading.scalar(key, &entry.node, entry.key_at, &word)?;
            return Some((word.value, None));
        }
        let entries = self.reading.map(key, &entry.node, entry.key_at)?;
        if let [only] = entries
            && let Some(tag) = tags.iter().find(|tag| **tag == only.key)
        {
            let inner = self.reading.map(tag, &only.node, only.key_at)?;
            return Some((tag, Some(Section::read(self.reading, tag, only.key_at, inner, f))));
        }
        let forms: Vec<String> = tags.iter().map(|tag| format!("{{ {tag}: {{ ... }} }}")).collect();
        self.reading.tell(
            Problem::error(entry.node.at, format!("`{key}` is not of any form it can have"))
                .expected(format!("{}, or {}", words.join(", "), forms.join(", "))),
        );
        None
    }

    fn unknown_keys(&self) {
        let unknown = |entry: &&Entry| !self.known.contains(&entry.key.as_str());
        for entry in self.entries.iter().filter(unknown) {
            self.reading.tell(self.unknown_key(entry));
        }
    }

    fn unknown_key(&self, entry: &Entry) -> Problem {
        let key = shown(&entry.key);
        if self.later.contains(&entry.key.as_str()) {
            let message = format!("`{key}` is not supported by this version of Keyward");
            return Problem::error(entry.key_at, message).expected("remove it, or run a version that has it");
        }
        let problem = Problem::error(entry.key_at, format!("{} has no key `{key}`", self.title()))
            .expected(format!("one of {}", self.known.join(", ")));
        match nearest(&entry.key, self.known.iter().copied()) {
            Some(meant) => problem.label(format!("did you mean `{meant}`?")),
            None => problem,
        }
    }
}
