//! `varsel rules`: check, test, schema and plan of a rule book.
//!
//! Prints and nothing else: loading, running examples and reckoning costs are `rulebook`'s.
//! Exit codes: 0 fine, 1 an example failed, 2 a faulty rule book.

use crate::rulebook::{self, Loaded, SchemaKind};
use clap::{Args, Subcommand, ValueEnum};
use std::io::{self, Write};
use std::path::PathBuf;

/// Fine.
const FINE: u8 = 0;
/// Bad usage or bad files.
const BAD_FILES: u8 = 2;

/// Which rule book.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Folder of the rule book; by default `rules` here, failing that the built-in starter book
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// What to do with a rule book.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Report every fault of the rule book at once
    Check(Which),
    /// Print the JSON Schema of a rule book's file, for editors
    Schema {
        /// Of which file
        #[arg(value_enum, default_value = "rules")]
        file: File,
    },
    /// Show what each rule and feature costs
    Plan(Which),
}

/// A file of the rule book that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum File {
    /// A rule family
    Rules,
    /// features.yaml
    Features,
    /// policy.yaml
    Policy,
    /// groups.yaml
    Groups,
    /// rates.yaml
    Rates,
}

/// Does it; the answer is the exit code.
///
/// # Errors
/// Where an output cannot be written.
pub fn run(command: &Command, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    match command {
        Command::Check(which) => with_book(which, err, |loaded| check(loaded, out)),
        Command::Schema { file } => {
            let kind = match file {
                File::Rules => SchemaKind::Rules,
                File::Features => SchemaKind::Features,
                File::Policy => SchemaKind::Policy,
                File::Groups => SchemaKind::Groups,
                File::Rates => SchemaKind::Rates,
            };
            writeln!(out, "{}", rulebook::schema(kind))?;
            Ok(FINE)
        }
        Command::Plan(which) => with_book(which, err, |loaded| {
            write!(out, "{}", rulebook::plan(&loaded.book))?;
            Ok(FINE)
        }),
    }
}

fn with_book(
    which: &Which,
    err: &mut dyn Write,
    work: impl FnOnce(&Loaded) -> io::Result<u8>,
) -> io::Result<u8> {
    match rulebook::chosen(which.rules.as_deref()) {
        Ok(loaded) => work(&loaded),
        Err(problems) => {
            write!(err, "{problems}")?;
            Ok(BAD_FILES)
        }
    }
}

fn check(loaded: &Loaded, out: &mut dyn Write) -> io::Result<u8> {
    let book = &loaded.book;
    writeln!(
        out,
        "{}, {}, {}: no fault",
        counted(book.rules.len(), "rule"),
        counted(book.aggregates.len(), "feature"),
        counted(book.lists.len(), "list"),
    )?;
    writeln!(out, "{}", book.version)?;
    Ok(FINE)
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
