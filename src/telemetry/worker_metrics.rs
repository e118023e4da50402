//! A worker's own counters: a request costs a few plain additions, a tick adds them to what all threads share.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use prometheus::local::{LocalHistogram, LocalIntCounter};

use super::Door;
use super::limit_counts::{LimitCounts, LimitOutcome};
use super::metrics::Metrics;
use crate::auth::refusal::Code;
use crate::limits::Policy;

/// One for every code, and one for what was allowed.
const OUTCOMES: usize = Code::ALL.len() + 1;
const ALLOWED: usize = Code::ALL.len();

/// A request that is over, as metrics see it. Indexes are those of the names given to [`WorkerMetrics::new`].
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// Where it came in.
    pub door: Door,
    /// The route it took; `None` when it found none.
    pub route: Option<usize>,
    /// What was decided.
    pub outcome: Outcome,
    /// From its head to the end of its answer.
    pub request: Duration,
    /// Of that, in Keyward itself.
    pub own: Duration,
    /// The upstream that was asked, and how long it took to begin its answer.
    pub upstream: Option<(usize, Duration)>,
}

/// What was decided on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Allowed,
    /// It was refused, or failed after it had passed.
    Refused(Code),
    /// Nothing: its client was gone before.
    Undecided,
}

/// One worker's counters for one configuration.
///
/// A reload makes new ones; a request that began before keeps counting in the old ones, which hand over what they have
/// when the last of those requests drops them. Series of routes that are gone stay, so that counters never go back.
pub struct WorkerMetrics {
    metrics: Arc<Metrics>,
    /// One for each route, one for what found no route, and one for what asked for none.
    series: Vec<Series>,
    routes: usize,
    /// Indexes of the series that were touched since the last flush.
    touched: RefCell<Vec<usize>>,
    own: Vec<LocalHistogram>,
    upstreams: Vec<LocalHistogram>,
    limits: LimitCounts,
}

struct Series {
    door: Door,
    route: Arc<str>,
    touched: Cell<bool>,
    /// Made on first use: most routes never meet most codes.
    outcomes: [OnceCell<LocalIntCounter>; OUTCOMES],
    seconds: LocalHistogram,
}

impl WorkerMetrics {
    /// Counters for these routes and upstreams.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>, routes: &[Arc<str>], upstreams: &[Arc<str>]) -> Self {
        // What found no route has the empty name, which no route can have.
        let names = || routes.iter().cloned().chain([Arc::from("")]);
        let doors = Door::ALL.into_iter();
        // So that each is there, at nothing, before the first tunnel.
        routes.iter().for_each(|route| drop(metrics.tunnels(route)));
        Self {
            // What comes in by other doors than the proxy has no route.
            series: names()
                .map(|route| Series::new(metrics, Door::Proxy, route))
                .chain([Series::new(metrics, Door::Identity, Arc::from(""))])
                .collect(),
            routes: routes.len(),
            touched: RefCell::default(),
            own: doors.map(|door| metrics.own_seconds(door).local()).collect(),
            upstreams: upstreams.iter().map(|name| metrics.upstream_seconds(name).local()).collect(),
            limits: LimitCounts::new(Arc::clone(metrics)),
            metrics: Arc::clone(metrics),
        }
    }

    /// Counts one request.
    pub fn count(&self, finished: &Finished) {
        if let Some(series) = self.touch(finished.door, finished.route) {
            series.count(&self.metrics, finished);
        }
        if let Some(own) = self.own.get(finished.door as usize) {
            own.observe(finished.own.as_secs_f64());
        }
        if let Some((upstream, took)) = finished.upstream
            && let Some(histogram) = self.upstreams.get(upstream)
        {
            histogram.observe(took.as_secs_f64());
        }
    }

    /// Counts a refusal of what no request was read from: a decision, but no request that took its time.
    pub fn count_unread(&self, door: Door, code: Code) {
        if let Some(series) = self.touch(door, None) {
            series.decided(&self.metrics, code as usize);
        }
    }

    /// Counts what a limit decided.
    pub fn count_limit(&self, policy: Policy, outcome: LimitOutcome) {
        self.limits.count(policy, outcome);
    }

    fn touch(&self, door: Door, route: Option<usize>) -> Option<&Series> {
        let index = match door {
            Door::Proxy => route.unwrap_or(self.routes).min(self.routes),
            Door::Identity => self.routes + 1,
        };
        let series = self.series.get(index)?;
        if !series.touched.replace(true) {
            self.touched.borrow_mut().push(index);
        }
        Some(series)
    }

    /// Hands over what was counted since the last time. Costs nothing for routes without requests.
    pub fn flush(&self) {
        for index in self.touched.borrow_mut().drain(..) {
            if let Some(series) = self.series.get(index) {
                series.flush();
            }
        }
        self.own.iter().chain(&self.upstreams).for_each(LocalHistogram::flush);
        self.limits.flush();
    }
}

impl Drop for WorkerMetrics {
    fn drop(&mut self) {
        self.flush();
    }
}

impl std::fmt::Debug for WorkerMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerMetrics").finish_non_exhaustive()
    }
}

impl Series {
    fn new(metrics: &Metrics, door: Door, route: Arc<str>) -> Self {
        let seconds = metrics.request_seconds(door, &route).local();
        let series = Self {
            door,
            route,
            touched: Cell::new(false),
            outcomes: [const { OnceCell::new() }; OUTCOMES],
            seconds,
        };
        if !series.route.is_empty() {
            series.outcome(metrics, ALLOWED);
        }
        series
    }

    fn count(&self, metrics: &Metrics, finished: &Finished) {
        let outcome = match finished.outcome {
            Outcome::Allowed => Some(ALLOWED),
            Outcome::Refused(code) => Some(code as usize),
            Outcome::Undecided => None,
        };
        if let Some(outcome) = outcome {
            self.decided(metrics, outcome);
        }
        self.seconds.observe(finished.request.as_secs_f64());
    }

    fn decided(&self, metrics: &Metrics, outcome: usize) {
        if let Some(counter) = self.outcome(metrics, outcome) {
            counter.inc();
        }
    }

    fn outcome(&self, metrics: &Metrics, index: usize) -> Option<&LocalIntCounter> {
        let name = || Code::ALL.get(index).map_or("allowed", |code| code.as_str());
        let cell = self.outcomes.get(index)?;
        Some(cell.get_or_init(|| metrics.decisions(self.door, &self.route, name()).local()))
    }

    fn flush(&self) {
        self.touched.set(false);
        self.outcomes.iter().filter_map(OnceCell::get).for_each(LocalIntCounter::flush);
        self.seconds.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED_REQUEST: Finished = Finished {
        door: Door::Proxy,
        route: Some(0),
        outcome: Outcome::Allowed,
        request: Duration::from_millis(3),
        own: Duration::from_micros(40),
        upstream: Some((0, Duration::from_millis(2))),
    };

    fn names(names: &[&str]) -> Vec<Arc<str>> {
        names.iter().map(|name| Arc::from(*name)).collect()
    }

    fn value(metrics: &Metrics, series: &str) -> Option<String> {
        let text = metrics.render().unwrap();
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
    }

    const ORDERS_ALLOWED: &str = r#"keyward_decisions_total{door="proxy",outcome="allowed",route="orders"}"#;

    #[test]
    fn what_a_worker_counts_is_seen_after_its_tick() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let worker = WorkerMetrics::new(&metrics, &names(&["orders"]), &names(&["api"]));
        worker.count(&ALLOWED_REQUEST);
        worker.count(&Finished {
            route: None,
            outcome: Outcome::Refused(Code::NoRoute),
            upstream: None,
            ..ALLOWED_REQUEST
        });
        assert_eq!(value(&metrics, ORDERS_ALLOWED).as_deref(), Some("0"));
        worker.flush();
        for (series, expected) in [
            (ORDERS_ALLOWED, "1"),
            (r#"keyward_decisions_total{door="proxy",outcome="no_route",route=""}"#, "1"),
            (r#"keyward_request_seconds_bucket{door="proxy",route="orders",le="0.0025"}"#, "0"),
            (r#"keyward_request_seconds_bucket{door="proxy",route="orders",le="0.005"}"#, "1"),
            (r#"keyward_own_seconds_count{door="proxy"}"#, "2"),
            (r#"keyward_own_seconds_bucket{door="proxy",le="0.00005"}"#, "2"),
            (r#"keyward_upstream_seconds_count{upstream="api"}"#, "1"),
        ] {
            assert_eq!(value(&metrics, series).as_deref(), Some(expected), "{series}");
        }
    }

    #[test]
    fn a_request_on_which_nothing_was_decided_counts_as_a_request_and_no_decision() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let worker = WorkerMetrics::new(&metrics, &names(&["orders"]), &names(&["api"]));
        worker.count(&Finished { outcome: Outcome::Undecided, upstream: None, ..ALLOWED_REQUEST });
        worker.flush();
        let requests = r#"keyward_request_seconds_count{door="proxy",route="orders"}"#;
        assert_eq!(value(&metrics, requests).as_deref(), Some("1"));
        assert_eq!(value(&metrics, ORDERS_ALLOWED).as_deref(), Some("0"));
    }

    #[test]
    fn every_outcome_of_every_route_has_its_own_series() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let worker = WorkerMetrics::new(&metrics, &names(&["a", "b"]), &[]);
        for code in Code::ALL {
            worker.count(&Finished { route: Some(1), outcome: Outcome::Refused(code), ..ALLOWED_REQUEST });
        }
        worker.flush();
        for code in Code::ALL {
            let series =
                format!(r#"keyward_decisions_total{{door="proxy",outcome="{}",route="b"}}"#, code.as_str());
            // A name that has two statuses counts for both.
            let same = Code::ALL.iter().filter(|other| other.as_str() == code.as_str()).count();
            assert_eq!(value(&metrics, &series), Some(same.to_string()), "{series}");
        }
        assert!(!metrics.render().unwrap().contains(r#"outcome="overloaded",route="a""#));
    }

    #[test]
    fn after_a_reload_counters_go_on_and_those_of_lost_routes_stay() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let before = WorkerMetrics::new(&metrics, &names(&["orders"]), &names(&["api"]));
        before.count(&ALLOWED_REQUEST);
        let after = WorkerMetrics::new(&metrics, &names(&["new", "orders"]), &names(&["api"]));
        after.count(&Finished { route: Some(1), ..ALLOWED_REQUEST });
        after.flush();
        before.count(&ALLOWED_REQUEST);
        drop(before);
        assert_eq!(value(&metrics, ORDERS_ALLOWED).as_deref(), Some("3"));
        drop(after);
        let _without = WorkerMetrics::new(&metrics, &names(&["new"]), &[]);
        assert_eq!(value(&metrics, ORDERS_ALLOWED).as_deref(), Some("3"));
    }

    #[test]
    fn workers_add_up() {
        let metrics = Arc::new(Metrics::new().unwrap());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let worker = WorkerMetrics::new(&metrics, &names(&["orders"]), &names(&["api"]));
                    for _ in 0..1000 {
                        worker.count(&ALLOWED_REQUEST);
                    }
                });
            }
        });
        assert_eq!(value(&metrics, ORDERS_ALLOWED).as_deref(), Some("4000"));
    }
}
