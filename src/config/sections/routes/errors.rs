//! Bodies of refusals in the operator's own words: of one route's, or of all.

use http::HeaderValue;

use crate::auth::refusal::Code;
use crate::config::describe::Turn;
use crate::config::kind::http::FieldText;
use crate::config::kind::text::{File, Words};
use crate::config::kind::words::RefusalCode;
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::Section;
use crate::web::own_body::OwnBody;

/// Bytes of a body in a file of its own.
const FILE_MAX: u64 = 64 * 1024;

/// Reads the list of a route.
pub(super) fn read(s: &mut Section<'_>) -> Vec<OwnBody> {
    let comment =
        "Bodies of refusals in your own words; status and fields stay, and gRPC is never told by one.";
    bodies(s, "errors", comment, "on this route")
}

/// Reads the list under this key; what it holds for, in words.
pub(in crate::config::sections) fn bodies(
    s: &mut Section<'_>,
    key: &'static str,
    comment: &'static str,
    whose: &str,
) -> Vec<OwnBody> {
    let read = s.absent_sections(key, comment, item);
    let codes: Vec<&Placed<Code>> = read.iter().flat_map(|(codes, _)| codes).collect();
    for (index, code) in codes.iter().enumerate() {
        if let Some(first) = codes.iter().take(index).find(|first| first.value == code.value) {
            let message = format!("`{}` has two bodies {whose}", shown(&code.written));
            s.tell(Problem::error(code.at, message).and(first.at, "first here").expected("each code once"));
        }
    }
    read.into_iter().filter_map(|(_, body)| body).collect()
}

fn item(s: &mut Section<'_>) -> (Vec<Placed<Code>>, Option<OwnBody>) {
    let comment = "The codes of the refusals that have it.";
    let codes = s.scalars_needed("codes", &RefusalCode, "missing_credentials", comment);
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let comment = "What it is; what is filled in is escaped for JSON, HTML and XML.";
    let content_type = s.value("content_type", &FieldText, text, comment).value;
    let comment = "The body, with {request_id}, {code}, {status}, {title} and {detail} filled in.";
    let example = "Please log in (request {request_id})";
    let body = s.alternative(Turn::First, "body", &Words::Body, example, comment);
    let comment = "A file with the body, of 64 KiB at most; it is read when this file is loaded.";
    let file = s.alternative(Turn::Later, "body_file", &File, "errors/login.html", comment);
    s.exactly_one(&["body", "body_file"], "one of body: Please log in or body_file: errors/login.html");
    let (text, at) = match (body, file) {
        (Some(body), _) => (body.value, body.at),
        (None, Some(file)) => match s.text_file(&file, FILE_MAX) {
            Some(text) => (text, file.at),
            None => return (codes, None),
        },
        (None, None) => return (codes, None),
    };
    let own = OwnBody::compile(codes.iter().map(|code| code.value).collect(), content_type, &text);
    let own = own.map_err(|_| {
        let places: Vec<String> = OwnBody::places().map(|place| format!("{{{place}}}")).collect();
        // The word may be what a variable holds, which is not shown.
        let problem = Problem::error(at, "a word in braces is none that something is filled in for");
        s.tell(problem.expected(format!("one of {}; other braces stay as they are", places.join(", "))));
    });
    (codes, own.ok())
}
