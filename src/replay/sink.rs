//! Where a replay's results go: four files of JSON lines, and the report at the end.
//!
//! Shards hand in their shares of a batch in any order; lines are written in the order of the
//! replay, so that the files do not depend on how many shards there were.

use crate::domain::ids::EffectId;
use crate::domain::outcome::{AlertStatus, Effect};
use crate::encode;
use crate::engine::order;
use crate::replay::evaluation::Ledger;
use crate::replay::source::Refused;
use crate::replay::worker::{Output, Tally};
use hashbrown::HashSet;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes gathered before a write.
const BUFFER: usize = 256 * 1024;

/// The files of a replay, in the order in which the digest reads them, then the rejects.
pub const FILES: [&str; 4] = [
    "alerts.jsonl",
    "holds.jsonl",
    "decisions.jsonl",
    "rejects.jsonl",
];

/// The output folder of a replay.
pub struct Sink {
    dir: PathBuf,
    files: Vec<BufWriter<File>>,
    lengths: [u64; 4],
    line: Vec<u8>,
    hold_ids: HashSet<EffectId>,
    /// Counts so far.
    pub totals: Totals,
    /// What the evaluation needs.
    pub ledger: Ledger,
}

/// Counts of a whole replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// What happened to events.
    pub tally: Tally,
    /// Records refused.
    pub rejects: u64,
    /// Episodes opened.
    pub alerts: u64,
    /// Updates of open episodes.
    pub alert_updates: u64,
    /// Holds asked for.
    pub holds: u64,
}

impl Sink {
    /// Opens the files of an output folder, made where it is missing. `lengths` is what a resumed
    /// replay had written: the files are cut to it and go on from there.
    ///
    /// # Errors
    /// Where a file cannot be made.
    pub fn open(dir: &Path, lengths: [u64; 4]) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let mut files = Vec::new();
        for (name, length) in FILES.iter().zip(lengths) {
            let mut file = OpenOptions::new()
                .create(true)
                .read(true)
                .write(true)
                .truncate(false)
                .open(dir.join(name))?;
            file.set_len(length)?;
            file.seek(SeekFrom::Start(length))?;
            files.push(BufWriter::with_capacity(BUFFER, file));
        }
        Ok(Self {
            dir: dir.to_owned(),
            files,
            lengths,
            line: Vec::new(),
            hold_ids: HashSet::new(),
            totals: Totals::default(),
            ledger: Ledger::default(),
        })
    }

    /// Bytes written to each file so far.
    pub fn lengths(&self) -> [u64; 4] {
        self.lengths
    }

    /// The holds asked for so far, for a checkpoint; ascending.
    pub fn hold_ids(&self) -> Vec<EffectId> {
        let mut ids: Vec<EffectId> = self.hold_ids.iter().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// Takes up the holds asked for before a checkpoint.
    pub fn resume_holds(&mut self, ids: impl Iterator<Item = EffectId>) {
        self.hold_ids = ids.collect();
    }

    fn put(&mut self, file: usize, bytes: &[u8]) -> io::Result<()> {
        if let (Some(writer), Some(length)) = (self.files.get_mut(file), self.lengths.get_mut(file))
        {
            writer.write_all(bytes)?;
            *length += u64::try_from(bytes.len()).unwrap_or(0);
        }
        Ok(())
    }

    /// Writes a record that was refused.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub fn refused(&mut self, refused: &Refused, file: &str) -> io::Result<()> {
        self.totals.rejects += 1;
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let position = format!("{file}{}", refused.line);
        encode::reject(
            &mut line,
            position,
            refused.reject.code,
            &refused.reject.text,
        );
        let result = self.put(3, &line);
        self.line = line;
        result
    }

    /// Counts a record of the log that stood in it before.
    pub fn repeated(&mut self) {
        self.totals.tally.duplicates += 1;
    }

    /// Writes what the shards made of one batch.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub fn batch(&mut self, outputs: &[Output]) -> io::Result<()> {
        for output in outputs {
            self.totals.tally.add(&output.tally);
            for (seq, note) in &output.notes {
                self.ledger.note(*seq, note);
            }
        }
        match outputs {
            [only] => self.put(2, &only.decisions)?,
            several => self.interleave(several)?,
        }
        let mut effects: Vec<&(u64, Effect)> = outputs.iter().flat_map(|o| &o.effects).collect();
        if outputs.len() > 1 {
            // Only a tick's effects come from several shards; theirs have a stated order.
            let shard_free = |e: &&(u64, Effect)| e.0;
            effects.sort_by_key(shard_free);
            for run in effects.chunk_by_mut(|a, b| a.0 == b.0) {
                if is_tick_run(outputs, run) {
                    run.sort_by(|a, b| order(&a.1).cmp(&order(&b.1)));
                }
            }
        }
        for (seq, effect) in effects {
            self.effect(*seq, effect)?;
        }
        Ok(())
    }

    /// Writes the shards' decision lines in order of the events.
    fn interleave(&mut self, outputs: &[Output]) -> io::Result<()> {
        let mut next: Vec<(usize, usize)> = vec![(0, 0); outputs.len()];
        loop {
            let first = next
                .iter()
                .zip(outputs)
                .enumerate()
                .filter_map(|(shard, ((line, _), output))| Some((output.ends.get(*line)?.0, shard)))
                .min();
            let Some((_, shard)) = first else {
                return Ok(());
            };
            let (Some(output), Some((line, start))) = (outputs.get(shard), next.get_mut(shard))
            else {
                return Ok(());
            };
            let end = output.ends.get(*line).map_or(*start, |(_, end)| *end);
            let bytes = output.decisions.get(*start..end).unwrap_or(&[]);
            (*line, *start) = (*line + 1, end);
            self.put(2, bytes)?;
        }
    }

    fn effect(&mut self, seq: u64, effect: &Effect) -> io::Result<()> {
        self.ledger.effect(seq, effect);
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let file = match effect {
            Effect::Alert(alert) => {
                self.totals.alerts += u64::from(alert.status == AlertStatus::Open);
                self.totals.alert_updates += u64::from(alert.status == AlertStatus::Updated);
                encode::alert(&mut line, alert);
                0
            }
            Effect::Hold(hold) => {
                self.totals.holds += u64::from(self.hold_ids.insert(hold.id));
                encode::hold(&mut line, hold);
                1
            }
        };
        let result = self.put(file, &line);
        self.line = line;
        result
    }

    /// Brings all to the disk.
    ///
    /// # Errors
    /// Where the disk does not take it.
    pub fn flush(&mut self) -> io::Result<()> {
        self.files.iter_mut().try_for_each(Write::flush)
    }

    /// SHA-256 over the alert, then hold, then decision lines, each file in order, without
    /// `position` (EVENTS.md, report).
    ///
    /// # Errors
    /// Where a file cannot be read again.
    pub fn digest(&self) -> io::Result<String> {
        let mut hash = Sha256::new();
        for name in FILES.iter().take(3) {
            let mut reader = BufReader::with_capacity(BUFFER, File::open(self.dir.join(name))?);
            let mut line = Vec::new();
            loop {
                line.clear();
                if reader.read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                match memchr::memmem::rfind(&line, encode::POSITION) {
                    Some(at) => {
                        hash.update(line.get(..at).unwrap_or(&[]));
                        hash.update(b"}\n");
                    }
                    None => hash.update(&line),
                }
            }
        }
        Ok(hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect())
    }
}

/// Whether a run of effects with one place comes from a tick: an event is in one shard only, so
/// effects of several shards are a tick's; those of one shard come in order already.
fn is_tick_run(outputs: &[Output], run: &[&(u64, Effect)]) -> bool {
    let Some((seq, _)) = run.first() else {
        return false;
    };
    outputs
        .iter()
        .filter(|o| o.effects.iter().any(|(other, _)| other == seq))
        .count()
        > 1
}
