//! A replay stopped half-way: all that is needed to go on, in a folder.
//!
//! The manifest (`replay.json`) names the other files with their checksums and is written last,
//! under its final name only when it is whole. The outputs so far are kept too, so that a replay
//! may be resumed into another folder. The shards' own format is the engine's
//! (`engine::checkpoint`).

use crate::domain::ids::EffectId;
use crate::engine::checkpoint::{CheckpointError, summary};
use crate::engine::prepared::Prepared;
use crate::engine::{Counters, Engine};
use crate::intake::Intake;
use crate::replay::evaluation::Ledger;
use crate::replay::shard_of;
use crate::replay::sink::{FILES, Sink, Totals};
use crate::replay::worker::Tally;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Version of the folder's layout.
const VERSION: u32 = 1;
const MANIFEST: &str = "replay.json";
const HELP: &str =
    "stop the replay again with `--stop-after` and `--checkpoint`, or start from the beginning";

/// Why a stopped replay cannot be saved or resumed.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The folder cannot be written.
    #[error(
        "cannot write the checkpoint to `{path}`: {source}\n  = help: check the folder's rights and the free space"
    )]
    Write {
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be read.
    #[error(
        "cannot read the checkpoint's `{path}`: {source}\n  = help: name the folder that `--checkpoint` wrote"
    )]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("the checkpoint's `{path}` is damaged: {what}\n  = help: {HELP}")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// Made by another version.
    #[error("the checkpoint has layout {found}, this version reads {VERSION}\n  = help: {HELP}")]
    Version {
        /// The layout found.
        found: u32,
    },
    /// Made from other inputs.
    #[error(
        "the checkpoint was made from {saved} inputs, but {given} are given\n  = help: name the same `--input` files in the same order"
    )]
    Inputs {
        /// Inputs of the stopped replay.
        saved: usize,
        /// Inputs given now.
        given: usize,
    },
    /// A shard's state.
    #[error("the checkpoint's state cannot be read: {0}")]
    Engine(#[from] CheckpointError),
}

/// What is saved.
pub struct State<'a> {
    /// The shards.
    pub engines: &'a [Engine],
    /// Bindings and the minute in hand.
    pub intake: &'a Intake,
    /// Outputs and counts.
    pub sink: &'a Sink,
    /// Lines taken of each input.
    pub taken: &'a [u64],
    /// Records read.
    pub read: u64,
    /// Place of the last entry.
    pub seq: u64,
    /// Unknown fields met.
    pub unknown_fields: u64,
}

/// The manifest.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    version: u32,
    taken: Vec<u64>,
    read: u64,
    seq: u64,
    unknown_fields: u64,
    minute: Option<i64>,
    lengths: [u64; 4],
    applied: u64,
    duplicates: u64,
    late: u64,
    unknown_codes: u64,
    actions: [u64; 3],
    rejects: u64,
    alerts: u64,
    alert_updates: u64,
    holds: u64,
    hold_ids: Vec<String>,
    shards: usize,
    /// File name → XXH3-64 of its bytes, in hex.
    files: BTreeMap<String, String>,
    #[serde(skip)]
    parts: BTreeMap<String, Vec<u8>>,
}

/// Writes a stopped replay to a folder.
///
/// # Errors
/// Where the folder cannot be written.
pub fn write(dir: &Path, outputs: &Path, state: &State<'_>) -> Result<(), SavedError> {
    let fail = |source| SavedError::Write {
        path: dir.display().to_string(),
        source,
    };
    std::fs::create_dir_all(dir).map_err(fail)?;
    let mut files = BTreeMap::new();
    let mut keep = |name: String, bytes: &[u8]| -> Result<(), SavedError> {
        std::fs::write(dir.join(&name), bytes).map_err(fail)?;
        files.insert(name, format!("{:016x}", xxh3_64(bytes)));
        Ok(())
    };
    let mut bytes = Vec::new();
    for (number, engine) in state.engines.iter().enumerate() {
        bytes.clear();
        engine.save(&mut bytes);
        keep(shard_file(number), &bytes)?;
    }
    let (minute, bindings) = state.intake.state();
    let json =
        |value: Result<Vec<u8>, serde_json::Error>| value.map_err(|e| fail(io::Error::other(e)));
    keep(
        "bindings.json".to_owned(),
        &json(serde_json::to_vec(&bindings))?,
    )?;
    keep(
        "ledger.json".to_owned(),
        &json(serde_json::to_vec(&state.sink.ledger))?,
    )?;
    for name in FILES {
        let output = std::fs::read(outputs.join(name)).map_err(fail)?;
        keep(name.to_owned(), &output)?;
    }
    let manifest = Saved::of(state, minute, files);
    let text = json(serde_json::to_vec_pretty(&manifest))?;
    let draft = dir.join("replay.json.part");
    std::fs::write(&draft, text).map_err(fail)?;
    std::fs::rename(&draft, dir.join(MANIFEST)).map_err(fail)
}

fn shard_file(number: usize) -> String {
    format!("shard-{number}.bin")
}

/// Reads a stopped replay's folder and checks every file in it.
///
/// # Errors
/// Where a file is missing, damaged or of another version, or the inputs are not as many.
pub fn read(dir: &Path, inputs: usize) -> Result<Saved, SavedError> {
    let load = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).map_err(|source| SavedError::Read {
            path: path.display().to_string(),
            source,
        })
    };
    let text = load(MANIFEST)?;
    let damaged = |name: &str, what: String| SavedError::Damaged {
        path: dir.join(name).display().to_string(),
        what,
    };
    let mut saved: Saved =
        serde_json::from_slice(&text).map_err(|e| damaged(MANIFEST, e.to_string()))?;
    if saved.version != VERSION {
        return Err(SavedError::Version {
            found: saved.version,
        });
    }
    if saved.taken.len() != inputs {
        return Err(SavedError::Inputs {
            saved: saved.taken.len(),
            given: inputs,
        });
    }
    for (name, sum) in &saved.files {
        let bytes = load(name)?;
        if format!("{:016x}", xxh3_64(&bytes)) != *sum {
            return Err(damaged(
                name,
                "its checksum is not the manifest's".to_owned(),
            ));
        }
        saved.parts.insert(name.clone(), bytes);
    }
    Ok(saved)
}

impl Saved {
    fn of(state: &State<'_>, minute: Option<i64>, files: BTreeMap<String, String>) -> Self {
        let totals = &state.sink.totals;
        Self {
            version: VERSION,
            taken: state.taken.to_vec(),
            read: state.read,
            seq: state.seq,
            unknown_fields: state.unknown_fields,
            minute,
            lengths: state.sink.lengths(),
            applied: totals.tally.applied,
            duplicates: totals.tally.duplicates,
            late: totals.tally.late,
            unknown_codes: totals.tally.unknown_codes,
            actions: totals.tally.actions,
            rejects: totals.rejects,
            alerts: totals.alerts,
            alert_updates: totals.alert_updates,
            holds: totals.holds,
            hold_ids: state
                .sink
                .hold_ids()
                .iter()
                .map(ToString::to_string)
                .collect(),
            shards: state.engines.len(),
            files,
            parts: BTreeMap::new(),
        }
    }

    /// Lines taken of each input.
    pub fn taken(&self) -> &[u64] {
        &self.taken
    }

    /// Records read.
    pub fn records_read(&self) -> u64 {
        self.read
    }

    /// Place of the last entry.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Unknown fields met.
    pub fn unknown_fields(&self) -> u64 {
        self.unknown_fields
    }

    /// Bytes written to each output.
    pub fn lengths(&self) -> [u64; 4] {
        self.lengths
    }

    fn part(&self, name: &str) -> &[u8] {
        self.parts.get(name).map_or(&[], Vec::as_slice)
    }

    /// Puts the outputs as they were into the output folder.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn put_outputs(&self, out: &Path) -> Result<(), SavedError> {
        let fail = |source| SavedError::Write {
            path: out.display().to_string(),
            source,
        };
        std::fs::create_dir_all(out).map_err(fail)?;
        for name in FILES {
            std::fs::write(out.join(name), self.part(name)).map_err(fail)?;
        }
        Ok(())
    }

    /// Restores shards, bindings, counts and the ledger; the number of shards may be another.
    ///
    /// # Errors
    /// Where a part cannot be read.
    pub fn restore(
        &self,
        prepared: &Arc<Prepared>,
        shards: usize,
        intake: &mut Intake,
        sink: &mut Sink,
    ) -> Result<Vec<Engine>, SavedError> {
        let damaged = |name: &str, e: serde_json::Error| SavedError::Damaged {
            path: name.to_owned(),
            what: e.to_string(),
        };
        let bindings: Vec<(u64, Box<str>)> = serde_json::from_slice(self.part("bindings.json"))
            .map_err(|e| damaged("bindings.json", e))?;
        intake.resume(self.minute, bindings.into_iter());
        let ledger: Ledger = serde_json::from_slice(self.part("ledger.json"))
            .map_err(|e| damaged("ledger.json", e))?;
        sink.ledger = ledger;
        sink.totals = self.totals();
        sink.resume_holds(self.hold_ids.iter().filter_map(|id| EffectId::parse(id)));
        let parts: Vec<&[u8]> = (0..self.shards)
            .map(|number| self.part(&shard_file(number)))
            .collect();
        let mut engines = (0..shards)
            .map(|shard| {
                Engine::restore(Arc::clone(prepared), &parts, |key| {
                    shard_of(key, shards) == shard
                })
            })
            .collect::<Result<Vec<Engine>, _>>()?;
        // What the parts had counted cannot be divided among the shards: the first goes on from it.
        let mut counted = Counters::default();
        for part in &parts {
            counted = counted.plus(summary(part)?.counters);
        }
        if let Some(first) = engines.first_mut() {
            first.set_counters(counted);
        }
        Ok(engines)
    }

    fn totals(&self) -> Totals {
        Totals {
            tally: Tally {
                applied: self.applied,
                duplicates: self.duplicates,
                late: self.late,
                unknown_codes: self.unknown_codes,
                actions: self.actions,
            },
            rejects: self.rejects,
            alerts: self.alerts,
            alert_updates: self.alert_updates,
            holds: self.holds,
        }
    }
}
