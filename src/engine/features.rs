//! The built-in features, computed: what each row of the vocabulary is for an event in hand.
//!
//! A [`View`] looks at one event, one cardholder's record and one moment; it changes nothing, so
//! decisions and risk queries share it. Everything may be unknown. Aggregates are computed when
//! first asked for and remembered for the event.

use crate::domain::codes::{Channel, Method, ResponseGroup};
use crate::domain::country::Country;
use crate::domain::event::{Authorization, Body, Eid, Event, Threeds};
use crate::domain::time::HOUR_MS;
use crate::engine::book::Book;
use crate::engine::cards::{self, Card};
use crate::engine::class::ClassField;
use crate::engine::cold::{CHALLENGE_MS, Challenge, Cold, Purchase};
use crate::engine::habit;
use crate::engine::known::{self, Kind};
use crate::engine::past;
use crate::engine::record::{Marks, Record, seconds};
use crate::engine::vocabulary::{BUILT_INS, Feature, currency_code, response_code};
use crate::expr::{Facts, Slot, Type};

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

/// Remembered aggregates of the event in hand.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    stamp: u32,
    values: Vec<(u32, Option<i64>)>,
}

impl Scratch {
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
        amount_minor: currency.and_then(|c| book.rates.to_base_minor(amount_minor, c)),
        currency: currency.map_or(0, currency_code),
        mcc,
        mcc_group: book.mcc_groups.code(mcc),
        country: merchant.country.map_or(0, Country::index),
        merchant: merchant.id_fp,
    })
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

/// A symbol or code as it is written; nothing for other types.
fn written(kind: &Type, code: i64) -> Option<String> {
    match kind {
        Type::Symbol(symbols) => symbols.word(code).map(str::to_owned),
        Type::Code(kind) => Some((kind.show)(u32::try_from(code).ok()?)),
        Type::Int(_) => Some(code.to_string()),
        Type::Bool | Type::Float(_) | Type::Duration | Type::Text => None,
    }
}

/// A boolean as the code of a class field: 1 no, 2 yes, 0 unknown.
pub fn tri(value: Option<bool>) -> u8 {
    value.map_or(0, |v| 1 + u8::from(v))
}

fn coded(code: u8) -> Option<i64> {
    (code != 0).then_some(i64::from(code))
}

impl View<'_> {
    /// Days since 1970 at the cardholder's clock.
    pub fn day(&self) -> u32 {
        seconds(self.clock_ms) / 86_400
    }

    /// Whether the purchase's merchant is abroad.
    pub fn merchant_abroad(&self) -> Option<bool> {
        self.abroad(self.purchase?.country)
    }

    /// Whether the event's address is abroad.
    pub fn ip_abroad(&self) -> Option<bool> {
        self.abroad(self.event.place.country.map_or(0, Country::index))
    }

    fn abroad(&self, country: u8) -> Option<bool> {
        let home = self.record.marks.home;
        (home != 0 && country != 0).then_some(home != country)
    }

    /// The response group, Mastercard's soft decline told apart.
    pub fn response(&self, payment: &Authorization) -> ResponseGroup {
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

    fn eid(&self) -> Option<&Eid> {
        if let Body::Eid(eid) = &self.event.body {
            Some(eid)
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

    fn action_code(&self) -> Option<i64> {
        let action = match &self.event.body {
            Body::Otp(otp) => otp.action,
            Body::Eid(eid) => eid.action,
            Body::Enrolment(enrolment) => enrolment.action,
            Body::Card(change) => change.action,
            Body::Hold(step) => step.action,
            Body::Authorization(_) | Body::Threeds(_) | Body::Disposition(_) => return None,
        };
        Some(i64::from(action.code()))
    }

    fn known(&self, kind: Kind, key: u32) -> Option<known::Known> {
        known::find(self.record, kind, key, self.day())
    }

    /// The merchant of the purchase as a remote payee and as a shop.
    fn merchant(&self) -> Option<[Option<known::Known>; 2]> {
        let merchant = self.purchase?.merchant;
        Some([Kind::RemoteMerchant, Kind::Merchant].map(|kind| self.known(kind, merchant)))
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

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other features are not numbers of the event"
    )]
    fn event_int(&self, feature: Feature) -> Option<i64> {
        match feature {
            Feature::Type => Some(i64::from(self.event.kind().code())),
            Feature::Message => Some(i64::from(self.threeds()?.message.code())),
            Feature::Action => self.action_code(),
            Feature::Channel => coded(self.payment()?.channel.code()),
            Feature::Security => coded(self.payment()?.security.code()),
            Feature::Response if self.outcome => coded(self.response(self.payment()?).code()),
            Feature::ResponseCode if self.outcome => {
                response_code(self.event.str(self.payment()?.response_code)).map(i64::from)
            }
            Feature::TransStatus => coded(self.threeds()?.trans_status?.code()),
            Feature::AuthenticationMethod => coded(self.threeds()?.authentication_method?.code()),
            Feature::ChallengeCancel => coded(self.threeds()?.challenge_cancel?.code()),
            Feature::DeviceChannel => coded(self.threeds()?.device_channel?.code()),
            Feature::InteractionCounter => Some(i64::from(self.threeds()?.interaction_counter?)),
            Feature::Authenticator => coded(self.eid()?.authenticator?.code()),
            Feature::Purpose => coded(self.eid()?.purpose?.code()),
            Feature::EnrolmentChannel => match &self.event.body {
                Body::Enrolment(enrolment) => coded(enrolment.channel.code()),
                _ => None,
            },
            Feature::PhoneCountry => match &self.event.body {
                Body::Enrolment(enrolment) => Some(i64::from(enrolment.phone_country?.index())),
                _ => None,
            },
            Feature::Hour => Some(i64::from(self.event.at.hour())),
            Feature::AmountMinor => self.purchase?.amount_minor,
            Feature::Currency => {
                let code = self.purchase?.currency;
                (code != 0).then_some(i64::from(code))
            }
            Feature::Mcc => Some(i64::from(self.purchase?.mcc)),
            Feature::MccGroup => coded(self.purchase?.mcc_group),
            Feature::MerchantCountry => coded(self.purchase?.country),
            Feature::AvailableBalanceMinor => {
                self.base_minor(self.payment()?.available_balance_minor?)
            }
            _ => self.place_int(feature),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other features are not numbers of places"
    )]
    fn place_int(&self, feature: Feature) -> Option<i64> {
        match feature {
            Feature::HomeCountry => coded(self.record.marks.home),
            Feature::IpCountry => coded(self.event.place.country.map_or(0, Country::index)),
            Feature::IpAsn => self.event.place.asn.map(i64::from),
            Feature::PresentKm => self.present_km(),
            Feature::PresentAge => self.age(self.record.marks.present_s),
            Feature::PresentSpeedKmh => {
                let age_ms = self.age(self.record.marks.present_s)?.max(1_000);
                Some(self.present_km()?.saturating_mul(HOUR_MS) / age_ms)
            }
            _ => self.habit_int(feature),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other features are not numbers of habits"
    )]
    fn habit_int(&self, feature: Feature) -> Option<i64> {
        let day = self.day();
        match feature {
            Feature::HistoryAge => {
                Some((self.clock_ms - i64::from(self.record.first_s) * 1_000).max(0))
            }
            Feature::HistoryPayments => Some(i64::from(self.record.habit.payments)),
            Feature::AmountTail => self.record.habit.tail(self.purchase?.amount_minor?),
            Feature::MerchantDays => {
                let days = self
                    .merchant()?
                    .map(|k| k.map_or(0, |k| k.days_before(day)));
                Some(i64::from(days.into_iter().max().unwrap_or(0)))
            }
            Feature::MerchantMaxMinor => {
                let levels = self.merchant()?.into_iter().flatten().map(|k| k.level);
                Some(levels.max().map_or(0, habit::amount_of_level))
            }
            Feature::MccGroupDays => {
                let known = self.known(Kind::MccGroup, u32::from(self.purchase?.mcc_group));
                Some(known.map_or(0, |k| i64::from(k.days_before(day))))
            }
            Feature::MccGroupMaxMinor => {
                let known = self.known(Kind::MccGroup, u32::from(self.purchase?.mcc_group));
                Some(known.map_or(0, |k| habit::amount_of_level(k.level)))
            }
            _ => self.state_int(feature),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other features are no numbers"
    )]
    fn state_int(&self, feature: Feature) -> Option<i64> {
        let marks = &self.record.marks;
        match feature {
            Feature::PhoneLinkAge => self.age(marks.phone_s),
            Feature::PhoneLinkChannel => coded(marks.phone_channel).filter(|_| marks.phone_s != 0),
            Feature::AppActivationAge => self.age(marks.app_s),
            Feature::CardAge => self.age(self.card()?.issued_s),
            Feature::CardUnblockAge => self.age(self.card()?.opened_s),
            Feature::ChallengeStatus => coded(self.challenge?.status.code()),
            Feature::ChallengeMethod => coded(self.challenge?.method().code()),
            Feature::ChallengeOtpRejections => Some(i64::from(self.challenge?.otp_rejections)),
            Feature::ChallengeEidCountry => coded(self.challenge?.eid_country),
            _ => None,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other features are no booleans"
    )]
    fn truth(&self, feature: Feature) -> Option<bool> {
        let marks = &self.record.marks;
        match feature {
            Feature::Late => Some(self.late),
            Feature::OverBalance => Some(
                self.purchase?.amount_minor?
                    > self.base_minor(self.payment()?.available_balance_minor?)?,
            ),
            Feature::MerchantAbroad => self.merchant_abroad(),
            Feature::MerchantCountryAccustomed => {
                country_accustomed(self.record, self.purchase?.country, self.day())
            }
            Feature::IpKnown => Some(self.event.ip.is_some()),
            Feature::IpAbroad => self.ip_abroad(),
            Feature::IpCountryAccustomed => {
                let country = self.event.place.country.map_or(0, Country::index);
                country_accustomed(self.record, country, self.day())
            }
            Feature::IpNetworkAccustomed => {
                network_accustomed(self.record, self.event.place.network, self.day())
            }
            Feature::IpHosting => self.ip_hosting(),
            Feature::PhoneReplaced => {
                (marks.phone_s != 0).then(|| marks.has(Marks::PHONE_REPLACED))
            }
            Feature::PhoneAbroad => self
                .abroad(marks.phone_country)
                .filter(|_| marks.phone_s != 0),
            Feature::AppActivationAccustomed => (marks.app_s != 0
                && marks.has(Marks::APP_PLACE_KNOWN))
            .then(|| marks.has(Marks::APP_ACCUSTOMED)),
            Feature::CardBlocked => Some(
                self.card()
                    .is_some_and(|c| c.has(Card::BLOCKED) || c.has(Card::PIN_LOCKED)),
            ),
            Feature::CardInternetClosed => {
                Some(self.card().is_some_and(|c| c.has(Card::INTERNET_CLOSED)))
            }
            Feature::BypassActive => Some(
                self.card()
                    .is_some_and(|c| seconds(self.clock_ms) < c.bypass_until_s),
            ),
            Feature::EidBlocked => Some(marks.has(Marks::EID_BLOCKED)),
            Feature::AfterSoftDecline => self.after_soft_decline(),
            Feature::HoldActive => Some(
                crate::engine::holds::in_force(self.record, self.event.card_fp.0, self.clock_ms)
                    .next()
                    .is_some(),
            ),
            _ => self.challenge_truth(feature),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other features are no booleans"
    )]
    fn challenge_truth(&self, feature: Feature) -> Option<bool> {
        match feature {
            Feature::ChallengeKnown => Some(self.challenge.is_some()),
            Feature::ChallengeOtpDelivered => Some(self.challenge?.otp_delivered),
            Feature::ChallengeOtpAccepted => Some(self.challenge?.otp_accepted),
            Feature::ChallengeEidSeen => Some(self.challenge?.eid_seen),
            Feature::ChallengeEidAccustomed => self.challenge?.eid_country_accustomed,
            Feature::ChallengeEidNetworkAccustomed => self.challenge?.eid_network_accustomed,
            _ => None,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other features are no texts"
    )]
    fn words(&self, feature: Feature) -> Option<&str> {
        let span = match feature {
            Feature::Eci => self
                .payment()
                .map(|p| p.eci)
                .or(self.threeds().map(|t| t.eci))?,
            Feature::Exemption => self.payment()?.exemption,
            Feature::TransStatusReason => self.threeds()?.trans_status_reason,
            Feature::Phone => match &self.event.body {
                Body::Otp(otp) => otp.phone,
                Body::Enrolment(enrolment) => enrolment.phone,
                _ => return None,
            },
            Feature::Card => self.event.card,
            Feature::MerchantId => self.event.purchase()?.0.id,
            Feature::MerchantName => self.event.purchase()?.0.name,
            _ => return None,
        };
        (!span.is_empty()).then(|| self.event.str(span))
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

    /// The method of the challenge in hand, as a class code.
    pub fn challenge_method(&self) -> Method {
        self.challenge.map_or(Method::Unknown, Challenge::method)
    }
}

impl Facts for View<'_> {
    fn boolean(&mut self, slot: Slot) -> Option<bool> {
        self.truth(Feature::of_slot(slot)?)
    }

    fn int(&mut self, slot: Slot) -> Option<i64> {
        match Feature::of_slot(slot) {
            Some(feature) => self.event_int(feature),
            None => self.aggregate(slot),
        }
    }

    fn float(&mut self, slot: Slot) -> Option<f64> {
        match Feature::of_slot(slot) {
            Some(Feature::AmountZ) => self.record.habit.robust_z(self.purchase?.amount_minor?),
            Some(Feature::HourShare) => self.record.habit.hour_share(self.event.at.hour()),
            Some(_) => None,
            None => self
                .aggregate(slot)
                .map(|bits| f64::from_bits(bits.cast_unsigned())),
        }
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        self.words(Feature::of_slot(slot)?)
    }

    fn listed(&mut self, list: u16, slot: Slot) -> Option<bool> {
        let list = self.book.lists.get(usize::from(list))?;
        if let Some(text) = self.text(slot) {
            return Some(list.holds(text, self.clock_ms));
        }
        let code = self.int(slot)?;
        let field = self.book.scheme.field(slot)?;
        Some(list.holds(&written(&field.kind, code)?, self.clock_ms))
    }
}
