//! One event of the application log → one line.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::Form;
use super::encode::{json_string, prose, time};
use crate::clock::Timestamp;

/// Writes the event as one line: JSON with the fields beside `message`, or for people.
pub fn write(event: &Event<'_>, at: Timestamp, form: Form, out: &mut Vec<u8>) {
    let mut fields = Fields { form, message: String::new(), rest: Vec::new() };
    event.record(&mut fields);
    let metadata = event.metadata();
    match form {
        Form::Json => {
            out.extend_from_slice(br#"{"time":""#);
            time(out, at);
            out.extend_from_slice(br#"","level":""#);
            out.extend_from_slice(level(*metadata.level()).as_bytes());
            out.extend_from_slice(br#"","target":"#);
            json_string(out, metadata.target().as_bytes());
            out.extend_from_slice(br#","message":"#);
            json_string(out, fields.message.as_bytes());
            out.extend_from_slice(&fields.rest);
            out.extend_from_slice(b"}\n");
        }
        Form::Human => {
            time(out, at);
            // Writing to a vector does not fail.
            let _ = write!(out, " {:5} ", metadata.level());
            if !metadata.target().starts_with("keyward") {
                prose(out, metadata.target());
                out.extend_from_slice(b": ");
            }
            prose(out, &fields.message);
            out.extend_from_slice(&fields.rest);
            out.push(b'\n');
        }
    }
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// The message, and the other fields already written.
struct Fields {
    form: Form,
    message: String,
    rest: Vec<u8>,
}

impl Fields {
    fn name(&mut self, field: &Field) {
        let name = field.name().trim_start_matches("r#");
        match self.form {
            Form::Json => {
                self.rest.push(b',');
                json_string(&mut self.rest, name.as_bytes());
                self.rest.push(b':');
            }
            Form::Human => {
                self.rest.push(b' ');
                prose(&mut self.rest, name);
                self.rest.push(b'=');
            }
        }
    }

    fn text(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        self.name(field);
        let bare = !value.is_empty() && value.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'~'));
        match self.form {
            Form::Human if bare => self.rest.extend_from_slice(value.as_bytes()),
            Form::Human | Form::Json => json_string(&mut self.rest, value.as_bytes()),
        }
    }

    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.name(field);
        // Writing to a vector does not fail.
        let _ = write!(self.rest, "{value}");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            // Writing to a string does not fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.text(field, &text);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.text(field, &value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }
}
