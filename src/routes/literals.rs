//! Exact paths and prefixes as a tree of segments: one walk finds the best of both.

use super::hash::Map;

/// A tree of segments; the root stands before the first `/`.
#[derive(Clone, Debug)]
pub(super) struct Literals {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    children: Map<Box<str>, usize>,
    /// The rule of exactly this path.
    exact: Option<usize>,
    /// The rule of this path and everything under it.
    prefix: Option<usize>,
    /// The rule of everything under this path, not of the path itself: the prefix ends in `/`.
    under: Option<usize>,
}

/// The best rule that was found for a path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// Larger for the more specific one: exact before prefix, a longer prefix before a shorter one.
    rank: usize,
    pub rule: usize,
}

impl Best {
    const EXACT: usize = usize::MAX;

    /// Whether this one goes before `other`, which goes first where both are as specific.
    pub(super) const fn is_before(self, other: Self) -> bool {
        self.rank > other.rank
    }
}

impl Default for Literals {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Literals {
    /// Rule `rule` serves `path` alone.
    pub(super) fn add_exact(&mut self, path: &str, rule: usize) {
        if let Some(node) = self.node(path) {
            node.exact.get_or_insert(rule);
        }
    }

    /// Rule `rule` serves `path` and everything under it; a `path` that ends in `/` serves what begins with it.
    pub(super) fn add_prefix(&mut self, path: &str, rule: usize) {
        match path.strip_suffix('/') {
            Some(parent) => self.node(parent).map(|node| node.under.get_or_insert(rule)),
            None => self.node(path).map(|node| node.prefix.get_or_insert(rule)),
        };
    }

    /// The rule of exactly this path, or of its longest prefix. The walk ends where no configured path goes on, so that
    /// a long path costs no more than the longest configured one.
    pub(super) fn find(&self, path: &str) -> Option<Best> {
        let found = |rule: Option<usize>, rank| rule.map(|rule| Best { rank, rule });
        let mut node = self.nodes.first()?;
        let (mut best, mut rank) = (None, 0);
        let mut rest = path.strip_prefix('/');
        loop {
            best = found(node.prefix, rank).or(best);
            let Some(text) = rest else { return found(node.exact, Best::EXACT).or(best) };
            best = found(node.under, rank + 1).or(best);
            rank += 2;
            let (segment, after) = first_segment(text);
            match node.children.get(segment).and_then(|child| self.nodes.get(*child)) {
                Some(child) => node = child,
                None => return best,
            }
            rest = after;
        }
    }

    /// The node of a path, made when it is missing.
    fn node(&mut self, path: &str) -> Option<&mut Node> {
        let mut at = 0;
        let mut rest = path.strip_prefix('/');
        while let Some(text) = rest {
            let (segment, after) = first_segment(text);
            let new = self.nodes.len();
            let child = *self.nodes.get_mut(at)?.children.entry(segment.into()).or_insert(new);
            if child == new {
                self.nodes.push(Node::default());
            }
            at = child;
            rest = after;
        }
        self.nodes.get_mut(at)
    }
}

/// The first segment of a path without its leading `/`, and what follows the next `/`.
pub(super) fn first_segment(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((segment, after)) => (segment, Some(after)),
        None => (text, None),
    }
}
