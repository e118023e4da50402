//! `rewrite`: the path that an upstream is asked for in place of the one that was matched.

use crate::auth::refusal::Ambiguity;
use crate::config::describe::Turn;
use crate::config::kind::Kind as _;
use crate::config::kind::path::{Form, RawPath, compile};
use crate::config::problem::Problem;
use crate::config::read::{Placed, complaint_of, shown};
use crate::config::section::Section;
use crate::config::yaml::Scalar;
use crate::config::{PathPattern, Piece, Rewrite};

/// As read: judging it takes the path of the route.
pub(super) enum Written {
    StripPrefix(Placed<String>),
    Prefix(Placed<String>),
    Path(Placed<String>),
}

/// Reads the section.
pub(super) fn section(s: &mut Section<'_>) -> Option<Written> {
    let (prefix, path) = (RawPath(Form::Prefix), RawPath(Form::Pattern));
    let comment = "The beginning that is taken off; what is left of nothing is /.";
    let strip_prefix = s.alternative(Turn::First, "strip_prefix", &prefix, "/v1", comment);
    let comment = "What stands in place of the route's path_prefix.";
    let prefix = s.alternative(Turn::Later, "prefix", &prefix, "/internal", comment);
    let comment = "The whole path; {name} and {*name} are what they are in the route's path_pattern.";
    let path = s.alternative(Turn::Later, "path", &path, "/accounts/{id}", comment);
    s.exactly_one(
        &["strip_prefix", "prefix", "path"],
        "one of strip_prefix: /v1, prefix: /internal or path: \"/accounts/{id}\"",
    );
    let strip_prefix = strip_prefix.map(Written::StripPrefix);
    strip_prefix.or(prefix.map(Written::Prefix)).or(path.map(Written::Path))
}

/// What it comes to on a route that serves `matched` and allows `allow`; what is wrong with it is told.
pub(super) fn judged(
    s: &Section<'_>,
    written: Written,
    matched: &PathPattern,
    allow: &[Ambiguity],
) -> Option<Rewrite> {
    match written {
        Written::StripPrefix(text) => {
            let strip = literal(s, Form::Prefix, &text, allow)?;
            if strip == "/" {
                let problem = Problem::error(text.at, "`strip_prefix: /` takes nothing off");
                s.tell(problem.expected("a beginning of the route's path, or no `rewrite`"));
                return None;
            }
            if !begins(fixed(matched), &strip) {
                let message = format!(
                    "`{}` is not the beginning of the route's path `{}`",
                    shown(&text.written),
                    shown(spelling(matched))
                );
                s.tell(
                    Problem::error(text.at, message).expected("the first segments of the path under `match`"),
                );
                return None;
            }
            Some(Rewrite::Prefix { strip: strip.len(), instead: "".into() })
        }
        Written::Prefix(text) => {
            let instead = literal(s, Form::Prefix, &text, allow)?;
            let PathPattern::Prefix(prefix) = matched else {
                let problem = Problem::error(
                    text.at,
                    "`prefix` takes the place of a path_prefix, and the route has none",
                );
                s.tell(problem.expected("`path` with the whole path, or a route with path_prefix"));
                return None;
            };
            let instead = instead.trim_end_matches('/').into();
            Some(Rewrite::Prefix { strip: prefix.trim_end_matches('/').len(), instead })
        }
        Written::Path(text) if text.value.contains(['{', '}']) => template(s, &text, matched, allow),
        Written::Path(text) => {
            let path = literal(s, Form::Exact, &text, allow)?;
            Some(Rewrite::Path([Piece::Text(path.into())].into()))
        }
    }
}

/// The path as text, if it is right.
fn literal(s: &Section<'_>, form: Form, text: &Placed<String>, allow: &[Ambiguity]) -> Option<String> {
    match compile(form, &text.value, allow) {
        Ok(PathPattern::Exact(path) | PathPattern::Prefix(path) | PathPattern::Pattern(path)) => {
            Some(path.into())
        }
        Err(complaint) => {
            let kind = RawPath(form);
            let expanded = (text.written != text.value).then(|| text.value.clone());
            let scalar = Scalar { written: text.written.clone(), expanded };
            s.tell(complaint_of(&scalar, text.at, &complaint, &kind.what(), kind.expected()));
            None
        }
    }
}

/// Each placeholder by the place of its segment in the pattern, so that it is found without names.
fn template(
    s: &Section<'_>,
    text: &Placed<String>,
    matched: &PathPattern,
    allow: &[Ambiguity],
) -> Option<Rewrite> {
    let path = literal(s, Form::Pattern, text, allow)?;
    let pattern = match matched {
        PathPattern::Pattern(pattern) => pattern,
        PathPattern::Exact(_) | PathPattern::Prefix(_) => "",
    };
    let mut pieces: Vec<Piece> = Vec::new();
    for segment in path.split('/').skip(1) {
        let piece = if segment.contains('{') {
            let Some(place) = pattern.split('/').skip(1).position(|other| other == segment) else {
                let message = format!("`{}` is not in the route's path", shown(segment));
                s.tell(
                    Problem::error(text.at, message)
                        .expected("a {name} or {*name} as it stands in the route's path_pattern"),
                );
                return None;
            };
            if segment.starts_with("{*") { Piece::Rest(place) } else { Piece::Segment(place) }
        } else {
            Piece::Text(format!("/{segment}").into())
        };
        match (pieces.last_mut(), piece) {
            (Some(Piece::Text(before)), Piece::Text(more)) => *before = [&**before, &*more].concat().into(),
            (_, piece) => pieces.push(piece),
        }
    }
    Some(Rewrite::Path(pieces.into()))
}

/// The segments before the first placeholder.
fn fixed(matched: &PathPattern) -> &str {
    match matched {
        PathPattern::Exact(path) | PathPattern::Prefix(path) => path,
        PathPattern::Pattern(pattern) => pattern.split("/{").next().unwrap_or_default(),
    }
}

fn spelling(matched: &PathPattern) -> &str {
    match matched {
        PathPattern::Exact(path) | PathPattern::Prefix(path) | PathPattern::Pattern(path) => path,
    }
}

/// Whether `start` is the first whole segments of `path`.
fn begins(path: &str, start: &str) -> bool {
    path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
