//! The live monitor: the roles of one process put together, with its signals and its readiness.
//!
//! Loads, checks and starts; waits for a signal or a fault; drains. What each role does stands in
//! `stream`, what is served over HTTP in `http`.

use crate::api::grpc;
use crate::api::ledger::Ledger;
use crate::api::pages;
use crate::api::teller::Teller;
use crate::clock::Stopwatch;
use crate::config::{Config, Role};
use crate::console::{self, Console};
use crate::engine::prepared::Prepared;
use crate::geo::Geo;
use crate::http::{self, Limits, Port, Speaks, Tls};
use crate::notify;
use crate::rulebook::{self, Loaded};
use crate::stream::reader::Reader;
use crate::stream::seat::Seats;
use crate::stream::send::{Parcel, Sender};
use crate::stream::tickets::Ticket;
use crate::stream::{StreamError, append, book, client, pulse, score, topics};
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
/// How often the partitions of the log are counted, and certificates looked at.
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
    /// Load the rule book, certificates and clients anew.
    pub reload: Arc<AtomicBool>,
    /// Where HTTP is served, once it is.
    pub address: Arc<OnceLock<SocketAddr>>,
    /// Where gRPC is served, if it is; set before the other.
    pub grpc_address: Arc<OnceLock<SocketAddr>>,
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
    let served = Ports::serve(&parts, &seats, &ledger, &sender)?;
    served.told(signals);
    let partitions = partitions(&config)?;
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
        threads.push(crew.score(&prepared, reached(&config, served.http.address()))?);
    }
    if intake {
        threads.push(crew.intake(&parts.geo, partitions)?);
    }
    if has(Role::Api) {
        threads.push(crew.ledger(ledger)?);
    }
    threads.extend(crew.notify(&prepared)?);
    parts.readiness.met("started");
    let watch = Watch {
        config: &config,
        rules: parts.rules.as_deref(),
        metrics: &parts.metrics,
        sender: &sender,
        partitions,
        version: prepared.version.to_string(),
        served: &served,
    };
    let result = unless_lost(watch.until_over(signals, &ends))?;
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

/// Where a client is lost nothing is drained: what is on its way is in doubt, and that client may wait for ever.
fn unless_lost(result: Result<(), StreamError>) -> Result<Result<(), StreamError>, StreamError> {
    match result {
        Err(StreamError::Lost) => Err(StreamError::Lost),
        ended => Ok(ended),
    }
}

/// The partitions of the log, where every topic is there that we need.
fn partitions(config: &Config) -> Result<usize, StreamError> {
    let there = client::partitions(config)?;
    let needed = topics::wanted(config);
    let names: Vec<&str> = needed.iter().map(|topic| topic.name.as_str()).collect();
    client::require(config, &there, &names)?;
    topics::check_partitions(config, &there)
}

/// TLS of our ports, where it is configured.
fn tls(config: &Config, metrics: &Arc<Metrics>) -> Result<Option<Arc<Tls>>, StreamError> {
    let tls = config
        .http
        .tls
        .clone()
        .map(|files| Tls::open(files, metrics));
    let tls = tls
        .transpose()
        .map_err(|error| StreamError::Door(error.to_string()))?;
    Ok(tls.map(Arc::new))
}

impl Parts {
    /// The analysts' console, where one is wanted.
    fn console(&self, teller: &Arc<Teller>) -> Result<Option<Arc<Console>>, StreamError> {
        let Some(settings) = self.config.console.clone() else {
            return Ok(None);
        };
        let parts = console::Parts {
            console: settings,
            teller: Arc::clone(teller),
            metrics: Arc::clone(&self.metrics),
            readiness: Arc::clone(&self.readiness),
            loaded: &self.loaded,
        };
        let opened = Console::open(parts);
        opened
            .map(Some)
            .map_err(|error| StreamError::Thread(error.to_string()))
    }
}

/// What is served to others: HTTP, and in the role of the API gRPC where it has an address.
struct Ports {
    http: http::Server,
    grpc: Option<http::Server>,
    tls: Option<Arc<Tls>>,
    teller: Option<Arc<Teller>>,
    console: Option<Arc<Console>>,
}

impl Ports {
    fn serve(
        parts: &Parts,
        seats: &Arc<Seats>,
        ledger: &Arc<Ledger>,
        sender: &Sender,
    ) -> Result<Self, StreamError> {
        let (config, metrics) = (&parts.config, &parts.metrics);
        let readiness = || Arc::clone(&parts.readiness);
        let tls = tls(config, metrics)?;
        let port = |speaks, router| Port {
            router,
            limits: Limits::default(),
            speaks,
            tls: tls.clone(),
            metrics: Arc::clone(metrics),
        };
        let serve = |listen, port| {
            let served = http::serve(listen, port);
            served.map_err(|error| StreamError::Port(error.to_string()))
        };
        let mut router = http::pages(Arc::clone(metrics), readiness()).merge(parts.more.clone());
        let (mut grpc, mut asked, mut console) = (None, None, None);
        if config.run.roles.contains(&Role::Api) {
            let teller = Teller::new(config, seats, ledger, sender, metrics, tls.clone())?;
            let teller = Arc::new(teller);
            let calls = pages::router(Arc::clone(&teller));
            if let Some(listen) = config.http.grpc_listen {
                let router = grpc::router(Arc::clone(&teller), readiness(), calls.clone())?;
                let served = serve(listen, port(Speaks::Grpc, router))?;
                tracing::info!(address = %served.address(), "serving gRPC");
                grpc = Some(served);
            }
            router = router.merge(calls);
            console = parts.console(&teller)?;
            if let Some(console) = &console {
                router = router.merge(console::router(console));
            }
            asked = Some(teller);
        }
        let http = serve(config.http.listen, port(Speaks::Http, router))?;
        tracing::info!(address = %http.address(), "serving /livez, /readyz, /metrics and the API");
        let teller = asked;
        Ok(Self {
            http,
            grpc,
            tls,
            teller,
            console,
        })
    }

    /// Certificates that were changed count from now on.
    fn renew(&self) {
        if let Some(tls) = &self.tls {
            tls.renew();
        }
    }

    /// So do callers, where that is asked for.
    fn renew_callers(&self) {
        if let Some(teller) = &self.teller {
            teller.renew();
        }
    }

    /// The console shows another rule book.
    fn show(&self, loaded: &Loaded) {
        if let Some(console) = &self.console {
            console.renew(loaded);
        }
    }

    /// Tells where it listens.
    fn told(&self, signals: &Signals) {
        if let Some(grpc) = &self.grpc {
            let _ = signals.grpc_address.set(grpc.address());
        }
        let _ = signals.address.set(self.http.address());
    }

    fn stop(self) {
        if let Some(console) = &self.console {
            console.close();
        }
        self.http.stop();
        if let Some(grpc) = self.grpc {
            grpc.stop();
        }
    }
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

    /// Where it has the role.
    fn notify(&self, prepared: &Prepared) -> Result<Option<JoinHandle<()>>, StreamError> {
        if !self.config.run.roles.contains(&Role::Notify) {
            return Ok(None);
        }
        let needs = notify::Needs {
            config: Arc::clone(self.config),
            metrics: Arc::clone(self.parts.0),
            readiness: Arc::clone(self.parts.1),
            rates: Arc::new(prepared.book.rates.clone()),
            stop: Arc::clone(self.stop),
        };
        needs.readiness.unmet("notify", "the store is being opened");
        spawn("notify", self.ended.clone(), move || notify::run(&needs)).map(Some)
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
    served: &'w Ports,
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
                self.served.renew();
                self.served.renew_callers();
            }
            if let Ok(result) = ends.recv_timeout(LOOK) {
                return result;
            }
            if pulse::is_any_lost() {
                return Err(StreamError::Lost);
            }
            if counted.elapsed() > COUNT_EVERY {
                counted = Stopwatch::start();
                self.count()?;
                self.served.renew();
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
                        self.served.show(&loaded);
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
