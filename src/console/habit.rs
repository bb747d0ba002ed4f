//! What the engine knows of a cardholder's habits, beside what a case shows: asked of the shard, where it sits here.
//! Where it sits elsewhere, nothing is said.

use crate::api::teller::{Span, Teller};
use crate::clock::Stopwatch;
use crate::domain::country::Country;
use crate::domain::ids::Fingerprint;
use crate::domain::time::DAY_MS;
use crate::engine::known::{self, Kind};
use crate::engine::record::Record;
use std::time::Duration;

/// A page waits no longer than this for the shard.
const PATIENCE: Duration = Duration::from_millis(20);

/// A cardholder's habits as they stood on a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Habits {
    /// Payments that the habit is made of.
    pub payments: u16,
    /// Quartiles of their amounts, minor units of the rule book's currency.
    pub quartiles: Option<[i64; 3]>,
    /// How far out the largest amount of the case lies: -log10 of the share of payments as large, times 100.
    pub tail: Option<i64>,
    /// The home country.
    pub home: Option<String>,
    /// Countries paid in with the card present.
    pub paid_in: Vec<String>,
    /// Countries that the eID was used from on an earlier day.
    pub eid_from: Vec<String>,
}

/// The habits of a cardholder before a day, and how an amount lies among them; nothing where the shard sits elsewhere,
/// does not answer at once, or knows nothing of them.
pub fn habits(
    teller: &Teller,
    cardholder: &str,
    at_ms: i64,
    largest: Option<i64>,
) -> Option<Habits> {
    let span = Span {
        begun: Stopwatch::start(),
        bound: PATIENCE,
    };
    let partition = teller.partition_of(cardholder);
    let day = u32::try_from(at_ms / DAY_MS).ok()?;
    let seen = teller.see(partition, span, |sight| {
        let slab = sight.shard.engine().slab();
        let record = slab
            .find(Fingerprint::of(cardholder).0)
            .or_else(|| slab.find(Fingerprint::of_card_as_holder(cardholder).0))?;
        Some(read(record, day, largest))
    });
    seen.ok().flatten().flatten()
}

fn read(record: &Record, day: u32, largest: Option<i64>) -> Habits {
    let name = |country: Country| String::from_utf8_lossy(&country.letters()).into_owned();
    let of = |kind: Kind| {
        let known = Country::all().filter(|country| {
            let found = known::find(record, kind, u32::from(country.index()), day);
            found.is_some_and(|found| found.days_before(day) > 0)
        });
        known.map(name).collect()
    };
    Habits {
        payments: record.habit.payments,
        quartiles: record.habit.quartiles(),
        tail: largest.and_then(|minor| record.habit.tail(minor)),
        home: Country::from_index(record.marks.home).map(name),
        paid_in: of(Kind::PaidCountry),
        eid_from: of(Kind::EidCountry),
    }
}
