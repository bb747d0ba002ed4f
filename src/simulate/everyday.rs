//! The everyday of a cardholder: which visits a day brings, by habit, hour, weekday, pay day and journey, and how each goes.
//!
//! Nothing here is fraud. Customs that look like it (money sent home, crypto each week, work in Sweden) are labelled with
//! their names, so that it can be seen how the monitor treats them.

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::simulate::calendar::Day;
use crate::simulate::dice::Dice;
use crate::simulate::person::{Journey, Person, Trait};
use crate::simulate::places::{HOLIDAYS, SUBSCRIPTIONS, SWEDEN, Shop, TRANSFERS, once, skewed};
use crate::simulate::scene::{CANCELLED, Payment, Scene, Secure, TYPED, Tale};

/// What brings a cardholder's card or eID into play.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The card is issued and enrolled, before the first day.
    Opening,
    /// A payment by whatever way.
    Payment,
    /// A bank login.
    Login,
    /// A subscription, by number.
    Subscription(u8),
    /// Money sent home.
    Remittance,
    /// Crypto.
    Crypto,
    /// Savings.
    Investment,
    /// A working day in Sweden.
    Sweden,
    /// A hotel on business.
    Hotel,
    /// The card runs out and is replaced.
    Renewal,
    /// An honest story, by number.
    Story(u8),
    /// A pattern of fraud, by number.
    Fraud(u8),
}

/// A visit to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// When it begins.
    pub at_ms: i64,
    /// Whose.
    pub who: u32,
    /// What.
    pub what: What,
}

/// Share of a day's payments in each hour, in thousandths: working days, free days, and those who live at night.
const WORKING: [u64; 24] = [
    4, 2, 1, 1, 2, 8, 25, 45, 42, 38, 45, 62, 78, 62, 58, 72, 98, 104, 82, 58, 45, 35, 22, 11,
];
const FREE: [u64; 24] = [
    14, 10, 6, 3, 2, 3, 8, 18, 38, 62, 84, 92, 92, 84, 78, 74, 72, 70, 62, 48, 36, 26, 12, 6,
];
const NIGHT: [u64; 24] = [
    70, 72, 75, 70, 60, 50, 50, 45, 25, 10, 5, 5, 5, 8, 20, 35, 45, 50, 50, 50, 50, 50, 50, 50,
];
/// Of logins.
const LOGINS: [u64; 24] = [
    4, 2, 1, 1, 2, 10, 35, 60, 65, 60, 55, 55, 55, 45, 40, 45, 55, 60, 65, 75, 80, 70, 40, 20,
];
/// Bank logins a day, in thousandths.
const LOGINS_A_DAY: u64 = 420;

/// Appends the visits of one person's day, in no order.
pub fn plan(person: &mut Person, day: &Day, dice: &mut Dice, visits: &mut Vec<Visit>) {
    let who = person.number;
    let mut put = |at_ms, what| visits.push(Visit { at_ms, who, what });
    if day.payday {
        // What is left of last month is mostly saved.
        person.balance = person.balance.min(2_000_000) / 3 + person.income();
    }
    journeys(person, day, dice);
    let pace = person.pace() * season(day) / 1_000;
    let hours = if person.has(Trait::Nights) {
        &NIGHT
    } else if day.is_free() {
        &FREE
    } else {
        &WORKING
    };
    for hour in 0..24_usize {
        let start_ms = i64::try_from(hour).unwrap_or(0) * HOUR_MS;
        for _ in 0..dice.count(pace * hours[hour]) {
            put(day.at(start_ms + dice.between(0, HOUR_MS)), What::Payment);
        }
        for _ in 0..dice.count(LOGINS_A_DAY * LOGINS[hour]) {
            put(day.at(start_ms + dice.between(0, HOUR_MS)), What::Login);
        }
    }
    for n in 0..person.fact(99).below(5) {
        if person.fact(100 + n).below(28) + 1 == u64::from(day.of_month) {
            let at_ms = day.at(3 * HOUR_MS + dice.between(0, 2 * HOUR_MS));
            put(at_ms, What::Subscription(u8::try_from(n).unwrap_or(0)));
        }
    }
    customs(person, day, dice, &mut put);
    if dice.below(1_100) == 0 {
        put(
            day.at(dice.between(9 * HOUR_MS, 16 * HOUR_MS)),
            What::Renewal,
        );
    }
}

/// How much more is bought than on an ordinary day, in thousandths.
const fn season(day: &Day) -> u64 {
    let week = match day.weekday {
        4 => 1_180,
        5 => 1_220,
        6 => 850,
        _ => 950,
    };
    let month = match day.of_month {
        1..=3 => 1_200,
        22..=28 => 880,
        _ => 1_000,
    };
    let year = if day.month == 12 && day.of_month < 25 {
        1_250
    } else {
        1_000
    };
    let shut = if day.holiday { 600 } else { 1_000 };
    let paid = if day.payday { 1_250 } else { 1_000 };
    week * month / 1_000 * year / 1_000 * shut / 1_000 * paid / 1_000
}

fn journeys(person: &mut Person, day: &Day, dice: &mut Dice) {
    if person
        .journey
        .is_some_and(|journey| journey.until_ms + DAY_MS > day.start_ms)
        || person.busy_until > day.number
    {
        return;
    }
    if dice.below(500) < day.wanderlust {
        let country = dice.index(HOLIDAYS.len()).min(dice.index(HOLIDAYS.len()));
        let from_ms = day.at(dice.between(9 * HOUR_MS, 20 * HOUR_MS));
        let until_ms = from_ms + dice.between(3, 15) * DAY_MS;
        person.journey = Some(Journey {
            country: u8::try_from(country).unwrap_or(0),
            from_ms,
            until_ms,
        });
    }
}

fn customs(person: &mut Person, day: &Day, dice: &mut Dice, put: &mut impl FnMut(i64, What)) {
    let turn =
        |subject, period: i64| (day.number + person.fact(subject).between(0, period)) % period == 0;
    let evening = day.at(dice.between(17 * HOUR_MS, 22 * HOUR_MS));
    if person.has(Trait::Remits) && turn(80, *person.fact(81).pick(&[7, 14, 30])) {
        put(evening, What::Remittance);
    }
    if person.has(Trait::Crypto) && turn(82, 7) {
        put(evening, What::Crypto);
    }
    if person.has(Trait::Invests) && day.of_month == 2 {
        put(evening, What::Investment);
    }
    let away = person.journey.is_some_and(|j| j.until_ms > day.start_ms);
    let works = !day.is_free() && !away;
    if person.has(Trait::Commutes) && works && dice.chance(700) {
        put(day.at(dice.between(7 * HOUR_MS, 8 * HOUR_MS)), What::Sweden);
    } else if person.has(Trait::Travels) && works && turn(83, 14) {
        let country = *dice.pick(&[1_u8, 2, 4, 5, 6, 12]);
        let from_ms = day.at(9 * HOUR_MS);
        person.journey = Some(Journey {
            country,
            from_ms,
            until_ms: from_ms + 2 * DAY_MS,
        });
        put(evening, What::Hotel);
    }
}

/// Makes an everyday visit happen.
pub fn happen(s: &mut Scene<'_>, what: What) {
    let card = !matches!(what, What::Opening | What::Login | What::Renewal);
    let without = s.person.without_card_from_ms..s.person.without_card_until_ms;
    if card && without.contains(&s.at_ms) {
        return;
    }
    match what {
        What::Opening => opening(s),
        What::Payment => payment(s),
        What::Login => s.login("bank_login"),
        What::Subscription(n) => subscription(s, u64::from(n)),
        What::Remittance => remittance(s),
        What::Crypto => crypto(s),
        What::Investment => investment(s),
        What::Sweden => sweden(s),
        What::Hotel => hotel(s),
        What::Renewal => {
            s.person.renew_card(s.at_ms);
            s.issue();
        }
        What::Story(_) | What::Fraud(_) => {}
    }
}

fn opening(s: &mut Scene<'_>) {
    s.issue();
    s.wait_min(1, 15);
    let phone = s.person.phone(s.at_ms);
    s.enrol("phone_linked", "bank", Some(&phone), Some("DK"));
}

fn payment(s: &mut Scene<'_>) {
    // Abroad one sits at the table more and at the screen less.
    let remote = if s.person.abroad(s.at_ms).is_some() {
        60
    } else {
        170
    };
    match s.dice.below(1_000) {
        draw if draw < remote => remotely(s),
        _ if s.person.travels_at(s.at_ms) => {}
        draw if draw >= 975 => cash(s),
        _ => in_person(s),
    }
}

fn in_person(s: &mut Scene<'_>) {
    let shop = s.person.street(&mut s.dice, s.at_ms);
    let mut ore = (s.dice.amount(shop.median, 190) * s.person.level() / 1_000).max(800);
    let pin = ore > 35_000;
    let security = match s.dice.below(100) {
        0..60 if !pin => "contactless",
        0..85 if !pin => "wallet",
        0..30 => "wallet",
        _ => "chip_pin",
    };
    if security == "chip_pin" && s.dice.chance(8) {
        s.pay(&Payment::present(shop, ore, security).answered("55"));
        s.wait_s(10, 30);
    }
    let (id, approved) = s.pay(&Payment::present(shop, ore, security));
    if !approved && s.dice.chance(600) {
        ore /= 3;
        s.wait_s(30, 150);
        s.pay(&Payment::present(shop, ore, "chip_pin"));
    } else if approved && s.dice.chance(3) {
        s.wait_s(30, 200);
        let undone = Payment::present(shop, ore, security).answered("00");
        s.pay(&Payment {
            undoes: Some(("reversal", &id)),
            ..undone
        });
    }
}

fn cash(s: &mut Scene<'_>) {
    let ore = *s
        .dice
        .pick(&[20_000, 30_000, 50_000, 50_000, 100_000, 200_000]);
    let machine = once("automat", "Pengeautomat", "6011", 0).branch(s.dice.below(500) + 1);
    let machine = s
        .person
        .abroad(s.at_ms)
        .map_or(machine, |country| machine.there(country));
    s.pay(&Payment::present(machine, ore, "chip_pin").by("atm"));
}

fn remotely(s: &mut Scene<'_>) {
    let shop = s.person.web(&mut s.dice);
    let ore = (s.dice.amount(shop.median, 210) * s.person.level() / 1_000).max(1_900);
    let bought = match s.dice.below(1_000) {
        0..180 => paid(
            s,
            &Payment {
                security: "wallet",
                ..Payment::plain(shop, ore)
            },
        ),
        180..260 => {
            let exemption = Some(if ore < 22_000 { "low_value" } else { "tra" });
            paid(
                s,
                &Payment {
                    exemption,
                    ..Payment::plain(shop, ore)
                },
            )
        }
        260..290 => {
            let code = if s.person.scheme() == "mastercard" {
                "65"
            } else {
                "1A"
            };
            s.pay(&Payment::plain(shop, ore).answered(code));
            s.wait_s(4, 40);
            s.buy(shop, ore)
        }
        290..315 => {
            let it = s.own(shop, ore);
            s.secure(&Secure {
                otp: &["sent", "delivered", "rejected", "accepted"],
                ..it
            })
            .map(|(id, _)| id)
        }
        315..330 => {
            let it = s.own(shop, ore);
            s.secure(&Secure {
                otp: &["sent", "delivered"],
                ends: CANCELLED,
                ..it
            });
            s.wait_s(30, 200);
            if s.dice.chance(600) {
                s.buy(shop, ore)
            } else {
                None
            }
        }
        330..340 => paid(s, &Payment::present(shop, ore, "none").by("moto")),
        _ => s.buy(shop, ore),
    };
    if let Some(id) = bought.filter(|_| s.dice.chance(25)) {
        let days = s.dice.between(3, 13);
        s.next_days(days);
        let back = Payment::plain(shop, ore).answered("00");
        s.pay(&Payment {
            undoes: Some(("refund", &id)),
            ..back
        });
    }
}

fn paid(s: &mut Scene<'_>, it: &Payment<'_>) -> Option<String> {
    let (id, approved) = s.pay(it);
    approved.then_some(id)
}

fn subscription(s: &mut Scene<'_>, n: u64) {
    let shop = *skewed(&mut s.person.fact(120 + n), &SUBSCRIPTIONS);
    let payment = Payment::present(shop, shop.median, "none").by("recurring");
    let (_, approved) = s.pay(&payment);
    if !approved {
        custom(s, "subscription-tried-again");
        s.next_days(3);
        // By then somebody has lent it, or was paid.
        if s.dice.chance(700) {
            s.person.balance = s.person.balance.max(shop.median);
        }
        s.pay(&payment);
    }
}

/// What comes now is a custom with a name.
fn custom(s: &mut Scene<'_>, story: &'static str) {
    let case = s.out.case();
    s.tale = Some(Tale {
        story,
        case,
        fraud: false,
    });
}

/// By code or by eID, from wherever they are.
fn send(s: &mut Scene<'_>, shop: Shop, ore: i64) -> bool {
    let mut it = s.own(shop, ore);
    if s.person.prefers_code() {
        it.otp = TYPED;
    } else {
        it.eid = Some(s.own_eid());
    }
    s.secure(&it).is_some_and(|(_, approved)| approved)
}

fn remittance(s: &mut Scene<'_>) {
    custom(s, "money-sent-home");
    let mut fact = s.person.fact(84);
    let shop = *fact.pick(&TRANSFERS[..7]);
    let ore = fact.between(80_000, 450_000) * s.dice.between(930, 1_070) / 1_000;
    // It is put aside first; now and then it was not.
    if s.dice.chance(900) {
        s.person.balance = s.person.balance.max(ore + 20_000);
    }
    if !send(s, shop, ore) {
        s.next_days(1);
        s.person.balance = s.person.balance.max(ore);
        send(s, shop, ore * 6 / 10);
    }
}

fn crypto(s: &mut Scene<'_>) {
    custom(s, "crypto-each-week");
    let mut fact = s.person.fact(85);
    let shop = *fact.pick(&TRANSFERS[7..12]);
    let ore = fact.between(40_000, 250_000) * s.dice.between(800, 1_350) / 1_000;
    s.person.balance = s.person.balance.max(ore);
    send(s, shop, ore);
}

fn investment(s: &mut Scene<'_>) {
    custom(s, "savings-each-month");
    let mut fact = s.person.fact(86);
    let shop = *fact.pick(&TRANSFERS[18..]);
    let ore = fact.between(50, 500) * 1_000;
    s.person.balance = s.person.balance.max(ore);
    send(s, shop, ore);
}

fn sweden(s: &mut Scene<'_>) {
    custom(s, "work-in-sweden");
    let country = &HOLIDAYS[SWEDEN];
    s.pay(&Payment::present(
        once("skaane", "Sundstrafik", "4111", 0).there(country),
        8_200,
        "contactless",
    ));
    s.wait_min(200, 300);
    let ore = s.dice.between(6_000, 11_500);
    s.pay(&Payment::present(
        once("lunch", "Malmo Lunch", "5812", 0).there(country),
        ore,
        "chip_pin",
    ));
    if s.dice.chance(200) {
        s.wait_min(30, 120);
        let ip = country.address(&mut s.person.fact(87));
        let with = s.person.authenticator();
        s.eid("authenticated", ip, with, "bank_login", None, None);
    }
}

fn hotel(s: &mut Scene<'_>) {
    custom(s, "hotel-on-business");
    let hotel = once("conti", "Hotel Continental", "7011", 0);
    let shop = s
        .person
        .abroad(s.at_ms)
        .map_or(hotel, |country| hotel.there(country));
    let ore = s.dice.between(90_000, 220_000);
    s.person.balance = s.person.balance.max(ore);
    send(s, shop, ore);
    s.at_ms += s.dice.between(5, 60) * MINUTE_MS;
    s.login("bank_login");
}
