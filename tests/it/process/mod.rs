//! The real binary in a hostile world: killed, without space, without its store, under a clock that jumps, as a stranger.

mod clock;
mod counting;
mod feed;
mod kill;
mod last_use;
mod outage;
mod refreshes;
mod start;
mod strangers;

use std::path::PathBuf;

use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::upstream::Upstream;
use crate::support::within;

const EMAIL: &str = "a@example.com";

/// A home with an account, whose one route leads to an upstream that echoes.
struct Bed {
    home: Home,
    upstream: Upstream,
}

impl Bed {
    async fn new() -> Self {
        Self::before(Upstream::echo().await, "")
    }

    fn before(upstream: Upstream, more: &str) -> Self {
        let home = Home::new(&format!("{}{more}", routes(&upstream)));
        home.account(EMAIL);
        Self { home, upstream }
    }

    /// Replaces what follows the routes.
    fn rewrite(&self, more: &str) {
        self.home.rewrite(&format!("{}{more}", routes(&self.upstream)));
    }

    /// Id and secret.
    fn key(&self) -> (String, String) {
        self.home.key(EMAIL, &[])
    }

    fn client(&self, key: &str) -> Client {
        Client::new(self.home.public()).with_key(key)
    }

    async fn metrics(&self) -> Metrics {
        Metrics(Client::new(self.home.admin()).get("/metrics").await.text().to_owned())
    }

    /// Waits until `/readyz` says so.
    async fn until_ready_is(&self, status: u16, word: &str) {
        let wanted = (status, serde_json::Value::from(word));
        within(word, async {
            loop {
                let ready = Client::new(self.home.admin()).get("/readyz").await;
                if (ready.status, ready.json()["status"].clone()) == wanted {
                    return;
                }
            }
        })
        .await;
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }
}

fn routes(upstream: &Upstream) -> String {
    format!(
        "upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, upstream: api }}]\n",
        upstream.url()
    )
}

/// One scrape.
struct Metrics(String);

impl Metrics {
    /// The value of the series that is written so.
    #[track_caller]
    fn get(&self, series: &str) -> f64 {
        let value = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} in\n{}", self.0)).parse().unwrap()
    }
}
