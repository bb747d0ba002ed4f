//! The demo: a broker in the process, the case of 2018 and a simulated population, all through
//! intake, log and scoring by the code that runs against a bank's Kafka.
//!
//! The timeline shows the case as it comes in: each attempt, what the monitor said of it, alerts,
//! holds. It judges nothing; the last line says whether the loss would have been held.

mod entry;
mod feed;
mod mails;
mod pause;
mod timeline;

use crate::config::{Config, Mail, Role, Route, Security, Store};
use crate::geo::Geo;
use crate::live::{self, Parts, Signals};
use crate::rulebook::Loaded;
use crate::stream::StreamError;
use crate::stream::embedded::Embedded;
use crate::telemetry::{Metrics, Readiness};
use entry::Entry;
use feed::Feed;
use lettre::Address;
use mails::Mails;
use pause::Pause;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use timeline::Timeline;

/// The recorded case (complaint decision 144/2018).
pub const CASE: &str = include_str!("demo/case-144-2018.jsonl");
/// The id of the payment that was lost in 2018.
pub const LOSS: &str = "case-144-2018-loss";

/// Why the demo ended early.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The monitor.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The terminal, or the folder for its state.
    #[error("the demo cannot write: {0}")]
    Io(#[from] io::Error),
    /// An event that was fed was not scored in time.
    #[error("the monitor did not answer for `{0}` in time")]
    Silent(String),
}

/// What the demo is made of.
#[derive(Debug)]
pub struct Demo {
    /// The rule book.
    pub loaded: Loaded,
    /// Its folder, for reloads.
    pub rules: Option<PathBuf>,
    /// GeoIP.
    pub geo: Geo,
    /// End when the stream has ended.
    pub once: bool,
    /// Wait before the payment that was lost.
    pub wait: bool,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Set by the user's Ctrl-C.
    pub stop: Arc<AtomicBool>,
}

/// Runs the demo; 0 only where the loss was held.
///
/// # Errors
/// Where the monitor or the terminal fails.
pub fn run(demo: Demo, out: &mut dyn Write) -> Result<u8, DemoError> {
    let (broker, mut config) = Embedded::start()?;
    let state = std::env::temp_dir().join(format!("varsel-demo-{}", std::process::id()));
    config.checkpoint.place = crate::config::Place::Folder(state.clone());
    config.http.listen = demo.listen;
    config.run.instance = "demo".to_owned();
    config.store = Store::File(state.join("varsel.db"));
    let mails = Mails::open()?;
    tell_by_mail(&mut config, &mails);
    let entry = Entry::open(&mut config, &state)?;
    let config = Arc::new(config);
    writeln!(
        out,
        "Varsel's demo: a broker in this process ({}), the case of 2018 (complaint decision 144/2018)\nand {} simulated cardholders, through intake, log and scoring. Times in UTC.\n",
        broker.address(),
        feed::CARDHOLDERS,
    )?;
    let result = watched(demo, &config, (&mails, &entry), out);
    drop(broker);
    // The state was the demo's own; what cannot be removed lies in the system's temporary folder.
    let _ = std::fs::remove_dir_all(&state);
    result
}

/// Has the demo's alerts mailed to its own mailbox.
fn tell_by_mail(config: &mut Config, mails: &Mails) {
    let addresses = ["varsel@demo.example", "fraud-team@demo.example"].map(str::parse::<Address>);
    let [Ok(from), Ok(to)] = addresses else {
        return;
    };
    config.run.roles.insert(Role::Notify);
    config.notify.mail = Some(Mail {
        host: mails.address.ip().to_string(),
        port: mails.address.port(),
        security: Security::Plain,
        ca_file: None,
        from: from.into(),
        login: None,
        timeout: Duration::from_secs(10),
    });
    config.notify.routes = vec![Route::new("fraud-team", vec![to])];
}

fn watched(
    demo: Demo,
    config: &Arc<Config>,
    (mails, entry): (&Mails, &Entry),
    out: &mut dyn Write,
) -> Result<u8, DemoError> {
    let signals = Signals::default();
    let pause = Pause::new(demo.wait, &signals.address, &demo.stop);
    let metrics = Arc::new(Metrics::default());
    let version = demo.loaded.book.version.clone();
    let parts = Parts {
        config: Arc::clone(config),
        rules: demo.rules,
        loaded: demo.loaded,
        geo: demo.geo,
        metrics: Arc::clone(&metrics),
        readiness: Arc::new(Readiness::new(&["started"])),
        more: pause.router().merge(mails.router()),
    };
    let monitor = {
        let signals = signals.clone();
        std::thread::Builder::new()
            .name("monitor".to_owned())
            .spawn(move || live::run(parts, &signals))?
    };
    let shown = shown(config, &metrics, (&pause, entry), demo.once, out);
    signals.stop.store(true, Ordering::Relaxed);
    let ended = monitor
        .join()
        .unwrap_or_else(|_| Err(StreamError::Thread("the monitor panicked".to_owned())));
    // A monitor that failed explains why nothing was shown.
    ended?;
    let held = shown?;
    let mailed = mails.count();
    writeln!(out, "{mailed} mails to the fraud team; rule book {version}")?;
    let verdict = if held {
        "the loss of 2018 would have been held"
    } else {
        "the loss of 2018 would have gone through"
    };
    writeln!(out, "{verdict}")?;
    Ok(u8::from(!held))
}

/// Feeds the stream and shows the case; true where the loss was held.
fn shown(
    config: &Arc<Config>,
    metrics: &Arc<Metrics>,
    (pause, entry): (&Pause, &Entry),
    once: bool,
    out: &mut dyn Write,
) -> Result<bool, DemoError> {
    let mut feed = Feed::new(config, metrics)?;
    let mut timeline = Timeline::new(config)?;
    let stop = &*pause.stop;
    let mut held = false;
    pause.tell(out)?;
    entry.tell(config.http.listen, out)?;
    while let Some(next) = feed.next() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        if next.case.as_ref().is_some_and(|event| event.id == LOSS) {
            feed.settle_all()?;
            timeline.keep_up()?;
            pause.wait(timeline.standing(), out)?;
        }
        feed.send(&next)?;
        let Some(event) = next.case else {
            timeline.keep_up()?;
            continue;
        };
        feed.settle(&event)?;
        held |= timeline.show(&event, out)? && event.id == LOSS;
        out.flush()?;
    }
    feed.settle_all()?;
    timeline.totals(&feed, metrics, out)?;
    if !once && !stop.load(Ordering::Relaxed) {
        writeln!(out, "the stream goes on; Ctrl-C ends it\n")?;
        out.flush()?;
        feed.go_on(stop, &mut timeline)?;
    }
    Ok(held)
}
