//! What can happen to a cardholder: a payment, a 3-D Secure purchase in all its messages, a step with the eID, an enrolment.
//!
//! A scene has a time that moves on as it is told; each step writes the records that a bank would have of it, with the
//! fields that this bank has. Which scenes are told is for `everyday`, `fraud` and `honest` to say.

pub mod secure;

pub use secure::{CAME, CANCELLED, EXPIRED, LOST, PASSED, RAN_OUT, REFUSED, Secure, TYPED, WRONG};

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::simulate::dice::Dice;
use crate::simulate::line::{Label, Line, Outbox, Simulated, Topic};
use crate::simulate::person::{Bank, Person};
use crate::simulate::places::{Shop, rate};
use core::net::Ipv4Addr;

/// A pattern of fraud or an honest story.
#[derive(Debug)]
pub struct Story {
    /// In kebab-case.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub says: &'static str,
    /// Makes it happen.
    pub tell: fn(&mut Scene<'_>),
}

/// What is told of somebody, and by whom.
#[derive(Debug)]
pub struct Tale {
    /// Its name.
    pub story: &'static str,
    /// Its number.
    pub case: u32,
    /// Whose hand does what comes now.
    pub fraud: bool,
}

/// A payment.
#[derive(Debug, Clone)]
pub struct Payment<'a> {
    /// Where.
    pub shop: Shop,
    /// How much, in øre.
    pub ore: i64,
    /// `channel`.
    pub channel: &'static str,
    /// `security`.
    pub security: &'static str,
    /// Field 39; by the balance where nothing is said.
    pub response: Option<&'static str>,
    /// The challenge that it comes from.
    pub acs: Option<&'a str>,
    /// PSD2 exemption.
    pub exemption: Option<&'static str>,
    /// `reversal` or `refund`, and of which payment.
    pub undoes: Option<(&'static str, &'a str)>,
}

impl Payment<'_> {
    /// In a shop or at a machine.
    pub const fn present(shop: Shop, ore: i64, security: &'static str) -> Self {
        Self {
            shop,
            ore,
            channel: "pos",
            security,
            response: None,
            acs: None,
            exemption: None,
            undoes: None,
        }
    }

    /// By card number alone.
    pub const fn plain(shop: Shop, ore: i64) -> Self {
        Self {
            channel: "ecommerce",
            ..Self::present(shop, ore, "ssl")
        }
    }

    /// The same with an answer.
    pub const fn answered(self, response: &'static str) -> Self {
        Self {
            response: Some(response),
            ..self
        }
    }

    /// The same by another channel.
    pub const fn by(self, channel: &'static str) -> Self {
        Self { channel, ..self }
    }
}

/// A scene.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Its chance.
    pub dice: Dice,
    /// Its time.
    pub at_ms: i64,
    /// Whom it happens to.
    pub person: &'a mut Person,
    /// Where records go.
    pub out: &'a mut Outbox,
    /// What it belongs to, where it is no everyday scene.
    pub tale: Option<Tale>,
    /// The payments that belong to it so far.
    pub payments: Vec<String>,
    /// Somebody will look at it though nothing is the matter.
    pub sampled: bool,
    bank: Bank,
    taken: (bool, bool),
}

impl<'a> Scene<'a> {
    /// An everyday scene.
    pub fn new(dice: Dice, at_ms: i64, person: &'a mut Person, out: &'a mut Outbox) -> Self {
        let bank = person.bank();
        Self {
            dice,
            at_ms,
            person,
            out,
            tale: None,
            payments: Vec::new(),
            sampled: false,
            bank,
            taken: (false, false),
        }
    }

    /// Goes on so many seconds later.
    pub fn wait_s(&mut self, low: i64, high: i64) {
        self.at_ms += self.dice.between(low * 1_000, high * 1_000);
    }

    /// Goes on so many minutes later.
    pub fn wait_min(&mut self, low: i64, high: i64) {
        self.at_ms += self.dice.between(low * MINUTE_MS, high * MINUTE_MS);
    }

    /// Goes on so many days later, at an hour of waking.
    pub fn next_days(&mut self, days: i64) {
        self.at_ms += days * DAY_MS + self.dice.between(-2 * HOUR_MS, 2 * HOUR_MS);
    }

    /// What comes now is done by a fraudster, or by the owner.
    pub fn by_fraudster(&mut self, fraud: bool) {
        if let Some(tale) = &mut self.tale {
            tale.fraud = fraud;
        }
    }

    /// The fraudster has the codes sent elsewhere.
    pub const fn takes_phone(&mut self) {
        self.taken.0 = true;
    }

    /// The fraudster has the eID.
    pub const fn takes_eid(&mut self) {
        self.taken.1 = true;
    }

    /// Whether the fraudster has the phone, and the eID.
    pub const fn taken(&self) -> (bool, bool) {
        self.taken
    }

    fn begin(&mut self, kind: &'static str, prefix: &str) -> (Line, String) {
        let id = self.out.id(prefix);
        let mut line = Line::new(kind, &id);
        line.time("at", self.at_ms, self.bank.zulu);
        if self.bank.received {
            let received_ms = self.at_ms + self.dice.between(30, 900);
            line.time("received_at", received_ms, self.bank.zulu);
        }
        (line, id)
    }

    fn end(
        &mut self,
        line: Line,
        id: &str,
        kind: &'static str,
        topic: Topic,
        key: String,
        approved: bool,
    ) {
        let label = self.tale.as_ref().map(|tale| {
            Box::new(Label {
                event: id.to_owned(),
                kind,
                cardholder: self.person.key(),
                story: tale.story,
                case: tale.case,
                fraud: tale.fraud,
                approved,
            })
        });
        self.out.put(Simulated {
            topic,
            line: line.end(),
            key,
            at_ms: self.at_ms,
            label,
        });
    }

    /// Puts in whose card it is, as the source knows it; answers the key.
    fn whose(&self, line: &mut Line, acs: bool) -> String {
        let alias = acs && self.bank.alias;
        let card = if alias {
            self.person.alias(self.at_ms)
        } else {
            self.person.card(self.at_ms)
        };
        line.text("card", &card);
        if self.bank.names && !alias {
            line.text("cardholder", &self.person.key());
        }
        card
    }

    /// A payment or its undoing; answers its id and whether it was approved.
    pub fn pay(&mut self, it: &Payment<'_>) -> (String, bool) {
        let (mut line, id) = self.begin("authorization", "a-");
        let key = self.whose(&mut line, false);
        line.purchase(&it.shop, it.shop.minor(it.ore));
        line.text("channel", it.channel);
        line.text("security", it.security);
        let undone = it.undoes.is_some();
        let afford = it.ore <= self.person.balance;
        let response = it
            .response
            .unwrap_or(if afford || undone { "00" } else { "51" });
        // Who declines for lack of money sees too little on the account.
        let before = if response == "51" {
            self.person.balance.min(it.ore * 2 / 5)
        } else {
            self.person.balance.max(it.ore)
        };
        line.text("response_code", response);
        if let Some((kind, original)) = it.undoes {
            line.text("kind", kind);
            line.text("original", original);
        }
        if let Some(acs) = it.acs {
            line.text(
                "eci",
                if self.person.scheme() == "mastercard" {
                    "02"
                } else {
                    "05"
                },
            );
            line.text("acs_trans_id", acs);
        }
        line.maybe("exemption", it.exemption);
        if self.bank.balance && !undone {
            line.number(
                "available_balance_minor",
                before * 1_000 / rate(it.shop.currency),
            );
        }
        let approved = response == "00";
        match (undone, approved) {
            (true, _) => self.person.balance += it.ore,
            (false, true) => self.person.balance = (self.person.balance - it.ore).max(0),
            (false, false) => {}
        }
        self.end(
            line,
            &id,
            "authorization",
            Topic::Authorizations,
            key,
            approved && !undone,
        );
        if (self.tale.is_some() || self.sampled) && !undone {
            self.payments.push(id.clone());
        }
        (id, approved)
    }

    /// A step with the eID.
    pub fn eid(
        &mut self,
        action: &str,
        ip: Ipv4Addr,
        with: &str,
        purpose: &str,
        acs: Option<&str>,
        key: Option<&str>,
    ) {
        let (mut line, id) = self.begin("eid", "e-");
        if self.bank.eid_card {
            line.text("card", &self.person.card(self.at_ms));
        }
        line.text("cardholder", &self.person.key());
        line.text("action", action);
        line.shown("ip", ip);
        line.text("authenticator", with);
        line.text("purpose", purpose);
        line.maybe("acs_trans_id", acs.filter(|_| self.bank.eid_acs));
        line.maybe("key_number", key);
        let topic_key = self.person.key();
        self.end(line, &id, "eid", Topic::Eid, topic_key, false);
    }

    /// A login of the owner's.
    pub fn login(&mut self, purpose: &str) {
        let (ip, with) = self.own_eid();
        if with != "app" {
            self.eid("key_issued", ip, with, purpose, None, None);
            self.wait_s(8, 30);
        }
        self.eid("authenticated", ip, with, purpose, None, None);
    }

    fn cardholder(&mut self, kind: &'static str, action: &str, more: impl FnOnce(&mut Line)) {
        let (mut line, id) = self.begin(kind, "h-");
        line.text("card", &self.person.card(self.at_ms));
        line.text("cardholder", &self.person.key());
        line.text("action", action);
        more(&mut line);
        let key = self.person.key();
        self.end(line, &id, kind, Topic::Cardholders, key, false);
    }

    /// A change of the card's state.
    pub fn card(&mut self, action: &str) {
        self.cardholder("card", action, |_| {});
    }

    /// Customer service lets codes be left out for an hour.
    pub fn bypass(&mut self) {
        let (until_ms, zulu) = (self.at_ms + HOUR_MS, self.bank.zulu);
        self.cardholder("card", "bypass_granted", |line| {
            line.time("until", until_ms, zulu)
        });
    }

    /// The card in hand at this time is issued and enrolled.
    pub fn issue(&mut self) {
        let aliases = format!("[\"{}\"]", self.person.alias(self.at_ms));
        let (scheme, has_alias) = (self.person.scheme(), self.bank.alias);
        self.cardholder("card", "issued", |line| {
            line.text("home_country", "DK");
            line.text("scheme", scheme);
            if has_alias {
                line.raw("aliases", &aliases);
            }
        });
        self.wait_min(3, 9);
        self.enrol("card_enrolled", "bank", None, None);
    }

    /// A step of enrolment.
    pub fn enrol(
        &mut self,
        action: &str,
        channel: &str,
        phone: Option<&str>,
        country: Option<&str>,
    ) {
        self.cardholder("enrolment", action, |line| {
            line.text("channel", channel);
            line.maybe("phone", phone);
            line.maybe("phone_country", country);
        });
    }

    /// What is said later of a payment.
    pub fn disposition(&mut self, payment: &str, verdict: &str, by: &str, reason: &str) {
        let (mut line, id) = self.begin("disposition", "d-");
        line.text("card", &self.person.card(self.at_ms));
        line.text("cardholder", &self.person.key());
        line.raw("subject", &format!("{{\"event\":\"{payment}\"}}"));
        line.text("verdict", verdict);
        line.text("by", by);
        line.text("reason", reason);
        let key = self.person.key();
        self.end(line, &id, "disposition", Topic::Dispositions, key, false);
    }
}
