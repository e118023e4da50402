//! Bodies of refusals in the operator's own words: a text with a few places that are filled in, escaped for its type.

use http::HeaderValue;

use super::page;
use super::request_id::RequestId;
use crate::auth::refusal::{Code, Refusal};

/// The body of some refusals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnBody {
    codes: Box<[Code]>,
    content_type: HeaderValue,
    form: Form,
    pieces: Box<[Piece]>,
}

/// What a text that is filled in must not break out of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Markup,
    Plain,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Place(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    RequestId,
    Code,
    Status,
    Title,
    Detail,
}

const PLACES: [(&str, Place); 5] = [
    ("request_id", Place::RequestId),
    ("code", Place::Code),
    ("status", Place::Status),
    ("title", Place::Title),
    ("detail", Place::Detail),
];

impl OwnBody {
    /// The body of refusals with one of `codes`.
    ///
    /// # Errors
    /// A word in braces that is no place; braces around anything but one word are text.
    pub fn compile(codes: Box<[Code]>, content_type: HeaderValue, text: &str) -> Result<Self, String> {
        let form = Form::of(content_type.to_str().unwrap_or_default());
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let word = after.split_once('}').filter(|(word, _)| is_word(word));
            let Some((word, after)) = word else {
                pieces.push(Piece::Text([before, "{"].concat().into()));
                rest = after;
                continue;
            };
            let place = PLACES.iter().find(|(name, _)| *name == word).ok_or(word)?;
            pieces.push(Piece::Text(before.into()));
            pieces.push(Piece::Place(place.1));
            rest = after;
        }
        pieces.push(Piece::Text(rest.into()));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self { codes, content_type, form, pieces: pieces.into() })
    }

    /// The names that can stand in braces.
    pub fn places() -> impl Iterator<Item = &'static str> {
        PLACES.into_iter().map(|(name, _)| name)
    }

    /// Of these the one for refusals with this code.
    #[must_use]
    pub fn of(all: &[Self], code: Code) -> Option<&Self> {
        // Two of them go by one name.
        all.iter().find(|body| body.codes.iter().any(|own| own.as_str() == code.as_str()))
    }

    /// What it is.
    #[must_use]
    pub const fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The body of one refusal.
    #[must_use]
    pub fn render(&self, refusal: &Refusal, request_id: &RequestId) -> Vec<u8> {
        let code = refusal.code();
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Place(place) => out.push_str(&self.form.escaped(&match place {
                    Place::RequestId => request_id.as_str().into(),
                    Place::Code => code.as_str().into(),
                    Place::Status => code.status().to_string().into(),
                    Place::Title => code.title().into(),
                    Place::Detail => refusal.detail(),
                })),
            }
        }
        out.into_bytes()
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}

impl Form {
    fn of(content_type: &str) -> Self {
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media.ends_with("/json") || media.ends_with("+json") {
            Self::Json
        } else if ["html", "xml"].iter().any(|end| media.ends_with(end)) {
            Self::Markup
        } else {
            Self::Plain
        }
    }

    fn escaped(self, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Markup => page::escape(text),
            Self::Json => {
                let quoted = serde_json::to_string(text).unwrap_or_default();
                let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                inner.unwrap_or_default().to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::refusal::Ambiguity;

    fn render(content_type: &'static str, text: &str, refusal: &Refusal) -> String {
        let codes = Code::ALL.into();
        let body = OwnBody::compile(codes, HeaderValue::from_static(content_type), text).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_static("a.b"));
        let id = RequestId::sent(&headers).expect("it is one");
        String::from_utf8(body.render(refusal, &id)).unwrap()
    }

    #[test]
    fn places_are_filled_in_and_other_braces_stay() {
        let refusal = Refusal::AmbiguousPath(Ambiguity::DotSegment);
        for (text, want) in [
            ("{status} {code} {request_id}", "400 ambiguous_path a.b"),
            ("{\"code\": \"{code}\", \"x\": {}}", "{\"code\": \"ambiguous_path\", \"x\": {}}"),
            ("p { color: red } {{code}}", "p { color: red } {ambiguous_path}"),
            ("{", "{"),
            ("", ""),
        ] {
            assert_eq!(render("text/plain", text, &refusal), want);
        }
        let unknown =
            OwnBody::compile(Box::default(), HeaderValue::from_static("text/plain"), "{ {requst_id}");
        assert_eq!(unknown, Err("requst_id".to_owned()));
    }

    #[test]
    fn what_is_filled_in_is_escaped_for_its_type() {
        let refusal = Refusal::Conflict("a \"<b>\" & 'c' \\".into());
        for content_type in ["application/json", "application/problem+json; charset=utf-8", "text/JSON"] {
            let text = render(content_type, "{\"detail\": \"{detail}\"}", &refusal);
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["detail"], *refusal.detail());
        }
        for content_type in ["text/html; charset=utf-8", "application/xhtml+xml", "image/svg+xml"] {
            let text = render(content_type, "<p>{detail}</p>", &refusal);
            assert!(text.contains("&lt;b&gt;") && !text.contains("<b>"), "{text}");
        }
        assert_eq!(render("text/plain", "{detail}", &refusal), *refusal.detail());
    }
}
