//! The clerks: a few threads, each with a connection to the store of its own, that do what the pages ask of it.
//!
//! A database blocks, and who answers others must not. What waits is bounded; what is over is refused at once.

use super::Refusal;
use crate::config;
use crate::store::{Store, StoreError, Tx};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Connections to the store.
const CLERKS: usize = 4;
/// What may wait for one of them.
const WAITING: usize = 64;
/// How long a page waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// Work on the store; false where the connection may be of no use any more.
type Job = Box<dyn FnOnce(Result<&mut Store, StoreError>) -> bool + Send>;

/// The way to the clerks; they end when this is dropped.
#[derive(Debug)]
pub struct Clerks {
    jobs: SyncSender<Job>,
}

impl Clerks {
    /// Starts them.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(place: &config::Store) -> io::Result<Self> {
        let (jobs, waiting) = sync_channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..CLERKS {
            let (place, waiting) = (place.clone(), Arc::clone(&waiting));
            std::thread::Builder::new()
                .name("clerk".to_owned())
                .spawn(move || work(&place, &waiting))?;
        }
        Ok(Self { jobs })
    }

    /// Reads in one transaction.
    ///
    /// # Errors
    /// What the work said, or that there is too much to do.
    pub async fn look<T, E>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        E: From<StoreError> + 'static,
        Refusal: From<E>,
    {
        self.ask(|store| store.look(work)).await
    }

    /// Changes something, in one transaction.
    ///
    /// # Errors
    /// As of [`Clerks::look`].
    pub async fn commit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.ask(|store| store.commit(work)).await
    }

    /// Has a clerk do something.
    ///
    /// # Errors
    /// As of [`Clerks::look`].
    pub async fn ask<T, E>(
        &self,
        work: impl FnOnce(&mut Store) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Refusal>
    where
        T: Send + 'static,
        E: 'static,
        Refusal: From<E>,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |store| {
            let done = store.map_err(Refusal::Store);
            let done = done.and_then(|store| work(store).map_err(Refusal::from));
            // Of a store that has failed a connection is made anew.
            let is_fine = !matches!(done, Err(Refusal::Store(_)));
            // Who asked may have gone.
            let _ = answer.send(done);
            is_fine
        });
        match self.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                return Err(Refusal::Busy);
            }
        }
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        match answered {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Refusal::Fault),
            Err(_) => Err(Refusal::Busy),
        }
    }
}

fn work(place: &config::Store, waiting: &Mutex<Receiver<Job>>) {
    let mut store: Option<Store> = None;
    loop {
        let job = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = job else { return };
        let opened = store.take().map_or_else(|| Store::open(place), Ok);
        // A fault of ours costs one page, and not the clerk.
        let kept = catch_unwind(AssertUnwindSafe(|| match opened {
            Ok(mut store) => job(Ok(&mut store)).then_some(store),
            Err(error) => {
                job(Err(error));
                None
            }
        }));
        store = kept.unwrap_or_default();
    }
}
