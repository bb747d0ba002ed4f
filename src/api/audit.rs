//! The audit log: every call that changes something, one line each, chained by hash so that no line can
//! be changed or taken out without a trace.
//!
//! A line is written before the step is taken; where it cannot be written, the step is not taken. The
//! hash of a line is SHA-256 over the hash before and the line without its own.

use crate::api::failure::{Code, Failure};
use crate::api::json::Writer;
use crate::api::steps::Said;
use crate::api::teller::Teller;
use crate::clock;
use crate::decode::contains_card_number;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What stands before a line's own hash.
const HASH: &str = ",\"hash\":\"";

/// A call that changes something.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'e> {
    /// Wall time, in milliseconds.
    pub now_ms: i64,
    /// The caller; `anybody` where the door is open.
    pub who: &'e str,
    /// Method and path.
    pub call: &'e str,
    /// The request's id.
    pub request_id: &'e str,
    /// What they gave as `by` and `reason`, and the verdict.
    pub said: (&'e str, &'e str, &'e str),
}

/// The log's end.
#[derive(Debug)]
struct End {
    file: File,
    number: u64,
    hash: String,
}

/// An audit log that is being written.
#[derive(Debug)]
pub struct Audit(Mutex<End>);

/// Why an audit log cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error("the audit log cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// A line that does not follow from the one before.
    #[error("the audit log is broken at line {0}: it was changed, or a line is missing")]
    Broken(u64),
}

impl Audit {
    /// Opens a log, or begins one; what is there is checked from its beginning.
    ///
    /// # Errors
    /// Where it cannot be read, or is broken.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let (number, hash) = match File::open(path) {
            Ok(file) => verify(BufReader::new(file))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (0, String::new()),
            Err(error) => return Err(error.into()),
        };
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Mutex::new(End { file, number, hash })))
    }

    /// Writes an entry, and has it on the disk.
    ///
    /// # Errors
    /// Where that fails: the step must not be taken then.
    pub fn note(&self, entry: &Entry<'_>) -> io::Result<()> {
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = Vec::new();
        let mut json = Writer { out: &mut line };
        json.open();
        json.number("n", end.number + 1);
        json.time("at", entry.now_ms);
        json.field("who", entry.who);
        json.field("call", entry.call);
        json.field("request_id", entry.request_id);
        let (by, reason, verdict) = entry.said;
        for (name, text) in [("by", by), ("reason", reason), ("verdict", verdict)] {
            if !text.is_empty() {
                json.field(name, text);
            }
        }
        let hash = chained(&end.hash, &line);
        line.extend_from_slice(HASH.as_bytes());
        line.extend_from_slice(hash.as_bytes());
        line.extend_from_slice(b"\"}\n");
        end.file.write_all(&line)?;
        end.file.sync_data()?;
        end.number += 1;
        end.hash = hash;
        Ok(())
    }
}

impl Teller {
    /// Notes what somebody is about to do; they have said it themselves, unless they name another.
    ///
    /// # Errors
    /// Where the words show a card number, or cannot be noted: then it must not be done.
    pub fn noted(
        &self,
        who: Option<&str>,
        request_id: &str,
        what: &str,
        mut said: Said,
    ) -> Result<Said, Failure> {
        if said.by.is_empty() {
            who.unwrap_or_default().clone_into(&mut said.by);
        }
        let Some(audit) = &self.audit else {
            return Ok(said);
        };
        let verdict = said.verdict.as_deref().unwrap_or_default();
        if [&said.by, &said.reason, verdict]
            .into_iter()
            .any(contains_card_number)
        {
            return Err(Code::CardNumber.into());
        }
        let entry = Entry {
            now_ms: clock::now_ms(),
            who: who.unwrap_or("anybody"),
            call: what,
            request_id,
            said: (&said.by, &said.reason, verdict),
        };
        match audit.note(&entry) {
            Ok(()) => Ok(said),
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be written");
                Err(Code::AuditUnavailable.into())
            }
        }
    }
}

/// The hash of a line (without its own) after the one before.
fn chained(before: &str, line: &[u8]) -> String {
    let mut sum = Sha256::new();
    sum.update(before.as_bytes());
    sum.update(line);
    let hash = sum.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks a log from its beginning: how many lines it has, and the last one's hash.
///
/// # Errors
/// Where it cannot be read, or a line does not follow from the one before.
pub fn verify(lines: impl BufRead) -> Result<(u64, String), AuditError> {
    let (mut number, mut hash) = (0, String::new());
    for line in lines.lines() {
        let line = line?;
        number += 1;
        let told = line.rsplit_once(HASH).and_then(|(line, told)| {
            let told = told.strip_suffix("\"}")?;
            (chained(&hash, line.as_bytes()) == told).then(|| told.to_owned())
        });
        let begins = line.starts_with(&format!("{{\"n\":{number},"));
        hash = told.filter(|_| begins).ok_or(AuditError::Broken(number))?;
    }
    Ok((number, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(reason: &str) -> Entry<'_> {
        Entry {
            now_ms: 1_760_000_000_000,
            who: "anna",
            call: "POST /v1/holds/0/release",
            request_id: "r-1",
            said: ("anna", reason, ""),
        }
    }

    #[test]
    fn a_line_changed_or_taken_out_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.jsonl");
        for reason in ["she called", "with \"hash\":\" in it", "third"] {
            // Opened anew each time: the chain goes on.
            Audit::open(&path).unwrap().note(&entry(reason)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(verify(text.as_bytes()).unwrap().0, 3);
        let changed = text.replace("she called", "he called");
        let lines: Vec<&str> = text.lines().collect();
        let without = [lines[0], lines[2]].join("\n");
        let swapped = [lines[1], lines[0], lines[2]].join("\n");
        for (broken, at) in [(changed, 1), (without, 2), (swapped, 1)] {
            match verify(broken.as_bytes()) {
                Err(AuditError::Broken(line)) => assert_eq!(line, at),
                other => panic!("{other:?}"),
            }
        }
        std::fs::write(&path, "{}\n").unwrap();
        assert!(Audit::open(&path).is_err());
    }
}
