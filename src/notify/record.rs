//! From a line of a topic to the store: the episode or hold as it now stands, and who is to be told of it.
//!
//! All within the transaction that also keeps the line's place in its topic.

use crate::config::Notify;
use crate::notify::pace;
use crate::store::alerts::{self, Alert, Hold, Shelf};
use crate::store::{StoreError, Tx, waiting};
use crate::stream::letters;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Somebody is to be told.
    Told,
    /// It is kept, and nobody needs to be told again.
    Kept,
    /// It is kept; no route takes it.
    Unrouted,
    /// It is kept; it lay in its topic for too long to be told.
    Stale,
    /// It was known.
    Repeat,
    /// It is no line of ours.
    Unreadable,
}

impl Heard {
    /// Every word of [`Heard::word`].
    pub const WORDS: [&'static str; 6] =
        ["told", "kept", "unrouted", "stale", "repeat", "unreadable"];

    /// The word in counts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Kept => "kept",
            Self::Unrouted => "unrouted",
            Self::Stale => "stale",
            Self::Repeat => "repeat",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The wall time of a recording.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Milliseconds since 1970 UTC.
    pub ms: i64,
    /// The day of the local week and the minute of the local day.
    pub local: (u32, u32),
}

/// Takes in a line of an alert that came into its topic at a wall time.
///
/// # Errors
/// Where the store does not answer.
pub fn alert(
    tx: &mut Tx<'_>,
    notify: &Notify,
    line: &str,
    came_ms: i64,
    now: Now,
) -> Result<Heard, StoreError> {
    let line = unnumbered(line);
    let Some(alert) = Alert::read(&line) else {
        return Ok(Heard::Unreadable);
    };
    if !alerts::keep(tx, Shelf::Store, &alert, &line, now.ms)? {
        return Ok(Heard::Repeat);
    }
    if alert.is_closed() {
        waiting::over(tx, &alert.id)?;
        return Ok(Heard::Kept);
    }
    let stale_ms = i64::try_from(notify.stale_after.as_millis()).unwrap_or(i64::MAX);
    if now.ms.saturating_sub(came_ms) > stale_ms {
        return Ok(Heard::Stale);
    }
    let severity = alert.severity();
    let mut heard = Heard::Unrouted;
    for route in &notify.routes {
        if !pace::takes(route, &alert.pattern, severity, now.local) {
            continue;
        }
        if heard == Heard::Unrouted {
            heard = Heard::Kept;
        }
        let told = waiting::told(tx, &route.name, &alert.id)?;
        if let Some((why, due_ms)) = pace::heard(route, now.ms, severity, told) {
            waiting::wait(tx, &route.name, &alert.id, why, due_ms)?;
            heard = Heard::Told;
        }
    }
    Ok(heard)
}

/// A line without card numbers: a rule's sentence may have been written with one.
pub fn unnumbered(line: &str) -> String {
    let (masked, _) = letters::mask(line.as_bytes(), false);
    String::from_utf8_lossy(&masked).into_owned()
}

/// Lays down a line of an alert for a rebuild: nobody is told.
///
/// # Errors
/// Where the store does not answer.
pub fn rebuilt(tx: &mut Tx<'_>, line: &str, now_ms: i64) -> Result<Heard, StoreError> {
    let line = unnumbered(line);
    let Some(alert) = Alert::read(&line) else {
        return Ok(Heard::Unreadable);
    };
    let is_news = alerts::keep(tx, Shelf::Rebuilt, &alert, &line, now_ms)?;
    Ok(if is_news { Heard::Kept } else { Heard::Repeat })
}

/// Takes in a line of a hold: it tells what was done, and nobody is told of it alone.
///
/// # Errors
/// Where the store does not answer.
pub fn hold(tx: &mut Tx<'_>, shelf: Shelf, line: &str) -> Result<Heard, StoreError> {
    let line = unnumbered(line);
    let Some(hold) = Hold::read(&line) else {
        return Ok(Heard::Unreadable);
    };
    let is_news = alerts::keep_hold(tx, shelf, &hold, &line)?;
    Ok(if is_news { Heard::Kept } else { Heard::Repeat })
}
