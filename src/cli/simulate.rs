//! `varsel simulate`: a labelled population into files or to standard output.
//!
//! Writes the records as they come, what the generator knows of them (`labels.jsonl`), and what there is in all
//! (`summary.json`); into Kafka by way of `stream`.

use crate::cli::rules::{BAD_FILES, FAILED, FINE};
use crate::clock::Stopwatch;
use crate::config::Config;
use crate::simulate::{Label, Population, Settings, Simulated, Topic};
use crate::stream::outlet::Outlet;
use chrono::{Datelike, NaiveDate};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options of `varsel simulate`.
#[derive(Debug, Clone, Args)]
pub struct Simulate {
    /// Folder for events.jsonl, labels.jsonl and summary.json; `-` writes the events to standard
    /// output, and nothing else
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How many cardholders
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000_000))]
    pub cardholders: u32,
    /// For how many days; cards are issued before them, and what began in them ends after them
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_660))]
    pub days: u32,
    /// The first day
    #[arg(long, default_value = "2026-01-01", value_name = "DATE", value_parser = date)]
    pub start: NaiveDate,
    /// The same seed and options give the same bytes
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Cases of fraud per 10,000 cardholders in 30 days
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=5_000))]
    pub fraud: u32,
    /// Honest stories that look like fraud per 10,000 cardholders in 30 days
    #[arg(long, default_value_t = 300, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub stories: u32,
    /// One file per topic of a bank: authorizations, threeds, eid, cardholders, dispositions
    #[arg(long)]
    pub split: bool,
    /// Compress the events
    #[arg(long, value_name = "FORMAT")]
    pub compress: Option<Compress>,
    /// Send the events into the bank's topics of this configuration, in place of files; labels and
    /// summary go into --out all the same
    #[arg(long, value_name = "FILE", conflicts_with_all = ["split", "compress"])]
    pub config: Option<PathBuf>,
    /// Events a second at most; as fast as possible by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
}

/// How to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Compress {
    /// Zstandard
    Zst,
    /// gzip
    Gz,
}

fn date(text: &str) -> Result<NaiveDate, String> {
    let date: NaiveDate = text
        .parse()
        .map_err(|_| "a date looks like `2026-01-01`".to_owned())?;
    if (1975..=2080).contains(&date.year()) {
        Ok(date)
    } else {
        Err("the year must be 1975 to 2080".to_owned())
    }
}

impl Simulate {
    fn settings(&self) -> Settings {
        Settings {
            cardholders: self.cardholders,
            days: self.days,
            start: self.start,
            seed: self.seed,
            fraud: self.fraud,
            stories: self.stories,
        }
    }
}

/// Simulates; the answer is the exit code.
///
/// # Errors
/// Where standard output or the terminal cannot be written.
pub fn run(options: &Simulate, err: &mut dyn Write) -> io::Result<u8> {
    let to_stdout = options.out == Path::new("-");
    if to_stdout && options.split {
        writeln!(
            err,
            "error: `--split` makes several files, and `--out -` is one stream\n  = help: name a folder with `--out DIR`"
        )?;
        return Ok(BAD_FILES);
    }
    let made = if to_stdout {
        Ok(())
    } else {
        std::fs::create_dir_all(&options.out)
    };
    if let Err(error) = made {
        writeln!(
            err,
            "error: cannot make the folder `{}`: {error}",
            options.out.display()
        )?;
        return Ok(BAD_FILES);
    }
    let outlet = match outlet(options, err)? {
        Ok(outlet) => outlet,
        Err(code) => return Ok(code),
    };
    match write(options, to_stdout, outlet) {
        Ok((summary, seconds)) => {
            if !to_stdout {
                let rate = u128::from(summary.events) * 1_000 / seconds.as_millis().max(1);
                writeln!(
                    err,
                    "{} events of {} cardholders, {} cases of fraud and {} honest stories among them\n{:.2} s, {rate} events/s; results in {}",
                    summary.events,
                    options.cardholders,
                    summary.cases(true),
                    summary.cases(false),
                    seconds.as_secs_f64(),
                    options.out.display()
                )?;
            }
            Ok(FINE)
        }
        Err(error) if to_stdout => Err(error),
        Err(error) => {
            writeln!(
                err,
                "error: cannot write into `{}`: {error}",
                options.out.display()
            )?;
            Ok(FAILED)
        }
    }
}

/// The way into Kafka, where that is asked for, or the exit code after saying why not.
fn outlet(options: &Simulate, err: &mut dyn Write) -> io::Result<Result<Option<Outlet>, u8>> {
    let Some(path) = &options.config else {
        return Ok(Ok(None));
    };
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(Err(BAD_FILES));
        }
    };
    match Outlet::open(&config) {
        Ok(outlet) => Ok(Ok(Some(outlet))),
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(Err(FAILED))
        }
    }
}

fn write(
    options: &Simulate,
    to_stdout: bool,
    outlet: Option<Outlet>,
) -> io::Result<(Summary, Duration)> {
    let watch = Stopwatch::start();
    let mut population = Population::new(&options.settings());
    let mut events = Sinks::open(options, to_stdout, outlet)?;
    let mut labels = if to_stdout {
        None
    } else {
        Some(BufWriter::new(File::create(
            options.out.join("labels.jsonl"),
        )?))
    };
    let mut summary = Summary::new(options);
    let bar = bar(options);
    while let Some(record) = population.next() {
        events.write(&record)?;
        summary.count(&record);
        if let (Some(file), Some(label)) = (&mut labels, &record.label) {
            serde_json::to_writer(&mut *file, &Row::from(label.as_ref()))?;
            file.write_all(b"\n")?;
        }
        if summary.events.is_multiple_of(4_096) {
            bar.set_position(population.progress().0.unsigned_abs());
            bar.set_message(format!("{} events", summary.events));
        }
        if let Some(rate) = options.rate {
            keep_to(u64::from(rate), summary.events, &watch, &mut events)?;
        }
    }
    bar.finish_and_clear();
    events.finish()?;
    if let Some(file) = &mut labels {
        file.flush()?;
        let mut text = serde_json::to_string_pretty(&summary)?;
        text.push('\n');
        std::fs::write(options.out.join("summary.json"), text)?;
    }
    Ok((summary, watch.elapsed()))
}

/// Waits until so many events may have been written; what is written goes out first.
fn keep_to(rate: u64, events: u64, watch: &Stopwatch, sinks: &mut Sinks) -> io::Result<()> {
    let due = Duration::from_micros(events.saturating_mul(1_000_000) / rate);
    let ahead = due.saturating_sub(watch.elapsed());
    if ahead > Duration::from_millis(5) {
        sinks.flush()?;
        std::thread::sleep(ahead);
    }
    Ok(())
}

fn bar(options: &Simulate) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(options.days));
    if let Ok(style) =
        ProgressStyle::with_template("{bar:32} day {pos}/{len} {msg} {elapsed} (eta {eta})")
    {
        bar.set_style(style);
    }
    bar
}

/// Where events go: one file, or one per topic.
struct Sinks {
    all: Vec<Sink>,
    outlet: Option<Outlet>,
}

/// A file that may be compressed.
enum Sink {
    Plain(Box<dyn Write>),
    Zst(zstd::Encoder<'static, Box<dyn Write>>),
    Gz(flate2::write::GzEncoder<Box<dyn Write>>),
}

impl Sinks {
    fn open(options: &Simulate, to_stdout: bool, outlet: Option<Outlet>) -> io::Result<Self> {
        let open = |name: &str| -> io::Result<Sink> {
            let end = match options.compress {
                None => "",
                Some(Compress::Zst) => ".zst",
                Some(Compress::Gz) => ".gz",
            };
            let file: Box<dyn Write> = if to_stdout {
                Box::new(BufWriter::new(io::stdout()))
            } else {
                Box::new(BufWriter::new(File::create(
                    options.out.join(format!("{name}.jsonl{end}")),
                )?))
            };
            Ok(match options.compress {
                None => Sink::Plain(file),
                Some(Compress::Zst) => Sink::Zst(zstd::Encoder::new(file, 3)?),
                Some(Compress::Gz) => Sink::Gz(flate2::write::GzEncoder::new(
                    file,
                    flate2::Compression::fast(),
                )),
            })
        };
        let all = if outlet.is_some() {
            Vec::new()
        } else if options.split {
            Topic::ALL
                .iter()
                .map(|topic| open(topic.name()))
                .collect::<io::Result<_>>()?
        } else {
            vec![open("events")?]
        };
        Ok(Self { all, outlet })
    }

    fn write(&mut self, record: &Simulated) -> io::Result<()> {
        let at = Topic::ALL
            .iter()
            .position(|topic| *topic == record.topic)
            .unwrap_or(0);
        if let Some(outlet) = &self.outlet {
            return outlet
                .send(at, &record.key, &record.line)
                .map_err(io::Error::other);
        }
        let at = at.min(self.all.len() - 1);
        let sink: &mut dyn Write = match &mut self.all[at] {
            Sink::Plain(file) => file,
            Sink::Zst(file) => file,
            Sink::Gz(file) => file,
        };
        sink.write_all(&record.line)?;
        sink.write_all(b"\n")
    }

    fn flush(&mut self) -> io::Result<()> {
        for sink in &mut self.all {
            match sink {
                Sink::Plain(file) => file.flush()?,
                Sink::Zst(file) => file.flush()?,
                Sink::Gz(file) => file.flush()?,
            }
        }
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        if let Some(outlet) = self.outlet {
            outlet.finish().map_err(io::Error::other)?;
        }
        for sink in self.all {
            match sink {
                Sink::Plain(mut file) => file.flush()?,
                Sink::Zst(file) => file.finish()?.flush()?,
                Sink::Gz(file) => file.finish()?.flush()?,
            }
        }
        Ok(())
    }
}

/// A line of `labels.jsonl`.
#[derive(Serialize)]
struct Row<'a> {
    event: &'a str,
    r#type: &'a str,
    cardholder: &'a str,
    story: &'a str,
    case: u32,
    fraud: bool,
    approved: bool,
}

impl<'a> From<&'a Label> for Row<'a> {
    fn from(label: &'a Label) -> Self {
        Self {
            event: &label.event,
            r#type: label.kind,
            cardholder: &label.cardholder,
            story: label.story,
            case: label.case,
            fraud: label.fraud,
            approved: label.approved,
        }
    }
}

/// `summary.json`: what was asked for, and what there is.
#[derive(Serialize)]
struct Summary {
    cardholders: u32,
    days: u32,
    start: String,
    seed: u64,
    fraud_per_10000: u32,
    stories_per_10000: u32,
    events: u64,
    first_at_ms: Option<i64>,
    last_at_ms: Option<i64>,
    by_topic: BTreeMap<&'static str, u64>,
    by_story: BTreeMap<&'static str, OfStory>,
}

/// What there is of a story.
#[derive(Default, Serialize)]
struct OfStory {
    fraud: bool,
    cases: u64,
    events: u64,
    authorizations: u64,
    approved: u64,
    #[serde(skip)]
    seen: BTreeSet<u32>,
}

impl Summary {
    fn new(options: &Simulate) -> Self {
        Self {
            cardholders: options.cardholders,
            days: options.days,
            start: options.start.to_string(),
            seed: options.seed,
            fraud_per_10000: options.fraud,
            stories_per_10000: options.stories,
            events: 0,
            first_at_ms: None,
            last_at_ms: None,
            by_topic: BTreeMap::new(),
            by_story: BTreeMap::new(),
        }
    }

    fn count(&mut self, record: &Simulated) {
        self.events += 1;
        self.first_at_ms = self.first_at_ms.or(Some(record.at_ms));
        self.last_at_ms = Some(record.at_ms);
        *self.by_topic.entry(record.topic.name()).or_default() += 1;
        if let Some(label) = &record.label {
            let story = self.by_story.entry(label.story).or_default();
            story.fraud |= label.fraud;
            // A story goes on while others begin.
            if story.seen.insert(label.case) {
                story.cases += 1;
            }
            story.events += 1;
            story.authorizations += u64::from(label.kind == "authorization");
            story.approved += u64::from(label.approved);
        }
    }

    fn cases(&self, fraud: bool) -> u64 {
        self.by_story
            .values()
            .filter(|story| story.fraud == fraud)
            .map(|story| story.cases)
            .sum()
    }
}
