//! The class of an event: its categorical facts packed into 64 bits, for history and its filters.
//!
//! Aggregates count events by class, so that a filter over history is a handful of shifts and
//! masks. Amounts, merchants and texts are not in it.

use crate::domain::codes::{
    Action, Authenticator, Channel, EnrolmentChannel, EventType, Message, Method, Purpose,
    ResponseGroup, Security, TransStatus,
};
use crate::domain::country::Country;
use crate::domain::event::{Body, Event};
use crate::engine::book::Filter;
use crate::engine::cold::{Challenge, Purchase};
use crate::engine::vocabulary::Feature;

/// A categorical fact of an event, with its place in a [`Class`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ClassField {
    /// Event type.
    Type,
    /// EMV message.
    Message,
    /// Step of an otp, eid, enrolment or card event.
    Action,
    /// Channel of a payment.
    Channel,
    /// Security of a payment.
    Security,
    /// Response group of a payment.
    Response,
    /// MCC group of the purchase in hand.
    MccGroup,
    /// transStatus of a message.
    TransStatus,
    /// Authenticator of an eID step.
    Authenticator,
    /// Purpose of an eID step.
    Purpose,
    /// Door of an enrolment.
    EnrolmentChannel,
    /// Method known to have passed the challenge.
    ChallengeMethod,
    /// Merchant abroad: 0 unknown, 1 no, 2 yes.
    MerchantAbroad,
    /// Address abroad: 0 unknown, 1 no, 2 yes.
    IpAbroad,
}

/// (shift, width) of each [`ClassField`], in order.
const LAYOUT: [(u32, u32); 14] = [
    (0, 4),
    (4, 3),
    (7, 5),
    (12, 3),
    (15, 4),
    (19, 4),
    (23, 4),
    (27, 4),
    (31, 2),
    (33, 3),
    (36, 3),
    (39, 3),
    (42, 2),
    (44, 2),
];
/// Set where the event was reversed: no filter passes it.
const REVERSED: u64 = 1 << 46;
/// Where the merchant's country index stands (8 bits).
const COUNTRY_SHIFT: u32 = 48;

// Each field's words, and the unknown, must fit its width.
const _: () = assert!(EventType::WORDS.len() < 16 && Message::WORDS.len() < 8);
const _: () = assert!(Action::WORDS.len() < 32 && Channel::WORDS.len() < 8);
const _: () = assert!(Security::WORDS.len() < 16 && ResponseGroup::WORDS.len() < 16);
const _: () = assert!(TransStatus::WORDS.len() < 16 && Authenticator::WORDS.len() < 4);
const _: () = assert!(Purpose::WORDS.len() < 8 && EnrolmentChannel::WORDS.len() < 8);
const _: () = assert!(Method::WORDS.len() < 8);

/// The most MCC groups, `other` included: their code has four bits.
pub const MAX_MCC_GROUPS: usize = 15;

impl ClassField {
    /// Where its code stands in a class: the shift, then the mask.
    pub const fn place(self) -> (u32, u64) {
        let (shift, width) = LAYOUT[self as usize];
        (shift, (1 << width) - 1)
    }

    /// The class field that a feature is kept as; nothing for features that history does not keep.
    pub fn of_feature(feature: Feature) -> Option<Self> {
        Self::TABLE
            .iter()
            .find(|(known, _)| *known == feature)
            .map(|(_, field)| *field)
    }

    /// Every feature that history keeps, with its field.
    pub const TABLE: &'static [(Feature, Self)] = &[
        (Feature::Type, Self::Type),
        (Feature::Message, Self::Message),
        (Feature::Action, Self::Action),
        (Feature::Channel, Self::Channel),
        (Feature::Security, Self::Security),
        (Feature::Response, Self::Response),
        (Feature::MccGroup, Self::MccGroup),
        (Feature::TransStatus, Self::TransStatus),
        (Feature::Authenticator, Self::Authenticator),
        (Feature::Purpose, Self::Purpose),
        (Feature::EnrolmentChannel, Self::EnrolmentChannel),
        (Feature::ChallengeMethod, Self::ChallengeMethod),
        (Feature::MerchantAbroad, Self::MerchantAbroad),
        (Feature::IpAbroad, Self::IpAbroad),
    ];

    /// The field with this number, as [`Filter`] names it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::TABLE
            .iter()
            .map(|(_, field)| *field)
            .find(|field| *field as u8 == number)
    }
}

/// The categorical facts of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Class(pub u64);

impl Class {
    /// The class of an event as the decide phase may see it: everything but the response.
    pub fn of(
        event: &Event,
        purchase: Option<&Purchase>,
        challenge: Option<&Challenge>,
        home: u8,
    ) -> Self {
        let abroad = |country: u8| {
            let known = home != 0 && country != 0;
            if known {
                1 + u8::from(home != country)
            } else {
                0
            }
        };
        let (group, country) = purchase.map_or((0, 0), |p| (p.mcc_group, p.country));
        let ip_country = event.place.country.map_or(0, Country::index);
        let method = challenge.map_or(Method::Unknown, Challenge::method);
        let facts = Self::at(ClassField::Type, event.kind().code())
            | Self::at(ClassField::ChallengeMethod, method.code())
            | Self::at(ClassField::MerchantAbroad, abroad(country))
            | Self::at(ClassField::IpAbroad, abroad(ip_country))
            | Self::at(ClassField::MccGroup, group)
            | u64::from(country) << COUNTRY_SHIFT;
        let own = match &event.body {
            Body::Authorization(payment) => {
                Self::at(ClassField::Channel, payment.channel.code())
                    | Self::at(ClassField::Security, payment.security.code())
            }
            Body::Threeds(message) => {
                let status = message.trans_status.map_or(0, TransStatus::code);
                Self::at(ClassField::Message, message.message.code())
                    | Self::at(ClassField::TransStatus, status)
            }
            Body::Otp(otp) => Self::at(ClassField::Action, otp.action.code()),
            Body::Eid(eid) => {
                let authenticator = eid.authenticator.map_or(0, Authenticator::code);
                let purpose = eid.purpose.map_or(0, Purpose::code);
                Self::at(ClassField::Action, eid.action.code())
                    | Self::at(ClassField::Authenticator, authenticator)
                    | Self::at(ClassField::Purpose, purpose)
            }
            Body::Enrolment(enrolment) => {
                Self::at(ClassField::Action, enrolment.action.code())
                    | Self::at(ClassField::EnrolmentChannel, enrolment.channel.code())
            }
            Body::Card(change) => Self::at(ClassField::Action, change.action.code()),
            Body::Hold(step) => Self::at(ClassField::Action, step.action.code()),
            Body::Disposition(_) => 0,
        };
        Self(facts | own)
    }

    /// A fact alone, in its place.
    #[inline]
    const fn at(field: ClassField, code: u8) -> u64 {
        let (shift, width) = LAYOUT[field as usize];
        (code as u64 & ((1 << width) - 1)) << shift
    }

    /// Adds a fact; 0 stands for unknown or absent.
    #[must_use]
    pub const fn with(self, field: ClassField, code: u8) -> Self {
        let (shift, width) = LAYOUT[field as usize];
        let mask = (1 << width) - 1;
        Self(self.0 & !(mask << shift) | ((code as u64 & mask) << shift))
    }

    /// A fact's code.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most five bits are left"
    )]
    pub const fn get(self, field: ClassField) -> u8 {
        let (shift, width) = LAYOUT[field as usize];
        (self.0 >> shift & ((1 << width) - 1)) as u8
    }

    /// Adds the index of the merchant's country; 0 for unknown.
    #[must_use]
    pub const fn with_country(self, index: u8) -> Self {
        Self(self.0 & !(0xFF << COUNTRY_SHIFT) | (index as u64) << COUNTRY_SHIFT)
    }

    /// The index of the merchant's country; 0 for unknown.
    pub const fn country(self) -> u8 {
        (self.0 >> COUNTRY_SHIFT & 0xFF) as u8
    }

    /// The same event, reversed.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self(self.0 | REVERSED)
    }

    /// The code of the event's type.
    pub const fn type_code(self) -> u8 {
        self.get(ClassField::Type)
    }
}

impl Filter {
    /// What every class that passes has in common, and the mask under which it has it.
    pub fn musts(&self) -> (u64, u64) {
        let (mut must, mut mask) = (0, REVERSED);
        for (number, (shift, width)) in (0_u8..).zip(LAYOUT) {
            let of = |all: &Vec<(u8, u64)>| {
                let here = all.iter().filter(|(field, _)| *field == number);
                here.fold(u64::MAX, |codes, (_, more)| codes & more)
            };
            let codes = self.any.iter().fold(0, |codes, all| codes | of(all));
            // Where some conjunction leaves the field open, all codes are accepted and nothing is alike.
            let accepted = (0_u64..1 << width).filter(|code| codes >> code & 1 == 1);
            let (all, any) = accepted.fold((u64::MAX, 0), |(all, any), c| (all & c, any | c));
            let alike = !(all ^ any) & ((1 << width) - 1);
            must |= (all & alike) << shift;
            mask |= alike << shift;
        }
        (must, mask)
    }

    /// Whether an event of this class counts. A fact that is unknown passes no test.
    pub fn passes(&self, class: Class) -> bool {
        if self.on >> class.type_code() & 1 == 0 || class.0 & REVERSED != 0 {
            return false;
        }
        self.any.iter().any(|all| {
            all.iter().all(|(field, codes)| {
                let (shift, width) = LAYOUT.get(usize::from(*field)).copied().unwrap_or((63, 1));
                codes >> (class.0 >> shift & ((1 << width) - 1)) & 1 == 1
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_filter_must_have_is_had_by_every_class_that_passes() {
        let auth = (ClassField::Type as u8, 1 << 1);
        let declined = (ClassField::Response as u8, 0b1100);
        let abroad = (ClassField::MerchantAbroad as u8, 1 << 2);
        let filter = Filter {
            on: 1 << 1,
            any: vec![vec![auth, declined, abroad], vec![auth, declined]],
        };
        let (must, mask) = filter.musts();
        // The type whole, of the response that it is neither 1 nor beyond 3, of the place nothing.
        assert_eq!(mask, REVERSED | 0xF | 0b1110 << 19);
        let mut passed = 0;
        for code in 0..=u8::MAX {
            let class = Class::default()
                .with(ClassField::Type, code % 16)
                .with(ClassField::Response, code / 16);
            for class in [class, class.reversed()] {
                passed += u32::from(filter.passes(class));
                assert!(!filter.passes(class) || class.0 & mask == must);
            }
        }
        assert!(passed > 0);
    }
}
