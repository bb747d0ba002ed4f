//! The open loop of the Kafka benchmark: payments sent when they are due, whatever the monitor does, and how long after
//! its due moment each decision, alert and hold can be read from its topic.
//!
//! A payment that is sent late because this program was held up counts from when it was due.

use crate::drain::Tail;
use crate::feed::Feed;
use crate::machine::{Table, parted};
use crate::population::START_MS;
use crate::scene::{PARTITIONS, Scene};
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use varsel::clock::Stopwatch;

/// One in so many payments is one of the two declined transfers that raise an alert and a hold.
const TRANSFERS: u64 = 50;
const PEOPLE: u64 = 200_000;
/// The first part of a run warms connections, caches and the broker's just-in-time compiler, and is not counted.
const WARM_SECONDS: u64 = 15;

pub struct Measured {
    rate: u64,
    sent: u64,
    decisions: Histogram<u64>,
    alerts: Histogram<u64>,
    holds: Histogram<u64>,
    cpu_each: Duration,
    /// How late the sender itself was at worst.
    behind: Duration,
}

/// The number of an event, out of a line that names it as `"field":"o-NUMBER"`.
fn number(line: &[u8], field: &str) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let start = text.find(&format!("\"{field}\":\"o-"))? + field.len() + 6;
    let digits = text[start..].split('"').next()?;
    digits.parse().ok()
}

/// Event time is the due moment, so that a line that names no event tells its number by `at`.
fn number_at(line: &[u8], rate: u64) -> Option<u64> {
    let row: serde_json::Value = serde_json::from_slice(line).ok()?;
    let at = chrono::DateTime::parse_from_rfc3339(row["at"].as_str()?).ok()?;
    let person: u64 = row["cardholder"]
        .as_str()?
        .strip_prefix("p-")?
        .parse()
        .ok()?;
    let second = second_transfer(person)?;
    // The person tells the event exactly; the time only says that it is this one.
    (at.timestamp_millis() == event_ms(second, rate)).then_some(second)
}

fn event_ms(number: u64, rate: u64) -> i64 {
    START_MS + i64::try_from(number * 1_000 / rate).unwrap()
}

/// People who transfer are none of those who shop.
fn transferring(number: u64) -> Option<u64> {
    (number % TRANSFERS == TRANSFERS - 1).then(|| PEOPLE + number / TRANSFERS / 2)
}

/// Which event is a transferring person's second.
fn second_transfer(person: u64) -> Option<u64> {
    let pair = person.checked_sub(PEOPLE)?;
    Some((pair * 2 + 1) * TRANSFERS + TRANSFERS - 1)
}

struct Loop<'a> {
    scene: &'a Scene,
    rate: u64,
    watch: Stopwatch,
    done: AtomicBool,
    behind_us: AtomicU64,
}

impl Loop<'_> {
    fn due(&self, number: u64) -> Duration {
        Duration::from_micros(number * 1_000_000 / self.rate)
    }

    fn send(&self, count: u64) {
        // A request for each payment would measure how many requests the broker can take: a bank's clients wait a
        // moment too (librdkafka and Java's client: 5 ms). Idempotent, the client would spin (see `outbox.rs`) and
        // take the core that the monitor needs.
        let options = [
            ("linger.ms", "1"),
            ("enable.idempotence", "false"),
            ("acks", "all"),
        ];
        let mut feed = Feed::with(&self.scene.broker.bootstrap, &options);
        let topic = self.scene.topic("bank.authorizations");
        let mut line = String::new();
        for event in 0..count {
            let due = self.due(event);
            let now = self.watch.elapsed();
            if let Some(early) = due.checked_sub(now) {
                // All that comes due within a millisecond goes together, at its end: it counts from its due moment.
                crate::wait::pause(early.max(Duration::from_millis(1)));
            } else {
                let late = u64::try_from((now - due).as_micros()).unwrap();
                self.behind_us.fetch_max(late, Ordering::Relaxed);
            }
            let (id, at_ms) = (format!("o-{event}"), event_ms(event, self.rate));
            let person =
                transferring(event).unwrap_or_else(|| event.wrapping_mul(2_654_435_761) % PEOPLE);
            if transferring(event).is_some() {
                crate::transfer(&mut line, &id, person, at_ms);
            } else {
                crate::payment(&mut line, &id, person, at_ms);
            }
            feed.raw(
                &topic,
                format!("p-{person}").as_bytes(),
                line.as_bytes(),
                &[],
            );
        }
        feed.flush();
    }

    /// Follows a topic and notes how long after its due moment each line could be read.
    fn follow(&self, tail: &Tail, of: impl Fn(&[u8]) -> Option<u64>) -> Histogram<u64> {
        let mut seen = Histogram::new_with_bounds(1, 600_000_000, 3).unwrap();
        let mut first = std::collections::BTreeSet::new();
        loop {
            let Some(record) = tail.next(Duration::from_millis(500)) else {
                if self.done.load(Ordering::Relaxed) {
                    return seen;
                }
                continue;
            };
            let now = self.watch.elapsed();
            let Some(event) = of(&record.value) else {
                continue;
            };
            if event / self.rate >= WARM_SECONDS && first.insert(event) {
                let after = now.saturating_sub(self.due(event));
                seen.saturating_record(u64::try_from(after.as_micros()).unwrap());
            }
        }
    }
}

/// Sends for so many seconds and follows the three topics.
pub fn run(rate: u64, seconds: u64) -> Measured {
    let mut scene = Scene::ready("open");
    // As by default; the suite's own is quicker.
    scene.set_text("checkpoint", "every", "30s");
    let monitor = scene.start_ready("one");
    let tail = |name: &str| Tail::new(&scene.broker.bootstrap, &scene.topic(name), PARTITIONS);
    let tails = [
        tail("varsel.decisions"),
        tail("varsel.alerts"),
        tail("varsel.holds"),
    ];
    let count = rate * (seconds + WARM_SECONDS);
    let turn = Loop {
        scene: &scene,
        rate,
        watch: Stopwatch::start(),
        done: AtomicBool::new(false),
        behind_us: AtomicU64::new(0),
    };
    let cpu = monitor.cpu();
    let (decisions, alerts, holds) = std::thread::scope(|threads| {
        let [decided, alerted, held] = &tails;
        let decided = threads.spawn(|| turn.follow(decided, |line| number(line, "event")));
        let alerted = threads.spawn(|| turn.follow(alerted, |line| number(line, "trigger")));
        let held = threads.spawn(|| turn.follow(held, |line| number_at(line, rate)));
        turn.send(count);
        scene.settle(Duration::from_secs(600));
        turn.done.store(true, Ordering::Relaxed);
        (
            decided.join().unwrap(),
            alerted.join().unwrap(),
            held.join().unwrap(),
        )
    });
    let cpu_each = (monitor.cpu() - cpu) / u32::try_from(count).unwrap();
    monitor.finish();
    Measured {
        rate,
        sent: count,
        decisions,
        alerts,
        holds,
        cpu_each,
        behind: Duration::from_micros(turn.behind_us.into_inner()),
    }
}

/// A row for each rate and kind.
pub fn table(measured: &[Measured]) -> Table {
    let head = [
        "events/s",
        "visible",
        "count",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "worst",
        "CPU per event",
    ];
    let mut table = Table::new("From the intended send time to where it can be read", &head);
    for m in measured {
        for (what, seen) in [
            ("decision", &m.decisions),
            ("alert", &m.alerts),
            ("hold", &m.holds),
        ] {
            let at = |quantile| milliseconds(seen.value_at_quantile(quantile));
            table.row(&[
                &parted(m.rate),
                &what,
                &parted(seen.len()),
                &at(0.5),
                &at(0.9),
                &at(0.99),
                &at(0.999),
                &milliseconds(seen.max()),
                &format!("{:.2} µs", m.cpu_each.as_secs_f64() * 1e6),
            ]);
        }
        table.remark(format!(
            "{}/s: {} sent; the sender itself was at worst {:.1} ms behind",
            parted(m.rate),
            parted(m.sent),
            m.behind.as_secs_f64() * 1e3
        ));
    }
    table
}

fn milliseconds(micros: u64) -> String {
    format!("{:.2} ms", micros as f64 / 1_000.0)
}
