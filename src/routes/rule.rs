//! The routes of one path on one host: which of them serves a method.

use std::sync::Arc;

use http::Method;

use crate::config::{PathPattern, Route};

/// The routes of one path.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    path: PathPattern,
    ignores_case: bool,
    /// Methods that routes name, in file order.
    named: Vec<(Method, usize)>,
    /// The route that serves any method.
    any: Option<usize>,
    allow: Arc<str>,
}

impl Rule {
    /// Of the path of `route`, without any route.
    pub(super) fn new(route: &Route) -> Self {
        let (path, ignores_case) = (route.path.clone(), route.ignore_case);
        Self { path, ignores_case, named: Vec::new(), any: None, allow: "".into() }
    }

    /// Adds a route of this path.
    pub(super) fn add(&mut self, index: usize, route: &Route) {
        if route.methods.is_empty() {
            self.any.get_or_insert(index);
        }
        for method in &route.methods {
            if self.named(method).is_none() {
                self.named.push((method.clone(), index));
            }
        }
    }

    /// Makes what answers need: called once, after the last [`add`](Self::add).
    pub(super) fn finish(mut self) -> Self {
        let mut methods: Vec<&str> = Vec::new();
        for (method, _) in &self.named {
            methods.push(method.as_str());
            if method == Method::GET && self.named(&Method::HEAD).is_none() {
                methods.push("HEAD");
            }
        }
        self.allow = methods.join(", ").into();
        self
    }

    /// The route for a method: one that names it, then for HEAD one that names GET, then one that serves any.
    pub(super) fn choose(&self, method: &Method) -> Option<usize> {
        let named = self.named(method);
        let named = if method == Method::HEAD { named.or_else(|| self.named(&Method::GET)) } else { named };
        named.or(self.any)
    }

    /// All of them.
    pub(super) fn routes(&self) -> impl Iterator<Item = usize> {
        self.named.iter().map(|(_, index)| *index).chain(self.any)
    }

    fn named(&self, method: &Method) -> Option<usize> {
        self.named.iter().find(|(name, _)| name == method).map(|(_, index)| *index)
    }

    /// The union of the routes' methods.
    pub(super) fn allow(&self) -> Arc<str> {
        Arc::clone(&self.allow)
    }

    /// The path that the routes share.
    pub(super) const fn path(&self) -> &PathPattern {
        &self.path
    }

    /// Whether it is the same path in upper and lower case.
    pub(super) const fn ignores_case(&self) -> bool {
        self.ignores_case
    }
}
