//! What becomes of a field: `message::fields` beside a list of names, in every spelling that a backend may fold.

use http::HeaderName;
use keyward::message::fields::{Fate, FieldRules, ResponseFate, connection_names, response_fate};
use keyward::message::framing::undisguised;

/// Decide where a message ends, in any spelling.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];
/// Belong to one connection, in any spelling.
const HOP_BY_HOP: [&str; 7] =
    ["connection", "te", "trailer", "upgrade", "keep-alive", "proxy-connection", "http2-settings"];
/// Say who is asking.
const IDENTITY: [&str; 6] = [
    "x-auth-subject",
    "x-auth-credential",
    "x-auth-client",
    "x-auth-scopes",
    "x-auth-method",
    "x-auth-assertion",
];
/// Say through whom a request came.
const FORWARDING: [&str; 5] = ["forwarded", "x-forwarded", "x-real-ip", "x-client-ip", "true-client-ip"];
const FAMILIES: [&str; 4] = ["x-forwarded-", "x-original-", "x-rewrite-", "proxy-auth"];
const OWN: [&str; 3] = ["x-request-id", "traceparent", "tracestate"];
/// Have no spelling but one: they hold no character that could be folded.
const PLAIN: [&str; 3] = ["authorization", "expect", "host"];

/// Takes the input as lines: two names that the configuration has, for identity and for a credential, then names to judge.
pub fn run(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n').map(HeaderName::from_bytes);
    let mut configured = || lines.next().and_then(Result::ok);
    let (identity, credential) = (configured(), configured());
    let rules = FieldRules::new(&identity, &credential);
    for name in lines.flatten() {
        judge(&name, &rules, identity.as_ref(), credential.as_ref());
        judge_answers(name.as_str());
    }
}

/// A name as the most careless backend reads it.
pub fn folded(name: &[u8]) -> String {
    let fold = |byte: &u8| match byte {
        b'_' | b'.' => '-',
        other => char::from(other.to_ascii_lowercase()),
    };
    name.iter().map(fold).collect()
}

/// Whether no field of this name may pass on from a client whom nobody vouches for.
pub fn is_kept_back(name: &str) -> bool {
    let name = folded(name.as_bytes());
    let lists = [&FRAMING[..], &HOP_BY_HOP, &IDENTITY, &FORWARDING, &PLAIN, &OWN[..1]];
    lists.into_iter().flatten().any(|kept| name == *kept)
        || FAMILIES.iter().any(|family| name.starts_with(family))
}

fn judge(
    name: &HeaderName,
    rules: &FieldRules,
    identity: Option<&HeaderName>,
    credential: Option<&HeaderName>,
) {
    let fate = rules.fate(name);
    let plain = name.as_str();
    let read = folded(plain.as_bytes());
    let is =
        |other: Option<&HeaderName>| other.is_some_and(|other| folded(other.as_str().as_bytes()) == read);
    if is(identity) {
        return assert_eq!(fate, Fate::Identity, "{plain}");
    }
    if is(credential) {
        let known = credential == Some(name);
        return assert_eq!(fate, if known { Fate::Credential } else { Fate::Disguised }, "{plain}");
    }
    let disguised = plain != read;
    let among = |list: &[&str]| list.contains(&read.as_str());
    let trace = among(&OWN[1..]);
    match fate {
        Fate::Pass => assert!(!is_kept_back(plain) && !trace, "{plain} passes"),
        Fate::Framing => assert!(among(&FRAMING), "{plain}"),
        Fate::HopByHop => assert!(among(&HOP_BY_HOP) || read.starts_with("proxy-auth"), "{plain}"),
        Fate::Te => assert_eq!(plain, "te"),
        Fate::Trailer => assert_eq!(plain, "trailer"),
        Fate::Host | Fate::Expect | Fate::Credential => assert!(among(&PLAIN), "{plain}"),
        Fate::Identity => assert!(among(&IDENTITY), "{plain}"),
        Fate::Subprotocol => panic!("{plain}: these rules look for no credential in it"),
        Fate::RequestId | Fate::Trace => assert!(among(&OWN) && !disguised, "{plain}"),
        Fate::Forwarded | Fate::Forwarding => assert!(is_kept_back(plain) && !disguised, "{plain}"),
        Fate::Disguised => assert!((is_kept_back(plain) || trace) && disguised, "{plain}"),
    }
    let refused = undisguised(plain.as_bytes()).is_err();
    let hidden = disguised && (among(&FRAMING) || among(&HOP_BY_HOP[4..]));
    assert_eq!(refused, hidden, "{plain} in disguise");
    assert!(connection_names(format!("a, {plain} ,b").as_bytes(), plain.to_uppercase().as_bytes()));
}

fn judge_answers(name: &str) {
    let read = folded(name.as_bytes());
    let fate = response_fate(name.to_uppercase().as_bytes());
    assert_eq!(fate, response_fate(name.as_bytes()), "the case of {name}");
    let expected = match read.as_str() {
        "x-request-id" => ResponseFate::RequestId,
        "ratelimit" | "ratelimit-policy" => ResponseFate::RateLimit,
        "content-length" | "transfer-encoding" => ResponseFate::Framing,
        "trailer" => ResponseFate::Trailer,
        other if HOP_BY_HOP.contains(&other) || other.starts_with("proxy-auth") => ResponseFate::HopByHop,
        _ => ResponseFate::Pass,
    };
    assert_eq!(fate, expected, "{name}");
}
