//! `varsel run`, `varsel topics` and `varsel dead-letters`: their options, and their words.
//!
//! What they do stands in `live` and `stream`; here is what is loaded for them, what is said, and
//! the exit code: 2 for a faulty file, 1 for the outside world.

use crate::cli::rules::{BAD_FILES, FAILED, FINE};
use crate::config::Config;
use crate::geo::Geo;
use crate::live::{self, Parts, Signals};
use crate::rulebook;
use crate::stream::redrive;
use crate::stream::send::Sender;
use crate::stream::{StreamError, client, topics};
use crate::telemetry::{self, Metrics, Readiness};
use clap::{Args, Subcommand};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Which configuration.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "varsel.toml")]
    pub config: PathBuf,
}

/// Options of `varsel run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Which configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// Folder of the rule book, in place of the configuration's
    #[arg(long, value_name = "DIR")]
    pub rules: Option<PathBuf>,
}

/// Options of `varsel topics`.
#[derive(Debug, Clone, Args)]
pub struct Topics {
    /// Which configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// Create what is missing; nothing that is there is changed
    #[arg(long)]
    pub apply: bool,
}

/// What can be done with dead letters.
#[derive(Debug, Clone, Subcommand)]
pub enum Letters {
    /// Show refused records: where each stood and why it was refused
    List(Selection),
    /// Read refused records once more; those that are fine now go into the log
    Redrive(Selection),
}

/// Which dead letters.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// Which configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// At most so many, the oldest first
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Only those refused for this reason
    #[arg(long, value_name = "CODE")]
    pub reason: Option<String>,
}

/// `varsel run`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn run(options: &Run, err: &mut dyn Write) -> io::Result<u8> {
    // First of all: who ends it while it still loads is heard, too.
    let signals = Signals::default();
    if let Err(error) = listen(&signals) {
        writeln!(err, "error: signals cannot be heard: {error}")?;
        return Ok(FAILED);
    }
    let Some(config) = loaded(&options.settings.config, err)? else {
        return Ok(BAD_FILES);
    };
    let rules = options.rules.clone().or_else(|| config.rules.dir.clone());
    let book = match rulebook::chosen(rules.as_deref()) {
        Ok(book) => book,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(BAD_FILES);
        }
    };
    let geo = match places(&config) {
        Ok(geo) => geo,
        Err(text) => {
            writeln!(err, "error: {text}")?;
            return Ok(BAD_FILES);
        }
    };
    if let Err(error) = telemetry::logs(config.log.level, config.log.format) {
        writeln!(err, "error: {error}")?;
        return Ok(FAILED);
    }
    let parts = Parts {
        config: Arc::new(config),
        rules,
        loaded: book,
        geo,
        metrics: Arc::new(Metrics::default()),
        readiness: Arc::new(Readiness::new(&["started"])),
        more: axum::Router::new(),
    };
    let config = Arc::clone(&parts.config);
    match live::run(parts, &signals) {
        Err(lost @ StreamError::Lost) => {
            tracing::error!("{lost}");
            // It was answered a moment ago; should it be gone again, it is waited for, as all the time before.
            while !signals.stop.load(Ordering::Relaxed) && client::partitions(&config).is_err() {}
            anew(&lost, err)
        }
        ended => said(ended, err),
    }
}

/// Begins anew in the same process, as a supervisor would after a `kill -9`: with the same arguments, and with the
/// configuration and the rule book as they stand now.
fn anew(why: &StreamError, err: &mut dyn Write) -> io::Result<u8> {
    let failed = std::env::current_exe()
        .map(|ours| Command::new(ours).args(std::env::args_os().skip(1)).exec());
    let (Ok(error) | Err(error)) = failed;
    writeln!(err, "error: {why}, which failed: {error}")?;
    Ok(FAILED)
}

/// Hears SIGTERM, SIGINT and SIGHUP.
fn listen(signals: &Signals) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&signals.stop))?;
    }
    signal_hook::flag::register(SIGHUP, Arc::clone(&signals.reload)).map(drop)
}

fn loaded(path: &Path, err: &mut dyn Write) -> io::Result<Option<Config>> {
    match Config::load(path) {
        Ok(config) => Ok(Some(config)),
        Err(problems) => {
            write!(err, "{problems}")?;
            Ok(None)
        }
    }
}

fn places(config: &Config) -> Result<Geo, String> {
    let geo = match &config.geo.country {
        None => Geo::embedded(),
        Some(path) => Geo::load(Some(path), None),
    };
    let geo = geo.map_err(|error| error.to_string())?;
    match &config.geo.asn {
        Some(path) => geo.with_asn(path).map_err(|error| error.to_string()),
        None => Ok(geo),
    }
}

fn said(result: Result<(), StreamError>, err: &mut dyn Write) -> io::Result<u8> {
    match result {
        Ok(()) => Ok(FINE),
        Err(error) => {
            writeln!(err, "error: {error}")?;
            let is_file = matches!(
                error,
                StreamError::Password(_) | StreamError::Door(_) | StreamError::Notify(_)
            );
            Ok(if is_file { BAD_FILES } else { FAILED })
        }
    }
}

/// `varsel topics`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn topics(options: &Topics, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let Some(config) = loaded(&options.settings.config, err)? else {
        return Ok(BAD_FILES);
    };
    let there = match client::partitions(&config) {
        Ok(there) => there,
        Err(error) if options.apply => return said(Err(error), err),
        Err(error) => {
            write!(out, "{}", topics::plan(&config, None))?;
            return said(Err(error), err);
        }
    };
    write!(out, "{}", topics::plan(&config, Some(&there)))?;
    let missing = topics::missing(&topics::wanted(&config), &there);
    if options.apply {
        match topics::create(&config, &missing) {
            Ok(results) => {
                for (name, what) in &results {
                    writeln!(out, "{name}: {what}")?;
                }
                if results.iter().any(|(_, what)| what != "created") {
                    return Ok(FAILED);
                }
            }
            Err(error) => return said(Err(error), err),
        }
    } else if !missing.is_empty() {
        writeln!(
            out,
            "{} missing; create with `varsel topics --apply`",
            missing.len()
        )?;
    }
    if there.contains_key(&config.topics.log) {
        return said(topics::check_partitions(&config, &there).map(drop), err);
    }
    Ok(FINE)
}

/// `varsel dead-letters`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn dead_letters(what: &Letters, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let (Letters::List(some) | Letters::Redrive(some)) = what;
    let Some(config) = loaded(&some.settings.config, err)? else {
        return Ok(BAD_FILES);
    };
    let mut open = match client::partitions(&config).and_then(|_| redrive::open(&config)) {
        Ok(open) => open,
        Err(error) => return said(Err(error), err),
    };
    if let Some(reason) = &some.reason {
        open.retain(|letter| letter.reason == *reason);
    }
    open.truncate(
        some.limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX),
    );
    match what {
        Letters::List(_) => {
            for letter in &open {
                let masked = if letter.masked {
                    " (a card number was masked)"
                } else {
                    ""
                };
                writeln!(
                    out,
                    "{}  {}  {}: {}{masked}",
                    letter.letter, letter.position, letter.reason, letter.text
                )?;
            }
            writeln!(out, "{} dead letters", open.len())?;
            Ok(FINE)
        }
        Letters::Redrive(_) => {
            let geo = match places(&config) {
                Ok(geo) => geo,
                Err(text) => {
                    writeln!(err, "error: {text}")?;
                    return Ok(BAD_FILES);
                }
            };
            let metrics = Arc::new(Metrics::default());
            let done = Sender::new(&config, &metrics).and_then(|sender| {
                redrive::redrive(&config, &geo, &sender, &open, |letter, what| {
                    let _ = writeln!(out, "{}  {what}", letter.letter);
                })
            });
            match done {
                Ok(sum) => {
                    writeln!(
                        out,
                        "{} in the log now, {} still refused, {} left (masked)",
                        sum.appended, sum.refused, sum.masked
                    )?;
                    Ok(FINE)
                }
                Err(error) => said(Err(error), err),
            }
        }
    }
}
