//! `varsel store rebuild`: the store filled from the topics. What that means stands in `notify::rebuild`; here is what
//! is said, and the exit code.

use crate::cli::live::Settings;
use crate::cli::rules::{BAD_FILES, FAILED, FINE};
use crate::config::Config;
use crate::notify::rebuild;
use crate::rulebook;
use clap::Subcommand;
use std::io::{self, Write};

/// What can be done with the store.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Read the topics whole, and put right what the store misses or has wrong of alerts, holds, cases, dispositions and
    /// counts
    Rebuild(Settings),
}

/// `varsel store`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn run(command: &Command, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let Command::Rebuild(settings) = command;
    let config = match Config::load(&settings.config) {
        Ok(config) => config,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(BAD_FILES);
        }
    };
    let book = match rulebook::chosen(config.rules.dir.as_deref()) {
        Ok(loaded) => loaded.book,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(BAD_FILES);
        }
    };
    match rebuild::rebuild(&config, &book.rates) {
        Ok(found) => {
            writeln!(
                out,
                "{} records read, {} were no lines of ours; {} rows were missing or wrong and are put right\n{} alerts, {} holds and {} cases are in the store; {} dispositions were in the log",
                found.read,
                found.unreadable,
                found.mended,
                found.alerts,
                found.holds,
                found.behind.cases,
                found.behind.dispositions
            )?;
            Ok(FINE)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(FAILED)
        }
    }
}
