//! The live monitor: the roles of one process put together, with its signals and its readiness.
//!
//! Loads, checks and starts; waits for a signal or a fault; drains. What each role does stands in
//! `stream`, what is served over HTTP in `http`.

use crate::api::ledger::Ledger;
use crate::api::pages;
use crate::api::teller::Teller;
use crate::clock::Stopwatch;
use crate::config::{Config, Role};
use crate::engine::prepared::Prepared;
use crate::geo::Geo;
use crate::http::{self, Limits};
use crate::notify;
use crate::rulebook::{self, Loaded};
use crate::stream::reader::Reader;
use crate::stream::seat::Seats;
use crate::stream::send::{Parcel, Sender};
use crate::stream::tickets::Ticket;
use crate::stream::{StreamError, append, book, client, score, topics};
use crate::telemetry::{Metrics, Readiness};
use axum::Router;
use rdkafka::message::Message;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the main thread looks for signals and faults.
const LOOK: Duration = Duration::from_millis(50);
/// How often the partitions of the log are counted.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// What is left of the ten seconds of a drain once the roles are through.
const FLUSH: Duration = Duration::from_secs(3);
/// The key under which the newest rule book's version is announced.
const BOOK_KEY: &str = "rulebook";

/// Signals, as flags; and where the address served is told.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// End.
    pub stop: Arc<AtomicBool>,
    /// Load the rule book anew.
    pub reload: Arc<AtomicBool>,
    /// Where HTTP is served, once it is.
    pub address: Arc<OnceLock<SocketAddr>>,
}

/// Everything that a running monitor was made of.
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The rule book's folder; nothing means `rules` or the starter book.
    pub rules: Option<PathBuf>,
    /// The rule book.
    pub loaded: Loaded,
    /// GeoIP.
    pub geo: Geo,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Readiness.
    pub readiness: Arc<Readiness>,
    /// What is served over HTTP besides.
    pub more: Router,
}

/// Runs until a signal, or a fault that would cost an event.
///
/// # Errors
/// The fault, with what to do.
pub fn run(parts: Parts, signals: &Signals) -> Result<(), StreamError> {
    let config = Arc::clone(&parts.config);
    let has = |role| config.run.roles.contains(&role);
    let (intake, scores) = (has(Role::Intake), has(Role::Score));
    parts
        .readiness
        .unmet("started", "the monitor is starting".to_owned());
    let sender = Sender::new(&config, &parts.metrics)?;
    let seats = Arc::new(Seats::new(
        usize::try_from(config.topics.partitions).unwrap_or(1),
    ));
    let ledger = Arc::new(Ledger::new(parts.geo.clone()));
    let calls = calls(&parts, &seats, &ledger, &sender)?;
    let served = serve(&config, &parts.metrics, &parts.readiness, calls)?;
    let _ = signals.address.set(served.address());
    let there = client::partitions(&config)?;
    let needed = topics::wanted(&config);
    let names: Vec<&str> = needed.iter().map(|topic| topic.name.as_str()).collect();
    client::require(&config, &there, &names)?;
    let partitions = topics::check_partitions(&config, &there)?;
    let record = book::write(&parts.loaded);
    let prepared = Arc::new(Prepared::new(parts.loaded.book));
    parts.metrics.ruleset(&prepared.version);
    if intake {
        enact(&config, &sender, partitions, &prepared.version, &record)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (ended, ends) = sync_channel::<Result<(), StreamError>>(4);
    let crew = Crew {
        config: &config,
        parts: (&parts.metrics, &parts.readiness),
        sender: &sender,
        stop: &stop,
        ended: &ended,
        seats: &seats,
    };
    let mut threads = Vec::new();
    not_yet(&parts.readiness, scores, intake);
    if scores {
        threads.push(crew.score(&prepared, reached(&config, served.address()))?);
    }
    if intake {
        threads.push(crew.intake(&parts.geo, partitions)?);
    }
    if has(Role::Api) {
        threads.push(crew.ledger(ledger)?);
    }
    if has(Role::Notify) {
        threads.push(crew.notify()?);
    }
    parts.readiness.met("started");
    let watch = Watch {
        config: &config,
        rules: parts.rules.as_deref(),
        metrics: &parts.metrics,
        sender: &sender,
        partitions,
        version: prepared.version.to_string(),
    };
    let result = watch.until_over(signals, &ends);
    parts
        .readiness
        .unmet("started", "the monitor is ending".to_owned());
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread ended by a bug of ours; please report it with the log");
        }
    }
    sender.flush(FLUSH);
    served.stop();
    result.and_then(|()| ends.try_iter().collect())
}

/// The calls of the API, in its role, and what is served besides.
fn calls(
    parts: &Parts,
    seats: &Arc<Seats>,
    ledger: &Arc<Ledger>,
    sender: &Sender,
) -> Result<Router, StreamError> {
    let more = parts.more.clone();
    if !parts.config.run.roles.contains(&Role::Api) {
        return Ok(more);
    }
    let teller = Teller::new(&parts.config, seats, ledger, sender, &parts.metrics)?;
    Ok(pages::router(Arc::new(teller)).merge(more))
}

/// Serves our pages and the calls of the API.
fn serve(
    config: &Config,
    metrics: &Arc<Metrics>,
    readiness: &Arc<Readiness>,
    calls: Router,
) -> Result<http::Server, StreamError> {
    let (metrics, readiness) = (Arc::clone(metrics), Arc::clone(readiness));
    let limits = Limits::default();
    let served = http::serve(config.http.listen, limits, metrics, readiness, calls)
        .map_err(|error| StreamError::Port(error.to_string()))?;
    tracing::info!(address = %served.address(), "serving /livez, /readyz, /metrics and the API");
    Ok(served)
}

/// Where other instances reach this one.
fn reached(config: &Config, served: SocketAddr) -> String {
    let named = config.http.advertise.clone();
    named.unwrap_or_else(|| served.to_string())
}

/// Before the threads begin: ready is only who owns and has restored something.
fn not_yet(readiness: &Readiness, scores: bool, intake: bool) {
    let conditions = [
        ("assigned", scores),
        ("restored", scores),
        ("sources", intake),
    ];
    for (condition, _) in conditions.iter().filter(|(_, ours)| *ours) {
        readiness.unmet(condition, "the group has not answered yet");
    }
}

fn spawn(
    name: &str,
    ended: std::sync::mpsc::SyncSender<Result<(), StreamError>>,
    work: impl FnOnce() -> Result<(), StreamError> + Send + 'static,
) -> Result<JoinHandle<()>, StreamError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // A panic is a bug: it must not leave a process behind that looks alive.
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            let result = result.unwrap_or_else(|_| {
                Err(StreamError::Thread(
                    "it panicked; please report it with the log".to_owned(),
                ))
            });
            let _ = ended.send(result);
        })
        .map_err(|error| StreamError::Thread(error.to_string()))
}

/// What the roles' threads share.
struct Crew<'c> {
    config: &'c Arc<Config>,
    parts: (&'c Arc<Metrics>, &'c Arc<Readiness>),
    sender: &'c Sender,
    stop: &'c Arc<AtomicBool>,
    ended: &'c std::sync::mpsc::SyncSender<Result<(), StreamError>>,
    seats: &'c Arc<Seats>,
}

impl Crew<'_> {
    fn score(&self, prepared: &Arc<Prepared>, http: String) -> Result<JoinHandle<()>, StreamError> {
        let needs = score::Needs {
            config: Arc::clone(self.config),
            prepared: Arc::clone(prepared),
            metrics: Arc::clone(self.parts.0),
            readiness: Arc::clone(self.parts.1),
            sender: self.sender.clone(),
            stop: Arc::clone(self.stop),
            http,
            seats: Arc::clone(self.seats),
        };
        spawn("score", self.ended.clone(), move || {
            loop {
                match score::run(&needs) {
                    Err(error @ StreamError::Frozen(_)) => tracing::error!("{error}"),
                    ended => return ended,
                }
            }
        })
    }

    fn intake(&self, geo: &Geo, partitions: usize) -> Result<JoinHandle<()>, StreamError> {
        let needs = append::Needs {
            config: Arc::clone(self.config),
            geo: geo.clone(),
            metrics: Arc::clone(self.parts.0),
            readiness: Arc::clone(self.parts.1),
            sender: self.sender.clone(),
            stop: Arc::clone(self.stop),
            partitions,
        };
        spawn("intake", self.ended.clone(), move || append::run(&needs))
    }

    fn ledger(&self, ledger: Arc<Ledger>) -> Result<JoinHandle<()>, StreamError> {
        let (config, stop) = (Arc::clone(self.config), Arc::clone(self.stop));
        let readiness = Arc::clone(self.parts.1);
        readiness.unmet("ledger", "holds and card bindings are being read");
        spawn("ledger", self.ended.clone(), move || {
            ledger.follow(&config, &stop, || readiness.met("ledger"))
        })
    }

    fn notify(&self) -> Result<JoinHandle<()>, StreamError> {
        let needs = notify::Needs {
            config: Arc::clone(self.config),
            metrics: Arc::clone(self.parts.0),
            readiness: Arc::clone(self.parts.1),
            stop: Arc::clone(self.stop),
        };
        needs.readiness.unmet("notify", "the store is being opened");
        spawn("notify", self.ended.clone(), move || notify::run(&needs))
    }
}

/// The main thread's work.
struct Watch<'w> {
    config: &'w Arc<Config>,
    rules: Option<&'w std::path::Path>,
    metrics: &'w Metrics,
    sender: &'w Sender,
    partitions: usize,
    version: String,
}

impl Watch<'_> {
    fn until_over(
        mut self,
        signals: &Signals,
        ends: &std::sync::mpsc::Receiver<Result<(), StreamError>>,
    ) -> Result<(), StreamError> {
        let mut counted = Stopwatch::start();
        loop {
            if signals.stop.load(Ordering::Relaxed) {
                tracing::info!("draining");
                return Ok(());
            }
            if signals.reload.swap(false, Ordering::Relaxed) {
                self.reload();
            }
            if let Ok(result) = ends.recv_timeout(LOOK) {
                return result;
            }
            if counted.elapsed() > COUNT_EVERY {
                counted = Stopwatch::start();
                self.count()?;
            }
        }
    }

    /// A rule book that is not faulty enters the log; a faulty one is told, and the old one stays.
    fn reload(&mut self) {
        match rulebook::chosen(self.rules) {
            Err(problems) => {
                self.metrics.rulebook_reloads.add("refused", 1);
                tracing::error!(
                    "the new rule book is refused, `{}` stays in force:\n{problems}",
                    self.version
                );
            }
            Ok(loaded) => {
                let record = book::write(&loaded);
                let version = loaded.book.version.clone();
                match enact(self.config, self.sender, self.partitions, &version, &record) {
                    Ok(()) => {
                        self.metrics.rulebook_reloads.add("accepted", 1);
                        self.metrics.ruleset(&version);
                        tracing::info!(%version, "the new rule book is in the log");
                        self.version = version;
                    }
                    Err(error) => {
                        self.metrics.rulebook_reloads.add("refused", 1);
                        tracing::error!(%error, "the new rule book is not in the log");
                    }
                }
            }
        }
    }

    /// Whether the log still has its partitions.
    fn count(&self) -> Result<(), StreamError> {
        match client::partitions(self.config) {
            Ok(there) => topics::check_partitions(self.config, &there).map(drop),
            // The broker is away: that is for the roles to bear.
            Err(error) => {
                tracing::warn!(%error, "the log's partitions cannot be counted now");
                Ok(())
            }
        }
    }
}

/// Brings a rule book into the log, unless it is the newest there.
fn enact(
    config: &Config,
    sender: &Sender,
    partitions: usize,
    version: &str,
    record: &[u8],
) -> Result<(), StreamError> {
    let mut newest = None;
    Reader::whole(config, &config.topics.owners)?.to_end(|message| {
        if message.key() == Some(BOOK_KEY.as_bytes()) {
            newest = message
                .payload()
                .and_then(|value| serde_json::from_slice::<serde_json::Value>(value).ok())
                .and_then(|value| value.get("version")?.as_str().map(str::to_owned));
        }
    })?;
    if newest.as_deref() == Some(version) {
        return Ok(());
    }
    append::control(sender, config, partitions, record)?;
    let ticket = Ticket::open();
    let value = serde_json::json!({ "version": version }).to_string();
    let parcel = Parcel {
        topic: &config.topics.owners,
        partition: None,
        key: BOOK_KEY.as_bytes(),
        value: value.as_bytes(),
        headers: None,
    };
    sender.send(parcel, &ticket)?;
    ticket.settle();
    sender.wait(&ticket, client::ASK).map(drop)
}
