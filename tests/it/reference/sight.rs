//! What every name of the vocabulary is for the event in hand, recomputed from all of its
//! cardholder's events: the second implementation of `expr::Facts`.
//!
//! A line here for each row of the vocabulary.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a name has a meaning on one or two types of event, and is unknown on all others"
)]

use super::past::{self, Entry};
use super::places::{self, Kind, Place};
use super::{
    Bought, Declared, Lived, Model, Person, challenges, day_of, habits, person, rules, seconds,
};
use varsel::domain::codes::ResponseGroup;
use varsel::domain::country::Country;
use varsel::domain::event::{Authorization, Body, Eid, Event, Threeds};
use varsel::engine::vocabulary::{BUILT_INS, Feature, currency_code, response_code};
use varsel::expr::{Facts, Slot, Type};

/// A value of any type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Unknown,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// The event in hand and all that was before it.
pub struct Sight<'a> {
    pub model: &'a Model,
    pub person: &'a Person,
    pub event: &'a Event,
    pub clock_ms: i64,
    pub late: bool,
    pub outcome: bool,
    pub challenge: Option<challenges::Challenge>,
    pub purchase: Option<Bought>,
    pub known: person::Known,
    pub places: Vec<Place>,
    paid: Vec<habits::Paid>,
    newest: Vec<Entry>,
    undone: Vec<past::Undone>,
}

fn int(value: Option<impl Into<i64>>) -> Value {
    value.map_or(Value::Unknown, |value| Value::Int(value.into()))
}

/// A code of a closed or open set of words; 0 is the unknown.
fn code(value: Option<u8>) -> Value {
    int(value.filter(|code| *code != 0))
}

fn truth(value: Option<bool>) -> Value {
    value.map_or(Value::Unknown, Value::Bool)
}

fn text(value: Option<&str>) -> Value {
    value
        .filter(|text| !text.is_empty())
        .map_or(Value::Unknown, |text| Value::Text(text.to_owned()))
}

fn float(value: Option<f64>) -> Value {
    value.map_or(Value::Unknown, Value::Float)
}

impl<'a> Sight<'a> {
    pub fn new(
        model: &'a Model,
        person: &'a Person,
        event: &'a Event,
        clock_ms: i64,
        late: bool,
    ) -> Self {
        let own = model.bought(event);
        let open = challenges::recall(&person.lives, clock_ms);
        let challenge = challenges::of(&open, event, own, clock_ms);
        let (newest, undone) = past::recall(&person.lives);
        Self {
            model,
            person,
            event,
            clock_ms,
            late,
            outcome: false,
            purchase: own.or_else(|| challenge.as_ref()?.purchase),
            challenge,
            known: person::Known::recall(&person.lives),
            places: places::recall(&person.lives),
            paid: person.lives.iter().filter_map(Lived::paid).collect(),
            newest,
            undone,
        }
    }

    fn day(&self) -> i64 {
        day_of(self.clock_ms)
    }

    fn payment(&self) -> Option<&Authorization> {
        match &self.event.body {
            Body::Authorization(payment) => Some(payment),
            _ => None,
        }
    }

    fn message(&self) -> Option<&Threeds> {
        match &self.event.body {
            Body::Threeds(message) => Some(message),
            _ => None,
        }
    }

    fn eid(&self) -> Option<&Eid> {
        match &self.event.body {
            Body::Eid(eid) => Some(eid),
            _ => None,
        }
    }

    fn card(&self) -> Option<&person::Card> {
        self.known.card(self.event.card())
    }

    fn country(&self) -> u8 {
        self.event.place.country.map_or(0, Country::index)
    }

    fn abroad(&self, country: u8) -> Option<bool> {
        (self.known.home != 0 && country != 0).then_some(country != self.known.home)
    }

    pub fn country_accustomed(&self, country: u8) -> Option<bool> {
        places::country_accustomed(&self.places, self.known.home, country, self.day())
    }

    pub fn network_accustomed(&self) -> Option<bool> {
        places::network_accustomed(&self.places, self.event.place.network, self.day())
    }

    fn age(&self, at_s: i64) -> i64 {
        (self.clock_ms - at_s * 1_000).max(0)
    }

    /// What the response code says; Mastercard's 65 in a remote payment is a soft decline.
    pub fn response(&self) -> Option<ResponseGroup> {
        let payment = self.payment()?;
        let remote = matches!(payment.channel.word(), "ecommerce" | "moto" | "recurring");
        let is_65 = self.event.str(payment.response_code) == "65";
        if is_65 && remote && self.card().is_some_and(|card| card.mastercard) {
            return Some(ResponseGroup::ScaRequired);
        }
        Some(payment.response)
    }

    fn balance(&self) -> Option<i64> {
        let payment = self.payment()?;
        self.model
            .base(payment.available_balance_minor?, payment.currency)
    }

    /// What is known of the merchant in hand, as a shop and as a remote payee.
    fn merchant(&self) -> Option<Vec<&Place>> {
        let key = self.purchase?.merchant;
        let find = |kind| places::find(&self.places, kind, key, self.day());
        let kinds = [Kind::Merchant, Kind::RemoteMerchant];
        Some(kinds.into_iter().filter_map(find).collect())
    }

    fn group(&self) -> Option<Vec<&Place>> {
        let key = u32::from(self.purchase?.mcc_group);
        let found = places::find(&self.places, Kind::MccGroup, key, self.day());
        Some(found.into_iter().collect())
    }

    fn days_at(&self, known: &[&Place]) -> i64 {
        let days = known.iter().map(|place| place.days_before(self.day()));
        days.max().unwrap_or(0)
    }

    fn kilometres(&self) -> Option<i64> {
        let here = Country::from_index(self.purchase?.country)?;
        let there = Country::from_index(self.known.present?.1)?;
        Some(i64::from(here.distance_km(there)))
    }

    /// The newest attempt here within half an hour of which the outcome is known was a soft decline.
    fn after_soft_decline(&self) -> Option<bool> {
        let merchant = self.purchase?.merchant;
        let clock_s = seconds(self.clock_ms);
        let attempts = self
            .newest
            .iter()
            .rev()
            .filter(|entry| clock_s - entry.at_s < 1_800);
        let newest = attempts
            .map(|entry| &self.person.lives[entry.index])
            .find(|lived| lived.merchant() == merchant && lived.response != ResponseGroup::Unknown);
        Some(newest.is_some_and(|lived| lived.response == ResponseGroup::ScaRequired))
    }

    fn hosting(&self) -> Option<bool> {
        let asn = self.event.place.asn?.to_string();
        self.model.on_list("hosting-asns", &asn, self.clock_ms)
    }

    fn action(&self) -> Option<u8> {
        Some(match &self.event.body {
            Body::Otp(step) => step.action.code(),
            Body::Eid(step) => step.action.code(),
            Body::Enrolment(step) => step.action.code(),
            Body::Card(step) => step.action.code(),
            Body::Hold(step) => step.action.code(),
            Body::Authorization(_) | Body::Threeds(_) | Body::Disposition(_) => return None,
        })
    }

    /// The value of a slot.
    pub fn value(&self, slot: Slot) -> Value {
        match Feature::of_slot(slot) {
            Some(feature) => self.built_in(feature),
            None => self.aggregate(usize::from(slot) - BUILT_INS),
        }
    }

    #[expect(
        clippy::too_many_lines,
        reason = "a line for each row of the vocabulary"
    )]
    fn built_in(&self, feature: Feature) -> Value {
        use Feature as F;
        let (known, phone) = (&self.known, self.known.phone.as_ref());
        let (bought, asked) = (self.purchase, self.challenge.as_ref());
        let (payment, message, event) = (self.payment(), self.message(), self.event);
        let enrolled = match &event.body {
            Body::Enrolment(step) => Some(step),
            _ => None,
        };
        match feature {
            F::Type => code(Some(event.kind().code())),
            F::Message => code(message.map(|m| m.message.code())),
            F::Action => code(self.action()),
            F::Channel => code(payment.map(|p| p.channel.code())),
            F::Security => code(payment.map(|p| p.security.code())),
            F::Response if !self.outcome => Value::Unknown,
            F::Response => code(self.response().map(ResponseGroup::code)),
            F::ResponseCode if !self.outcome => Value::Unknown,
            F::ResponseCode => int(payment.and_then(|p| response_code(event.str(p.response_code)))),
            F::Eci => text(
                payment
                    .map(|p| event.str(p.eci))
                    .or(message.map(|m| event.str(m.eci))),
            ),
            F::Exemption => text(payment.map(|p| event.str(p.exemption))),
            F::TransStatus => code(message.and_then(|m| Some(m.trans_status?.code()))),
            F::TransStatusReason => text(message.map(|m| event.str(m.trans_status_reason))),
            F::AuthenticationMethod => {
                code(message.and_then(|m| Some(m.authentication_method?.code())))
            }
            F::ChallengeCancel => code(message.and_then(|m| Some(m.challenge_cancel?.code()))),
            F::DeviceChannel => code(message.and_then(|m| Some(m.device_channel?.code()))),
            F::InteractionCounter => int(message.and_then(|m| m.interaction_counter)),
            F::Authenticator => code(self.eid().and_then(|e| Some(e.authenticator?.code()))),
            F::Purpose => code(self.eid().and_then(|e| Some(e.purpose?.code()))),
            F::EnrolmentChannel => code(enrolled.map(|e| e.channel.code())),
            F::PhoneCountry => code(enrolled.and_then(|e| Some(e.phone_country?.index()))),
            F::Phone => match &event.body {
                Body::Otp(step) => text(Some(event.str(step.phone))),
                Body::Enrolment(step) => text(Some(event.str(step.phone))),
                _ => Value::Unknown,
            },
            F::Card => text(Some(event.card())),
            F::Late => Value::Bool(self.late),
            F::Hour => {
                Value::Int((event.at.ms / 60_000 + i64::from(event.at.offset_min)) / 60 % 24)
            }
            F::AmountMinor => int(bought.and_then(|b| b.amount)),
            F::Currency => int(bought.and_then(|b| b.currency).map(currency_code)),
            F::Mcc => int(bought.map(|b| b.mcc)),
            F::MccGroup => code(bought.map(|b| b.mcc_group)),
            F::MerchantId => text(event.purchase().map(|p| event.str(p.0.id))),
            F::MerchantName => text(event.purchase().map(|p| event.str(p.0.name))),
            F::MerchantCountry => code(bought.map(|b| b.country)),
            F::AvailableBalanceMinor => int(self.balance()),
            F::OverBalance => truth(
                bought
                    .and_then(|b| b.amount)
                    .zip(self.balance())
                    .map(|(a, b)| a > b),
            ),
            F::HomeCountry => code(Some(known.home)),
            F::MerchantAbroad => truth(bought.and_then(|b| self.abroad(b.country))),
            F::MerchantCountryAccustomed => {
                truth(bought.and_then(|b| self.country_accustomed(b.country)))
            }
            F::IpKnown => Value::Bool(event.ip.is_some()),
            F::IpCountry => code(Some(self.country())),
            F::IpAsn => int(event.place.asn),
            F::IpAbroad => truth(self.abroad(self.country())),
            F::IpCountryAccustomed => truth(self.country_accustomed(self.country())),
            F::IpNetworkAccustomed => truth(self.network_accustomed()),
            F::IpHosting => truth(self.hosting()),
            F::PresentKm => int(self.kilometres()),
            F::PresentAge => int(known.present.map(|(at_s, _)| self.age(at_s))),
            F::PresentSpeedKmh => int(known
                .present
                .zip(self.kilometres())
                .map(|((at_s, _), km)| km * 3_600_000 / self.age(at_s).max(1_000))),
            F::HistoryAge => {
                Value::Int(self.age(self.person.first_s.unwrap_or(seconds(event.at.ms))))
            }
            F::HistoryPayments => int(i64::try_from(self.paid.len().min(65_535)).ok()),
            F::AmountZ => float(bought.and_then(|b| habits::robust_z(&self.paid, b.amount?))),
            F::AmountTail => int(bought.and_then(|b| habits::tail(&self.paid, b.amount?))),
            F::MerchantDays => int(self.merchant().map(|known| self.days_at(&known))),
            F::MerchantMaxMinor => int(self.merchant().map(|known| places::largest(&known))),
            F::MccGroupDays => int(self.group().map(|known| self.days_at(&known))),
            F::MccGroupMaxMinor => int(self.group().map(|known| places::largest(&known))),
            F::HourShare => float(habits::hour_share(&self.paid, event.at.hour())),
            F::PhoneLinkAge => int(phone.map(|p| self.age(p.at_s))),
            F::PhoneLinkChannel => code(phone.map(|p| p.channel.code())),
            F::PhoneReplaced => truth(phone.map(|p| p.replaced)),
            F::PhoneAbroad => truth(phone.and_then(|p| self.abroad(p.country))),
            F::AppActivationAge => int(known.app.map(|(at_s, _)| self.age(at_s))),
            F::AppActivationAccustomed => truth(known.app.and_then(|(_, accustomed)| accustomed)),
            F::CardAge => int(self
                .card()
                .and_then(|c| c.issued_s)
                .map(|at_s| self.age(at_s))),
            F::CardBlocked => Value::Bool(self.card().is_some_and(|c| c.blocked || c.pin_locked)),
            F::CardInternetClosed => Value::Bool(self.card().is_some_and(|c| c.internet_closed)),
            F::CardUnblockAge => int(self
                .card()
                .and_then(|c| c.opened_s)
                .map(|at_s| self.age(at_s))),
            F::BypassActive => Value::Bool(
                self.card()
                    .is_some_and(|c| seconds(self.clock_ms) < c.bypass_until_s),
            ),
            F::EidBlocked => Value::Bool(known.eid_blocked),
            F::ChallengeKnown => Value::Bool(asked.is_some()),
            F::ChallengeStatus => code(asked.map(|c| c.status.code())),
            F::ChallengeMethod => code(asked.and_then(|c| Some(c.method()?.code()))),
            F::ChallengeOtpDelivered => truth(asked.map(|c| c.otp_delivered)),
            F::ChallengeOtpAccepted => truth(asked.map(|c| c.otp_accepted)),
            F::ChallengeOtpRejections => int(asked.map(|c| c.otp_rejections)),
            F::ChallengeEidSeen => truth(asked.map(|c| c.eid_seen)),
            F::ChallengeEidCountry => code(asked.map(|c| c.eid_country)),
            F::ChallengeEidAccustomed => truth(asked.and_then(|c| c.eid_country_accustomed)),
            F::ChallengeEidNetworkAccustomed => truth(asked.and_then(|c| c.eid_network_accustomed)),
            F::AfterSoftDecline => truth(self.after_soft_decline()),
            F::HoldActive => Value::Bool(rules::is_held(self)),
        }
    }

    fn aggregate(&self, index: usize) -> Value {
        let declared = &self.model.declared[index];
        if declared.is_exact() {
            self.exact(index, declared)
        } else {
            self.bucketed(index, declared)
        }
    }

    fn facet(of: &str, lived: &Lived) -> u32 {
        let bought = lived.purchase;
        match of {
            "merchant" => lived.merchant(),
            "mcc_group" => bought.map_or(0, |b| u32::from(b.mcc_group)),
            "merchant_country" => bought.map_or(0, |b| u32::from(b.country)),
            "network" if matches!(lived.event.body, Body::Eid(_)) => lived.event.place.network,
            _ => 0,
        }
    }

    /// Spans up to a day: off the newest events.
    fn exact(&self, index: usize, declared: &Declared) -> Value {
        if declared.same_merchant && self.purchase.is_none() {
            return Value::Unknown;
        }
        let clock_s = seconds(self.clock_ms);
        let in_span: Vec<(&Entry, &Lived)> = self
            .newest
            .iter()
            .filter(|entry| clock_s - entry.at_s < declared.span_ms / 1_000 && !entry.reversed)
            .map(|entry| (entry, &self.person.lives[entry.index]))
            .filter(|(_, l)| {
                !declared.same_merchant || Some(l.merchant()) == self.purchase.map(|b| b.merchant)
            })
            .collect();
        let passing: Vec<_> = in_span.iter().filter(|(_, l)| l.counts[index].0).collect();
        let amounts = || passing.iter().map(|(entry, _)| entry.amount);
        let count = i64::try_from(passing.len()).unwrap();
        match declared.op.as_str() {
            "count" => Value::Int(count),
            "sum" => Value::Int(amounts().sum()),
            "max" => Value::Int(amounts().max().unwrap_or(0)),
            "min" => int(amounts().min()),
            "avg" => int(amounts().sum::<i64>().checked_div(count)),
            "last" => int(passing.last().map(|(entry, _)| self.age(entry.at_s))),
            "distinct" => {
                let mut values: Vec<u32> = passing
                    .iter()
                    .map(|(_, l)| Self::facet(&declared.of, l))
                    .collect();
                values.retain(|value| *value != 0);
                values.sort_unstable();
                values.dedup();
                int(i64::try_from(values.len()).ok())
            }
            "rate" => {
                let base = in_span.iter().filter(|(_, l)| l.counts[index].1).count();
                let both = passing.iter().filter(|(_, l)| l.counts[index].1).count();
                rate(both, base)
            }
            other => panic!("no operation `{other}`"),
        }
    }

    /// Longer spans: sixty buckets, the bucket in hand and the 59 before it.
    fn bucketed(&self, index: usize, declared: &Declared) -> Value {
        let width_s = (declared.span_ms / 60_000).max(1);
        let now = seconds(self.clock_ms) / width_s;
        let lives = &self.person.lives;
        let fed = past::fed(lives, &self.undone, width_s);
        let hits: Vec<_> = fed
            .iter()
            .filter(|f| lives[f.index].counts[index].0)
            .collect();
        let live: Vec<_> = hits.iter().filter(|f| now - f.bucket < 60).collect();
        let (ones, left) = (live.iter().map(|f| f.one), live.iter().map(|f| f.left));
        match declared.op.as_str() {
            "count" => Value::Int(ones.sum()),
            "sum" => Value::Int(left.sum()),
            "max" => Value::Int(live.iter().map(|f| f.amount).max().unwrap_or(0)),
            "min" => int(live.iter().map(|f| f.amount).min()),
            "avg" => int(left.sum::<i64>().checked_div(ones.sum())),
            "last" => {
                let newest = hits
                    .iter()
                    .map(|f| seconds(lives[f.index].event.at.ms))
                    .max();
                int(newest
                    .map(|at_s| self.age(at_s))
                    .filter(|age| *age < declared.span_ms))
            }
            "distinct" => {
                let values = hits.iter().map(|f| {
                    let lived = &lives[f.index];
                    let then = seconds(lived.clock_ms) / width_s;
                    (f.bucket, Self::facet(&declared.of, lived), then)
                });
                int(i64::try_from(past::distinct(values.filter(|v| v.1 != 0), now)).ok())
            }
            "rate" => {
                let in_base =
                    |f: &&past::Fed| now - f.bucket < 60 && lives[f.index].counts[index].1;
                let of = |both: bool| -> i64 {
                    let counted = fed.iter().filter(in_base);
                    counted
                        .filter(|f| !both || lives[f.index].counts[index].0)
                        .map(|f| f.one)
                        .sum()
                };
                rate(
                    usize::try_from(of(true)).unwrap(),
                    usize::try_from(of(false)).unwrap(),
                )
            }
            other => panic!("no operation `{other}`"),
        }
    }
}

fn rate(part: usize, of: usize) -> Value {
    let real = |count: usize| f64::from(u32::try_from(count).unwrap());
    float((of > 0).then(|| real(part) / real(of)))
}

/// What is remembered of an event, for the filters of aggregates.
pub struct Remembered<'a>(pub &'a [(Slot, Option<i64>)]);

impl Remembered<'_> {
    fn of(&self, slot: Slot) -> Option<i64> {
        let (_, value) = self
            .0
            .iter()
            .find(|(known, _)| *known == slot)
            .expect("a categorical fact");
        *value
    }
}

impl Facts for Remembered<'_> {
    fn boolean(&mut self, slot: Slot) -> Option<bool> {
        self.of(slot).map(|value| value == 1)
    }
    fn int(&mut self, slot: Slot) -> Option<i64> {
        self.of(slot)
    }
    fn float(&mut self, _: Slot) -> Option<f64> {
        None
    }
    fn text(&self, _: Slot) -> Option<&str> {
        None
    }
    fn listed(&mut self, _: u16, _: Slot) -> Option<bool> {
        None
    }
}

impl Facts for Sight<'_> {
    fn boolean(&mut self, slot: Slot) -> Option<bool> {
        match self.value(slot) {
            Value::Bool(value) => Some(value),
            Value::Unknown | Value::Int(_) | Value::Float(_) | Value::Text(_) => None,
        }
    }

    fn int(&mut self, slot: Slot) -> Option<i64> {
        match self.value(slot) {
            Value::Int(value) => Some(value),
            Value::Unknown | Value::Bool(_) | Value::Float(_) | Value::Text(_) => None,
        }
    }

    fn float(&mut self, slot: Slot) -> Option<f64> {
        match self.value(slot) {
            Value::Float(value) => Some(value),
            Value::Unknown | Value::Bool(_) | Value::Int(_) | Value::Text(_) => None,
        }
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        let event = self.event;
        let span = match Feature::of_slot(slot)? {
            Feature::MerchantId => event.purchase()?.0.id,
            Feature::MerchantName => event.purchase()?.0.name,
            Feature::Card => event.card,
            Feature::Eci => self
                .payment()
                .map(|p| p.eci)
                .or(self.message().map(|m| m.eci))?,
            Feature::Exemption => self.payment()?.exemption,
            Feature::TransStatusReason => self.message()?.trans_status_reason,
            Feature::Phone => match &event.body {
                Body::Otp(step) => step.phone,
                Body::Enrolment(step) => step.phone,
                _ => return None,
            },
            _ => return None,
        };
        (!span.is_empty()).then(|| event.str(span))
    }

    fn listed(&mut self, list: u16, slot: Slot) -> Option<bool> {
        let field = self.model.prepared.book.scheme.field(slot)?;
        let written = match (self.value(slot), &field.kind) {
            (Value::Text(text), _) => text,
            (Value::Int(code), Type::Symbol(symbols)) => symbols.word(code)?.to_owned(),
            (Value::Int(code), Type::Code(kind)) => (kind.show)(u32::try_from(code).ok()?),
            (Value::Int(number), _) => number.to_string(),
            (Value::Unknown | Value::Bool(_) | Value::Float(_), _) => return None,
        };
        let name = self.model.prepared.book.lists[usize::from(list)]
            .name
            .clone();
        self.model.on_list(&name, &written, self.clock_ms)
    }
}
