//! A refusal as a page for people: one file, no script, nothing loaded.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::auth::refusal::Code;

const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--text:#1c2330;--soft:#5c6675;--line:#dfe3ea;--mark:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ground:#12151b;--card:#1b2029;--text:#e7eaf0;--soft:#9aa4b5;--line:#2c3340;--mark:#ff8a80}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--text);font:1rem/1.6 system-ui,sans-serif}\
main{width:100%;max-width:36rem;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem}\
.status{margin:0;color:var(--mark);font-weight:600;letter-spacing:.04em}\
h1{margin:.25rem 0 1rem;font-size:1.5rem;line-height:1.3}\
p{margin:0 0 1.5rem;overflow-wrap:anywhere}\
dl{display:grid;grid-template-columns:auto 1fr;gap:.25rem 1rem;margin:0;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.875rem}\
dd{margin:0;font-family:ui-monospace,monospace;overflow-wrap:anywhere}";

/// The policy that goes with every page: its own style and nothing else.
pub(super) fn policy() -> HeaderValue {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

/// The page. Every text is escaped.
pub(super) fn render(code: Code, detail: &str, request_id: &str) -> String {
    let (status, name) = (code.status(), code.as_str());
    let (title, detail, request_id) = (escape(code.title()), escape(detail), escape(request_id));
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{status} {title}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<p class="status">{status}</p>
<h1>{title}</h1>
<p>{detail}</p>
<dl>
<dt>Code</dt><dd>{name}</dd>
<dt>Request</dt><dd>{request_id}</dd>
</dl>
</main>
</body>
</html>
"#
    )
}

/// `text` as it can stand in markup, also in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_escaped() {
        let page = render(Code::NoRoute, "<script>alert('1')</script> & \"x\"", "<b>");
        assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;x&quot;"));
        assert!(page.contains("<dd>&lt;b&gt;</dd>"));
        assert!(!page.contains("<script") && !page.contains("<b>"));
    }

    #[test]
    fn the_policy_names_the_style_of_the_page() {
        let page = render(Code::NoRoute, "", "");
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()));
        assert!(policy().to_str().unwrap().contains(&format!("style-src 'sha256-{hash}'")));
        assert!(!page.contains("style=") && !page.contains("http://") && !page.contains("https://"));
    }
}
