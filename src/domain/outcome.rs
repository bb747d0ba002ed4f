//! What comes out: decisions for machines, alerts for people, holds for the ACS and the host.
//!
//! Values only; how they are written as JSON is `encode`'s business.

use crate::domain::codes::{Advice, HoldKind, HoldState, Method, Refusal, Severity};
use crate::domain::ids::EffectId;
use std::sync::Arc;

/// The most event ids that an alert names, oldest first (EVENTS.md).
pub const MAX_ALERT_EVENTS: usize = 32;
/// The most entries of a decision's `not_available` (EVENTS.md).
pub const MAX_NOT_AVAILABLE: usize = 8;
/// The most reasons of a decision or alert.
pub const MAX_REASONS: usize = 8;

/// A set of refused authentication methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusals(pub u8);

impl Refusals {
    /// The methods, in the order of [`Refusal::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Refusal> {
        Refusal::ALL.iter().copied().filter(move |r| self.has(*r))
    }

    /// Whether a method is in the set.
    pub const fn has(self, refusal: Refusal) -> bool {
        self.0 & (1 << refusal as u8) != 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a challenge passed by this method is refused. A method that is not known is never
    /// accepted where anything stands against it; that is judged elsewhere.
    pub const fn refuses(self, method: Method) -> bool {
        let eid = self.has(Refusal::Eid);
        let this = match method {
            Method::Otp => self.has(Refusal::Otp),
            Method::Eid | Method::EidCodeToken => eid,
            Method::EidCodeCard => eid || self.has(Refusal::EidCodeCard),
            Method::EidApp => eid || self.has(Refusal::EidApp),
            Method::Frictionless | Method::Other | Method::Unknown => false,
        };
        this || self.has(Refusal::Any)
    }
}

impl FromIterator<Refusal> for Refusals {
    fn from_iter<I: IntoIterator<Item = Refusal>>(refusals: I) -> Self {
        Self(
            refusals
                .into_iter()
                .fold(0, |set, refusal| set | 1 << refusal as u8),
        )
    }
}

/// Why: a stable code and the analyst's sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable code: the rule's id, or one of the engine's own (`hold-in-force` …).
    pub code: Arc<str>,
    /// The sentence.
    pub text: Arc<str>,
}

/// A rule, as a decision or alert names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRef {
    /// The rule's id.
    pub id: Arc<str>,
    /// Its version.
    pub version: u32,
}

/// What the monitor says of one event, for machines.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// 0-999.
    pub score: u16,
    /// What is advised.
    pub action: Advice,
    /// Methods that may not be used.
    pub methods_refused: Refusals,
    /// The hold in force that bears on it.
    pub hold: Option<EffectId>,
    /// The live rules that hit, by falling score, then id.
    pub rules: Vec<RuleRef>,
    /// The shadow rules that hit: they bear on nothing.
    pub shadow: Vec<RuleRef>,
    /// Why, in the order of `rules`, the engine's own reasons first.
    pub reasons: Vec<Reason>,
    /// What a live rule wanted and could not have: name and why.
    pub not_available: Vec<(Arc<str>, &'static str)>,
    /// True where the event arrived after its cardholder's clock had passed it.
    pub late: bool,
    /// Hash of the rate table, where the amount was converted.
    pub rates: Option<Arc<str>>,
}

/// Where an episode stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStatus {
    /// New.
    Open,
    /// Grown.
    Updated,
    /// Ended, by disposition or by 72 h without growth.
    Closed,
}

impl AlertStatus {
    /// The wire word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Updated => "updated",
            Self::Closed => "closed",
        }
    }
}

/// What became of a PSD2 RTS factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorState {
    /// A live rule looked and found nothing.
    Checked,
    /// A rule that hit speaks of it.
    Raised,
    /// No live rule could look.
    NotAvailable,
}

impl FactorState {
    /// The wire word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Checked => "checked",
            Self::Raised => "raised",
            Self::NotAvailable => "not_available",
        }
    }
}

/// One line of an episode's life: one episode per cardholder and pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// The episode's id.
    pub id: EffectId,
    /// Event time of what raised, updated or closed it.
    pub at_ms: i64,
    /// Open, updated or closed.
    pub status: AlertStatus,
    /// The card, or nothing where it concerns all cards.
    pub card: Option<String>,
    /// The cardholder's key.
    pub cardholder: String,
    /// The pattern.
    pub pattern: Arc<str>,
    /// The worst severity so far.
    pub severity: Severity,
    /// The highest score so far.
    pub score: u16,
    /// How many events fed it.
    pub count: u32,
    /// Their ids, oldest first, at most [`MAX_ALERT_EVENTS`].
    pub events: Vec<String>,
    /// The event that caused this line.
    pub trigger: String,
    /// The rules that hit in this episode.
    pub rules: Vec<RuleRef>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What became of each factor of the PSD2 RTS table, in the rule book's order.
    pub rts_factors: [FactorState; 11],
}

/// One line of a hold's life.
#[derive(Debug, Clone, PartialEq)]
pub struct Hold {
    /// The hold's id.
    pub id: EffectId,
    /// Event time of the change.
    pub at_ms: i64,
    /// The card, or nothing for every card of the cardholder.
    pub card: Option<String>,
    /// The cardholder's key.
    pub cardholder: String,
    /// Step up or decline.
    pub kind: HoldKind,
    /// Methods that may not satisfy it.
    pub methods_refused: Refusals,
    /// Where it stands.
    pub state: HoldState,
    /// From when, in milliseconds of event time.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
    /// The alert that it belongs to.
    pub alert: EffectId,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// An effect that the shell must perform, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Tell people.
    Alert(Box<Alert>),
    /// Tell the ACS and the host.
    Hold(Box<Hold>),
}
