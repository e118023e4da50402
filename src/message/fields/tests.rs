use http::HeaderValue;

use super::*;

fn name(text: &str) -> HeaderName {
    HeaderName::from_bytes(text.as_bytes()).unwrap()
}

fn rules() -> FieldRules {
    let identity = ["x-user", "x-auth-credential", "x-auth-client", "x-auth-scopes", "my_method"].map(name);
    let credentials = ["x-api-key", "the_key"].map(name);
    FieldRules::new(&identity, &credentials)
}

#[test]
fn every_request_field_has_a_fate() {
    let rules = rules();
    let rows: &[(Fate, &[&str])] = &[
        (
            Fate::Pass,
            &[
                "accept",
                "content-type",
                "content-encoding",
                "cookie",
                "user-agent",
                "cache-control",
                "x-custom",
                "x_custom",
                "x.y.z",
                "range",
                "te-x",
                "hosts",
                "host_",
                "x-forwardedfor",
                "forwarded-for",
                "x-request-identity",
                "x-users",
                "x-authsubject",
                "x-auth-other",
                "proxy",
                "keep",
                "a",
                "x",
                "t",
                "x-http-method-override",
                "via",
                "origin",
                "traceparents",
                "b3",
                "content-lengths",
                "cf-connecting-ip",
            ],
        ),
        (
            Fate::HopByHop,
            &[
                "connection",
                "keep-alive",
                "proxy-connection",
                "upgrade",
                "http2-settings",
                "proxy-authorization",
                "proxy-authenticate",
                "proxy-authentication-info",
                "proxy_authorization",
                "keep_alive",
                "Proxy_Connection",
                "http2_settings",
            ],
        ),
        (Fate::Te, &["te", "TE"]),
        (Fate::Trailer, &["trailer", "Trailer"]),
        (Fate::Framing, &["content-length", "transfer-encoding", "Content_Length", "transfer.encoding"]),
        (Fate::Host, &["host", "HOST"]),
        (Fate::Expect, &["expect"]),
        (Fate::Credential, &["authorization", "Authorization", "x-api-key", "X-API-Key", "the_key"]),
        (
            Fate::Identity,
            &[
                "x-user",
                "X-User",
                "x_user",
                "x.user",
                "my_method",
                "my-method",
                "x-auth-subject",
                "X_Auth_Subject",
                "x.auth.subject",
                "x-auth_subject",
                "x-auth-credential",
                "x_auth_credential",
                "x-auth-client",
                "x-auth-scopes",
                "x_auth_scopes",
                "x-auth-method",
                "x-auth-assertion",
                "X_AUTH_ASSERTION",
            ],
        ),
        (Fate::Forwarded, &["x-forwarded-for", "X-Forwarded-Proto", "x-forwarded-host", "x-forwarded-port"]),
        (
            Fate::Forwarding,
            &[
                "forwarded",
                "x-forwarded",
                "x-forwarded-prefix",
                "x-forwarded-uri",
                "x-forwarded-method",
                "x-forwarded-",
                "x-forwarded-user",
                "x-real-ip",
                "x-original-url",
                "x-original-uri",
                "x-original-forwarded-for",
                "x-rewrite-url",
                "x-client-ip",
                "true-client-ip",
            ],
        ),
        (
            Fate::Disguised,
            &[
                "x_forwarded_for",
                "x-forwarded_for",
                "X_Forwarded_Proto",
                "x.forwarded.host",
                "x_forwarded_port",
                "x_forwarded_prefix",
                "x-forwarded_x",
                "x_real_ip",
                "x.real.ip",
                "x_original_url",
                "x_rewrite_url",
                "x_client_ip",
                "true_client_ip",
                "true.client-ip",
                "x_request_id",
                "x-api_key",
                "the-key",
                "x_api_key",
                "x_forwarded",
            ],
        ),
        (Fate::RequestId, &["x-request-id", "X-Request-ID"]),
        (Fate::Trace, &["traceparent", "tracestate"]),
    ];
    for (fate, names) in rows {
        for text in *names {
            assert_eq!(rules.fate(&name(text)), *fate, "{text}");
        }
    }
}

#[test]
fn every_answer_field_has_a_fate() {
    let rows: &[(ResponseFate, &[&str])] = &[
        (
            ResponseFate::Pass,
            &[
                "Content-Type",
                "Set-Cookie",
                "Server",
                "Date",
                "WWW-Authenticate",
                "Location",
                "X-Auth-Subject",
                "",
                "Retry-After",
                "Cache-Control",
                "X-RateLimit-Limit",
                "ratelimits",
                "Age",
                "Te-X",
            ],
        ),
        (
            ResponseFate::HopByHop,
            &[
                "Connection",
                "Keep-Alive",
                "Proxy-Connection",
                "Proxy-Authenticate",
                "Proxy-Authentication-Info",
                "TE",
                "Upgrade",
                "HTTP2-Settings",
                "keep_alive",
            ],
        ),
        (
            ResponseFate::Framing,
            &["Content-Length", "TRANSFER-ENCODING", "Transfer_Encoding", "content.length"],
        ),
        (ResponseFate::Trailer, &["Trailer", "trailer"]),
        (ResponseFate::RequestId, &["X-Request-Id", "x_request_id"]),
        (ResponseFate::CredentialExpires, &["X-Credential-Expires", "x_credential.expires"]),
        (ResponseFate::RateLimit, &["RateLimit", "RateLimit-Policy", "ratelimit_policy"]),
    ];
    for (fate, names) in rows {
        for text in *names {
            assert_eq!(response_fate(text.as_bytes()), *fate, "{text}");
        }
    }
}

#[test]
fn what_connection_names_is_dropped() {
    let mut headers = HeaderMap::new();
    headers.append(CONNECTION, HeaderValue::from_static("keep-alive, X-One ,, upgrade"));
    headers.append(CONNECTION, HeaderValue::from_static("x-two"));
    let mut connection = Connection::default();
    for value in headers.get_all(CONNECTION) {
        connection.note(&headers, value.as_bytes());
    }
    assert!(connection.offers_upgrade() && !connection.asks_to_close());
    for (text, named) in
        [("x-one", true), ("x-two", true), ("x-three", false), ("x", false), ("x-one ", false)]
    {
        if let Ok(name) = HeaderName::from_bytes(text.as_bytes()) {
            assert_eq!(connection.names(&name), named, "{text}");
        }
    }
    let mut plain = Connection::default();
    plain.note(&headers, b"close");
    assert!(plain.asks_to_close() && !plain.names(&name("close")));
    assert!(connection_names(b"close, X-Secret", b"x-secret") && !connection_names(b"", b"x"));
}
