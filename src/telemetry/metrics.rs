//! Everything that is counted, one field a family, and the page of it in Prometheus' text format.
//!
//! The names on the page are a promise to whoever watches: they are not renamed. It deliberately keeps no history and
//! computes no rates.

use super::cells::{Histogram, Labelled, Page, Worded, locked, seconds};
use crate::decode::REJECT_CODES;
use crate::domain::codes::{Advice, HoldState, Severity};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the sizes of batches; 64 is the largest that scoring takes.
const BATCHES: &[u64] = &[1, 2, 4, 8, 16, 32, 64];
/// Why a record is refused besides what decoding says.
const OTHER_REJECTS: [&str; 1] = ["bad_header"];
/// What the notifier does with a line.
const LINES: [&str; 6] = ["told", "kept", "unrouted", "stale", "repeat", "unreadable"];
/// What the API appends to the log.
const STEPS: [&str; 5] = [
    "delivered",
    "acknowledged",
    "enforced",
    "released",
    "disposition",
];

/// The counts of one process.
///
/// Fields of type `AtomicU64` are counted relaxed: `metrics.late.fetch_add(n, Relaxed)`. In a hot loop, add a batch's
/// sum, or keep the cell that [`Worded::cell`] or [`Labelled::cell`] gives.
#[derive(Debug)]
pub struct Metrics {
    /// Records not read yet, by topic and partition (gauge).
    pub lag_records: Labelled,
    /// How old the newest record read was, by topic, in milliseconds (gauge).
    pub event_age_ms: Labelled,
    /// Events in a batch that is scored.
    pub batch_size: Histogram,
    /// Events by result: `applied`, `duplicate` (same id), `repeat` (same source position).
    pub events: Worded,
    /// Records read, by topic.
    pub records_read: Labelled,
    /// Records refused, by the codes of decoding.
    pub rejects: Worded,
    /// Events behind their cardholder's clock.
    pub late: AtomicU64,
    /// Decisions by [`Advice`].
    pub decisions: Worded,
    /// Lines of alerts by [`Severity`].
    pub alerts: Worded,
    /// Lines of holds by [`HoldState`].
    pub holds: Worded,
    /// Payments decided.
    pub payments: AtomicU64,
    /// Holds of which a disposition of the log said, while their alert's episode stood, that all was good.
    pub found_good: AtomicU64,
    /// Lines of alerts and holds by what the notifier did with them: see `notify::record::Heard`.
    pub notify_lines: Worded,
    /// Attempts at sending a message, by channel and result.
    pub notify_deliveries: Labelled,
    /// Messages `queued` and `failed` within a day, and episodes `waiting` to be told (gauge).
    pub notify_outbox: Labelled,
    /// Age of the oldest message that is still to be sent, in milliseconds.
    pub notify_oldest_ms: AtomicU64,
    /// Steps with holds and dispositions that the API has appended to the log.
    pub steps: Worded,
    /// Calls of the API by what was answered: `ok`, or the code of a failure.
    pub answers: Labelled,
    /// Saves that failed.
    pub checkpoint_failures: AtomicU64,
    /// Restores that had to take an older checkpoint.
    pub checkpoint_fallbacks: AtomicU64,
    /// How long the last rebalance took, in milliseconds.
    pub rebalance_ms: AtomicU64,
    /// Rebalances.
    pub rebalances: AtomicU64,
    /// How long the last restore took, in milliseconds.
    pub restore_ms: AtomicU64,
    /// Partitions of the log that this instance scores.
    pub partitions_owned: AtomicU64,
    /// Cardholders known, by partition; the page shows their sum.
    pub cardholders: Labelled,
    /// Whether enforcement is suspended, by partition; the page shows in how many.
    pub suspended: Labelled,
    /// New rule books: `accepted`, `refused`.
    pub rulebook_reloads: Worded,
    /// Handshakes of TLS by how they ended: `done`, `failed`, `slow`.
    pub tls_handshakes: Worded,
    /// New certificates: `accepted`, `refused`.
    pub tls_reloads: Worded,
    /// When our certificate expires, in seconds since 1970; 0 where there is none.
    pub tls_ends_s: AtomicU64,
    /// Effects sent and not acknowledged.
    pub effects_in_flight: AtomicU64,
    /// Effects sent again.
    pub produce_retries: AtomicU64,
    /// Ranges of the log that were gone before they were read.
    pub lost_ranges: AtomicU64,
    /// Codes in events that are not known.
    pub unknown_codes: AtomicU64,
    /// When each partition was saved last, in milliseconds since 1970.
    saved_at_ms: Mutex<BTreeMap<String, i64>>,
    /// The version of the rule book in force, once there is one.
    ruleset: Mutex<Option<String>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        let rejects = REJECT_CODES.iter().map(|(code, _)| *code);
        Self {
            lag_records: Labelled::new(&["topic", "partition"]),
            event_age_ms: Labelled::new(&["topic"]),
            batch_size: Histogram::new(BATCHES),
            events: Worded::new("result", ["applied", "duplicate", "repeat"]),
            records_read: Labelled::new(&["topic"]),
            rejects: Worded::new("reason", rejects.chain(OTHER_REJECTS)),
            late: zero(),
            decisions: Worded::new("action", Advice::WORDS.iter().copied()),
            alerts: Worded::new("severity", Severity::WORDS.iter().copied()),
            holds: Worded::new("state", HoldState::WORDS.iter().copied()),
            payments: zero(),
            found_good: zero(),
            notify_lines: Worded::new("result", LINES),
            notify_deliveries: Labelled::new(&["channel", "result"]),
            notify_outbox: Labelled::new(&["state"]),
            notify_oldest_ms: zero(),
            steps: Worded::new("step", STEPS),
            answers: Labelled::new(&["code"]),
            checkpoint_failures: zero(),
            checkpoint_fallbacks: zero(),
            rebalance_ms: zero(),
            rebalances: zero(),
            restore_ms: zero(),
            partitions_owned: zero(),
            cardholders: Labelled::new(&["partition"]),
            suspended: Labelled::new(&["partition"]),
            rulebook_reloads: Worded::new("result", ["accepted", "refused"]),
            tls_handshakes: Worded::new("result", ["done", "failed", "slow"]),
            tls_reloads: Worded::new("result", ["accepted", "refused"]),
            tls_ends_s: zero(),
            effects_in_flight: zero(),
            produce_retries: zero(),
            lost_ranges: zero(),
            unknown_codes: zero(),
            saved_at_ms: Mutex::new(BTreeMap::new()),
            ruleset: Mutex::new(None),
        }
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Events that went all the way: applied, or known before.
    pub fn events_done(&self) -> u64 {
        ["applied", "duplicate", "repeat"]
            .iter()
            .map(|word| self.events.get(word))
            .sum()
    }

    /// Steps that the API has appended to the log.
    pub fn steps_taken(&self) -> u64 {
        STEPS.iter().map(|step| self.steps.get(step)).sum()
    }

    /// A partition was saved at a wall time (milliseconds).
    pub fn saved(&self, partition: i32, at_ms: i64) {
        locked(&self.saved_at_ms).insert(partition.to_string(), at_ms);
    }

    /// A partition is scored elsewhere: its gauges are shown no longer.
    pub fn gone(&self, topic: &str, partition: i32) {
        let partition = partition.to_string();
        locked(&self.saved_at_ms).remove(&partition);
        self.lag_records.forget(&[topic, &partition]);
        self.cardholders.forget(&[&partition]);
        self.suspended.forget(&[&partition]);
    }

    /// The rule book now in force.
    pub fn ruleset(&self, version: &str) {
        *locked(&self.ruleset) = Some(version.to_owned());
    }

    /// The rule book in force; empty before there is one.
    pub fn ruleset_now(&self) -> String {
        locked(&self.ruleset).clone().unwrap_or_default()
    }

    /// When each partition was saved last, in milliseconds since 1970.
    pub fn saves(&self) -> Vec<(String, i64)> {
        locked(&self.saved_at_ms)
            .iter()
            .map(|(partition, at_ms)| (partition.clone(), *at_ms))
            .collect()
    }

    /// The page, in Prometheus' text format 0.0.4; `now_ms` is wall time, for the ages of checkpoints.
    pub fn render(&self, now_ms: i64) -> String {
        let mut page = Page::default();
        self.write_records(&mut page);
        self.write_outcomes(&mut page);
        self.write_checkpoints(&mut page, now_ms);
        self.write_work(&mut page);
        self.write_tls(&mut page);
        self.write_notify(&mut page);
        page.text
    }

    fn write_records(&self, page: &mut Page) {
        let name = "varsel_lag_records";
        page.family(name, "gauge", "Records not read yet.");
        self.lag_records.write(page, name, |records| records);
        let name = "varsel_event_age_seconds";
        page.family(
            name,
            "gauge",
            "Age of the newest record read, when it was read.",
        );
        self.event_age_ms.write(page, name, seconds);
        let name = "varsel_records_read_total";
        page.family(name, "counter", "Records read.");
        self.records_read.write(page, name, |records| records);
        worded(
            page,
            "varsel_rejects_total",
            "Records refused.",
            &self.rejects,
        );
        let name = "varsel_batch_size";
        page.family(name, "histogram", "Events in a batch that is scored.");
        self.batch_size.write(page, name);
    }

    fn write_outcomes(&self, page: &mut Page) {
        worded(
            page,
            "varsel_events_total",
            "Events by what became of them.",
            &self.events,
        );
        counter(
            page,
            "varsel_late_total",
            "Events behind their cardholder's clock.",
            &self.late,
        );
        worded(
            page,
            "varsel_decisions_total",
            "Decisions by advice.",
            &self.decisions,
        );
        worded(
            page,
            "varsel_alerts_total",
            "Lines of alerts.",
            &self.alerts,
        );
        worded(page, "varsel_holds_total", "Lines of holds.", &self.holds);
        self.write_friction(page);
        let help = "Steps with holds and dispositions that the API has told the log.";
        worded(page, "varsel_steps_total", help, &self.steps);
        let name = "varsel_api_answers_total";
        page.family(name, "counter", "Calls of the API by what was answered.");
        self.answers.write(page, name, |answers| answers);
        let help = "Codes in events that are not known.";
        counter(
            page,
            "varsel_unknown_codes_total",
            help,
            &self.unknown_codes,
        );
        let name = "varsel_cardholders";
        page.family(name, "gauge", "Cardholders with a record.");
        page.sample(name, &[], self.cardholders.sum());
        let name = "varsel_ruleset_info";
        page.family(name, "gauge", "The rule book in force.");
        if let Some(version) = locked(&self.ruleset).as_deref() {
            page.sample(name, &[("version", version)], 1);
        }
        let help = "New rule books by what became of them.";
        worded(
            page,
            "varsel_rulebook_reloads_total",
            help,
            &self.rulebook_reloads,
        );
    }

    /// What the monitor costs the honest: holds asked for, and those found good later.
    fn write_friction(&self, page: &mut Page) {
        let name = "varsel_enforcement_suspended";
        let help = "Partitions scored here in which enforcement is suspended.";
        page.family(name, "gauge", help);
        page.sample(name, &[], self.suspended.sum());
        let payments = self.payments.load(Relaxed);
        counter(
            page,
            "varsel_payments_total",
            "Payments decided.",
            &self.payments,
        );
        let name = "varsel_holds_per_10k_payments";
        page.family(name, "gauge", "Holds asked for, of 10,000 payments.");
        let holds = self.holds.get(HoldState::Requested.word());
        let share = holds.saturating_mul(10_000) / payments.max(1);
        page.sample(name, &[], share);
        let help = "Holds that a disposition found good.";
        counter(
            page,
            "varsel_holds_found_good_total",
            help,
            &self.found_good,
        );
    }

    fn write_checkpoints(&self, page: &mut Page, now_ms: i64) {
        let name = "varsel_checkpoint_age_seconds";
        page.family(name, "gauge", "Time since a partition was saved.");
        for (partition, at_ms) in locked(&self.saved_at_ms).iter() {
            // A clock that was set back makes it fresh, not negative.
            let age_ms = u64::try_from(now_ms.saturating_sub(*at_ms)).unwrap_or(0);
            page.sample(name, &[("partition", partition)], seconds(age_ms));
        }
        let help = "Saves that failed.";
        counter(
            page,
            "varsel_checkpoint_failures_total",
            help,
            &self.checkpoint_failures,
        );
        let help = "Restores that took an older checkpoint.";
        counter(
            page,
            "varsel_checkpoint_fallbacks_total",
            help,
            &self.checkpoint_fallbacks,
        );
        let name = "varsel_restore_seconds";
        page.family(name, "gauge", "How long the last restore took.");
        page.sample(name, &[], seconds(self.restore_ms.load(Relaxed)));
    }

    /// Nothing where TLS is not spoken.
    fn write_tls(&self, page: &mut Page) {
        let ends_s = self.tls_ends_s.load(Relaxed);
        if ends_s == 0 {
            return;
        }
        let help = "Handshakes of TLS by how they ended.";
        worded(
            page,
            "varsel_tls_handshakes_total",
            help,
            &self.tls_handshakes,
        );
        let help = "New certificates by what became of them.";
        worded(page, "varsel_tls_reloads_total", help, &self.tls_reloads);
        let name = "varsel_tls_certificate_expires_timestamp_seconds";
        page.family(name, "gauge", "When our certificate expires, since 1970.");
        page.sample(name, &[], ends_s);
    }

    fn write_notify(&self, page: &mut Page) {
        let help = "Lines of alerts and holds by what the notifier did with them.";
        worded(page, "varsel_notify_lines_total", help, &self.notify_lines);
        let name = "varsel_notify_deliveries_total";
        page.family(name, "counter", "Attempts at sending a message.");
        self.notify_deliveries
            .write(page, name, |attempts| attempts);
        let name = "varsel_notify_outbox";
        let help = "Messages queued, failed within a day, and episodes waiting to be told.";
        page.family(name, "gauge", help);
        self.notify_outbox.write(page, name, |messages| messages);
        let name = "varsel_notify_oldest_seconds";
        page.family(
            name,
            "gauge",
            "Age of the oldest message that is to be sent.",
        );
        page.sample(name, &[], seconds(self.notify_oldest_ms.load(Relaxed)));
    }

    fn write_work(&self, page: &mut Page) {
        let name = "varsel_rebalance_seconds";
        page.family(name, "gauge", "How long the last rebalance took.");
        page.sample(name, &[], seconds(self.rebalance_ms.load(Relaxed)));
        counter(
            page,
            "varsel_rebalances_total",
            "Rebalances.",
            &self.rebalances,
        );
        let help = "Partitions of the log that this instance scores.";
        gauge(
            page,
            "varsel_partitions_owned",
            help,
            &self.partitions_owned,
        );
        let help = "Effects sent and not acknowledged.";
        gauge(
            page,
            "varsel_effects_in_flight",
            help,
            &self.effects_in_flight,
        );
        let help = "Effects sent again.";
        counter(
            page,
            "varsel_produce_retries_total",
            help,
            &self.produce_retries,
        );
        let help = "Ranges of the log that were gone before they were read.";
        counter(page, "varsel_lost_ranges_total", help, &self.lost_ranges);
    }
}

fn worded(page: &mut Page, name: &str, help: &str, counts: &Worded) {
    page.family(name, "counter", help);
    counts.write(page, name);
}

fn counter(page: &mut Page, name: &str, help: &str, count: &AtomicU64) {
    page.family(name, "counter", help);
    page.sample(name, &[], count.load(Relaxed));
}

fn gauge(page: &mut Page, name: &str, help: &str, value: &AtomicU64) {
    page.family(name, "gauge", help);
    page.sample(name, &[], value.load(Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The names that others rely on.
    const NAMES: [&str; 34] = [
        "varsel_alerts_total",
        "varsel_api_answers_total",
        "varsel_batch_size",
        "varsel_cardholders",
        "varsel_checkpoint_age_seconds",
        "varsel_checkpoint_failures_total",
        "varsel_checkpoint_fallbacks_total",
        "varsel_decisions_total",
        "varsel_effects_in_flight",
        "varsel_enforcement_suspended",
        "varsel_event_age_seconds",
        "varsel_events_total",
        "varsel_holds_found_good_total",
        "varsel_holds_per_10k_payments",
        "varsel_holds_total",
        "varsel_lag_records",
        "varsel_late_total",
        "varsel_lost_ranges_total",
        "varsel_notify_deliveries_total",
        "varsel_notify_lines_total",
        "varsel_notify_oldest_seconds",
        "varsel_notify_outbox",
        "varsel_partitions_owned",
        "varsel_payments_total",
        "varsel_produce_retries_total",
        "varsel_rebalance_seconds",
        "varsel_rebalances_total",
        "varsel_records_read_total",
        "varsel_rejects_total",
        "varsel_restore_seconds",
        "varsel_rulebook_reloads_total",
        "varsel_ruleset_info",
        "varsel_steps_total",
        "varsel_unknown_codes_total",
    ];

    fn filled() -> Metrics {
        let metrics = Metrics::new();
        metrics.lag_records.set(&["varsel.log", "3"], 42);
        metrics.event_age_ms.set(&["varsel.log"], 1_250);
        metrics.records_read.add(&["varsel.log"], 9);
        metrics.batch_size.observe(64);
        metrics.events.add("repeat", 2);
        metrics.rejects.add("card_number", 1);
        metrics.decisions.add("step_up", 4);
        metrics.late.fetch_add(5, Relaxed);
        metrics.cardholders.set(&["3"], 70);
        metrics.cardholders.set(&["4"], 30);
        metrics.ruleset("a\"b");
        metrics.saved(3, 10_000);
        metrics.restore_ms.store(2_001, Relaxed);
        metrics
    }

    #[test]
    fn the_page_has_every_promised_name_once_with_help_and_type() {
        let page = filled().render(12_345);
        let families: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
            .map(|line| line.split(' ').next().unwrap())
            .collect();
        assert_eq!(families.len(), NAMES.len());
        assert_eq!(
            families.iter().copied().collect::<BTreeSet<_>>(),
            BTreeSet::from(NAMES)
        );
        assert_eq!(page.matches("# HELP ").count(), NAMES.len());
        assert!(page.ends_with('\n'));
    }

    #[test]
    fn every_sample_stands_under_its_family_and_has_a_number() {
        let page = filled().render(12_345);
        let mut family = "";
        for line in page.lines() {
            if let Some(begun) = line.strip_prefix("# HELP ") {
                family = begun.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                assert!(line.starts_with(family), "{line} under {family}");
                let value = line.rsplit(' ').next().unwrap();
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn what_was_counted_is_shown() {
        let page = filled().render(12_345);
        for line in [
            "varsel_lag_records{topic=\"varsel.log\",partition=\"3\"} 42",
            "varsel_event_age_seconds{topic=\"varsel.log\"} 1.250",
            "varsel_records_read_total{topic=\"varsel.log\"} 9",
            "varsel_batch_size_bucket{le=\"64\"} 1",
            "varsel_events_total{result=\"applied\"} 0",
            "varsel_events_total{result=\"repeat\"} 2",
            "varsel_rejects_total{reason=\"card_number\"} 1",
            "varsel_decisions_total{action=\"step_up\"} 4",
            "varsel_late_total 5",
            "varsel_cardholders 100",
            "varsel_ruleset_info{version=\"a\\\"b\"} 1",
            "varsel_checkpoint_age_seconds{partition=\"3\"} 2.345",
            "varsel_restore_seconds 2.001",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} in\n{page}");
        }
        assert!(!page.contains("\"other\""), "{page}");
    }

    #[test]
    fn a_partition_that_went_elsewhere_shows_nothing() {
        let metrics = filled();
        metrics.gone("varsel.log", 3);
        let page = metrics.render(12_345);
        assert!(!page.contains("partition=\"3\""), "{page}");
        assert!(page.contains("varsel_cardholders 30\n"), "{page}");
    }

    #[test]
    fn a_clock_set_back_makes_no_negative_age() {
        let page = filled().render(9_000);
        assert!(
            page.contains("varsel_checkpoint_age_seconds{partition=\"3\"} 0.000\n"),
            "{page}"
        );
    }
}
