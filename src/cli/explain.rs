//! `varsel rules explain`: why an event scored as it did.
//!
//! Runs the recorded events up to the event asked for through decode, intake and engine, as a
//! replay does, then shows every rule that looks at such an event with its conditions and the
//! values they read.

use crate::cli::Places;
use crate::cli::rules::{BAD_FILES, FAILED, FINE, Which, line};
use crate::domain::event::Event;
use crate::domain::outcome::Effect;
use crate::encode;
use crate::engine::book::{Mode, Phase, Rule};
use crate::engine::prepared::Prepared;
use crate::engine::{Applied, Engine, Outcome};
use crate::geo::Geo;
use crate::intake::Intake;
use crate::replay::source::{Merge, Next};
use crate::rulebook::{Told, conditions};
use clap::Args;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Options of `varsel rules explain`.
#[derive(Debug, Clone, Args)]
pub struct Explain {
    /// Recorded events, as for `varsel replay`
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// The id of the event to explain
    #[arg(long, value_name = "ID")]
    pub event: String,
    /// Show the conditions of the rules that did not hit in full
    #[arg(long)]
    pub all: bool,
    /// Which rule book.
    #[command(flatten)]
    pub which: Which,
    /// Where countries come from.
    #[command(flatten)]
    pub places: Places,
}

/// Explains; the answer is the exit code.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn run(options: &Explain, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let (prepared, geo) =
        match crate::app::parts(options.which.rules.as_deref(), Some(&options.places), err)? {
            Ok(parts) => parts,
            Err(code) => return Ok(code),
        };
    let mut merge = match Merge::open(&options.input, &[], &Arc::new(AtomicU64::new(0))) {
        Ok(merge) => merge,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(BAD_FILES);
        }
    };
    match seek(options, &prepared, &geo, &mut merge, out)? {
        Ok(true) => Ok(FINE),
        Ok(false) => {
            writeln!(
                err,
                "error: no event with the id `{}` in the input",
                options.event
            )?;
            writeln!(
                err,
                "  = help: ids are compared as written; records that were refused have none"
            )?;
            Ok(FAILED)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(FAILED)
        }
    }
}

/// Runs up to the event and shows it; false where it never came.
fn seek(
    options: &Explain,
    prepared: &Arc<Prepared>,
    geo: &Geo,
    merge: &mut Merge,
    out: &mut dyn Write,
) -> io::Result<Result<bool, crate::replay::source::SourceError>> {
    let mut engine = Engine::new(Arc::clone(prepared));
    let mut intake = Intake::new(geo.clone());
    let mut event = Box::<Event>::default();
    let (mut outcome, mut ticked) = (Outcome::default(), Vec::new());
    loop {
        match merge.next(&mut event) {
            Ok(Next::Event { line, .. }) => {
                intake.complete(&mut event);
                if let Some(at_ms) = intake.tick_before(event.at.ms) {
                    engine.tick(at_ms, &mut ticked);
                }
                if event.id() == options.event {
                    show(&mut engine, &event, line, options.all, &mut outcome, out)?;
                    return Ok(Ok(true));
                }
                engine.apply(&event, &mut outcome);
            }
            Ok(Next::Refused(_) | Next::Repeat | Next::Tick(..) | Next::Control(..)) => {}
            Ok(Next::End) => return Ok(Ok(false)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// A rule at the event: its number, and its conditions as they stood before it.
type Seen = Vec<(usize, Told)>;

fn show(
    engine: &mut Engine,
    event: &Event,
    line_number: u64,
    all: bool,
    outcome: &mut Outcome,
    out: &mut dyn Write,
) -> io::Result<()> {
    let prepared = Arc::clone(engine.prepared());
    let bit = event.kind().code();
    let seen: Seen = prepared
        .book
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.looks_at() >> bit & 1 == 1 && !rule.waits())
        .map(|(number, rule)| {
            let absorb = rule.phase == Phase::Absorb;
            (
                number,
                engine.look(event, absorb, |view| conditions(rule, view)),
            )
        })
        .collect();
    engine.apply(event, outcome);
    writeln!(
        out,
        "{} event `{}`, line {line_number}",
        event.kind().word(),
        event.id()
    )?;
    if outcome.applied == Applied::Duplicate {
        writeln!(
            out,
            "a duplicate: the same id came within 72 h; it was counted, not applied"
        )?;
        return Ok(());
    }
    told(event, outcome, &prepared.version, line_number, out)?;
    let (hits, misses): (Seen, Seen) = seen
        .into_iter()
        .partition(|(number, _)| outcome.hits.contains(number));
    writeln!(
        out,
        "\n{} of {} rules for such events hit",
        hits.len(),
        hits.len() + misses.len()
    )?;
    for (number, conditions) in &hits {
        rule(&prepared, *number, "hit", conditions, true, out)?;
    }
    for (number, conditions) in &misses {
        let unknown = conditions
            .iter()
            .flat_map(|(_, parts)| parts)
            .any(|p| p.depth == 0 && p.value.is_none());
        let word = if unknown {
            "no hit, something unknown"
        } else {
            "no hit"
        };
        rule(&prepared, *number, word, conditions, all || unknown, out)?;
    }
    Ok(())
}

fn told(
    event: &Event,
    outcome: &Outcome,
    ruleset: &str,
    line_number: u64,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut text = Vec::new();
    if let Some(decision) = &outcome.decision {
        encode::decision(
            &mut text,
            event,
            decision,
            ruleset,
            &line_number.to_string(),
        );
    }
    for effect in &outcome.effects {
        match effect {
            Effect::Alert(alert) => encode::alert(&mut text, alert),
            Effect::Hold(hold) => encode::hold(&mut text, hold),
        }
    }
    out.write_all(&text)
}

/// One rule: in full, or only the first part that failed.
fn rule(
    prepared: &Prepared,
    number: usize,
    word: &str,
    told: &Told,
    full: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(rule) = prepared.book.rules.get(number) else {
        return Ok(());
    };
    writeln!(
        out,
        "\n{} v{}: {word} ({}{}, score {})",
        rule.id,
        rule.version,
        phase(rule),
        mode(rule),
        rule.score
    )?;
    for (name, parts) in told {
        // A part at depth 0 must be true for a condition to hold, and false for an exception not to.
        let wanted = Some(*name != "unless");
        let decisive = parts
            .iter()
            .find(|part| part.depth == 0 && part.value != wanted);
        if full {
            writeln!(out, "  {name}")?;
            for part in parts {
                writeln!(out, "    {}", line(part))?;
            }
        } else if let Some(part) = decisive {
            writeln!(out, "  {name}: {}", line(part))?;
        }
    }
    Ok(())
}

fn phase(rule: &Rule) -> &'static str {
    match rule.phase {
        Phase::Decide => "decide",
        Phase::Absorb => "absorb",
    }
}

fn mode(rule: &Rule) -> &'static str {
    match rule.mode {
        Mode::Live => "",
        Mode::Shadow => ", shadow",
    }
}
