//! The notifier: alerts and holds from their topics to the store, and from there to people, by mail and webhook.
//!
//! Of several instances on one store one leads, by a lease: it reads ([`record`]), plans ([`plan`]) and sends
//! ([`send`]); the others stand by. What a record caused is kept together with its offset, and a message is queued
//! together with what it tells, so that a crash between any two steps loses nothing and doubles nothing. It judges
//! no fraud, and scoring waits for nothing here.

mod behind;
pub mod chronicle;
mod counts;
pub mod hook;
mod memory;
pub mod pace;
pub mod plan;
pub mod rebuild;
pub mod record;
mod recount;
pub mod send;

use crate::clock::{self, Stopwatch};
use crate::config::Config;
use crate::domain::currency::RateTable;
use crate::mail::letter;
use crate::mail::press::{Press, Text};
use crate::mail::server::{Kind, Refusal, Server};
use crate::store::alerts::Shelf;
use crate::store::outbox::{self, Channel, End, Message};
use crate::store::{Store, StoreError, lease, offsets, waiting};
use crate::stream::StreamError;
use crate::stream::follow::{Followed, Follower};
use crate::telemetry::{Metrics, Readiness};
use hook::Caller;
use record::{Heard, Now};
use send::{Sender, Step};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a look for records, due messages or a stop waits.
const LOOK: Duration = Duration::from_millis(100);
/// Records taken in by one transaction.
const BATCH: usize = 500;
/// How often the lease is renewed, and how often who stands by asks for it.
const RENEW: Duration = Duration::from_secs(3);
/// How often the outbox is counted.
const COUNT: Duration = Duration::from_secs(5);
/// How long after a fault of the store or the broker the work begins again.
const AGAIN: Duration = Duration::from_secs(1);
/// For how long messages are kept after their end, in milliseconds.
const KEPT_MS: i64 = 30 * 24 * 3_600_000;
/// Failures are told for so long, in milliseconds.
const TOLD_MS: i64 = 24 * 3_600_000;

/// What the notifier needs from the rest of the process.
#[derive(Debug, Clone)]
pub struct Needs {
    /// The configuration.
    pub config: Arc<Config>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whether we are ready.
    pub readiness: Arc<Readiness>,
    /// By which amounts in other currencies are compared.
    pub rates: Arc<RateTable>,
    /// Set when the process is to end.
    pub stop: Arc<AtomicBool>,
}

/// What interrupts the work.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker.
    #[error(transparent)]
    Stream(#[from] StreamError),
}

/// The notifier in one process.
struct Notifier<'n> {
    needs: &'n Needs,
    press: Press,
    holder: String,
    leads: AtomicBool,
}

/// Tells of alerts until told to stop. Faults of the store and the broker are told and waited out.
///
/// # Errors
/// Where the configuration cannot be worked with: a template, a mail server's settings.
pub fn run(needs: &Needs) -> Result<(), StreamError> {
    let notify = &needs.config.notify;
    let folder = notify.templates.as_deref();
    let press = Press::open(
        notify.language,
        notify.link.as_deref(),
        folder,
        clock::local,
    )
    .map_err(|error| StreamError::Notify(error.to_string()))?;
    let caller = Caller::new(notify, &needs.stop).map_err(StreamError::Notify)?;
    let mut server = match &notify.mail {
        Some(mail) => {
            let server = Server::new(mail, &needs.stop);
            Some(server.map_err(|error| StreamError::Notify(error.to_string()))?)
        }
        None => None,
    };
    let instance = &needs.config.run.instance;
    let notifier = Notifier {
        needs,
        press,
        // Two processes may bear one name by mistake: only one of them leads.
        holder: format!("{instance}/{}/{}", std::process::id(), clock::now_ms()),
        leads: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        let notifier = &notifier;
        if let Some(server) = &mut server {
            scope.spawn(move || notifier.post(Channel::Mail, &mut |message| mail(server, message)));
        }
        if !notify.webhooks.is_empty() {
            let caller = &caller;
            scope.spawn(move || {
                notifier.post(Channel::Webhook, &mut |message| {
                    caller.call(message, clock::now_ms())
                });
            });
        }
        scope.spawn(move || chronicle::run(notifier.needs, &notifier.holder, &notifier.leads));
        notifier.work();
    });
    notifier.hand_over();
    Ok(())
}

/// Writes a message down as a letter and hands it to the server.
fn mail(server: &mut Server, message: &Message) -> Result<(), Refusal> {
    let bad = |said: String| Refusal::of(Kind::Final, said);
    let text: Text = serde_json::from_str(&message.body).map_err(|error| bad(error.to_string()))?;
    let to = message.target.parse();
    let to = to.map_err(|_| bad("this is no address of mail".to_owned()))?;
    let from = &server.mail().from;
    let letter = letter::write(from, &to, &message.id, &text, message.created_ms).map_err(bad)?;
    server.send(&letter)
}

impl Notifier<'_> {
    fn is_over(&self) -> bool {
        self.needs.stop.load(Ordering::Relaxed)
    }

    /// Waits, but not beyond the end.
    fn pause(&self, span: Duration) {
        let watch = Stopwatch::start();
        while watch.elapsed() < span && !self.is_over() {
            std::thread::sleep(LOOK.min(span));
        }
    }

    /// Leads or stands by, until the end.
    fn work(&self) {
        let readiness = &self.needs.readiness;
        while !self.is_over() {
            let done = self.shift();
            self.leads.store(false, Ordering::Release);
            match done {
                // Another leads: that is how it should be.
                Ok(()) | Err(Trouble::Store(StoreError::NotLeading)) => {
                    readiness.met("notify");
                    self.pause(RENEW);
                }
                Err(trouble) => {
                    tracing::error!(%trouble, "alerts are not told now");
                    readiness.unmet("notify", trouble.to_string());
                    self.pause(AGAIN);
                }
            }
        }
    }

    /// Leads until the lease is another's; returns at once where it is.
    fn shift(&self) -> Result<(), Trouble> {
        let config = &self.needs.config;
        let mut store = Store::open(&config.store)?;
        if !lease::take(&mut store, &self.holder, clock::now_ms())? {
            return Ok(());
        }
        let (offsets, doubtful) = store.commit(|tx| {
            lease::hold(tx, &self.holder)?;
            let doubtful = outbox::recover(tx, clock::now_ms())?;
            Ok((offsets::all(tx)?, doubtful))
        })?;
        if doubtful > 0 {
            tracing::warn!(
                doubtful,
                "messages may go out twice, under the same id: their sender ended before it knew"
            );
        }
        let topics = [config.topics.alerts.as_str(), config.topics.holds.as_str()];
        let mut follower = Follower::open(config, &topics, &offsets)?;
        self.needs.readiness.met("notify");
        self.leads.store(true, Ordering::Release);
        let pulse = self.needs.readiness.pulse("notify");
        let (mut renewed, mut counted) = (Stopwatch::start(), Stopwatch::start());
        let mut is_first = true;
        while !self.is_over() {
            pulse.beat();
            if renewed.elapsed() > RENEW {
                renewed = Stopwatch::start();
                if !lease::take(&mut store, &self.holder, clock::now_ms())? {
                    break;
                }
            }
            let batch = gather(&mut follower)?;
            if !batch.is_empty() {
                self.record(&mut store, &batch)?;
            }
            self.plan(&mut store)?;
            if is_first || counted.elapsed() > COUNT {
                (is_first, counted) = (false, Stopwatch::start());
                self.count(&mut store)?;
            }
        }
        self.needs.readiness.ended("notify");
        Ok(())
    }

    /// Takes in a batch, its offsets in the same transaction.
    fn record(&self, store: &mut Store, batch: &[Followed]) -> Result<(), StoreError> {
        let (config, metrics) = (&self.needs.config, &self.needs.metrics);
        let now_ms = clock::now_ms();
        let now = Now {
            ms: now_ms,
            local: clock::day_and_minute(now_ms),
        };
        let heard = store.commit(|tx| {
            lease::hold(tx, &self.holder)?;
            let mut heard = Vec::with_capacity(batch.len());
            for record in batch {
                let line = std::str::from_utf8(&record.value).unwrap_or_default();
                heard.push(if record.topic == config.topics.alerts {
                    let came_ms = record.came_ms.unwrap_or(now_ms);
                    record::alert(tx, &config.notify, line, came_ms, now)?
                } else {
                    record::hold(tx, Shelf::Store, line)?
                });
                offsets::keep(tx, &record.topic, record.partition, record.offset + 1)?;
            }
            Ok(heard)
        })?;
        for (record, heard) in batch.iter().zip(heard) {
            metrics.notify_lines.add(heard.word(), 1);
            if heard == Heard::Unreadable {
                let (topic, partition, offset) = (&record.topic, record.partition, record.offset);
                tracing::error!(%topic, partition, offset, "this is no line of ours: it is passed over");
            }
            if let Some(came_ms) = record.came_ms {
                let age_ms = u64::try_from(now_ms - came_ms).unwrap_or(0);
                metrics.event_age_ms.set(&[&record.topic], age_ms);
            }
        }
        Ok(())
    }

    /// Queues what is due, if anything is.
    fn plan(&self, store: &mut Store) -> Result<(), StoreError> {
        let now_ms = clock::now_ms();
        let next = store.commit(waiting::next_due)?;
        if next.is_none_or(|due_ms| due_ms > now_ms) {
            return Ok(());
        }
        store.commit(|tx| {
            lease::hold(tx, &self.holder)?;
            plan::plan(tx, &self.needs.config.notify, &self.press, now_ms).map(drop)
        })
    }

    /// Shows how the outbox stands, and forgets what ended long ago.
    fn count(&self, store: &mut Store) -> Result<(), StoreError> {
        let now_ms = clock::now_ms();
        let standing = store.commit(|tx| {
            lease::hold(tx, &self.holder)?;
            outbox::forget(tx, now_ms - KEPT_MS)?;
            outbox::standing(tx, now_ms, TOLD_MS)
        })?;
        let metrics = &self.needs.metrics;
        let shown = [
            ("queued", standing.queued),
            ("failed", standing.failed),
            ("waiting", standing.waiting),
        ];
        for (state, count) in shown {
            let count = u64::try_from(count).unwrap_or(0);
            metrics.notify_outbox.set(&[state], count);
        }
        let age_ms = standing.oldest_ms.map_or(0, |oldest_ms| now_ms - oldest_ms);
        let age_ms = u64::try_from(age_ms).unwrap_or(0);
        metrics.notify_oldest_ms.store(age_ms, Ordering::Relaxed);
        let note = standing.last_failure.map(|said| {
            let failed = standing.failed;
            format!(
                "{failed} messages could not be delivered within the last day, the newest to {said}"
            )
        });
        self.needs.readiness.note("undelivered", note);
        Ok(())
    }

    /// Sends what is due over one channel, while we lead.
    fn post(&self, channel: Channel, deliver: &mut dyn FnMut(&Message) -> Result<(), Refusal>) {
        let mut sender = Sender::new(channel, &self.holder);
        let mut store: Option<Store> = None;
        while !self.is_over() {
            if !self.leads.load(Ordering::Acquire) {
                self.pause(LOOK);
                continue;
            }
            let step = match &mut store {
                Some(store) => sender.step(store, &clock::now_ms, deliver),
                None => Store::open(&self.needs.config.store).map(|opened| {
                    store = Some(opened);
                    Step::Idle
                }),
            };
            match step {
                Ok(Step::Idle) => self.pause(LOOK),
                Ok(Step::Ended(message, end)) => self.ended(channel, &message, &end),
                Err(StoreError::NotLeading) => self.pause(LOOK),
                Err(error) => {
                    tracing::error!(%error, channel = channel.word(), "nothing is sent now");
                    store = None;
                    self.pause(AGAIN);
                }
            }
        }
    }

    fn ended(&self, channel: Channel, message: &Message, end: &End) {
        let (id, route, attempt) = (&message.id, &message.route, message.attempt);
        let result = match end {
            End::Sent => {
                tracing::info!(%id, %route, attempt, "sent");
                "sent"
            }
            End::Later {
                said, is_doubtful, ..
            } => {
                tracing::warn!(%id, %route, attempt, is_doubtful, %said, "not sent: it is tried again");
                if *is_doubtful { "doubtful" } else { "later" }
            }
            End::Failed { said } => {
                tracing::error!(%id, %route, attempt, %said, "not sent, and not tried again");
                "failed"
            }
            End::Rests { .. } => return,
        };
        let deliveries = &self.needs.metrics.notify_deliveries;
        deliveries.add(&[channel.word(), result], 1);
    }

    /// At the end: whoever stands by need not wait.
    fn hand_over(&self) {
        let given = Store::open(&self.needs.config.store)
            .and_then(|mut store| lease::give_back(&mut store, &self.holder));
        if let Err(error) = given {
            tracing::warn!(%error, "who stands by waits for the lease to end");
        }
    }
}

/// What has come by now.
fn gather(follower: &mut Follower) -> Result<Vec<Followed>, StreamError> {
    let mut batch = Vec::new();
    let mut wait = LOOK;
    while batch.len() < BATCH {
        match follower.poll(wait)? {
            Some(record) => batch.push(record),
            None => break,
        }
        wait = Duration::ZERO;
    }
    Ok(batch)
}
