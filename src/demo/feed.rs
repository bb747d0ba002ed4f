//! The demo's bank: the recorded case and a simulated population, merged by `at`, into the bank's
//! topics, never far ahead of the scoring, since the embedded broker keeps little.

use crate::clock::Stopwatch;
use crate::config::Config;
use crate::decode::Decoder;
use crate::demo::{CASE, DemoError};
use crate::domain::event::{Body, Event};
use crate::simulate::{Population, Settings, Simulated, Topic};
use crate::stream::send::{Parcel, Sender};
use crate::stream::tickets::Ticket;
use crate::telemetry::Metrics;
use chrono::NaiveDate;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many people there are besides the cardholder of 2018.
pub const CARDHOLDERS: u32 = 1_000;
/// Their days, around the case's last two.
const DAYS: u32 = 5;
/// The first of them.
const START: (i32, u32, u32) = (2018, 3, 2);
/// Where the story ends and the stream goes on slowly: the midnight after the loss.
const END_MS: i64 = 1_520_380_800_000;
/// The feed is at most so many events ahead of the scoring.
const AHEAD: u64 = 2_000;
/// How long an event may take to be scored.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(2);
/// From one event to the next once the stream goes on by itself: a day takes some ten minutes, so that the case of 2018
/// waits for its analyst and is not closed by the 72 hours that an episode lasts.
const PACE: Duration = Duration::from_millis(150);

/// An event of the case, as the timeline shows it.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// Event time.
    pub at_ms: i64,
    /// `authorization`, `threeds` …
    pub kind: &'static str,
    /// Merchant, amount in minor units.
    pub purchase: Option<(String, i64)>,
    /// Its response code, where it has one.
    pub outcome: Option<String>,
    /// Whether the monitor decides on it.
    pub decided: bool,
}

/// An event to be fed.
#[derive(Debug)]
pub struct Next {
    topic: Topic,
    key: String,
    line: Vec<u8>,
    /// The event, where it belongs to the case.
    pub case: Option<Told>,
}

/// The bank.
pub struct Feed {
    config: Arc<Config>,
    metrics: Arc<Metrics>,
    sender: Sender,
    case: VecDeque<(Next, i64)>,
    people: Peekable<Population>,
    /// Events sent.
    pub sent: u64,
}

impl Feed {
    /// Connects, and reads the case.
    ///
    /// # Errors
    /// Where the client refuses its options.
    pub fn new(config: &Arc<Config>, metrics: &Arc<Metrics>) -> Result<Self, DemoError> {
        Ok(Self {
            config: Arc::clone(config),
            metrics: Arc::clone(metrics),
            sender: Sender::new(config, &Arc::new(Metrics::default()))?,
            case: case(),
            people: people(DAYS, 1),
            sent: 0,
        })
    }

    /// The next event by `at`; nothing when both have ended.
    pub fn next(&mut self) -> Option<Next> {
        // What began in these days is told to its end, weeks later: it would take the clock along, and every case with it.
        let is_out = |s: &Simulated| s.at_ms >= END_MS || s.topic == Topic::Dispositions;
        while self.people.next_if(is_out).is_some() {}
        let first = self.case.front().map(|(_, at_ms)| *at_ms);
        let other = self.people.peek().map(|simulated| simulated.at_ms);
        match (first, other) {
            (Some(case), Some(other)) if case <= other => {
                self.case.pop_front().map(|(next, _)| next)
            }
            (Some(_), None) => self.case.pop_front().map(|(next, _)| next),
            (_, Some(_)) => self.people.next().map(of_population),
            (None, None) => None,
        }
    }

    /// Sends an event, once the scoring has come near.
    ///
    /// # Errors
    /// Where the broker refuses it, or the scoring stands still.
    pub fn send(&mut self, next: &Next) -> Result<(), DemoError> {
        self.until(|scored, sent| scored + AHEAD > sent, "the population")?;
        let topic = match next.topic {
            Topic::Authorizations => 0,
            Topic::Threeds => 1,
            Topic::Eid => 2,
            Topic::Cardholders => 3,
            Topic::Dispositions => 4,
        };
        let parcel = Parcel {
            topic: self
                .config
                .topics
                .sources
                .get(topic)
                .map_or("", String::as_str),
            partition: None,
            key: next.key.as_bytes(),
            value: &next.line,
            headers: None,
        };
        let ticket = Ticket::open();
        self.sender.send(parcel, &ticket)?;
        self.sent += 1;
        Ok(())
    }

    /// Waits until an event of the case, and so all before it, is scored.
    ///
    /// # Errors
    /// Where it takes too long.
    pub fn settle(&self, event: &Told) -> Result<(), DemoError> {
        self.until(|scored, sent| scored >= sent, &event.id)
    }

    /// Waits until all is scored.
    ///
    /// # Errors
    /// Where it takes too long.
    pub fn settle_all(&self) -> Result<(), DemoError> {
        self.until(|scored, sent| scored >= sent, "the last event")
    }

    fn until(&self, enough: impl Fn(u64, u64) -> bool, what: &str) -> Result<(), DemoError> {
        let watch = Stopwatch::start();
        // Steps of the API come to the log by another way than ours.
        let done = || {
            let all = self.metrics.events_done();
            all.saturating_sub(self.metrics.steps_taken())
        };
        while !enough(done(), self.sent) {
            if watch.elapsed() > PATIENCE {
                return Err(DemoError::Silent(what.to_owned()));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Goes on with the population, at a steady pace, until stopped.
    ///
    /// # Errors
    /// Where the broker fails.
    pub fn go_on(
        &mut self,
        stop: &AtomicBool,
        timeline: &mut super::timeline::Timeline,
    ) -> Result<(), DemoError> {
        let later = people(365, 2).skip_while(|simulated| simulated.at_ms < END_MS);
        // Verdicts are the analyst's here.
        for simulated in later.filter(|simulated| simulated.topic != Topic::Dispositions) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.send(&of_population(simulated))?;
            timeline.keep_up()?;
            std::thread::sleep(PACE);
        }
        Ok(())
    }
}

fn people(days: u32, seed: u64) -> Peekable<Population> {
    let (year, month, day) = START;
    let settings = Settings {
        cardholders: CARDHOLDERS,
        days,
        start: NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default(),
        seed,
        // Far more than in life, so that a few days show something.
        fraud: 600,
        stories: 1_000,
    };
    Population::new(&settings).peekable()
}

fn of_population(simulated: Simulated) -> Next {
    Next {
        topic: simulated.topic,
        key: simulated.key,
        line: simulated.line,
        case: None,
    }
}

/// The events of the case, in order.
fn case() -> VecDeque<(Next, i64)> {
    let (mut decoder, mut event) = (Decoder::default(), Event::default());
    CASE.lines()
        .filter_map(|line| {
            decoder.decode(line.as_bytes(), &mut event).ok()?;
            let (topic, outcome) = match &event.body {
                Body::Authorization(payment) => (
                    Topic::Authorizations,
                    Some(event.str(payment.response_code).to_owned()),
                ),
                Body::Threeds(_) | Body::Otp(_) => (Topic::Threeds, None),
                Body::Eid(_) => (Topic::Eid, None),
                Body::Card(_) | Body::Enrolment(_) => (Topic::Cardholders, None),
                Body::Disposition(_) | Body::Hold(_) => (Topic::Dispositions, None),
            };
            let told = Told {
                id: event.id().to_owned(),
                at_ms: event.at.ms,
                kind: event.kind().word(),
                purchase: event
                    .purchase()
                    .map(|(merchant, amount, ..)| (event.str(merchant.name).to_owned(), amount)),
                outcome,
                decided: event.is_decided(),
            };
            let next = Next {
                topic,
                key: event.card().to_owned(),
                line: line.as_bytes().to_vec(),
                case: Some(told),
            };
            Some((next, event.at.ms))
        })
        .collect()
}
