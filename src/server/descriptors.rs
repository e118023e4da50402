//! How many files and sockets this process may have open, and how many of them clients may take.

use rustix::io::fcntl_dupfd_cloexec;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Kept for the store, the logs, the control plane, the listeners, and clients that are being turned away.
const KEPT: usize = 128;

/// The process's limit on open files (`ulimit -n`); `None` when there is none.
#[must_use]
pub fn limit() -> Option<usize> {
    getrlimit(Resource::Nofile).current.and_then(|limit| limit.try_into().ok())
}

/// Lifts that limit as far as this process may by itself. It is low for programs that cannot tell descriptors over 1024,
/// which this one is none of.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
        if let Err(error) = raised {
            tracing::warn!(%error, "the limit on open files stays as it is");
        }
    }
}

/// Makes the table of descriptors as large as `connections` want it. It grows by doubling, and while it grows, all
/// processors have to take note of it: whoever accepts a connection just then stands still for ten milliseconds and more,
/// and so do all that its worker serves.
pub fn make_room(connections: usize) {
    let wanted = connections.saturating_add(connections / 2).saturating_add(KEPT);
    let last = limit().map_or(wanted, |limit| wanted.min(limit)).saturating_sub(1);
    // One with so high a number, for a moment.
    let high = i32::try_from(last).map(|last| fcntl_dupfd_cloexec(std::io::stderr(), last));
    if let Ok(Err(error)) = high {
        tracing::debug!(%error, "the table of descriptors grows when it has to");
    }
}

/// The most client connections that a limit has room for. A request in flight wants one more, to its upstream; a third
/// is left for these, for most connections are idle. Operators get in while clients take all they can.
#[must_use]
pub const fn clients(limit: usize) -> usize {
    let room = limit.saturating_sub(KEPT) / 3 * 2;
    if room == 0 { 1 } else { room }
}

/// The most tunnels that a limit has room for: each holds a connection to an upstream for as long as it lasts, and a
/// quarter of those that are left for upstreams is kept for requests.
#[must_use]
pub const fn tunnels(limit: usize) -> usize {
    let room = limit.saturating_sub(KEPT) / 4;
    if room == 0 { 1 } else { room }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_get_all_of_it() {
        assert_eq!([0, 128, 200, 1024].map(clients), [1, 1, 48, 596]);
        assert_eq!([0, 128, 200, 1024].map(tunnels), [1, 1, 18, 224]);
        assert!(limit().is_some_and(|limit| clients(limit) < limit));
    }
}
