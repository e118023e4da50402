//! From a file to a configuration, or to everything that is wrong with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::expand::{Environment, expand};
use super::problem::{Problem, Problems};
use super::read::Reading;
use super::section::{Section, described};
use super::sections;
use super::source::Source;
use super::yaml;
use super::{AccessLog, Config};

/// The largest file that is read: a thousand routes take a tenth of it.
const FILE_MAX: u64 = 1024 * 1024;

/// A configuration that can run.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What runs.
    pub config: Config,
    /// What is probably not meant so.
    pub warnings: Problems,
}

/// Reads the file at `path`; variables come from `env`.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    let of_file = |problem| Problems::new(Source::new(&name, ""), vec![problem]);
    let bytes = bytes_of(path).map_err(|error| of_file(unreadable(&error)))?;
    if bytes.len() as u64 > FILE_MAX {
        let problem = Problem::of_file("the configuration is larger than 1 MiB");
        return Err(of_file(problem.expected("the path of a configuration file")));
    }
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(&name, error.as_bytes()))?;
    parse(&text, &name, path.parent().unwrap_or(Path::new("")), env)
}

/// Reads a text that goes by `file_name` in messages; relative paths in it start from `base_dir`.
///
/// # Errors
/// All that is wrong with it, at once.
pub fn parse(
    text: &str,
    file_name: &str,
    base_dir: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    // A byte-order mark is what some Windows editors put before UTF-8; it means nothing.
    let source = Source::new(file_name, text.strip_prefix('\u{feff}').unwrap_or(text));
    let (config, told) = read(&source, base_dir, env);
    // A warning beside an error is often its mere consequence.
    let (errors, warnings): (Vec<_>, Vec<_>) = told.into_iter().partition(Problem::is_error);
    match config {
        Some(config) if errors.is_empty() => {
            let warnings = Problems::new(source, warnings);
            Ok(Loaded { config: config.relative_to(base_dir), warnings })
        }
        _ => Err(Problems::new(source, errors)),
    }
}

fn read(source: &Source, folder: &Path, env: Environment<'_>) -> (Option<Config>, Vec<Problem>) {
    let mut problems = Vec::new();
    if source.text().len() as u64 > FILE_MAX {
        problems.push(Problem::of_file("the configuration is larger than 1 MiB"));
        return (None, problems);
    }
    let Some(mut root) = yaml::read(source, &mut problems) else {
        if problems.is_empty() {
            problems.push(nothing());
        }
        return (None, problems);
    };
    expand(&mut root, source, env, &mut problems);
    let yaml::Value::Map(entries) = &root.value else {
        problems.push(match root.value {
            yaml::Value::Null => nothing(),
            _ => Problem::error(root.at, "a configuration is made of keys and values")
                .expected("`name: value` on each line, such as `routes:`"),
        });
        return (None, problems);
    };
    let reading = Reading::new(problems, folder);
    let config = Section::read(&reading, "this file".to_owned(), root.at, entries, sections::file);
    (Some(config), reading.into_problems())
}

/// Not taken for the defaults: a file cut short on its way must not close every route on a reload.
fn nothing() -> Problem {
    Problem::of_file("this file sets nothing")
        .expected("at least upstreams and routes, or {} alone for the built-in defaults")
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(error: &io::Error) -> Problem {
    let (message, expected) = match error.kind() {
        io::ErrorKind::NotFound => ("there is no such file".to_owned(), "the path of a configuration file"),
        io::ErrorKind::IsADirectory => {
            ("this is a folder".to_owned(), "the path of a configuration file, such as keyward.yaml in it")
        }
        io::ErrorKind::PermissionDenied => (
            "this file cannot be read: permission denied".to_owned(),
            "a file that the user running Keyward may read",
        ),
        _ => (format!("this file cannot be read: {error}"), "the path of a configuration file"),
    };
    Problem::of_file(message).expected(expected)
}

fn not_utf8(name: &str, bytes: &[u8]) -> Problems {
    let good = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let line = bytes.iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
    let expected = match bytes {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "UTF-8; this looks like UTF-16, save it again as UTF-8",
        _ => "UTF-8; save the file again with that encoding",
    };
    let problem = Problem::of_file(format!("this file is not UTF-8: line {line} holds other bytes"));
    Problems::new(Source::new(name, ""), vec![problem.expected(expected)])
}

impl Config {
    /// What runs without a file: the listener `public` on 0.0.0.0:8080, admin on 127.0.0.1:8081, no routes, and a
    /// store in the working directory.
    #[must_use]
    pub fn default_built_in() -> Self {
        described(sections::file).0
    }

    /// Paths of the file start from its folder.
    fn relative_to(mut self, folder: &Path) -> Self {
        let resolved = |path: &PathBuf| folder.join(path);
        self.store.path = resolved(&self.store.path);
        for tls in self.listeners.iter_mut().filter_map(|listener| listener.tls.as_mut()) {
            tls.resolve(folder);
        }
        self.upstreams.iter_mut().for_each(|upstream| upstream.tls.resolve(folder));
        if let AccessLog::File(path) = &self.log.access {
            self.log.access = AccessLog::File(resolved(path));
        }
        self
    }
}
