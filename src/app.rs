//! The application: puts the parts together for each command.
//!
//! Loads what a command needs (rule book, GeoIP), runs it, and says in a few lines what came out.
//! Faults of files are exit code 2, faults at work 1.

use crate::cli::{Demo, Places, Replay};
use crate::clock::{self, Stopwatch};
use crate::config::Config;
use crate::demo;
use crate::domain::time::Moment;
use crate::engine::prepared::Prepared;
use crate::geo::Geo;
use crate::replay::report::Report;
use crate::replay::saved::SavedError;
use crate::replay::source::SourceError;
use crate::replay::topic::Topics;
use crate::replay::{self, Options, ReplayError};
use crate::rulebook;
use crate::stream::range::Bound;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const FINE: u8 = 0;
const FAILED: u8 = 1;
const BAD_FILES: u8 = 2;

/// The rule book and the GeoIP table that a command means, or the exit code after saying why not.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn parts(
    rules: Option<&Path>,
    places: Option<&Places>,
    err: &mut dyn Write,
) -> io::Result<Result<(Arc<Prepared>, Geo), u8>> {
    let book = match rulebook::chosen(rules) {
        Ok(loaded) => loaded.book,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(Err(BAD_FILES));
        }
    };
    let (country, asn) = places.map_or((None, None), |p| (p.geo.as_deref(), p.asn.as_deref()));
    let geo = match country {
        None => Geo::embedded(),
        Some(path) if path == Path::new("none") => Ok(Geo::none()),
        Some(path) => Geo::load(Some(path), None),
    };
    let geo = geo.and_then(|geo| match asn {
        Some(path) => geo.with_asn(path),
        None => Ok(geo),
    });
    match geo {
        Ok(geo) => Ok(Ok((Arc::new(Prepared::new(book)), geo))),
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(Err(BAD_FILES))
        }
    }
}

/// `varsel replay`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn replay(options: &Replay, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    if options.stop_after.is_some() && options.checkpoint.is_none() {
        writeln!(
            err,
            "error: `--stop-after` without `--checkpoint` would lose the state\n  = help: add `--checkpoint DIR`"
        )?;
        return Ok(BAD_FILES);
    }
    let (prepared, geo) = match parts(options.which.rules.as_deref(), Some(&options.places), err)? {
        Ok(parts) => parts,
        Err(code) => return Ok(code),
    };
    let topics = match topics(options, err)? {
        Ok(topics) => topics,
        Err(code) => return Ok(code),
    };
    let run = Options {
        inputs: options.input.clone(),
        topics,
        out: options.out.clone(),
        shards: usize::from(options.shards),
        batch: usize::try_from(options.batch).unwrap_or(64),
        stop_after: options.stop_after,
        checkpoint: options.checkpoint.clone(),
        resume: options.resume.clone(),
    };
    let bar = bar(&options.input);
    let watch = Stopwatch::start();
    let result = replay::run(&run, &prepared, &geo, &mut |bytes, read| {
        bar.set_position(bytes);
        bar.set_message(format!("{read} records"));
    });
    bar.finish_and_clear();
    match result {
        Ok(report) => {
            summary(
                &report,
                &geo,
                watch.elapsed().as_secs_f64(),
                &options.out,
                out,
            )?;
            Ok(FINE)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(code_of(&error))
        }
    }
}

/// The topics that a replay reads in place of files, or the exit code after saying why not.
fn topics(options: &Replay, err: &mut dyn Write) -> io::Result<Result<Option<Topics>, u8>> {
    if options.topic.is_empty() {
        return Ok(Ok(None));
    }
    if options.resume.is_some() || options.checkpoint.is_some() {
        writeln!(
            err,
            "error: `--checkpoint` and `--resume` are for files\n  = help: name a range of the topic with `--from` and `--to`"
        )?;
        return Ok(Err(BAD_FILES));
    }
    let config = match Config::load(&options.config) {
        Ok(config) => config,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(Err(BAD_FILES));
        }
    };
    let mut bounds = [Bound::Open; 2];
    for (bound, text) in bounds.iter_mut().zip([&options.from, &options.to]) {
        let Some(text) = text else { continue };
        *bound = match (text.parse(), Moment::parse(text)) {
            (Ok(offset), _) => Bound::Offset(offset),
            (Err(_), Some(moment)) => Bound::Time(moment.ms),
            (Err(_), None) => {
                writeln!(
                    err,
                    "error: `{text}` is neither an offset nor a time\n  = help: write an offset such as 1200, or a time such as 2018-03-05T16:00:00+01:00"
                )?;
                return Ok(Err(BAD_FILES));
            }
        };
    }
    let [from, to] = bounds;
    Ok(Ok(Some(Topics {
        config: Arc::new(config),
        names: options.topic.clone(),
        from,
        to,
        with_books: options.which.rules.is_none(),
    })))
}

fn code_of(error: &ReplayError) -> u8 {
    match error {
        ReplayError::Source(SourceError::Open { .. }) => BAD_FILES,
        ReplayError::Saved(SavedError::Write { .. }) => FAILED,
        ReplayError::Saved(_) => BAD_FILES,
        ReplayError::Source(
            SourceError::Read { .. } | SourceError::Broker(_) | SourceError::Topic { .. },
        )
        | ReplayError::Sink { .. }
        | ReplayError::Lost
        | ReplayError::Shard(_) => FAILED,
    }
}

/// A progress bar over the inputs' bytes; hidden where nobody watches.
fn bar(inputs: &[PathBuf]) -> ProgressBar {
    let total: u64 = inputs
        .iter()
        .map(|path| std::fs::metadata(path).map_or(0, |m| m.len()))
        .sum();
    let bar = ProgressBar::new(total);
    let shape = "{bar:32} {bytes}/{total_bytes} {msg} {elapsed} (eta {eta})";
    if let Ok(style) = ProgressStyle::with_template(shape) {
        bar.set_style(style);
    }
    bar
}

fn summary(
    report: &Report,
    geo: &Geo,
    seconds: f64,
    dir: &Path,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(
        out,
        "{} records read: {} applied, {} duplicates, {} rejects ({} late)",
        report.events_read, report.events_applied, report.duplicates, report.rejects, report.late
    )?;
    let d = &report.decisions;
    writeln!(
        out,
        "decisions: {} allow, {} step_up, {} decline",
        d.allow, d.step_up, d.decline
    )?;
    writeln!(
        out,
        "{} alerts with {} updates, {} holds",
        report.alerts, report.alert_updates, report.holds
    )?;
    if let (Some(confusion), Some(cases)) = (&report.confusion, &report.fraud_cases) {
        let a = &confusion.authorization;
        writeln!(
            out,
            "labels: {} of {} frauds met, {} of {} good authorizations disturbed, {} fraud cases",
            a.true_positive,
            a.true_positive + a.false_negative,
            a.false_positive,
            a.false_positive + a.true_negative,
            cases.len()
        )?;
    }
    let built = geo
        .built()
        .map_or_else(|| "none".to_owned(), |date| date.to_string());
    writeln!(
        out,
        "rule book {}, GeoIP of {built}, digest {}",
        report.ruleset, report.digest
    )?;
    let cpu = clock::cpu_time().as_secs_f64();
    writeln!(
        out,
        "{seconds:.2} s, {cpu:.2} s of CPU; results in {}",
        dir.display()
    )
}

/// `varsel demo`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn demo(options: &Demo, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let rules = options.which.rules.clone();
    let loaded = match rulebook::chosen(rules.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(BAD_FILES);
        }
    };
    let geo = match Geo::embedded() {
        Ok(geo) => geo,
        Err(error) => {
            writeln!(err, "error: {error}")?;
            return Ok(BAD_FILES);
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))?;
    let demo = demo::Demo {
        loaded,
        rules,
        geo,
        once: options.once,
        wait: options.wait,
        listen: options.listen,
        stop,
    };
    match demo::run(demo, out) {
        Ok(code) => Ok(code),
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(FAILED)
        }
    }
}
