//! A 3-D Secure purchase in all its messages: request, answer, challenge by code or eID, result, authorization.
//!
//! Fields and codes are EMV 3-D Secure's as the contract has them.

use super::{Payment, Scene};
use crate::simulate::line::Topic;
use crate::simulate::places::Shop;
use core::net::Ipv4Addr;

/// How a 3-D Secure purchase goes.
#[derive(Debug, Clone)]
pub struct Secure {
    /// Where.
    pub shop: Shop,
    /// How much, in øre.
    pub ore: i64,
    /// From where the merchant was visited, if the merchant says so.
    pub browser: Option<Ipv4Addr>,
    /// No challenge.
    pub frictionless: bool,
    /// What becomes of the one-time password, step by step.
    pub otp: &'static [&'static str],
    /// The phone that it goes to; the owner's where nothing is said.
    pub phone: Option<String>,
    /// From where and with what the eID answers, if it does.
    pub eid: Option<(Ipv4Addr, &'static str)>,
    /// How it ends: `trans_status` of the RReq, its reason and who cancelled.
    pub ends: (&'static str, Option<&'static str>, Option<&'static str>),
    /// `authentication_method`; `None` where the ACS does not say.
    pub method: Option<&'static str>,
    /// Field 39 of the authorization that follows; by the balance where nothing is said.
    pub response: Option<&'static str>,
}

/// Passed.
pub const PASSED: (&str, Option<&str>, Option<&str>) = ("Y", None, None);
/// The code was wrong too often.
pub const REFUSED: (&str, Option<&str>, Option<&str>) = ("N", Some("19"), None);
/// The code ran out.
pub const EXPIRED: (&str, Option<&str>, Option<&str>) = ("N", Some("14"), Some("04"));
/// The window was closed.
pub const CANCELLED: (&str, Option<&str>, Option<&str>) = ("N", Some("26"), Some("01"));
/// A code that came and was typed.
pub const TYPED: &[&str] = &["sent", "delivered", "accepted"];
/// A code that came.
pub const CAME: &[&str] = &["sent", "delivered"];
/// A code that did not come.
pub const LOST: &[&str] = &["sent", "failed"];
/// A code that came and ran out.
pub const RAN_OUT: &[&str] = &["sent", "delivered", "expired"];
/// Three wrong codes.
pub const WRONG: &[&str] = &["sent", "delivered", "rejected", "rejected", "rejected"];

impl Scene<'_> {
    /// A purchase as its owner makes it: without a challenge, by code, or by eID. Answers the payment's id.
    pub fn buy(&mut self, shop: Shop, ore: i64) -> Option<String> {
        let by_code = self.person.prefers_code() != self.dice.chance(150);
        let frictionless = ore < 60_000 && self.dice.chance(500);
        let mut it = self.own(shop, ore);
        it.frictionless = frictionless;
        if by_code {
            it.otp = TYPED;
        } else {
            it.eid = Some(self.own_eid());
        }
        self.secure(&it).map(|(id, _)| id)
    }

    /// The owner's address, and what they approve with.
    pub fn own_eid(&mut self) -> (Ipv4Addr, &'static str) {
        (
            self.person.address(&mut self.dice, self.at_ms),
            self.person.authenticator(),
        )
    }

    /// A purchase of the owner's, at whose place they are; the challenge is to be filled in.
    pub fn own(&mut self, shop: Shop, ore: i64) -> Secure {
        let browser = Some(self.person.address(&mut self.dice, self.at_ms));
        Secure {
            browser,
            ..Self::secured(shop, ore)
        }
    }

    /// A purchase of anybody's.
    pub const fn secured(shop: Shop, ore: i64) -> Secure {
        Secure {
            shop,
            ore,
            browser: None,
            frictionless: false,
            otp: &[],
            phone: None,
            eid: None,
            ends: PASSED,
            method: None,
            response: None,
        }
    }

    /// A 3-D Secure purchase from AReq to authorization; answers the payment's id and whether it was approved, or
    /// nothing where the challenge was not passed.
    pub fn secure(&mut self, it: &Secure) -> Option<(String, bool)> {
        let acs = self.out.id("x-");
        self.request(it, &acs);
        self.wait_s(1, 2);
        self.message(
            &acs,
            "ARes",
            if it.frictionless {
                ("Y", None, None)
            } else {
                ("C", None, None)
            },
            None,
            0,
        );
        if it.frictionless {
            self.wait_s(2, 12);
        } else {
            self.challenge(it, &acs);
            if it.ends.0 != "Y" {
                return None;
            }
            self.wait_s(2, 10);
        }
        let payment = Payment {
            acs: Some(&acs),
            response: it.response,
            ..Payment::plain(it.shop, it.ore)
        };
        Some(self.pay(&Payment {
            security: "3ds",
            ..payment
        }))
    }

    fn request(&mut self, it: &Secure, acs: &str) {
        let (mut line, id) = self.begin("threeds", "s-");
        let key = self.whose(&mut line, true);
        line.text("message", "AReq");
        line.text("acs_trans_id", acs);
        line.purchase(&it.shop, it.shop.minor(it.ore));
        line.text(
            "device_channel",
            if self.dice.chance(250) { "01" } else { "02" },
        );
        if let Some(address) = it.browser.filter(|_| self.bank.browser_ip) {
            line.shown("browser_ip", address);
        }
        if self.dice.chance(300) {
            let age = self.dice.pick(&["01", "02", "03", "04", "05"]);
            line.raw("acct_info", &format!("{{\"chAccAgeInd\":\"{age}\"}}"));
        }
        self.end(line, &id, "threeds", Topic::Threeds, key, false);
    }

    fn message(
        &mut self,
        acs: &str,
        message: &str,
        ends: (&str, Option<&str>, Option<&str>),
        method: Option<&str>,
        tries: usize,
    ) {
        let (mut line, id) = self.begin("threeds", "s-");
        let key = self.whose(&mut line, true);
        line.text("message", message);
        line.text("acs_trans_id", acs);
        if message != "CReq" {
            line.text("trans_status", ends.0);
        }
        line.maybe("trans_status_reason", ends.1);
        if message == "RReq" {
            line.maybe("authentication_method", method);
            line.maybe("challenge_cancel", ends.2);
            line.shown("interaction_counter", format_args!("{tries:02}"));
            line.text("eci", if ends.0 == "Y" { "05" } else { "07" });
        }
        self.end(line, &id, "threeds", Topic::Threeds, key, false);
    }

    fn challenge(&mut self, it: &Secure, acs: &str) {
        if self.bank.whole {
            self.wait_s(1, 2);
            self.message(acs, "CReq", ("C", None, None), None, 0);
        }
        for action in it.otp {
            match *action {
                "sent" => self.wait_s(1, 2),
                "delivered" => self.wait_s(3, 9),
                "failed" => self.wait_s(15, 45),
                "rejected" => self.wait_s(7, 20),
                "expired" => self.wait_s(295, 305),
                _ => self.wait_s(14, 55),
            }
            self.otp(acs, action, it.phone.as_deref());
        }
        if let Some((address, with)) = it.eid {
            self.wait_s(5, 15);
            if with != "app" {
                let key = self.dice.between(1, 149).to_string();
                self.eid(
                    "key_issued",
                    address,
                    with,
                    "payment",
                    Some(acs),
                    Some(&key),
                );
                self.wait_s(14, 40);
                self.eid(
                    "key_accepted",
                    address,
                    with,
                    "payment",
                    Some(acs),
                    Some(&key),
                );
                self.wait_s(1, 2);
            } else {
                self.wait_s(6, 25);
            }
            self.eid("authenticated", address, with, "payment", Some(acs), None);
        }
        self.wait_s(1, 9);
        let code = it.otp.last() == Some(&"accepted");
        let known = it.method.or(if it.eid.is_some() {
            Some("16")
        } else if code {
            Some("02")
        } else {
            None
        });
        let tries = it
            .otp
            .iter()
            .filter(|a| matches!(**a, "rejected" | "accepted"))
            .count();
        self.message(
            acs,
            "RReq",
            it.ends,
            known.filter(|_| self.bank.method),
            tries.max(1),
        );
        if self.bank.whole {
            self.at_ms += 200;
            self.message(acs, "CRes", (it.ends.0, None, None), None, 0);
        }
    }

    fn otp(&mut self, acs: &str, action: &str, phone: Option<&str>) {
        let (mut line, id) = self.begin("otp", "o-");
        let key = self.whose(&mut line, true);
        line.text("action", action);
        line.text("acs_trans_id", acs);
        match phone {
            Some(phone) => line.text("phone", phone),
            None => line.text("phone", &self.person.phone(self.at_ms)),
        }
        self.end(line, &id, "otp", Topic::Threeds, key, false);
    }
}
