//! A cardholder: what follows from a hash (habits, tokens, favourite shops, home network) and the little that changes
//! (balance, card, phone, journeys). A hundred bytes each, so that a million stay in memory.
//!
//! It makes no events.

use crate::domain::time::HOUR_MS;
use crate::simulate::dice::{Dice, mix};
use crate::simulate::places::{ABROAD, Country, HOLIDAYS, HOME, MOBILE, STREET, Shop, WEB, skewed};
use core::net::Ipv4Addr;
use std::fmt::Write;

/// What somebody does as a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trait {
    /// Sends money home, every week to every month.
    Remits,
    /// Buys crypto every week.
    Crypto,
    /// Puts savings into an investment platform by card each month.
    Invests,
    /// Lives at night.
    Nights,
    /// Works in Sweden.
    Commutes,
    /// Is abroad on business every other week.
    Travels,
}

/// A journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journey {
    /// Which of the holiday countries.
    pub country: u8,
    /// There from here …
    pub from_ms: i64,
    /// … to here.
    pub until_ms: i64,
}

/// How a bank writes what it logs: which of the contract's optional fields it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bank {
    /// The ACS knows the card by another token, and no person.
    pub alias: bool,
    /// Authorizations and 3-D Secure events name the person.
    pub names: bool,
    /// eID events name the card.
    pub eid_card: bool,
    /// eID events name the challenge they were made in.
    pub eid_acs: bool,
    /// The ACS says by which method a challenge was passed.
    pub method: bool,
    /// Authorizations have the balance.
    pub balance: bool,
    /// The merchant's browser data come through.
    pub browser_ip: bool,
    /// The log has `received_at`.
    pub received: bool,
    /// Times are written in UTC.
    pub zulu: bool,
    /// The log has CReq and CRes.
    pub whole: bool,
}

const FULL: Bank = Bank {
    alias: false,
    names: true,
    eid_card: true,
    eid_acs: true,
    method: true,
    balance: true,
    browser_ip: true,
    received: false,
    zulu: false,
    whole: false,
};
/// Banks with their shares of a hundred: the first logs all, each other one lacks something.
const BANKS: [(u64, Bank); 5] = [
    (40, FULL),
    (
        25,
        Bank {
            alias: true,
            names: true,
            whole: true,
            ..FULL
        },
    ),
    (
        15,
        Bank {
            eid_card: false,
            balance: false,
            received: true,
            ..FULL
        },
    ),
    (
        12,
        Bank {
            method: false,
            eid_acs: false,
            zulu: true,
            ..FULL
        },
    ),
    (
        8,
        Bank {
            names: false,
            balance: false,
            browser_ip: false,
            ..FULL
        },
    ),
];
/// Card payments a day in thousandths, and the share of a thousand that pay so often. The mean is about 1.3.
const PACES: [(u64, u64); 6] = [
    (300, 150),
    (400, 850),
    (200, 2_200),
    (85, 4_600),
    (14, 8_000),
    (1, 13_000),
];
/// How many of a thousand have a trait, in the order of [`Trait`].
const TRAITS: [(Trait, u64); 6] = [
    (Trait::Remits, 30),
    (Trait::Crypto, 15),
    (Trait::Invests, 20),
    (Trait::Nights, 30),
    (Trait::Commutes, 20),
    (Trait::Travels, 15),
];
/// Spreads numbers over 60 bits one to one: odd, so that it has an inverse.
const SPREAD: u64 = 0x0D6E_8FEB_8665_9FD9;

/// A cardholder.
#[derive(Debug, Clone)]
pub struct Person {
    /// From 0.
    pub number: u32,
    seed: u64,
    world: u64,
    /// What is on the account, in øre.
    pub balance: i64,
    /// The card's token changes from here on.
    pub card_from_ms: i64,
    /// The phone changes from here on.
    pub phone_from_ms: i64,
    /// Nothing is paid from here …
    pub without_card_from_ms: i64,
    /// … to here: the card is blocked, the next in the post.
    pub without_card_until_ms: i64,
    /// The journey that they are on, or the newest.
    pub journey: Option<Journey>,
    /// No other story begins before this day.
    pub busy_until: i64,
    cards: u8,
    phones: u8,
    homes: u8,
}

impl Person {
    /// A person by number.
    pub fn new(seed: u64, number: u32) -> Self {
        let mut person = Self {
            number,
            seed: mix(seed ^ mix(u64::from(number) ^ 0x70E1)),
            world: mix(seed),
            balance: 0,
            card_from_ms: 0,
            phone_from_ms: 0,
            without_card_from_ms: 0,
            without_card_until_ms: 0,
            journey: None,
            busy_until: 0,
            cards: 0,
            phones: 0,
            homes: 0,
        };
        person.balance = person.income() * person.fact(1).between(300, 1_200) / 1_000;
        person
    }

    /// Chance that is always the same for this person and subject.
    pub const fn fact(&self, subject: u64) -> Dice {
        Dice::new(mix(self.seed ^ subject.wrapping_mul(SPREAD)))
    }

    /// Card payments a day, in thousandths.
    pub fn pace(&self) -> u64 {
        let draw = self.fact(2).below(1_000);
        let mut sum = 0;
        let pace = PACES.iter().find(|(share, _)| {
            sum += share;
            draw < sum
        });
        pace.map_or(850, |(_, pace)| *pace)
    }

    /// How much they spend where the median spends 1,000.
    pub fn level(&self) -> i64 {
        self.fact(3).amount(1_000, 110).clamp(400, 3_000)
    }

    /// What comes on pay day and may be spent by card, in øre.
    pub fn income(&self) -> i64 {
        // A payment is some DKK 350 on average, travel and furniture included.
        let month = i64::try_from(self.pace()).unwrap_or(1_000) * 30 * 45;
        (month * self.level() / 1_000).max(400_000) * self.fact(4).between(1_100, 3_000) / 1_000
    }

    /// Whether they have a trait.
    pub fn has(&self, wanted: Trait) -> bool {
        let at = TRAITS.iter().position(|(is, _)| *is == wanted).unwrap_or(0);
        let subject = 10 + u64::try_from(at).unwrap_or(0);
        self.fact(subject).chance(TRAITS[at].1)
    }

    /// How their bank logs.
    pub fn bank(&self) -> Bank {
        let draw = self.fact(5).below(100);
        let mut sum = 0;
        let bank = BANKS.iter().find(|(share, _)| {
            sum += share;
            draw < sum
        });
        bank.map_or(FULL, |(_, bank)| *bank)
    }

    /// The card's scheme.
    pub fn scheme(&self) -> &'static str {
        self.fact(6)
            .pick::<&str>(&["visa_dankort", "visa_dankort", "mastercard", "visa"])
    }

    /// What they approve with: mostly the app.
    pub fn authenticator(&self) -> &'static str {
        if self.fact(7).chance(850) {
            "app"
        } else {
            "code_token"
        }
    }

    /// Whether challenges are answered by text message as a rule; the others use the eID.
    pub fn prefers_code(&self) -> bool {
        self.fact(8).chance(350)
    }

    /// When the card was issued: milliseconds before the first day.
    pub fn issued_before_ms(&self) -> i64 {
        self.fact(9).between(20 * 24 * 3_600, 300 * 24 * 3_600) * 1_000
    }

    /// The person's key.
    pub fn key(&self) -> String {
        token("p-", self.world(0x0CD4), u64::from(self.number))
    }

    /// The token of the card in hand at a time.
    pub fn card(&self, at_ms: i64) -> String {
        self.card_token("c-", at_ms)
    }

    /// The same card as the ACS calls it.
    pub fn alias(&self, at_ms: i64) -> String {
        self.card_token("k-", at_ms)
    }

    fn card_token(&self, prefix: &str, at_ms: i64) -> String {
        let serial = current(self.cards, self.card_from_ms, at_ms);
        token(
            prefix,
            self.world(0xCA4D),
            u64::from(self.number) << 8 | u64::from(serial),
        )
    }

    /// The token of the phone number in use at a time.
    pub fn phone(&self, at_ms: i64) -> String {
        let serial = current(self.phones, self.phone_from_ms, at_ms);
        token(
            "t-",
            self.world(0xF0E),
            u64::from(self.number) << 8 | u64::from(serial),
        )
    }

    /// The same for all people of a population: tokens are one to one with numbers.
    const fn world(&self, subject: u64) -> u64 {
        mix(self.world ^ subject)
    }

    /// A new card from a time on.
    pub fn renew_card(&mut self, from_ms: i64) {
        self.cards = self.cards.wrapping_add(1);
        self.card_from_ms = from_ms;
    }

    /// A new phone number from a time on.
    pub fn renew_phone(&mut self, from_ms: i64) {
        self.phones = self.phones.wrapping_add(1);
        self.phone_from_ms = from_ms;
    }

    /// Another home, another line.
    pub fn move_house(&mut self) {
        self.homes = self.homes.wrapping_add(1);
    }

    /// Where they are at a time: nothing at home.
    pub fn abroad(&self, at_ms: i64) -> Option<&'static Country> {
        let journey = self.journey?;
        let gone = (journey.from_ms..journey.until_ms).contains(&at_ms);
        HOLIDAYS.get(usize::from(journey.country)).filter(|_| gone)
    }

    /// Whether they are in the air: no card is presented anywhere.
    pub fn travels_at(&self, at_ms: i64) -> bool {
        self.journey.is_some_and(|journey| {
            let before = |end_ms: i64| (end_ms - 7 * HOUR_MS..end_ms).contains(&at_ms);
            before(journey.from_ms) || before(journey.until_ms)
        })
    }

    /// The address of their line at home.
    pub fn home(&self) -> Ipv4Addr {
        HOME.address(&mut self.fact(20 + u64::from(self.homes)))
    }

    /// The address of their phone on the move: one of a few networks, and always another number.
    pub fn mobile(&self, dice: &mut Dice) -> Ipv4Addr {
        let near = MOBILE.address(&mut self.fact(300 + dice.below(4))).octets();
        let last = u8::try_from(dice.between(1, 255)).unwrap_or(1);
        Ipv4Addr::new(near[0], near[1], near[2], last)
    }

    /// The address from which they go online at a time.
    pub fn address(&self, dice: &mut Dice, at_ms: i64) -> Ipv4Addr {
        match self.abroad(at_ms) {
            // The hotel's line, and sometimes the phone, which roams by way of home.
            Some(_) if dice.chance(250) => self.mobile(dice),
            Some(country) => {
                let journey = self.journey.map_or(0, |journey| journey.from_ms);
                country.address(&mut self.fact(1_000 + journey.unsigned_abs()))
            }
            None if dice.chance(350) => self.mobile(dice),
            None => self.home(),
        }
    }

    /// A shop in the street: mostly one of the favourites.
    pub fn street(&self, dice: &mut Dice, at_ms: i64) -> Shop {
        if let Some(country) = self.abroad(at_ms) {
            let shop = skewed(dice, &ABROAD).there(country);
            return shop.branch(dice.below(400) + 1);
        }
        let mut taste = self.fact(30 + dice.below(9).min(dice.below(9)));
        let dice = if dice.chance(850) { &mut taste } else { dice };
        let shop = skewed(dice, &STREET);
        shop.branch(dice.below(60) + 1)
    }

    /// A web shop: mostly one of the favourites.
    pub fn web(&self, dice: &mut Dice) -> Shop {
        let mut taste = self.fact(50 + dice.below(6).min(dice.below(6)));
        let dice = if dice.chance(750) { &mut taste } else { dice };
        let shop = *skewed(dice, &WEB);
        // Some are thousands of small ones.
        if matches!(shop.mcc, "5999" | "8021" | "8398") {
            shop.branch(dice.below(3_000) + 1)
        } else {
            shop
        }
    }
}

/// Serial numbers count up; before the newest is in force, the one before it is.
const fn current(serial: u8, from_ms: i64, at_ms: i64) -> u8 {
    if at_ms < from_ms {
        serial.wrapping_sub(1)
    } else {
        serial
    }
}

/// A token of 60 bits in four groups that begin with a letter, one to one with the number: `a1f3-c09b-d27e-b004`.
/// No three digits stand together, so nobody takes it for a card number.
pub fn token(prefix: &str, world: u64, number: u64) -> String {
    let bits = (number ^ world).wrapping_mul(SPREAD);
    let mut text = String::with_capacity(prefix.len() + 19);
    text.push_str(prefix);
    for group in 0..4_u32 {
        let bits = bits >> (15 * group);
        let letter = u8::try_from(bits & 7).unwrap_or(0);
        if group > 0 {
            text.push('-');
        }
        text.push(char::from(b'a' + letter));
        let wrote = write!(text, "{:03x}", bits >> 3 & 0xFFF);
        debug_assert!(wrote.is_ok());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_and_never_have_four_digits_in_a_row() {
        let mut seen: Vec<String> = (0..20_000)
            .map(|n| token("c-", mix(0xCA4D), n << 8))
            .collect();
        for text in &seen {
            let run = text
                .split(|c: char| !c.is_ascii_digit())
                .map(str::len)
                .max();
            assert!(run.unwrap() <= 3, "{text}");
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 20_000);
    }

    #[test]
    fn a_new_card_and_phone_are_used_from_their_day_on() {
        let mut person = Person::new(1, 7);
        let (card, phone) = (person.card(50), person.phone(50));
        person.renew_card(100);
        person.renew_phone(200);
        assert_eq!(person.card(99), card);
        assert_ne!(person.card(100), card);
        assert_eq!(person.phone(199), phone);
        assert_ne!(person.phone(200), phone);
    }

    #[test]
    fn a_person_is_small() {
        assert!(size_of::<Person>() <= 120);
    }
}
