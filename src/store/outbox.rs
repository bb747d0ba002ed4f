//! The outbox: messages on their way to people, one row for each receiver, and each attempt at sending one.
//!
//! A row is queued in the transaction of what caused it, marked before it is sent, and settled after; one that is
//! found marked after a crash has had an end that nobody knows. When to try again is decided by `notify`.

use super::{Row, StoreError, Tx};

/// The way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// Mail.
    Mail,
    /// HTTP.
    Webhook,
}

impl Channel {
    /// The word in the store and in counts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Webhook => "webhook",
        }
    }
}

/// A message to one receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, from what caused it: 32 hex digits.
    pub id: String,
    /// The route.
    pub route: String,
    /// An address, or a webhook's name.
    pub target: String,
    /// The episode, where it is about one.
    pub alert: Option<String>,
    /// How many episodes it tells of.
    pub episodes: i64,
    /// What is sent, in the channel's own shape.
    pub body: String,
    /// When it was queued.
    pub created_ms: i64,
    /// Which attempt this is, from 1.
    pub attempt: i64,
    /// Whether an earlier attempt had an end that nobody knows.
    pub is_doubtful: bool,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The receiver has it.
    Sent,
    /// It is tried again at a wall time.
    Later {
        /// When.
        due_ms: i64,
        /// What was said.
        said: String,
        /// Whether the receiver may have it all the same.
        is_doubtful: bool,
    },
    /// It is not tried again.
    Failed {
        /// What was said.
        said: String,
    },
    /// It was not tried: its receiver is given a rest.
    Rests {
        /// Until when.
        due_ms: i64,
    },
}

/// Queues a message, unless its id is there already.
///
/// # Errors
/// Where the store does not answer.
pub fn put(tx: &mut Tx<'_>, channel: Channel, message: &Message) -> Result<(), StoreError> {
    tx.change(
        "INSERT INTO outbox (id, route, channel, target, alert, episodes, body, created, due, attempts, state, doubtful)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, 0, 'queued', 0) ON CONFLICT (id) DO NOTHING",
        &[
            (&message.id).into(),
            (&message.route).into(),
            channel.word().into(),
            (&message.target).into(),
            message.alert.as_deref().into(),
            message.episodes.into(),
            (&message.body).into(),
            message.created_ms.into(),
        ],
    )
    .map(drop)
}

/// The id of the first message to a receiver about an episode.
///
/// # Errors
/// Where the store does not answer.
pub fn first(
    tx: &mut Tx<'_>,
    channel: Channel,
    target: &str,
    alert: &str,
) -> Result<Option<String>, StoreError> {
    let row = tx.row(
        "SELECT id FROM outbox WHERE alert = $1 AND target = $2 AND channel = $3 ORDER BY created, id LIMIT 1",
        &[alert.into(), target.into(), channel.word().into()],
    )?;
    Ok(row.map(|row| row.text(0).to_owned()))
}

/// Takes the message that is due for longest, and marks it as being sent.
///
/// # Errors
/// Where the store does not answer.
pub fn take(tx: &mut Tx<'_>, channel: Channel, now_ms: i64) -> Result<Option<Message>, StoreError> {
    let row = tx.row(
        "SELECT id, route, target, alert, episodes, body, created, attempts, doubtful FROM outbox
         WHERE channel = $1 AND state = 'queued' AND due <= $2 ORDER BY due, id LIMIT 1",
        &[channel.word().into(), now_ms.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    tx.change(
        "UPDATE outbox SET state = 'sending', attempts = attempts + 1 WHERE id = $1",
        &[row.text(0).into()],
    )?;
    Ok(Some(message(&row)))
}

fn message(row: &Row) -> Message {
    Message {
        id: row.text(0).to_owned(),
        route: row.text(1).to_owned(),
        target: row.text(2).to_owned(),
        alert: row.maybe(3).map(str::to_owned),
        episodes: row.int(4),
        body: row.text(5).to_owned(),
        created_ms: row.int(6),
        attempt: row.int(7) + 1,
        is_doubtful: row.int(8) != 0,
    }
}

/// Settles an attempt.
///
/// # Errors
/// Where the store does not answer.
pub fn settle(
    tx: &mut Tx<'_>,
    message: &Message,
    end: &End,
    now_ms: i64,
) -> Result<(), StoreError> {
    let id = || (&message.id).into();
    let (result, said) = match end {
        End::Sent => {
            tx.change(
                "UPDATE outbox SET state = 'sent', ended = $1, error = NULL WHERE id = $2",
                &[now_ms.into(), id()],
            )?;
            ("sent", None)
        }
        End::Later {
            due_ms,
            said,
            is_doubtful,
        } => {
            tx.change(
                "UPDATE outbox SET state = 'queued', due = $1, error = $2, doubtful = doubtful + $3 WHERE id = $4",
                &[
                    (*due_ms).into(),
                    said.into(),
                    i64::from(*is_doubtful).into(),
                    id(),
                ],
            )?;
            let word = if *is_doubtful { "doubtful" } else { "later" };
            (word, Some(said.as_str()))
        }
        End::Failed { said } => {
            tx.change(
                "UPDATE outbox SET state = 'failed', ended = $1, error = $2 WHERE id = $3",
                &[now_ms.into(), said.into(), id()],
            )?;
            ("failed", Some(said.as_str()))
        }
        End::Rests { due_ms } => {
            tx.change(
                "UPDATE outbox SET state = 'queued', due = $1, attempts = attempts - 1 WHERE id = $2",
                &[(*due_ms).into(), id()],
            )?;
            return Ok(());
        }
    };
    tx.change(
        "INSERT INTO deliveries (message, attempt, at, result, said) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (message, attempt) DO NOTHING",
        &[
            id(),
            message.attempt.into(),
            now_ms.into(),
            result.into(),
            said.into(),
        ],
    )
    .map(drop)
}

/// Queues again what a crash left marked: nobody knows how those attempts ended. How many there were.
///
/// # Errors
/// Where the store does not answer.
pub fn recover(tx: &mut Tx<'_>, now_ms: i64) -> Result<u64, StoreError> {
    tx.change(
        "UPDATE outbox SET state = 'queued', due = $1, doubtful = doubtful + 1,
             error = 'the process ended while this was being sent' WHERE state = 'sending'",
        &[now_ms.into()],
    )
}

/// How the outbox stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Messages that are to be sent.
    pub queued: i64,
    /// Messages given up within the last day.
    pub failed: i64,
    /// Episodes that a route is to be told of by now.
    pub waiting: i64,
    /// What was said of the failure that is the newest.
    pub last_failure: Option<String>,
    /// When the oldest message that is to be sent was queued.
    pub oldest_ms: Option<i64>,
}

/// How the outbox stands now, with the failures of the last so many milliseconds.
///
/// # Errors
/// Where the store does not answer.
pub fn standing(tx: &mut Tx<'_>, now_ms: i64, last_ms: i64) -> Result<Standing, StoreError> {
    let since_ms = now_ms - last_ms;
    let row = tx.row(
        "SELECT count(*), coalesce(min(created), 0) FROM outbox WHERE state IN ('queued', 'sending')",
        &[],
    )?;
    let (queued, oldest) = row.map_or((0, 0), |row| (row.int(0), row.int(1)));
    let failed = tx.rows(
        "SELECT target, error FROM outbox WHERE state = 'failed' AND ended > $1 ORDER BY ended DESC LIMIT 1",
        &[since_ms.into()],
    )?;
    let count = tx.number(
        "SELECT count(*) FROM outbox WHERE state = 'failed' AND ended > $1",
        &[since_ms.into()],
    )?;
    Ok(Standing {
        queued,
        failed: count,
        waiting: tx.number(
            "SELECT count(*) FROM waiting WHERE due <= $1",
            &[now_ms.into()],
        )?,
        last_failure: failed
            .first()
            .map(|row| format!("{}: {}", row.text(0), row.text(1))),
        oldest_ms: (queued > 0).then_some(oldest),
    })
}

/// Forgets messages that ended before a wall time, with their attempts.
///
/// # Errors
/// Where the store does not answer.
pub fn forget(tx: &mut Tx<'_>, before_ms: i64) -> Result<u64, StoreError> {
    tx.change(
        "DELETE FROM outbox WHERE state IN ('sent', 'failed') AND ended < $1",
        &[before_ms.into()],
    )
}
