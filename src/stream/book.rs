//! Control records of the log, written and read: a rule book comes into force, enforcement is suspended
//! or resumed.
//!
//! A book's record has its whole text, so that a replay of the log needs nothing else (promise
//! `prefix`). Checking the text is `rulebook`'s business.

use crate::engine::prepared::Prepared;
use crate::problem::Problems;
use crate::rulebook::{self, Loaded, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a control record brings about in its partition.
#[derive(Debug, Clone)]
pub enum Control {
    /// A rule book comes into force.
    Book(Arc<Prepared>),
    /// Enforcement is suspended, or resumed.
    Enforcement(bool),
}

/// The control records that there are, as they are written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "lowercase")]
enum Shape {
    /// A rule book.
    Rulebook {
        /// Its version, as decisions name it.
        version: String,
        /// Its files, sorted by name.
        files: Vec<File>,
    },
    /// The switch of all enforcement.
    Enforcement(Switched),
}

/// The key under which the switch of all enforcement is announced beside the owners.
pub const SWITCH_KEY: &str = "enforcement";

/// The switch of all enforcement as somebody has set it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// Whether it is suspended.
    pub suspended: bool,
    /// Who has set it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Wall time, in milliseconds since 1970; told to people, read by no decision.
    pub since_ms: i64,
}

impl Switched {
    /// The control record of it.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(&Shape::Enforcement(self.clone())).unwrap_or_default()
    }

    /// Reads its control record; nothing where it is another.
    pub fn read(record: &[u8]) -> Option<Self> {
        match serde_json::from_slice(record).ok()? {
            Shape::Enforcement(switched) => Some(switched),
            Shape::Rulebook { .. } => None,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    name: String,
    text: String,
}

/// Rule books compiled before are kept, up to this many: reloads go to and fro.
const KEPT: usize = 8;

/// The control record of a rule book.
pub fn write(loaded: &Loaded) -> Vec<u8> {
    let control = Shape::Rulebook {
        version: loaded.book.version.clone(),
        files: loaded
            .files
            .iter()
            .map(|file| File {
                name: file.name.clone(),
                text: file.text.clone(),
            })
            .collect(),
    };
    serde_json::to_vec(&control).unwrap_or_default()
}

/// Why a control record has no effect.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// It cannot be read.
    #[error("the control record cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// The rule book in it has faults.
    #[error("the rule book in the control record has faults:\n{0}")]
    Faulty(Problems),
}

/// Rule books by version, so that each is compiled once in a process, whatever the partitions.
#[derive(Debug, Default)]
pub struct Library {
    known: Mutex<BTreeMap<String, Arc<Prepared>>>,
}

impl Library {
    /// What a control record brings about.
    ///
    /// # Errors
    /// Where the record cannot be read or its book has faults.
    pub fn read(&self, record: &[u8]) -> Result<Control, BookError> {
        match serde_json::from_slice(record)? {
            Shape::Rulebook { version, files } => self.book(version, files).map(Control::Book),
            Shape::Enforcement(switched) => Ok(Control::Enforcement(switched.suspended)),
        }
    }

    fn book(&self, version: String, files: Vec<File>) -> Result<Arc<Prepared>, BookError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.get(&version) {
            return Ok(Arc::clone(prepared));
        }
        let files = files
            .into_iter()
            .map(|file| Source::new(file.name, file.text))
            .collect();
        let loaded = rulebook::compile(files).map_err(BookError::Faulty)?;
        let prepared = Arc::new(Prepared::new(loaded.book));
        if known.len() >= KEPT {
            known.pop_first();
        }
        known.insert(version, Arc::clone(&prepared));
        Ok(prepared)
    }
}
