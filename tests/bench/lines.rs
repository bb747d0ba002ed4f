//! Measures JSON lines to decision lines on one thread, in memory: `cargo bench --bench lines -- [--cards N]`.
//!
//! The whole way is decode, intake and the replay worker's own loop (engine and encode); rounds of it alternate with
//! rounds that run the same way stage by stage, to show where the time goes. Lines are made outside of the clock; no
//! file is read or written: that is `replay.rs`' matter.
#![allow(missing_docs, reason = "a benchmark is nobody's interface")]

#[path = "feed.rs"]
mod feed;
#[path = "machine.rs"]
mod machine;
#[path = "population.rs"]
mod population;

use feed::{DEAL, WARM};
use machine::{Table, each, parted, percent, rate};
use population::Population;
use std::sync::Arc;
use std::time::Duration;
use varsel::clock::thread_cpu_time;
use varsel::decode::Decoder;
use varsel::domain::event::Event;
use varsel::domain::outcome::{Decision, Effect};
use varsel::encode::{self, Pen};
use varsel::engine::{Engine, Outcome};
use varsel::intake::Intake;
use varsel::replay::worker::{self, Batch, Item, Output, Position, Work};

/// The stages, in order.
const STAGES: [&str; 4] = ["decode", "intake", "engine", "encode"];

#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub cards: u32,
    pub days: i64,
    pub rounds: u64,
    /// Lines of a round.
    pub lines: u64,
}

#[derive(Debug)]
pub struct Measured {
    pub size: Size,
    /// Processor time of whole rounds, ascending.
    pub whole: Vec<Duration>,
    /// Of staged rounds, the least of each stage.
    pub stages: [Duration; 4],
    pub round: u64,
    pub read: u64,
    pub applied: u64,
    pub rejects: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub lines: u64,
}

#[allow(dead_code, reason = "the tests include this file as a module")]
#[expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
fn main() {
    println!("{}", machine::describe());
    let asked = machine::option("--cards").and_then(|n| u32::try_from(n).ok());
    let sizes = asked.map_or(vec![100_000, 1_000_000], |cards| vec![cards]);
    let measured: Vec<Measured> = sizes
        .into_iter()
        .map(|cards| {
            run(Size {
                cards,
                days: if cards < 500_000 { 10 } else { 3 },
                rounds: machine::option("--rounds").unwrap_or(5),
                lines: machine::option("--events").unwrap_or(500_000),
            })
        })
        .collect();
    println!("{}", table(&measured));
}

/// The way of a line with all that it needs.
struct Way {
    population: Population,
    decoder: Decoder,
    intake: Intake,
    engine: Engine,
    outcome: Outcome,
    effects: Vec<Effect>,
    /// Lines of the batch in hand, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    items: Vec<Item>,
    #[allow(clippy::vec_box, reason = "the boxes are what is used again")]
    spare: Vec<Box<Event>>,
    spent: Output,
    decisions: Vec<(usize, Decision)>,
    out: Vec<u8>,
    file: Arc<str>,
    at_ms: i64,
    read: u64,
    rejects: u64,
    bytes_out: u64,
}

impl Way {
    fn new(cards: u32) -> Self {
        Self {
            population: Population::new(cards, 144, false),
            decoder: Decoder::default(),
            intake: Intake::new(feed::geo()),
            engine: Engine::new(feed::starter()),
            outcome: Outcome::default(),
            effects: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
            items: Vec::new(),
            spare: Vec::new(),
            spent: Output::default(),
            decisions: Vec::new(),
            out: Vec::new(),
            file: Arc::from("population.jsonl"),
            at_ms: 0,
            read: 0,
            rejects: 0,
            bytes_out: 0,
        }
    }

    /// Makes the next lines: what the clock does not see.
    fn make(&mut self) {
        self.text.clear();
        self.ends.clear();
        for _ in 0..DEAL {
            self.at_ms = self.population.line(&mut self.text);
            self.ends.push(self.text.len());
        }
    }

    /// One batch from bytes to bytes, as replay runs it.
    fn whole(&mut self) {
        let mut start = 0;
        for end in std::mem::take(&mut self.ends) {
            let mut event = self.spare.pop().unwrap_or_default();
            let line = self.text.get(start..end - 1).unwrap_or(&[]);
            start = end;
            self.read += 1;
            if self.decoder.decode(line, &mut event).is_err() {
                self.rejects += 1;
                self.spare.push(event);
                continue;
            }
            self.complete(event);
        }
        let batch = Batch {
            number: 0,
            items: std::mem::take(&mut self.items),
            spent: std::mem::take(&mut self.spent),
        };
        let mut output = worker::run(
            &mut self.engine,
            batch,
            WARM,
            &mut self.outcome,
            &mut self.effects,
        );
        self.bytes_out += u64::try_from(output.decisions.len()).unwrap_or(0);
        for effect in &output.effects {
            self.effect(&effect.1);
        }
        self.spare
            .extend(output.items.drain(..).filter_map(event_of));
        self.items = std::mem::take(&mut output.items);
        self.spent = output;
    }

    fn complete(&mut self, mut event: Box<Event>) {
        self.intake.complete(&mut event);
        if let Some(at_ms) = self.intake.tick_before(event.at.ms) {
            self.items.push(Item {
                seq: self.read,
                work: Work::Tick(at_ms),
            });
        }
        let position = Position {
            file: Arc::clone(&self.file),
            line: self.read,
        };
        self.items.push(Item {
            seq: self.read,
            work: Work::Event(event, position),
        });
    }

    fn effect(&mut self, effect: &Effect) {
        self.out.clear();
        match effect {
            Effect::Alert(alert) => encode::alert(&mut self.out, alert),
            Effect::Hold(hold) => encode::hold(&mut self.out, hold),
        }
        self.bytes_out += u64::try_from(self.out.len()).unwrap_or(0);
    }

    /// One batch, each stage over all of it before the next begins; the time that each took.
    fn staged(&mut self) -> [Duration; 4] {
        let t0 = thread_cpu_time();
        let mut decoded = Vec::with_capacity(DEAL);
        let mut start = 0;
        for end in std::mem::take(&mut self.ends) {
            let mut event = self.spare.pop().unwrap_or_default();
            let line = self.text.get(start..end - 1).unwrap_or(&[]);
            start = end;
            self.read += 1;
            if self.decoder.decode(line, &mut event).is_ok() {
                decoded.push(event);
            } else {
                self.rejects += 1;
            }
        }
        let t1 = thread_cpu_time();
        decoded.into_iter().for_each(|event| self.complete(event));
        let t2 = thread_cpu_time();
        self.judge();
        let t3 = thread_cpu_time();
        self.out.clear();
        let version = Arc::clone(&self.engine.prepared().version);
        let mut pen = Pen::default();
        for (index, decision) in self.decisions.drain(..) {
            if let Some(Work::Event(event, position)) = self.items.get(index).map(|i| &i.work) {
                let (file, line) = (&position.file, position.line);
                pen.decision(&mut self.out, event, &decision, &version, file, line);
            }
        }
        self.bytes_out += u64::try_from(self.out.len()).unwrap_or(0);
        let t4 = thread_cpu_time();
        self.spare.extend(self.items.drain(..).filter_map(event_of));
        [t1 - t0, t2 - t1, t3 - t2, t4 - t3]
    }

    fn judge(&mut self) {
        let mut index = 0;
        for chunk in self.items.chunks(WARM) {
            let events = chunk.iter().filter_map(|item| match &item.work {
                Work::Event(event, _) => Some(&**event),
                Work::Tick(_) | Work::Control(_) => None,
            });
            std::hint::black_box(self.engine.warm(events));
            for item in chunk {
                match &item.work {
                    Work::Control(_) => {}
                    Work::Tick(at_ms) => self.engine.tick(*at_ms, &mut self.effects),
                    Work::Event(event, _) => {
                        self.engine.apply(event, &mut self.outcome);
                        let decision = self.outcome.decision.take();
                        self.decisions.extend(decision.map(|d| (index, d)));
                    }
                }
                index += 1;
            }
        }
    }
}

fn event_of(item: Item) -> Option<Box<Event>> {
    match item.work {
        Work::Event(event, _) => Some(event),
        Work::Tick(_) | Work::Control(_) => None,
    }
}

/// Lets the days pass, then measures.
pub fn run(size: Size) -> Measured {
    let mut way = Way::new(size.cards);
    while way.at_ms < Population::day_end_ms(size.days) {
        way.make();
        way.whole();
    }
    let (mut whole, mut stages) = (Vec::new(), [Duration::MAX; 4]);
    let batches = size.lines.div_ceil(4_096);
    let (mut bytes_in, mut bytes_out) = (0, 0);
    for _ in 0..size.rounds {
        let (mut used, out_before) = (Duration::ZERO, way.bytes_out);
        for _ in 0..batches {
            way.make();
            bytes_in += u64::try_from(way.text.len()).unwrap_or(0);
            let from = thread_cpu_time();
            way.whole();
            used += thread_cpu_time().saturating_sub(from);
        }
        bytes_out += way.bytes_out - out_before;
        whole.push(used);
        let mut sums = [Duration::ZERO; 4];
        for _ in 0..batches {
            way.make();
            for (sum, took) in sums.iter_mut().zip(way.staged()) {
                *sum += took;
            }
        }
        for (least, sum) in stages.iter_mut().zip(sums) {
            *least = sum.min(*least);
        }
    }
    whole.sort_unstable();
    Measured {
        size,
        whole,
        stages,
        round: batches * 4_096,
        read: way.read,
        applied: way.engine.counters().applied,
        rejects: way.rejects,
        bytes_in,
        bytes_out,
        lines: batches * 4_096 * size.rounds,
    }
}

pub fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "JSON lines to decision lines, starter rule book, one thread, in memory",
        &[
            "cardholders",
            "best ns/line",
            "best per CPU-second",
            "median per CPU-second",
            STAGES[0],
            STAGES[1],
            STAGES[2],
            STAGES[3],
            "bytes in",
            "bytes out",
            "refused",
        ],
    );
    for m in measured {
        let (best, median) = (m.whole[0], m.whole[m.whole.len() / 2]);
        let stage = |at: usize| format!("{:.0} ns", each(m.stages[at], m.round));
        table.row(&[
            &parted(u64::from(m.size.cards)),
            &format!("{:.0}", each(best, m.round)),
            &rate(best, m.round),
            &rate(median, m.round),
            &stage(0),
            &stage(1),
            &stage(2),
            &stage(3),
            &(m.bytes_in / m.lines.max(1)),
            &(m.bytes_out / m.lines.max(1)),
            &percent(m.rejects, m.read),
        ]);
    }
    table.remark("the stages are measured in rounds of their own, one stage over a whole batch at a time; they need not add up to the whole");
    table.remark(
        "`threeds` and `otp` lines name the card only, so intake looks their cardholder up",
    );
    table
}
