//! The patterns of fraud, each as one visit of a fraudster to somebody's card, and how it is found out.
//!
//! They come from the case of 2018, DOMAIN.md and an earlier independent generator. They know no rule book: what a rule
//! misses here, it misses.

mod stolen;

use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS};
use crate::simulate::calendar::offset_ms;
use crate::simulate::places::{ATTACKERS, Country, HOME, RESALE, Shop, TRANSFERS};
use crate::simulate::scene::{
    CAME, EXPIRED, LOST, Payment, RAN_OUT, REFUSED, Scene, Secure, Story, TYPED, WRONG,
};
use core::net::Ipv4Addr;

const fn pattern(name: &'static str, says: &'static str, tell: fn(&mut Scene<'_>)) -> Story {
    Story { name, says, tell }
}

/// All patterns, in the order in which they take their turns.
pub const PATTERNS: [Story; 24] = [
    pattern(
        "over-balance-then-eid-abroad",
        "Transfers over the balance, perhaps one without 3-D Secure, and a day later one approved by eID from abroad: the case of 2018",
        case_2018,
    ),
    pattern(
        "eid-from-abroad",
        "A transfer approved by eID from a country never seen for this person",
        eid_abroad,
    ),
    pattern(
        "over-balance-transfers",
        "Transfers over the balance, then one within it, by a method that the log does not name",
        over_balance,
    ),
    pattern(
        "fallback-without-3ds",
        "A transfer declined with 3-D Secure comes back without it",
        fallback,
    ),
    pattern(
        "failed-challenges-then-plain",
        "Challenges at a shop fail, then the same is bought without 3-D Secure",
        failed_then_plain,
    ),
    pattern(
        "eid-instead-of-code",
        "The code was delivered, yet eID from a Danish network never seen for this person approves a transfer",
        eid_instead,
    ),
    pattern(
        "phone-taken-over",
        "The phone for codes is replaced at the processor, and a large purchase follows by code",
        phone_taken,
    ),
    pattern(
        "phone-from-abroad",
        "An eID login from abroad, a foreign phone, a transfer by its code",
        phone_abroad,
    ),
    pattern(
        "app-taken-over",
        "The eID app is activated abroad, and purchases are approved with it",
        app_taken,
    ),
    pattern(
        "bypass-talked-out",
        "Customer service is talked into letting codes be left out, and a transfer follows",
        bypass,
    ),
    pattern(
        "challenges-worn-down",
        "Codes run out and are mistyped at one shop after another, until one is passed",
        worn_down,
    ),
    pattern(
        "blocked-card-tried",
        "The card is blocked, and attempts go on",
        stolen::blocked,
    ),
    pattern(
        "card-testing",
        "Small payments at many merchants, mostly declined, then a large one",
        stolen::testing,
    ),
    pattern(
        "card-testing-approved",
        "Small payments at many merchants, all approved, then a large one",
        stolen::testing_approved,
    ),
    pattern(
        "quasi-cash-at-night",
        "The first crypto purchase ever, large, in the small hours",
        at_night,
    ),
    pattern(
        "rapid-purchases",
        "A burst of purchases without 3-D Secure",
        stolen::rapid,
    ),
    pattern(
        "copied-stripe",
        "The stripe is read on another continent an hour after the chip at home",
        stolen::copied,
    ),
    pattern(
        "phished-code",
        "The owner is led to type the code for a transfer of the fraudster's",
        phished_code,
    ),
    pattern(
        "phished-app",
        "The owner is led to approve purchases of the fraudster's in the app, from home",
        phished_app,
    ),
    pattern(
        "plain-card-data",
        "One or two purchases abroad with stolen card data, without 3-D Secure",
        stolen::card_data,
    ),
    pattern(
        "telephone-orders",
        "Telephone orders with stolen card data",
        stolen::telephone,
    ),
    pattern(
        "wallet-on-another-phone",
        "The card is put into a wallet on the fraudster's phone, and taps in shop after shop for large sums",
        stolen::wallet,
    ),
    pattern(
        "transfers-kept-small",
        "Transfers below every threshold, over days, each by a method that the log does not name",
        kept_small,
    ),
    pattern(
        "stolen-card-tapped",
        "The lost card is tapped in shop after shop before it is missed",
        stolen::tapped,
    ),
];

fn transfer(s: &mut Scene<'_>, mccs: &[&str]) -> Shop {
    let fits: Vec<Shop> = TRANSFERS
        .iter()
        .filter(|shop| mccs.contains(&shop.mcc))
        .copied()
        .collect();
    *s.dice.pick(&fits)
}

fn any_transfer(s: &mut Scene<'_>) -> Shop {
    transfer(s, &["4829", "4829", "6051", "6012", "6538"])
}

/// Kroner in øre, with odd ends.
fn kroner(s: &mut Scene<'_>, low: i64, high: i64) -> i64 {
    s.dice.between(low * 100, high * 100)
}

fn abroad(s: &mut Scene<'_>) -> (&'static Country, Ipv4Addr) {
    let country = s.dice.pick(&ATTACKERS);
    (country, country.address(&mut s.dice))
}

/// A network in Denmark that is not the owner's.
fn strange_danish(s: &mut Scene<'_>) -> Ipv4Addr {
    HOME.address(&mut s.dice)
}

/// The owner's own kind of authenticator, in the fraudster's hands.
fn with(s: &mut Scene<'_>) -> &'static str {
    if s.dice.chance(500) {
        "code_token"
    } else {
        s.person.authenticator()
    }
}

/// What the merchant tells of the fraudster's address: often nothing, or that of a rented server at hand.
fn seen(s: &mut Scene<'_>, from: Ipv4Addr) -> Option<Ipv4Addr> {
    if s.dice.chance(500) { None } else { Some(from) }
}

/// Challenges that the fraudster passes by a way that leaves no trace in the log.
fn attempt(s: &mut Scene<'_>, shop: Shop, ore: i64, response: &'static str) {
    let it = Secure {
        otp: CAME,
        response: Some(response),
        ..Scene::secured(shop, ore)
    };
    s.secure(&it);
}

fn by_eid(s: &mut Scene<'_>, shop: Shop, ore: i64, from: Ipv4Addr, otp: &'static [&'static str]) {
    let (browser, with) = (seen(s, from), with(s));
    let it = Secure {
        browser,
        otp,
        eid: Some((from, with)),
        response: Some("00"),
        ..Scene::secured(shop, ore)
    };
    s.secure(&it);
    s.takes_eid();
}

fn case_2018(s: &mut Scene<'_>) {
    let shop = any_transfer(s);
    let mut ore = kroner(s, 22_000, 38_000);
    let times = s.dice.between(2, 6);
    for n in 0..times {
        if n >= 2 && s.dice.chance(600) {
            ore = ore * s.dice.between(820, 970) / 1_000;
        }
        attempt(s, shop, ore, if n == 4 { "61" } else { "51" });
        s.wait_min(1, 10);
    }
    if s.dice.chance(600) {
        s.wait_min(5, 30);
        s.pay(&Payment::plain(shop, ore * 3 / 4).answered("51"));
    }
    s.wait_min(13 * 60, 27 * 60);
    let last = if s.dice.chance(300) {
        shop
    } else {
        transfer(s, &["4829"])
    };
    let (_, from) = abroad(s);
    ore = ore * s.dice.between(800, 950) / 1_000;
    by_eid(s, last, ore, from, CAME);
}

fn eid_abroad(s: &mut Scene<'_>) {
    let (_, from) = abroad(s);
    let (shop, ore) = (any_transfer(s), kroner(s, 6_000, 38_000));
    let otp = if s.dice.chance(300) { LOST } else { CAME };
    by_eid(s, shop, ore, from, otp);
}

fn over_balance(s: &mut Scene<'_>) {
    let mut shop = any_transfer(s);
    let (mut ore, times, steps_down) = (
        kroner(s, 12_000, 38_000),
        s.dice.between(2, 6),
        s.dice.chance(500),
    );
    for _ in 0..times {
        let code = if s.dice.chance(800) { "51" } else { "61" };
        attempt(s, shop, ore, code);
        s.wait_min(1, 12);
        if steps_down {
            ore = ore * s.dice.between(700, 950) / 1_000;
        }
        if s.dice.chance(200) {
            shop = any_transfer(s);
        }
    }
    s.wait_min(5, 6 * 60);
    attempt(s, shop, ore / 2, "00");
}

fn fallback(s: &mut Scene<'_>) {
    let (shop, ore) = (any_transfer(s), kroner(s, 9_000, 34_000));
    for _ in 0..s.dice.between(1, 4) {
        let code = s.dice.pick(&["51", "61", "05"]);
        attempt(s, shop, ore, code);
        s.wait_min(1, 9);
    }
    s.wait_min(1, 40);
    let part = ore * s.dice.between(500, 1_000) / 1_000;
    s.pay(&Payment::plain(shop, part).answered("00"));
}

fn failed_then_plain(s: &mut Scene<'_>) {
    let shop = *s.dice.pick(&RESALE[..4]);
    let ore = kroner(s, 3_000, 14_000);
    for _ in 0..s.dice.between(2, 4) {
        s.secure(&Secure {
            otp: WRONG,
            ends: REFUSED,
            method: Some("02"),
            ..Scene::secured(shop, ore)
        });
        s.wait_min(1, 9);
    }
    s.pay(&Payment::plain(shop, ore).answered("00"));
}

fn eid_instead(s: &mut Scene<'_>) {
    let from = strange_danish(s);
    let (shop, ore) = (any_transfer(s), kroner(s, 8_000, 39_000));
    by_eid(s, shop, ore, from, CAME);
}

fn strange_phone(s: &mut Scene<'_>) -> String {
    s.out.id("t-")
}

fn phone_taken(s: &mut Scene<'_>) {
    let phone = strange_phone(s);
    let channel = *s.dice.pick(&["processor", "purchase"]);
    if s.dice.chance(300) {
        let own = s.person.phone(s.at_ms);
        s.enrol("phone_deleted", channel, Some(&own), None);
        s.wait_s(30, 60);
    }
    s.enrol("phone_changed", channel, Some(&phone), Some("DK"));
    s.takes_phone();
    s.wait_min(10, 20 * 60);
    let sells = s.dice.chance(500);
    let shop = if sells {
        *s.dice.pick(&RESALE[..4])
    } else {
        any_transfer(s)
    };
    let ore = if sells {
        kroner(s, 3_000, 19_000)
    } else {
        kroner(s, 6_000, 35_000)
    };
    let from = strange_danish(s);
    let browser = seen(s, from);
    s.secure(&Secure {
        browser,
        otp: TYPED,
        phone: Some(phone),
        response: Some("00"),
        ..Scene::secured(shop, ore)
    });
}

fn phone_abroad(s: &mut Scene<'_>) {
    let (country, from) = abroad(s);
    let (phone, with) = (strange_phone(s), with(s));
    s.eid("authenticated", from, with, "enrolment", None, None);
    s.takes_eid();
    s.wait_s(50, 200);
    let channel = *s.dice.pick(&["processor", "purchase", "bank"]);
    s.enrol("phone_changed", channel, Some(&phone), Some(country.code));
    s.takes_phone();
    s.wait_min(10, 10 * 60);
    let (shop, ore, browser) = (any_transfer(s), kroner(s, 6_000, 33_000), seen(s, from));
    s.secure(&Secure {
        browser,
        otp: TYPED,
        phone: Some(phone),
        response: Some("00"),
        ..Scene::secured(shop, ore)
    });
}

fn app_taken(s: &mut Scene<'_>) {
    let (_, from) = abroad(s);
    let action = *s.dice.pick(&["app_activated", "app_reactivated"]);
    s.eid(action, from, "app", "other", None, None);
    s.takes_eid();
    for _ in 0..s.dice.between(1, 4) {
        s.wait_min(10, 5 * 60);
        let sells = s.dice.chance(600);
        let shop = if sells {
            *s.dice.pick(&RESALE[..8])
        } else {
            any_transfer(s)
        };
        let ore = if sells {
            kroner(s, 1_500, 15_000)
        } else {
            kroner(s, 5_000, 30_000)
        };
        let browser = seen(s, from);
        let it = Secure {
            browser,
            otp: CAME,
            eid: Some((from, "app")),
            response: Some("00"),
            ..Scene::secured(shop, ore)
        };
        s.secure(&it);
    }
}

fn bypass(s: &mut Scene<'_>) {
    s.bypass();
    s.wait_min(2, 25);
    let (shop, ore) = (any_transfer(s), kroner(s, 5_000, 34_000));
    if s.dice.chance(300) {
        s.pay(&Payment::plain(shop, ore).answered("00"));
    } else {
        s.secure(&Secure {
            frictionless: true,
            response: Some("00"),
            ..Scene::secured(shop, ore)
        });
    }
}

fn worn_down(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(3, 7) {
        let (shop, ore) = (*s.dice.pick(&RESALE), kroner(s, 1_500, 9_000));
        let it = Scene::secured(shop, ore);
        let it = if s.dice.chance(500) {
            Secure {
                otp: RAN_OUT,
                ends: EXPIRED,
                ..it
            }
        } else {
            Secure {
                otp: WRONG,
                ends: REFUSED,
                method: Some("02"),
                ..it
            }
        };
        s.secure(&it);
        s.wait_min(1, 4);
    }
    let (shop, ore) = (*s.dice.pick(&RESALE), kroner(s, 3_000, 12_000));
    s.secure(&Secure {
        otp: TYPED,
        response: Some("00"),
        ..Scene::secured(shop, ore)
    });
}

fn at_night(s: &mut Scene<'_>) {
    // Between two and five in the night that follows.
    let into_ms = (s.at_ms + offset_ms(s.at_ms)).rem_euclid(DAY_MS);
    s.at_ms += DAY_MS - into_ms + s.dice.between(2 * HOUR_MS, 5 * HOUR_MS);
    let (shop, ore) = (transfer(s, &["6051"]), kroner(s, 9_000, 40_000));
    if s.dice.chance(500) {
        s.pay(&Payment::plain(shop, ore).answered("00"));
    } else {
        s.secure(&Secure {
            otp: TYPED,
            response: Some("00"),
            ..Scene::secured(shop, ore)
        });
    }
}

fn phished_code(s: &mut Scene<'_>) {
    let (shop, ore) = (any_transfer(s), kroner(s, 4_000, 25_000));
    let from = if s.dice.chance(500) {
        strange_danish(s)
    } else {
        abroad(s).1
    };
    let browser = seen(s, from);
    s.secure(&Secure {
        browser,
        otp: TYPED,
        response: Some("00"),
        ..Scene::secured(shop, ore)
    });
}

fn phished_app(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(1, 4) {
        let sells = s.dice.chance(500);
        let shop = if sells {
            *s.dice.pick(&RESALE[..5])
        } else {
            any_transfer(s)
        };
        let (ore, from) = (kroner(s, 2_000, 18_000), strange_danish(s));
        let (browser, eid) = (seen(s, from), s.own_eid());
        let it = Secure {
            browser,
            eid: Some(eid),
            response: Some("00"),
            ..Scene::secured(shop, ore)
        };
        s.secure(&it);
        s.wait_min(3, 30);
    }
}

fn kept_small(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(3, 7) {
        let (shop, ore) = (any_transfer(s), kroner(s, 400, 1_900));
        attempt(s, shop, ore, "00");
        s.wait_min(8 * 60, 30 * 60);
    }
}

/// It is found out: the card is blocked and replaced, phone and eID are put right, and the disputes label the payments.
pub fn found_out(s: &mut Scene<'_>) {
    s.by_fraudster(false);
    let payments = std::mem::take(&mut s.payments);
    let story = s.tale.as_ref().map_or("", |tale| tale.story);
    s.wait_min(60, 5 * 24 * 60);
    let (phone, eid) = s.taken();
    if story != "blocked-card-tried" {
        s.card("blocked");
    }
    let blocked_ms = s.at_ms;
    if eid {
        s.wait_min(2, 10);
        let (ip, with) = s.own_eid();
        s.eid("blocked", ip, with, "other", None, None);
        s.wait_min(24 * 60, 72 * 60);
        s.eid("unblocked", ip, with, "other", None, None);
        s.wait_s(60, 300);
        s.eid("app_reactivated", ip, "app", "other", None, None);
    }
    let new_card_ms = blocked_ms + s.dice.between(DAY_MS, 3 * DAY_MS);
    s.person.without_card_from_ms = blocked_ms;
    s.person.without_card_until_ms = new_card_ms + 20 * MINUTE_MS;
    s.person.renew_card(new_card_ms);
    s.at_ms = new_card_ms;
    s.issue();
    if phone {
        s.wait_min(1, 5);
        let own = s.person.phone(s.at_ms);
        s.enrol("phone_changed", "bank_staff", Some(&own), Some("DK"));
    }
    s.tale = None;
    s.at_ms = blocked_ms;
    for payment in payments {
        s.at_ms = s.at_ms.max(blocked_ms + DAY_MS) + s.dice.between(MINUTE_MS, DAY_MS);
        s.disposition(&payment, "fraud", "disputes", "not by the cardholder");
    }
}
