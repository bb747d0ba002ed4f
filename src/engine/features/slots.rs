//! Every row of the vocabulary, read by its slot.
//!
//! One match arm a feature, cut into pieces by what they speak of; what is more than a look into
//! event, record or challenge is computed in the file above.

use super::{View, country_accustomed, network_accustomed};
use crate::domain::country::Country;
use crate::domain::event::Body;
use crate::domain::time::HOUR_MS;
use crate::engine::cards::Card;
use crate::engine::class::ClassField;
use crate::engine::habit;
use crate::engine::known::Kind;
use crate::engine::record::{Marks, seconds};
use crate::engine::vocabulary::{Feature, response_code};
use crate::expr::{Facts, Slot, Type};

/// A symbol or code as it is written; nothing for other types.
fn written(kind: &Type, code: i64) -> Option<String> {
    match kind {
        Type::Symbol(symbols) => symbols.word(code).map(str::to_owned),
        Type::Code(kind) => Some((kind.show)(u32::try_from(code).ok()?)),
        Type::Int(_) => Some(code.to_string()),
        Type::Bool | Type::Float(_) | Type::Duration | Type::Text => None,
    }
}

fn coded(code: u8) -> Option<i64> {
    (code != 0).then_some(i64::from(code))
}

impl View<'_> {
    #[inline]
    fn of_class(&self, field: ClassField) -> Option<i64> {
        coded(self.class.get(field))
    }

    #[inline]
    fn yes_or_no(&self, field: ClassField) -> Option<bool> {
        let code = self.class.get(field);
        (code != 0).then_some(code == 2)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other features are not numbers of the event"
    )]
    #[inline]
    fn event_int(&self, feature: Feature) -> Option<i64> {
        match feature {
            Feature::Type => self.of_class(ClassField::Type),
            Feature::Message => self.of_class(ClassField::Message),
            Feature::Action => self.of_class(ClassField::Action),
            Feature::Channel => self.of_class(ClassField::Channel),
            Feature::Security => self.of_class(ClassField::Security),
            Feature::MccGroup => self.of_class(ClassField::MccGroup),
            Feature::TransStatus => self.of_class(ClassField::TransStatus),
            Feature::Authenticator => self.of_class(ClassField::Authenticator),
            Feature::Purpose => self.of_class(ClassField::Purpose),
            Feature::EnrolmentChannel => self.of_class(ClassField::EnrolmentChannel),
            Feature::ChallengeMethod => self.of_class(ClassField::ChallengeMethod),
            Feature::Response if self.outcome => coded(self.response(self.payment()?).code()),
            Feature::ResponseCode if self.outcome => {
                response_code(self.event.str(self.payment()?.response_code)).map(i64::from)
            }
            Feature::AuthenticationMethod => coded(self.threeds()?.authentication_method?.code()),
            Feature::ChallengeCancel => coded(self.threeds()?.challenge_cancel?.code()),
            Feature::DeviceChannel => coded(self.threeds()?.device_channel?.code()),
            Feature::InteractionCounter => Some(i64::from(self.threeds()?.interaction_counter?)),
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
    #[inline]
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
    #[inline]
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
    #[inline]
    fn state_int(&self, feature: Feature) -> Option<i64> {
        let marks = &self.record.marks;
        match feature {
            Feature::PhoneLinkAge => self.age(marks.phone_s),
            Feature::PhoneLinkChannel => coded(marks.phone_channel).filter(|_| marks.phone_s != 0),
            Feature::AppActivationAge => self.age(marks.app_s),
            Feature::CardAge => self.age(self.card()?.issued_s),
            Feature::CardUnblockAge => self.age(self.card()?.opened_s),
            Feature::ChallengeStatus => coded(self.challenge?.status.code()),
            Feature::ChallengeOtpRejections => Some(i64::from(self.challenge?.otp_rejections)),
            Feature::ChallengeEidCountry => coded(self.challenge?.eid_country),
            _ => None,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "all other features are no booleans"
    )]
    #[inline]
    fn truth(&self, feature: Feature) -> Option<bool> {
        let marks = &self.record.marks;
        match feature {
            Feature::Late => Some(self.late),
            Feature::OverBalance => Some(
                self.purchase?.amount_minor?
                    > self.base_minor(self.payment()?.available_balance_minor?)?,
            ),
            Feature::MerchantAbroad => self.yes_or_no(ClassField::MerchantAbroad),
            Feature::MerchantCountryAccustomed => {
                country_accustomed(self.record, self.purchase?.country, self.day())
            }
            Feature::IpKnown => Some(self.event.ip.is_some()),
            Feature::IpAbroad => self.yes_or_no(ClassField::IpAbroad),
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
    #[inline]
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
        if Feature::of_slot(slot) == Some(Feature::Card) && self.event.card_fp.0 != 0 {
            return Some(list.has(self.event.card_fp, self.clock_ms));
        }
        if let Some(text) = self.text(slot) {
            return Some(list.holds(text, self.clock_ms));
        }
        let code = self.int(slot)?;
        let field = self.book.scheme.field(slot)?;
        Some(list.holds(&written(&field.kind, code)?, self.clock_ms))
    }
}
