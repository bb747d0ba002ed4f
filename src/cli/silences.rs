//! `varsel silences`: what is not to be told for a while: shown, added, ended. It works on the store itself, beside a
//! running notifier, which looks at silences each time before it tells anything.

use crate::cli::live::Settings;
use crate::cli::rules::{BAD_FILES, FAILED, FINE};
use crate::clock;
use crate::config::Config;
use crate::domain::codes::Severity;
use crate::domain::ids::EffectId;
use crate::expr::parse_duration;
use crate::store::silences::{self, Silence};
use crate::store::{Store, StoreError};
use clap::{Args, Subcommand};
use std::io::{self, Write};

/// What can be done with silences.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show those in force
    List(Settings),
    /// Tell nothing of what matches, for a while; what is still open then is told
    Add(Add),
    /// End one now; what it held back is told
    End(End),
}

/// Options of `varsel silences add`.
#[derive(Debug, Clone, Args)]
pub struct Add {
    /// Which configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// Only this pattern
    #[arg(long, default_value = "")]
    pub pattern: String,
    /// Only this cardholder
    #[arg(long, default_value = "")]
    pub cardholder: String,
    /// Only this card
    #[arg(long, default_value = "")]
    pub card: String,
    /// Only up to this severity: low, medium, high or critical
    #[arg(long, value_name = "SEVERITY", default_value = "high", value_parser = severity)]
    pub up_to: Severity,
    /// For how long: 30m, 2h, 1d; at most 30d
    #[arg(long = "for", value_name = "SPAN", value_parser = span)]
    pub span_ms: i64,
    /// Who wants it
    #[arg(long)]
    pub author: String,
    /// Why
    #[arg(long)]
    pub comment: String,
}

/// Options of `varsel silences end`.
#[derive(Debug, Clone, Args)]
pub struct End {
    /// Which configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// Its id, as `list` shows it
    pub id: String,
}

fn severity(word: &str) -> Result<Severity, String> {
    Severity::parse(word).ok_or_else(|| format!("it can be {}", Severity::WORDS.join(", ")))
}

fn span(text: &str) -> Result<i64, String> {
    let span = parse_duration(text).filter(|ms| (1..=30 * 24 * 3_600_000).contains(ms));
    span.ok_or_else(|| "write a number and a unit, `30m`, `2h` or `1d`, at most `30d`".to_owned())
}

/// `varsel silences`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn run(command: &Command, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let settings = match command {
        Command::List(settings) => settings,
        Command::Add(add) => &add.settings,
        Command::End(end) => &end.settings,
    };
    let config = match Config::load(&settings.config) {
        Ok(config) => config,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(BAD_FILES);
        }
    };
    let done = Store::open(&config.store).and_then(|mut store| done(command, &mut store));
    match done {
        Ok(Ok(lines)) => {
            for line in lines {
                writeln!(out, "{line}")?;
            }
            Ok(FINE)
        }
        Ok(Err(text)) => {
            writeln!(err, "error: {text}")?;
            Ok(BAD_FILES)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(FAILED)
        }
    }
}

/// Does it, and answers with what is to be said.
fn done(command: &Command, store: &mut Store) -> Result<Result<Vec<String>, String>, StoreError> {
    let now_ms = clock::now_ms();
    match command {
        Command::List(_) => {
            let all = store.commit(|tx| silences::in_force(tx, now_ms))?;
            Ok(Ok(all.iter().map(shown).collect()))
        }
        Command::Add(add) => {
            if add.author.trim().is_empty() || add.comment.trim().is_empty() {
                return Ok(Err("`--author` and `--comment` say who and why".to_owned()));
            }
            let silence = silence(add, now_ms);
            store.commit(|tx| silences::add(tx, &silence))?;
            Ok(Ok(vec![shown(&silence)]))
        }
        Command::End(end) => {
            let was_there = store.commit(|tx| silences::end(tx, &end.id, now_ms))?;
            Ok(if was_there {
                Ok(vec!["ended".to_owned()])
            } else {
                Err(format!("no silence `{}` is in force", end.id))
            })
        }
    }
}

fn silence(add: &Add, now_ms: i64) -> Silence {
    let cause = format!("{now_ms}-{}", std::process::id());
    Silence {
        id: EffectId::derive(&add.author, "silence", &add.pattern, &cause, 0).to_string(),
        pattern: add.pattern.clone(),
        cardholder: add.cardholder.clone(),
        card: add.card.clone(),
        below: add.up_to,
        author: add.author.clone(),
        comment: add.comment.clone(),
        begins_ms: now_ms,
        ends_ms: now_ms + add.span_ms,
    }
}

fn shown(silence: &Silence) -> String {
    let named = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!(" {name} {value}"),
    };
    format!(
        "{}  until {}  up to {}{}{}{}  {}: {}",
        silence.id,
        clock::local(silence.ends_ms).to_rfc3339(),
        silence.below.word(),
        named("pattern", &silence.pattern),
        named("cardholder", &silence.cardholder),
        named("card", &silence.card),
        silence.author,
        silence.comment
    )
}
