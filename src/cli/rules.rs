//! `varsel rules`: check, test, schema and plan of a rule book.
//!
//! Prints and nothing else: loading, running examples and reckoning costs are `rulebook`'s.
//! Exit codes: 0 fine, 1 an example failed, 2 a faulty rule book.

use crate::cli::explain::{self, Explain};
use crate::expr::Explained;
use crate::rulebook::{self, Loaded, SchemaKind, Surprise, Verdict};
use clap::{Args, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Fine.
pub(crate) const FINE: u8 = 0;
/// An example failed, or the outside world.
pub(crate) const FAILED: u8 = 1;
/// Bad usage or bad files.
pub(crate) const BAD_FILES: u8 = 2;

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
    /// Run every rule's examples through the real engine
    Test {
        /// Which rule book
        #[command(flatten)]
        which: Which,
        /// Also write the results as JUnit XML, for a build server
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// Print the JSON Schema of a rule book's file, for editors
    Schema {
        /// Of which file
        #[arg(value_enum, default_value = "rules")]
        file: File,
    },
    /// Show why an event scored as it did: every rule's conditions with the values they read
    Explain(Explain),
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
        Command::Test { which, junit } => test(which, junit.as_deref(), out, err),
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
        Command::Explain(options) => explain::run(options, out, err),
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

fn test(
    which: &Which,
    junit: Option<&Path>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<u8> {
    let loaded = match rulebook::chosen(which.rules.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(BAD_FILES);
        }
    };
    let rules = loaded.book.rules.len();
    let verdicts = match rulebook::test(loaded) {
        Ok(verdicts) => verdicts,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(FAILED);
        }
    };
    if let Some(file) = junit
        && let Err(error) = fs::write(file, junit_of(&verdicts))
    {
        writeln!(
            err,
            "error: `{}` cannot be written: {error}",
            file.display()
        )?;
        return Ok(FAILED);
    }
    for verdict in verdicts.iter().filter(|v| !v.surprises.is_empty()) {
        writeln!(out, "{}", failure(verdict))?;
    }
    let failed = verdicts.iter().filter(|v| !v.surprises.is_empty()).count();
    writeln!(
        out,
        "{} of {}: {} passed, {failed} failed",
        counted(verdicts.len(), "example"),
        counted(rules, "rule"),
        verdicts.len() - failed,
    )?;
    Ok(if failed == 0 { FINE } else { FAILED })
}

/// A failed example as people read it: which events, and what each condition said.
fn failure(verdict: &Verdict) -> String {
    let mut text = format!(
        "failed: {}: {}\n  --> {}\n",
        verdict.rule, verdict.says, verdict.place
    );
    for surprise in &verdict.surprises {
        text.push_str(&told(surprise));
    }
    text
}

fn told(surprise: &Surprise) -> String {
    let (said, did) = if surprise.expected {
        ("hit", "did not")
    } else {
        ("not hit", "did")
    };
    let mut text = format!("   | event `{}` should {said} and {did}\n", surprise.event);
    for (name, parts) in &surprise.conditions {
        let _ = writeln!(text, "   |   {name}");
        for part in parts {
            let _ = writeln!(text, "   |     {}", line(part));
        }
    }
    text
}

/// One part of a condition: its answer, its text, and what it read.
pub(crate) fn line(part: &Explained) -> String {
    let answer = match part.value {
        Some(true) => "true   ",
        Some(false) => "false  ",
        None => "unknown",
    };
    let indent = "  ".repeat(part.depth);
    let reads: Vec<String> = part
        .reads
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    let reads = if reads.is_empty() {
        String::new()
    } else {
        format!("   [{}]", reads.join(", "))
    };
    format!("{answer} {indent}{}{reads}", part.text)
}

/// The verdicts as JUnit XML: a suite for each family, a case for each example.
fn junit_of(verdicts: &[Verdict]) -> String {
    let mut families: BTreeMap<&str, Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        families.entry(&verdict.family).or_default().push(verdict);
    }
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for (family, verdicts) in families {
        let failed = verdicts.iter().filter(|v| !v.surprises.is_empty()).count();
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failed}\">",
            escaped(family),
            verdicts.len()
        );
        for verdict in verdicts {
            let (rule, says) = (escaped(&verdict.rule), escaped(&verdict.says));
            let _ = write!(xml, "    <testcase classname=\"{rule}\" name=\"{says}\"");
            if verdict.surprises.is_empty() {
                xml.push_str("/>\n");
                continue;
            }
            let text = escaped(&failure(verdict));
            let _ = writeln!(
                xml,
                ">\n      <failure message=\"{} unexpected\">{text}</failure>\n    </testcase>",
                counted(verdict.surprises.len(), "event")
            );
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Text for XML; control characters that XML cannot hold become spaces.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push('\n'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}
