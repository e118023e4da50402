//! `server::follow::Follower` beside `httparse`, and beside itself with other pieces.

use keyward::server::follow::{Follower, Head};

use super::pieces::Manner;

/// Takes the input's rest as what a client sends.
pub fn run(data: &[u8]) {
    let Some((manner, stream)) = Manner::split(data) else { return };
    let whole = follow(stream, usize::MAX);
    let pieces = follow(stream, manner.piece());
    assert_eq!(whole, pieces, "the pieces make a difference");
    let (heads, _, _) = whole;
    for (at, expected) in plain_heads(stream).into_iter().enumerate() {
        assert_eq!(heads.get(at), Some(&expected), "head {at}");
    }
}

/// The heads, whether another has begun, whether the last body has come whole.
fn follow(stream: &[u8], piece: usize) -> (Vec<Head>, bool, bool) {
    let mut follower = Follower::default();
    let mut heads = Vec::new();
    for bytes in stream.chunks(piece) {
        follower.take(bytes);
        heads.extend(std::iter::from_fn(|| follower.next_head()));
    }
    (heads, follower.has_begun_another(), follower.is_past_body())
}

/// The heads that `httparse` finds, as long as no body is chunked or has an end in doubt.
fn plain_heads(mut stream: &[u8]) -> Vec<Head> {
    let mut heads = Vec::new();
    loop {
        let mut fields = [httparse::EMPTY_HEADER; 100];
        let mut request = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = request.parse(stream) else { return heads };
        let (head, rest) = stream.split_at(length);
        let values = |name: &str| -> Vec<&[u8]> {
            let named = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            named.map(|field| field.value).collect()
        };
        let lengths = values("content-length");
        let body = lengths.first().map_or(Some(0), |value| decimal(value));
        // What is before the request line is skipped, and not part of a line.
        let fragment = request.path.is_some_and(|path| path.contains('#'));
        let bare_lf = head.split_inclusive(|byte| *byte == b'\n').any(|line| !line.ends_with(b"\r\n"));
        if lengths.len() > 1 || !values("transfer-encoding").is_empty() {
            return heads;
        }
        let Some(body) = body else { return heads };
        heads.push(Head {
            fragment,
            content_lengths: u8::try_from(lengths.len()).unwrap_or(u8::MAX),
            bare_lf,
        });
        let Some(behind) = rest.get(body..) else { return heads };
        stream = behind;
    }
}

fn decimal(value: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.len() < 10)?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
