//! A seeded Danish card population as JSON lines in the contract, made lazily and in order of `at`.
//!
//! Every fact follows from a hash of cardholder and visit, so ten million cardholders need no state of their own.
//! First each gets a card, an enrolment and a phone within the opening hours; then payments, logins and the rare
//! rest come by the minute, busier by day. It carries no fraud on purpose: it is the weight, not the catch.
#![allow(
    dead_code,
    missing_docs,
    reason = "each benchmark is built apart and uses a part of this"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::wildcard_enum_match_arm,
    reason = "a generator cuts hashes as it likes, and writes the rest alike"
)]

#[path = "pieces.rs"]
mod pieces;
#[path = "shops.rs"]
mod shops;

use pieces::{acs, decimal, letters, phone, text};
use shops::{Shop, Shops};
use varsel::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, write_rfc3339};

/// 2026-01-05, a Monday, 20:00 in Denmark: cards are issued until midnight, then the days begin.
pub const START_MS: i64 = 1_767_571_200_000 + 19 * HOUR_MS;
/// In how many minutes all cards are issued.
const OPENING_MINUTES: i64 = 240;
/// Danish winter time, as the records are written.
const OFFSET_MS: i64 = HOUR_MS;
/// Share of a day's activity in each hour, in thousandths.
const HOURS: [f64; 24] = [
    4.0, 2.0, 1.0, 1.0, 2.0, 6.0, 18.0, 38.0, 48.0, 52.0, 60.0, 70.0, 76.0, 72.0, 68.0, 72.0, 82.0,
    84.0, 74.0, 58.0, 44.0, 34.0, 22.0, 12.0,
];
/// Cardholders by activity: share of all, card payments a day. The mean is 1.3.
const CLASSES: [(f64, f64); 6] = [
    (0.30, 0.1),
    (0.40, 0.75),
    (0.20, 2.2),
    (0.085, 4.6),
    (0.014, 8.5),
    (0.001, 15.0),
];
/// Bank logins with the eID, a cardholder and day.
const LOGINS_A_DAY: f64 = 0.25;
/// Phone changes, app activations, PIN locks, a cardholder and day.
const RARE_A_DAY: f64 = 0.0015;
/// Steps of a visit lie within so many minutes of its beginning.
const AHEAD: usize = 8;
/// A prime by which cardholders are issued out of order, so that busy ones do not lie side by side.
const STRIDE: u64 = 2_654_435_761;

/// A mixing of 64 bits (splitmix64's finalizer).
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Splitmix64.
#[derive(Debug, Clone, Copy)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(bound)) >> 64) as u64
    }

    /// In 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// What a line tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Issued,
    Enrolled,
    Linked,
    AReq,
    ARes,
    OtpSent,
    OtpDelivered,
    OtpAccepted,
    EidKeyIssued,
    EidAuthenticated,
    RReq,
    Payment,
    Reversal,
    Login,
    LoginKey,
    Rare,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    at_ms: i64,
    who: u32,
    visit: u64,
    what: What,
}

/// How a payment is made, in all its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Present,
    Cash,
    Plain,
    Frictionless,
    ByCode,
    ByEid,
    Recurring,
    Moto,
}

/// One payment, worked out from its hash.
struct Visit<'a> {
    way: Way,
    shop: &'a Shop,
    amount_minor: u64,
    /// Field 39.
    response: &'static str,
    /// The challenge was failed: no authorization follows.
    failed: bool,
    reversed: bool,
    dice: Dice,
}

/// The population and where it stands in event time.
pub struct Population {
    cards: u32,
    seed: u64,
    /// Whether every line names the cardholder; otherwise `threeds` and `otp` lines do not, as the ACS knows cards only.
    resolved: bool,
    shops: Shops,
    bounds: Vec<(u32, u32, f64)>,
    weight: f64,
    minute: i64,
    issued: u32,
    ahead: [Vec<Step>; AHEAD],
    ready: Vec<Step>,
    next: usize,
    dice: Dice,
}

impl Population {
    pub fn new(cards: u32, seed: u64, resolved: bool) -> Self {
        let mut bounds = Vec::new();
        let (mut first, mut share, mut weight) = (0, 0.0, 0.0);
        for (part, rate) in CLASSES {
            share += part;
            let end = (f64::from(cards) * share).round() as u32;
            weight += f64::from(end - first) * rate;
            bounds.push((first, end, weight));
            first = end;
        }
        Self {
            cards,
            seed,
            resolved,
            shops: Shops::new(seed),
            bounds,
            weight,
            minute: 0,
            issued: 0,
            ahead: Default::default(),
            ready: Vec::new(),
            next: 0,
            dice: Dice(seed),
        }
    }

    /// Event time at the end of `days` whole days after all cards are issued.
    pub fn day_end_ms(days: i64) -> i64 {
        START_MS + OPENING_MINUTES * MINUTE_MS + days * DAY_MS
    }

    /// Appends the next line, its newline included; returns its event time.
    pub fn line(&mut self, out: &mut Vec<u8>) -> i64 {
        while self.next >= self.ready.len() {
            self.advance();
        }
        let step = self.ready[self.next];
        self.next += 1;
        self.write(step, out);
        step.at_ms
    }

    /// Makes the next minute's steps ready.
    fn advance(&mut self) {
        let minute = self.minute;
        self.minute += 1;
        let from_ms = START_MS + minute * MINUTE_MS;
        if minute < OPENING_MINUTES {
            let until = i64::from(self.cards) * (minute + 1) / OPENING_MINUTES;
            while i64::from(self.issued) < until {
                let who = (u64::from(self.issued) * STRIDE % u64::from(self.cards.max(1))) as u32;
                let at_ms = from_ms + self.dice.below(60_000) as i64;
                for (what, after_ms) in [
                    (What::Issued, 0),
                    (What::Enrolled, 20_000),
                    (What::Linked, 45_000),
                ] {
                    self.put(at_ms + after_ms, who, u64::from(who), what);
                }
                self.issued += 1;
            }
        } else {
            let hour = (from_ms + OFFSET_MS).rem_euclid(DAY_MS) / HOUR_MS;
            let now = HOURS[hour as usize % 24] / 1_000.0 / 60.0;
            let all = f64::from(self.cards);
            for _ in 0..self.count(self.weight * now) {
                self.payment(from_ms);
            }
            for _ in 0..self.count(all * LOGINS_A_DAY * now) {
                self.login(from_ms);
            }
            for _ in 0..self.count(all * RARE_A_DAY * now) {
                let (at_ms, who) = self.somebody(from_ms);
                let visit = self.dice.roll();
                self.put(at_ms, who, visit, What::Rare);
            }
        }
        self.ready.clear();
        self.next = 0;
        self.ready.append(&mut self.ahead[minute as usize % AHEAD]);
        self.ready.sort_by_key(|step| step.at_ms);
    }

    fn count(&mut self, mean: f64) -> u64 {
        (mean + self.dice.unit()).floor() as u64
    }

    fn put(&mut self, at_ms: i64, who: u32, visit: u64, what: What) {
        let minute = (at_ms - START_MS).div_euclid(MINUTE_MS);
        debug_assert!(minute < self.minute + AHEAD as i64 - 1);
        self.ahead[minute as usize % AHEAD].push(Step {
            at_ms,
            who,
            visit,
            what,
        });
    }

    fn somebody(&mut self, from_ms: i64) -> (i64, u32) {
        let at_ms = from_ms + self.dice.below(60_000) as i64;
        (at_ms, self.dice.below(u64::from(self.cards)) as u32)
    }

    fn login(&mut self, from_ms: i64) {
        let (at_ms, who) = self.somebody(from_ms);
        let visit = self.dice.roll();
        // A quarter still carries a code display: key first, then the login.
        if uses_display(who) {
            self.put(at_ms, who, visit, What::LoginKey);
        }
        self.put(at_ms + 18_000, who, visit, What::Login);
    }

    fn payment(&mut self, from_ms: i64) {
        let drawn = self.dice.unit() * self.weight;
        let class = self.bounds.iter().find(|(.., up_to)| drawn < *up_to);
        let Some((first, end, _)) = class.or(self.bounds.last()).copied() else {
            return;
        };
        let who = first + self.dice.below(u64::from((end - first).max(1))) as u32;
        let visit = self.dice.roll();
        let at_ms = from_ms + self.dice.below(60_000) as i64;
        let (way, failed, reversed) = {
            let it = self.visit(who, visit, at_ms);
            (it.way, it.failed, it.reversed)
        };
        let then = |what, after_ms| (at_ms + after_ms, what);
        let steps: &[(i64, What)] = match way {
            Way::Present | Way::Cash | Way::Plain | Way::Recurring | Way::Moto => {
                &[then(What::Payment, 0)]
            }
            Way::Frictionless => &[
                then(What::AReq, 0),
                then(What::ARes, 310),
                then(What::Payment, 4_200),
            ],
            Way::ByCode => &[
                then(What::AReq, 0),
                then(What::ARes, 290),
                then(What::OtpSent, 1_100),
                then(What::OtpDelivered, 4_700),
                then(What::OtpAccepted, 31_000),
                then(What::RReq, 31_400),
                then(What::Payment, 36_000),
            ],
            Way::ByEid if uses_display(who) => &[
                then(What::AReq, 0),
                then(What::ARes, 290),
                then(What::EidKeyIssued, 9_000),
                then(What::EidAuthenticated, 24_000),
                then(What::RReq, 24_500),
                then(What::Payment, 29_000),
            ],
            Way::ByEid => &[
                then(What::AReq, 0),
                then(What::ARes, 290),
                then(What::EidAuthenticated, 17_000),
                then(What::RReq, 17_500),
                then(What::Payment, 22_000),
            ],
        };
        for (at_ms, what) in steps {
            let left_out = failed
                && matches!(
                    what,
                    What::Payment | What::OtpAccepted | What::EidAuthenticated
                );
            if !left_out {
                self.put(*at_ms, who, visit, *what);
            }
        }
        if reversed {
            self.put(at_ms + 150_000, who, visit, What::Reversal);
        }
    }

    /// Works a payment out from its hash; the same for each of its steps.
    fn visit(&self, who: u32, visit: u64, at_ms: i64) -> Visit<'_> {
        let mut dice = Dice(visit);
        let abroad = self.abroad(who, at_ms);
        let kind = dice.below(1_000);
        let transfer = kind < 5;
        let way = match kind {
            0..5 if dice.below(3) == 0 => Way::ByEid,
            0..5 => Way::ByCode,
            5..725 => Way::Present,
            725..755 => Way::Cash,
            755..855 => Way::Plain,
            855..905 => Way::Frictionless,
            905..930 => Way::ByCode,
            930..955 => Way::ByEid,
            955..990 => Way::Recurring,
            _ => Way::Moto,
        };
        let habit = mix(self.seed ^ u64::from(who) << 20 ^ dice.below(10).min(dice.below(10)));
        // Three visits of four go to one of ten places of one's own.
        let draw = if dice.below(4) > 0 {
            habit
        } else {
            dice.roll()
        };
        let shop = match way {
            Way::Cash => self.shops.cash(abroad, draw),
            Way::Present => self.shops.present(abroad, draw),
            Way::Plain | Way::Frictionless | Way::ByCode | Way::ByEid if transfer => {
                self.shops.transfer(draw)
            }
            Way::Plain | Way::Frictionless | Way::ByCode | Way::ByEid | Way::Moto => {
                self.shops.online(draw)
            }
            Way::Recurring => self.shops.subscription(draw),
        };
        // Near enough to log-normal: the sum of four is near enough to normal.
        let bell: f64 = (0..4).map(|_| dice.unit() - 0.5).sum();
        let amount = f64::from(shop.median_minor) * (bell * 1.7).exp2();
        let response = if dice.below(1_000) < 20 {
            ["51", "51", "51", "51", "05", "05", "61", "55", "14", "91"][dice.below(10) as usize]
        } else {
            "00"
        };
        Visit {
            way,
            shop,
            amount_minor: (amount as u64).max(100),
            response,
            failed: matches!(way, Way::ByCode | Way::ByEid) && dice.below(100) < 4,
            reversed: way == Way::Present && dice.below(1_000) < 4,
            dice,
        }
    }

    /// Where a cardholder is on a journey in this week, if so: a number that picks the country.
    fn abroad(&self, who: u32, at_ms: i64) -> Option<u64> {
        let week = at_ms.div_euclid(7 * DAY_MS) as u64;
        let draw = mix(self.seed ^ 0xAB ^ u64::from(who) << 24 ^ week);
        draw.is_multiple_of(100).then_some(draw >> 32)
    }

    fn write(&self, step: Step, out: &mut Vec<u8>) {
        let (kind, action) = words(step);
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"id\":\"");
        out.extend_from_slice(&kind.as_bytes()[..3]);
        out.push(b'-');
        letters(out, mix(step.visit ^ self.seed));
        out.extend_from_slice(b"-");
        letters(out, mix(step.visit ^ step.what as u64).wrapping_shl(40));
        out.truncate(out.len() - 10);
        out.extend_from_slice(b"\",\"at\":\"");
        write_rfc3339(out, step.at_ms + OFFSET_MS);
        out.pop();
        out.extend_from_slice(b"+01:00\",\"card\":\"ct-");
        letters(out, mix(u64::from(step.who) ^ self.seed << 32 ^ 0xCA4D));
        let by_card = matches!(kind, "threeds" | "otp") && !self.resolved;
        if !by_card {
            out.extend_from_slice(b"\",\"cardholder\":\"cpr-");
            letters(out, mix(u64::from(step.who) ^ self.seed << 32 ^ 0x0CD4));
        }
        if !action.is_empty() {
            out.extend_from_slice(b"\",\"action\":\"");
            out.extend_from_slice(action.as_bytes());
        }
        out.push(b'"');
        match kind {
            "card" => {
                out.extend_from_slice(b",\"home_country\":\"DK\",\"scheme\":\"visa_dankort\"")
            }
            "enrolment" => self.enrolment(step, out),
            "eid" => self.eid(step, out),
            "otp" => {
                acs(step.visit, out);
                phone(step.who, out);
            }
            "threeds" => self.threeds(step, out),
            _ => self.authorization(step, out),
        }
        out.extend_from_slice(b"}\n");
    }

    fn enrolment(&self, step: Step, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"channel\":\"bank\"");
        if step.what != What::Enrolled {
            phone(step.who, out);
            out.extend_from_slice(b",\"phone_country\":\"DK\"");
        }
    }

    fn eid(&self, step: Step, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"ip\":\"");
        let abroad = self.abroad(step.who, step.at_ms);
        shops::address(step.who, step.visit, abroad, out);
        out.push(b'"');
        let display = uses_display(step.who) && step.what != What::Rare;
        let with = if display { "code_token" } else { "app" };
        text(out, "authenticator", with);
        match step.what {
            What::Login | What::LoginKey => text(out, "purpose", "bank_login"),
            What::Rare => text(out, "purpose", "enrolment"),
            _ => {
                text(out, "purpose", "payment");
                acs(step.visit, out);
            }
        }
    }

    fn threeds(&self, step: Step, out: &mut Vec<u8>) {
        let it = self.visit(step.who, step.visit, step.at_ms);
        text(out, "message", message(step.what));
        acs(step.visit, out);
        match step.what {
            What::AReq => {
                amount(out, it.amount_minor, it.shop);
                out.extend_from_slice(b",\"device_channel\":\"02\",\"browser_ip\":\"");
                let abroad = self.abroad(step.who, step.at_ms);
                shops::address(step.who, step.visit, abroad, out);
                out.push(b'"');
            }
            What::ARes if it.way == Way::Frictionless => {
                out.extend_from_slice(b",\"trans_status\":\"Y\",\"eci\":\"05\"");
            }
            What::ARes => out.extend_from_slice(b",\"trans_status\":\"C\""),
            _ if it.failed => out.extend_from_slice(
                b",\"trans_status\":\"N\",\"trans_status_reason\":\"01\",\"challenge_cancel\":\"04\"",
            ),
            _ => {
                let method = if it.way == Way::ByCode { "02" } else { "07" };
                out.extend_from_slice(b",\"trans_status\":\"Y\"");
                text(out, "authentication_method", method);
                out.extend_from_slice(b",\"eci\":\"05\"");
            }
        }
    }

    fn authorization(&self, step: Step, out: &mut Vec<u8>) {
        let mut it = self.visit(step.who, step.visit, step.at_ms);
        amount(out, it.amount_minor, it.shop);
        let secure = match it.dice.below(20) {
            0..13 => "contactless",
            13..15 => "wallet",
            _ => "chip_pin",
        };
        let (channel, security) = match it.way {
            Way::Present => ("pos", secure),
            Way::Cash => ("atm", "chip_pin"),
            Way::Plain if it.dice.below(5) < 2 => ("ecommerce", "wallet"),
            Way::Plain => ("ecommerce", "ssl"),
            Way::Frictionless | Way::ByCode | Way::ByEid => ("ecommerce", "3ds"),
            Way::Recurring => ("recurring", "none"),
            Way::Moto => ("moto", "none"),
        };
        text(out, "channel", channel);
        text(out, "security", security);
        let undone = step.what == What::Reversal;
        text(
            out,
            "response_code",
            if undone { "00" } else { it.response },
        );
        if undone {
            out.extend_from_slice(b",\"kind\":\"reversal\",\"original\":\"aut-");
            letters(out, mix(step.visit ^ self.seed));
            out.push(b'-');
            letters(out, mix(step.visit ^ What::Payment as u64).wrapping_shl(40));
            out.truncate(out.len() - 10);
            out.push(b'"');
        }
        if security == "3ds" {
            acs(step.visit, out);
            out.extend_from_slice(b",\"eci\":\"05\"");
        }
        // The issuer's own host tells the balance for about half.
        if it.dice.below(2) == 0 {
            let left = it.amount_minor + it.dice.below(2_500_000);
            out.extend_from_slice(b",\"available_balance_minor\":");
            decimal(out, left);
        }
    }
}

/// The type of a step, and its action where the type has one.
fn words(step: Step) -> (&'static str, &'static str) {
    match step.what {
        What::Issued => ("card", "issued"),
        What::Enrolled => ("enrolment", "card_enrolled"),
        What::Linked => ("enrolment", "phone_linked"),
        What::AReq | What::ARes | What::RReq => ("threeds", ""),
        What::OtpSent => ("otp", "sent"),
        What::OtpDelivered => ("otp", "delivered"),
        What::OtpAccepted => ("otp", "accepted"),
        What::EidKeyIssued | What::LoginKey => ("eid", "key_issued"),
        What::EidAuthenticated | What::Login => ("eid", "authenticated"),
        What::Payment | What::Reversal => ("authorization", ""),
        What::Rare => match step.visit % 8 {
            0..3 => ("eid", "app_activated"),
            3..6 => ("enrolment", "phone_changed"),
            6 => ("card", "pin_locked"),
            _ => ("card", "pin_unlocked"),
        },
    }
}

fn message(what: What) -> &'static str {
    match what {
        What::AReq => "AReq",
        What::ARes => "ARes",
        _ => "RReq",
    }
}

fn uses_display(who: u32) -> bool {
    mix(u64::from(who) ^ 0xD15).is_multiple_of(4)
}

fn amount(out: &mut Vec<u8>, minor: u64, shop: &Shop) {
    out.extend_from_slice(b",\"amount_minor\":");
    decimal(out, minor);
    out.extend_from_slice(shop.fields.as_bytes());
}
