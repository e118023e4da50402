//! What is wrong with a configuration, and how people and programs are told.
//!
//! A problem never holds the value of an environment variable: whoever makes one names the variable instead.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::source::{Source, Span};

/// Most problems that one rendering shows; the rest are counted.
const SHOWN_MAX: usize = 100;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration cannot run.
    Error,
    /// It runs, and probably not as its author thinks.
    Warning,
}

/// Whether a rendering carries terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    Plain,
    /// With ANSI escapes.
    Coloured,
}

/// One problem.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    severity: Severity,
    message: String,
    label: Option<String>,
    expected: Option<String>,
    help: Option<String>,
    at: Option<Span>,
    related: Option<(Span, String)>,
}

impl Problem {
    pub fn error(at: Span, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            label: None,
            expected: None,
            help: None,
            at: Some(at),
            related: None,
        }
    }

    pub fn warning(at: Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(at, message) }
    }

    /// A problem of the file as a whole.
    pub fn of_file(message: impl Into<String>) -> Self {
        Self { at: None, ..Self::error(Span::default(), message) }
    }

    /// What stands right under the offending text.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// What would be right.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// What to do, where there is no one right text.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A second place that has to do with it.
    pub fn and(mut self, at: Span, label: impl Into<String>) -> Self {
        self.related = Some((at, label.into()));
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Everything that is wrong with one file, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    source: Source,
    list: Vec<Problem>,
}

/// One problem as programs read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The file, as it was named.
    pub file: String,
    /// Counted from 1; absent when the problem is of the file as a whole.
    pub line: Option<usize>,
    /// Counted from 1, in characters.
    pub column: Option<usize>,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub expected: Option<String>,
}

impl Problems {
    pub(super) fn new(source: Source, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| problem.at.map_or(0, |at| at.start));
        Self { source, list }
    }

    /// How many of them keep the configuration from running.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.list.iter().filter(|problem| problem.is_error()).count()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems as programs read them, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.list.iter().map(|problem| self.entry(problem)).collect()
    }

    fn entry(&self, problem: &Problem) -> Entry {
        let place = problem.at.map(|at| self.source.line_and_column(at.start));
        let texts = [&problem.label, &problem.expected, &problem.help];
        let expected: Vec<&str> = texts.into_iter().flatten().map(String::as_str).collect();
        Entry {
            file: self.source.name().to_owned(),
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            severity: problem.severity,
            message: problem.message.clone(),
            expected: (!expected.is_empty()).then(|| expected.join("; ")),
        }
    }

    /// The problems as people read them: place, offending line, what was expected.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Plain => Renderer::plain(),
            Style::Coloured => Renderer::styled(),
        };
        let shown: Vec<String> =
            self.list.iter().take(SHOWN_MAX).map(|problem| self.render_one(problem, &renderer)).collect();
        let mut text = shown.join("\n\n");
        if self.list.len() > SHOWN_MAX {
            text.push_str(&format!("\n\n... and {} more", self.list.len() - SHOWN_MAX));
        }
        text
    }

    fn render_one(&self, problem: &Problem, renderer: &Renderer) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = match problem.at {
            None => level
                .primary_title(&problem.message)
                .element(annotate_snippets::Origin::path(self.source.name())),
            Some(at) => level.primary_title(&problem.message).element(self.snippet(problem, at)),
        };
        if let Some(expected) = &problem.expected {
            group = group.element(Level::HELP.with_name("expected").message(expected));
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help));
        }
        let report: &[Group<'_>] = &[group];
        renderer.render(report).to_string()
    }

    /// Only the lines that matter are handed over, so that a large file costs no more than a small one.
    fn snippet<'a>(
        &'a self,
        problem: &'a Problem,
        at: Span,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let related = problem.related.as_ref().map(|(place, label)| (*place, label.as_str()));
        let second = related.map_or(at, |(place, _)| place);
        let all = Span { start: at.start.min(second.start), end: at.end.max(second.end) };
        let lines = self.source.whole_lines(all);
        let within = |span: Span| {
            let start = span.start.saturating_sub(lines.start);
            start..span.end.saturating_sub(lines.start).max(start)
        };
        let text = self.source.text().get(lines.clone()).unwrap_or_default();
        let primary = AnnotationKind::Primary.span(within(at)).label(problem.label.as_deref());
        let snippet = Snippet::source(text)
            .path(self.source.name())
            .line_start(self.source.line_and_column(all.start).0)
            .annotation(primary);
        match related {
            None => snippet,
            Some((place, label)) => {
                snippet.annotation(AnnotationKind::Context.span(within(place)).label(label))
            }
        }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Problems {}
