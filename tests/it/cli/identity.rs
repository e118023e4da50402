//! Passwords, reset links, sessions, rotation and import, as an operator does them.

use std::sync::Arc;

use keyward::auth::random::System;
use keyward::auth::token::HashedToken;
use keyward::clock::Clock;
use keyward::config::{Synchronous, load};
use keyward::issuer::{Issuer, NobodyToTell, Pair, Visitor};
use keyward::store::Origin;
use keyward::store::sqlite::{Open, SqliteStore};

use crate::support::binary::{Done, Home};

const EMAIL: &str = "a@example.com";
const PASSWORD: &str = "correct horse battery staple";
const IDENTITY: &str = "identity: { public_url: https://auth.example.com }\n";

/// It failed with exit code 1, and its first line says this.
#[track_caller]
fn refused(done: Done, words: &str) {
    let line = done.stderr.lines().next().unwrap_or_default();
    assert!(line.starts_with("error: ") && line.contains(words), "{words} is not told in:\n{}", done.stderr);
    done.exited(1);
}

/// A login, as the server would do it.
async fn login(home: &Home, password: &str) -> Result<Pair, String> {
    let config = load(&home.path().join("keyward.yaml"), &|_| None).unwrap().config;
    let store = SqliteStore::open(&home.database(), Synchronous::Normal, Open::Existing).await.unwrap();
    let random = Arc::new(System::default());
    let issuer = Issuer::new(Arc::new(store), Clock::system(), random, &config, Arc::new(NobodyToTell));
    let visitor = Visitor { address: [192, 0, 2, 7].into(), browser: None, agent: "curl/8.5".to_owned() };
    let origin = Origin { actor: "test".to_owned(), via: "test".to_owned() };
    let pair = issuer.login(EMAIL, password.to_owned().into(), &visitor, &origin).await;
    pair.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_password_comes_from_standard_input_and_is_shown_nowhere() {
    let home = Home::new(IDENTITY);
    let create = ["accounts", "create", "--email", EMAIL, "--password-stdin"];
    for (input, reason) in [
        ("", "there is no password on standard input"),
        ("short\n", "the password has 5 characters; at least 8 are needed"),
        ("Password1\n", "the password is one of the most common"),
        ("a@example.com", "the password is the email address"),
    ] {
        refused(home.run_with_input(&create, input), reason);
    }
    assert!(!home.database().exists(), "a refused command made a store");
    let made = home.run_with_input(&create, &format!("{PASSWORD}\r\n"));
    assert!(!made.stdout.contains(PASSWORD) && !made.stderr.contains(PASSWORD));
    made.exited(0);
    login(&home, PASSWORD).await.unwrap();
    let set = ["accounts", "set-password", EMAIL];
    refused(home.run_with_input(&set, "password"), "the password is one of the most common");
    home.run_with_input(&set, "another horse entirely").exited(0);
    assert_eq!(login(&home, PASSWORD).await.unwrap_err(), "email or password is wrong");
    login(&home, "another horse entirely").await.unwrap();
    let unknown = ["accounts", "set-password", "b@example.com"];
    refused(home.run_with_input(&unknown, PASSWORD), "there is no such account");
    let bytes = std::fs::read(home.database()).unwrap();
    assert!(!bytes.windows(PASSWORD.len()).any(|window| window == PASSWORD.as_bytes()));
}

#[test]
fn a_reset_link_is_a_url_under_the_public_one() {
    let home = Home::new(IDENTITY);
    home.account(EMAIL);
    let told = home.run(&["accounts", "reset-link", EMAIL]).exited(0);
    let link = "\n    https://auth.example.com/console/reset?token=kw_rl_";
    assert!(told.contains(link), "{told}");
    let link = home.run(&["accounts", "reset-link", EMAIL, "--json"]).json();
    assert!(link["url"].as_str().unwrap().starts_with(link_start()), "{link}");
    assert!(link["expires_at"].as_str().unwrap().ends_with('Z'), "{link}");
    home.rewrite("identity: { public_url: https://auth.example.com, console: false }\n");
    let done = home.run(&["accounts", "reset-link", EMAIL]);
    assert!(done.stderr.contains("keyward accounts set-password"), "{}", done.stderr);
    refused(done, "`identity.console` is false: nobody could open the link");
    home.rewrite("");
    refused(home.run(&["accounts", "reset-link", EMAIL]), "the configuration has no section `identity`");
}

fn link_start() -> &'static str {
    "https://auth.example.com/console/reset?token=kw_rl_"
}

#[tokio::test]
async fn sessions_are_listed_and_revoked() {
    let home = Home::new(IDENTITY);
    home.run_with_input(&["accounts", "create", "--email", EMAIL, "--password-stdin"], PASSWORD).exited(0);
    assert_eq!(home.run(&["sessions", "list"]).exited(0), "Nobody is logged in.\n");
    let pair = login(&home, PASSWORD).await.unwrap();
    let id = &*pair.session.id;
    let list = home.run(&["sessions", "list", "--account", EMAIL, "--json"]).json();
    assert_eq!(list["items"][0]["id"], id);
    assert_eq!(
        (&list["items"][0]["address"], &list["items"][0]["agent"]),
        (&"192.0.2.7".into(), &"curl/8.5".into())
    );
    let told = home.run(&["sessions", "list"]).exited(0);
    assert!(told.contains(EMAIL) && told.contains(id) && told.contains("192.0.2.7"), "{told}");
    let ended = home.run(&["sessions", "revoke", id, "--json"]).json();
    assert_eq!(ended["ended_by"], "revoked");
    let again = home.run(&["sessions", "revoke", id]).exited(0);
    assert!(again.contains("(revoked)"), "{again}");
    assert_eq!(home.run(&["sessions", "list"]).exited(0), "Nobody is logged in.\n");
    refused(home.run(&["sessions", "revoke", "nothing"]), "there is no such session");
    login(&home, PASSWORD).await.unwrap();
    home.run(&["accounts", "disable", EMAIL]).exited(0);
    assert_eq!(home.run(&["sessions", "list"]).exited(0), "Nobody is logged in.\n");
}

#[test]
fn a_rotated_key_is_printed_once_and_the_old_one_ends_after_the_overlap() {
    let home = Home::new("");
    home.account(EMAIL);
    let (id, secret) = home.key(EMAIL, &["--expires-in", "30d"]);
    let next = home.run(&["keys", "rotate", &id, "--json"]).json();
    assert_eq!(next["name"], "test");
    assert_ne!((&next["id"], &next["key"]), (&id.clone().into(), &secret.into()));
    let old = home.run(&["keys", "show", &id, "--json"]).json();
    assert_eq!(old["status"], "active");
    assert!(old["expires_at"].as_str() < next["expires_at"].as_str(), "{old} {next}");
    let next = next["id"].as_str().unwrap();
    let third = home.run(&["keys", "rotate", next, "--overlap", "0s", "--quiet"]).exited(0);
    assert!(third.starts_with("kw_sk_") && third.lines().count() == 1, "{third}");
    assert_eq!(home.run(&["keys", "show", next, "--json"]).json()["status"], "expired");
    for replaced in [&*id, next] {
        refused(home.run(&["keys", "rotate", replaced]), "this key was replaced already; rotate the key");
    }
    let limits = home.run(&["keys", "set-limits", &id, "--per-day", "5"]);
    assert!(limits.stderr.contains(&format!("the key to change is now {next}")), "{}", limits.stderr);
    refused(limits, "this key was replaced; it works until ");
    let shown = home.run(&["keys", "show", &id]).exited(0);
    assert!(shown.lines().any(|line| line.starts_with("replaced by") && line.ends_with(next)), "{shown}");
    assert!(old.get("replaced_by").is_none(), "{old}");
    let (revoked, _) = home.key(EMAIL, &[]);
    home.run(&["keys", "revoke", &revoked]).exited(0);
    refused(home.run(&["keys", "rotate", &revoked]), "the key is revoked or expired");
    refused(home.run(&["keys", "rotate", &id, "--overlap", "31d"]), "the longest overlap is 30d");
    refused(home.run(&["keys", "rotate", "nothing"]), "there is no such key");
}

#[test]
fn keys_are_imported_whole_or_not_at_all() {
    let home = Home::new("");
    home.account(EMAIL);
    let line = |name: &str, account: &str| {
        let digest = HashedToken::of(name.as_bytes()).hex();
        format!(
            "{{\"digest\":\"{digest}\",\"prefix\":\"acme-\",\"last4\":\"wxyz\",\"name\":\"{name}\",\
             \"account\":\"{account}\",\"scopes\":[],\"expires_at\":\"2027-01-31T00:00:00Z\"}}\n"
        )
    };
    let wrong = [&line("one", EMAIL), "junk\n", &line("two", "b@example.com")].concat();
    let told = home.run_with_input(&["keys", "import"], &wrong);
    assert!(
        told.stderr.contains("\n  line 2: this is no key")
            && told.stderr.contains("\n  line 3: there is no account \"b@example.com\""),
        "{}",
        told.stderr
    );
    told.refused(1, "nothing was imported");
    assert!(home.run(&["keys", "list"]).exited(0).starts_with("There are no keys."));
    let good = [line("one", EMAIL), line("two", EMAIL)].concat();
    assert_eq!(home.run_with_input(&["keys", "import"], &good).exited(0), "imported 2 keys\n");
    let again = home.run_with_input(&["keys", "import"], &line("two", EMAIL));
    assert!(again.stderr.contains("line 1: a key with this digest is there already"), "{}", again.stderr);
    again.refused(1, "nothing was imported");
    let third = home.run_with_input(&["keys", "import", "--json"], &line("three", EMAIL)).json();
    assert_eq!(
        (&third["items"][0]["prefix"], &third["items"][0]["last4"]),
        (&"acme-".into(), &"wxyz".into())
    );
    assert_eq!(home.run(&["keys", "list", "--json"]).json()["items"].as_array().unwrap().len(), 3);
    refused(home.run_with_input(&["keys", "import"], "\u{0}"), "nothing was imported");
    let begins = |prefix: &str| line(&format!("of {prefix}"), EMAIL).replace("acme-", prefix);
    let doubted = home.run_with_input(&["keys", "import"], &[begins("kw"), begins("eyJh")].concat());
    for doubt in [
        "a key that begins with kw_ is taken for one that was made here, and is refused",
        "a key of three parts with dots between that begins with eyJ is taken for a JWT, and is refused",
    ] {
        assert!(doubted.stderr.contains(doubt), "{}", doubted.stderr);
    }
    assert_eq!(doubted.exited(0), "imported 2 keys\n");
}
