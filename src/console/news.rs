//! What is new, as it is stored: server-sent events of new and changed episodes, to a bounded number of pages.
//!
//! One thread looks at the store while anybody listens, so that it does not matter which instance notifies. A stream
//! says only that something has changed: what the page then shows is asked for as always. It ends with its session.

use super::{Console, Refusal};
use crate::config;
use crate::store::views::{self, News};
use crate::store::{Store, StoreError};
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Interval, interval};

/// How often the store is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// How often a stream shows that it is alive, and whether its session is.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Streams at once, all and of one person: each is a connection, and there are 256.
const MAX_STREAMS: usize = 100;
const MAX_EACH: usize = 8;
/// News that wait for a slow page; it is told to ask anew where it misses some.
const WAITING: usize = 256;

/// Where news are told.
#[derive(Debug)]
pub struct Herald {
    news: broadcast::Sender<Option<News>>,
    listening: Arc<Mutex<BTreeMap<String, usize>>>,
    over: watch::Sender<bool>,
    stop: Arc<AtomicBool>,
}

impl Herald {
    /// Begins to look.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(place: &config::Store) -> io::Result<Self> {
        let herald = Self {
            news: broadcast::Sender::new(WAITING),
            listening: Arc::default(),
            over: watch::Sender::new(false),
            stop: Arc::default(),
        };
        let (place, news) = (place.clone(), herald.news.clone());
        let stop = Arc::clone(&herald.stop);
        std::thread::Builder::new()
            .name("news".to_owned())
            .spawn(move || follow(&place, &news, &stop))?;
        Ok(herald)
    }

    /// Ends every stream.
    pub fn close(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.over.send(true);
    }

    /// A place to listen at; nothing where all are taken.
    fn place(&self, name: &str) -> Option<Place> {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let all: usize = listening.values().sum();
        let own = listening.get(name).copied().unwrap_or(0);
        if all >= MAX_STREAMS || own >= MAX_EACH {
            return None;
        }
        listening.insert(name.to_owned(), own + 1);
        Some(Place {
            name: name.to_owned(),
            listening: Arc::clone(&self.listening),
        })
    }
}

impl Drop for Herald {
    fn drop(&mut self) {
        self.close();
    }
}

/// One stream's place.
struct Place {
    name: String,
    listening: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match listening.get_mut(&self.name) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                listening.remove(&self.name);
            }
        }
    }
}

/// Looks at the store while anybody listens.
fn follow(place: &config::Store, news: &broadcast::Sender<Option<News>>, stop: &AtomicBool) {
    let mut store: Option<Store> = None;
    // Where in the order of changes we are; nothing while nobody listens.
    let mut told: Option<(i64, String)> = None;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        if news.receiver_count() == 0 {
            told = None;
            continue;
        }
        let opened = store.take().map_or_else(|| Store::open(place), Ok);
        let looked = opened.and_then(|mut store| {
            look(&mut store, &mut told, news)?;
            Ok(store)
        });
        match looked {
            Ok(opened) => store = Some(opened),
            Err(error) => tracing::warn!(%error, "what is new cannot be told now"),
        }
    }
}

fn look(
    store: &mut Store,
    told: &mut Option<(i64, String)>,
    news: &broadcast::Sender<Option<News>>,
) -> Result<(), StoreError> {
    let Some((changed_ms, alert)) = told.clone() else {
        *told = Some((store.look(views::newest_ms)?, String::new()));
        // Who listens already may have missed what came before this place: pages ask for all there is.
        let _ = news.send(None);
        return Ok(());
    };
    for new in store.look(|tx| views::since(tx, changed_ms, &alert))? {
        *told = Some((new.changed_ms, new.alert.clone()));
        // Whoever listened may have gone.
        let _ = news.send(Some(new));
    }
    Ok(())
}

/// What a stream needs.
struct Listener {
    console: Arc<Console>,
    session: String,
    news: broadcast::Receiver<Option<News>>,
    over: watch::Receiver<bool>,
    /// Beats at once, too: a stream begins with a look at its session.
    beat: Interval,
    begun: bool,
    is_over: bool,
    _place: Place,
}

/// A stream of news: `hello` at its beginning, `news` for each episode (without a name: for any number of them), `over` where the session has ended.
///
/// # Errors
/// Where there are too many.
pub fn events(
    console: Arc<Console>,
    name: &str,
    session: String,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, Refusal> {
    let place = console.herald.place(name).ok_or(Refusal::Busy)?;
    let listener = Listener {
        news: console.herald.news.subscribe(),
        over: console.herald.over.subscribe(),
        console,
        session,
        beat: interval(HEARTBEAT),
        begun: false,
        is_over: false,
        _place: place,
    };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    });
    Ok(Sse::new(events))
}

impl Listener {
    async fn next(&mut self) -> Option<Event> {
        if self.is_over || *self.over.borrow() {
            return None;
        }
        if !self.begun {
            self.begun = true;
            let hello = Event::default().event("hello").data("{}");
            return Some(hello.retry(Duration::from_secs(2)));
        }
        tokio::select! {
            _ = self.over.changed() => None,
            new = self.news.recv() => match new {
                Ok(Some(new)) => Some(told(&new)),
                // Some were missed: the page asks anew.
                Ok(None) | Err(RecvError::Lagged(_)) => Some(Event::default().event("news").data("{}")),
                Err(RecvError::Closed) => None,
            },
            _ = self.beat.tick() => {
                if self.console.lives(&self.session).await {
                    return Some(Event::default().comment("alive"));
                }
                self.is_over = true;
                Some(Event::default().event("over").data("{}"))
            }
        }
    }
}

fn told(new: &News) -> Event {
    let data = serde_json::json!({
        "alert": new.alert,
        "status": new.status,
        "severity": new.severity,
    });
    Event::default().event("news").data(data.to_string())
}
