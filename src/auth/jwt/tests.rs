use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::access_token::{self, Claims, Parties, Verified};
use super::*;
use crate::auth::algorithm::SigningAlgorithm as Algorithm;
use crate::auth::principal::{Identity, Method, Networks, Principal};
use crate::auth::scope::ScopeSet;
use crate::clock::Timestamp;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

struct Bed {
    key: SigningKey,
    ring: Keyring,
    parties: Parties,
}

fn ring_key(key: &SigningKey, purpose: Purpose) -> RingKey {
    RingKey { key: key.clone(), purpose, signs_from: Timestamp(0), retires_at: None }
}

fn bed(algorithm: Algorithm) -> Bed {
    let key = SigningKey::generate(algorithm).unwrap();
    let other = SigningKey::generate(algorithm).unwrap();
    Bed {
        ring: Keyring::new([
            ring_key(&key, Purpose::AccessToken),
            ring_key(&other, Purpose::AccessToken),
            ring_key(&SigningKey::generate(algorithm).unwrap(), Purpose::Assertion),
        ]),
        key,
        parties: Parties { issuer: "https://auth.test".into(), audience: "https://api.test".into() },
    }
}

fn claims() -> Claims {
    Claims {
        account: "acc".into(),
        session: "ses".into(),
        client: "keyward".into(),
        id: "tok".into(),
        scopes: ScopeSet::parse("a b").unwrap(),
        issued_at: NOW,
        expires_at: NOW.after(Duration::from_secs(900)),
    }
}

impl Bed {
    fn judge(&self, token: &str) -> Result<Verified, Flaw> {
        access_token::read(token, &self.ring, &self.parties, NOW)?.verify()
    }

    fn header(&self) -> Value {
        json!({ "alg": self.key.algorithm().as_str(), "typ": "at+jwt", "kid": self.key.kid() })
    }

    /// Signed by the right key, whatever it says.
    fn signed(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        format!("{signed}.{}", self.key.sign(&signed).unwrap())
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header();
        change(&mut header);
        self.signed(&header.to_string(), &good_claims().to_string())
    }

    fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = good_claims();
        change(&mut claims);
        self.signed(&self.header().to_string(), &claims.to_string())
    }
}

fn good_claims() -> Value {
    json!({
        "iss": "https://auth.test", "aud": "https://api.test", "sub": "acc", "client_id": "keyward", "scope": "a b",
        "iat": 1_700_000_000, "exp": 1_700_000_900, "jti": "tok", "sid": "ses",
    })
}

fn each(check: impl Fn(&Bed)) {
    for algorithm in [Algorithm::EdDsa, Algorithm::Es256] {
        check(&bed(algorithm));
    }
}

#[test]
fn what_is_minted_is_read_back() {
    each(|bed| {
        let token = access_token::mint(&bed.key, &bed.parties, &claims()).unwrap();
        let read = bed.judge(&token).unwrap();
        assert_eq!((read.claims, &*read.kid), (claims(), bed.key.kid()));
        // The control of every attack below: the same with nothing changed.
        assert_eq!(bed.judge(&bed.with_claims(|_| {})).unwrap().claims, claims());
    });
}

#[test]
fn a_header_that_is_not_ours_is_refused() {
    each(|bed| {
        let set = |name: &'static str, value: Value| {
            bed.judge(&bed.with_header(|header| header[name] = value)).map(|read| read.claims)
        };
        for alg in [
            "none", "None", "NONE", "nOnE", "", "HS256", "HS512", "RS256", "PS256", "ES384", "eddsa",
            "Ed25519",
        ] {
            assert_eq!(set("alg", alg.into()), Err(Flaw::Algorithm), "{alg}");
        }
        let others = if bed.key.algorithm() == Algorithm::EdDsa { "ES256" } else { "EdDSA" };
        assert_eq!(set("alg", others.into()), Err(Flaw::Algorithm));
        assert_eq!(set("alg", Value::Null), Err(Flaw::Algorithm));
        assert_eq!(set("alg", json!(["EdDSA", "ES256"])), Err(Flaw::Algorithm));
        for (name, value) in [
            ("jwk", bed.key.jwk()),
            ("jku", "https://evil.test/jwks.json".into()),
            ("x5u", "https://evil.test/cert".into()),
            ("x5c", json!(["MIIB"])),
            ("crit", json!(["exp"])),
            ("crit", json!([])),
            ("b64", false.into()),
            ("zip", "DEF".into()),
            ("enc", "A256GCM".into()),
            ("cty", "JWT".into()),
        ] {
            assert_eq!(set(name, value), Err(Flaw::Header), "{name}");
        }
        for typ in ["JWT", "jwt", "AT+JWT", "application/at+jwt", "keyward-assertion+jwt", "", "at+jwt "] {
            assert_eq!(set("typ", typ.into()), Err(Flaw::Type), "{typ}");
        }
        assert_eq!(set("typ", Value::Null), Err(Flaw::Type));
        for kid in ["", "../../dev/null", "' or 1=1 --", "a\0b", "0"] {
            assert_eq!(set("kid", kid.into()), Err(Flaw::Key), "{kid:?}");
        }
        assert_eq!(set("kid", json!(7)), Err(Flaw::Key));
        assert_eq!(set("kid", "k".repeat(4000).into()), Err(Flaw::Parts));
    });
}

#[test]
fn a_key_signs_for_its_own_name_and_purpose_alone() {
    each(|bed| {
        for other in bed.ring.iter().filter(|key| key.key.kid() != bed.key.kid()) {
            let flaw = if other.purpose == Purpose::Assertion { Flaw::Key } else { Flaw::Signature };
            let renamed = bed.with_header(|header| header["kid"] = other.key.kid().into());
            assert_eq!(bed.judge(&renamed).map(|read| read.claims), Err(flaw));
            let foreign = access_token::mint(&other.key, &bed.parties, &claims()).unwrap();
            assert_eq!(bed.judge(&foreign).is_ok(), other.purpose == Purpose::AccessToken);
        }
        let stranger = SigningKey::generate(bed.key.algorithm()).unwrap();
        let token = access_token::mint(&stranger, &bed.parties, &claims()).unwrap();
        assert_eq!(bed.judge(&token).unwrap_err(), Flaw::Key);
        let token = access_token::mint(&bed.key, &bed.parties, &claims()).unwrap();
        let unknown = access_token::read(&token, &Keyring::default(), &bed.parties, NOW);
        assert_eq!(unknown.unwrap_err(), Flaw::Key);
    });
}

#[test]
fn a_public_key_is_no_secret_of_an_hmac() {
    each(|bed| {
        let header = json!({ "alg": "HS256", "typ": "at+jwt", "kid": bed.key.kid() }).to_string();
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(good_claims().to_string()));
        for secret in [bed.key.jwk().to_string(), bed.key.kid().to_owned(), bed.key.jwk()["x"].to_string()] {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
            let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
            let token = format!("{signed}.{}", BASE64.encode(tag.as_ref()));
            assert_eq!(bed.judge(&token).unwrap_err(), Flaw::Algorithm);
        }
    });
}

#[test]
fn only_the_signature_itself_is_one() {
    each(|bed| {
        let token = access_token::mint(&bed.key, &bed.parties, &claims()).unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let bytes = BASE64.decode(signature).unwrap();
        let with = |bytes: &[u8]| format!("{signed}.{}", BASE64.encode(bytes));
        let zero = |at: std::ops::Range<usize>| {
            let mut bytes = bytes.clone();
            bytes[at].fill(0);
            with(&bytes)
        };
        let mut last = signature.chars();
        last.next_back();
        let stray = format!("{signed}.{}{}", last.as_str(), if signature.ends_with('B') { 'C' } else { 'B' });
        for (what, token) in [
            ("empty", format!("{signed}.")),
            ("truncated", with(&bytes[..63])),
            ("longer", with(&[&bytes[..], &[0]].concat())),
            ("all zero", with(&[0; 64])),
            ("r zero", zero(0..32)),
            ("s zero", zero(32..64)),
            ("DER", with(&der(&bytes))),
            ("halves swapped", with(&[&bytes[32..], &bytes[..32]].concat())),
            ("negated", with(&twin(bed.key.algorithm(), &bytes))),
            ("padded", format!("{token}==")),
            ("stray bits", stray),
            (
                "plain base64",
                format!("{signed}.{}", base64::engine::general_purpose::STANDARD.encode(&bytes)),
            ),
            ("white space", format!("{token} ")),
            ("line end", format!("{token}\n")),
            ("a part more", format!("{token}.{signature}")),
        ] {
            let flaw = bed.judge(&token).map(|read| read.claims).unwrap_err();
            assert!(
                matches!(flaw, Flaw::Signature | Flaw::Parts | Flaw::Base64 | Flaw::Json),
                "{what}: {flaw:?}"
            );
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(bed.judge(&with(&bytes)).unwrap_err(), Flaw::Signature, "bit {bit}");
        }
    });
}

/// The other signature that the same mathematics would take.
fn twin(algorithm: Algorithm, signature: &[u8]) -> Vec<u8> {
    // Little-endian for Ed25519, big-endian for P-256; s + order and order - s.
    const ED25519: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
    const P256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let hex = |text: &str| -> Vec<u8> {
        (0..32).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
    };
    let (r, s) = signature.split_at(32);
    let mut carry = 0_i32;
    let mut out = r.to_vec();
    match algorithm {
        Algorithm::EdDsa => {
            for (s, order) in s.iter().zip(hex(ED25519).iter().rev()) {
                let sum = i32::from(*s) + i32::from(*order) + carry;
                carry = sum >> 8;
                out.push((sum & 255) as u8);
            }
        }
        Algorithm::Es256 => {
            let mut low_first = Vec::new();
            for (s, order) in s.iter().rev().zip(hex(P256).iter().rev()) {
                let difference = i32::from(*order) - i32::from(*s) + carry;
                carry = difference >> 8;
                low_first.push((difference & 255) as u8);
            }
            out.extend(low_first.iter().rev());
        }
    }
    out
}

fn der(raw: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let mut value = vec![0];
        value.extend(bytes);
        [&[2, value.len() as u8], &value[..]].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, body.len() as u8], &body[..]].concat()
}

#[test]
fn the_twin_of_a_signature_is_a_signature_elsewhere() {
    // Proves that the test above refuses what the mathematics would not.
    let bed = bed(Algorithm::Es256);
    let token = access_token::mint(&bed.key, &bed.parties, &claims()).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let twin = BASE64.encode(twin(Algorithm::Es256, &BASE64.decode(signature).unwrap()));
    let point = [
        &[4][..],
        &BASE64.decode(bed.key.jwk()["x"].as_str().unwrap()).unwrap(),
        &BASE64.decode(bed.key.jwk()["y"].as_str().unwrap()).unwrap(),
    ]
    .concat();
    let key = jsonwebtoken::DecodingKey::from_ec_der(&point);
    assert!(
        jsonwebtoken::crypto::verify(&twin, signed.as_bytes(), &key, jsonwebtoken::Algorithm::ES256).unwrap()
    );
    assert!(!bed.key.is_in_form(&twin));
}

#[test]
fn claims_that_are_not_ours_are_refused() {
    each(|bed| {
        let set = |name: &'static str, value: Value| {
            bed.judge(&bed.with_claims(|claims| claims[name] = value)).map(|read| read.claims)
        };
        let gone = |name: &'static str| {
            let token = bed.with_claims(|claims| drop(claims.as_object_mut().unwrap().remove(name)));
            bed.judge(&token).map(|read| read.claims)
        };
        for (name, flaw) in [("iss", Flaw::Issuer), ("aud", Flaw::Audience)] {
            assert_eq!(gone(name), Err(flaw));
            let own = good_claims()[name].clone();
            let wrong = [
                "https://evil.test".into(),
                "".into(),
                7.into(),
                json!([own]),
                json!({ "a": own }),
                Value::Null,
            ];
            for value in wrong {
                assert_eq!(set(name, value.clone()), Err(flaw), "{name} {value}");
            }
        }
        for name in ["iat", "exp"] {
            assert_eq!(gone(name), Err(Flaw::Claim(name)));
            let late = json!(1_700_000_900);
            let wrong = [
                late.to_string().into(),
                json!(1_700_000_900.0),
                json!(1_700_000_900.5),
                json!(-1),
                json!(1e30),
                json!(u64::MAX),
                json!(i64::MAX),
                json!(253_402_300_800_i64),
                json!([late]),
                Value::Null,
                true.into(),
            ];
            for value in wrong {
                assert_eq!(set(name, value.clone()), Err(Flaw::Claim(name)), "{name} {value}");
            }
        }
        assert_eq!(set("exp", json!(1_700_000_000)), Err(Flaw::Claim("exp")));
        for value in [json!(1_700_000_001), json!("0"), json!(-1), json!(1.5)] {
            assert_eq!(set("nbf", value.clone()), Err(Flaw::Claim("nbf")), "{value}");
        }
        assert!(set("nbf", json!(1_700_000_000)).is_ok());
        for name in ["sub", "sid", "client_id", "jti"] {
            assert_eq!(gone(name), Err(Flaw::Claim(name)));
            for value in [
                "".into(),
                "a b".into(),
                "a\r\nb".into(),
                "é".into(),
                "x".repeat(129).into(),
                7.into(),
                json!(["acc"]),
            ] {
                assert_eq!(set(name, value), Err(Flaw::Claim(name)), "{name}");
            }
        }
        assert_eq!(gone("scope"), Err(Flaw::Claim("scope")));
        for value in [json!(["a", "b"]), json!("a \"b"), Value::Null] {
            assert_eq!(set("scope", value), Err(Flaw::Claim("scope")));
        }
        assert!(set("more", json!({ "a": [1, 2] })).is_ok());
    });
}

#[test]
fn an_object_is_one_object_without_repeats() {
    each(|bed| {
        let (header, claims) = (bed.header().to_string(), good_claims().to_string());
        let twice = |json: &str, member: &str| format!("{{{member},{}", &json[1..]);
        let judge =
            |header: &str, claims: &str| bed.judge(&bed.signed(header, claims)).map(|read| read.claims);
        for member in [r#""alg":"none""#, r#""typ":"at+jwt""#, r#""kid":"x""#, r#""\u0061lg":"none""#] {
            assert_eq!(judge(&twice(&header, member), &claims), Err(Flaw::Duplicate), "{member}");
        }
        for member in [r#""exp":9999999999"#, r#""sub":"root""#, r#""s\u0075b":"root""#] {
            assert_eq!(judge(&header, &twice(&claims, member)), Err(Flaw::Duplicate), "{member}");
        }
        let unknown_twice = twice(&twice(&claims, r#""x":1"#), r#""x":2"#);
        assert_eq!(judge(&header, &unknown_twice), Err(Flaw::Duplicate));
        let deep = format!("{{\"x\":{}1{}}}", "[".repeat(2000), "]".repeat(2000));
        let many: Vec<String> = (0..200).map(|number| format!("\"m{number}\":0")).collect();
        for json in [
            "[]",
            "\"a\"",
            "7",
            "null",
            "",
            "{",
            "{} {}",
            "{}x",
            "{\"a\":1,}",
            "{'a':1}",
            "\u{feff}{}",
            &deep,
            &format!("{{{}}}", many.join(",")),
        ] {
            assert_eq!(judge(&header, json), Err(Flaw::Json), "{json:.40}");
        }
        let token = bed.signed(&header, &claims).replacen('.', "..", 1);
        assert_eq!(bed.judge(&token).unwrap_err(), Flaw::Parts);
        for token in ["", ".", "..", "a.b", "e30.e30", "e30.e30.e30.e30.e30"] {
            assert!(bed.judge(token).is_err(), "{token}");
        }
        let huge = bed.with_claims(|claims| claims["x"] = "x".repeat(9000).into());
        assert_eq!(bed.judge(&huge).unwrap_err(), Flaw::Parts);
    });
}

#[test]
fn a_token_of_another_kind_is_refused() {
    each(|bed| {
        let inner = access_token::mint(&bed.key, &bed.parties, &claims()).unwrap();
        let nested = bed.signed(&bed.header().to_string(), &format!("{inner:?}"));
        assert_eq!(bed.judge(&nested).unwrap_err(), Flaw::Json);
        let jwe = format!("{}.{}..{}.x", BASE64.encode(r#"{"alg":"dir","enc":"A256GCM"}"#), "", inner);
        assert!(bed.judge(&jwe).is_err());
        let principal = Principal {
            identity: Identity::new("acc", "cred", None, &ScopeSet::default()),
            scopes: ScopeSet::default(),
            issued_at: Timestamp(0),
            expires_at: Timestamp(i64::MAX),
            method: Method::ApiKey,
            allowed_addresses: Networks::default(),
        };
        // Even with the key and the parties of an access token.
        let envelope = assertion::Envelope { issuer: &bed.parties.issuer, upstream: &bed.parties.audience };
        let assertion = assertion::mint(&bed.key, &envelope, &principal, NOW).unwrap();
        assert_eq!(bed.judge(&assertion).unwrap_err(), Flaw::Type);
    });
}

#[test]
fn a_key_survives_its_text_and_is_named_by_its_thumbprint() {
    each(|bed| {
        let again = SigningKey::from_text(bed.key.algorithm(), &bed.key.text()).unwrap();
        assert_eq!((again.kid(), again.jwk()), (bed.key.kid(), bed.key.jwk()));
        let token = access_token::mint(&again, &bed.parties, &claims()).unwrap();
        assert!(bed.judge(&token).is_ok());
        let shown = format!("{again:?}");
        assert!(!shown.contains(&*bed.key.text()), "{shown}");
        let other = if bed.key.algorithm() == Algorithm::EdDsa { Algorithm::Es256 } else { Algorithm::EdDsa };
        assert!(SigningKey::from_text(other, &bed.key.text()).is_err());
        for junk in ["", "AAAA", "not base64"] {
            assert!(SigningKey::from_text(bed.key.algorithm(), junk).is_err(), "{junk}");
        }
        let jwk = bed.key.jwk();
        assert!(jwk.get("d").is_none() && jwk["use"] == "sig" && jwk["kid"] == bed.key.kid(), "{jwk}");
        let library: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk).unwrap();
        let thumbprint = library.thumbprint(jsonwebtoken::jwk::ThumbprintHash::SHA256).unwrap();
        assert_eq!(thumbprint, bed.key.kid());
    });
}

#[test]
fn who_signs_and_who_verifies_follows_from_the_time() {
    let key = || SigningKey::generate(Algorithm::EdDsa).unwrap();
    let (old, new) = (key(), key());
    let ring = Keyring::new([
        RingKey {
            key: old.clone(),
            purpose: Purpose::AccessToken,
            signs_from: Timestamp(100),
            retires_at: Some(Timestamp(300)),
        },
        RingKey {
            key: new.clone(),
            purpose: Purpose::AccessToken,
            signs_from: Timestamp(200),
            retires_at: None,
        },
    ]);
    let signs = |at| ring.signer(Purpose::AccessToken, Timestamp(at)).map(|key| key.key.kid());
    let published = |at| ring.jwks(Timestamp(at))["keys"].as_array().unwrap().len();
    let verifies = |key: &SigningKey, at| {
        ring.named(Purpose::AccessToken, key.kid()).is_some_and(|key| key.verifies(Timestamp(at)))
    };
    for (at, who, count) in [
        (99, Some(old.kid()), 2),
        (100, Some(old.kid()), 2),
        (199, Some(old.kid()), 2),
        (200, Some(new.kid()), 2),
        (300, Some(new.kid()), 1),
    ] {
        assert_eq!((signs(at), published(at)), (who, count), "at {at}");
        assert_eq!((verifies(&old, at), verifies(&new, at)), (at < 300, true), "at {at}");
    }
    assert!(ring.signer(Purpose::Assertion, Timestamp(200)).is_none());
}
