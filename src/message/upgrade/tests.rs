use super::*;

const KEY_OF_THE_RFC: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT_OF_THE_RFC: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

fn handshake() -> HeaderMap {
    headers(&[("sec-websocket-key", KEY_OF_THE_RFC), ("sec-websocket-version", "13")])
}

fn asked<'a>(protocol: &'a HeaderValue, method: &'a Method, headers: &'a HeaderMap) -> Asked<'a> {
    Asked { protocol, method, headers, opening: Opening::Fields }
}

/// What becomes of a request for `protocol` on a route that allows `websocket` and `tcp-ish/1`.
fn read<'a>(
    protocol: &'a HeaderValue,
    method: &'a Method,
    headers: &'a HeaderMap,
) -> Result<Option<Upgrade<'a>>, Refusal> {
    let allowed = ["websocket".into(), "tcp-ish/1".into()];
    Upgrade::read(asked(protocol, method, headers), &allowed, Subprotocols::MayCarryCredential)
}

#[test]
fn only_what_the_route_allows_is_asked_for_and_only_as_it_is_opened() {
    let plain = HeaderMap::new();
    for (protocol, method, headers, honoured) in [
        ("websocket", Method::GET, handshake(), true),
        ("WebSocket", Method::GET, handshake(), true),
        ("websocket", Method::POST, handshake(), false),
        ("websocket", Method::HEAD, handshake(), false),
        ("websocket, websocket", Method::GET, handshake(), false),
        ("websocket,", Method::GET, handshake(), false),
        ("websocket/13", Method::GET, handshake(), false),
        ("websocke", Method::GET, handshake(), false),
        ("", Method::GET, handshake(), false),
        ("tcp-ish/1", Method::GET, plain.clone(), true),
        ("TCP-ish/1", Method::POST, plain.clone(), true),
        ("tcp-ish/1", Method::PUT, plain.clone(), false),
        ("tcp-ish/2", Method::GET, plain.clone(), false),
        ("tcp-ish", Method::GET, plain, false),
    ] {
        let value = HeaderValue::from_str(protocol).unwrap();
        let read = read(&value, &method, &headers).unwrap();
        assert_eq!(read.is_some(), honoured, "{method} {protocol}");
        let websocket = read.is_some_and(|upgrade| upgrade.is_websocket());
        assert_eq!(websocket, honoured && protocol.len() == WEBSOCKET.len() && !protocol.contains("ish"));
    }
    let websocket = HeaderValue::from_static("websocket");
    let (method, handshake) = (Method::GET, handshake());
    let nothing = Upgrade::read(asked(&websocket, &method, &handshake), &[], Subprotocols::Names);
    assert!(nothing.unwrap().is_none());
}

#[test]
fn another_version_is_not_ours_to_open_and_a_broken_key_is_refused() {
    let websocket = HeaderValue::from_static("websocket");
    for version in [&[][..], &["8"], &["13", "13"], &["13, 8"], &["013"]] {
        let mut headers = headers(&[("sec-websocket-key", KEY_OF_THE_RFC)]);
        for value in version {
            headers.append("sec-websocket-version", value.parse().unwrap());
        }
        assert!(read(&websocket, &Method::GET, &headers).unwrap().is_none(), "{version:?}");
    }
    let long = "A".repeat(24);
    for key in [
        &[][..],
        &[KEY_OF_THE_RFC, KEY_OF_THE_RFC],
        &[""],
        &["dGhlIHNhbXBsZSBub25jZQ="],
        &["dGhlIHNhbXBsZSBub25jZQ==="],
        &["dGhlIHNhbXBsZSBub25j-Q=="],
        &[&long],
    ] {
        let mut headers = headers(&[("sec-websocket-version", "13")]);
        for value in key {
            headers.append("sec-websocket-key", value.parse().unwrap());
        }
        let read = read(&websocket, &Method::GET, &headers);
        assert_eq!(read.err(), Some(Refusal::BadRequest(BAD_KEY)), "{key:?}");
    }
}

#[test]
fn a_key_is_answered_as_in_the_rfc() {
    assert_eq!(Key::parse(KEY_OF_THE_RFC.as_bytes()).unwrap().accept(), ACCEPT_OF_THE_RFC);
}

/// The 101 that a handshake with these subprotocols is answered by, with these fields.
fn granted(
    offered: &[&str],
    announced: Option<&str>,
    fields: &[(&'static str, &str)],
) -> Result<HeaderMap, InDoubt> {
    let mut request = handshake();
    for names in offered {
        request.append(subprotocol::FIELD, names.parse().unwrap());
    }
    let websocket = HeaderValue::from_static("websocket");
    let upgrade = read(&websocket, &Method::GET, &request).unwrap().unwrap();
    let mut answer = headers(fields);
    upgrade.grant(announced.map(str::as_bytes), &mut answer).map(|()| answer)
}

#[test]
fn a_101_is_taken_only_for_what_was_asked() {
    let accept = ("sec-websocket-accept", ACCEPT_OF_THE_RFC);
    let selects = |name| (subprotocol::FIELD, name);
    let offer = &["chat, keyward.bearer.k"];
    for (offered, announced, fields, outcome) in [
        (&[][..], Some("websocket"), &[accept][..], None),
        (&[], Some("WebSocket"), &[accept], None),
        (offer, Some("websocket"), &[accept, selects("chat")], None),
        (offer, Some("websocket"), &[accept], None),
        (&[], None, &[accept], Some(NOT_NAMED)),
        (&[], Some("h2c"), &[accept], Some(NOT_NAMED)),
        (&[], Some("websocket, h2c"), &[accept], Some(NOT_NAMED)),
        (&[], Some("websocket"), &[], Some(WRONG_ACCEPT)),
        (&[], Some("websocket"), &[accept, accept], Some(WRONG_ACCEPT)),
        (
            &[],
            Some("websocket"),
            &[("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")],
            Some(WRONG_ACCEPT),
        ),
        (&[], Some("websocket"), &[accept, selects("chat")], Some(NOT_OFFERED)),
        (offer, Some("websocket"), &[accept, selects("keyward.bearer.k")], Some(NOT_OFFERED)),
        (offer, Some("websocket"), &[accept, selects("chat, chat")], Some(NOT_OFFERED)),
        (offer, Some("websocket"), &[accept, selects("chat"), selects("chat")], Some(NOT_OFFERED)),
        (offer, Some("websocket"), &[accept, selects("")], Some(NOT_OFFERED)),
    ] {
        assert_eq!(
            granted(offered, announced, fields).err(),
            outcome,
            "{offered:?} {announced:?} {fields:?}"
        );
    }
}

#[test]
fn who_must_be_told_a_subprotocol_is_told_the_one_that_stands_in() {
    let accept = ("sec-websocket-accept", ACCEPT_OF_THE_RFC);
    let told = |offered: &[&str], fields: &[(&'static str, &str)]| {
        let answer = granted(offered, Some("websocket"), fields).unwrap();
        answer
            .get_all(subprotocol::FIELD)
            .iter()
            .map(|name| name.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&["keyward.bearer.k, keyward"], &[accept]), ["keyward"]);
    assert_eq!(told(&["keyward, chat"], &[accept, (subprotocol::FIELD, "chat")]), ["chat"]);
    assert_eq!(told(&["keyward.bearer.k"], &[accept]), [""; 0]);
}

#[test]
fn where_no_subprotocol_is_a_credential_all_of_them_pass() {
    let websocket = HeaderValue::from_static("websocket");
    let mut request = handshake();
    request.append(subprotocol::FIELD, "keyward.bearer.k, \"odd".parse().unwrap());
    let allowed = ["websocket".into()];
    let read = Upgrade::read(asked(&websocket, &Method::GET, &request), &allowed, Subprotocols::Names);
    let upgrade = read.unwrap().unwrap();
    assert_eq!(upgrade.credential(), Ok(None));
    let mut written = Vec::new();
    upgrade.write(|name, value| written.push((name.to_owned(), value.to_owned())));
    assert_eq!(written, [("connection".into(), b"Upgrade".into()), ("upgrade".into(), b"websocket".into())]);
    let selected = [("sec-websocket-accept", ACCEPT_OF_THE_RFC), (subprotocol::FIELD, "keyward.bearer.k")];
    assert_eq!(upgrade.grant(Some(b"websocket"), &mut headers(&selected)), Ok(()));
}

#[test]
fn the_upstream_is_told_what_is_asked_for_and_never_the_credential() {
    let websocket = HeaderValue::from_static("WebSocket");
    let mut request = handshake();
    request.append(subprotocol::FIELD, "b, keyward.bearer.k, a, keyward".parse().unwrap());
    let upgrade = read(&websocket, &Method::GET, &request).unwrap().unwrap();
    assert_eq!(upgrade.credential(), Ok(Some("k")));
    let mut written = String::new();
    upgrade.write(|name, value| written += &format!("{name}: {}\n", std::str::from_utf8(value).unwrap()));
    assert_eq!(written, "connection: Upgrade\nupgrade: WebSocket\nsec-websocket-protocol: b, a\n");
}

#[test]
fn an_answer_names_a_protocol_once_and_means_it() {
    let named = |fields: &[(&'static str, &'static str)]| {
        announced(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())))
    };
    let upgrade = ("Upgrade", "websocket");
    assert_eq!(named(&[upgrade, ("connection", "x, UPGRADE")]), Some(&b"websocket"[..]));
    for fields in [&[upgrade][..], &[upgrade, ("connection", "close")], &[("connection", "upgrade")]] {
        assert_eq!(named(fields), None, "{fields:?}");
    }
    assert_eq!(named(&[upgrade, upgrade, ("connection", "upgrade")]), None);
}

/// Two bytes that differ, then as many as there are.
struct Counting;

impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomFailed> {
        for (number, byte) in bytes.iter_mut().enumerate() {
            *byte = number as u8;
        }
        Ok(())
    }
}

#[test]
fn a_stream_asks_with_a_key_of_ours_and_is_told_nothing_of_its_answer() {
    let key = Key::fresh(&Counting).unwrap();
    assert_eq!(key, Key::parse(b"AAECAwQFBgcICQoLDA0ODw==").unwrap());
    let websocket = HeaderValue::from_static("websocket");
    let request = headers(&[("sec-websocket-version", "13")]);
    let asked = Asked { opening: Opening::Stream(key), ..asked(&websocket, &Method::GET, &request) };
    let allowed = ["websocket".into()];
    let upgrade = Upgrade::read(asked, &allowed, Subprotocols::Names).unwrap().unwrap();
    assert!(upgrade.is_by_stream());
    let mut written = String::new();
    upgrade.write(|name, value| written += &format!("{name}: {}\n", std::str::from_utf8(value).unwrap()));
    let told = "connection: Upgrade\nupgrade: websocket\nsec-websocket-key: AAECAwQFBgcICQoLDA0ODw==\n";
    assert_eq!(written, told);
    let mut answer = headers(&[(ACCEPT_FIELD, &key.accept())]);
    assert_eq!(upgrade.grant(Some(b"websocket"), &mut answer), Ok(()));
    assert_eq!(answer, HeaderMap::new());
}
