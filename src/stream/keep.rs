//! Keeping snapshots: published only once their offset is committed.
//!
//! INVARIANT (harmless-repeat): a snapshot of offset N, published before N is committed, would
//! swallow the effects in between after a crash. Where the vault refuses, consumption stops, all
//! is said, and it goes on by itself when the vault takes the snapshot (FAULTS, disk full).

use crate::clock::{self, Stopwatch};
use crate::stream::hand::Snapshot;
use crate::stream::vault::Vault;
use crate::telemetry::{Metrics, Readiness};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often a waiting snapshot is looked after.
const LOOK: Duration = Duration::from_millis(100);
/// How long after a refusal the vault is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// A snapshot whose offset is not committed by then is dropped: its partition has moved away.
const STALE: Duration = Duration::from_secs(120);

/// What is committed of each partition that we own.
#[derive(Debug, Default)]
pub struct Committed {
    offsets: Mutex<BTreeMap<i32, i64>>,
    /// The vault refuses: nothing more is to be taken until it takes again.
    pub stuck: AtomicBool,
    /// The work ends.
    pub over: AtomicBool,
}

impl Committed {
    /// A commit was accepted.
    pub fn set(&self, partition: i32, offset: i64) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = offsets.entry(partition).or_insert(offset);
        *known = offset.max(*known);
    }

    /// A partition is no longer ours.
    pub fn forget(&self, partition: i32) {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.remove(&partition);
    }

    /// What is committed of a partition.
    pub fn of(&self, partition: i32) -> Option<i64> {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.get(&partition).copied()
    }
}

/// Publishes snapshots until no more come. `ask` tells what the group has committed of a partition:
/// the client does not say which asynchronous commits were accepted, the broker does.
pub fn keep(
    snapshots: &Receiver<Snapshot>,
    ask: impl Fn(i32) -> Option<i64>,
    vault: &Vault,
    committed: &Committed,
    metrics: &Metrics,
    readiness: &Readiness,
) {
    while let Ok(snapshot) = snapshots.recv() {
        let watch = Stopwatch::start();
        let wanted = Some(snapshot.next);
        while committed.of(snapshot.partition) < wanted {
            if watch.elapsed() > STALE || committed.over.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(LOOK);
            if let Some(offset) = ask(snapshot.partition) {
                committed.set(snapshot.partition, offset);
            }
        }
        if committed.of(snapshot.partition) >= wanted {
            publish(snapshot, vault, committed, metrics, readiness);
        }
    }
}

/// Gives a snapshot to the vault; tries again until it is taken or the work ends.
fn publish(
    snapshot: Snapshot,
    vault: &Vault,
    committed: &Committed,
    metrics: &Metrics,
    readiness: &Readiness,
) {
    let Snapshot {
        partition,
        next,
        bytes,
    } = snapshot;
    let bytes = bytes::Bytes::from(bytes);
    loop {
        match vault.put(partition, next, bytes.clone()) {
            Ok(()) => {
                committed.stuck.store(false, Ordering::Relaxed);
                readiness.met("checkpoint");
                metrics.saved(partition, clock::now_ms());
                return;
            }
            Err(error) => {
                metrics.checkpoint_failures.fetch_add(1, Ordering::Relaxed);
                if !committed.stuck.swap(true, Ordering::Relaxed) {
                    tracing::error!(%error, "nothing more is taken until checkpoints can be written again");
                }
                readiness.unmet("checkpoint", error.to_string());
                let watch = Stopwatch::start();
                while watch.elapsed() < RETRY {
                    if committed.over.load(Ordering::Relaxed) {
                        return;
                    }
                    std::thread::sleep(LOOK);
                }
            }
        }
    }
}
