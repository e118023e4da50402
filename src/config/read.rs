//! Nodes → values, problems kept for later. The sections ask; nothing here knows a key.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::kind::{Complaint, Kind};
use super::problem::Problem;
use super::source::Span;
use super::yaml::{Node, Scalar, Value};

/// A value with the place it was written at.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub value: T,
    pub at: Span,
    /// As written, before variables were put in: what messages show.
    pub written: String,
    /// Whether it is in the file, or a default.
    pub given: bool,
}

impl<T> Placed<T> {
    pub fn default(value: T, at: Span) -> Self {
        Self { value, at, written: String::new(), given: false }
    }
}

/// A name of the operator's choice and what stands under it.
pub(super) type Pair<N, V> = (Placed<N>, Placed<V>);

/// What a reading gathers: everything that is wrong, told at the end.
#[derive(Debug)]
pub(super) struct Reading {
    problems: RefCell<Vec<Problem>>,
    /// Where relative paths start from.
    folder: PathBuf,
}

impl Reading {
    pub fn new(problems: Vec<Problem>, folder: &Path) -> Self {
        Self { problems: RefCell::new(problems), folder: folder.to_owned() }
    }

    /// The text in a file that the configuration names, of so many bytes at most; tells when there is none.
    pub fn text_file(&self, path: &Placed<PathBuf>, most: u64) -> Option<String> {
        let full = self.folder.join(&path.value);
        let read = File::open(full).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(most + 1).read_to_end(&mut bytes).map(|_| bytes)
        });
        let why = match read {
            Err(error) => error.kind().to_string(),
            Ok(bytes) if bytes.len() as u64 > most => format!("it is larger than {} KiB", most / 1024),
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => return Some(text),
                Err(_) => "it is not UTF-8".to_owned(),
            },
        };
        let message = format!("`{}` cannot be read: {why}", shown(&path.written));
        self.tell(Problem::error(path.at, message).expected("a file of text that this user may read"));
        None
    }

    pub fn tell(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Reads one scalar that messages call `name`; tells what is wrong with it.
    pub fn scalar<K: Kind>(
        &self,
        name: &str,
        node: &Node,
        key_at: Span,
        kind: &K,
    ) -> Option<Placed<K::Value>> {
        match &node.value {
            Value::Scalar(scalar) => self.text(scalar, node.at, kind),
            Value::Broken => None,
            Value::Null => {
                self.tell(Problem::error(key_at, format!("{name} has no value")).expected(kind.expected()));
                None
            }
            other => {
                self.tell(
                    Problem::error(node.at, format!("{name} must be {}, found {}", kind.what(), form(other)))
                        .expected(kind.expected()),
                );
                None
            }
        }
    }

    fn text<K: Kind>(&self, scalar: &Scalar, at: Span, kind: &K) -> Option<Placed<K::Value>> {
        let text = scalar.expanded.as_deref().unwrap_or(&scalar.written);
        let read = match text.find(char::is_control) {
            Some(_) => Err(Complaint::because("it holds a line break or another control character")),
            None => kind.read(text),
        };
        match read {
            Ok(value) => Some(Placed { value, at, written: scalar.written.clone(), given: true }),
            Err(complaint) => {
                self.tell(complaint_of(scalar, at, &complaint, &kind.what(), kind.expected()));
                None
            }
        }
    }

    /// The items of a list; tells when it is none.
    pub fn list<'n>(&self, name: &str, node: &'n Node, key_at: Span) -> Option<&'n [Node]> {
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        let expected = "one `- item` on each line, indented under it, or [item, item]; [] for none";
        self.wrong_form(name, node, key_at, "a list", expected);
        None
    }

    /// Tells that a node is not of the form it must be.
    pub fn wrong_form(&self, name: &str, node: &Node, key_at: Span, what: &str, expected: &str) {
        let problem = match &node.value {
            Value::Broken => return,
            Value::Null => Problem::error(key_at, format!("{name} must be {what}, and nothing is under it")),
            other => Problem::error(node.at, format!("{name} must be {what}, found {}", form(other))),
        };
        self.tell(problem.expected(expected));
    }

    /// Reads a key of the operator's choice.
    pub fn name<K: Kind>(&self, key: &str, at: Span, kind: &K) -> Option<Placed<K::Value>> {
        self.text(&Scalar { written: key.to_owned(), expanded: None }, at, kind)
    }
}

/// A complaint about a text that was written so; nothing of a variable's value gets into it.
pub(super) fn complaint_of(
    scalar: &Scalar,
    at: Span,
    complaint: &Complaint,
    what: &str,
    expected: String,
) -> Problem {
    if let Some(value) = &scalar.expanded {
        let lone = scalar.written.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let whose = match lone.filter(|name| !name.contains('$')) {
            Some(name) => format!("the value of {name}"),
            None => format!("`{}` with its variables put in", shown(&scalar.written)),
        };
        let message = match value.as_str() {
            "" => format!("{whose} is empty"),
            _ if complaint.of_kind => format!("{whose} cannot be used"),
            _ => format!("{whose} is not {what}"),
        };
        return Problem::error(at, message).expected(expected);
    }
    let text = match scalar.written.as_str() {
        "" => "an empty text".to_owned(),
        written => format!("`{}`", shown(written)),
    };
    let message = match (complaint.of_kind, complaint.why.as_str()) {
        (true, why) => format!("{text} cannot be used: {why}"),
        (false, "") => format!("{text} is not {what}"),
        (false, why) => format!("{text} is not {what}: {why}"),
    };
    let problem = Problem::error(at, message).expected(expected);
    match &complaint.instead {
        Some(better) => problem.label(format!("write {better}")),
        None => problem,
    }
}

/// A text as messages quote it: one line, not too long.
pub(super) fn shown(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut out: String = text.chars().take(60).map(clean).collect();
    if text.chars().count() > 60 {
        out.push_str("...");
    }
    out
}

fn form(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::Broken => "nothing",
        Value::Scalar(_) => "a single value",
        Value::List(_) => "a list",
        Value::Map(_) => "a section with keys",
    }
}
