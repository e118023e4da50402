//! Where a server is: the addresses of its name, as they were last looked up.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;

use crate::config;

/// The addresses of one server.
#[derive(Debug)]
pub(super) struct Whereabouts {
    /// In one order, each once; empty until a name was looked up for the first time.
    known: ArcSwap<Vec<IpAddr>>,
    /// With which of them the next connection is tried first.
    turn: AtomicUsize,
    /// How often addresses were lost: connections to those are of no more use.
    losses: AtomicUsize,
    named: bool,
    /// Whether its name was looked up last in vain.
    sought: AtomicBool,
}

impl Whereabouts {
    pub(super) fn of(place: &config::Endpoint) -> Self {
        let literal: Option<IpAddr> = place.host.parse().ok();
        Self {
            known: ArcSwap::from_pointee(literal.into_iter().collect()),
            turn: AtomicUsize::default(),
            losses: AtomicUsize::default(),
            named: literal.is_none(),
            sought: AtomicBool::default(),
        }
    }

    /// Whether there is a name to look up.
    pub(super) const fn has_name(&self) -> bool {
        self.named
    }

    /// It is there now; whether that is elsewhere than before.
    pub(super) fn are(&self, found: &[IpAddr]) -> bool {
        let mut found = found.to_vec();
        found.sort_unstable();
        found.dedup();
        let old = self.known.load_full();
        if *old == found {
            return false;
        }
        self.sought.store(false, Ordering::Relaxed);
        let loses = old.iter().any(|address| !found.contains(address));
        self.known.store(Arc::new(found));
        if loses {
            self.losses.fetch_add(1, Ordering::Release);
        }
        !old.is_empty()
    }

    /// Its name led nowhere.
    pub(super) fn are_unknown(&self) {
        self.sought.store(true, Ordering::Relaxed);
    }

    /// Whether there is no address to connect to: its name was never found.
    pub(super) fn is_nowhere(&self) -> bool {
        self.sought.load(Ordering::Relaxed) && self.known.load().is_empty()
    }

    /// How often addresses were lost.
    pub(super) fn losses(&self) -> usize {
        self.losses.load(Ordering::Acquire)
    }

    /// Whether a connection to there leads to it still.
    pub(super) fn include(&self, address: IpAddr) -> bool {
        self.known.load().contains(&address.to_canonical())
    }

    /// Makes a connection: to its addresses in turn, to one after the other until one takes it.
    pub(super) async fn connect(&self, place: &config::Endpoint) -> io::Result<TcpStream> {
        let known = self.known.load_full();
        if known.is_empty() {
            return TcpStream::connect((&*place.host, place.port)).await;
        }
        let first = if known.len() > 1 { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let mut failure = None;
        for step in 0..known.len() {
            let Some(address) = known.get(first.wrapping_add(step) % known.len()) else { continue };
            match TcpStream::connect(SocketAddr::new(*address, place.port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::forwarded::Scheme;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn only_addresses_that_are_lost_make_connections_useless() {
        let place = config::Endpoint { host: "api.test".into(), port: 80, scheme: Scheme::Http };
        let whereabouts = Whereabouts::of(&place);
        let mut seen = Vec::new();
        for found in [
            &["10.0.0.1", "10.0.0.2"][..],
            &["10.0.0.2", "10.0.0.1"],
            &["10.0.0.1", "10.0.0.2", "::1"],
            &["::1"],
        ] {
            seen.push((whereabouts.are(&addresses(found)), whereabouts.losses()));
        }
        assert_eq!(seen, [(false, 0), (false, 0), (true, 0), (true, 1)]);
        assert!(
            whereabouts.include("::1".parse().unwrap()) && !whereabouts.include("10.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn a_name_is_nowhere_until_it_is_found_and_keeps_its_addresses_afterwards() {
        let whereabouts =
            Whereabouts::of(&config::Endpoint { host: "api.test".into(), port: 80, scheme: Scheme::Http });
        assert!(!whereabouts.is_nowhere(), "nobody has looked yet");
        whereabouts.are_unknown();
        assert!(whereabouts.is_nowhere());
        whereabouts.are(&addresses(&["10.0.0.1"]));
        assert!(!whereabouts.is_nowhere());
        whereabouts.are_unknown();
        assert!(!whereabouts.is_nowhere(), "its last known addresses serve");
    }

    #[test]
    fn an_address_is_looked_up_by_nobody() {
        for (host, named) in [("127.0.0.1", false), ("::1", false), ("localhost", true)] {
            assert_eq!(
                Whereabouts::of(&config::Endpoint { host: host.into(), port: 1, scheme: Scheme::Http })
                    .has_name(),
                named
            );
        }
    }
}
