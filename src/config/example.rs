//! The description → a file with every key, its default and one line of comment.

use super::describe::{Key, Presence, Shape, Turn};
use super::section::described;
use super::sections;

const HEAD: &str = "\
# yaml-language-server: $schema=keyward.schema.json
#
# Every key there is, with its default and what it means. Upstreams, routes and scopes have no default; here they
# stand as examples. This file is generated: `keyward.yaml` is the one to start from.
#
# Durations: 500ms, 30s, 15m, 12h, 30d. Sizes: 512, 32KiB, 10MiB, 1GiB. ${NAME} is replaced by the environment
# variable NAME, also in quotes and inside text; a literal ${ is written $${. Relative paths start from this folder.
";

/// How far a comment may be pushed to the right to stand in one column with the others.
const COLUMN_MAX: usize = 40;

/// The full example.
#[must_use]
pub fn full_example() -> String {
    let (_, keys) = described(sections::file);
    let mut out = HEAD.to_owned();
    for key in &keys {
        out.push('\n');
        section(&mut out, std::slice::from_ref(key), 0);
    }
    out
}

/// Lines of the keys of one section, the comments of neighbours in one column.
fn section(out: &mut String, keys: &[Key], indent: usize) {
    let mark = |key| if is_commented_out(key) { 2 } else { 0 };
    let width = keys.iter().map(|key| head(key).len() + mark(key)).filter(|width| *width <= COLUMN_MAX).max();
    for key in keys {
        let mark = if is_commented_out(key) { "# " } else { "" };
        let blank = [&*" ".repeat(indent), mark].concat();
        let head = head(key);
        let width = width.unwrap_or_default().saturating_sub(mark.len());
        let comment = format!("{head:<width$}  # {}", key.comment);
        out.push_str(&format!("{blank}{}\n", comment.trim_end_matches([' ', '#'])));
        let mut inner = String::new();
        below(&mut inner, key, indent + 2);
        inner.lines().for_each(|line| {
            let (before, line) = line.split_at_checked(indent).unwrap_or((line, ""));
            out.push_str(&format!("{before}{mark}{line}\n"));
        });
    }
}

/// Whether it is there to be seen only: beside it another key stands, or its absence.
fn is_commented_out(key: &Key) -> bool {
    matches!(key.presence, Presence::OneOf(Turn::Later) | Presence::Absent)
}

/// The key and what stands in its line.
fn head(key: &Key) -> String {
    let name = key.name;
    match &key.shape {
        Shape::Scalar { text, .. } => format!("{name}: {}", scalar(text)),
        Shape::Scalars { default, .. } => {
            format!("{name}: [{}]", default.iter().map(|item| scalar(item)).collect::<Vec<_>>().join(", "))
        }
        Shape::Pairs { example: (key, value), .. } => {
            format!("{name}: {{ {}: {} }}", scalar(key), scalar(value))
        }
        Shape::Tagged { default, .. } => format!("{name}: {default}"),
        Shape::Section(_) | Shape::Sections { .. } | Shape::Map { .. } => format!("{name}:"),
    }
}

/// What stands in the lines under a key.
fn below(out: &mut String, key: &Key, indent: usize) {
    let blank = " ".repeat(indent);
    match &key.shape {
        Shape::Scalar { .. } | Shape::Scalars { .. } | Shape::Pairs { .. } => {}
        Shape::Section(keys) => section(out, keys, indent),
        Shape::Sections { keys, .. } => {
            let mut item = String::new();
            section(&mut item, keys, indent + 2);
            out.push_str(&format!("{blank}- {}", item.trim_start()));
        }
        Shape::Map { example, keys, .. } => {
            out.push_str(&format!("{blank}\"{example}\":\n"));
            section(out, keys, indent + 2);
        }
        Shape::Tagged { tags, .. } => {
            let blank = " ".repeat(indent.saturating_sub(2));
            for tag in tags {
                out.push_str(&format!("{blank}# {}: {{ {}: {} }}\n", key.name, tag.name, flow(tag)));
            }
        }
    }
}

/// A section of one line.
fn flow(key: &Key) -> String {
    match &key.shape {
        Shape::Section(keys) => {
            let heads: Vec<String> = keys.iter().map(head).collect();
            format!("{{ {} }}", heads.join(", "))
        }
        _ => String::new(),
    }
}

/// A scalar as YAML wants it: in quotes where it would be read as something else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:".contains(c);
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    match starts_well && text.chars().all(plain) && !text.ends_with(':') && !text.contains("::") {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}
