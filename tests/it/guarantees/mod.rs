//! What Keyward promises, each promise held against the whole gateway: every test here fails when the mechanism behind
//! its promise is taken away.

mod access_log;
mod beside;
mod complaints;
mod crowds;
mod endings;
mod imported;
mod last_use;
mod load;
mod outage;
mod refusals;
mod reload;
mod revocation;
mod single_flight;
mod stop;
mod tunnels;

use std::net::SocketAddr;

use crate::support::binary::Home;
use crate::support::http::Client;
use crate::support::upstream::Upstream;
use crate::support::within;

/// `/readyz`: status and the word in it.
async fn readiness(admin: SocketAddr) -> (u16, String) {
    let response = Client::new(admin).get("/readyz").await;
    (response.status, response.json()["status"].as_str().unwrap().to_owned())
}

async fn until_readiness(admin: SocketAddr, status: u16, word: &str) {
    within(&format!("{word} from /readyz"), async {
        while readiness(admin).await != (status, word.to_owned()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The sum of all series whose line begins so.
pub async fn metric(admin: SocketAddr, series: &str) -> u64 {
    let text = Client::new(admin).get("/metrics").await;
    let values = text.text().lines().filter(|line| line.starts_with(series));
    values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
}

pub async fn until_metric(admin: SocketAddr, series: &str, value: u64) {
    let mut last = None;
    let reached = tokio::time::timeout(crate::support::DEADLINE, async {
        while last != Some(value) {
            last = Some(metric(admin, series).await);
        }
    });
    assert!(reached.await.is_ok(), "{series} is {last:?} and not {value}");
}

/// A configuration of the real binary: one upstream, one route for everything, with this `auth`.
fn one_route(upstream: &Upstream, auth: &str) -> String {
    format!(
        "upstreams: [{{ name: api, endpoints: [{{ url: \"{}\" }}] }}]\n\
         routes: [{{ name: all, match: {{ path_prefix: / }}, auth: {auth}, upstream: api }}]\n",
        upstream.url()
    )
}

/// A home whose server serves [`one_route`] to everybody, with these sections besides.
pub fn open_home(upstream: &Upstream, more: &str) -> Home {
    Home::new(&format!("{}{more}", one_route(upstream, "public")))
}
