//! What is open for a cardholder: challenges, episodes, holds, absences waited for.
//!
//! Few cardholders have any, so it is boxed apart from the record and dropped when all of it is
//! over. Here full texts are kept, because alerts and holds must name their events. Every list
//! has a bound.

use crate::domain::codes::{HoldKind, HoldState, Method, Severity, TransStatus};
use crate::domain::ids::EffectId;
use crate::domain::outcome::{Reason, Refusals, RuleRef};
use std::sync::Arc;

/// The most open challenges; beyond it the least recently touched gives way.
pub const MAX_CHALLENGES: usize = 12;
/// The most open episodes; beyond it the one without growth for longest is closed.
pub const MAX_EPISODES: usize = 24;
/// The most standing holds; beyond it the one that ends first gives way.
pub const MAX_HOLDS: usize = 24;
/// The most absences waited for; a further one is not waited for.
pub const MAX_ABSENCES: usize = 16;
/// How long a challenge is remembered after its last step, in milliseconds: an authorization may
/// follow its challenge by hours.
pub const CHALLENGE_MS: i64 = 24 * 3_600_000;

/// What is open. Empty lists take no memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cold {
    /// The cardholder's key as text, since alerts and holds must name it; empty where only
    /// challenges were ever open.
    pub holder: Box<str>,
    /// Challenges, in order of opening.
    pub challenges: Vec<Challenge>,
    /// Open episodes, in order of opening.
    pub episodes: Vec<Episode>,
    /// Standing holds, in order of asking.
    pub holds: Vec<Standing>,
    /// Absences waited for, in order of asking.
    pub absences: Vec<Absence>,
    /// [`Cold::next_deadline`] as it was when it last changed; 0 for none.
    pub due_ms: i64,
    /// The deadline for which this cardholder is in the engine's queue; 0 for none.
    pub queued_ms: i64,
}

impl Cold {
    /// Names the cardholder before what will have to tell of them is opened.
    pub fn name(&mut self, holder: &str) {
        if self.holder.is_empty() {
            self.holder = Box::from(holder);
        }
    }

    /// True where nothing is open.
    pub fn is_empty(&self) -> bool {
        self.challenges.is_empty()
            && self.episodes.is_empty()
            && self.holds.is_empty()
            && self.absences.is_empty()
    }

    /// The next moment at which something becomes due of itself (challenges end unseen).
    pub fn next_deadline(&self) -> Option<i64> {
        let episodes = self.episodes.iter().map(|e| e.closes_ms);
        let holds = self.holds.iter().map(Standing::next_deadline);
        let absences = self.absences.iter().map(|a| a.deadline_ms);
        episodes.chain(holds).chain(absences).min()
    }

    /// Forgets challenges untouched for [`CHALLENGE_MS`] at `clock_ms`.
    pub fn prune(&mut self, clock_ms: i64) {
        self.challenges
            .retain(|c| clock_ms - c.touched_ms < CHALLENGE_MS);
    }

    /// Bytes on the heap, texts included.
    pub fn bytes(&self) -> usize {
        let texts: usize = self
            .episodes
            .iter()
            .map(|e| e.events.iter().map(|id| id.capacity() + 24).sum::<usize>() + 128)
            .sum();
        size_of::<Self>()
            + self.holder.len()
            + self.challenges.capacity() * size_of::<Challenge>()
            + self.episodes.capacity() * size_of::<Episode>()
            + self.holds.capacity() * size_of::<Standing>()
            + self.absences.capacity() * size_of::<Absence>()
            + texts
    }
}

/// A purchase in hand: a payment's own, or a challenge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purchase {
    /// Minor units of the base currency; nothing without a rate.
    pub amount_minor: Option<i64>,
    /// The currency's letters as a number; 0 for an unknown one.
    pub currency: u32,
    /// Merchant category code.
    pub mcc: u16,
    /// Code of its MCC group.
    pub mcc_group: u8,
    /// Index of the merchant's country; 0 unknown.
    pub country: u8,
    /// Fingerprint of the merchant; 0 none.
    pub merchant: u32,
}

/// One 3-D Secure challenge, as its messages and its OTP and eID steps have told it so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Challenge {
    /// Fingerprint of `acs_trans_id`.
    pub acs: u64,
    /// When its first message came, in milliseconds.
    pub opened_ms: i64,
    /// When its last step came.
    pub touched_ms: i64,
    /// What is bought; nothing where no AReq was seen.
    pub purchase: Option<Purchase>,
    /// The newest transStatus.
    pub status: TransStatus,
    /// Whether a challenge was asked for (an ARes with C or D).
    pub challenged: bool,
    /// The method that the ACS stated.
    pub stated: Method,
    /// A one-time password was sent.
    pub otp_sent: bool,
    /// A one-time password was delivered.
    pub otp_delivered: bool,
    /// A one-time password was accepted.
    pub otp_accepted: bool,
    /// One-time passwords rejected.
    pub otp_rejections: u8,
    /// An eID step was seen.
    pub eid_seen: bool,
    /// The eID authenticated, by this method.
    pub eid_method: Method,
    /// Country index of the newest eID step; 0 unknown.
    pub eid_country: u8,
    /// Whether that country was accustomed when it came.
    pub eid_country_accustomed: Option<bool>,
    /// Whether that network was accustomed when it came.
    pub eid_network_accustomed: Option<bool>,
    /// Network of the AReq's browser; 0 unknown.
    pub browser_network: u32,
    /// An authorization has used it: it satisfies no other.
    pub used: bool,
}

impl Challenge {
    /// The method that passed it, as far as it is *known*: stated by the ACS (an eID made precise
    /// by its own log), or the only one whose steps match.
    pub fn method(&self) -> Method {
        let stated_eid = self.stated == Method::Eid;
        match self.stated {
            Method::Unknown | Method::Eid => {}
            Method::Otp
            | Method::EidCodeCard
            | Method::EidCodeToken
            | Method::EidApp
            | Method::Frictionless
            | Method::Other => return self.stated,
        }
        if self.eid_method != Method::Unknown && (stated_eid || !self.otp_accepted) {
            return self.eid_method;
        }
        if stated_eid {
            return Method::Eid;
        }
        if self.otp_accepted && self.eid_method == Method::Unknown {
            return Method::Otp;
        }
        Method::Unknown
    }

    /// Whether the cardholder was authenticated.
    pub fn passed(&self) -> bool {
        self.status == TransStatus::Authenticated
    }
}

/// An open episode: an alert in the making.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Its id.
    pub id: EffectId,
    /// Its pattern.
    pub pattern: Arc<str>,
    /// The card, or nothing where it concerns all cards.
    pub card: Option<String>,
    /// The worst severity so far.
    pub severity: Severity,
    /// The highest score so far.
    pub score: u16,
    /// How many events fed it.
    pub count: u32,
    /// Their ids, oldest first.
    pub events: Vec<String>,
    /// The rules that fed it.
    pub rules: Vec<RuleRef>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Factors raised (bits 0-15) and factors looked at (bits 16-31), in the rule book's order.
    pub factors: u32,
    /// When it closes unless it grows, in milliseconds.
    pub closes_ms: i64,
    /// How many holds were asked for in it.
    pub holds: u32,
}

/// A standing hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Its id.
    pub id: EffectId,
    /// The pattern that asked for it.
    pub pattern: Arc<str>,
    /// The card's token, or nothing for every card.
    pub card: Option<String>,
    /// Step up or decline.
    pub kind: HoldKind,
    /// Where it stands.
    pub state: HoldState,
    /// Methods that may not satisfy it.
    pub methods_refused: Refusals,
    /// From when, in milliseconds.
    pub from_ms: i64,
    /// Until when.
    pub until_ms: i64,
    /// The alert that it belongs to.
    pub alert: EffectId,
    /// Why.
    pub reasons: Vec<Reason>,
    /// When the lack of its next step raises an alert: of a delivery while it is requested, of an
    /// acknowledgement once it is delivered; nothing where none is waited for.
    pub awaited_by_ms: Option<i64>,
}

impl Standing {
    fn next_deadline(&self) -> i64 {
        self.awaited_by_ms
            .map_or(self.until_ms, |by| by.min(self.until_ms))
    }
}

/// An absence waited for: unless its event comes before the deadline, the rule hits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    /// The rule's id (its place in the book may change with the book).
    pub rule: Arc<str>,
    /// The event that started the wait.
    pub trigger: String,
    /// Its card, if any.
    pub card: Option<String>,
    /// When the absence becomes a fact, in milliseconds.
    pub deadline_ms: i64,
}
