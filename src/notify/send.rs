//! From the outbox to receivers: take a message, deliver it, settle how it ended; one step at a time, so that a stop
//! between any two loses nothing.
//!
//! How a message is delivered is handed in. Every change asks for the lease: who stood still settles nothing.

use crate::mail::server::{Kind, Refusal};
use crate::notify::pace::{self, Breaker};
use crate::store::outbox::{self, Channel, End, Message};
use crate::store::{Store, StoreError, lease};
use std::collections::BTreeMap;

/// One channel's work.
#[derive(Debug)]
pub struct Sender {
    channel: Channel,
    holder: String,
    breakers: BTreeMap<String, Breaker>,
    /// Delivered, or refused, and not settled: the store did not answer.
    unsettled: Option<(Message, End)>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing is due.
    Idle,
    /// A message's attempt ended.
    Ended(Message, End),
}

impl Sender {
    /// For the holder of the lease.
    pub fn new(channel: Channel, holder: &str) -> Self {
        Self {
            channel,
            holder: holder.to_owned(),
            breakers: BTreeMap::new(),
            unsettled: None,
        }
    }

    /// Takes the message that is due, delivers it and settles it.
    ///
    /// # Errors
    /// Where the store does not answer, or the lease is another's. What was delivered is settled by the next step.
    pub fn step(
        &mut self,
        store: &mut Store,
        now: &dyn Fn() -> i64,
        deliver: &mut dyn FnMut(&Message) -> Result<(), Refusal>,
    ) -> Result<Step, StoreError> {
        if self.unsettled.is_none() {
            let Some(message) = self.take(store, now())? else {
                return Ok(Step::Idle);
            };
            let end = self.attempt(&message, now, deliver);
            self.unsettled = Some((message, end));
        }
        self.settle(store, now())
    }

    /// Takes the message that is due, and marks it.
    fn take(&self, store: &mut Store, now_ms: i64) -> Result<Option<Message>, StoreError> {
        store.commit(|tx| {
            let taken = outbox::take(tx, self.channel, now_ms)?;
            if taken.is_some() {
                lease::hold(tx, &self.holder)?;
            }
            Ok(taken)
        })
    }

    fn attempt(
        &mut self,
        message: &Message,
        now: &dyn Fn() -> i64,
        deliver: &mut dyn FnMut(&Message) -> Result<(), Refusal>,
    ) -> End {
        // All mail goes through one server; each webhook is a receiver of its own.
        let receiver = match self.channel {
            Channel::Mail => String::new(),
            Channel::Webhook => message.target.clone(),
        };
        let breaker = self.breakers.entry(receiver).or_default();
        let given_up = now() - message.created_ms >= pace::TRIED_FOR_MS;
        if let Some(due_ms) = breaker.rests(now()).filter(|_| !given_up) {
            return End::Rests { due_ms };
        }
        let Err(refusal) = deliver(message) else {
            breaker.answered();
            return End::Sent;
        };
        let now_ms = now();
        let asked_ms = now_ms + refusal.wait_ms.unwrap_or(0);
        let is_doubtful = match refusal.kind {
            Kind::Final => {
                breaker.answered();
                return End::Failed { said: refusal.said };
            }
            Kind::Passing => {
                breaker.answered();
                false
            }
            Kind::Server | Kind::Doubtful => {
                breaker.failed(now_ms);
                refusal.kind == Kind::Doubtful
            }
        };
        breaker.asked(asked_ms);
        match pace::again(&message.id, message.attempt, message.created_ms, now_ms) {
            Some(due_ms) => End::Later {
                due_ms: due_ms.max(asked_ms),
                said: refusal.said,
                is_doubtful,
            },
            None => End::Failed {
                said: format!("given up after a day: {}", refusal.said),
            },
        }
    }

    fn settle(&mut self, store: &mut Store, now_ms: i64) -> Result<Step, StoreError> {
        let Some((message, end)) = &self.unsettled else {
            return Ok(Step::Idle);
        };
        let settled = store.commit(|tx| {
            lease::hold(tx, &self.holder)?;
            outbox::settle(tx, message, end, now_ms)
        });
        match settled {
            Ok(()) => {
                let done = self.unsettled.take();
                Ok(done.map_or(Step::Idle, |(message, end)| Step::Ended(message, end)))
            }
            Err(StoreError::NotLeading) => {
                // Whoever leads now has queued it again, as one whose end nobody knows.
                self.unsettled = None;
                Err(StoreError::NotLeading)
            }
            Err(error) => Err(error),
        }
    }
}
