//! One map of the file while a section reads it: looks keys up, tells what is wrong, remembers what was asked for.

use super::describe::{Key, Presence, Shape, Turn};
use super::kind::Kind;
use super::kind::words::Named;
use super::problem::Problem;
use super::read::{Pair, Placed, Reading, shown};
use super::section::{Least, Section, described};
use super::source::Span;
use super::suggest::nearest;
use super::yaml::{Entry, Node, Value};

/// One map of the file.
pub(super) struct Reader<'a> {
    pub reading: &'a Reading,
    /// What messages call it: "`timeouts`", "this item of `routes`".
    pub title: String,
    pub at: Span,
    pub entries: &'a [Entry],
    known: Vec<&'static str>,
    pub later: &'static [&'static str],
}

impl<'a> Reader<'a> {
    pub fn new(reading: &'a Reading, title: String, at: Span, entries: &'a [Entry]) -> Self {
        Self { reading, title, at, entries, known: Vec::new(), later: &[] }
    }

    /// The entry of `key`, which is known from now on.
    pub fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub fn missing(&self, key: &str, example: &str) {
        let message = format!("`{key}` is missing in {}", self.title);
        self.reading
            .tell(Problem::error(self.at, message).expected(format!("`{key}: {example}`, for example")));
    }

    pub fn scalar<K: Kind>(&mut self, key: &'static str, kind: &K) -> Option<Placed<K::Value>> {
        let entry = self.entry(key)?;
        self.reading.scalar(&quoted(key), &entry.node, entry.key_at, kind)
    }

    pub fn scalars<K: Kind>(&mut self, key: &'static str, kind: &K) -> Vec<Placed<K::Value>>
    where
        K::Value: PartialEq,
    {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Some(items) = self.reading.list(&quoted(key), &entry.node, entry.key_at) else {
            return Vec::new();
        };
        let mut values: Vec<Placed<K::Value>> = Vec::new();
        for item in items {
            let Some(value) = self.reading.scalar(&item_of(key), item, entry.key_at, kind) else { continue };
            match values.iter().find(|known| known.value == value.value) {
                None => values.push(value),
                Some(first) => self.reading.tell(
                    Problem::error(value.at, format!("`{}` is in this list twice", shown(&value.written)))
                        .and(first.at, "first here")
                        .help("remove one of the two"),
                ),
            }
        }
        values
    }

    pub fn scalars_needed<K: Kind>(
        &mut self,
        key: &'static str,
        kind: &K,
        example: &str,
    ) -> Vec<Placed<K::Value>>
    where
        K::Value: PartialEq,
    {
        match self.entry(key).map(|entry| (entry.key_at, &entry.node.value)) {
            None => self.missing(key, &format!("[{example}]")),
            Some((at, Value::List(items))) if items.is_empty() => {
                self.reading
                    .tell(Problem::error(at, format!("`{key}` is empty")).expected("at least one item"));
            }
            Some(_) => {}
        }
        self.scalars(key, kind)
    }

    pub fn section<T>(&mut self, key: &'static str, f: impl FnOnce(&mut Section<'a>) -> T) -> T {
        match self.entry(key) {
            None => described(f).0,
            Some(entry) => {
                self.inner(quoted(key), &entry.node, entry.key_at, f).unwrap_or_else(|value| value)
            }
        }
    }

    /// Reads a node as a section; `Err` with the defaults when it is none, which is told.
    fn inner<T>(
        &self,
        title: String,
        node: &'a Node,
        at: Span,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Result<T, T> {
        if let Value::Map(entries) = &node.value {
            return Ok(Section::read(self.reading, title, at, entries, f));
        }
        let (value, keys) = described(f);
        let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        let expected = match keys.iter().any(|key| key.presence == Presence::Required) {
            true => format!("keys and values: {}, such as {}", names.join(", "), sample(&keys)),
            false => format!("keys and values, of {}; {{}} for the defaults", names.join(", ")),
        };
        self.reading.wrong_form(&title, node, at, "a section", &expected);
        Err(value)
    }

    pub fn sections<T>(
        &mut self,
        key: &'static str,
        least: Least,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Option<Vec<T>> {
        let Some(entry) = self.entry(key) else {
            if least == Least::One {
                self.missing(key, &format!("[{}]", example(&f)));
            }
            return None;
        };
        let items = self.reading.list(&quoted(key), &entry.node, entry.key_at)?;
        if items.is_empty() && least != Least::None {
            let message = format!("`{key}` is empty");
            self.reading.tell(Problem::error(entry.key_at, message).expected("at least one item"));
        }
        let read = |item: &'a Node| self.inner(item_of(key), item, item.at, &f).ok();
        Some(items.iter().filter_map(read).collect())
    }

    pub fn map<K: Kind, T>(
        &mut self,
        key: &'static str,
        names: &K,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Vec<(Placed<K::Value>, T)> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Value::Map(entries) = &entry.node.value else {
            let expected = "a name, a colon and a section for each; {} for none";
            self.reading.wrong_form(&quoted(key), &entry.node, entry.key_at, "a section", expected);
            return Vec::new();
        };
        let read = |entry: &'a Entry| {
            let name = self.reading.name(&entry.key, entry.key_at, names);
            let value = self.inner(quoted(&shown(&entry.key)), &entry.node, entry.key_at, &f).ok();
            Some((name?, value?))
        };
        entries.iter().filter_map(read).collect()
    }

    pub fn pairs<N: Kind, V: Kind>(
        &mut self,
        key: &'static str,
        names: &N,
        values: &V,
    ) -> Vec<Pair<N::Value, V::Value>> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let Value::Map(entries) = &entry.node.value else {
            let expected = "a name, a colon and a value for each; {} for none";
            self.reading.wrong_form(&quoted(key), &entry.node, entry.key_at, "a section", expected);
            return Vec::new();
        };
        let read = |entry: &'a Entry| {
            let name = self.reading.name(&entry.key, entry.key_at, names);
            let title = quoted(&shown(&entry.key));
            let value = self.reading.scalar(&title, &entry.node, entry.key_at, values);
            Some((name?, value?))
        };
        entries.iter().filter_map(read).collect()
    }

    pub fn tagged<T>(
        &mut self,
        key: &'static str,
        words: &'static [&'static str],
        tags: &'static [&'static str],
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Option<(&'static str, Option<T>)> {
        let entry = self.entry(key)?;
        let Value::Map(entries) = &entry.node.value else {
            let kind = Named(words);
            let word = self.reading.scalar(&quoted(key), &entry.node, entry.key_at, &kind)?;
            return Some((word.value, None));
        };
        if let [only] = entries.as_slice()
            && let Some(tag) = tags.iter().find(|tag| **tag == only.key)
        {
            let value = self.inner(quoted(tag), &only.node, only.key_at, f).ok();
            return Some((tag, value));
        }
        let keys: Vec<&str> = described(f).1.iter().map(|key| key.name).collect();
        let form = |tag: &&str| format!("{{ {tag}: {{ {}: ... }} }}", keys.join(", "));
        let forms: Vec<String> = tags.iter().map(form).collect();
        self.reading.tell(
            Problem::error(entry.node.at, format!("`{key}` is not of any form it can have"))
                .expected(format!("{}, {}", words.join(", "), forms.join(" or "))),
        );
        None
    }

    pub fn unknown_keys(&self) {
        // A variable in a key has been told already.
        let unknown = |entry: &&Entry| !self.known.contains(&entry.key.as_str()) && !entry.key.contains("${");
        for entry in self.entries.iter().filter(unknown) {
            self.reading.tell(self.unknown_key(entry));
        }
    }

    fn unknown_key(&self, entry: &Entry) -> Problem {
        let key = shown(&entry.key);
        if self.later.contains(&entry.key.as_str()) {
            let message = format!("`{key}` is not supported by this version of Keyward");
            return Problem::error(entry.key_at, message).help("remove it, or run a version that has it");
        }
        let problem = Problem::error(entry.key_at, format!("unknown key `{key}` in {}", self.title))
            .expected(format!("one of {}", self.known.join(", ")));
        match nearest(&entry.key, self.known.iter().copied()) {
            Some(meant) => problem.label(format!("did you mean `{meant}`?")),
            None => problem,
        }
    }
}

/// A section with its required keys, in one line.
fn example<'a, T>(f: impl FnOnce(&mut Section<'a>) -> T) -> String {
    sample(&described(f).1)
}

fn sample(keys: &[Key]) -> String {
    let shown = [Presence::Required, Presence::OneOf(Turn::First)];
    let required = keys.iter().filter(|key| shown.contains(&key.presence));
    let pairs: Vec<String> = required.map(|key| format!("{}: {}", key.name, sample_of(&key.shape))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn sample_of(shape: &Shape) -> String {
    match shape {
        Shape::Scalar { text, .. } => text.clone(),
        Shape::Section(keys) => sample(keys),
        Shape::Sections { keys, .. } => format!("[{}]", sample(keys)),
        Shape::Scalars { .. } => "[]".to_owned(),
        Shape::Pairs { .. } | Shape::Map { .. } | Shape::Tagged { .. } => "{ ... }".to_owned(),
    }
}

fn quoted(key: &str) -> String {
    format!("`{key}`")
}

fn item_of(key: &str) -> String {
    format!("this item of `{key}`")
}
