//! Episodes: one open alert per cardholder and pattern, opened, fed and closed.
//!
//! The lines it returns are what people and topics see. When an episode closes by itself is an
//! event-time matter (72 h without growth), kept as its deadline.

use crate::domain::codes::Severity;
use crate::domain::ids::EffectId;
use crate::domain::outcome::{
    Alert, AlertStatus, Effect, FactorState, MAX_ALERT_EVENTS, MAX_REASONS, Reason, RuleRef,
};
use crate::engine::cold::{Cold, Episode, MAX_EPISODES};
use std::sync::Arc;

/// What an event brings to an episode.
#[derive(Debug)]
pub struct Feed<'a> {
    /// The pattern.
    pub pattern: &'a Arc<str>,
    /// The event's id.
    pub trigger: &'a str,
    /// The card in hand, if any.
    pub card: Option<&'a str>,
    /// The worst severity of the rules that hit.
    pub severity: Severity,
    /// Their score together, 0-999.
    pub score: u16,
    /// The rules.
    pub rules: Vec<RuleRef>,
    /// Their sentences.
    pub reasons: Vec<Reason>,
    /// Factors raised (bits 0-15) and looked at (bits 16-31).
    pub factors: u32,
}

/// Opens or feeds an episode at `at_ms`; returns its id and whether it had to end another.
pub fn feed(
    cold: &mut Cold,
    cardholder: &str,
    feed: Feed<'_>,
    at_ms: i64,
    closes_ms: i64,
    effects: &mut Vec<Effect>,
) -> (EffectId, bool) {
    if let Some(episode) = cold
        .episodes
        .iter_mut()
        .find(|e| e.pattern == *feed.pattern)
    {
        grow(episode, feed, closes_ms);
        effects.push(told(episode, cardholder, AlertStatus::Updated, at_ms, None));
        return (episode.id, false);
    }
    let full = cold.episodes.len() >= MAX_EPISODES;
    if full {
        let stalest =
            (0..cold.episodes.len()).min_by_key(|i| cold.episodes.get(*i).map(|e| e.closes_ms));
        let ended = cold.episodes.remove(stalest.unwrap_or(0));
        effects.push(told(&ended, cardholder, AlertStatus::Closed, at_ms, None));
    }
    let id = EffectId::derive(cardholder, "alert", feed.pattern, feed.trigger, 0);
    let episode = Episode {
        id,
        pattern: Arc::clone(feed.pattern),
        card: feed.card.map(str::to_owned),
        severity: feed.severity,
        score: feed.score,
        count: 1,
        events: vec![feed.trigger.to_owned()],
        rules: feed.rules,
        reasons: feed.reasons,
        factors: feed.factors,
        closes_ms,
        holds: 0,
    };
    effects.push(told(&episode, cardholder, AlertStatus::Open, at_ms, None));
    cold.episodes.push(episode);
    (id, full)
}

fn grow(episode: &mut Episode, feed: Feed<'_>, closes_ms: i64) {
    episode.severity = episode.severity.max(feed.severity);
    episode.score = episode.score.max(feed.score);
    episode.count = episode.count.saturating_add(1);
    if episode.events.len() == MAX_ALERT_EVENTS {
        // The first event is the story's beginning and stays; the second oldest goes.
        episode.events.remove(1);
    }
    episode.events.push(feed.trigger.to_owned());
    for rule in feed.rules {
        if !episode.rules.contains(&rule) {
            episode.rules.push(rule);
        }
    }
    for reason in feed.reasons {
        if !episode.reasons.contains(&reason) && episode.reasons.len() < MAX_REASONS {
            episode.reasons.push(reason);
        }
    }
    if episode.card.as_deref() != feed.card {
        episode.card = None;
    }
    episode.factors |= feed.factors;
    episode.closes_ms = closes_ms;
}

/// Closes episodes that a disposition speaks of: by alert id, or by an event among theirs. Returns
/// how many holds were asked for in them.
pub fn dispose(
    cold: &mut Cold,
    cardholder: &str,
    subject: &str,
    of_alert: bool,
    by: &str,
    at_ms: i64,
    effects: &mut Vec<Effect>,
) -> u32 {
    let mut holds = 0;
    let alert = if of_alert {
        EffectId::parse(subject)
    } else {
        None
    };
    cold.episodes.retain(|episode| {
        let named = match alert {
            Some(id) => episode.id == id,
            None => !of_alert && episode.events.iter().any(|event| event == subject),
        };
        if named {
            holds += episode.holds;
            effects.push(told(
                episode,
                cardholder,
                AlertStatus::Closed,
                at_ms,
                Some(by),
            ));
        }
        !named
    });
    holds
}

/// A line of the episode's life as it stands now; `trigger` where it is not its newest event.
pub fn told(
    episode: &Episode,
    cardholder: &str,
    status: AlertStatus,
    at_ms: i64,
    trigger: Option<&str>,
) -> Effect {
    let newest = episode.events.last().map_or("", String::as_str);
    Effect::Alert(Box::new(Alert {
        id: episode.id,
        at_ms,
        status,
        card: episode.card.clone(),
        cardholder: cardholder.to_owned(),
        pattern: Arc::clone(&episode.pattern),
        severity: episode.severity,
        score: episode.score,
        count: episode.count,
        events: episode.events.clone(),
        trigger: trigger.unwrap_or(newest).to_owned(),
        rules: episode.rules.clone(),
        reasons: episode.reasons.clone(),
        rts_factors: factors(episode.factors),
    }))
}

fn factors(bits: u32) -> [FactorState; 11] {
    std::array::from_fn(|factor| {
        if bits >> factor & 1 == 1 {
            FactorState::Raised
        } else if bits >> (factor + 16) & 1 == 1 {
            FactorState::Checked
        } else {
            FactorState::NotAvailable
        }
    })
}
