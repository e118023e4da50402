//! `kill -9` of the server in the middle of refreshes: every pair that a client was handed is good for the next, and of no
//! session two refresh tokens are alive.
//!
//! `KEYWARD_KILL_ROUNDS=200 cargo test --test it process::refreshes -- --nocapture` is the long run.

use std::path::Path;

use serde_json::{Value, json};

use super::{Bed, EMAIL};
use crate::support::chaos;
use crate::support::raw::{Raw, Response};
use crate::support::sql;
use crate::support::upstream::Upstream;

const HOST: &str = "auth.test";
const PASSWORD: &str = "correct horse battery staple";
/// Sessions that are refreshed at once.
const SESSIONS: usize = 4;
/// With a window, so that who was cut off can ask again by what it has.
const IDENTITY: &str = "identity: { public_url: \"https://auth.test\", refresh: { reuse_window: 60s } }\nlog: { access: \"off\" }\n";

/// One client, and the last refresh token that it was handed.
struct Client {
    refresh: String,
    handed: usize,
}

/// One request on this connection; `None` when it broke off.
async fn ask(raw: &mut Raw, path: &str, body: &Value) -> Option<Response> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    raw.try_send(head + &body).await.ok()?;
    raw.answer("POST").await.ok()
}

fn refresh_of(answer: &Response) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["refresh_token"].as_str().unwrap().to_owned()
}

impl Client {
    async fn login(bed: &Bed) -> Self {
        let mut raw = Raw::connect(bed.home.public()).await;
        let body = json!({"email": EMAIL, "password": PASSWORD});
        let answer = ask(&mut raw, "/user/login", &body).await.expect("an answer");
        Self { refresh: refresh_of(&answer), handed: 1 }
    }

    /// What was handed before the server was killed is good, and goes on to be until it is killed again.
    async fn refresh_until_it_breaks_off(&mut self, mut raw: Raw) {
        while let Some(answer) =
            ask(&mut raw, "/user/token/refresh", &json!({"refresh_token": self.refresh})).await
        {
            self.refresh = refresh_of(&answer);
            self.handed += 1;
        }
    }
}

/// How many refresh tokens of each session are alive.
async fn living(database: &Path) -> Vec<i64> {
    use sqlx::Connection as _;
    let mut conn = sql::raw(database).await;
    let living = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM refresh_tokens AS t WHERE t.session_id = s.id AND t.used_at IS NULL) \
         FROM sessions AS s WHERE s.ended_at IS NULL",
    );
    let living = living.fetch_all(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    living
}

#[tokio::test]
async fn every_pair_that_was_handed_out_is_good_and_no_session_has_two() {
    let bed = Bed::before(Upstream::echo().await, IDENTITY);
    bed.home.run_with_input(&["accounts", "set-password", EMAIL], PASSWORD).exited(0);
    let mut serving = bed.home.serve().await;
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        clients.push(Client::login(&bed).await);
    }
    let rounds = chaos::rounds(6);
    for _ in 0..rounds {
        let mut connections = Vec::new();
        for _ in 0..SESSIONS {
            connections.push(Raw::connect(bed.home.public()).await);
        }
        let refreshing = clients.iter_mut().zip(connections);
        let refreshing = refreshing.map(|(client, raw)| client.refresh_until_it_breaks_off(raw));
        let killing = async {
            tokio::time::sleep(chaos::moment(5_000..300_000)).await;
            serving.kill();
        };
        tokio::join!(futures_util::future::join_all(refreshing), killing);
        assert_eq!(living(&bed.home.database()).await, [1; SESSIONS]);
        serving = bed.home.serve().await;
    }
    // The last that was handed out too.
    for client in &clients {
        let mut raw = Raw::connect(bed.home.public()).await;
        let body = json!({"refresh_token": client.refresh});
        refresh_of(&ask(&mut raw, "/user/token/refresh", &body).await.expect("an answer"));
    }
    let handed: usize = clients.iter().map(|client| client.handed).sum();
    println!("kill -9 of the server: {rounds} rounds, {handed} pairs handed out, none lost, none twice");
    assert!(handed > 2 * SESSIONS, "it was always killed before it had refreshed anything");
}
