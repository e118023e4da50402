//! What the sections say of themselves when they are asked instead of read: the one source of schema and example.

use serde_json::Value;

/// One key of a section.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: &'static str,
    pub comment: &'static str,
    pub shape: Shape,
    pub presence: Presence,
}

impl Key {
    /// One that holds a section with these keys.
    pub fn section(name: &'static str, comment: &'static str, keys: Vec<Self>, presence: Presence) -> Self {
        Self { name, comment, shape: Shape::Section(keys), presence }
    }
}

/// Whether a key must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It may be left out.
    Optional,
    /// It may be left out, and means something by being there: examples show it as a comment.
    Absent,
    /// It may not.
    Required,
    /// Exactly one of a group is there; the first is the one that examples show.
    OneOf(Turn),
}

/// The place in a group of keys of which exactly one is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Later,
}

/// What a key holds.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A scalar: its schema, the text in the example (the default where there is one).
    Scalar { schema: Value, text: String, default: bool },
    /// A list of scalars, and what it holds by default, or in the example where it has to hold something.
    Scalars { schema: Value, default: Vec<String>, needed: bool },
    /// Keys.
    Section(Vec<Key>),
    /// A list of sections.
    Sections { keys: Vec<Key>, least: usize },
    /// Keys of the operator's choice, each with a scalar.
    Pairs { names: Value, values: Value, example: (String, String) },
    /// Keys of the operator's choice, each with a section.
    Map { names: Value, example: String, keys: Vec<Key> },
    /// One of a few words, or one of a few sections.
    Tagged { words: Vec<&'static str>, default: &'static str, tags: Vec<Key> },
}
