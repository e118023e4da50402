//! Keys that hold sections: one, a list, a map, or a word in place of one.

use super::{Least, Mode, Section, described};
use crate::config::describe::{Key, Presence, Shape};
use crate::config::kind::Kind;
use crate::config::read::Placed;

impl<'a> Section<'a> {
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
                keys.push(Key::section(key, comment, inner, Presence::Optional));
                value
            }
        }
    }

    /// A section that means something by being there; `None` when it is not.
    pub fn optional_section<T>(
        &mut self,
        key: &'static str,
        comment: &'static str,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        match &mut self.mode {
            Mode::Read(reader) => reader.entry(key).is_some().then(|| reader.section(key, f)),
            Mode::Describe(keys) => {
                let (_, inner) = described(f);
                keys.push(Key::section(key, comment, inner, Presence::Optional));
                None
            }
        }
    }

    /// A section that is absent unless it is wanted, and that examples show as a comment.
    pub fn absent_section<T>(
        &mut self,
        key: &'static str,
        comment: &'static str,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        self.seen_section(key, comment, Presence::Absent, f)
    }

    pub(in crate::config) fn seen_section<T>(
        &mut self,
        key: &'static str,
        comment: &'static str,
        presence: Presence,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        let value = self.optional_section(key, comment, f);
        self.describe_last_as(presence);
        value
    }

    /// A section that must be there.
    pub fn required_section<T>(
        &mut self,
        key: &'static str,
        comment: &'static str,
        example: &str,
        f: impl FnOnce(&mut Section<'a>) -> T,
    ) -> Option<T> {
        match &mut self.mode {
            Mode::Read(reader) => {
                if reader.entry(key).is_none() {
                    reader.missing(key, example);
                    return None;
                }
                Some(reader.section(key, f))
            }
            Mode::Describe(keys) => {
                let (value, inner) = described(f);
                keys.push(Key::section(key, comment, inner, Presence::Required));
                Some(value)
            }
        }
    }

    /// A list of sections that is absent unless it is wanted, and that examples show as a comment.
    pub fn absent_sections<T>(
        &mut self,
        key: &'static str,
        comment: &'static str,
        f: impl Fn(&mut Section<'a>) -> T,
    ) -> Vec<T> {
        let values = self.sections(key, Least::OneIfGiven, comment, f);
        self.describe_last_as(Presence::Absent);
        values.unwrap_or_default()
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
                    Key::section(name, "", inner, Presence::Optional)
                };
                let tags = tags.iter().map(tag).collect();
                let default = words.first().copied().unwrap_or_default();
                let shape = Shape::Tagged { words: words.to_vec(), default, tags };
                keys.push(Key { name: key, comment, shape, presence: Presence::Optional });
                None
            }
        }
    }

    fn describe_last_as(&mut self, presence: Presence) {
        if let Mode::Describe(keys) = &mut self.mode
            && let Some(key) = keys.last_mut()
        {
            key.presence = presence;
        }
    }
}
