//! Peers that look like the operator's own proxy and are not in `trusted_proxies`: all of their clients count as one,
//! for address rules, for the limit of failures and in the log. Each such request is counted, and a line a minute
//! says so.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;

use crate::clock::Tick;
use crate::telemetry::metrics::Metrics;
use crate::web::client_address::{self, Trust};

/// Between two warnings.
const PERIOD: Duration = Duration::from_secs(60);

/// What one worker saw since its last tick.
#[derive(Debug, Default)]
pub struct Unheeded {
    requests: Cell<u64>,
    peer: Cell<Option<IpAddr>>,
}

/// When the workers together may warn again.
#[derive(Debug, Default)]
pub struct Warned(AtomicU64);

impl Unheeded {
    /// Looks at a request from `peer`.
    pub fn look(&self, peer: IpAddr, trust: Trust, headers: &HeaderMap) {
        let unheeded = trust == Trust::Untrusted
            && is_near(peer.to_canonical())
            && headers.contains_key(client_address::FIELD);
        if unheeded {
            self.requests.set(self.requests.get() + 1);
            self.peer.set(Some(peer));
        }
    }

    /// Hands over what was seen.
    pub fn tick(&self, warned: &Warned, metrics: &Metrics, now: Tick) {
        let Some(peer) = self.peer.take() else { return };
        metrics.forwarded_for_ignored(self.requests.take());
        if warned.may_warn(now) {
            tracing::warn!(
                %peer,
                "X-Forwarded-For of this peer is not read, so all its clients count as one: if it is a proxy of yours, list it in `trusted_proxies`"
            );
        }
    }
}

impl Warned {
    /// Whether a line may be written at `now`; then the next may only a minute later.
    pub fn may_warn(&self, now: Tick) -> bool {
        let from = self.0.load(Ordering::Relaxed);
        let next = now.after(PERIOD).0;
        now.0 >= from && self.0.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Whether an address belongs to a network that nobody on the internet has: where one's own proxies are.
fn is_near(address: IpAddr) -> bool {
    const SHARED: [u8; 2] = [100, 64];
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                // What carriers and clusters number their own machines with (RFC 6598).
                || [first, second & 0xc0] == SHARED
        }
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn forwarded() -> HeaderMap {
        HeaderMap::from_iter([(
            client_address::FIELD.parse().unwrap(),
            HeaderValue::from_static("203.0.113.9"),
        )])
    }

    #[test]
    fn only_what_is_near_untrusted_and_forwards_is_noted() {
        for (peer, near) in [
            ("10.1.2.3", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("192.168.0.1", true),
            ("127.0.0.1", true),
            ("169.254.1.1", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("203.0.113.9", false),
            ("::ffff:10.1.2.3", true),
            ("::ffff:203.0.113.9", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
        ] {
            let peer: IpAddr = peer.parse().unwrap();
            for (trust, headers, noted) in [
                (Trust::Untrusted, forwarded(), near),
                (Trust::Trusted, forwarded(), false),
                (Trust::Untrusted, HeaderMap::new(), false),
            ] {
                let unheeded = Unheeded::default();
                unheeded.look(peer, trust, &headers);
                assert_eq!(
                    (unheeded.requests.get(), unheeded.peer.get().is_some()),
                    (u64::from(noted), noted)
                );
            }
        }
    }

    #[test]
    fn of_all_workers_one_warns_a_minute() {
        let warned = Warned::default();
        let start = Tick(5);
        assert_eq!((0..10).filter(|_| warned.may_warn(start)).count(), 1);
        assert!(!warned.may_warn(start.after(PERIOD).before(1)));
        assert!(warned.may_warn(start.after(PERIOD)));
    }
}
