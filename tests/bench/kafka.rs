//! Measures the live monitor against a real broker on the same machine: `tests/kafka/run --bench [-- --only PART …]`.
//!
//! Parts: `pass` (librdkafka alone, consume and produce: the limit), `log` (log to decision), `both` (bank topic to
//! decision), `open` (how soon decision, alert and hold are visible, from the intended send time), `restore` (a killed
//! instance answers again). Options: `--events N`, `--seconds N`, `--rate N`, `--cardholders N`. The broker and this
//! program share the cores with what is measured; processor time is that of the monitor alone.
#![allow(
    missing_docs,
    dead_code,
    reason = "a benchmark is nobody's interface, and shares files with the suite"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that cannot go on should stop there"
)]

#[path = "../kafka/broker.rs"]
mod broker;
#[path = "../kafka/drain.rs"]
mod drain;
#[path = "../kafka/feed.rs"]
mod feed;
#[path = "../kafka/lines.rs"]
mod lines;
#[path = "machine.rs"]
mod machine;
#[path = "../kafka/monitor.rs"]
mod monitor;
#[path = "open.rs"]
mod open;
#[path = "population.rs"]
mod population;
#[path = "../kafka/scene.rs"]
mod scene;
#[path = "../kafka/topics.rs"]
mod topics;
#[path = "../kafka/wait.rs"]
mod wait;

use machine::{Table, option, parted, rate};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use scene::{PARTITIONS, Scene};
use std::time::Duration;
use varsel::clock::{Stopwatch, cpu_time};

/// No measurement takes longer than this; one that does is broken.
const LIMIT: Duration = Duration::from_secs(1_800);

fn main() {
    println!("{}", machine::describe());
    let only = std::env::args().skip_while(|word| word != "--only").nth(1);
    let wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    let events = option("--events").unwrap_or(500_000);
    let mut limit = None;
    if wanted("pass") {
        let measured = pass_through(events);
        limit = Some(measured.per_second());
        println!(
            "{}",
            throughput(
                "Consume and produce with librdkafka, no work",
                &[measured],
                limit
            )
        );
    }
    if wanted("log") || wanted("both") {
        let measured = both_hops(events, wanted("log"), wanted("both"));
        println!("{}", throughput("Through the monitor", &measured, limit));
    }
    if wanted("open") {
        let seconds = option("--seconds").unwrap_or(20);
        let rates = option("--rate").map_or_else(|| vec![1_000, 10_000, 50_000], |rate| vec![rate]);
        let measured: Vec<_> = rates.iter().map(|rate| open::run(*rate, seconds)).collect();
        println!("{}", open::table(&measured));
    }
    if wanted("restore") {
        let cardholders = option("--cardholders").unwrap_or(1_000_000);
        println!("{}", restore(cardholders));
    }
}

struct Measured {
    what: &'static str,
    events: u64,
    time: Duration,
    /// Of the process that is measured.
    cpu: Duration,
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.events as f64 / self.time.as_secs_f64()
    }
}

fn throughput(title: &str, measured: &[Measured], limit: Option<f64>) -> Table {
    let head = [
        "what",
        "events",
        "time",
        "events/s",
        "of the pass-through",
        "CPU per event",
    ];
    let mut table = Table::new(title, &head);
    for m in measured {
        let share = limit.map_or_else(
            || "-".to_owned(),
            |limit| format!("{:.2}", m.per_second() / limit),
        );
        let each = format!("{:.2} µs", machine::each(m.cpu, m.events) / 1_000.0);
        let time = format!("{:.1} s", m.time.as_secs_f64());
        table.row(&[
            &m.what,
            &parted(m.events),
            &time,
            &rate(m.time, m.events),
            &share,
            &each,
        ]);
    }
    table
}

/// One payment of one cardholder; about as long as a bank's.
pub fn payment(out: &mut String, id: &str, person: u64, at_ms: i64) {
    write_payment(out, id, person, at_ms, "5411", 12_550, "00", 900_000);
}

/// A money transfer beyond the balance, declined: the second one of a cardholder raises an alert and a hold.
pub fn transfer(out: &mut String, id: &str, person: u64, at_ms: i64) {
    write_payment(out, id, person, at_ms, "4829", 450_000, "51", 1_200);
}

#[expect(clippy::too_many_arguments, reason = "the parts of a line that differ")]
fn write_payment(
    out: &mut String,
    id: &str,
    person: u64,
    at_ms: i64,
    mcc: &str,
    amount: u64,
    response: &str,
    balance: u64,
) {
    use std::fmt::Write as _;
    let mut at = Vec::new();
    varsel::domain::time::write_rfc3339(&mut at, at_ms);
    let at = String::from_utf8(at).unwrap();
    out.clear();
    write!(
        out,
        r#"{{"type":"authorization","id":"{id}","at":"{at}","card":"c-{person}","cardholder":"p-{person}","amount_minor":{amount},"currency":"DKK","mcc":"{mcc}","merchant":{{"id":"m-{}","name":"Some shop in a street","country":"DK"}},"channel":"ecommerce","security":"3ds","response_code":"{response}","available_balance_minor":{balance},"acs_trans_id":"acs-{id}","eci":"05"}}"#,
        person % 5_000
    )
    .unwrap();
}

/// Puts payments of so many people onto the bank's topic, a thousandth of a second apart.
fn fill(scene: &Scene, events: u64, people: u64) {
    let mut feed = feed::Feed::with(
        &scene.broker.bootstrap,
        &[("linger.ms", "20"), ("compression.type", "zstd")],
    );
    let topic = scene.topic("bank.authorizations");
    let mut line = String::new();
    for number in 0..events {
        let person = number.wrapping_mul(2_654_435_761) % people;
        let at_ms = population::START_MS + i64::try_from(number).unwrap();
        payment(&mut line, &format!("e-{number}"), person, at_ms);
        feed.raw(
            &topic,
            format!("p-{person}").as_bytes(),
            line.as_bytes(),
            &[],
        );
    }
    feed.flush();
}

/// Reads a topic and writes a record of a decision's length for each of its records, with the monitor's client options.
fn pass_through(events: u64) -> Measured {
    let scene = Scene::new("pass");
    scene.make_bank_topics();
    fill(&scene, events, events / 5 + 1);
    let (from, to) = (scene.topic("bank.authorizations"), scene.topic("out"));
    scene.topics.create(&to, PARTITIONS, &[]);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &scene.broker.bootstrap)
        .set("group.id", "nobody")
        .set("fetch.queue.backoff.ms", "5")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..scene::BANK_PARTITIONS {
        list.add_partition_offset(&from, partition, Offset::Beginning)
            .unwrap();
    }
    let mut feed = feed::Feed::with(
        &scene.broker.bootstrap,
        &[("acks", "all"), ("linger.ms", "1")],
    );
    let decision = vec![b'd'; 320];
    let (watch, cpu) = (Stopwatch::start(), cpu_time());
    consumer.assign(&list).unwrap();
    for _ in 0..events {
        let message = consumer.poll(Duration::from_secs(30)).unwrap().unwrap();
        feed.raw(&to, message.key().unwrap(), &decision, &[]);
    }
    feed.flush();
    Measured {
        what: "pass-through",
        events,
        time: watch.elapsed(),
        cpu: cpu_time() - cpu,
    }
}

/// The bank's topic into the log by intake alone, the log to decisions by scoring alone; and both at once.
fn both_hops(events: u64, alone: bool, together: bool) -> Vec<Measured> {
    let mut measured = Vec::new();
    if alone {
        let mut scene = Scene::ready("hops");
        fill(&scene, events, events / 5 + 1);
        scene.set("run", "roles", "[\"intake\"]");
        measured.push(drained(&scene, "bank topic to log", events, |scene| {
            scene.behind().0
        }));
        scene.set("run", "roles", "[\"score\"]");
        let log = |scene: &Scene| {
            let group = format!("{}-score", scene.name);
            scene.topics.behind(&group, &scene.topic("varsel.log"))
        };
        measured.push(drained(&scene, "log to decision", events, log));
    }
    if together {
        let scene = Scene::ready("both");
        fill(&scene, events, events / 5 + 1);
        let both = |scene: &Scene| {
            let (bank, log) = scene.behind();
            bank + log
        };
        measured.push(drained(&scene, "bank topic to decision", events, both));
    }
    measured
}

/// Starts a monitor on a backlog and measures from its first progress to its last commit.
fn drained(
    scene: &Scene,
    what: &'static str,
    events: u64,
    behind: impl Fn(&Scene) -> i64,
) -> Measured {
    let monitor = scene.start("one");
    let all = behind(scene);
    wait::until("the first commit", LIMIT, || {
        (behind(scene) < all).then_some(())
    });
    let (watch, cpu, first) = (Stopwatch::start(), monitor.cpu(), behind(scene));
    wait::until("the last commit", LIMIT, || {
        (behind(scene) == 0).then_some(())
    });
    let (time, cpu) = (watch.elapsed(), monitor.cpu() - cpu);
    monitor.finish();
    // In the log ticks count as records too; what was left at the first look is told as its share of the events.
    let left = u64::try_from(first).unwrap().min(events);
    Measured {
        what,
        events: left,
        time,
        cpu,
    }
}

/// How long a killed instance with a static membership takes until it is ready again.
fn restore(cardholders: u64) -> Table {
    let mut scene = Scene::new("restore");
    scene.make_bank_topics();
    scene.set("run", "static_membership", true);
    scene.set_text("run", "session_timeout", "30s");
    scene.set_text("checkpoint", "every", "5s");
    scene.make_own_topics();
    fill(&scene, cardholders, cardholders);
    let mut monitor = scene.start("one");
    scene.settle(LIMIT);
    let known = monitor.metric("varsel_cardholders", "");
    // Every partition has a checkpoint younger than the last event.
    let watch = Stopwatch::start();
    wait::until("checkpoints of all partitions", LIMIT, || {
        let metrics = monitor.metrics();
        let rows = metrics
            .iter()
            .filter(|(row, _)| row.starts_with("varsel_checkpoint_age_seconds"));
        let oldest = rows.map(|(_, age)| *age).fold(0.0, f64::max);
        (oldest < watch.elapsed().as_secs_f64()).then_some(())
    });
    let resident = monitor.resident() >> 20;
    monitor.kill();
    let watch = Stopwatch::start();
    let mut monitor = scene.start("one");
    monitor.wait_ready(LIMIT);
    let took = watch.elapsed();
    let restored = monitor.metric("varsel_restore_seconds", "");
    let (cpu, again) = (monitor.cpu(), monitor.metric("varsel_cardholders", ""));
    monitor.finish();
    let head = [
        "cardholders",
        "known before",
        "known after",
        "start to ready",
        "restoring",
        "CPU",
        "memory before",
    ];
    let mut table = Table::new("A killed instance answers again", &head);
    table.row(&[
        &parted(cardholders),
        &known,
        &again,
        &format!("{:.2} s", took.as_secs_f64()),
        &format!("{restored:.2} s"),
        &format!("{:.2} s", cpu.as_secs_f64()),
        &format!("{resident} MiB"),
    ]);
    table
}
