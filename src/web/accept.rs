//! In which format a refusal is told: the best q of `Accept` (RFC 9110 §12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;

/// The formats of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/problem+json`.
    Problem,
    /// `text/html`.
    Html,
    /// `text/plain`.
    Text,
}

/// What one media range says about one type: how exactly it names it, and the weight in thousandths.
#[derive(Clone, Copy, Default)]
struct Weight {
    exactness: u8,
    thousandths: u16,
}

impl Weight {
    /// The most exact range counts; of equally exact ones the heavier.
    fn take(&mut self, exactness: u8, thousandths: u16) {
        if (exactness, thousandths) > (self.exactness, self.thousandths) {
            *self = Self { exactness, thousandths };
        }
    }
}

const TYPES: [(&str, &str); 4] =
    [("application", "problem+json"), ("application", "json"), ("text", "html"), ("text", "plain")];

/// The format whose q is best. Problem JSON also for a tie, for no `Accept`, and for one that cannot be read.
#[must_use]
pub fn negotiate(headers: &HeaderMap) -> Format {
    let mut weights = [Weight::default(); 4];
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            if let Some((kind, subtype, thousandths)) = parse_range(range) {
                weigh(&mut weights, kind, subtype, thousandths);
            }
        }
    }
    let [problem, json, html, text] = weights.map(|weight| weight.thousandths);
    let json = problem.max(json);
    if html > json && html > text {
        Format::Html
    } else if text > json && text > html {
        Format::Text
    } else {
        Format::Problem
    }
}

fn weigh(weights: &mut [Weight; 4], kind: &str, subtype: &str, thousandths: u16) {
    for (weight, (own_kind, own_subtype)) in weights.iter_mut().zip(TYPES) {
        let exactness = match (kind.eq_ignore_ascii_case(own_kind), subtype.eq_ignore_ascii_case(own_subtype))
        {
            (true, true) => 3,
            (true, false) if subtype == "*" => 2,
            _ if kind == "*" && subtype == "*" => 1,
            _ => continue,
        };
        weight.take(exactness, thousandths);
    }
}

/// Type, subtype and weight of one media range; parameters other than `q` are passed over.
fn parse_range(range: &str) -> Option<(&str, &str, u16)> {
    let mut parts = range.split(';').map(str::trim);
    let (kind, subtype) = parts.next()?.split_once('/')?;
    let mut thousandths = 1000;
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.eq_ignore_ascii_case("q")
        {
            thousandths = parse_weight(value)?;
        }
    }
    Some((kind, subtype, thousandths))
}

/// `0`, `0.5`, `1.000`: at most three digits after the point, at most one.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut fraction = 0;
    for index in 0..3 {
        let digit = digits.as_bytes().get(index).map_or(0, |byte| byte - b'0');
        fraction = fraction * 10 + u16::from(digit);
    }
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn format(values: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        negotiate(&headers)
    }

    #[test]
    fn the_best_weight_wins() {
        for (values, want) in [
            (&["text/html"][..], Format::Html),
            (&["TEXT/HTML"], Format::Html),
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"], Format::Html),
            (&["text/html, application/json;q=0.9"], Format::Html),
            (&["text/html;q=0.5, application/json;q=0.9"], Format::Problem),
            (&["text/plain"], Format::Text),
            (&["text/plain; charset=utf-8"], Format::Text),
            (&["text/plain;q=0.9, text/html;q=0.899"], Format::Text),
            (&["text/plain;Q=0.1"], Format::Text),
            (&["text/html;q=0.2", "text/plain;q=0.3"], Format::Text),
            (&["*/*;q=0.1, text/plain"], Format::Text),
            (&["*/*, application/json;q=0, application/problem+json;q=0, text/plain;q=0.5"], Format::Html),
            (&["text/*, text/html;q=0.1"], Format::Text),
            (&["text/html;level=1"], Format::Html),
            (&["x, text/html"], Format::Html),
            (&["image/png, text/html;q=0.1"], Format::Html),
            (&["text/html;q=1.000"], Format::Html),
        ] {
            assert_eq!(format(values), want, "{values:?}");
        }
    }

    #[test]
    fn ties_wildcards_and_nonsense_are_answered_in_problem_json() {
        for values in [
            &[][..],
            &[""],
            &["*/*"],
            &["application/json"],
            &["application/problem+json"],
            &["application/*"],
            &["text/html, application/json"],
            &["text/html, text/plain"],
            &["text/*"],
            &["text/html;q=0"],
            &["image/png"],
            &["nonsense"],
            &["/"],
            &["text/html;q=2"],
            &["text/html;q=0.1234"],
            &["text/html;q=-1"],
            &["text/html;q="],
            &["text/html;q=0.x"],
            &["text/html;q=1.001"],
            &["*/html"],
            &["text/html/"],
            &["t\u{e9}xt/html"],
            &[",,,;;;==="],
            &["application/problem+json;q=0.9, text/html;q=0.9"],
        ] {
            assert_eq!(format(values), Format::Problem, "{values:?}");
        }
    }
}
