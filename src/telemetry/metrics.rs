//! What is counted and timed. Labels are words of fixed lists and carrier names, never a caller's text.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A refusal's stable code.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CodeLabel {
    /// Of the table of error codes.
    pub code: &'static str,
}

/// Why Redis could not be used.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct ReasonLabel {
    /// Of the failures of the fast state.
    pub reason: &'static str,
}

/// What came of an attempt to call a webhook, or to send a code.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// Of a webhook `delivered`, `failed` (it will be tried again), `dead` (given up) or `gone` (the receiver wants no more);
    /// of a code that was asked for `sent`, `full` (a limit), `not_a_mobile` or `unavailable`.
    pub outcome: &'static str,
}

/// All metrics of a node; handles are resolved once.
pub struct Metrics {
    registry: Registry,
    /// Reports acknowledged as new.
    pub accepted: Counter,
    /// Reports answered as stored already.
    pub duplicates: Counter,
    /// Requests refused, by code.
    pub refused: Family<CodeLabel, Counter>,
    /// Reports that the journal did not take.
    pub not_appended: Counter,
    /// Reports in one commit.
    pub commit_rows: Histogram,
    /// Duration of a commit.
    pub commit_seconds: Histogram,
    /// Journal rows turned into cases.
    pub built_rows: Counter,
    /// Report ids used for two bodies.
    pub conflicts: Counter,
    /// Reports that wait for the journal writer.
    pub queue_length: Gauge,
    /// Journal rows the builder has not come to.
    pub builder_lag_rows: Gauge,
    /// Seconds for which the builder has waited for a transaction that has not ended.
    pub builder_held_back_seconds: Gauge,
    /// 1 when rows had no partition of their month.
    pub default_partition_used: Gauge,
    /// 1 while the database was lost from sight and no report is taken.
    pub store_in_doubt: Gauge,
    /// Whether Redis is used, with its one series only on a node that is told to.
    redis_up: Family<[(&'static str, &'static str); 0], Gauge>,
    /// Calls of Redis that failed, by reason.
    redis_failures: Family<ReasonLabel, Counter>,
    /// Markers that were not written to Redis.
    pub redis_marks_dropped: Counter,
    /// Attempts to call webhooks, by what came of them.
    pub webhook_attempts: Family<OutcomeLabel, Counter>,
    /// Codes that were asked for, by what came of it.
    codes_asked: Family<OutcomeLabel, Counter>,
    /// Decisions that some carrier has not been told of, with its one series only on a node that tells.
    feed_lag_decisions: Family<[(&'static str, &'static str); 0], Gauge>,
}

impl Metrics {
    /// Counts a refusal under its stable code.
    pub fn count_refused(&self, code: &'static str) {
        self.refused.get_or_create(&CodeLabel { code }).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("spamgate");
        let metrics = Self {
            accepted: Counter::default(),
            duplicates: Counter::default(),
            refused: Family::default(),
            not_appended: Counter::default(),
            commit_rows: Histogram::new(exponential_buckets(1.0, 2.0, 13)),
            commit_seconds: Histogram::new(exponential_buckets(0.0005, 2.0, 14)),
            built_rows: Counter::default(),
            conflicts: Counter::default(),
            queue_length: Gauge::default(),
            builder_lag_rows: Gauge::default(),
            builder_held_back_seconds: Gauge::default(),
            default_partition_used: Gauge::default(),
            store_in_doubt: Gauge::default(),
            redis_up: Family::default(),
            redis_failures: Family::default(),
            redis_marks_dropped: Counter::default(),
            webhook_attempts: Family::default(),
            codes_asked: Family::default(),
            feed_lag_decisions: Family::default(),
            registry: Registry::default(),
        };
        registry.register("reports_accepted", "Reports acknowledged as new", metrics.accepted.clone());
        registry.register("reports_duplicate", "Reports answered as stored already", metrics.duplicates.clone());
        registry.register("requests_refused", "Requests refused, by problem code", metrics.refused.clone());
        registry.register("reports_not_appended", "Reports the journal did not take", metrics.not_appended.clone());
        registry.register("commit_rows", "Reports in one commit of the journal", metrics.commit_rows.clone());
        registry.register("commit_seconds", "Duration of a commit of the journal", metrics.commit_seconds.clone());
        registry.register("built_rows", "Journal rows turned into cases", metrics.built_rows.clone());
        registry.register("report_id_conflicts", "Report ids found to stand for two bodies", metrics.conflicts.clone());
        registry.register("queue_length", "Reports that wait for the journal", metrics.queue_length.clone());
        registry.register("builder_lag_rows", "Journal rows not built yet", metrics.builder_lag_rows.clone());
        let held_back = metrics.builder_held_back_seconds.clone();
        registry.register(
            "builder_held_back_seconds",
            "Time the builder has waited for an open transaction",
            held_back,
        );
        let used = metrics.default_partition_used.clone();
        registry.register("default_partition_used", "1 when a month had no partition in PostgreSQL", used);
        let doubt = metrics.store_in_doubt.clone();
        registry.register("store_in_doubt", "1 while the database is lost from sight and no report is taken", doubt);
        registry.register(
            "redis_up",
            "Whether Redis is used, 1, or something is wrong with it, 0",
            metrics.redis_up.clone(),
        );
        registry.register("redis_failures", "Calls of Redis that failed, by reason", metrics.redis_failures.clone());
        let dropped = metrics.redis_marks_dropped.clone();
        registry.register("redis_marks_dropped", "Markers of stored reports not written to Redis", dropped);
        let attempts = metrics.webhook_attempts.clone();
        registry.register("webhook_attempts", "Attempts to call webhooks, by what came of them", attempts);
        registry.register(
            "codes_asked",
            "Codes by SMS that were asked for, by what came of it",
            metrics.codes_asked.clone(),
        );
        let lag = metrics.feed_lag_decisions.clone();
        registry.register("feed_lag_decisions", "Decisions that some carrier has not been told of", lag);
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Says whether Redis is whole.
    pub fn set_redis_up(&self, is_up: bool) {
        self.redis_up.get_or_create(&[]).set(i64::from(is_up));
    }

    /// Counts a failure of Redis; `reason` is a word of a fixed list.
    pub fn count_redis_failure(&self, reason: &'static str) {
        self.redis_failures.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Counts an attempt to call a webhook; `outcome` is a word of [`OutcomeLabel`].
    pub fn count_webhook_attempt(&self, outcome: &'static str) {
        self.webhook_attempts.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a code that was asked for; `outcome` is a word of [`OutcomeLabel`].
    pub fn count_code_sent(&self, outcome: &'static str) {
        self.codes_asked.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Says how far telling carriers is behind.
    pub fn set_feed_lag_decisions(&self, decisions: i64) {
        self.feed_lag_decisions.get_or_create(&[]).set(decisions);
    }

    /// The metrics in OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
