use super::*;

fn request(protocol: Protocol, fields: &[(&str, &str)]) -> Result<Framing, InDoubt> {
    let mut seen = Fields::default();
    for (name, value) in fields {
        match *name {
            "cl" => seen.request_length(value.as_bytes())?,
            "te" => seen.coding(value.as_bytes())?,
            other => panic!("{other}"),
        }
    }
    seen.request(protocol)
}

#[test]
fn a_request_ends_in_one_place() {
    use Protocol::{Http2, Http10, Http11};
    for (protocol, fields, want) in [
        (Http11, &[][..], Framing::None),
        (Http10, &[], Framing::None),
        (Http2, &[], Framing::Chunked),
        (Http11, &[("cl", "0")], Framing::Length(0)),
        (Http10, &[("cl", "5")], Framing::Length(5)),
        (Http2, &[("cl", "5")], Framing::Length(5)),
        (Http11, &[("cl", "005")], Framing::Length(5)),
        (Http11, &[("cl", "9223372036854775807")], Framing::Length(u64::MAX / 2)),
        (Http11, &[("te", "chunked")], Framing::Chunked),
        (Http11, &[("te", "ChunKed")], Framing::Chunked),
    ] {
        assert_eq!(request(protocol, fields), Ok(want), "{protocol:?} {fields:?}");
    }
}

#[test]
fn a_request_whose_end_is_in_doubt_is_refused() {
    use Protocol::{Http2, Http10, Http11};
    let lengths = [
        "",
        " ",
        "+5",
        "-5",
        "5 ",
        " 5",
        "5,5",
        "5, 5",
        "5;5",
        "0x5",
        "5.0",
        "1e3",
        "five",
        "٥",
        "\"5\"",
        "5\t",
        "1_000",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999",
        "00000000000000000005",
        "\0",
        "5\0",
    ];
    for value in lengths {
        assert_eq!(request(Http11, &[("cl", value)]), Err(BAD_LENGTH), "{value:?}");
    }
    let codings = [
        "",
        "identity",
        "gzip",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "identity, chunked",
        "x, chunked",
        ",chunked",
        "chunked,",
        "chunked ",
        " chunked",
        "chunked;q=1",
        "\"chunked\"",
        "chunke",
        "chunkedd",
        "\x0bchunked",
        "xchunked",
        "chunked\0",
        "trailers",
        "deflate",
        "cow",
        "chunked\u{a0}",
    ];
    for value in codings {
        assert_eq!(request(Http11, &[("te", value)]), Err(BAD_CODING), "{value:?}");
    }
    for (protocol, fields, why) in [
        (Http11, &[("cl", "5"), ("cl", "5")][..], SEVERAL_LENGTHS),
        (Http11, &[("cl", "5"), ("cl", "6")], SEVERAL_LENGTHS),
        (Http2, &[("cl", "5"), ("cl", "5")], SEVERAL_LENGTHS),
        (Http11, &[("te", "chunked"), ("te", "chunked")], BAD_CODING),
        (Http11, &[("te", "chunked"), ("te", "identity")], BAD_CODING),
        (Http11, &[("te", "chunked"), ("cl", "5")], BOTH),
        (Http11, &[("cl", "0"), ("te", "chunked")], BOTH),
        (Http10, &[("te", "chunked")], CODING_IN_VERSION),
        (Http2, &[("te", "chunked")], CODING_IN_VERSION),
    ] {
        assert_eq!(request(protocol, fields), Err(why), "{protocol:?} {fields:?}");
    }
}

fn answer(
    asked: Asked,
    status: u16,
    protocol: Protocol,
    fields: &[(&str, &str)],
) -> Result<ResponseFraming, InDoubt> {
    response(asked, status, protocol, fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
}

type Row = (Asked, u16, Protocol, &'static [(&'static str, &'static str)], Result<ResponseFraming, InDoubt>);

#[test]
fn an_answer_ends_in_one_place_or_is_unusable() {
    use Asked::{Head, Other};
    use Protocol::{Http10, Http11};
    use ResponseFraming::{Chunked, Close, Length, None};
    let rows: &[Row] = &[
        (Other, 200, Http11, &[], Ok(Close)),
        (Other, 200, Http10, &[], Ok(Close)),
        (Other, 200, Http11, &[("Content-Length", "5")], Ok(Length(5))),
        (Other, 200, Http10, &[("CONTENT-LENGTH", "5")], Ok(Length(5))),
        (Other, 500, Http11, &[("content-length", "0")], Ok(Length(0))),
        (Other, 200, Http11, &[("content-length", "5"), ("content-length", "5")], Ok(Length(5))),
        (Other, 200, Http11, &[("Transfer-Encoding", "Chunked")], Ok(Chunked)),
        (Head, 200, Http11, &[("content-length", "5")], Ok(None)),
        (Head, 200, Http11, &[("transfer-encoding", "chunked")], Ok(None)),
        (Head, 200, Http11, &[], Ok(None)),
        (Other, 304, Http11, &[("content-length", "5")], Ok(None)),
        (Other, 204, Http11, &[], Ok(None)),
        (Other, 204, Http11, &[("content-length", "0")], Ok(None)),
        (Other, 100, Http11, &[], Ok(None)),
        (Other, 101, Http11, &[], Ok(None)),
        (Other, 205, Http11, &[("content-length", "0")], Ok(Length(0))),
        (Other, 204, Http11, &[("content-length", "5")], Err(BODY_ON_204)),
        (Other, 204, Http11, &[("transfer-encoding", "chunked")], Err(BODY_ON_204)),
        (Other, 103, Http11, &[("content-length", "5")], Err(BODY_ON_204)),
        (Head, 200, Http11, &[("content-length", "x")], Err(BAD_LENGTH)),
        (Other, 200, Http11, &[("content-length", "5, 5")], Err(BAD_LENGTH)),
        (Other, 200, Http11, &[("content-length", "-1")], Err(BAD_LENGTH)),
        (Other, 200, Http11, &[("content-length", "")], Err(BAD_LENGTH)),
        (Other, 200, Http11, &[("content-length", "9223372036854775808")], Err(BAD_LENGTH)),
        (Other, 200, Http11, &[("content-length", "5"), ("content-length", "6")], Err(SEVERAL_LENGTHS)),
        (Other, 200, Http11, &[("content-length", "5"), ("transfer-encoding", "chunked")], Err(BOTH)),
        (Other, 200, Http11, &[("transfer-encoding", "gzip, chunked")], Err(BAD_CODING)),
        (Other, 200, Http11, &[("transfer-encoding", "identity")], Err(BAD_CODING)),
        (
            Other,
            200,
            Http11,
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            Err(BAD_CODING),
        ),
        (Other, 200, Http10, &[("transfer-encoding", "chunked")], Err(CODING_IN_VERSION)),
        (Other, 304, Http11, &[("transfer-encoding", "chunked"), ("content-length", "1")], Err(BOTH)),
    ];
    for (asked, status, protocol, fields, want) in rows {
        assert_eq!(
            answer(*asked, *status, *protocol, fields),
            *want,
            "{asked:?} {status} {protocol:?} {fields:?}"
        );
    }
}

#[test]
fn a_framing_field_has_one_spelling() {
    for name in [
        "Transfer_Encoding",
        "transfer.encoding",
        "transfer_encoding",
        "Content_Length",
        "content.length",
        "CONTENT_LENGTH",
        "Keep_Alive",
        "proxy_connection",
        "HTTP2_Settings",
        "http2.settings",
    ] {
        assert_eq!(undisguised(name.as_bytes()), Err(DISGUISED), "{name}");
    }
    for name in [
        "Transfer-Encoding",
        "CONTENT-LENGTH",
        "host",
        "x_transfer_encoding",
        "content_type",
        "transfer__encoding",
        "content_length_",
        "",
        "t",
        "te",
        "connection",
    ] {
        assert_eq!(undisguised(name.as_bytes()), Ok(()), "{name}");
    }
}

#[test]
fn h2c_is_found_wherever_it_is_offered() {
    for (value, want) in [
        ("h2c", true),
        ("H2C", true),
        ("websocket, h2c", true),
        ("h2c,foo", true),
        ("foo , h2/1", true),
        ("websocket", false),
        ("h2cx", false),
        ("", false),
    ] {
        assert_eq!(offers_h2c(value.as_bytes()), want, "{value}");
    }
}
