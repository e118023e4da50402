//! Texts: names, scopes, files and what stands in answers.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Complaint, Kind, string_schema};
use crate::auth::scope::Scope;
use crate::auth::token::Prefix;
use crate::config::AccessLog;
use crate::config::suggest::nearest;

/// The name of a listener, an upstream or a route: a label in metrics.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Name;

impl Kind for Name {
    type Value = Arc<str>;

    fn what(&self) -> String {
        "a name".to_owned()
    }

    fn expected(&self) -> String {
        "1 to 64 letters, digits, `_`, `-` or `.`, the first a letter or digit, such as orders-api".to_owned()
    }

    fn read(&self, text: &str) -> Result<Arc<str>, Complaint> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts && text.len() <= 64 && text.bytes().all(legal) {
            return Ok(text.into());
        }
        Err(Complaint::plain())
    }

    fn show(&self, value: &Arc<str>) -> String {
        value.as_ref().to_owned()
    }

    fn schema(&self) -> Value {
        string_schema("^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    }
}

/// One scope.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct ScopeName;

impl Kind for ScopeName {
    type Value = Scope;

    fn what(&self) -> String {
        "a scope".to_owned()
    }

    fn expected(&self) -> String {
        "1 to 128 visible ASCII characters without spaces, `\"` and `\\`, such as \"orders:read\"".to_owned()
    }

    fn read(&self, text: &str) -> Result<Scope, Complaint> {
        Scope::parse(text).ok_or_else(|| match text.contains([' ', ',']) {
            true => Complaint::because("one scope stands here; write several as a list"),
            false => Complaint::plain(),
        })
    }

    fn show(&self, value: &Scope) -> String {
        value.as_str().to_owned()
    }

    fn schema(&self) -> Value {
        string_schema("^[!#-\\[\\]-~]{1,128}$")
    }
}

/// The prefix of secrets.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct SecretPrefix;

impl Kind for SecretPrefix {
    type Value = Prefix;

    fn what(&self) -> String {
        "a prefix".to_owned()
    }

    fn expected(&self) -> String {
        "1 to 16 lower-case letters and digits, first a letter, such as kw; `_` is added to it".to_owned()
    }

    fn read(&self, text: &str) -> Result<Prefix, Complaint> {
        Prefix::parse(text).ok_or_else(|| {
            let plain = text.trim_end_matches('_').to_ascii_lowercase();
            let better = Prefix::parse(&plain).map(|_| plain);
            Complaint::plain().perhaps(better)
        })
    }

    fn show(&self, value: &Prefix) -> String {
        value.as_str().to_owned()
    }

    fn schema(&self) -> Value {
        string_schema("^[a-z][a-z0-9]{0,15}$")
    }
}

/// A file, relative to the configuration's folder or absolute.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct File;

impl Kind for File {
    type Value = PathBuf;

    fn what(&self) -> String {
        "a file".to_owned()
    }

    fn expected(&self) -> String {
        "the path of a file, absolute or relative to this file's folder, such as data/keyward.db".to_owned()
    }

    fn read(&self, text: &str) -> Result<PathBuf, Complaint> {
        if text.is_empty() || text.ends_with('/') || matches!(text, "." | "..") {
            return Err(Complaint::because("it names a folder"));
        }
        if text.starts_with("~/") {
            return Err(Complaint::refused("`~` is not expanded")
                .instead(format!("\"{}\"", text.replacen('~', "${HOME}", 1))));
        }
        Ok(text.into())
    }

    fn show(&self, value: &PathBuf) -> String {
        value.display().to_string()
    }

    fn schema(&self) -> Value {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct AccessTarget;

impl Kind for AccessTarget {
    type Value = AccessLog;

    fn what(&self) -> String {
        "stdout, stderr, off or a file".to_owned()
    }

    fn expected(&self) -> String {
        "stdout, stderr, off, or a file such as ./access.log or /var/log/keyward/access.log".to_owned()
    }

    fn read(&self, text: &str) -> Result<AccessLog, Complaint> {
        match text {
            "stdout" => return Ok(AccessLog::Stdout),
            "stderr" => return Ok(AccessLog::Stderr),
            "off" => return Ok(AccessLog::Off),
            _ => {}
        }
        if matches!(text.to_ascii_lowercase().as_str(), "false" | "no" | "none" | "null" | "off") {
            return Err(Complaint::plain().instead("off"));
        }
        // A lone word is a slip far more often than a file: stdot would fill a file of that name unseen.
        if let Some(meant) = nearest(text, ["stdout", "stderr"]) {
            return Err(Complaint::plain().instead(meant));
        }
        if !text.contains(['/', '.']) {
            let why = "a file's path needs a `/` or a `.` in it, so that a slip is not taken for one";
            return Err(Complaint::because(why).instead(format!("./{text}")));
        }
        File.read(text).map(AccessLog::File)
    }

    fn show(&self, value: &AccessLog) -> String {
        match value {
            AccessLog::Stdout => "stdout".to_owned(),
            AccessLog::Stderr => "stderr".to_owned(),
            AccessLog::Off => "off".to_owned(),
            AccessLog::File(path) => path.display().to_string(),
        }
    }

    fn schema(&self) -> Value {
        string_schema("^(stdout|stderr|off|.*[/.].*)$")
    }
}

/// What stands before the code in `type`: an absolute URI as far as it goes.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct TypeBase;

impl Kind for TypeBase {
    type Value = String;

    fn what(&self) -> String {
        "the start of a URI".to_owned()
    }

    fn expected(&self) -> String {
        "an absolute URI that the code can follow, ended by `:`, `/`, `#`, `=` or `?`, such as \
         \"urn:keyward:error:\" or https://docs.example.com/errors/"
            .to_owned()
    }

    fn read(&self, text: &str) -> Result<String, Complaint> {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        let scheme_legal = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        if !scheme_legal {
            return Err(Complaint::because("it does not start with a scheme such as https:"));
        }
        if !text.bytes().all(legal) {
            return Err(Complaint::because("it has characters that no URI contains"));
        }
        if !text.ends_with([':', '/', '#', '=', '?']) {
            let end = if scheme.eq_ignore_ascii_case("urn") { ':' } else { '/' };
            let complaint = Complaint::refused("the code follows without anything between");
            return Err(complaint.instead(format!("{text}{end}")));
        }
        Ok(text.to_owned())
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn schema(&self) -> Value {
        string_schema("^[A-Za-z][A-Za-z0-9+.-]*:(.*[:/#=?])?$")
    }
}

/// A text that stands in answers or lists as it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Words {
    /// A realm: it stands in a quoted string of a challenge.
    Realm,
    /// A description for people.
    Description,
    /// The body of an answer.
    Body,
}

impl Kind for Words {
    type Value = String;

    fn what(&self) -> String {
        match self {
            Self::Realm => "a realm",
            Self::Description => "a description",
            Self::Body => "a body",
        }
        .to_owned()
    }

    fn expected(&self) -> String {
        match self {
            Self::Realm => {
                "1 to 100 visible ASCII characters or spaces without `\"` and `\\`, such as keyward"
            }
            Self::Description => "a line of at most 500 characters",
            Self::Body => "a line of at most 16384 characters",
        }
        .to_owned()
    }

    fn read(&self, text: &str) -> Result<String, Complaint> {
        let realm = |c: char| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        let legal = match self {
            Self::Realm => (1..=100).contains(&text.len()) && text.chars().all(realm),
            Self::Description => text.chars().count() <= 500,
            Self::Body => text.chars().count() <= 16_384,
        };
        legal.then(|| text.to_owned()).ok_or_else(Complaint::plain)
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn schema(&self) -> Value {
        match self {
            Self::Realm => string_schema("^[ !#-\\[\\]-~]{1,100}$"),
            Self::Description => json!({ "type": "string", "maxLength": 500 }),
            Self::Body => json!({ "type": "string", "maxLength": 16_384 }),
        }
    }
}
