//! YAML text → a small tree in which everything knows its place.
//!
//! Only what a configuration needs: one document of maps, lists and scalars. Anchors, aliases, tags and merge keys
//! are refused, so that what a line says is what it means, and nothing small unfolds into something large.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::problem::Problem;
use super::source::{Source, Span};

/// How deep maps and lists may stand in one another. The deepest key there is stands at 6.
const DEPTH_MAX: usize = 32;

/// A value and its place. The place of a map or list is its first line.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Already reported; whoever meets it says nothing more.
    Broken,
}

#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// As written, without quotes: what messages show.
    pub written: String,
    /// What counts, when variables were put in.
    pub expanded: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub key_at: Span,
    pub node: Node,
}

/// Reads the only document of `source`; pushes what is wrong. `None` when there is nothing to go on with.
pub(super) fn read(source: &Source, problems: &mut Vec<Problem>) -> Option<Node> {
    let before = problems.len();
    characters(source, problems);
    if problems.len() > before {
        return None;
    }
    let mut builder = Builder { source, problems, stack: Vec::new(), root: None, documents: 0 };
    let mut parser = Parser::new_from_str(source.text());
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => builder.event(event, span.start, span.end),
            Err(error) => builder.stop(syntax(source, &error)),
        };
        if step.is_err() {
            return None;
        }
    }
    builder.root.take()
}

/// Characters that YAML does not take, each kind told once.
fn characters(source: &Source, problems: &mut Vec<Problem>) {
    let mut offset = 0;
    let mut tabs = Vec::new();
    for line in source.text().split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        let content = line.get(indent..).unwrap_or_default();
        let tab = line.get(..indent).and_then(|blank| blank.find('\t'));
        if let (Some(at), false) = (tab, content.trim_end().is_empty() || content.starts_with('#')) {
            tabs.push(Span { start: offset + at, end: offset + indent });
        }
        offset += line.len();
    }
    if let Some(first) = tabs.first() {
        let message = match tabs.len() {
            1 => "this line is indented with a tab".to_owned(),
            2 => "this line is indented with a tab, and so is one more".to_owned(),
            lines => format!("this line is indented with a tab, and so are {} more", lines - 1),
        };
        problems
            .push(Problem::error(*first, message).expected("spaces, which are all that YAML takes there"));
    }
    let text = source.text();
    let control = text.char_indices().find(|(at, c)| {
        let line_break = *c == '\r' && text.get(at + 1..).is_some_and(|rest| rest.starts_with('\n'));
        c.is_control() && !line_break && !matches!(c, '\t' | '\n')
    });
    if let Some((at, c)) = control {
        let message = format!("there is a control character here (U+{:04X})", u32::from(c));
        let place = Span { start: at, end: at + c.len_utf8() };
        problems
            .push(Problem::error(place, message).expected("text in UTF-8, its lines ended by LF or CR LF"));
    }
}

struct Builder<'a> {
    source: &'a Source,
    problems: &'a mut Vec<Problem>,
    stack: Vec<Frame>,
    root: Option<Node>,
    documents: usize,
}

/// What comes after cannot be told from what came before.
struct Stop;

enum Frame {
    List { start: usize, items: Vec<Node> },
    Map { start: usize, entries: Vec<Entry>, seen: HashMap<String, Span>, key: Option<(String, Span)> },
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, from: Marker, to: Marker) -> Result<(), Stop> {
        let at = self.span(from, to);
        match event {
            Event::DocumentStart(_) => self.document(at),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_only(at, anchor, tag.is_some());
                let null = style == ScalarStyle::Plain
                    && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                if self.awaits_key() {
                    return self.key(text.into_owned(), at);
                }
                let value = match null {
                    true => Value::Null,
                    false => Value::Scalar(Scalar { written: text.into_owned(), expanded: None }),
                };
                self.node(Node { at: self.source.first_line_of(at), value })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_only(at, anchor, tag.is_some());
                self.open(at, Frame::List { start: at.start, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_only(at, anchor, tag.is_some());
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.open(at, Frame::Map { start: at.start, entries, seen, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Alias(_) => self.stop(alias(at)),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    fn stop(&mut self, problem: Problem) -> Result<(), Stop> {
        self.problems.push(problem);
        Err(Stop)
    }

    fn span(&self, from: Marker, to: Marker) -> Span {
        let start = self.source.offset(from.index());
        let end = self.source.offset(to.index()).max(start);
        Span { start, end }
    }

    fn rest_of_line(&self, at: Span) -> Span {
        self.source.first_line_of(Span { start: at.start, end: self.source.text().len() })
    }

    fn document(&mut self, at: Span) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            let place = self.rest_of_line(at);
            return self.stop(
                Problem::error(place, "a second document starts here")
                    .expected("one document in a file, without a line of --- in its middle"),
            );
        }
        Ok(())
    }

    fn plain_only(&mut self, at: Span, anchor: usize, tagged: bool) {
        let what = match (anchor, tagged) {
            (0, false) => return,
            (0, true) => "tags (!name)",
            _ => "anchors (&name)",
        };
        let place = self.source.first_line_of(at);
        self.problems.push(
            Problem::error(place, format!("{what} are not taken here"))
                .expected("the value written out, or quotes around a text that starts with & or !"),
        );
    }

    fn awaits_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame::Map { key: None, .. }))
    }

    fn key(&mut self, text: String, at: Span) -> Result<(), Stop> {
        let at = self.source.first_line_of(at);
        if text == "<<" {
            return self.stop(
                Problem::error(at, "merge keys (<<) are not taken here")
                    .expected("the keys written out where they hold"),
            );
        }
        if text.contains("${") {
            self.problems.push(
                Problem::error(at, "variables are put into values, not into keys")
                    .expected("a key that is written out"),
            );
        }
        if let Some(Frame::Map { key, .. }) = self.stack.last_mut() {
            *key = Some((text, at));
        }
        Ok(())
    }

    fn open(&mut self, at: Span, frame: Frame) -> Result<(), Stop> {
        if self.awaits_key() {
            let place = self.rest_of_line(at);
            return self.stop(Problem::error(place, "a list or map stands where a key is due").expected(
                "a name, a colon and a value; a text that starts with [ or { needs quotes around it",
            ));
        }
        if self.stack.len() >= DEPTH_MAX {
            let place = self.rest_of_line(at);
            return self.stop(
                Problem::error(place, "lists and maps stand in one another too deeply").expected(format!(
                    "at most {DEPTH_MAX} levels; no setting of Keyward needs more than a few"
                )),
            );
        }
        self.stack.push(frame);
        Ok(())
    }

    fn close(&mut self, at: Span) -> Result<(), Stop> {
        let (start, value, first_key) = match self.stack.pop() {
            Some(Frame::List { start, items }) => (start, Value::List(items), None),
            Some(Frame::Map { start, entries, .. }) => {
                let first_key = entries.first().map(|entry| entry.key_at);
                (start, Value::Map(entries), first_key)
            }
            None => return Ok(()),
        };
        let flow = self.source.slice(Span { start, end: start + 1 });
        let whole = Span { start, end: at.end.max(start) };
        let at = match first_key {
            Some(key) if flow != "{" => key,
            _ => self.source.first_line_of(whole),
        };
        self.node(Node { at, value })
    }

    fn node(&mut self, node: Node) -> Result<(), Stop> {
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, seen, key, .. }) => {
                let Some((key, key_at)) = key.take() else { return Ok(()) };
                if let Some(first) = seen.get(&key) {
                    let message = format!("`{}` is set twice", super::read::shown(&key));
                    self.problems.push(
                        Problem::error(key_at, message)
                            .label("again here")
                            .and(*first, "first here")
                            .help("remove one of the two"),
                    );
                    return Ok(());
                }
                seen.insert(key.clone(), key_at);
                entries.push(Entry { key, key_at, node });
            }
        }
        Ok(())
    }
}

fn alias(at: Span) -> Problem {
    Problem::error(at, "aliases (*name) are not taken here")
        .expected("quotes around a text that starts with *, as in \"*.example.com\"")
}

/// A problem of the YAML itself, with the usual cause where there is one.
fn syntax(source: &Source, error: &ScanError) -> Problem {
    let marker = error.marker();
    let start = source.offset(marker.index());
    let rest = source.text().get(start..).unwrap_or_default();
    let width = rest.chars().next().filter(|c| !c.is_control()).map_or(0, char::len_utf8);
    let at = Span { start, end: start + width };
    let info = error.info();
    if info.contains("anchor") || info.contains("alias") {
        return alias(at);
    }
    let problem = Problem::error(at, format!("this is not YAML: {info}"));
    let line = source.text().get(source.whole_lines(at)).unwrap_or_default();
    let likely = if line.contains("${") {
        "quotes around a text with ${...} that stands inside { } or [ ], as in \"${NAME}\""
    } else if line.contains("/{") {
        "quotes around a path pattern that stands inside { }, as in \"/users/{id}\""
    } else if info.contains("mapping values") {
        "quotes around a value that holds a colon and a space, and the same indentation for keys of one section"
    } else if info.contains("cannot start any token") {
        "quotes around a text that starts with a special character"
    } else if rest.starts_with(['{', '}', ',', ']']) || info.contains("flow") {
        "a bracket for every bracket that was opened, and quotes around a text that holds { } [ ] or a comma"
    } else if info.contains("quot") {
        "a closing quote for every quote that was opened"
    } else {
        "the same indentation for all keys of one section, `name: value` on each line, and quotes around special characters"
    };
    problem.expected(likely)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        let mut problems = Vec::new();
        let node = read(&Source::new("t", text), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        node.unwrap()
    }

    #[test]
    fn everything_knows_its_place() {
        let text = "# é\r\na: é b  # c\r\nd:\r\n  - \"q\"\r\n  - { e: 1 }\r\n";
        let source = Source::new("t", text);
        let Value::Map(entries) = tree(text).value else { panic!() };
        let [a, d] = &entries[..] else { panic!() };
        assert_eq!((source.slice(a.key_at), source.slice(a.node.at)), ("a", "é b"));
        let Value::List(items) = &d.node.value else { panic!() };
        let places: Vec<&str> = items.iter().map(|item| source.slice(item.at)).collect();
        assert_eq!(places, ["\"q\"", "{ e: 1 }"]);
    }

    #[test]
    fn quoted_nothing_is_not_null() {
        let Value::Map(entries) = tree("a:\nb: ~\nc: ''\n").value else { panic!() };
        let nulls: Vec<bool> = entries.iter().map(|entry| matches!(entry.node.value, Value::Null)).collect();
        assert_eq!(nulls, [true, true, false]);
    }
}
