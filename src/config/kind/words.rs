//! One word of a few, and true or false.

use serde_json::{Value, json};

use super::{Complaint, Kind, or_variable};
use crate::auth::refusal::Code;
use crate::config::suggest::nearest;

/// One word of a few.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Words<T: 'static>(pub &'static [(&'static str, T)]);

impl<T: Copy + PartialEq> Kind for Words<T> {
    type Value = T;

    fn what(&self) -> String {
        format!("one of {}", self.joined())
    }

    fn expected(&self) -> String {
        format!("one of {}", self.joined())
    }

    fn read(&self, text: &str) -> Result<T, Complaint> {
        let found = self.0.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let near = nearest(text, self.0.iter().map(|(word, _)| *word));
            Complaint::plain().perhaps(near.map(str::to_owned))
        })
    }

    fn show(&self, value: &T) -> String {
        let found = self.0.iter().find(|(_, known)| known == value);
        found.map_or_else(String::new, |(word, _)| (*word).to_owned())
    }

    fn schema(&self) -> Value {
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        or_variable(vec![json!({ "enum": words })])
    }
}

impl<T> Words<T> {
    fn joined(&self) -> String {
        self.0.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
    }
}

/// One word of a few, each standing for itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Named(pub &'static [&'static str]);

impl Kind for Named {
    type Value = &'static str;

    fn what(&self) -> String {
        format!("one of {}", self.0.join(", "))
    }

    fn expected(&self) -> String {
        self.what()
    }

    fn read(&self, text: &str) -> Result<&'static str, Complaint> {
        self.0.iter().find(|word| **word == text).copied().ok_or_else(|| {
            let near = nearest(text, self.0.iter().copied());
            Complaint::plain().perhaps(near.map(str::to_owned))
        })
    }

    fn show(&self, value: &&'static str) -> String {
        (*value).to_owned()
    }

    fn schema(&self) -> Value {
        or_variable(vec![json!({ "enum": self.0 })])
    }
}

/// The code of a refusal.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct RefusalCode;

impl Kind for RefusalCode {
    type Value = Code;

    fn what(&self) -> String {
        "the code of a refusal".to_owned()
    }

    fn expected(&self) -> String {
        "a code as it stands in refusals, such as missing_credentials".to_owned()
    }

    fn read(&self, text: &str) -> Result<Code, Complaint> {
        Code::ALL.into_iter().find(|code| code.as_str() == text).ok_or_else(|| {
            let near = nearest(text, Code::ALL.into_iter().map(Code::as_str));
            Complaint::plain().perhaps(near.map(str::to_owned))
        })
    }

    fn show(&self, value: &Code) -> String {
        value.as_str().to_owned()
    }

    fn schema(&self) -> Value {
        let mut words: Vec<&str> = Code::ALL.into_iter().map(Code::as_str).collect();
        words.dedup();
        or_variable(vec![json!({ "enum": words })])
    }
}

/// `true` or `false`, nothing else.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Switch;

impl Kind for Switch {
    type Value = bool;

    fn what(&self) -> String {
        "true or false".to_owned()
    }

    fn expected(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, text: &str) -> Result<bool, Complaint> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(match other.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" | "1" => Complaint::plain().instead("true"),
                "false" | "no" | "off" | "n" | "0" => Complaint::plain().instead("false"),
                _ => Complaint::plain(),
            }),
        }
    }

    fn show(&self, value: &bool) -> String {
        value.to_string()
    }

    fn schema(&self) -> Value {
        or_variable(vec![json!({ "type": "boolean" })])
    }
}
