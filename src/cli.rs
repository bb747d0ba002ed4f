//! The command line: what can be asked, and with which options. One file for each larger command.
//!
//! Exit codes (EVENTS.md): 0 fine, 1 failed at work, 2 bad usage or bad files. This is the one
//! place that prints.

pub mod explain;
pub mod live;
pub mod rules;
pub mod silences;
pub mod simulate;
pub mod store;
pub mod users;

use crate::app;
use clap::{Args, Parser, Subcommand};
use std::io::{self, Write};
use std::path::PathBuf;

/// A real-time fraud monitor for card payments.
#[derive(Debug, Parser)]
#[command(name = "varsel", version, about, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the monitor at work on the case of 2018, with nothing set up
    Demo(Demo),
    /// Run recorded events through the engine, into files
    Replay(Replay),
    /// Watch Kafka: intake, scoring, effects
    Run(live::Run),
    /// Show the topics and rights that are needed; create what is missing
    Topics(live::Topics),
    /// Refused records: show them, or read them once more
    #[command(subcommand)]
    DeadLetters(live::Letters),
    /// What is not to be told for a while: show, add, end
    #[command(subcommand)]
    Silences(silences::Command),
    /// The database of alerts and holds
    #[command(subcommand)]
    Store(store::Command),
    /// Who may log in at the console: show, add, change, remove
    #[command(subcommand)]
    Users(users::Command),
    /// Check, test, explain and cost a rule book
    #[command(subcommand)]
    Rules(rules::Command),
    /// Make a labelled population of cardholders, with fraud and honest look-alikes in it
    Simulate(simulate::Simulate),
}

/// Options of `varsel demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// End when the stream has ended
    #[arg(long)]
    pub once: bool,
    /// Wait before the payment that was lost, so that you can ask about it over HTTP
    #[arg(long)]
    pub wait: bool,
    /// Where HTTP is served; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: std::net::SocketAddr,
    /// Which rule book.
    #[command(flatten)]
    pub which: rules::Which,
}

/// Where countries of addresses come from.
#[derive(Debug, Clone, Args)]
pub struct Places {
    /// GeoIP country database (MaxMind DB format); `none` makes every country unknown; by default
    /// the DB-IP database built in (CC BY 4.0, db-ip.com)
    #[arg(long, value_name = "FILE")]
    pub geo: Option<PathBuf>,
    /// GeoIP ASN database (MaxMind DB format), for hosting networks; none by default
    #[arg(long, value_name = "FILE")]
    pub asn: Option<PathBuf>,
}

/// Options of `varsel replay`.
#[derive(Debug, Clone, Args)]
pub struct Replay {
    /// Recorded events: JSON lines, plain, .gz or .zst; `-` is standard input; several are merged
    /// by `at`
    #[arg(long, required_unless_present = "topic", num_args = 1.., value_name = "FILE")]
    pub input: Vec<PathBuf>,
    /// Kafka topics in place of files: the bank's, or our log; the live monitor is not touched
    #[arg(long, conflicts_with = "input", num_args = 1.., value_name = "TOPIC")]
    pub topic: Vec<String>,
    /// Where to begin in each partition: an offset, or a time (RFC 3339) by the broker's clock
    #[arg(long, requires = "topic", value_name = "OFFSET|TIME")]
    pub from: Option<String>,
    /// Where to end, itself left out
    #[arg(long, requires = "topic", value_name = "OFFSET|TIME")]
    pub to: Option<String>,
    /// The configuration that says how to reach Kafka
    #[arg(long, value_name = "FILE", default_value = "varsel.toml")]
    pub config: PathBuf,
    /// Folder for alerts.jsonl, holds.jsonl, decisions.jsonl, rejects.jsonl and report.json
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Shards, each on a thread of its own; does not change what comes out
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: u16,
    /// Events looked up together; does not change what comes out
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch: u32,
    /// Stop after so many records (needs --checkpoint to go on later)
    #[arg(long, value_name = "N")]
    pub stop_after: Option<u64>,
    /// Folder for the state at the stop
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Go on from the state in this folder; name the same inputs
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// Which rule book.
    #[command(flatten)]
    pub which: rules::Which,
    /// Where countries come from.
    #[command(flatten)]
    pub places: Places,
}

/// Runs a command; the answer is the exit code.
pub fn run(cli: &Cli) -> u8 {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let (mut out, mut err) = (stdout.lock(), stderr.lock());
    let done = match &cli.command {
        Command::Rules(command) => rules::run(command, &mut out, &mut err),
        Command::Replay(options) => {
            drop(err);
            let result = app::replay(options, &mut out, &mut io::stderr());
            err = io::stderr().lock();
            result
        }
        Command::Run(options) => {
            // The log goes to standard error too, from other threads.
            drop(err);
            let result = live::run(options, &mut io::stderr());
            err = io::stderr().lock();
            result
        }
        Command::Topics(options) => live::topics(options, &mut out, &mut err),
        Command::DeadLetters(what) => live::dead_letters(what, &mut out, &mut err),
        Command::Silences(command) => silences::run(command, &mut out, &mut err),
        Command::Store(command) => store::run(command, &mut out, &mut err),
        Command::Users(command) => users::run(command, &mut out, &mut err),
        Command::Simulate(options) => simulate::run(options, &mut err),
        Command::Demo(options) => app::demo(options, &mut out, &mut err),
    };
    match done {
        Ok(code) => code,
        // The reader of a pipe has left: nothing to say to nobody.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let _ = writeln!(err, "error: {error}");
            1
        }
    }
}
