//! The compiled rule book: what the engine evaluates, as the loader (`rulebook`) made it.
//!
//! Everything here is checked: names resolve, types fit, bounds hold. The engine never meets a
//! faulty rule. Texts of faults, YAML and files belong to the loader.

use crate::domain::codes::{Advice, HoldKind, Severity};
use crate::domain::currency::RateTable;
use crate::domain::ids::Fingerprint;
use crate::domain::outcome::Refusals;
use crate::engine::vocabulary::Types;
use crate::expr::{Program, Scheme, Symbols};
use std::sync::Arc;

/// The most rules of a book: candidate sets are bit sets of this width.
pub const MAX_RULES: usize = 512;
/// The most aggregates of a book (hidden numerators and denominators of rates included).
pub const MAX_AGGREGATES: usize = 256;
/// The most steps of a sequence, and the most repeats of all its steps together.
pub const MAX_SEQUENCE_STATES: usize = 16;
/// The longest span that the exact history serves; longer ones take bucketed counters.
pub const EXACT_SPAN_MS: i64 = 24 * 3_600_000;
/// The longest span of an aggregate or sequence: 90 days.
pub const MAX_SPAN_MS: i64 = 90 * 24 * 3_600_000;

/// A compiled rule book.
#[derive(Debug)]
pub struct Book {
    /// Its version, as decisions name it: the name in `policy.yaml`, `+`, and 12 hex digits of the
    /// SHA-256 over all its files.
    pub version: String,
    /// Names, types and slots of everything that conditions may read: built-ins, then aggregates.
    pub scheme: Scheme,
    /// The rules, in order of id.
    pub rules: Vec<Rule>,
    /// The aggregates, in slot order after the built-ins.
    pub aggregates: Vec<Aggregate>,
    /// Which group each merchant category code belongs to.
    pub mcc_groups: MccGroups,
    /// Rates to the base currency.
    pub rates: RateTable,
    /// Named lists; conditions refer to them by index.
    pub lists: Vec<List>,
    /// How scores become actions.
    pub policy: Policy,
}

/// Merchant category codes in groups; configuration, since published lists disagree.
#[derive(Debug)]
pub struct MccGroups {
    /// The groups' names; code = position + 1. The last is always `other`.
    pub symbols: Arc<Symbols>,
    /// For each code 0-9999 its group's code.
    pub of: Box<[u8]>,
}

impl MccGroups {
    /// The group's code of a merchant category code; 0 for a number that is none.
    pub fn code(&self, mcc: u16) -> u8 {
        self.of.get(usize::from(mcc)).copied().unwrap_or(0)
    }
}

/// Which phase a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Before the outcome is known: the rule bears on the decision.
    Decide,
    /// With the outcome: the rule raises alerts and holds for what follows.
    Absorb,
}

/// Whether a rule acts or is only watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It acts.
    Live,
    /// It is evaluated and reported beside the live rules, and changes nothing.
    Shadow,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its id, kebab-case; also the reason's code.
    pub id: String,
    /// Its version, counted by its author.
    pub version: u32,
    /// The analyst's sentence, the reason's text.
    pub why: String,
    /// The event types it looks at.
    pub on: Types,
    /// Decide or absorb.
    pub phase: Phase,
    /// Live or shadow.
    pub mode: Mode,
    /// The condition; absent where the sequence says all.
    pub when: Option<Program>,
    /// Where this is true the rule does not hit.
    pub unless: Option<Program>,
    /// Ordered steps of which this event must complete the last.
    pub sequence: Option<Sequence>,
    /// What a hit adds to the score, -999..=999 (protective rules subtract).
    pub score: i32,
    /// The pattern whose episode a hit opens or feeds; none for rules that only move the score.
    pub pattern: Option<String>,
    /// Severity of the alert.
    pub severity: Severity,
    /// The hold that a hit asks for.
    pub hold: Option<HoldPlan>,
    /// The PSD2 RTS factors that a hit raises, as indices of [`RTS_FACTORS`].
    pub rts_factors: Vec<u8>,
}

/// The factors of PSD2 RTS (EU) 2018/389 that an alert reports: article 2(2) and 18(2)(c).
pub const RTS_FACTORS: &[&str] = &[
    "2(2)(a) compromised elements",
    "2(2)(b) amount",
    "2(2)(c) known fraud scenarios",
    "2(2)(d) malware",
    "2(2)(e) abnormal use of device or software",
    "18(2)(c)(i) abnormal spending",
    "18(2)(c)(ii) unusual device or software access",
    "18(2)(c)(iii) malware",
    "18(2)(c)(iv) known fraud scenario",
    "18(2)(c)(v) abnormal location of payer",
    "18(2)(c)(vi) high-risk location of payee",
];

/// The short names of [`RTS_FACTORS`], as rules write them and alerts show them.
pub const RTS_KEYS: &[&str] = &[
    "2.2.a",
    "2.2.b",
    "2.2.c",
    "2.2.d",
    "2.2.e",
    "18.2.c.i",
    "18.2.c.ii",
    "18.2.c.iii",
    "18.2.c.iv",
    "18.2.c.v",
    "18.2.c.vi",
];

/// A hold that a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldPlan {
    /// Step up or decline.
    pub kind: HoldKind,
    /// How long it stands, in milliseconds of event time.
    pub for_ms: i64,
    /// Methods that may not satisfy it.
    pub methods_refused: Refusals,
    /// True: every card of the cardholder; false: the card in hand.
    pub all_cards: bool,
}

/// Ordered steps; the rule hits at the event that completes the last.
///
/// A match is a chain of events in order of arrival, each step's condition true `count` times,
/// the first event less than `within_ms` before the last.
#[derive(Debug)]
pub struct Sequence {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// From the first event of the chain to the last, in milliseconds.
    pub within_ms: i64,
    /// Number of this sequence's first state among all sequences' states of the book.
    pub first_state: u16,
}

impl Sequence {
    /// A fingerprint of what its states mean: the rule's id, and the steps' types, conditions and
    /// counts. The spans are not in it, since a state is the moment at which its chain started. By
    /// it a checkpoint knows the states again after the rule book has changed.
    pub fn identity(&self, rule: &str) -> Fingerprint {
        let steps: Vec<_> = self
            .steps
            .iter()
            .map(|s| (s.on, s.count, s.absent_ms.is_some(), s.when.source()))
            .collect();
        Fingerprint::of(&format!("{rule:?} {steps:?}"))
    }

    /// How many states its steps take: one for each repeat of each present step.
    pub fn states(&self) -> u16 {
        self.steps
            .iter()
            .filter(|s| s.absent_ms.is_none())
            .map(|s| u16::from(s.count))
            .sum()
    }
}

/// One step of a sequence.
#[derive(Debug)]
pub struct Step {
    /// The event types it looks at.
    pub on: Types,
    /// Its condition; outcomes are visible except in the last step of a decide-phase rule.
    pub when: Program,
    /// How many times it must come true, 1-8; 1 for absence.
    pub count: u8,
    /// An absence: no such event. In the middle of a sequence, it breaks the chain when it comes
    /// (the time is not used, 0); as the last step the rule hits when this many milliseconds of
    /// event time have passed without it.
    pub absent_ms: Option<i64>,
}

/// What an aggregate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// How many events.
    Count,
    /// Sum of amounts, in minor units of the base currency.
    Sum,
    /// Largest amount; 0 where there is none.
    Max,
    /// Smallest amount; unknown where there is none.
    Min,
    /// Mean amount, rounded down; unknown where there is none.
    Avg,
    /// How many different values of the field.
    Distinct,
    /// How long ago the newest such event was; unknown where there is none in the span.
    Last,
    /// Share of the base's events that also pass the filter; unknown where the base is empty.
    Rate,
}

/// What an aggregate is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// The event itself (count, last, rate).
    Event,
    /// The purchase's amount (sum, max, min, avg).
    Amount,
    /// The merchant (distinct).
    Merchant,
    /// The merchant's MCC group (distinct).
    MccGroup,
    /// The merchant's country (distinct).
    MerchantCountry,
    /// The address's network (distinct).
    Network,
}

/// An aggregate over a cardholder's history, declared in `features.yaml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// Its name, snake_case with the span.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Of what.
    pub of: Of,
    /// Which events count.
    pub filter: Filter,
    /// For [`Op::Rate`]: the base; the numerator is `filter` within it.
    pub base: Option<Filter>,
    /// The span, in milliseconds; at most [`MAX_SPAN_MS`].
    pub span_ms: i64,
    /// Only events at the merchant in hand.
    pub same_merchant: bool,
}

impl Aggregate {
    /// True where the exact history serves it; false where it takes bucketed counters.
    pub fn is_exact(&self) -> bool {
        self.span_ms <= EXACT_SPAN_MS
    }

    /// Width of its buckets in seconds: a sixtieth of its span. The value covers the bucket in
    /// hand and the 59 before it, so between 59/60 and the whole of the span.
    pub fn bucket_s(&self) -> i64 {
        (self.span_ms / 60_000).max(1)
    }

    /// A fingerprint of what it means (not of its name), by which a checkpoint knows its counters
    /// again after the rule book has changed.
    pub fn identity(&self) -> Fingerprint {
        Fingerprint::of(&format!(
            "{:?} {:?} {:?} {:?} {} {}",
            self.op, self.of, self.filter, self.base, self.span_ms, self.same_merchant
        ))
    }
}

/// A filter over the categorical facts of an event in history: any of several conjunctions, each
/// a set of accepted codes per class field ([`crate::engine::class`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter {
    /// The event types that can pass, for a quick refusal.
    pub on: Types,
    /// Any of these must hold; each is (class field, accepted codes as a bit set, bit 0 never set).
    pub any: Vec<Vec<(u8, u64)>>,
}

/// A named list of texts, from a file.
#[derive(Debug)]
pub struct List {
    /// Its name, as `in_list` refers to it.
    pub name: String,
    /// Fingerprints of the entries, sorted, each with the moment from which it no longer counts
    /// (`i64::MAX` for never).
    pub entries: Vec<(Fingerprint, i64)>,
}

impl List {
    /// Whether a text is on the list at a moment of event time.
    pub fn holds(&self, text: &str, at_ms: i64) -> bool {
        !self.entries.is_empty() && self.has(Fingerprint::of(text), at_ms)
    }

    /// Whether a text of this fingerprint is on the list at a moment of event time.
    pub fn has(&self, key: Fingerprint, at_ms: i64) -> bool {
        self.entries
            .binary_search_by_key(&key, |(entry, _)| *entry)
            .is_ok_and(|i| self.entries.get(i).is_some_and(|(_, until)| at_ms < *until))
    }
}

/// How scores become actions.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Bands for a payment that can be authenticated, in ascending order of `from`; below the
    /// first it is allowed.
    pub bands: Vec<Band>,
    /// Bands for `recurring` and `moto`: allow or decline only.
    pub unauthenticated: Vec<Band>,
    /// What a step-up hold does to a recurring payment (allow or decline).
    pub held_recurring: Advice,
    /// What a step-up hold does to a mail or telephone order (allow or decline).
    pub held_moto: Advice,
    /// How long an episode stays open without growth, in milliseconds (72 h by contract).
    pub episode_ms: i64,
    /// How long a delivered hold may go without acknowledgement, in milliseconds.
    pub acknowledge_ms: i64,
    /// How long a requested hold may go without delivery, in milliseconds; nothing where the log
    /// carries no deliveries.
    pub deliver_ms: Option<i64>,
}

/// A band of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// The lowest score of the band, 1-999.
    pub from: u16,
    /// What is advised.
    pub action: Advice,
}
