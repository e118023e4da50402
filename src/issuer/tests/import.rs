//! Keys from elsewhere.

use super::*;
use crate::auth::token::HashedToken;
use crate::issuer::import::Doubt;

fn line(name: &str, more: &str) -> String {
    let digest = HashedToken::of(name.as_bytes()).hex();
    format!(
        "{{\"digest\":\"{digest}\",\"prefix\":\"acme_\",\"last4\":\"wxyz\",\"name\":\"{name}\",\
         \"account\":\"a@example.com\",\"scopes\":[\"orders:read\"],\"expires_at\":\"2027-01-31T01:00:00+01:00\"{more}}}"
    )
}

async fn problems(desk: &Desk, lines: &str) -> Vec<String> {
    match desk.issuer.import_keys(lines, &desk.origin).await.unwrap_err() {
        IssueError::Import { problems, .. } => problems.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn digests_become_keys_that_are_found() {
    let desk = desk().await;
    let account = desk.account("a@example.com").await;
    let lines = format!("{}\n\n{}\r\n", line("one", ",\"length\":40"), line("two", ""));
    let keys = desk.issuer.import_keys(&lines, &desk.origin).await.unwrap();
    assert_eq!(keys.len(), 2);
    let found = desk.issuer.store.find_key(HashedToken::of(b"two")).await.unwrap().key.unwrap().0;
    assert_eq!((&found, &found.account_id), (&keys[1], &account.id));
    assert_eq!(
        (found.expires_at.rfc3339().as_str(), found.scopes.as_str()),
        ("2027-01-31T00:00:00Z", "orders:read")
    );
    let told = desk.told.0.lock().unwrap().clone();
    let told: Vec<_> = told[1..].iter().map(|change| (change.seq.0, change.created, &change.id)).collect();
    assert_eq!(told, [(4, true, &keys[0].id), (5, true, &keys[1].id)], "after the rows of two new forms");
    let mut forms = desk.told.1.lock().unwrap().clone();
    forms.sort_by_key(|form| form.length);
    assert_eq!(desk.issuer.store.key_forms().await.unwrap(), forms, "whoever judges was told of them");
    assert_eq!(problems(&desk, &line("two", "")).await, ["line 1: a key with this digest is there already"]);
}

/// Some editors and shells begin every file with it.
#[tokio::test]
async fn a_byte_order_mark_at_the_start_is_no_part_of_the_first_line() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let (first, second) = (line("one", ""), line("two", ""));
    let marked_twice = format!("\u{feff}{first}\n\u{feff}{second}\n");
    let expected = ["line 2: this is no key: expected value"];
    assert_eq!(problems(&desk, &marked_twice).await, expected, "in the middle it is nobody's");
    let marked = format!("\u{feff}{first}\n{second}\n");
    assert_eq!(desk.issuer.import_keys(&marked, &desk.origin).await.unwrap().len(), 2);
    assert_eq!(desk.issuer.import_keys("\u{feff}", &desk.origin).await.unwrap(), []);
}

#[tokio::test]
async fn every_bad_line_is_told_and_nothing_is_taken() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let good = line("good", "");
    let wrong = |from: &str, to: &str| line("bad", "").replace(from, to);
    let lines = [
        good.clone(),
        "not json".to_owned(),
        "[]".to_owned(),
        line("x", ",\"secret\":\"y\""),
        wrong("\"name\":\"bad\",", ""),
        good.clone(),
        wrong("\"digest\":\"", "\"digest\":\"+"),
        wrong("a@example.com", "b@example.com"),
        wrong("orders:read", "orders:write"),
        wrong("2027-01-31T", "2020-01-31T"),
        wrong("2027-01-31T01:00:00+01:00", "tomorrow"),
        wrong("2027-01-31", "2037-01-31"),
        wrong("acme_", "kw_sk_"),
        wrong("wxyz", "the whole key"),
        wrong("acme_", "a b"),
        line("y", ",\"length\":0"),
        line("z", ",\"allowed_addresses\":[\"office\"]").replace("\"name\":\"z\"", "\"name\":\"\""),
    ];
    let told = problems(&desk, &lines.join("\n")).await;
    let expected = [
        "line 2: this is no key: expected ident",
        "line 3: this is no key: invalid length 0, expected struct Line with 9 elements",
        "line 4: this is no key: it has an unknown member, expected one of `digest`, `prefix`, `last4`, `name`, `account`, `scopes`, `expires_at`, `length`, `allowed_addresses`",
        "line 5: this is no key: missing field `name`",
        "line 6: `digest` is that of line 1 too",
        "line 7: `digest` is not a SHA-256 in 64 hexadecimal digits",
        "line 8: there is no account \"b@example.com\"",
        "line 9: this account cannot have orders:write; it can have orders:read",
        "line 10: the expiry 2020-01-31T00:00:00Z is in the past",
        "line 11: \"tomorrow\" is not a time such as 2027-01-31T00:00:00Z",
        "line 12: the longest life of a key is 365d",
        "line 13: `prefix` is that of keys that are made here; such a key would never be looked up",
        "line 14: `last4` is not the last four characters of a key",
        "line 15: `prefix` is 32 visible ASCII characters at most, and not the whole key",
        "line 16: `length` is 1 to 8192 bytes",
        "line 17: a key needs a name",
        "line 17: \"office\" is neither an IP address nor a network such as 10.0.0.0/8",
    ];
    assert_eq!(told, expected);
    assert_eq!(desk.issuer.keys(None, None, 9).await.unwrap().items, []);
    assert!(desk.issuer.import_keys(&good, &desk.origin).await.is_ok());
}

#[tokio::test]
async fn a_line_that_shows_the_whole_key_is_refused() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let whole = ["line 1: `prefix` and `last4` are the whole key, which would be kept and shown in clear"];
    for length in [1, 8, 9] {
        assert_eq!(problems(&desk, &line("x", &format!(",\"length\":{length}"))).await, whole, "{length}");
    }
    // Without a length, by the digest.
    let key = "acme_0123wxyz";
    for (prefix, last4) in [
        ("acme_0123wxyz", ""),
        ("acme_0123wxyz", "wxyz"),
        ("acme_0123wxyz", "else"),
        ("acme_0123", "wxyz"),
        ("acme_0123wx", "wxyz"),
    ] {
        let line = line(key, "")
            .replace("\"acme_\"", &format!("\"{prefix}\""))
            .replace("\"wxyz\"", &format!("\"{last4}\""));
        assert_eq!(problems(&desk, &line).await, whole, "{prefix} {last4}");
    }
    assert_eq!(desk.issuer.keys(None, None, 9).await.unwrap().items, []);
    for good in [line("x", ",\"length\":10"), line(key, "")] {
        assert_eq!(desk.issuer.import_keys(&good, &desk.origin).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn what_keys_may_be_taken_for_is_told() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let begins =
        |prefix: &str| line(&format!("of {prefix}"), "").replace("\"acme_\"", &format!("\"{prefix}\""));
    let doubts = async |prefix: &str| {
        let keys = desk.issuer.import_keys(&begins(prefix), &desk.origin).await.unwrap();
        desk.issuer.doubts(&keys)
    };
    for plain in ["acme_", "", "k", "kwx", "kw-", "ey"] {
        assert_eq!(doubts(plain).await, [], "{plain}");
    }
    assert_eq!(doubts("kw").await, [Doubt::Own("kw".to_owned())]);
    assert_eq!(doubts("eyJhbGci").await, [Doubt::Token]);
}

#[tokio::test]
async fn a_key_in_the_wrong_place_is_told_to_nobody() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let key = "acme_0123456789abcdefghijklmnopqrstuvwxyz";
    for wrong in [
        line("x", "").replace("wxyz", key),
        line("x", "").replace("\"acme_\"", &format!("\"{key}\"")),
        line("x", "").replace("a@example.com", key),
        line("x", "").replace("2027-01-31T01:00:00+01:00", key),
        line("x", "").replace("orders:read", key),
        line("x", &format!(",\"{key}\":1")),
        line("x", &format!(",\"length\":\"{key}\"")),
        line("x", &format!(",\"length\":\"{key}, expected {key} at line 1\"")),
        line("x", &format!(",\"allowed_addresses\":[\"{key}\"]")),
        line("x", &format!(",\"allowed_addresses\":\"{key}\"")),
        format!("\"{key}\""),
        key.to_owned(),
    ] {
        let told = problems(&desk, &wrong).await.join("\n");
        assert!(!told.is_empty() && !told.contains("0123"), "{wrong}: {told}");
    }
}

#[tokio::test]
async fn a_flood_of_lines_and_of_problems_is_cut_short() {
    let desk = desk().await;
    desk.account("a@example.com").await;
    let junk = "junk\n".repeat(150);
    let IssueError::Import { problems, more } =
        desk.issuer.import_keys(&junk, &desk.origin).await.unwrap_err()
    else {
        panic!("it was taken")
    };
    assert_eq!((problems.len(), more), (100, 50));
    let many: String = (0..=10_000).map(|number| line(&number.to_string(), "") + "\n").collect();
    let IssueError::Import { problems, .. } = desk.issuer.import_keys(&many, &desk.origin).await.unwrap_err()
    else {
        panic!("it was taken")
    };
    assert_eq!(
        problems[0].to_string(),
        "line 10001: at most 10000 keys are imported at once; split the file"
    );
}
