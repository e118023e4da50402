//! `cors`: which pages of other origins may use a route.

use std::time::Duration;

use http::{HeaderValue, Method};

use crate::config::kind::http::{AnyField, MethodName};
use crate::config::kind::time::Span;
use crate::config::kind::url::PageOrigin;
use crate::config::kind::words::Switch;
use crate::config::problem::Problem;
use crate::config::section::Section;
use crate::web::cors::{Cors, Origins};

/// What pages of other origins send where nothing is said of methods.
const USUAL: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Reads the section; `served` are the methods of the route, none for all.
pub(super) fn read(s: &mut Section<'_>, served: &[Method]) -> Option<Box<Cors>> {
    let comment = "Which pages of other origins may use this route; absent = none.";
    s.absent_section("cors", comment, |s| Box::new(section(s, served)))
}

fn section(s: &mut Section<'_>, served: &[Method]) -> Cors {
    let comment = "Origins such as [https://app.example.com, \"https://*.example.com\"], or [\"*\"] for any.";
    let origins = s.scalars_needed("origins", &PageOrigin, "https://app.example.com", comment);
    let usual: Vec<Method> = if served.is_empty() { USUAL.to_vec() } else { served.to_vec() };
    let comment = "Methods that they may use; by default those of the route.";
    let methods = s.scalars_or("methods", &MethodName, usual, comment);
    let usual = vec![http::header::AUTHORIZATION, http::header::CONTENT_TYPE];
    let headers = s.scalars_or("headers", &AnyField, usual, "Fields that they may send.");
    let exposed = s.scalars("exposed", &AnyField, "Fields of answers that they may read.");
    let comment = "Whether they may send cookies and client certificates.";
    let credentials = s.value("credentials", &Switch, false, comment);
    let comment = "How long a browser may remember this.";
    let max_age = s.value("max_age", &Span::ANY, Duration::from_secs(600), comment).value;
    let any = origins.iter().find(|origin| origin.value.is_none());
    if let Some(any) = any
        && credentials.value
    {
        let problem = Problem::error(any.at, "any origin could act with the cookies of whoever visits it")
            .and(credentials.at, "because of this");
        s.tell(problem.expected("the origins that may, or credentials: false"));
    }
    Cors {
        origins: match any {
            Some(_) => Origins::Any,
            None => Origins::These(origins.into_iter().filter_map(|origin| origin.value).collect()),
        },
        methods: joined(methods.iter().map(|method| method.value.as_str())),
        headers: joined(headers.iter().map(|name| name.value.as_str())),
        exposed: (!exposed.is_empty()).then(|| joined(exposed.iter().map(|name| name.value.as_str()))),
        credentials: credentials.value,
        max_age: HeaderValue::from(max_age.as_secs()),
    }
}

/// Names as one field's value.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> HeaderValue {
    let text = names.collect::<Vec<_>>().join(", ");
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
