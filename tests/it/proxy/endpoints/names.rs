//! Servers that are known by name, and move.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use keyward::proxy::upstream::resolve::Resolver;

use super::PUBLIC;
use crate::support::gateway::Gateway;
use crate::support::upstream::{Answer, Upstream};
use crate::support::within;

/// What a name leads to, by the number of the state that the test is in.
pub(super) struct Names {
    state: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    resolver: Resolver,
}

pub(super) fn names(states: Vec<Option<Vec<IpAddr>>>) -> Names {
    let (state, asked) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, count) = (state.clone(), asked.clone());
    let resolver = Resolver::scripted(Duration::from_millis(10), move |name| {
        assert_eq!(name, "api.test");
        count.fetch_add(1, Ordering::SeqCst);
        let found = states[now.load(Ordering::SeqCst)].clone();
        found.ok_or_else(|| io::Error::other("no answer"))
    });
    Names { state, asked, resolver }
}

impl Names {
    pub(super) const fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// Waits until the name was looked up again in this state, and what was found is known.
    pub(super) async fn become_state(&self, state: usize) {
        self.state.store(state, Ordering::SeqCst);
        let goal = self.asked.load(Ordering::SeqCst) + 2;
        within("two look-ups", async {
            while self.asked.load(Ordering::SeqCst) < goal {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    pub(super) async fn gateway(&self, port: u16) -> Gateway {
        let url = format!("http://api.test:{port}");
        let builder = Gateway::builder().upstream("api", &url).resolver(&self.resolver);
        let gateway = builder.yaml(PUBLIC).start().await;
        self.become_state(0).await;
        gateway
    }
}

/// Two servers on one port of two addresses.
async fn two(answer: impl Fn(&'static str) -> Answer) -> (Upstream, Upstream) {
    let one = Upstream::always(answer("one")).await;
    let elsewhere = SocketAddr::from(([127, 0, 0, 2], one.address().port()));
    let other = answer("other");
    (one, Upstream::at(elsewhere, move |_| other.clone()).await)
}

pub(super) const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));

#[tokio::test]
async fn a_server_that_moves_is_followed_and_no_request_goes_to_where_it_was() {
    let (one, other) = two(Answer::ok).await;
    let names = names(vec![Some(vec![ONE]), Some(vec![OTHER])]);
    let gateway = names.gateway(one.address().port()).await;
    let mut client = gateway.anonymous();
    for _ in 0..3 {
        assert_eq!(client.get("/").await.text(), "one");
    }
    names.become_state(1).await;
    // What is kept is closed by the worker's next tick, and what comes back after it at once.
    within("the first answer from elsewhere", async { while client.get("/").await.text() != "other" {} })
        .await;
    let before = one.requests().len();
    for _ in 0..10 {
        assert_eq!(client.get("/").await.text(), "other");
    }
    assert_eq!(one.requests().len(), before);
    one.until_all_closed().await;
    assert!(other.requests().len() >= 11);
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_any_more_leads_where_it_led() {
    let answer = |text| Answer::ok(text).then_close();
    let one = Upstream::always(answer("one")).await;
    let names = names(vec![Some(vec![ONE]), None]);
    let gateway = names.gateway(one.address().port()).await;
    let mut client = gateway.anonymous();
    assert_eq!(client.get("/").await.text(), "one");
    names.become_state(1).await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.text(), "one");
    }
    assert_eq!(one.connections().len(), 6);
}

#[tokio::test]
async fn all_addresses_of_a_name_are_used_and_one_that_refuses_costs_nothing() {
    let (one, other) = two(|text| Answer::ok(text).then_close()).await;
    let nobody: IpAddr = "127.0.0.3".parse().unwrap();
    let names = names(vec![Some(vec![ONE, OTHER, nobody])]);
    let gateway = names.gateway(one.address().port()).await;
    let mut client = gateway.anonymous();
    for _ in 0..12 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert!(one.requests().len() >= 4 && other.requests().len() >= 4);
}
