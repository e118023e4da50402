//! How many files and sockets this process may have open, and how many of them clients may take.

use std::fs;

/// Kept for the store, the logs, the control plane, the listeners, and clients that are being turned away.
const KEPT: usize = 128;

/// The process's limit on open files (`ulimit -n`); `None` when there is none, or the system does not tell.
#[must_use]
pub fn limit() -> Option<usize> {
    parse(&fs::read_to_string("/proc/self/limits").ok()?)
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

fn parse(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_counts() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             94931                94931                processes \n\
                      Max open files            1024                 1048576              files     \n";
        assert_eq!(parse(limits), Some(1024));
        assert_eq!(parse(&limits.replace("1024 ", "unlimited ")), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn clients_never_get_all_of_it() {
        assert_eq!([0, 128, 200, 1024].map(clients), [1, 1, 48, 596]);
        assert_eq!([0, 128, 200, 1024].map(tunnels), [1, 1, 18, 224]);
        assert!(limit().is_some_and(|limit| clients(limit) < limit));
    }
}
