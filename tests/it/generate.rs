//! A small town of cardholders, written as JSON lines of the contract: everyday purchases, journeys,
//! mistypings, and attacks in several acts.
//!
//! A history is a list of [`Move`]s, each a few small numbers, so that proptest can shrink it and a
//! seed can make it. Nothing here is random by itself, and nothing knows how the monitor judges.

mod wares;

use std::fmt::Write as _;
use varsel::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, rfc3339};
use wares::{AMOUNTS, CODES, COUNTRIES, CURRENCIES, Fields, IPS, MERCHANTS};

/// One step of a town's life; what it means is in [`Town::tell`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Which cardholder.
    pub who: u8,
    /// What happens.
    pub what: u8,
    /// How long after the step before, from nothing to more than a year.
    pub gap: u8,
    /// All that is left to chance.
    pub dice: u64,
}

/// A stream of numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `sides`.
    pub fn below(&mut self, sides: usize) -> usize {
        let sides = u64::try_from(sides.max(1)).unwrap();
        usize::try_from(self.roll() % sides).unwrap()
    }

    /// One of several.
    pub fn of<T: Copy>(&mut self, several: &[T]) -> T {
        several[self.below(several.len())]
    }

    /// True once in `sides` times.
    pub fn once_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }
}

/// `count` moves from a seed.
pub fn moves(seed: u64, count: usize, people: u8) -> Vec<Move> {
    let mut dice = Dice(seed);
    (0..count)
        .map(|_| Move {
            who: u8::try_from(dice.below(usize::from(people))).unwrap(),
            what: u8::try_from(dice.below(256)).unwrap(),
            gap: u8::try_from(dice.below(256)).unwrap(),
            dice: dice.roll(),
        })
        .collect()
}

/// The words that stand for a hold's id until a driver knows one.
pub const SOME_HOLD: &str = "@hold";

/// A town whose life is being written down.
#[derive(Debug)]
pub struct Town {
    /// The name that all ids begin with, so that several towns may share a file.
    name: String,
    now_ms: i64,
    number: usize,
    lines: Vec<String>,
    people: Vec<Person>,
}

/// What is remembered of a cardholder, so that later moves may refer to it.
#[derive(Debug, Default, Clone)]
struct Person {
    acs: Option<String>,
    merchant: usize,
    amount: i64,
    payments: Vec<(String, i64)>,
}

impl Town {
    /// A town that begins at `from_ms`.
    pub fn new(name: &str, from_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            now_ms: from_ms,
            number: 0,
            lines: Vec::new(),
            people: vec![Person::default(); 256],
        }
    }

    /// All that was written so far, in order of arrival.
    pub fn lines(self) -> Vec<String> {
        self.lines
    }

    fn pass(&mut self, gap: u8, dice: &mut Dice) {
        let some = i64::try_from(dice.below(1_000)).unwrap() + 1;
        self.now_ms += match gap {
            0..=20 => 0,
            21..=80 => some * 40,
            81..=150 => some * 900,
            151..=200 => some * 9_000,
            201..=230 => some * 60_000,
            231..=245 => some * HOUR_MS / 12,
            246..=252 => some * DAY_MS / 70,
            253..=254 => 30 * DAY_MS + some,
            255 => 400 * DAY_MS + some * MINUTE_MS,
        };
    }

    /// Writes one event of a person; some come late, some lack what is optional.
    fn write(
        &mut self,
        who: u8,
        kind: &str,
        card: Option<&str>,
        fields: Fields,
        dice: &mut Dice,
    ) -> String {
        self.number += 1;
        let id = format!("{}-{}", self.name, self.number);
        let behind = match dice.below(60) {
            0 => i64::try_from(dice.below(90_000)).unwrap(),
            1 => i64::try_from(dice.below(30)).unwrap() * 17 * MINUTE_MS,
            2 => i64::try_from(dice.below(80)).unwrap() * HOUR_MS,
            _ => 0,
        };
        let at = rfc3339((self.now_ms - behind).max(0));
        let at = if dice.once_in(3) {
            at.replace('Z', "+00:00")
        } else {
            at
        };
        let mut line = format!("{{\"type\":\"{kind}\",\"id\":\"{id}\",\"at\":\"{at}\"");
        if let Some(card) = card {
            write!(line, ",\"card\":\"{card}\"").unwrap();
        }
        let named = matches!(kind, "card" | "enrolment" | "eid" | "hold" | "disposition");
        if named || !dice.once_in(4) {
            write!(line, ",\"cardholder\":\"{}-p{who}\"", self.name).unwrap();
        }
        line.push_str(&fields.0);
        line.push('}');
        self.lines.push(line);
        id
    }

    fn card(&self, who: u8, dice: &mut Dice) -> String {
        let kind = dice.of(&["a", "a", "a", "b", "x"]);
        format!("{}-c{who}{kind}", self.name)
    }

    /// Lets one move happen.
    pub fn tell(&mut self, step: Move) {
        let dice = &mut Dice(step.dice);
        self.pass(step.gap, dice);
        let who = step.who;
        match step.what {
            0..=69 => self.everyday(who, dice),
            70..=114 => self.payment(who, dice),
            115..=154 => self.challenge(who, dice),
            155..=174 => self.eid(who, dice),
            175..=189 => self.enrol(who, dice),
            190..=207 => self.change_card(who, dice),
            208..=222 => self.undo(who, dice),
            223..=230 => self.repeat(dice),
            231..=238 => self.person_speaks(who, dice),
            239..=246 => self.otp(who, dice),
            247..=255 => self.attack(who, dice),
        }
    }

    fn everyday(&mut self, who: u8, dice: &mut Dice) {
        let shop = MERCHANTS[dice.below(5)];
        let amount = 2_000 + i64::try_from(dice.below(50_000)).unwrap();
        let fields = Fields::new()
            .int("amount_minor", amount)
            .text("currency", "DKK")
            .shop(&shop)
            .text("channel", dice.of(&["pos", "pos", "ecommerce", "atm"]))
            .text(
                "security",
                dice.of(&["contactless", "chip_pin", "chip", "magstripe"]),
            )
            .text("response_code", "00");
        let card = format!("{}-c{who}a", self.name);
        let id = self.write(who, "authorization", Some(&card), fields, dice);
        self.people[usize::from(who)].payments.push((id, amount));
    }

    fn payment(&mut self, who: u8, dice: &mut Dice) {
        let shop = dice.of(MERCHANTS);
        let amount = dice.of(AMOUNTS);
        let mut fields = Fields::new()
            .int("amount_minor", amount)
            .text("currency", dice.of(CURRENCIES))
            .shop(&shop)
            .text(
                "channel",
                dice.of(&[
                    "ecommerce",
                    "ecommerce",
                    "pos",
                    "atm",
                    "moto",
                    "recurring",
                    "pigeon",
                ]),
            )
            .text(
                "security",
                dice.of(&[
                    "3ds", "ssl", "ssl", "chip_pin", "chip", "wallet", "none", "wax",
                ]),
            )
            .text("response_code", dice.of(CODES));
        if dice.once_in(3) {
            fields = fields.int("available_balance_minor", dice.of(AMOUNTS));
        }
        if dice.once_in(6) {
            fields = fields.int("approved_minor", amount / 2);
        }
        if dice.once_in(4) {
            fields = fields.text("eci", "05").text("exemption", "low_value");
        }
        let acs = self.people[usize::from(who)].acs.clone();
        fields = fields.maybe("acs_trans_id", acs.as_deref().filter(|_| dice.once_in(5)));
        let card = self.card(who, dice);
        let id = self.write(who, "authorization", Some(&card), fields, dice);
        self.people[usize::from(who)].payments.push((id, amount));
    }

    /// A 3-D Secure challenge with its steps; each act may be left out.
    fn challenge(&mut self, who: u8, dice: &mut Dice) {
        let acs = format!("{}-acs-{}", self.name, self.number);
        let (merchant, amount) = (dice.below(MERCHANTS.len()), dice.of(AMOUNTS));
        let person = &mut self.people[usize::from(who)];
        person.acs = Some(acs.clone());
        (person.merchant, person.amount) = (merchant, amount);
        let card = self.card(who, dice);
        let card = Some(card.as_str());
        if !dice.once_in(8) {
            let fields = Fields::new()
                .text("message", "AReq")
                .text("acs_trans_id", &acs)
                .int("amount_minor", amount)
                .text("currency", "DKK")
                .shop(&MERCHANTS[merchant])
                .maybe(
                    "browser_ip",
                    Some(dice.of(IPS)).filter(|_| !dice.clone().once_in(4)),
                )
                .maybe(
                    "device_channel",
                    Some("02").filter(|_| dice.clone().once_in(2)),
                );
            self.write(who, "threeds", card, fields, dice);
        }
        self.message(who, card, &acs, "ARes", &["C", "C", "Y", "D", "Q"], dice);
        let steps = dice.below(4);
        for _ in 0..steps {
            self.now_ms += i64::try_from(dice.below(50_000)).unwrap();
            if dice.once_in(2) {
                let action = dice.of(&[
                    "sent",
                    "delivered",
                    "accepted",
                    "rejected",
                    "expired",
                    "failed",
                ]);
                let fields = Fields::new()
                    .text("action", action)
                    .text("acs_trans_id", &acs)
                    .maybe("phone", Some("ph-1").filter(|_| dice.clone().once_in(2)));
                self.write(who, "otp", card, fields, dice);
            } else {
                self.eid_step(who, Some(&acs).filter(|_| dice.clone().once_in(2)), dice);
            }
        }
        if !dice.once_in(4) {
            let shown = ["Y", "Y", "N", "R", "U", "A"];
            self.message(
                who,
                card,
                &acs,
                dice.clone().of(&["RReq", "RReq", "CRes"]),
                &shown,
                dice,
            );
        }
        if dice.once_in(2) {
            self.after_challenge(who, &acs, dice);
        }
    }

    fn after_challenge(&mut self, who: u8, acs: &str, dice: &mut Dice) {
        let person = &self.people[usize::from(who)];
        let (merchant, amount) = (person.merchant, person.amount);
        let fields = Fields::new()
            .int("amount_minor", amount)
            .text("currency", "DKK")
            .shop(&MERCHANTS[merchant])
            .text("channel", "ecommerce")
            .text("security", "3ds")
            .text("response_code", dice.of(CODES))
            .maybe(
                "acs_trans_id",
                Some(acs).filter(|_| dice.clone().once_in(2)),
            );
        let card = self.card(who, dice);
        let id = self.write(who, "authorization", Some(&card), fields, dice);
        self.people[usize::from(who)].payments.push((id, amount));
    }

    fn message(
        &mut self,
        who: u8,
        card: Option<&str>,
        acs: &str,
        name: &str,
        status: &[&str],
        dice: &mut Dice,
    ) {
        let mut fields = Fields::new()
            .text("message", name)
            .text("acs_trans_id", acs)
            .text("trans_status", dice.of(status));
        if dice.once_in(3) {
            fields = fields.text("authentication_method", dice.of(&["02", "16", "07", "99"]));
        }
        if dice.once_in(5) {
            fields = fields
                .text("challenge_cancel", "01")
                .text("trans_status_reason", "14");
        }
        if dice.once_in(4) {
            fields = fields.text("interaction_counter", "02").text("eci", "06");
        }
        self.write(who, "threeds", card, fields, dice);
    }

    fn eid(&mut self, who: u8, dice: &mut Dice) {
        let acs = self.people[usize::from(who)].acs.clone();
        self.eid_step(who, acs.as_ref().filter(|_| dice.clone().once_in(4)), dice);
    }

    fn eid_step(&mut self, who: u8, acs: Option<&String>, dice: &mut Dice) {
        let action = dice.of(&[
            "key_issued",
            "key_accepted",
            "key_rejected",
            "authenticated",
            "authenticated",
            "authenticated",
            "failed",
            "app_activated",
            "app_reactivated",
            "blocked",
            "unblocked",
        ]);
        let ip = dice.of(IPS);
        let fields = Fields::new()
            .text("action", action)
            .text("ip", ip)
            .maybe(
                "authenticator",
                Some(dice.of(&["code_card", "code_token", "app", "ring"]))
                    .filter(|_| dice.clone().once_in(2)),
            )
            .maybe(
                "purpose",
                Some(dice.of(&["payment", "bank_login", "enrolment", "other", "tax"]))
                    .filter(|_| dice.clone().once_in(2)),
            )
            .maybe("acs_trans_id", acs.map(String::as_str));
        let card = self.card(who, dice);
        let card = Some(card.as_str()).filter(|_| dice.once_in(3));
        self.write(who, "eid", card, fields, dice);
    }

    fn otp(&mut self, who: u8, dice: &mut Dice) {
        let acs = self.people[usize::from(who)].acs.clone();
        let acs = acs.unwrap_or_else(|| format!("{}-acs-none", self.name));
        let fields = Fields::new()
            .text(
                "action",
                dice.of(&[
                    "sent",
                    "delivered",
                    "accepted",
                    "rejected",
                    "expired",
                    "failed",
                ]),
            )
            .text("acs_trans_id", &acs)
            .text("phone", "ph-2");
        let card = self.card(who, dice);
        self.write(who, "otp", Some(&card), fields, dice);
    }

    fn enrol(&mut self, who: u8, dice: &mut Dice) {
        let action = dice.of(&[
            "card_enrolled",
            "phone_linked",
            "phone_linked",
            "phone_changed",
            "phone_deleted",
        ]);
        let fields = Fields::new()
            .text("action", action)
            .text(
                "channel",
                dice.of(&["bank", "processor", "purchase", "bank_staff", "owl"]),
            )
            .text("phone", dice.of(&["ph-1", "ph-2", "ph-3"]))
            .maybe(
                "phone_country",
                Some(dice.of(COUNTRIES)).filter(|_| !dice.clone().once_in(4)),
            );
        let card = self.card(who, dice);
        self.write(who, "enrolment", Some(&card), fields, dice);
    }

    fn change_card(&mut self, who: u8, dice: &mut Dice) {
        let action = dice.of(&[
            "issued",
            "issued",
            "blocked",
            "unblocked",
            "pin_locked",
            "pin_unlocked",
            "internet_closed",
            "internet_opened",
            "bypass_granted",
            "bypass_ended",
        ]);
        let mut fields = Fields::new()
            .text("action", action)
            .maybe(
                "home_country",
                Some(dice.of(COUNTRIES)).filter(|_| dice.clone().once_in(2)),
            )
            .maybe(
                "scheme",
                Some(dice.of(&["visa_dankort", "mastercard", "maestro"]))
                    .filter(|_| dice.clone().once_in(2)),
            );
        if dice.once_in(3) {
            let until = self.now_ms + i64::try_from(dice.below(300)).unwrap() * MINUTE_MS;
            fields = fields.text("until", &rfc3339(until));
        }
        if dice.once_in(3) {
            let alias = format!("[\"{}-c{who}x\"]", self.name);
            fields = fields.raw("aliases", &alias);
        }
        let card = self.card(who, dice);
        self.write(who, "card", Some(&card), fields, dice);
    }

    fn undo(&mut self, who: u8, dice: &mut Dice) {
        let payments = &self.people[usize::from(who)].payments;
        let newest = payments.iter().rev().take(4).cloned().collect::<Vec<_>>();
        let Some((original, amount)) = newest.get(dice.below(newest.len())).cloned() else {
            return;
        };
        let part = dice.of(&[amount, amount, amount / 3, 0]);
        let fields = Fields::new()
            .text("kind", dice.of(&["reversal", "reversal", "refund"]))
            .text("original", &original)
            .int("amount_minor", part)
            .text("currency", dice.of(&["DKK", "DKK", "DKK", "EUR", "QQQ"]))
            .shop(&dice.of(MERCHANTS))
            .text("channel", "ecommerce")
            .text("security", dice.of(&["ssl", "3ds"]))
            .text("response_code", "00");
        let card = format!("{}-c{who}a", self.name);
        self.write(who, "authorization", Some(&card), fields, dice);
    }

    /// A line of before comes again.
    fn repeat(&mut self, dice: &mut Dice) {
        let back = self.lines.len().min(40);
        if back > 0 {
            let index = self.lines.len() - 1 - dice.below(back);
            let line = self.lines[index].clone();
            self.lines.push(line);
        }
    }

    /// A disposition, or a step of a hold.
    fn person_speaks(&mut self, who: u8, dice: &mut Dice) {
        let card = format!("{}-c{who}a", self.name);
        if dice.once_in(3) {
            let subject = format!(
                "{{\"event\":\"{}-{}\"}}",
                self.name,
                dice.below(self.number + 1)
            );
            let fields = Fields::new()
                .raw("subject", &subject)
                .text("verdict", dice.of(&["fraud", "good", "undetermined"]));
            self.write(who, "disposition", Some(&card), fields, dice);
        } else {
            let fields = Fields::new().text("hold", SOME_HOLD).text(
                "action",
                dice.of(&[
                    "delivered",
                    "acknowledged",
                    "enforced",
                    "released",
                    "released",
                ]),
            );
            self.write(who, "hold", Some(&card), fields, dice);
        }
    }

    /// The story of 2018 in small: transfers declined for lack of funds, stepping down, then the
    /// eID from abroad approves one.
    fn attack(&mut self, who: u8, dice: &mut Dice) {
        let card = format!("{}-c{who}a", self.name);
        for amount in [3_388_211, 2_500_000, 900_000_i64] {
            let fields = Fields::new()
                .int("amount_minor", amount)
                .text("currency", "DKK")
                .shop(&MERCHANTS[9 + dice.below(2)])
                .text("channel", "ecommerce")
                .text("security", dice.of(&["3ds", "ssl"]))
                .text("response_code", dice.of(&["51", "61", "51"]));
            self.write(who, "authorization", Some(&card), fields, dice);
            self.now_ms += i64::try_from(dice.below(400_000)).unwrap();
        }
        self.challenge(who, dice);
        self.eid_step(who, None, dice);
        self.payment(who, dice);
    }
}

/// A whole town from a seed: its lines in order of arrival.
pub fn town(name: &str, seed: u64, count: usize, people: u8) -> Vec<String> {
    let mut town = Town::new(name, 1_520_000_000_000);
    for step in moves(seed, count, people) {
        // A year of silence belongs to the reference's histories; here it would end all stories.
        town.tell(Move {
            gap: step.gap.min(252),
            ..step
        });
    }
    town.lines()
}
