//! A population of Danish cardholders, made of chance: habits, pay days, holidays, cards, phones, logins, and among them
//! patterns of fraud and honest stories that look like it, each labelled.
//!
//! [`Population`] is an iterator over records in the contract, in order of event time, with bounded memory: a hundred
//! bytes a person, one day's visits, and what waits for its time. The same settings give the same bytes on any machine.
//! It judges nothing and knows no rule book. Writing the records to files is for `cli::simulate`.

pub mod calendar;
pub mod dice;
pub mod everyday;
pub mod fraud;
pub mod honest;
pub mod line;
pub mod person;
pub mod places;
pub mod scene;

pub use line::{Label, Simulated, Topic};

use crate::domain::time::HOUR_MS;
use calendar::Day;
use chrono::NaiveDate;
use dice::{Dice, mix};
use everyday::{Visit, What};
use line::Outbox;
use person::Person;
use scene::{Scene, Tale};

/// How long a story or a pattern keeps its person busy, so that no other begins: days.
const BUSY_DAYS: i64 = 21;
/// The span to which the settings' rates refer: days.
const MONTH_DAYS: u64 = 30;
/// One payment of so many is looked at for no reason, and called good.
const SAMPLED: u64 = 400;

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many people.
    pub cardholders: u32,
    /// For how many days; what began in them is told to its end, so that records go on for two weeks or so.
    pub days: u32,
    /// The first day. Cards are issued up to 300 days before it.
    pub start: NaiveDate,
    /// Other seeds, other people.
    pub seed: u64,
    /// Cases of fraud per 10,000 people in 30 days; far above life, where it is a few.
    pub fraud: u32,
    /// Honest stories that look like fraud per 10,000 people in 30 days.
    pub stories: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cardholders: 10_000,
            days: 30,
            start: NaiveDate::from_ymd_opt(2026, 1, 1).unwrap_or_default(),
            seed: 1,
            fraud: 30,
            stories: 300,
        }
    }
}

/// The population, and where it stands in event time.
#[derive(Debug)]
pub struct Population {
    settings: Settings,
    people: Vec<Person>,
    visits: Vec<Visit>,
    next: usize,
    /// The next day to plan; the first is 0.
    day: i64,
    first_day: i64,
    out: Outbox,
    frauds: u64,
    stories: u64,
}

impl Population {
    /// A population at the beginning, before the cards are issued.
    pub fn new(settings: &Settings) -> Self {
        let people: Vec<Person> = (0..settings.cardholders)
            .map(|number| Person::new(settings.seed, number))
            .collect();
        let first_day = calendar::number_of(settings.start);
        let start_ms = Day::new(first_day).start_ms;
        let mut visits: Vec<Visit> = people
            .iter()
            .map(|person| Visit {
                at_ms: start_ms - person.issued_before_ms(),
                who: person.number,
                what: What::Opening,
            })
            .collect();
        visits.sort_unstable();
        // Which pattern comes first is for the seed to say.
        let turn = Dice::new(mix(settings.seed ^ 0xF0)).below(1_000);
        Self {
            settings: settings.clone(),
            people,
            visits,
            next: 0,
            day: 0,
            first_day,
            out: Outbox::new(settings.seed),
            frauds: turn,
            stories: turn,
        }
    }

    /// How far it is: days told, of all days.
    pub const fn progress(&self) -> (i64, u32) {
        (self.day, self.settings.days)
    }

    /// Records that are written and wait for their time, and visits of the day in hand: what memory holds beside people.
    pub fn waiting(&self) -> (usize, usize) {
        (self.out.len(), self.visits.len())
    }

    /// Plans the next day; false where there is none.
    fn dawn(&mut self) -> bool {
        if self.day >= i64::from(self.settings.days) {
            return false;
        }
        let day = Day::new(self.first_day + self.day);
        self.visits.clear();
        self.next = 0;
        for person in &mut self.people {
            let seed =
                mix(self.settings.seed
                    ^ mix(u64::from(person.number) << 20 | self.day.unsigned_abs()));
            let mut dice = Dice::new(seed);
            everyday::plan(person, &day, &mut dice, &mut self.visits);
            let away = person
                .journey
                .is_some_and(|journey| journey.until_ms > day.start_ms);
            if away || person.busy_until > day.number {
                continue;
            }
            let at_ms = day.at(dice.between(8 * HOUR_MS, 22 * HOUR_MS));
            let draw = dice.below(10_000 * MONTH_DAYS);
            let (fraud, stories) = (
                u64::from(self.settings.fraud),
                u64::from(self.settings.stories),
            );
            let what = if draw < fraud {
                self.frauds += 1;
                What::Fraud(turn(self.frauds, fraud::PATTERNS.len()))
            } else if draw < fraud + stories {
                self.stories += 1;
                What::Story(turn(self.stories, honest::STORIES.len()))
            } else {
                continue;
            };
            person.busy_until = day.number + BUSY_DAYS;
            self.visits.push(Visit {
                at_ms,
                who: person.number,
                what,
            });
        }
        self.visits.sort_unstable();
        self.day += 1;
        true
    }

    fn happen(&mut self, visit: Visit) {
        let Some(person) = usize::try_from(visit.who)
            .ok()
            .and_then(|who| self.people.get_mut(who))
        else {
            return;
        };
        let number = u64::try_from(self.next).unwrap_or(0);
        let seed = mix(self.settings.seed
            ^ mix(visit.at_ms.unsigned_abs() ^ u64::from(visit.who) << 40)
            ^ number);
        let mut scene = Scene::new(Dice::new(seed), visit.at_ms, person, &mut self.out);
        match visit.what {
            What::Fraud(n) => {
                let pattern = &fraud::PATTERNS[usize::from(n)];
                let balance = scene.person.balance;
                let case = scene.out.case();
                scene.tale = Some(Tale {
                    story: pattern.name,
                    case,
                    fraud: true,
                });
                (pattern.tell)(&mut scene);
                fraud::found_out(&mut scene);
                // What was taken is paid back.
                scene.person.balance = balance;
            }
            What::Story(n) => {
                let story = &honest::STORIES[usize::from(n)];
                let case = scene.out.case();
                scene.tale = Some(Tale {
                    story: story.name,
                    case,
                    fraud: false,
                });
                (story.tell)(&mut scene);
                honest::looked_at(&mut scene);
            }
            What::Opening
            | What::Payment
            | What::Login
            | What::Subscription(_)
            | What::Remittance
            | What::Crypto
            | What::Investment
            | What::Sweden
            | What::Hotel
            | What::Renewal => {
                scene.sampled = scene.dice.below(SAMPLED) == 0;
                everyday::happen(&mut scene, visit.what);
                honest::looked_at(&mut scene);
            }
        }
    }
}

/// Each in turn, so that none is rarer than another.
fn turn(number: u64, of: usize) -> u8 {
    let of = u64::try_from(of).unwrap_or(1).max(1);
    u8::try_from(number % of).unwrap_or(0)
}

impl Iterator for Population {
    type Item = Simulated;

    fn next(&mut self) -> Option<Simulated> {
        loop {
            // All that a visit brings comes at its time or later.
            let until_ms = self.visits.get(self.next).map(|visit| visit.at_ms);
            match until_ms {
                Some(until_ms) => {
                    if let Some(record) = self.out.take(until_ms - 1) {
                        return Some(record);
                    }
                    let visit = self.visits[self.next];
                    self.next += 1;
                    self.happen(visit);
                }
                None if self.dawn() => {}
                None => return self.out.take(i64::MAX),
            }
        }
    }
}
