//! `errors`: bodies of a route's refusals in the operator's own words.

use http::HeaderValue;

use crate::auth::refusal::Code;
use crate::config::kind::http::FieldText;
use crate::config::kind::text::Words;
use crate::config::kind::words::RefusalCode;
use crate::config::problem::Problem;
use crate::config::read::{Placed, shown};
use crate::config::section::Section;
use crate::web::own_body::OwnBody;

/// Reads the list.
pub(super) fn read(s: &mut Section<'_>) -> Vec<OwnBody> {
    let comment =
        "Bodies of refusals in your own words; status and fields stay, and gRPC is never told by one.";
    let read = s.absent_sections("errors", comment, item);
    let codes: Vec<&Placed<Code>> = read.iter().flat_map(|(codes, _)| codes).collect();
    for (index, code) in codes.iter().enumerate() {
        if let Some(first) = codes.iter().take(index).find(|first| first.value == code.value) {
            let message = format!("`{}` has two bodies on this route", shown(&code.written));
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
    let body = s.required("body", &Words::Body, "Please log in (request {request_id})", comment);
    let Some(body) = body else { return (codes, None) };
    let own = OwnBody::compile(codes.iter().map(|code| code.value).collect(), content_type, &body.value);
    let own = own.map_err(|word| {
        let places: Vec<String> = OwnBody::places().map(|place| format!("{{{place}}}")).collect();
        // What a variable holds is not shown.
        let message = match body.written.contains(&word) {
            true => format!("there is nothing to fill in for `{{{}}}`", shown(&word)),
            false => "there is nothing to fill in for a word in braces".to_owned(),
        };
        s.tell(Problem::error(body.at, message).expected(format!("one of {}", places.join(", "))));
    });
    (codes, own.ok())
}
