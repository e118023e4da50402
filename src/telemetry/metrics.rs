//! Every metric once: name, help, labels. The rest of the program sees verbs, not the library behind them.
//!
//! Labels come from closed sets only: doors, codes, and the names of routes, upstreams and listeners in the
//! configuration, and its certificates' files. What a client sends never becomes a label.

mod handles;
mod labels;
mod register;
mod upstreams;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::{
    Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

use self::register::Register;
pub use handles::{Connections, Dropped, OpenConnection};
pub use labels::{Cached, LoginOutcome, Lookup, Reload};
pub use upstreams::Upstreams;

use super::Door;
use super::limit_counts::{FAILURES, LimitOutcome};
use crate::clock::Timestamp;
use crate::limits::FailureCounts;

/// Seconds of a whole request or an upstream's answer.
const REQUEST_BUCKETS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds spent in Keyward itself.
const OWN_BUCKETS: &[f64] = &[
    0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1,
    1.0,
];

/// The metrics cannot be set up or written; a mistake in this program.
#[derive(Debug, thiserror::Error)]
#[error("the metrics are broken")]
pub struct Broken(#[from] prometheus::Error);

type Hook = Arc<dyn Fn(&Metrics) + Send + Sync>;

/// All metrics of this process. Shared by every thread; workers count through
/// [`WorkerMetrics`](super::worker_metrics::WorkerMetrics).
pub struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    request_seconds: HistogramVec,
    own_seconds: HistogramVec,
    upstream_seconds: HistogramVec,
    upstreams: Upstreams,
    cache_lookups: IntCounterVec,
    limit_decisions: IntCounterVec,
    cache_entries: IntGaugeVec,
    store_up: IntGauge,
    feed_age: Gauge,
    usage_unwritten: Gauge,
    connections: IntGaugeVec,
    tunnels: IntGaugeVec,
    reloads: IntCounterVec,
    logins: IntCounterVec,
    config_loaded: Gauge,
    certificates: IntGaugeVec,
    upstream_certificates: IntGaugeVec,
    forwarded_for_ignored: IntCounter,
    log_dropped: IntCounter,
    hooks: Mutex<Vec<Hook>>,
}

impl Metrics {
    /// Registers every metric in a registry of its own.
    ///
    /// # Errors
    /// Only by a mistake in the names of this file.
    pub fn new() -> Result<Self, Broken> {
        let registry = Registry::new();
        let add = Register(&registry);
        let outcomes =
            ("keyward_decisions_total", "Requests by what was decided: allowed, or the refusal's code.");
        let request = ("keyward_request_seconds", "Time from a request's head to the end of its answer.");
        let own = ("keyward_own_seconds", "Time a request spent in Keyward itself.");
        let upstream = ("keyward_upstream_seconds", "Time until an upstream's answer began.");
        let lookups = ("keyward_cache_lookups_total", "Look-ups in the validation cache by how they ended.");
        let limits =
            ("keyward_limit_decisions_total", "Requests by limit: allowed, refused, or what would be.");
        let feed =
            "Time since the last confirmed read of the change feed; before the first, since the start.";
        let unwritten = "Age of the oldest count or last use that the store has not; 0 when it has all.";
        let loaded = "When the configuration in force was loaded.";
        let ignored = "Requests of peers in private networks whose X-Forwarded-For was not read: not in trusted_proxies.";
        let lost = "Lines of the logs that could not be written.";
        let metrics = Self {
            decisions: add.counters(outcomes.0, outcomes.1, &["door", "route", "outcome"])?,
            request_seconds: add.histograms(request, &["door", "route"], REQUEST_BUCKETS)?,
            own_seconds: add.histograms(own, &["door"], OWN_BUCKETS)?,
            upstream_seconds: add.histograms(upstream, &["upstream"], REQUEST_BUCKETS)?,
            upstreams: Upstreams::new(&add)?,
            cache_lookups: add.counters(lookups.0, lookups.1, &["cache", "result"])?,
            limit_decisions: add.counters(limits.0, limits.1, &["policy", "outcome"])?,
            cache_entries: add.gauges(
                "keyward_cache_entries",
                "Entries in the validation cache.",
                &["cache"],
            )?,
            store_up: add.whole_gauge("keyward_store_up", "Whether the store answered lately: 1 or 0.")?,
            feed_age: add.gauge("keyward_feed_age_seconds", feed)?,
            usage_unwritten: add.gauge("keyward_usage_unwritten_seconds", unwritten)?,
            connections: add.gauges(
                "keyward_connections",
                "Client connections that are open.",
                &["listener"],
            )?,
            tunnels: add.gauges(
                "keyward_tunnels",
                "Upgraded connections, such as WebSockets, that are open.",
                &["route"],
            )?,
            reloads: add.counters("keyward_reloads_total", "Reloads by how they ended.", &["result"])?,
            logins: add.counters("keyward_logins_total", "Logins by how they ended.", &["outcome"])?,
            config_loaded: add.gauge("keyward_config_loaded_timestamp_seconds", loaded)?,
            certificates: add.gauges(
                "keyward_tls_certificate_expires_timestamp_seconds",
                "When the certificates of the listeners end.",
                &["listener", "file"],
            )?,
            upstream_certificates: add.gauges(
                "keyward_upstream_tls_certificate_expires_timestamp_seconds",
                "When the certificates end that upstreams are shown.",
                &["upstream", "file"],
            )?,
            forwarded_for_ignored: add.counter("keyward_forwarded_for_ignored_total", ignored)?,
            log_dropped: add.counter("keyward_log_dropped_total", lost)?,
            hooks: Mutex::default(),
            registry,
        };
        metrics.start()?;
        Ok(metrics)
    }

    /// Series that are there from the start, so that a rate over them has a beginning.
    fn start(&self) -> Result<(), Broken> {
        for cached in [Cached::Positive, Cached::Negative] {
            self.set_cache_entries(cached, 0);
        }
        for (cached, lookup) in
            Cached::ALL.into_iter().flat_map(|cached| Lookup::ALL.map(|lookup| (cached, lookup)))
        {
            self.set_cache_lookups(cached, lookup, 0);
        }
        for (policy, outcome) in LimitOutcome::of_all_policies() {
            self.limit_decisions(policy, outcome).inc_by(0);
        }
        for outcome in LoginOutcome::ALL {
            self.set_logins(outcome, 0);
        }
        for result in ["loaded", "refused"] {
            self.reloads.with_label_values(&[result]).inc_by(0);
        }
        let add = Register(&self.registry);
        let build = add.gauges("keyward_build_info", "Always 1; the version is the label.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        #[cfg(target_os = "linux")]
        self.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(())
    }

    /// Has `hook` called before each scrape, to set gauges that nobody keeps up between scrapes.
    pub fn on_scrape(&self, hook: impl Fn(&Self) + Send + Sync + 'static) {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(hook));
    }

    /// Everything in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// Only by a mistake in this program.
    pub fn render(&self) -> Result<String, Broken> {
        let hooks = self.hooks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for hook in hooks {
            hook(self);
        }
        Ok(TextEncoder::new().encode_to_string(&self.registry.gather())?)
    }

    /// Entries in a part of the validation cache.
    pub fn set_cache_entries(&self, cached: Cached, entries: u64) {
        let entries = i64::try_from(entries).unwrap_or(i64::MAX);
        self.cache_entries.with_label_values(&[cached.as_str()]).set(entries);
    }

    /// Look-ups in a part of the validation cache since the start. The cache counts them itself.
    pub fn set_cache_lookups(&self, cached: Cached, lookup: Lookup, total: u64) {
        let counter = self.cache_lookups.with_label_values(&[cached.as_str(), lookup.as_str()]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// What was decided on credentials that nothing was known of, since the start. The limit counts it itself.
    pub fn set_failure_decisions(&self, counts: FailureCounts) {
        for (outcome, total) in [
            (LimitOutcome::Allowed, counts.allowed),
            (LimitOutcome::Refused, counts.refused),
            (LimitOutcome::Shadowed, counts.shadowed),
        ] {
            let counter = self.limit_decisions(FAILURES, outcome.as_str());
            counter.inc_by(total.saturating_sub(counter.get()));
        }
    }

    /// Logins that ended so since the start. The issuer counts them itself.
    pub fn set_logins(&self, outcome: LoginOutcome, total: u64) {
        let counter = self.logins.with_label_values(&[outcome.as_str()]);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// Whether the store answers.
    pub fn set_store_up(&self, up: bool) {
        self.store_up.set(i64::from(up));
    }

    /// Time since the last confirmed read of the change feed; before the first, since the start. (Infinity would be
    /// truer, but not every reader of the format takes it.)
    pub fn set_feed_age(&self, age: Duration) {
        self.feed_age.set(age.as_secs_f64());
    }

    /// How old the oldest count or last use is that is not written down; zero when all are.
    pub fn set_usage_unwritten(&self, age: Duration) {
        self.usage_unwritten.set(age.as_secs_f64());
    }

    /// The first configuration is in force.
    pub fn config_loaded(&self, at: Timestamp) {
        self.config_loaded.set(at.millis() as f64 / 1000.0);
    }

    /// These certificates are shown, and no others: by which listener, from which file, to what end.
    pub fn set_certificates<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str, Timestamp)>) {
        set_ends(&self.certificates, all);
    }

    /// The same of those that upstreams are shown.
    pub fn set_upstream_certificates<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str, Timestamp)>) {
        set_ends(&self.upstream_certificates, all);
    }

    /// A reload was tried.
    pub fn reloaded(&self, how: Reload) {
        let result = match how {
            Reload::Loaded(at) => {
                self.config_loaded(at);
                "loaded"
            }
            Reload::Refused => "refused",
        };
        self.reloads.with_label_values(&[result]).inc();
    }

    /// So many requests came from peers that look like a proxy, and are not trusted.
    pub fn forwarded_for_ignored(&self, requests: u64) {
        self.forwarded_for_ignored.inc_by(requests);
    }

    /// The connections of one listener.
    #[must_use]
    pub fn connections(&self, listener: &str) -> Connections {
        Connections(self.connections.with_label_values(&[listener]))
    }

    /// The servers of all upstreams.
    #[must_use]
    pub const fn upstreams(&self) -> &Upstreams {
        &self.upstreams
    }

    /// The tunnels of one route.
    #[must_use]
    pub fn tunnels(&self, route: &str) -> Connections {
        Connections(self.tunnels.with_label_values(&[route]))
    }

    /// For one log: its lines that were dropped.
    #[must_use]
    pub fn log_dropped(&self) -> Dropped {
        Dropped::new(self.log_dropped.clone())
    }

    pub(super) fn decisions(&self, door: Door, route: &str, outcome: &str) -> IntCounter {
        self.decisions.with_label_values(&[door.as_str(), route, outcome])
    }

    pub(super) fn request_seconds(&self, door: Door, route: &str) -> Histogram {
        self.request_seconds.with_label_values(&[door.as_str(), route])
    }

    pub(super) fn limit_decisions(&self, policy: &str, outcome: &str) -> IntCounter {
        self.limit_decisions.with_label_values(&[policy, outcome])
    }

    pub(super) fn own_seconds(&self, door: Door) -> Histogram {
        self.own_seconds.with_label_values(&[door.as_str()])
    }

    pub(super) fn upstream_seconds(&self, upstream: &str) -> Histogram {
        self.upstream_seconds.with_label_values(&[upstream])
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn set_ends<'a>(ends: &IntGaugeVec, all: impl Iterator<Item = (&'a str, &'a str, Timestamp)>) {
    ends.reset();
    for (name, file, expires) in all {
        ends.with_label_values(&[name, file]).set(expires.millis().div_euclid(1000));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn every_name_of_the_contract_is_there_from_the_start_or_from_its_first_use() {
        let metrics = Metrics::new().unwrap();
        let _open = (metrics.connections("public").open(), metrics.tunnels("orders").open());
        metrics.decisions(Door::Proxy, "orders", "allowed").inc();
        metrics.request_seconds(Door::Proxy, "orders").observe(0.1);
        metrics.own_seconds(Door::Proxy).observe(0.1);
        metrics.upstream_seconds("api").observe(0.1);
        let text = metrics.render().unwrap();
        for line in [
            r#"keyward_decisions_total{door="proxy",outcome="allowed",route="orders"} 1"#,
            r#"keyward_request_seconds_count{door="proxy",route="orders"} 1"#,
            r#"keyward_own_seconds_count{door="proxy"} 1"#,
            r#"keyward_upstream_seconds_count{upstream="api"} 1"#,
            r#"keyward_cache_lookups_total{cache="positive",result="joined"} 0"#,
            r#"keyward_cache_entries{cache="negative"} 0"#,
            "keyward_store_up 0",
            "keyward_feed_age_seconds 0",
            "keyward_usage_unwritten_seconds 0",
            r#"keyward_connections{listener="public"} 1"#,
            r#"keyward_tunnels{route="orders"} 1"#,
            r#"keyward_reloads_total{result="refused"} 0"#,
            r#"keyward_logins_total{outcome="delayed"} 0"#,
            "keyward_config_loaded_timestamp_seconds 0",
            "keyward_log_dropped_total 0",
            concat!(r#"keyward_build_info{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#),
        ] {
            assert!(text.lines().any(|there| there == line), "{line} in\n{text}");
        }
        #[cfg(target_os = "linux")]
        assert!(text.contains("\nprocess_open_fds "));
    }

    #[test]
    fn hooks_set_gauges_for_each_scrape() {
        let metrics = Metrics::new().unwrap();
        let scrapes = AtomicU64::new(0);
        metrics.on_scrape(move |metrics| {
            let count = scrapes.fetch_add(1, Ordering::SeqCst) + 1;
            metrics.set_cache_entries(Cached::Positive, count);
            metrics.set_cache_lookups(Cached::Front, Lookup::Stale, 7 * count);
            metrics.set_store_up(true);
            metrics.set_feed_age(Duration::from_millis(250));
            metrics.set_usage_unwritten(Duration::from_millis(1500));
        });
        metrics.render().unwrap();
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"keyward_cache_entries{cache="positive"} 2"#), "{text}");
        assert!(text.contains(r#"keyward_cache_lookups_total{cache="front",result="stale"} 14"#), "{text}");
        assert!(text.contains("keyward_feed_age_seconds 0.25"));
        assert!(text.contains("keyward_usage_unwritten_seconds 1.5"));
        assert!(text.contains("keyward_store_up 1"));
    }

    #[test]
    fn a_reload_counts_and_a_good_one_sets_the_time() {
        let metrics = Metrics::new().unwrap();
        metrics.config_loaded(Timestamp(1_000_000));
        metrics.reloaded(Reload::Refused);
        assert!(metrics.render().unwrap().contains("keyward_config_loaded_timestamp_seconds 1000\n"));
        metrics.reloaded(Reload::Loaded(Timestamp(2_000_500)));
        let text = metrics.render().unwrap();
        assert!(text.contains("keyward_config_loaded_timestamp_seconds 2000.5\n"), "{text}");
        assert!(text.contains(r#"keyward_reloads_total{result="loaded"} 1"#));
    }
}
