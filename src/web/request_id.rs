//! The id of a request: a trusted peer's, or a UUIDv7 (RFC 9562 §5.7) made here.

use std::cell::Cell;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Builder;

use super::transient::transient;
use crate::auth::random::{Random, RandomFailed};
use crate::clock::Timestamp;

/// The field in which it travels, in both directions.
pub const FIELD: &str = "x-request-id";
const NAME: HeaderName = HeaderName::from_static(FIELD);

/// The longest id that is taken from a peer.
const SENT_MAX: usize = 128;

/// How far the clock may step back before ids follow it, in milliseconds.
const STEP_BACK_MAX: u64 = 10_000;

/// The id of one request: 1 to 128 of `[A-Za-z0-9._-]`.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestId(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Made([u8; 36]),
    Sent(Box<str>),
}

impl RequestId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Form::Made(text) => std::str::from_utf8(text).unwrap_or_default(),
            Form::Sent(text) => text,
        }
    }

    /// The id as bytes, which costs nothing.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Form::Made(text) => text,
            Form::Sent(text) => text.as_bytes(),
        }
    }

    /// Tells it with an answer.
    pub fn tell(&self, fields: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_bytes(self.as_bytes()) {
            fields.insert(NAME, transient(id));
        }
    }

    /// Takes the id that a trusted peer sent: exactly one, and well-formed.
    #[must_use]
    pub fn sent(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(FIELD).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        let text = value.to_str().ok()?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let well_formed = (1..=SENT_MAX).contains(&text.len()) && text.bytes().all(legal);
        well_formed.then(|| Self(Form::Sent(text.into())))
    }

    /// Whether the id is a UUID in its usual form, so that `urn:uuid:` can stand before it.
    #[must_use]
    pub fn is_uuid(&self) -> bool {
        match &self.0 {
            Form::Made(_) => true,
            Form::Sent(text) => text.len() == 36 && uuid::Uuid::try_parse(text).is_ok(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Makes ids, one maker per worker. Not secret: 74 bits of a fast generator with a seed of its own keep the ids of all
/// workers and processes apart.
#[derive(Debug)]
pub struct RequestIds {
    state: Cell<[u64; 4]>,
    last_millis: Cell<u64>,
}

impl RequestIds {
    /// A maker with its own seed.
    ///
    /// # Errors
    /// When the source of the seed fails.
    pub fn new(random: &dyn Random) -> Result<Self, RandomFailed> {
        let mut seed = [[0; 8]; 4];
        random.fill(seed.as_flattened_mut())?;
        let [a, b, c, d] = seed.map(u64::from_le_bytes);
        // A generator of this kind must not start at zero.
        Ok(Self { state: Cell::new([a, b, c, d | 1]), last_millis: Cell::new(0) })
    }

    /// A new id. Ids sort by their millisecond, which does not go back with small steps of the clock.
    pub fn make(&self, now: Timestamp) -> RequestId {
        let now = u64::try_from(now.millis()).unwrap_or(0);
        let last = self.last_millis.get();
        let millis = if now < last && last - now <= STEP_BACK_MAX { last } else { now };
        self.last_millis.set(millis);
        let ([a, b, c, d, e, f, g, h], [i, j, ..]) = (self.next().to_le_bytes(), self.next().to_le_bytes());
        let id = Builder::from_unix_timestamp_millis(millis, &[a, b, c, d, e, f, g, h, i, j]).into_uuid();
        let mut text = [0; 36];
        id.hyphenated().encode_lower(&mut text);
        RequestId(Form::Made(text))
    }

    /// xoshiro256++ (Blackman and Vigna, 2019).
    fn next(&self) -> u64 {
        let [a, b, c, d] = self.state.get();
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state.set([a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)]);
        result
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::HeaderValue;

    use super::*;
    use crate::auth::random::System;

    fn sent(values: &[&[u8]]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FIELD, HeaderValue::from_bytes(value).unwrap());
        }
        RequestId::sent(&headers).map(|id| id.to_string())
    }

    #[test]
    fn an_answers_id_takes_no_place_in_the_table_of_fields_of_http2() {
        let mut fields = HeaderMap::new();
        RequestIds::new(&System::default()).unwrap().make(Timestamp(0)).tell(&mut fields);
        assert!(fields[NAME].is_sensitive());
    }

    #[test]
    fn a_sent_id_is_one_well_formed_value() {
        let long = "a".repeat(128);
        for good in ["a", "0", "A-b_c.9", "018f4e2a-1111-7222-8333-444455556666", &long] {
            assert_eq!(sent(&[good.as_bytes()]).as_deref(), Some(good));
        }
        let too_long = "a".repeat(129);
        for bad in ["", "a b", "a,b", "a/b", "a:b", "a\"", "<a>", "\t", &too_long] {
            assert_eq!(sent(&[bad.as_bytes()]), None, "{bad}");
        }
        assert_eq!(sent(&[b"\xff"]), None);
        assert_eq!(sent(&[b"a", b"a"]), None);
        assert_eq!(sent(&[]), None);
    }

    #[test]
    fn a_made_id_is_a_uuid_of_version_7_with_its_millisecond() {
        let ids = RequestIds::new(&System::default()).unwrap();
        let id = ids.make(Timestamp(0x0123_4567_89AB));
        assert!(id.is_uuid());
        assert!(id.as_str().starts_with("01234567-89ab-7"), "{id}");
        assert_eq!(uuid::Uuid::try_parse(id.as_str()).unwrap().get_version_num(), 7);
        assert!(ids.make(Timestamp(-5)).is_uuid());
    }

    #[test]
    fn ids_of_two_workers_differ() {
        let workers = [(); 2].map(|()| RequestIds::new(&System::default()).unwrap());
        let made: HashSet<String> =
            (0..20_000).map(|index| workers[index % 2].make(Timestamp(1)).to_string()).collect();
        assert_eq!(made.len(), 20_000);
    }

    #[test]
    fn a_small_step_back_of_the_clock_does_not_reorder_ids() {
        let ids = RequestIds::new(&System::default()).unwrap();
        let prefix = |now| ids.make(Timestamp(now)).as_str()[..13].to_owned();
        let first = prefix(1_793_491_200_000);
        assert_eq!(prefix(1_793_491_195_000), first);
        assert!(prefix(1_793_487_600_000) < first, "an hour is followed");
    }

    #[test]
    fn only_a_uuid_becomes_a_urn() {
        for (text, want) in
            [("018f4e2a-1111-7222-8333-444455556666", true), ("abc", false), (&"a".repeat(36), false)]
        {
            assert_eq!(RequestId(Form::Sent(text.into())).is_uuid(), want, "{text}");
        }
    }
}
