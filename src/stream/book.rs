//! Rule books in the log: the control record that brings one into force, written and read.
//!
//! The record has the whole text of the book, so that a replay of the log needs nothing else
//! (promise `prefix`). Checking the text is `rulebook`'s business.

use crate::engine::prepared::Prepared;
use crate::problem::Problems;
use crate::rulebook::{self, Loaded, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The control records that there are.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "lowercase")]
enum Control {
    /// A rule book.
    Rulebook {
        /// Its version, as decisions name it.
        version: String,
        /// Its files, sorted by name.
        files: Vec<File>,
    },
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
    let control = Control::Rulebook {
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
    /// The rule book of a control record.
    ///
    /// # Errors
    /// Where the record cannot be read or its book has faults.
    pub fn read(&self, record: &[u8]) -> Result<Arc<Prepared>, BookError> {
        let Control::Rulebook { version, files } = serde_json::from_slice(record)?;
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
