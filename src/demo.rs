//! The demo: the case of 2018, event by event, as the monitor would have met it.
//!
//! The recorded case is built in; it goes through decode, intake and engine exactly as any replay
//! does. The live form with an embedded broker comes with the live consumer.

use crate::decode::Decoder;
use crate::domain::codes::Advice;
use crate::domain::event::{Body, Event};
use crate::domain::outcome::{AlertStatus, Effect};
use crate::domain::time::rfc3339;
use crate::engine::prepared::Prepared;
use crate::engine::{Engine, Outcome};
use crate::geo::Geo;
use crate::intake::Intake;
use std::io::{self, Write};
use std::sync::Arc;

/// The recorded case (complaint decision 144/2018).
pub const CASE: &str = include_str!("demo/case-144-2018.jsonl");
/// The id of the payment that was lost in 2018.
pub const LOSS: &str = "case-144-2018-loss";

/// Runs the case and prints its timeline; 0 only where the loss would have been held.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn run(prepared: &Arc<Prepared>, geo: &Geo, out: &mut dyn Write) -> io::Result<u8> {
    let mut engine = Engine::new(Arc::clone(prepared));
    let mut intake = Intake::new(geo.clone());
    let (mut decoder, mut event) = (Decoder::default(), Event::default());
    let (mut outcome, mut ticked) = (Outcome::default(), Vec::new());
    let mut held = false;
    writeln!(
        out,
        "The case of 2018 (complaint decision 144/2018), times in UTC, amounts in minor units\n"
    )?;
    for line in CASE.lines() {
        if let Err(reject) = decoder.decode(line.as_bytes(), &mut event) {
            writeln!(out, "refused: {}", reject.text)?;
            continue;
        }
        intake.complete(&mut event);
        if let Some(at_ms) = intake.tick_before(event.at.ms) {
            engine.tick(at_ms, &mut ticked);
        }
        engine.apply(&event, &mut outcome);
        if outcome
            .decision
            .as_ref()
            .is_some_and(|d| d.score > 0 || d.action != Advice::Allow)
            || !outcome.effects.is_empty()
        {
            told(&event, &outcome, out)?;
        }
        if event.id() == LOSS {
            held = outcome
                .decision
                .as_ref()
                .is_some_and(|d| d.action != Advice::Allow);
        }
    }
    let counters = engine.counters();
    writeln!(
        out,
        "\n{} events applied, {} duplicates",
        counters.applied, counters.duplicates
    )?;
    let verdict = if held {
        "the loss of 2018 would have been held"
    } else {
        "the loss of 2018 would have gone through"
    };
    writeln!(out, "{verdict}")?;
    Ok(u8::from(!held))
}

fn told(event: &Event, outcome: &Outcome, out: &mut dyn Write) -> io::Result<()> {
    let at = rfc3339(event.at.ms);
    write!(
        out,
        "{}  {:<13}",
        at.get(..19).unwrap_or(&at),
        event.kind().word()
    )?;
    if let Some((merchant, amount, ..)) = event.purchase() {
        write!(out, " {amount:>9} {:<18}", event.str(merchant.name))?;
    }
    if let Body::Authorization(payment) = &event.body {
        write!(out, " outcome {}", event.str(payment.response_code))?;
    }
    if let Some(decision) = &outcome.decision {
        write!(
            out,
            "  score {:>3} -> {}",
            decision.score,
            decision.action.word()
        )?;
    }
    writeln!(out)?;
    for reason in outcome
        .decision
        .iter()
        .flat_map(|decision| &decision.reasons)
    {
        writeln!(out, "    because: {}", reason.text)?;
    }
    for effect in &outcome.effects {
        match effect {
            Effect::Alert(alert) => {
                let what = if alert.status == AlertStatus::Open {
                    "ALERT"
                } else {
                    "alert"
                };
                writeln!(
                    out,
                    "    {what} {} ({}), {} of {} events",
                    alert.pattern,
                    alert.severity.word(),
                    alert.status.word(),
                    alert.count
                )?;
            }
            Effect::Hold(hold) => {
                let refused: Vec<&str> = hold.methods_refused.iter().map(|r| r.word()).collect();
                writeln!(
                    out,
                    "    HOLD {} {} until {}{}",
                    hold.kind.word(),
                    hold.state.word(),
                    rfc3339(hold.until_ms),
                    if refused.is_empty() {
                        String::new()
                    } else {
                        format!(", refusing {}", refused.join(", "))
                    }
                )?;
            }
        }
    }
    Ok(())
}
