//! The routes of one host: which path of theirs is the best for a request.

use std::collections::HashMap;

use super::literals::{Best, Literals};
use super::patterns::{Patterns, shape};
use super::rule::Rule;
use crate::config::{PathPattern, Route};

/// The routes of one host.
#[derive(Clone, Debug)]
pub(super) struct Group {
    as_written: Paths,
    /// The paths of routes that ignore case, all in lower case; `None` = there are none.
    in_any_case: Option<Box<Paths>>,
    /// In file order of their first route.
    rules: Box<[Rule]>,
}

impl Group {
    /// The one rule whose routes may serve a path: exact, then longest prefix, then first pattern.
    pub(super) fn best(&self, path: &str) -> Option<&Rule> {
        let rule = match &self.in_any_case {
            None => self.as_written.best(path),
            Some(others) => {
                let folded = path.to_ascii_lowercase();
                let ours = (self.as_written.literals.find(path), others.literals.find(&folded));
                let patterns = || [self.as_written.patterns.find(path), others.patterns.find(&folded)];
                more_specific(ours).or_else(|| patterns().into_iter().flatten().min())
            }
        };
        self.rules.get(rule?)
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Paths, ready to be searched.
#[derive(Clone, Debug, Default)]
struct Paths {
    literals: Literals,
    patterns: Patterns,
}

impl Paths {
    fn best(&self, path: &str) -> Option<usize> {
        let literal = self.literals.find(path).map(|best| best.rule);
        literal.or_else(|| self.patterns.find(path))
    }

    fn add(&mut self, path: &PathPattern, rule: usize) {
        match path {
            PathPattern::Exact(path) => self.literals.add_exact(path, rule),
            PathPattern::Prefix(path) => self.literals.add_prefix(path, rule),
            PathPattern::Pattern(text) => self.patterns.add(text, rule),
        }
    }
}

/// Of two that are as specific, the one whose case counts.
fn more_specific(found: (Option<Best>, Option<Best>)) -> Option<usize> {
    match found {
        (Some(as_written), Some(other)) if other.is_before(as_written) => Some(other.rule),
        (Some(best), _) | (None, Some(best)) => Some(best.rule),
        (None, None) => None,
    }
}

/// Gathers the routes of one host, those of the same path together.
#[derive(Default)]
pub(super) struct GroupBuilder {
    by_path: HashMap<(PathPattern, bool), usize>,
    rules: Vec<Rule>,
}

impl GroupBuilder {
    /// Adds a route. Patterns that differ in the names of their parameters alone are the same path.
    pub(super) fn add(&mut self, index: usize, route: &Route) {
        let path = if route.ignore_case { route.path.in_lower_case() } else { route.path.clone() };
        let path = match path {
            PathPattern::Pattern(text) => PathPattern::Pattern(shape(&text)),
            literal => literal,
        };
        let key = (path, route.ignore_case);
        let new = self.rules.len();
        let rule = *self.by_path.entry(key).or_insert(new);
        if rule == new {
            self.rules.push(Rule::new(route));
        }
        if let Some(rule) = self.rules.get_mut(rule) {
            rule.add(index, route);
        }
    }

    pub(super) fn build(self) -> Group {
        let rules: Box<[Rule]> = self.rules.into_iter().map(Rule::finish).collect();
        let (mut as_written, mut in_any_case) = (Paths::default(), None);
        for (index, rule) in rules.iter().enumerate() {
            match rule.ignores_case() {
                false => as_written.add(rule.path(), index),
                true => in_any_case
                    .get_or_insert_with(Box::<Paths>::default)
                    .add(&rule.path().in_lower_case(), index),
            }
        }
        Group { as_written, in_any_case, rules }
    }
}
