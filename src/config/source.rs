//! The text of one configuration file and places in it. Knows nothing of YAML.

use std::ops::Range;
use std::sync::Arc;

/// Bytes of a source, from `start` up to but not including `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
}

/// A file's text with the name it goes by in messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Source {
    name: Arc<str>,
    text: Arc<str>,
    line_starts: Arc<[usize]>,
    /// Where each character starts; absent when every character is one byte.
    characters: Option<Arc<[usize]>>,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(breaks).collect();
        let starts = || text.char_indices().map(|(at, _)| at).collect();
        let characters = (!text.is_ascii()).then(starts);
        Self { name: name.into(), text: text.into(), line_starts, characters }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// Line and column, both counted from 1, the column in characters.
    pub fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_start(line);
        let column = match &self.characters {
            None => offset.saturating_sub(start),
            Some(starts) => {
                let before = |offset| starts.partition_point(|start| *start < offset);
                before(offset) - before(start)
            }
        };
        (line, column + 1)
    }

    /// The byte at which the `index`th character starts, counted from 0.
    pub fn offset(&self, index: usize) -> usize {
        let end = self.text.len();
        match &self.characters {
            None => index.min(end),
            Some(starts) => starts.get(index).copied().unwrap_or(end),
        }
    }

    /// `span` cut down to its first line, without the white space at its end.
    pub fn first_line_of(&self, span: Span) -> Span {
        let first = self.slice(span).lines().next().unwrap_or_default().trim_end();
        Span { start: span.start, end: span.start + first.len() }
    }

    /// The whole lines that `span` touches.
    pub fn whole_lines(&self, span: Span) -> Range<usize> {
        let before = self.text.get(..span.start).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let after = self.text.get(span.end..).unwrap_or_default();
        let end = after.find('\n').map_or(self.text.len(), |at| span.end + at);
        start..end.max(start)
    }

    fn line_start(&self, line: usize) -> usize {
        self.line_starts.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let source = Source::new("a.yaml", "a: é1\r\nb: 2\n");
        assert_eq!(source.line_and_column(0), (1, 1));
        assert_eq!(source.line_and_column(5), (1, 5));
        assert_eq!(source.line_and_column(8), (2, 1));
        assert_eq!(source.offset(4), 5);
        assert_eq!(source.offset(99), source.text().len());
        assert_eq!(source.whole_lines(Span { start: 9, end: 10 }), 8..12);
    }
}
