//! The routes of one host: which path of theirs is the best for a request.

use std::collections::HashMap;

use super::literals::Literals;
use super::patterns::{Patterns, shape};
use super::rule::Rule;
use crate::config::{PathPattern, Route};

/// The routes of one host.
#[derive(Clone, Debug)]
pub(super) struct Group {
    literals: Literals,
    patterns: Patterns,
    /// In file order of their first route.
    rules: Box<[Rule]>,
}

impl Group {
    /// The one rule whose routes may serve a path: exact, then longest prefix, then first pattern.
    pub(super) fn best(&self, path: &str) -> Option<&Rule> {
        let rule = self.literals.find(path).or_else(|| self.patterns.find(path))?;
        self.rules.get(rule)
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Gathers the routes of one host, those of the same path together.
#[derive(Default)]
pub(super) struct GroupBuilder {
    by_path: HashMap<PathPattern, usize>,
    rules: Vec<Rule>,
}

impl GroupBuilder {
    /// Adds a route. Patterns that differ in the names of their parameters alone are the same path.
    pub(super) fn add(&mut self, index: usize, route: &Route) {
        let key = match &route.path {
            PathPattern::Pattern(text) => PathPattern::Pattern(shape(text)),
            literal => literal.clone(),
        };
        let new = self.rules.len();
        let rule = *self.by_path.entry(key).or_insert(new);
        if rule == new {
            self.rules.push(Rule::new(route.path.clone()));
        }
        if let Some(rule) = self.rules.get_mut(rule) {
            rule.add(index, route);
        }
    }

    pub(super) fn build(self) -> Group {
        let rules: Box<[Rule]> = self.rules.into_iter().map(Rule::finish).collect();
        let mut literals = Literals::default();
        let mut patterns = Patterns::default();
        for (index, rule) in rules.iter().enumerate() {
            match rule.path() {
                PathPattern::Exact(path) => literals.add_exact(path, index),
                PathPattern::Prefix(path) => literals.add_prefix(path, index),
                PathPattern::Pattern(text) => patterns.add(text, index),
            }
        }
        Group { literals, patterns, rules }
    }
}
