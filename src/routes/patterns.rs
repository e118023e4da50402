//! Patterns as a tree of segments: finds the one that stands first in the file among all that match.

use super::hash::Map;
use super::literals::first_segment;

/// A tree of pattern segments.
#[derive(Clone, Debug)]
pub(super) struct Patterns {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug)]
struct Node {
    literal: Map<Box<str>, usize>,
    /// The child for any one segment that is not empty.
    any: Option<usize>,
    /// The rule whose pattern ends here.
    end: Option<usize>,
    /// The rule whose pattern takes any rest from here.
    rest: Option<usize>,
    /// The first rule at or under this node.
    first: usize,
}

impl Node {
    fn new() -> Self {
        Self { literal: Map::default(), any: None, end: None, rest: None, first: usize::MAX }
    }
}

impl Default for Patterns {
    fn default() -> Self {
        Self { nodes: vec![Node::new()] }
    }
}

/// One segment of a pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// This text.
    Literal(&'a str),
    /// `{name}`: any one segment that is not empty.
    One,
    /// `{*name}`: any rest, also an empty one.
    Rest,
}

/// The segments of a pattern.
pub(super) fn parts(pattern: &str) -> impl Iterator<Item = Part<'_>> {
    pattern.split('/').skip(1).map(|segment| {
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) if name.starts_with('*') => Part::Rest,
            Some(_) => Part::One,
            None => Part::Literal(segment),
        }
    })
}

/// A pattern without the names of its parameters.
pub(super) fn shape(pattern: &str) -> Box<str> {
    let mut shape = String::with_capacity(pattern.len());
    for part in parts(pattern) {
        shape.push('/');
        shape.push_str(match part {
            Part::Literal(text) => text,
            Part::One => "{}",
            Part::Rest => "{*}",
        });
    }
    shape.into()
}

impl Patterns {
    /// Rule `rule` serves what `pattern` matches. Rules are added in file order.
    pub(super) fn add(&mut self, pattern: &str, rule: usize) {
        let mut at = 0;
        for part in parts(pattern) {
            let new = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            node.first = node.first.min(rule);
            let child = match part {
                Part::Literal(text) => *node.literal.entry(text.into()).or_insert(new),
                Part::One => *node.any.get_or_insert(new),
                Part::Rest => {
                    node.rest.get_or_insert(rule);
                    return;
                }
            };
            if child == new {
                self.nodes.push(Node::new());
            }
            at = child;
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.first = node.first.min(rule);
            node.end.get_or_insert(rule);
        }
    }

    /// The first rule in the file whose pattern matches.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        let mut best = usize::MAX;
        self.search(0, path.strip_prefix('/'), &mut best);
        (best != usize::MAX).then_some(best)
    }

    /// Lowers `best` to the first rule under node `at` that matches `rest`. No deeper than the longest pattern.
    fn search(&self, at: usize, rest: Option<&str>, best: &mut usize) {
        let Some(node) = self.nodes.get(at).filter(|node| node.first < *best) else { return };
        let Some(text) = rest else {
            *best = node.end.map_or(*best, |rule| rule.min(*best));
            return;
        };
        *best = node.rest.map_or(*best, |rule| rule.min(*best));
        let (segment, after) = first_segment(text);
        if let Some(child) = node.literal.get(segment) {
            self.search(*child, after, best);
        }
        if let Some(child) = node.any.filter(|_| !segment.is_empty()) {
            self.search(child, after, best);
        }
    }
}
