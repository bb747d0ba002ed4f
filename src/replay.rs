//! Replay: recorded events through the engine at full speed, into files.
//!
//! One thread reads, decodes, resolves and deals out; each shard has a thread; one writes. All
//! queues are bounded. What comes out does not depend on the number of shards, the batch size or
//! where a replay was stopped and resumed (promise `prefix`).

pub mod evaluation;
pub mod report;
pub mod saved;
pub mod sink;
pub mod source;
pub mod topic;
pub mod worker;

use crate::domain::event::Event;
use crate::engine::prepared::Prepared;
use crate::engine::{Engine, Outcome};
use crate::geo::Geo;
use crate::intake::Intake;
use report::Report;
use sink::Sink;
use source::{Merge, Next, SourceError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use topic::Topics;
use worker::{Batch, Item, Output, Position, Work};

/// Batches on their way to one shard, and outputs on their way back: enough to keep both sides
/// busy, few enough to bound memory.
const IN_FLIGHT: usize = 4;
/// Entries dealt out at once, over all shards.
const DEAL: usize = 4_096;
/// The most shards of a replay.
pub const MAX_SHARDS: usize = 256;

/// What to replay, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The inputs; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// Kafka topics in place of files.
    pub topics: Option<Topics>,
    /// The output folder.
    pub out: PathBuf,
    /// How many shards, 1 to [`MAX_SHARDS`].
    pub shards: usize,
    /// How many events are looked up together, at least 1.
    pub batch: usize,
    /// Stop after so many records, refused ones included.
    pub stop_after: Option<u64>,
    /// Where the state goes when the replay stops.
    pub checkpoint: Option<PathBuf>,
    /// Where to go on from.
    pub resume: Option<PathBuf>,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An input.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The output folder.
    #[error(
        "cannot write to `{dir}`: {source}\n  = help: check the folder's rights and the free space, then start again"
    )]
    Sink {
        /// The folder.
        dir: String,
        /// What the system said.
        source: io::Error,
    },
    /// The checkpoint.
    #[error(transparent)]
    Saved(#[from] saved::SavedError),
    /// The sums of the report do not agree.
    #[error(
        "records were lost: applied, duplicates and rejects do not add up to what was read; this is a bug of ours: please report it with report.json"
    )]
    Lost,
    /// A shard ended before its time.
    #[error(
        "shard {0} stopped unexpectedly; this is a bug of ours: please report it with the input"
    )]
    Shard(usize),
}

/// Told how far the replay is: bytes read of all inputs, records read.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// A shard's thread with its queues.
struct Shard {
    work: Option<SyncSender<Batch>>,
    done: Receiver<Output>,
    thread: JoinHandle<Engine>,
}

/// Replays, and returns the report, which is also in the output folder.
///
/// # Errors
/// Where an input, the output folder or a checkpoint fails. What came before is written.
pub fn run(
    options: &Options,
    prepared: &Arc<Prepared>,
    geo: &Geo,
    progress: Progress<'_>,
) -> Result<Report, ReplayError> {
    let bytes = Arc::new(AtomicU64::new(0));
    let mut start = Start::of(options, prepared, geo)?;
    let (names, mut merge) = opened(options, &start.taken, &bytes)?;
    let is_log = options.topics.as_ref().is_some_and(Topics::is_log);
    if is_log {
        // Of the log a partition is a shard, as it was live: its ticks and rule books are its own.
        let engines = (0..names.len()).map(|_| Engine::new(Arc::clone(prepared)));
        start.engines = engines.collect();
    }
    let count = start.engines.len();
    let shards = spawn(std::mem::take(&mut start.engines), options.batch);
    let mut dealer = Dealer {
        shards,
        sink: start.sink,
        share: Vec::new(),
        pending: 0,
        number: 0,
        spare: Vec::new(),
        spent: Vec::new(),
        dir: options.out.display().to_string(),
    };
    dealer.share.resize_with(count, Vec::new);
    let mut clocks = Clocks {
        intake: start.intake,
        seq: start.seq,
        read: start.read,
    };
    let unknown_before = start.unknown_fields;
    deal_all(
        options,
        &mut merge,
        &mut dealer,
        &mut clocks,
        &names,
        &mut |read| {
            progress(bytes.load(Ordering::Relaxed), read);
        },
    )?;
    let (engines, mut sink) = dealer.finish()?;
    let unknown_fields = unknown_before + merge.unknown_fields();
    let fail = |source| ReplayError::Sink {
        dir: options.out.display().to_string(),
        source,
    };
    sink.flush().map_err(fail)?;
    if let Some(dir) = &options.checkpoint {
        let state = saved::State {
            engines: &engines,
            intake: &clocks.intake,
            sink: &sink,
            taken: merge.taken(),
            read: clocks.read,
            seq: clocks.seq,
            unknown_fields,
        };
        saved::write(dir, &options.out, &state)?;
    }
    let report = Report::new(
        &sink,
        &engines,
        clocks.read,
        unknown_fields,
        geo.hash().to_string(),
    )
    .map_err(fail)?;
    report.write(&options.out).map_err(fail)?;
    if !report.adds_up() {
        return Err(ReplayError::Lost);
    }
    Ok(report)
}

/// The inputs: what their positions begin with, and the merge of them.
fn opened(
    options: &Options,
    taken: &[u64],
    bytes: &Arc<AtomicU64>,
) -> Result<(Vec<Arc<str>>, Merge), ReplayError> {
    let Some(topics) = &options.topics else {
        let names = options.inputs.iter();
        let names = names.map(|path| Arc::from(format!("{}:", path.display())));
        return Ok((names.collect(), Merge::open(&options.inputs, taken, bytes)?));
    };
    let mut names = Vec::new();
    let mut inputs: Vec<Box<dyn source::Records>> = Vec::new();
    for (name, records) in topics.open(bytes).map_err(SourceError::Broker)? {
        names.push(Arc::from(name));
        inputs.push(Box::new(records));
    }
    Ok((names, Merge::of(inputs, taken)))
}

/// Where a replay begins: at nothing, or at a checkpoint.
struct Start {
    engines: Vec<Engine>,
    intake: Intake,
    sink: Sink,
    taken: Vec<u64>,
    read: u64,
    seq: u64,
    unknown_fields: u64,
}

impl Start {
    fn of(options: &Options, prepared: &Arc<Prepared>, geo: &Geo) -> Result<Self, ReplayError> {
        let fail = |source| ReplayError::Sink {
            dir: options.out.display().to_string(),
            source,
        };
        let Some(dir) = &options.resume else {
            return Ok(Self {
                engines: (0..options.shards)
                    .map(|_| Engine::new(Arc::clone(prepared)))
                    .collect(),
                intake: Intake::new(geo.clone()),
                sink: Sink::open(&options.out, [0; 4]).map_err(fail)?,
                taken: vec![0; options.inputs.len()],
                read: 0,
                seq: 0,
                unknown_fields: 0,
            });
        };
        let saved = saved::read(dir, options.inputs.len())?;
        saved.put_outputs(&options.out)?;
        let mut sink = Sink::open(&options.out, saved.lengths()).map_err(fail)?;
        let mut intake = Intake::new(geo.clone());
        let engines = saved.restore(prepared, options.shards, &mut intake, &mut sink)?;
        Ok(Self {
            engines,
            intake,
            sink,
            taken: saved.taken().to_vec(),
            read: saved.records_read(),
            seq: saved.seq(),
            unknown_fields: saved.unknown_fields(),
        })
    }
}

/// Which shard a cardholder belongs to.
pub fn shard_of(key: u64, shards: usize) -> usize {
    let shards = u64::try_from(shards.max(1)).unwrap_or(1);
    usize::try_from(key % shards).unwrap_or(0)
}

fn spawn(engines: Vec<Engine>, warm_by: usize) -> Vec<Shard> {
    engines
        .into_iter()
        .map(|mut engine| {
            let (work, queue) = sync_channel::<Batch>(IN_FLIGHT);
            let (results, done) = sync_channel::<Output>(IN_FLIGHT);
            let thread = std::thread::spawn(move || {
                let mut outcome = Outcome::default();
                let mut scratch = Vec::new();
                while let Ok(batch) = queue.recv() {
                    let output =
                        worker::run(&mut engine, batch, warm_by, &mut outcome, &mut scratch);
                    if results.send(output).is_err() {
                        break;
                    }
                }
                engine
            });
            Shard {
                work: Some(work),
                done,
                thread,
            }
        })
        .collect()
}

/// Event time and the count of records.
struct Clocks {
    intake: Intake,
    seq: u64,
    read: u64,
}

/// Reads to the end of the inputs, or to the stop.
fn deal_all(
    options: &Options,
    merge: &mut Merge,
    dealer: &mut Dealer,
    clocks: &mut Clocks,
    names: &[Arc<str>],
    progress: &mut dyn FnMut(u64),
) -> Result<(), ReplayError> {
    let mut event = Box::<Event>::default();
    while options.stop_after.is_none_or(|stop| clocks.read < stop) {
        let next = match merge.next(&mut event) {
            Ok(next) => next,
            Err(error) => {
                dealer.deal()?;
                return Err(error.into());
            }
        };
        match next {
            Next::End => break,
            Next::Refused(refused) => {
                clocks.read += 1;
                let name = names.get(refused.input).map_or("", |name| &**name);
                dealer
                    .sink
                    .refused(&refused, name)
                    .map_err(|source| dealer.failed(source))?;
            }
            Next::Event {
                input,
                line,
                logged,
            } => {
                clocks.read += 1;
                let file = names.get(input).cloned().unwrap_or_default();
                let mut shard = Some(input);
                if !logged {
                    clocks.intake.complete(&mut event);
                    if let Some(tick) = clocks.intake.tick_before(event.at.ms) {
                        clocks.seq += 1;
                        dealer.tick(clocks.seq, tick)?;
                    }
                    shard = None;
                }
                clocks.seq += 1;
                event = dealer.event(clocks.seq, shard, event, Position { file, line })?;
            }
            Next::Repeat => {
                clocks.read += 1;
                dealer.sink.repeated();
            }
            Next::Tick(input, at_ms) => {
                clocks.seq += 1;
                dealer.one(clocks.seq, input, Work::Tick(at_ms))?;
            }
            Next::Control(input, control) => {
                clocks.seq += 1;
                dealer.one(clocks.seq, input, Work::Control(control))?;
            }
        }
        if clocks.read.is_multiple_of(16_384) {
            progress(clocks.read);
        }
    }
    progress(clocks.read);
    dealer.deal()
}

/// Deals entries out to the shards, and writes what comes back.
struct Dealer {
    shards: Vec<Shard>,
    sink: Sink,
    share: Vec<Vec<Item>>,
    pending: usize,
    number: u64,
    /// Events to be filled again, so that their texts need no new memory.
    #[expect(clippy::vec_box, reason = "the boxes are what is used again")]
    spare: Vec<Box<Event>>,
    /// Outputs that have been written, likewise.
    spent: Vec<Output>,
    dir: String,
}

impl Dealer {
    fn failed(&self, source: io::Error) -> ReplayError {
        ReplayError::Sink {
            dir: self.dir.clone(),
            source,
        }
    }

    /// Adds an event to its shard's share; returns another to be filled.
    fn event(
        &mut self,
        seq: u64,
        shard: Option<usize>,
        event: Box<Event>,
        position: Position,
    ) -> Result<Box<Event>, ReplayError> {
        let shard = shard.unwrap_or_else(|| shard_of(event.cardholder_fp.0, self.shards.len()));
        if let Some(share) = self.share.get_mut(shard) {
            share.push(Item {
                seq,
                work: Work::Event(event, position),
            });
        }
        self.added()?;
        Ok(self.spare.pop().unwrap_or_default())
    }

    /// Adds what concerns one shard alone.
    fn one(&mut self, seq: u64, shard: usize, work: Work) -> Result<(), ReplayError> {
        if let Some(share) = self.share.get_mut(shard) {
            share.push(Item { seq, work });
        }
        self.added()
    }

    fn tick(&mut self, seq: u64, at_ms: i64) -> Result<(), ReplayError> {
        for share in &mut self.share {
            share.push(Item {
                seq,
                work: Work::Tick(at_ms),
            });
        }
        self.added()
    }

    fn added(&mut self) -> Result<(), ReplayError> {
        self.pending += 1;
        if self.pending < DEAL {
            Ok(())
        } else {
            self.deal()
        }
    }

    /// Sends the shares out; takes back what is beyond the bound in flight.
    fn deal(&mut self) -> Result<(), ReplayError> {
        self.pending = 0;
        if self.number >= u64::try_from(IN_FLIGHT).unwrap_or(1) {
            self.collect()?;
        }
        self.number += 1;
        for (index, shard) in self.shards.iter().enumerate() {
            let items = self
                .share
                .get_mut(index)
                .map(std::mem::take)
                .unwrap_or_default();
            let batch = Batch {
                number: self.number,
                items,
                spent: self.spent.pop().unwrap_or_default(),
            };
            let sent = shard
                .work
                .as_ref()
                .is_some_and(|work| work.send(batch).is_ok());
            if !sent {
                return Err(ReplayError::Shard(index));
            }
        }
        Ok(())
    }

    /// Takes one batch back from every shard and writes it.
    fn collect(&mut self) -> Result<(), ReplayError> {
        let mut outputs = Vec::with_capacity(self.shards.len());
        for (index, shard) in self.shards.iter().enumerate() {
            outputs.push(shard.done.recv().map_err(|_| ReplayError::Shard(index))?);
        }
        self.sink
            .batch(&outputs)
            .map_err(|source| self.failed(source))?;
        for (index, mut output) in outputs.into_iter().enumerate() {
            for item in output.items.drain(..) {
                if let Work::Event(event, _) = item.work
                    && self.spare.len() < DEAL * IN_FLIGHT
                {
                    self.spare.push(event);
                }
            }
            if let Some(share) = self.share.get_mut(index)
                && share.capacity() == 0
            {
                *share = std::mem::take(&mut output.items);
            }
            self.spent.push(output);
        }
        Ok(())
    }

    /// Waits for the shards and returns their engines.
    fn finish(mut self) -> Result<(Vec<Engine>, Sink), ReplayError> {
        for shard in &mut self.shards {
            shard.work = None;
        }
        let outstanding = self.number.min(u64::try_from(IN_FLIGHT).unwrap_or(1));
        for _ in 0..outstanding {
            self.collect()?;
        }
        let mut engines = Vec::new();
        for (index, shard) in self.shards.into_iter().enumerate() {
            engines.push(shard.thread.join().map_err(|_| ReplayError::Shard(index))?);
        }
        Ok((engines, self.sink))
    }
}
