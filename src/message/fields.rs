//! The fate of each header field: what passes, what ends here, what Keyward sets itself.
//!
//! A name is judged in every spelling that a backend could fold onto it, so that no disguise survives.

use http::header::CONNECTION;
use http::{HeaderMap, HeaderName};

use super::framing::undisguised;
use super::names::{disguises, elements, folds_onto, same, starts_with};
use super::subprotocol;

#[cfg(test)]
mod tests;

/// What becomes of a request's field when the request is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Goes on as sent, unless `Connection` names it.
    Pass,
    /// Belongs to the client's connection: dropped.
    HopByHop,
    /// `TE`: of it, only that trailers are taken goes on.
    Te,
    /// `Trailer`: goes on where trailers can, less the names of those that do not.
    Trailer,
    /// Decides where the body ends: written anew.
    Framing,
    /// `Host`: set as the route says.
    Host,
    /// `Expect`: answered here, dropped.
    Expect,
    /// May hold a credential: dropped unless the route forwards it.
    Credential,
    /// Says who is asking: dropped, then set.
    Identity,
    /// `Sec-WebSocket-Protocol`, where it may hold a credential: dropped, then set without it.
    Subprotocol,
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`: dropped, then set.
    Forwarded,
    /// The rest of the forwarding family: passes from trusted peers alone.
    Forwarding,
    /// `X-Request-Id`: dropped, then set.
    RequestId,
    /// `traceparent` and `tracestate`: pass when well-formed.
    Trace,
    /// One of ours or of the forwarding family under a folded spelling: dropped, whoever sent it.
    Disguised,
}

/// What becomes of an answer's field when the answer is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFate {
    /// Goes on as sent, unless `Connection` names it.
    Pass,
    /// Belongs to the upstream's connection: dropped.
    HopByHop,
    /// `Trailer`: goes on where trailers can, less the names of those that do not.
    Trailer,
    /// Decides where the body ends: written anew.
    Framing,
    /// `X-Request-Id`: dropped, then set.
    RequestId,
    /// `X-Credential-Expires`: dropped, then set where there is something to tell.
    CredentialExpires,
    /// `RateLimit` and `RateLimit-Policy`: replaced where Keyward has its own.
    RateLimit,
}

/// Names under which Keyward tells who is asking unless the configuration renames them. They are dropped also then,
/// for an upstream may still read them.
const IDENTITY: [&str; 6] = [
    "x-auth-subject",
    "x-auth-credential",
    "x-auth-client",
    "x-auth-scopes",
    "x-auth-method",
    "x-auth-assertion",
];

const FORWARDED: [&str; 4] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"];
const FORWARDING: [&str; 5] = ["forwarded", "x-forwarded", "x-real-ip", "x-client-ip", "true-client-ip"];
const FORWARDING_FAMILIES: [&str; 3] = ["x-forwarded-", "x-original-", "x-rewrite-"];

/// The fates of request fields under one configuration.
#[derive(Clone, Debug, Default)]
pub struct FieldRules {
    configured: Box<[Configured]>,
    /// Bit n: a configured name has n bytes, modulo 64.
    lengths: u64,
}

/// A name of the configuration.
#[derive(Clone, Debug)]
struct Configured {
    name: HeaderName,
    folded: Box<[u8]>,
    fate: Fate,
}

impl Configured {
    fn new(name: &HeaderName, fate: Fate) -> Self {
        let folded = name.as_str().replace(['_', '.'], "-").into_bytes().into_boxed_slice();
        Self { name: name.clone(), folded, fate }
    }
}

impl FieldRules {
    /// Rules for upstreams that learn who is asking by `identity`, and credentials that may stand in `credentials` too.
    pub fn new<'a>(
        identity: impl IntoIterator<Item = &'a HeaderName>,
        credentials: impl IntoIterator<Item = &'a HeaderName>,
    ) -> Self {
        let identity = identity.into_iter().map(|name| Configured::new(name, Fate::Identity));
        let credentials = credentials.into_iter().map(|name| Configured::new(name, Fate::Credential));
        Self::of(identity.chain(credentials))
    }

    /// The same, for upstreams before which subprotocols may hold a credential.
    #[must_use]
    pub fn with_subprotocols(self) -> Self {
        let name = HeaderName::from_static(subprotocol::FIELD);
        Self::of(self.configured.into_iter().chain([Configured::new(&name, Fate::Subprotocol)]))
    }

    fn of(configured: impl Iterator<Item = Configured>) -> Self {
        let configured: Box<[_]> = configured.collect();
        let lengths = configured.iter().fold(0, |bits, own| bits | 1 << (own.folded.len() % 64));
        Self { configured, lengths }
    }

    /// What becomes of a request's field; trailers likewise, where only [`Fate::Pass`] passes.
    #[must_use]
    pub fn fate(&self, name: &HeaderName) -> Fate {
        let bytes = name.as_str().as_bytes();
        if self.lengths & 1 << (bytes.len() % 64) != 0 {
            match self.configured.iter().find(|own| folds_onto(bytes, &own.folded)) {
                Some(own) if own.fate != Fate::Identity && own.name != *name => return Fate::Disguised,
                Some(own) => return own.fate,
                None => {}
            }
        }
        request_fate(bytes)
    }
}

/// The fate that a name has under every configuration.
fn request_fate(name: &[u8]) -> Fate {
    let [first, ..] = name else { return Fate::Pass };
    match first.to_ascii_lowercase() {
        b'a' if name.eq_ignore_ascii_case(b"authorization") => Fate::Credential,
        b'e' if name.eq_ignore_ascii_case(b"expect") => Fate::Expect,
        b'h' if name.eq_ignore_ascii_case(b"host") => Fate::Host,
        b'x' => extension_fate(name),
        b'f' => plainly(name, &FORWARDING, Fate::Forwarding).unwrap_or(Fate::Pass),
        b't' => plainly(name, &FORWARDING, Fate::Forwarding)
            .or_else(|| plainly(name, &["traceparent", "tracestate"], Fate::Trace))
            .unwrap_or_else(|| connection_fate(name)),
        b'c' | b'k' | b'p' | b'u' | b'h' => connection_fate(name),
        _ => Fate::Pass,
    }
}

/// The fate of a name that may belong to a connection or to framing.
fn connection_fate(name: &[u8]) -> Fate {
    // Most names have not even the length of one of these; those of proxies have any.
    if !matches!(name.len(), 2 | 7 | 10 | 14 | 17) && !matches!(name, [b'p' | b'P', ..]) {
        return Fate::Pass;
    }
    if is_framing(name) {
        Fate::Framing
    } else if name.eq_ignore_ascii_case(b"te") {
        Fate::Te
    } else if name.eq_ignore_ascii_case(b"trailer") {
        Fate::Trailer
    } else if is_hop_by_hop(name) {
        Fate::HopByHop
    } else {
        Fate::Pass
    }
}

/// The fate of `X-…`.
fn extension_fate(name: &[u8]) -> Fate {
    if let Some(fate) = plainly(name, &["x-request-id"], Fate::RequestId) {
        return fate;
    }
    if IDENTITY.iter().any(|plain| folds_onto(name, plain.as_bytes())) {
        return Fate::Identity;
    }
    if let Some(fate) = plainly(name, &FORWARDED, Fate::Forwarded) {
        return fate;
    }
    if FORWARDING_FAMILIES.iter().any(|prefix| starts_with(name, prefix.as_bytes())) {
        let plain = !name.iter().any(|byte| matches!(byte, b'_' | b'.'));
        return if plain { Fate::Forwarding } else { Fate::Disguised };
    }
    plainly(name, &FORWARDING, Fate::Forwarding).unwrap_or(Fate::Pass)
}

/// `fate` when `name` is one of `plains`, [`Fate::Disguised`] when it folds onto one.
fn plainly(name: &[u8], plains: &[&str], fate: Fate) -> Option<Fate> {
    let plain = plains.iter().find(|plain| folds_onto(name, plain.as_bytes()))?;
    Some(if disguises(name, plain.as_bytes()) { Fate::Disguised } else { fate })
}

/// Whether two names are one to a backend that folds them.
#[must_use]
pub fn is_same(name: &str, other: &str) -> bool {
    same(name.as_bytes(), other.as_bytes())
}

/// What becomes of an answer's field, by its name in any case.
#[must_use]
pub fn response_fate(name: &[u8]) -> ResponseFate {
    let [first, ..] = name else { return ResponseFate::Pass };
    match first.to_ascii_lowercase() {
        b'x' if folds_onto(name, b"x-request-id") => ResponseFate::RequestId,
        b'x' if folds_onto(name, b"x-credential-expires") => ResponseFate::CredentialExpires,
        b'r' if folds_onto(name, b"ratelimit") || folds_onto(name, b"ratelimit-policy") => {
            ResponseFate::RateLimit
        }
        b'c' | b'h' | b'k' | b'p' | b't' | b'u' => match connection_fate(name) {
            Fate::Framing => ResponseFate::Framing,
            Fate::HopByHop | Fate::Te => ResponseFate::HopByHop,
            Fate::Trailer => ResponseFate::Trailer,
            _ => ResponseFate::Pass,
        },
        _ => ResponseFate::Pass,
    }
}

fn is_framing(name: &[u8]) -> bool {
    folds_onto(name, b"content-length") || folds_onto(name, b"transfer-encoding")
}

/// RFC 9110 §7.6.1, and what else concerns one connection alone; `Proxy-…` fields speak to Keyward.
fn is_hop_by_hop(name: &[u8]) -> bool {
    let plain = name.eq_ignore_ascii_case(b"connection") || name.eq_ignore_ascii_case(b"upgrade");
    plain
        || undisguised(name).is_err()
        || folds_onto(name, b"keep-alive")
        || folds_onto(name, b"http2-settings")
        || starts_with(name, b"proxy-auth")
        || folds_onto(name, b"proxy-connection")
}

/// What a message's `Connection` fields say, read once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connection<'a> {
    headers: Option<&'a HeaderMap>,
    asks_to_close: bool,
    offers_upgrade: bool,
}

impl<'a> Connection<'a> {
    /// Takes note of one field of `headers`.
    pub(super) fn note(&mut self, headers: &'a HeaderMap, value: &[u8]) {
        for option in elements(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.asks_to_close = true,
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.offers_upgrade = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => {}
                _ => self.headers = Some(headers),
            }
        }
    }

    /// Whether the sender will not use the connection again.
    #[must_use]
    pub const fn asks_to_close(&self) -> bool {
        self.asks_to_close
    }

    /// Whether an `Upgrade` field is meant.
    #[must_use]
    pub const fn offers_upgrade(&self) -> bool {
        self.offers_upgrade
    }

    /// Whether `name` is to be dropped because `Connection` names it. What Keyward sets is set after this, so that
    /// nothing of it can be removed.
    #[must_use]
    pub fn names(&self, name: &HeaderName) -> bool {
        let Some(headers) = self.headers else { return false };
        headers
            .get_all(CONNECTION)
            .iter()
            .any(|value| connection_names(value.as_bytes(), name.as_str().as_bytes()))
    }
}

/// Whether one `Connection` value names `name`, both in any case.
#[must_use]
pub fn connection_names(value: &[u8], name: &[u8]) -> bool {
    elements(value).any(|option| option.eq_ignore_ascii_case(name))
}
