//! Phase two: an event, its outcome included, becomes part of its cardholder's record.
//!
//! History, counters, habits, known places, cards, phones and challenges are all fed here and
//! nowhere else. What the rules make of it (alerts, holds) is in `raise`.

use crate::domain::codes::{
    Action, AuthorizationKind, Channel, EventType, Message, ResponseGroup, Security,
};
use crate::domain::country::Country;
use crate::domain::event::{Authorization, Body, CardChange, Eid, Enrolment, Event};
use crate::domain::ids::Fingerprint;
use crate::engine::aggregates;
use crate::engine::book::Book;
use crate::engine::cards::{self, Card};
use crate::engine::challenge::{self, Setting};
use crate::engine::class::{Class, ClassField};
use crate::engine::cold::Purchase;
use crate::engine::features::{View, country_accustomed, network_accustomed};
use crate::engine::habit::level_up;
use crate::engine::known::{self, Kind};
use crate::engine::past::{self, Past};
use crate::engine::prepared::Prepared;
use crate::engine::record::{Marks, Record, Spare, seconds};
use crate::engine::seen;

/// What is taken from the view before the record may change.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    class: Class,
    keep: bool,
    approved: bool,
    amount_minor: i64,
    /// For what belongs to a challenge, and for eID steps.
    setting: Option<Setting>,
    merchant: u32,
    mcc_group: u8,
    country: u8,
    passed_network: u32,
}

/// Reads off an event in hand all that absorbing it needs.
#[inline]
pub fn facts(view: &View<'_>) -> Facts {
    let event = view.event;
    let purchase = view.purchase.unwrap_or_default();
    let response = match &event.body {
        Body::Authorization(payment) => view.response(payment),
        Body::Threeds(_)
        | Body::Otp(_)
        | Body::Eid(_)
        | Body::Enrolment(_)
        | Body::Card(_)
        | Body::Disposition(_)
        | Body::Hold(_) => ResponseGroup::Unknown,
    };
    let passed = view.challenge.filter(|c| c.passed());
    let set = event.acs_fp.0 != 0 || view.challenge.is_some() || matches!(event.body, Body::Eid(_));
    Facts {
        class: view.class.with(ClassField::Response, response.code()),
        keep: is_kept(event),
        approved: response == ResponseGroup::Approved,
        amount_minor: settled(view, &purchase),
        setting: set.then(|| setting(view)),
        merchant: purchase.merchant,
        mcc_group: purchase.mcc_group,
        country: purchase.country,
        passed_network: passed.map_or(0, |c| c.browser_network),
    }
}

#[inline(never)]
fn setting(view: &View<'_>) -> Setting {
    let place = view.event.place;
    let day = view.day();
    let country = place.country.map_or(0, Country::index);
    Setting {
        purchase: view.own,
        country_accustomed: country_accustomed(view.record, country, day),
        network_accustomed: network_accustomed(view.record, place.network, day),
        acs: view.challenge.map_or(0, |c| c.acs),
    }
}

/// The amount that history keeps: what was approved where that was less, else what was asked for.
fn settled(view: &View<'_>, purchase: &Purchase) -> i64 {
    let asked = purchase.amount_minor.unwrap_or(0);
    let Body::Authorization(payment) = &view.event.body else {
        return asked;
    };
    let part = payment.approved_minor.zip(payment.currency);
    part.and_then(|(minor, currency)| view.book.rates.to_base_minor(minor, currency))
        .unwrap_or(asked)
}

/// Whether history keeps such an event: not the answers and wishes between an AReq and its RReq,
/// not undoings (they change what they undo), and nothing that is not the cardholder's doing.
pub fn is_kept(event: &Event) -> bool {
    match &event.body {
        Body::Authorization(payment) => !payment.is_undoing(),
        Body::Threeds(message) => matches!(message.message, Message::AReq | Message::RReq),
        Body::Otp(_) | Body::Eid(_) | Body::Enrolment(_) | Body::Card(_) => true,
        Body::Disposition(_) | Body::Hold(_) => false,
    }
}

/// Makes an event part of the record. Returns how many entries had to give way to bounds.
pub fn absorb(
    record: &mut Record,
    prepared: &Prepared,
    event: &Event,
    facts: &Facts,
    clock_ms: i64,
    spare: &mut Spare,
) -> u32 {
    let book = &prepared.book;
    let clock_s = seconds(clock_ms);
    let mut gave_way = 0;
    if facts.keep {
        let past = Past {
            at_s: seconds(event.at.ms),
            amount: u32::try_from(facts.amount_minor.max(0)).unwrap_or(u32::MAX),
            class: facts.class,
            key: if event.kind() == EventType::Eid {
                event.place.network
            } else {
                facts.merchant
            },
            id: event.id_fp.short(),
        };
        gave_way += remember(record, event.id_fp.0, past, clock_ms, spare);
        gave_way += aggregates::feed(record, prepared, &past, clock_s);
    } else {
        gave_way += u32::from(seen::note(record, event.id_fp.0, clock_ms));
    }
    match &event.body {
        Body::Authorization(payment) if payment.is_undoing() => {
            // What a sweep may or may not have forgotten already must not show.
            past::prune(record, clock_s);
            undo(record, book, payment);
        }
        Body::Authorization(payment) => pay(record, event, payment, facts),
        Body::Eid(eid) => eid_step(record, event, eid, facts),
        Body::Enrolment(enrolment) => gave_way += enrol(record, event, enrolment),
        Body::Card(change) => gave_way += change_card(record, event, change),
        Body::Threeds(_) | Body::Otp(_) | Body::Disposition(_) | Body::Hold(_) => {}
    }
    if let Some(setting) = &facts.setting
        && (event.acs_fp.0 != 0 || setting.acs != 0)
    {
        let is_plain_payment = event.kind() == EventType::Authorization && setting.acs == 0;
        if !is_plain_payment {
            let cold = record.cold.get_or_insert_default();
            gave_way += u32::from(challenge::absorb(cold, event, setting, clock_ms));
        }
    }
    gave_way
}

/// Keeps an event's id and the event itself. Returns how many entries had to give way.
fn remember(record: &mut Record, id: u64, past: Past, clock_ms: i64, spare: &mut Spare) -> u32 {
    let clock_s = seconds(clock_ms);
    let ids = seen::renewal(record, id, clock_ms);
    if let Some((ids, events)) = ids.zip(past::renewal(record, past, clock_s)) {
        record.renew(ids, events, spare);
        return 0;
    }
    u32::from(seen::note(record, id, clock_ms)) + u32::from(past::insert(record, past, clock_s))
}

/// An approved payment teaches habits; a declined one teaches nothing but its attempt.
fn pay(record: &mut Record, event: &Event, payment: &Authorization, facts: &Facts) {
    if !facts.approved {
        return;
    }
    let at_s = seconds(event.at.ms);
    let day = at_s / 86_400;
    let level = level_up(facts.amount_minor);
    if facts.amount_minor > 0 {
        record
            .habit
            .learn(facts.amount_minor, at_s, event.at.hour());
    }
    let in_person = matches!(payment.channel, Channel::Pos | Channel::Atm);
    if facts.merchant != 0 {
        let kind = if in_person {
            Kind::Merchant
        } else {
            Kind::RemoteMerchant
        };
        known::note(record, kind, facts.merchant, day, level);
    }
    if facts.mcc_group != 0 {
        known::note(
            record,
            Kind::MccGroup,
            u32::from(facts.mcc_group),
            day,
            level,
        );
    }
    let by_chip = matches!(
        payment.security,
        Security::ChipPin | Security::Chip | Security::Contactless
    );
    if in_person && facts.country != 0 {
        if by_chip {
            known::note(record, Kind::PaidCountry, u32::from(facts.country), day, 0);
        }
        if at_s >= record.marks.present_s {
            record.marks.present_s = at_s;
            record.marks.present_country = facts.country;
        }
    }
    if facts.passed_network != 0 {
        known::note(record, Kind::Network, facts.passed_network, day, 0);
    }
}

/// A reversal takes back what it undoes: all of the attempt where it covers the amount, else that
/// much of it. A refund gives money back; the attempt stays. What is older than the exact history
/// is beyond undoing.
fn undo(record: &mut Record, book: &Book, payment: &Authorization) {
    let original = payment.original_fp;
    if original == Fingerprint::default() {
        return;
    }
    let minor = payment
        .currency
        .and_then(|c| book.rates.to_base_minor(payment.amount_minor, c));
    let taken = u32::try_from(minor.unwrap_or(0).max(0)).unwrap_or(u32::MAX);
    let reversal = payment.kind == AuthorizationKind::Reversal;
    let whole = |past: &Past| reversal && (taken >= past.amount || taken == 0);
    let code = EventType::Authorization.code();
    let before = past::change(record, original.short(), code, |past| {
        if whole(past) {
            past.class = past.class.reversed();
        } else {
            past.amount = past.amount.saturating_sub(taken);
        }
    });
    if let Some(before) = before {
        let amount = if whole(&before) {
            before.amount
        } else {
            taken.min(before.amount)
        };
        aggregates::undo(
            record,
            &book.aggregates,
            before.class,
            before.at_s,
            amount,
            whole(&before),
        );
    }
}

fn eid_step(record: &mut Record, event: &Event, eid: &Eid, facts: &Facts) {
    let at_s = seconds(event.at.ms);
    let day = at_s / 86_400;
    if eid.action == Action::Authenticated {
        if let Some(country) = event.place.country {
            known::note(record, Kind::EidCountry, u32::from(country.index()), day, 0);
        }
        if event.place.network != 0 {
            known::note(record, Kind::Network, event.place.network, day, 0);
        }
    }
    let marks = &mut record.marks;
    let accustomed = facts.setting.and_then(|setting| setting.country_accustomed);
    if matches!(eid.action, Action::AppActivated | Action::AppReactivated) && at_s >= marks.app_s {
        marks.app_s = at_s;
        marks.set(Marks::APP_PLACE_KNOWN, accustomed.is_some());
        marks.set(Marks::APP_ACCUSTOMED, accustomed == Some(true));
    } else if eid.action == Action::Blocked {
        marks.set(Marks::EID_BLOCKED, true);
    } else if eid.action == Action::Unblocked {
        marks.set(Marks::EID_BLOCKED, false);
    }
}

fn enrol(record: &mut Record, event: &Event, enrolment: &Enrolment) -> u32 {
    let at_s = seconds(event.at.ms);
    if enrolment.action == Action::CardEnrolled {
        let full = cards::change(record, event.card_fp.0, |card| {
            cards::act(card, enrolment.action, event.at.ms, None);
        });
        return u32::from(full);
    }
    let marks = &mut record.marks;
    if at_s < marks.phone_s {
        return 0;
    }
    if enrolment.action == Action::PhoneDeleted {
        marks.phone_s = 0;
        marks.set(Marks::PHONE_DELETED, true);
        return 0;
    }
    let replaced = enrolment.action == Action::PhoneChanged
        || marks.phone_s != 0
        || marks.has(Marks::PHONE_DELETED);
    marks.set(Marks::PHONE_REPLACED, replaced);
    marks.phone_s = at_s;
    marks.phone_channel = enrolment.channel.code();
    marks.phone_country = enrolment.phone_country.map_or(0, Country::index);
    0
}

fn change_card(record: &mut Record, event: &Event, change: &CardChange) -> u32 {
    if let Some(home) = change.home_country {
        record.marks.home = home.index();
    }
    let scheme = event.str(change.scheme);
    let mastercard = scheme.contains("mastercard") || scheme.contains("maestro");
    let full = cards::change(record, event.card_fp.0, |card| {
        cards::act(card, change.action, event.at.ms, change.until_ms);
        if !scheme.is_empty() {
            card.flags &= !Card::MASTERCARD;
            card.flags |= if mastercard { Card::MASTERCARD } else { 0 };
        }
    });
    let mut gave_way = u32::from(full);
    for alias in &change.aliases {
        let alias = Fingerprint::of(event.str(*alias)).0;
        gave_way += u32::from(cards::bind_alias(record, event.card_fp.0, alias));
    }
    gave_way
}
