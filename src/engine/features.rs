//! The built-in features, computed: what each row of the vocabulary is for an event in hand.
//!
//! A [`View`] looks at one event, one cardholder's record and one moment; it changes nothing, so
//! decisions and risk queries share it. Everything may be unknown. Aggregates are computed when
//! first asked for and remembered for the event.

use crate::domain::codes::{Channel, ResponseGroup};
use crate::domain::country::Country;
use crate::domain::currency::Currency;
use crate::domain::event::{Authorization, Body, Event, Threeds};
use crate::domain::time::HOUR_MS;
use crate::engine::book::Book;
use crate::engine::candidates::Left;
use crate::engine::cards::{self, Card};
use crate::engine::class::{Class, ClassField};
use crate::engine::cold::{CHALLENGE_MS, Challenge, Cold, Purchase};
use crate::engine::known::{self, Kind};
use crate::engine::past;
use crate::engine::record::{Record, seconds};
use crate::engine::vocabulary::{BUILT_INS, currency_code};
use crate::expr::Slot;

mod slots;

/// How long an eID step without `acs_trans_id` may follow the challenge that it is taken to belong to.
const NEAR_CHALLENGE_MS: i64 = 15 * 60_000;
/// How long a 3-D Secure authorization without `acs_trans_id` may follow its challenge.
const NEAR_PAYMENT_MS: i64 = HOUR_MS;
/// How long the return after a soft decline may take, in seconds.
const SOFT_DECLINE_S: u32 = 30 * 60;
/// Earlier days with an eID authentication that make a country accustomed. More than one, because
/// an intruder may look around before he strikes.
const EID_DAYS: u8 = 3;
/// The list of hosting networks that `ip_hosting` asks.
const HOSTING_LIST: &str = "hosting-asns";

/// Remembered aggregates of the event in hand, and which rules are left for it.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    stamp: u32,
    values: Vec<(u32, Option<i64>)>,
    /// See [`crate::engine::candidates`].
    pub left: Left,
}

impl Scratch {
    /// One that serves many events.
    pub fn lasting() -> Self {
        Self {
            left: Left::remembering(),
            ..Self::default()
        }
    }

    /// Forgets the event before; `aggregates` is how many a book has.
    pub fn start(&mut self, aggregates: usize) {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 || self.values.len() != aggregates {
            self.values.clear();
            self.values.resize(aggregates, (0, None));
            self.stamp = 1;
        }
    }
}

/// An event in hand against its cardholder's record, at one moment.
#[derive(Debug)]
pub struct View<'a> {
    /// The rule book in force.
    pub book: &'a Book,
    /// The event in hand.
    pub event: &'a Event,
    /// Its cardholder, as before the event.
    pub record: &'a Record,
    /// The cardholder's clock at the event: never behind the event.
    pub clock_ms: i64,
    /// Whether the event arrived behind the clock.
    pub late: bool,
    /// Whether outcomes may be read (the absorb phase).
    pub outcome: bool,
    /// The challenge that the event belongs to, as before the event.
    pub challenge: Option<&'a Challenge>,
    /// The purchase that the event itself tells of.
    pub own: Option<Purchase>,
    /// The purchase in hand: the event's own, or its challenge's.
    pub purchase: Option<Purchase>,
    /// The event's categorical facts, the response apart.
    pub class: Class,
    /// From when each aggregate has counted; see `Engine::warming`.
    pub counted_from_ms: &'a [i64],
    /// Aggregates computed so far.
    pub scratch: &'a mut Scratch,
}

/// The challenge that an event belongs to: by `acs_trans_id`; without one, an eID step for a
/// payment belongs to the newest open challenge, and a 3-D Secure payment to the newest unused
/// challenge of the same merchant and amount.
pub fn challenge_of<'a>(
    cold: Option<&'a Cold>,
    event: &Event,
    own: Option<&Purchase>,
    clock_ms: i64,
) -> Option<&'a Challenge> {
    let challenges = &cold?.challenges;
    if event.acs_fp.0 != 0 {
        let remembered = |c: &&Challenge| clock_ms - c.touched_ms < CHALLENGE_MS;
        return challenges
            .iter()
            .rev()
            .find(|c| c.acs == event.acs_fp.0)
            .filter(remembered);
    }
    match &event.body {
        Body::Eid(eid) if crate::engine::challenge::may_pay(eid) => challenges
            .iter()
            .rev()
            .find(|c| !c.used && clock_ms - c.touched_ms <= NEAR_CHALLENGE_MS),
        Body::Authorization(a)
            if a.security == crate::domain::codes::Security::Threeds && !a.is_undoing() =>
        {
            challenges.iter().rev().find(|c| {
                !c.used
                    && clock_ms - c.touched_ms <= NEAR_PAYMENT_MS
                    && c.purchase.zip(own).is_some_and(|(theirs, ours)| {
                        theirs.merchant == ours.merchant && theirs.amount_minor == ours.amount_minor
                    })
            })
        }
        Body::Authorization(_)
        | Body::Threeds(_)
        | Body::Otp(_)
        | Body::Eid(_)
        | Body::Enrolment(_)
        | Body::Card(_)
        | Body::Disposition(_)
        | Body::Hold(_) => None,
    }
}

/// The purchase that an event itself tells of.
pub fn own_purchase(book: &Book, event: &Event) -> Option<Purchase> {
    let (merchant, amount_minor, currency, mcc) = event.purchase()?;
    Some(Purchase {
        amount_minor: currency.and_then(|c| to_base_minor(book, amount_minor, c)),
        currency: currency.map_or(0, currency_code),
        mcc,
        mcc_group: book.mcc_groups.code(mcc),
        country: merchant.country.map_or(0, Country::index),
        merchant: merchant.id_fp,
    })
}

/// An amount in the base currency, which most amounts are in.
#[inline]
fn to_base_minor(book: &Book, amount_minor: i64, currency: Currency) -> Option<i64> {
    if currency == book.rates.base() {
        return Some(amount_minor);
    }
    book.rates.to_base_minor(amount_minor, currency)
}

/// Whether a country is accustomed on a day; unknown where nothing is known of home or habit.
pub fn country_accustomed(record: &Record, country: u8, day: u32) -> Option<bool> {
    if country == 0 {
        return None;
    }
    let key = u32::from(country);
    let paid = known::find(record, Kind::PaidCountry, key, day).is_some();
    let used = known::find(record, Kind::EidCountry, key, day)
        .is_some_and(|k| k.days_before(day) >= EID_DAYS);
    if country == record.marks.home || paid || used {
        return Some(true);
    }
    let something_known = record.marks.home != 0
        || known::any(record, day, |k| {
            k.kind == Kind::PaidCountry as u8
                || (k.kind == Kind::EidCountry as u8 && k.days_before(day) >= EID_DAYS)
        });
    something_known.then_some(false)
}

/// Whether a network is accustomed on a day; unknown before the first network of an earlier day.
pub fn network_accustomed(record: &Record, network: u32, day: u32) -> Option<bool> {
    if network == 0 {
        return None;
    }
    if known::find(record, Kind::Network, network, day).is_some_and(|k| k.days_before(day) >= 1) {
        return Some(true);
    }
    known::any(record, day, |k| {
        k.kind == Kind::Network as u8 && k.days_before(day) >= 1
    })
    .then_some(false)
}

impl<'a> View<'a> {
    /// An event in hand against a record, at the cardholder's clock; its outcome out of sight.
    pub fn new(
        book: &'a Book,
        event: &'a Event,
        record: &'a Record,
        (clock_ms, late): (i64, bool),
        counted_from_ms: &'a [i64],
        scratch: &'a mut Scratch,
    ) -> Self {
        scratch.start(book.aggregates.len());
        let own = own_purchase(book, event);
        let challenge = challenge_of(record.cold.as_deref(), event, own.as_ref(), clock_ms);
        let purchase = own.or(challenge.and_then(|c| c.purchase));
        Self {
            class: Class::of(event, purchase.as_ref(), challenge, record.marks.home),
            own,
            book,
            event,
            record,
            clock_ms,
            late,
            outcome: false,
            challenge,
            purchase,
            counted_from_ms,
            scratch,
        }
    }
}

impl View<'_> {
    /// Days since 1970 at the cardholder's clock.
    pub fn day(&self) -> u32 {
        seconds(self.clock_ms) / 86_400
    }

    fn abroad(&self, country: u8) -> Option<bool> {
        let home = self.record.marks.home;
        (home != 0 && country != 0).then_some(home != country)
    }

    /// The response group, Mastercard's soft decline told apart.
    pub fn response(&self, payment: &Authorization) -> ResponseGroup {
        // Decode counts a 65 as a limit; few payments meet one.
        if payment.response != ResponseGroup::Limit {
            return payment.response;
        }
        let remote = matches!(
            payment.channel,
            Channel::Ecommerce | Channel::Moto | Channel::Recurring
        );
        let mastercard = || self.card().is_some_and(|card| card.has(Card::MASTERCARD));
        if self.event.str(payment.response_code) == "65" && remote && mastercard() {
            return ResponseGroup::ScaRequired;
        }
        payment.response
    }

    /// What is known of the card in hand.
    pub fn card(&self) -> Option<Card> {
        (self.event.card_fp.0 != 0).then(|| cards::find(self.record, self.event.card_fp.0))?
    }

    fn payment(&self) -> Option<&Authorization> {
        if let Body::Authorization(payment) = &self.event.body {
            Some(payment)
        } else {
            None
        }
    }

    fn threeds(&self) -> Option<&Threeds> {
        if let Body::Threeds(message) = &self.event.body {
            Some(message)
        } else {
            None
        }
    }

    fn base_minor(&self, amount_minor: i64) -> Option<i64> {
        let currency = self.payment()?.currency?;
        self.book.rates.to_base_minor(amount_minor, currency)
    }

    /// Milliseconds since a mark in seconds; nothing where the mark was never set.
    fn age(&self, mark_s: u32) -> Option<i64> {
        (mark_s != 0).then(|| (self.clock_ms - i64::from(mark_s) * 1_000).max(0))
    }

    fn known(&self, kind: Kind, key: u32) -> Option<known::Known> {
        known::find(self.record, kind, key, self.day())
    }

    /// The merchant of the purchase as a remote payee and as a shop.
    fn merchant(&self) -> Option<[Option<known::Known>; 2]> {
        let merchant = self.purchase?.merchant;
        Some(known::merchant(self.record, merchant, self.day()))
    }

    fn present_km(&self) -> Option<i64> {
        let marks = &self.record.marks;
        let here = Country::from_index(self.purchase?.country)?;
        let there =
            (marks.present_s != 0).then(|| Country::from_index(marks.present_country))??;
        // Most payments are where the last one was; the sphere is not asked then.
        Some(if here == there {
            0
        } else {
            i64::from(here.distance_km(there))
        })
    }

    fn after_soft_decline(&self) -> Option<bool> {
        let merchant = self.purchase?.merchant;
        let newest = past::within(self.record, seconds(self.clock_ms), SOFT_DECLINE_S)
            .find(|p| p.key == merchant && p.class.get(ClassField::Response) != 0);
        Some(newest.is_some_and(|p| {
            p.class.get(ClassField::Response) == ResponseGroup::ScaRequired.code()
        }))
    }

    fn ip_hosting(&self) -> Option<bool> {
        let asn = self.event.place.asn?;
        let list = self
            .book
            .lists
            .iter()
            .find(|list| list.name == HOSTING_LIST)?;
        Some(list.holds(&asn.to_string(), self.clock_ms))
    }

    /// An aggregate's value, computed once for the event; a rate as the bits of a double.
    fn aggregate(&mut self, slot: Slot) -> Option<i64> {
        let index = usize::from(slot).checked_sub(BUILT_INS)?;
        let stamp = self.scratch.stamp;
        if let Some((known, value)) = self.scratch.values.get(index)
            && *known == stamp
        {
            return *value;
        }
        let value = self.book.aggregates.get(index).and_then(|aggregate| {
            let from = self.counted_from_ms.get(index).copied().unwrap_or(i64::MIN);
            let warm = self.clock_ms.saturating_sub(from) >= aggregate.span_ms;
            warm.then(|| crate::engine::aggregates::value(self, index, aggregate))?
        });
        if let Some(remembered) = self.scratch.values.get_mut(index) {
            *remembered = (stamp, value);
        }
        value
    }
}
