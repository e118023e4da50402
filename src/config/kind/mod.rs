//! What a scalar can be: how it is read, what is said when it cannot be, how it is shown and described.

pub(super) mod certificate;
pub(super) mod host;
pub(super) mod http;
pub(super) mod net;
pub(super) mod number;
pub(super) mod path;
pub(super) mod target;
pub(super) mod text;
pub(super) mod time;
pub(super) mod url;
pub(super) mod words;

use serde_json::{Value, json};

/// One kind of scalar.
pub(super) trait Kind {
    /// What it becomes.
    type Value;

    /// What it is, with its article: "a duration".
    fn what(&self) -> String;

    /// What to write, with an example.
    fn expected(&self) -> String;

    /// Reads the expanded text.
    ///
    /// # Errors
    /// When it is not of this kind. The complaint may hold the text; it is dropped where a variable was put in.
    fn read(&self, text: &str) -> Result<Self::Value, Complaint>;

    /// A value as it is written in a file.
    fn show(&self, value: &Self::Value) -> String;

    /// The kind in JSON Schema.
    fn schema(&self) -> Value;
}

/// Why a text is not of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Follows "`text` is not a …: ", or "`text` cannot be used: "; may be empty.
    pub why: String,
    /// It is of the kind, and yet of no use here.
    pub of_kind: bool,
    /// What to write in its place.
    pub instead: Option<String>,
}

impl Complaint {
    /// It is something else altogether.
    pub fn plain() -> Self {
        Self::default()
    }

    pub fn because(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }

    /// It is of the kind, but of no use here.
    pub fn refused(why: impl Into<String>) -> Self {
        Self { why: why.into(), of_kind: true, instead: None }
    }

    /// The text that is probably meant, if there is one.
    pub fn perhaps(mut self, text: Option<String>) -> Self {
        self.instead = text;
        self
    }

    pub fn instead(mut self, text: impl Into<String>) -> Self {
        self.instead = Some(text.into());
        self
    }
}

/// A string of the form `pattern`, or one that holds a variable.
pub(super) fn string_schema(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}|\\$\\{{") })
}

/// Something that is no string, or a string that holds a variable.
pub(super) fn or_variable(mut forms: Vec<Value>) -> Value {
    forms.push(json!({ "type": "string", "pattern": "\\$\\{" }));
    json!({ "anyOf": forms })
}
