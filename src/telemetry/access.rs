//! One line per request: what it was, what was decided, how long it took.
//!
//! Only [`AccessRecord`] says what such a line has, and it has no place for a query, a header field or a credential.

use std::net::IpAddr;
use std::time::Duration;

use super::encode::{address, decimal, json_string, millis, time, word};
use super::{Door, Form};
use crate::auth::refusal::Code;
use crate::clock::Timestamp;

/// What is told about one request once it is over. It borrows, so that nothing is copied to write it.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request began.
    pub time: Timestamp,
    /// Its id, as every answer carries it.
    pub request_id: &'a str,
    /// Where it came in.
    pub door: Door,
    /// The route it took.
    pub route: Option<&'a str>,
    /// Its method; `None` when no request could be read.
    pub method: Option<&'a str>,
    /// Its path as matched, or as sent where it was refused for it; never the query. `None` when none could be read.
    pub path: Option<&'a [u8]>,
    /// The status that went out; `None` when the client was gone before.
    pub status: Option<u16>,
    /// Why Keyward answered itself; `None` when it did not.
    pub code: Option<Code>,
    /// The principal's account id.
    pub account: Option<&'a str>,
    /// The principal's credential id.
    pub credential: Option<&'a str>,
    /// The client's address, behind trusted proxies too.
    pub client: Option<IpAddr>,
    /// Bytes of the request's body that were read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that were handed over.
    pub bytes_out: u64,
    /// Time spent in Keyward itself.
    pub own: Duration,
    /// Time until the upstream's answer began; `None` when none was asked.
    pub upstream: Option<Duration>,
}

impl AccessRecord<'_> {
    /// Appends the record as one line.
    pub fn write(&self, form: Form, out: &mut Vec<u8>) {
        match form {
            Form::Json => self.write_json(out),
            Form::Human => self.write_human(out),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"time":""#);
        time(out, self.time);
        out.extend_from_slice(br#"","request_id":"#);
        json_string(out, self.request_id.as_bytes());
        out.extend_from_slice(br#","door":"#);
        json_string(out, self.door.as_str().as_bytes());
        json_text(out, br#","route":"#, self.route);
        json_text(out, br#","method":"#, self.method);
        out.extend_from_slice(br#","path":"#);
        or_else(out, self.path, b"null", json_string);
        out.extend_from_slice(br#","status":"#);
        or_else(out, self.status, b"null", |out, status| decimal(out, u64::from(status)));
        json_text(out, br#","code":"#, self.code.map(Code::as_str));
        json_text(out, br#","account":"#, self.account);
        json_text(out, br#","credential":"#, self.credential);
        out.extend_from_slice(br#","client":"#);
        or_else(out, self.client, b"null", |out, client| {
            out.push(b'"');
            address(out, client);
            out.push(b'"');
        });
        out.extend_from_slice(br#","bytes_in":"#);
        decimal(out, self.bytes_in);
        out.extend_from_slice(br#","bytes_out":"#);
        decimal(out, self.bytes_out);
        out.extend_from_slice(br#","own_ms":"#);
        millis(out, self.own);
        out.extend_from_slice(br#","upstream_ms":"#);
        or_else(out, self.upstream, b"null", millis);
        out.extend_from_slice(b"}\n");
    }

    /// `time client method path status code`, then the rest by name.
    fn write_human(&self, out: &mut Vec<u8>) {
        time(out, self.time);
        out.push(b' ');
        or_else(out, self.client, b"-", address);
        out.push(b' ');
        word(out, self.method.unwrap_or_default().as_bytes());
        out.push(b' ');
        word(out, self.path.unwrap_or_default());
        out.push(b' ');
        or_else(out, self.status, b"-", |out, status| decimal(out, u64::from(status)));
        out.push(b' ');
        word(out, self.code.map_or("", Code::as_str).as_bytes());
        for (name, value) in [
            (" door=", self.door.as_str()),
            (" route=", self.route.unwrap_or_default()),
            (" account=", self.account.unwrap_or_default()),
            (" credential=", self.credential.unwrap_or_default()),
        ] {
            out.extend_from_slice(name.as_bytes());
            word(out, value.as_bytes());
        }
        out.extend_from_slice(b" in=");
        decimal(out, self.bytes_in);
        out.extend_from_slice(b" out=");
        decimal(out, self.bytes_out);
        out.extend_from_slice(b" own_ms=");
        millis(out, self.own);
        out.extend_from_slice(b" upstream_ms=");
        or_else(out, self.upstream, b"-", millis);
        out.extend_from_slice(b" id=");
        word(out, self.request_id.as_bytes());
        out.push(b'\n');
    }
}

fn json_text(out: &mut Vec<u8>, name: &[u8], value: Option<&str>) {
    out.extend_from_slice(name);
    or_else(out, value, b"null", |out, text| json_string(out, text.as_bytes()));
}

fn or_else<T>(out: &mut Vec<u8>, value: Option<T>, nothing: &[u8], write: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => out.extend_from_slice(nothing),
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A forwarded request.
    pub const SAMPLE: AccessRecord<'static> = AccessRecord {
        time: Timestamp(1_793_491_200_042),
        request_id: "019a3c5e-0000-7000-8000-000000000001",
        door: Door::Proxy,
        route: Some("orders"),
        method: Some("GET"),
        path: Some(b"/v1/orders/7"),
        status: Some(200),
        code: None,
        account: Some("acc-1"),
        credential: Some("key-1"),
        client: Some(IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9))),
        bytes_in: 0,
        bytes_out: 1024,
        own: Duration::from_micros(57),
        upstream: Some(Duration::from_micros(12_300)),
    };

    fn line(record: &AccessRecord<'_>, form: Form) -> String {
        let mut out = Vec::new();
        record.write(form, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_json_line_has_every_member_of_the_contract_in_order() {
        assert_eq!(
            line(&SAMPLE, Form::Json),
            concat!(
                r#"{"time":"2026-11-01T00:00:00.042Z","request_id":"019a3c5e-0000-7000-8000-000000000001","#,
                r#""door":"proxy","route":"orders","method":"GET","path":"/v1/orders/7","status":200,"#,
                r#""code":null,"account":"acc-1","credential":"key-1","client":"203.0.113.9","bytes_in":0,"#,
                r#""bytes_out":1024,"own_ms":0.057,"upstream_ms":12.300}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_human_line_says_a_dash_where_there_is_nothing() {
        let refused = AccessRecord {
            route: None,
            method: None,
            path: None,
            status: None,
            code: Some(Code::NoRoute),
            account: None,
            credential: None,
            client: None,
            upstream: None,
            ..SAMPLE
        };
        assert_eq!(
            line(&refused, Form::Human),
            "2026-11-01T00:00:00.042Z - - - - no_route door=proxy route=- account=- credential=- \
             in=0 out=1024 own_ms=0.057 upstream_ms=- id=019a3c5e-0000-7000-8000-000000000001\n"
        );
        let json: serde_json::Value = serde_json::from_str(&line(&refused, Form::Json)).unwrap();
        for name in ["route", "method", "path", "status", "account", "credential", "client", "upstream_ms"] {
            assert!(json[name].is_null(), "{name}");
        }
        assert_eq!(json["code"], "no_route");
    }

    proptest! {
        #[test]
        fn nothing_a_client_sends_breaks_a_line(
            path in proptest::collection::vec(any::<u8>(), 0..64), method in any::<String>()
        ) {
            let record = AccessRecord { path: Some(&path), method: Some(&method), ..SAMPLE };
            let human = line(&record, Form::Human);
            prop_assert!(human.trim_end_matches('\n').bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(human.split(' ').count(), line(&SAMPLE, Form::Human).split(' ').count());
            let json = line(&record, Form::Json);
            prop_assert_eq!(json.bytes().filter(|byte| *byte == b'\n').count(), 1);
            let read: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
            prop_assert_eq!(read["path"].as_str(), Some(&*String::from_utf8_lossy(&path)));
        }
    }
}
