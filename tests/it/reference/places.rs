//! Known merchants, countries, networks and MCC groups, by going through all events again.
//!
//! Bounds as documented in `engine/known.rs`: 4 merchants paid in person and 8 paid
//! remotely, 4 countries paid in, 4 of the eID, 4
//! networks, 15 groups; each day of use weighs as much as thirty days of age, ties go to the
//! smallest key; after 400 days unused a place no longer counts; days stop at 255.

use super::{Lived, day_of, habits::level_up};
use varsel::domain::codes::{Action, Channel, ResponseGroup, Security};
use varsel::domain::event::Body;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Merchant,
    RemoteMerchant,
    PaidCountry,
    EidCountry,
    Network,
    MccGroup,
}

impl Kind {
    fn bound(self) -> usize {
        match self {
            Self::RemoteMerchant => 8,
            Self::Merchant | Self::PaidCountry | Self::EidCountry | Self::Network => 4,
            Self::MccGroup => 15,
        }
    }
}

/// One known place.
#[derive(Clone, Debug)]
pub struct Place {
    pub kind: Kind,
    pub key: u32,
    /// The days of use, in order, each once.
    pub days: Vec<i64>,
    pub largest: i64,
}

impl Place {
    fn last(&self) -> i64 {
        self.days.last().copied().unwrap_or(0)
    }

    /// On how many days before `day` it was used.
    pub fn days_before(&self, day: i64) -> i64 {
        let all = i64::try_from(self.days.len().min(255)).unwrap();
        all - i64::from(self.last() == day)
    }
}

/// All known places after these events.
pub fn recall(lives: &[Lived]) -> Vec<Place> {
    let mut places = Vec::new();
    for lived in lives {
        let day = day_of(lived.event.at.ms);
        match &lived.event.body {
            Body::Authorization(payment) if !payment.is_undoing() => {
                if lived.response == ResponseGroup::Approved {
                    pay(&mut places, lived, payment.channel, payment.security, day);
                }
            }
            Body::Eid(eid) if eid.action == Action::Authenticated => {
                let country = lived
                    .event
                    .place
                    .country
                    .map_or(0, |c| u32::from(c.index()));
                note(&mut places, Kind::EidCountry, country, day, 0);
                note(
                    &mut places,
                    Kind::Network,
                    lived.event.place.network,
                    day,
                    0,
                );
            }
            Body::Authorization(_)
            | Body::Eid(_)
            | Body::Threeds(_)
            | Body::Otp(_)
            | Body::Enrolment(_)
            | Body::Card(_)
            | Body::Disposition(_)
            | Body::Hold(_) => {}
        }
    }
    places
}

fn pay(places: &mut Vec<Place>, lived: &Lived, channel: Channel, security: Security, day: i64) {
    let bought = lived.purchase.unwrap();
    let in_person = matches!(channel, Channel::Pos | Channel::Atm);
    let shop = if in_person {
        Kind::Merchant
    } else {
        Kind::RemoteMerchant
    };
    note(places, shop, bought.merchant, day, lived.settled);
    note(
        places,
        Kind::MccGroup,
        u32::from(bought.mcc_group),
        day,
        lived.settled,
    );
    let by_chip = matches!(
        security,
        Security::ChipPin | Security::Chip | Security::Contactless
    );
    if in_person && by_chip {
        note(places, Kind::PaidCountry, u32::from(bought.country), day, 0);
    }
    note(places, Kind::Network, lived.passed_network, day, 0);
}

fn note(places: &mut Vec<Place>, kind: Kind, key: u32, day: i64, amount: i64) {
    if key == 0 {
        return;
    }
    if let Some(place) = places.iter_mut().find(|p| p.kind == kind && p.key == key) {
        if day - place.last() > 400 {
            (place.days, place.largest) = (Vec::new(), 0);
        }
        if place.days.is_empty() || day > place.last() {
            place.days.push(day);
        }
        place.largest = place.largest.max(amount);
        return;
    }
    if places.iter().filter(|p| p.kind == kind).count() == kind.bound() {
        let worth = |p: &Place| {
            let days = i64::try_from(p.days.len().min(255)).unwrap();
            days * 30 - (day - p.last()).clamp(0, 4_000)
        };
        let of_kind = places.iter().filter(|p| p.kind == kind);
        let least = of_kind.map(|p| (worth(p), p.key)).min().unwrap();
        places.retain(|p| p.kind != kind || (worth(p), p.key) != least);
    }
    places.push(Place {
        kind,
        key,
        days: vec![day],
        largest: amount,
    });
}

/// The place, where it still counts on `day`.
pub fn find(places: &[Place], kind: Kind, key: u32, day: i64) -> Option<&Place> {
    places
        .iter()
        .find(|p| p.kind == kind && p.key == key && day - p.last() <= 400)
}

/// The largest amount at some places, to an eighth of an octave upwards.
pub fn largest(places: &[&Place]) -> i64 {
    level_up(places.iter().map(|p| p.largest).max().unwrap_or(0))
}

/// Whether a country is accustomed: home, paid in by chip within 400 days, or used with the eID on
/// three earlier days; unknown where nothing is known of home or habit.
pub fn country_accustomed(places: &[Place], home: u8, country: u8, day: i64) -> Option<bool> {
    if country == 0 {
        return None;
    }
    let counts = |p: &&Place| {
        let habitual =
            p.kind == Kind::PaidCountry || p.kind == Kind::EidCountry && p.days_before(day) >= 3;
        habitual && day - p.last() <= 400
    };
    let accustomed: Vec<&Place> = places.iter().filter(counts).collect();
    if country == home || accustomed.iter().any(|p| p.key == u32::from(country)) {
        return Some(true);
    }
    (home != 0 || !accustomed.is_empty()).then_some(false)
}

/// Whether a network is accustomed: used on an earlier day; unknown before the first such network.
pub fn network_accustomed(places: &[Place], network: u32, day: i64) -> Option<bool> {
    if network == 0 {
        return None;
    }
    let counts =
        |p: &&Place| p.kind == Kind::Network && p.days_before(day) >= 1 && day - p.last() <= 400;
    let accustomed: Vec<&Place> = places.iter().filter(counts).collect();
    if accustomed.iter().any(|p| p.key == network) {
        return Some(true);
    }
    (!accustomed.is_empty()).then_some(false)
}
