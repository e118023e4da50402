//! `${VAR}` → what the environment holds, in every scalar of a read tree.
//!
//! Expansion comes after parsing, so a value cannot bring in YAML, and before typing, so it can be a number. What a
//! variable holds is never shown: messages keep the text as written. `$${` stands for a literal `${`.

use super::problem::Problem;
use super::source::{Source, Span};
use super::yaml::{Node, Scalar, Value};

/// Where variables are looked up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every scalar under `node`; one that cannot be is reported and broken.
pub(super) fn expand(node: &mut Node, source: &Source, env: Environment<'_>, problems: &mut Vec<Problem>) {
    match &mut node.value {
        Value::Null | Value::Broken => {}
        Value::List(items) => items.iter_mut().for_each(|item| expand(item, source, env, problems)),
        Value::Map(entries) => {
            entries.iter_mut().for_each(|entry| expand(&mut entry.node, source, env, problems));
        }
        Value::Scalar(scalar) => {
            if let Err(fault) = expand_scalar(scalar, env) {
                problems.push(fault.problem(source, node.at));
                node.value = Value::Broken;
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Unset(String),
    Malformed(String),
}

fn expand_scalar(scalar: &mut Scalar, env: Environment<'_>) -> Result<(), Fault> {
    if !scalar.written.contains("${") {
        return Ok(());
    }
    let mut out = String::new();
    let mut rest = scalar.written.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(escaped) = before.strip_suffix('$') {
            out.push_str(escaped);
            out.push_str("${");
            rest = after;
            continue;
        }
        out.push_str(before);
        let name = after.split_once('}').filter(|(name, _)| is_name(name));
        let (name, after) = name.ok_or_else(|| Fault::Malformed(reference(after)))?;
        let value = env(name).ok_or_else(|| Fault::Unset(name.to_owned()))?;
        out.push_str(&value);
        rest = after;
    }
    out.push_str(rest);
    scalar.expanded = Some(out);
    Ok(())
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The broken reference as written, to be found again in the source.
fn reference(after: &str) -> String {
    let end = after.find('}').map_or(after.len(), |at| at + 1);
    format!("${{{}", after.get(..end).unwrap_or_default())
}

impl Fault {
    fn problem(&self, source: &Source, at: Span) -> Problem {
        let (written, message, help) = match self {
            Self::Unset(name) => (
                format!("${{{name}}}"),
                format!("the environment variable {name} is not set"),
                format!("set {name} for this process, or write the value here"),
            ),
            Self::Malformed(written) => (
                written.clone(),
                "this is not a variable".to_owned(),
                "write ${NAME}, a name of letters, digits and underscores; there are no defaults as in \
                 ${NAME:-x}; a literal ${ is written $${"
                    .to_owned(),
            ),
        };
        let place = source.slice(at).find(&written).map_or(at, |offset| {
            let start = at.start + offset;
            Span { start, end: start + written.len() }
        });
        Problem::error(place, message).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(written: &str) -> Result<String, Fault> {
        let mut scalar = Scalar { written: written.to_owned(), expanded: None };
        let env = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "_B2" => Some("${A}".to_owned()),
            _ => None,
        };
        expand_scalar(&mut scalar, &env)?;
        Ok(scalar.expanded.unwrap_or(scalar.written))
    }

    #[test]
    fn variables_are_put_in_once() {
        for (written, expected) in [
            ("plain", "plain"),
            ("${A}", "1"),
            ("x${A}y${A}", "x1y1"),
            ("${_B2}", "${A}"),
            ("$${A}", "${A}"),
            ("$A $ {A}", "$A $ {A}"),
        ] {
            assert_eq!(expanded(written), Ok(expected.to_owned()), "{written}");
        }
    }

    #[test]
    fn what_cannot_be_expanded_is_told() {
        assert_eq!(expanded("${C}"), Err(Fault::Unset("C".to_owned())));
        for bad in ["${", "${}", "${A", "${A:-x}", "${1A}", "${A B}"] {
            assert!(matches!(expanded(bad), Err(Fault::Malformed(_))), "{bad}");
        }
    }
}
