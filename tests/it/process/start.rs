//! What cannot start says why, in one line with a hint, and exits as the contract says.

use std::fs;
use std::net::TcpListener;

use keyward::store::sqlite::PATIENCE;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::{Bed, EMAIL};
use crate::support::binary::{self, Home};
use crate::support::upstream::Upstream;

const INVALID: i32 = 1;
const UNREACHABLE: i32 = 3;
/// Those that read, write and serve.
const COMMANDS: [&[&str]; 3] =
    [&["keys", "list"], &["keys", "create", "--account", EMAIL, "--name", "n"], &["serve"]];

#[track_caller]
fn every_command_is_refused(home: &Home, words: &str) {
    for command in COMMANDS {
        home.run(command).refused(UNREACHABLE, words);
    }
}

async fn sqlite(bed: &Bed, statements: &'static str) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(bed.home.database());
    let mut conn = options.connect().await.unwrap();
    sqlx::raw_sql(statements).execute(&mut conn).await.unwrap();
    conn
}

#[tokio::test]
async fn what_is_no_whole_store_of_this_version_is_refused_and_left_alone() {
    let bed = Bed::new().await;
    bed.key();
    let whole = fs::read(bed.home.database()).unwrap();
    let noise = crate::support::noise(whole.len());
    let mut flipped = whole.clone();
    flipped[4096..4160].fill(0xa5);
    let mut newer = whole.clone();
    // https://www.sqlite.org/fileformat.html: the user version.
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for (content, words) in [
        (&whole[..whole.len() / 2], "is damaged"),
        (&[], "is damaged: the file is empty"),
        (&flipped, "is damaged"),
        (&noise, "is not a Keyward store"),
        (&newer, "has schema version 99, and this Keyward knows versions up to 7"),
    ] {
        fs::write(bed.home.database(), content).unwrap();
        every_command_is_refused(&bed.home, words);
        assert_eq!(fs::read(bed.home.database()).unwrap(), content, "{words}");
    }
    fs::write(bed.home.database(), &whole).unwrap();
    bed.home.serve().await;
}

#[tokio::test]
async fn a_store_that_another_process_has_to_itself_is_locked() {
    let bed = Bed::new().await;
    let holder = sqlite(&bed, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;").await;
    bed.home.run(&["keys", "list"]).refused(UNREACHABLE, "is locked by another process");
    bed.home.run(&["serve"]).refused(UNREACHABLE, "is locked by another process");
    drop(holder);
    bed.key();
}

#[tokio::test]
async fn a_change_that_another_writer_holds_up_is_refused_in_time() {
    let bed = Bed::new().await;
    let holder = sqlite(&bed, "BEGIN IMMEDIATE").await;
    bed.home.run(&["accounts", "list"]).exited(0);
    let create = bed.home.run(&["keys", "create", "--account", EMAIL, "--name", "n"]);
    assert!(PATIENCE < crate::support::DEADLINE);
    assert_eq!(create.stderr.lines().count(), 1, "{}", create.stderr);
    assert!(create.stderr.contains("another process holds its lock; try again"), "{}", create.stderr);
    create.exited(UNREACHABLE);
    drop(holder);
    let listed = bed.home.run(&["keys", "list", "--json"]).json();
    assert_eq!(listed["items"], serde_json::json!([]));
}

/// From too little for any byte on, up to enough.
#[tokio::test]
async fn without_space_nothing_is_made_and_nothing_is_lost() {
    let bed = Bed::new().await;
    let (kept, _) = bed.key();
    let create = ["keys", "create", "--account", EMAIL, "--name", "n", "--json"];
    let (mut refused, mut made) = (0, vec![kept]);
    for blocks in (0..160).step_by(16) {
        let command = bed.home.command_with_little_space(&blocks.to_string(), &create);
        let done = binary::finish(command, "");
        match done.code {
            Some(0) => made.push(done.json()["id"].as_str().unwrap().to_owned()),
            _ => {
                refused += 1;
                assert!(done.stderr.starts_with("error: the store "), "{}", done.stderr);
                done.exited(UNREACHABLE);
            }
        }
    }
    assert!(refused > 0 && made.len() > 1, "{refused} were refused, {} made", made.len());
    let listed = bed.home.run(&["keys", "list", "--json"]).json();
    let listed: Vec<_> = listed["items"].as_array().unwrap().iter().map(|key| key["id"].clone()).collect();
    assert_eq!(listed, made);
    let new = Home::new("");
    let create = ["accounts", "create", "--email", EMAIL];
    binary::finish(new.command_with_little_space("16", &create), "").refused(UNREACHABLE, "the store ");
    assert!(!new.database().exists(), "half a store was left");
    new.account(EMAIL);
}

#[tokio::test]
async fn a_taken_port_is_named_and_the_store_is_not_touched() {
    let home = Home::new(&super::routes(&Upstream::echo().await));
    for address in [home.public(), home.admin()] {
        let holder = TcpListener::bind(address).unwrap();
        home.run(&["serve"]).refused(INVALID, &format!("cannot listen on {address}: another process"));
        drop(holder);
        assert!(!home.database().exists());
    }
    home.serve().await;
}

#[tokio::test]
async fn an_access_log_that_cannot_be_opened_is_named() {
    let bed = Bed::new().await;
    for (file, reason) in [("gone/access.log", "gone/access.log"), ("data", "data")] {
        bed.rewrite(&format!("log: {{ access: ./{file} }}\n"));
        bed.home.run(&["serve"]).refused(INVALID, "the access log cannot be opened");
        let told = bed.home.run(&["serve"]).stderr;
        assert!(told.contains(reason), "{told}");
    }
}
