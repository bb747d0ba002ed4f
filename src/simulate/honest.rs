//! Honest stories that look like fraud at first sight, each as one visit. The monitor is to leave them in peace.
//!
//! They come from DOMAIN.md and an earlier independent generator; like the patterns of fraud they know no rule book.

mod abroad;

use crate::domain::time::{DAY_MS, HOUR_MS};
use crate::simulate::calendar::offset_ms;
use crate::simulate::places::{HOLIDAYS, RESALE, Shop, TRANSFERS, once, skewed};
use crate::simulate::scene::{
    CAME, CANCELLED, EXPIRED, LOST, Payment, RAN_OUT, REFUSED, Scene, Secure, Story, TYPED, WRONG,
};

const fn story(name: &'static str, says: &'static str, tell: fn(&mut Scene<'_>)) -> Story {
    Story { name, says, tell }
}

/// All stories, in the order in which they take their turns.
pub const STORIES: [Story; 28] = [
    story(
        "hotel-on-holiday",
        "A hotel abroad approved by eID from there, among payments by chip",
        abroad::hotel,
    ),
    story(
        "poor-reception",
        "The code does not come, and eID from home approves in its place",
        reception,
    ),
    story(
        "mistyped-code",
        "A code is mistyped twice, then right",
        mistyped,
    ),
    story(
        "code-used-up",
        "A code is mistyped three times, and the purchase begun again",
        used_up,
    ),
    story(
        "soft-decline-returns",
        "Declined for want of authentication, the payment comes back with 3-D Secure",
        soft_decline,
    ),
    story(
        "phone-changed-at-bank",
        "A new phone number given at the bank, and ordinary purchases with it",
        phone_at_bank,
    ),
    story(
        "phone-changed-in-a-purchase",
        "A new phone number given inside a small purchase",
        phone_in_purchase,
    ),
    story(
        "new-eid-app",
        "The eID app on a new phone, activated at home, and purchases with it",
        new_app,
    ),
    story(
        "short-at-the-grocery",
        "Short of money at the grocery: a smaller basket at each try",
        grocery,
    ),
    story(
        "webshop-short",
        "A web purchase over the balance, tried again smaller",
        webshop,
    ),
    story(
        "furniture-on-pay-day",
        "Furniture by chip and PIN, more than ever before",
        furniture,
    ),
    story("new-card", "A new card, and its first purchases", new_card),
    story(
        "moved-house",
        "Another line at home, and logins and purchases from there",
        moved,
    ),
    story(
        "first-remittance",
        "A first transfer, of modest size, by code from home",
        remittance,
    ),
    story(
        "savings-invested",
        "A first investment, large, approved in the app at home",
        savings,
    ),
    story(
        "festival",
        "Many small contactless payments within the hour",
        festival,
    ),
    story(
        "blocked-and-unblocked",
        "The card mislaid, blocked, found, unblocked, and used",
        mislaid,
    ),
    story(
        "train-tickets-abroad",
        "Tickets of a foreign railway by code from there",
        abroad::train,
    ),
    story(
        "browser-behind-vpn",
        "The browser shows a foreign address, the purchase is ordinary",
        vpn,
    ),
    story(
        "gifts-in-one-evening",
        "Gift cards for the family in one evening, each by code",
        gifts,
    ),
    story(
        "cancelled-challenge",
        "The window closed by mistake or the code run out, then done again",
        cancelled,
    ),
    story(
        "reversal-and-refund",
        "A purchase reversed at the till, another brought back",
        reversal,
    ),
    story(
        "laptop-by-code",
        "A laptop from a foreign shop never used before, by code from home",
        laptop,
    ),
    story(
        "logins-from-a-weekend",
        "A weekend abroad, bank logins from there, and home again",
        abroad::weekend,
    ),
    story(
        "phone-lost-abroad",
        "The phone lost on holiday, the app activated on another there, the hotel paid with it",
        abroad::lost_abroad,
    ),
    story("night-out", "Bars and taxis in the small hours", night_out),
    story(
        "wrong-security-code",
        "A security code read wrongly twice, then right",
        wrong_data,
    ),
    story("room-by-telephone", "A room paid by telephone", telephone),
];

/// An ordinary web shop and amount.
fn ordinary(s: &mut Scene<'_>) -> (Shop, i64) {
    let shop = s.person.web(&mut s.dice);
    let ore = s.dice.amount(shop.median, 180) * s.person.level() / 1_000;
    (shop, ore.clamp(4_900, 900_000))
}

fn by_code(s: &mut Scene<'_>, shop: Shop, ore: i64, otp: &'static [&'static str]) {
    let it = s.own(shop, ore);
    s.secure(&Secure { otp, ..it });
}

fn by_eid(s: &mut Scene<'_>, shop: Shop, ore: i64, otp: &'static [&'static str]) {
    let it = s.own(shop, ore);
    let eid = Some(s.own_eid());
    s.secure(&Secure { otp, eid, ..it });
}

/// The next time of a local hour, and some minutes.
fn until_hour(s: &mut Scene<'_>, hour: i64) {
    let local_ms = (s.at_ms + offset_ms(s.at_ms)).rem_euclid(DAY_MS);
    s.at_ms += (hour * HOUR_MS - local_ms).rem_euclid(DAY_MS);
    s.wait_min(0, 50);
}

fn reception(s: &mut Scene<'_>) {
    let (shop, ore) = ordinary(s);
    let otp = if s.dice.chance(700) { LOST } else { RAN_OUT };
    let it = s.own(shop, ore);
    let eid = Some((s.person.home(), s.person.authenticator()));
    s.secure(&Secure {
        browser: Some(s.person.home()),
        otp,
        eid,
        ..it
    });
}

fn mistyped(s: &mut Scene<'_>) {
    let (shop, ore) = ordinary(s);
    by_code(
        s,
        shop,
        ore,
        &["sent", "delivered", "rejected", "rejected", "accepted"],
    );
}

fn used_up(s: &mut Scene<'_>) {
    let (shop, ore) = ordinary(s);
    let it = s.own(shop, ore);
    s.secure(&Secure {
        otp: WRONG,
        ends: REFUSED,
        method: Some("02"),
        ..it
    });
    s.wait_s(50, 150);
    by_code(s, shop, ore, TYPED);
}

fn soft_decline(s: &mut Scene<'_>) {
    let (shop, ore) = ordinary(s);
    let code = if s.person.scheme() == "mastercard" {
        "65"
    } else {
        "1A"
    };
    s.pay(&Payment::plain(shop, ore).answered(code));
    s.wait_s(4, 40);
    s.buy(shop, ore);
}

fn phone_at_bank(s: &mut Scene<'_>) {
    let staff = s.dice.chance(300);
    if !staff {
        s.login("enrolment");
        s.wait_s(40, 120);
    }
    s.person.renew_phone(s.at_ms);
    let phone = s.person.phone(s.at_ms);
    s.enrol(
        "phone_changed",
        if staff { "bank_staff" } else { "bank" },
        Some(&phone),
        Some("DK"),
    );
    for _ in 0..3 {
        s.next_days(1);
        let (shop, ore) = ordinary(s);
        by_code(s, shop, ore, TYPED);
    }
}

fn phone_in_purchase(s: &mut Scene<'_>) {
    s.login("enrolment");
    s.wait_s(40, 120);
    s.person.renew_phone(s.at_ms);
    let phone = s.person.phone(s.at_ms);
    s.enrol("phone_changed", "purchase", Some(&phone), Some("DK"));
    s.wait_s(20, 90);
    let (shop, ore) = ordinary(s);
    by_code(s, shop, ore, TYPED);
}

fn new_app(s: &mut Scene<'_>) {
    let ip = s.person.home();
    let key = s.dice.between(1, 149).to_string();
    s.eid("key_issued", ip, "code_card", "other", None, Some(&key));
    s.wait_s(20, 50);
    s.eid("key_accepted", ip, "code_card", "other", None, Some(&key));
    s.wait_s(20, 50);
    let action = *s.dice.pick(&["app_activated", "app_reactivated"]);
    s.eid(action, ip, "app", "other", None, None);
    s.wait_min(60, 30 * 60);
    let (shop, ore) = ordinary(s);
    let it = s.own(shop, ore);
    let from = s.person.address(&mut s.dice, s.at_ms);
    s.secure(&Secure {
        eid: Some((from, "app")),
        ..it
    });
}

fn grocery(s: &mut Scene<'_>) {
    let shop = once("nabo", "Nabo Discount", "5411", 0).branch(s.dice.below(60) + 1);
    let mut ore = s.dice.between(50_000, 90_000);
    for _ in 0..s.dice.between(2, 5) {
        s.pay(&Payment::present(shop, ore, "chip_pin").answered("51"));
        ore = ore * s.dice.between(600, 850) / 1_000;
        s.wait_s(40, 180);
    }
    s.pay(&Payment::present(shop, ore * 6 / 10, "chip_pin").answered("00"));
}

fn webshop(s: &mut Scene<'_>) {
    let (shop, mut ore) = ordinary(s);
    for _ in 0..s.dice.between(1, 3) {
        let it = s.own(shop, ore);
        s.secure(&Secure {
            otp: TYPED,
            response: Some("51"),
            ..it
        });
        ore = ore * 7 / 10;
        s.wait_s(60, 300);
    }
    let it = s.own(shop, ore / 2);
    s.secure(&Secure {
        otp: TYPED,
        response: Some("00"),
        ..it
    });
}

fn furniture(s: &mut Scene<'_>) {
    let ore = s.dice.between(900_000, 1_900_000);
    s.person.balance = s.person.balance.max(ore + 300_000);
    s.pay(&Payment::present(
        once("mobel", "Mobelgaarden", "5712", 0),
        ore,
        "chip_pin",
    ));
    s.wait_min(20, 60);
    s.pay(&Payment::present(
        once("mobelcafe", "Mobelgaardens Cafe", "5812", 0),
        12_900,
        "contactless",
    ));
}

fn new_card(s: &mut Scene<'_>) {
    s.person.renew_card(s.at_ms);
    s.issue();
    s.wait_min(1, 5);
    let phone = s.person.phone(s.at_ms);
    s.enrol("phone_linked", "bank", Some(&phone), Some("DK"));
    for _ in 0..s.dice.between(2, 6) {
        s.wait_min(60, 14 * 60);
        let (shop, ore) = ordinary(s);
        s.buy(shop, ore);
    }
}

fn moved(s: &mut Scene<'_>) {
    s.person.move_house();
    for _ in 0..4 {
        s.login("bank_login");
        s.next_days(1);
        let (shop, ore) = ordinary(s);
        by_eid(s, shop, ore, &[]);
        s.wait_min(60, 300);
    }
}

fn remittance(s: &mut Scene<'_>) {
    let shop = *s.dice.pick(&TRANSFERS[..7]);
    let ore = s.dice.between(50_000, 250_000);
    s.person.balance = s.person.balance.max(ore);
    by_code(s, shop, ore, TYPED);
}

fn savings(s: &mut Scene<'_>) {
    let shop = *s.dice.pick(&TRANSFERS[18..]);
    let ore = s.dice.between(300_000, 2_000_000);
    s.person.balance = s.person.balance.max(ore + 500_000);
    let it = s.own(shop, ore);
    let home = s.person.home();
    s.secure(&Secure {
        browser: Some(home),
        eid: Some((home, s.person.authenticator())),
        ..it
    });
}

fn festival(s: &mut Scene<'_>) {
    let security = *s.dice.pick(&["contactless", "wallet"]);
    for _ in 0..s.dice.between(12, 23) {
        let (branch, ore) = (s.dice.below(6) + 1, s.dice.between(2_000, 14_000));
        s.pay(&Payment::present(
            once("bar", "Festival Bar", "5813", 0).branch(branch),
            ore,
            security,
        ));
        s.wait_s(70, 260);
    }
}

fn mislaid(s: &mut Scene<'_>) {
    s.card("blocked");
    let from_ms = s.at_ms;
    if s.dice.chance(400) {
        s.wait_min(60, 600);
        let music = once("musik", "Tonestrom", "5815", 0);
        s.pay(
            &Payment::present(music, 10_900, "none")
                .by("recurring")
                .answered("62"),
        );
    }
    s.at_ms = from_ms + s.dice.between(14 * HOUR_MS, 40 * HOUR_MS);
    s.card("unblocked");
    s.person.without_card_from_ms = from_ms;
    s.person.without_card_until_ms = s.at_ms;
    for _ in 0..3 {
        s.wait_min(60, 20 * 60);
        let (shop, ore) = ordinary(s);
        s.buy(shop, ore);
    }
}

fn vpn(s: &mut Scene<'_>) {
    let country = s.dice.pick(&HOLIDAYS);
    for _ in 0..2 {
        let (shop, ore) = ordinary(s);
        let browser = Some(country.address(&mut s.dice));
        let it = s.own(shop, ore);
        s.secure(&Secure {
            browser,
            otp: TYPED,
            ..it
        });
        s.next_days(1);
    }
}

fn gifts(s: &mut Scene<'_>) {
    until_hour(s, 18);
    for n in 0..s.dice.between(4, 8) {
        let (web, _) = ordinary(s);
        let shop = if n % 2 == 0 {
            once("gaver", "Gavekortet", "5947", 0)
        } else {
            web
        };
        let ore = *s.dice.pick(&[20_000, 30_000, 50_000]);
        by_code(s, shop, ore, TYPED);
        s.wait_s(200, 900);
    }
}

fn cancelled(s: &mut Scene<'_>) {
    let (shop, ore) = ordinary(s);
    for _ in 0..s.dice.between(1, 3) {
        let it = s.own(shop, ore);
        let it = if s.dice.chance(500) {
            Secure {
                otp: RAN_OUT,
                ends: EXPIRED,
                ..it
            }
        } else {
            Secure {
                otp: CAME,
                ends: CANCELLED,
                ..it
            }
        };
        s.secure(&it);
        s.wait_s(40, 200);
    }
    by_code(s, shop, ore, TYPED);
}

fn reversal(s: &mut Scene<'_>) {
    let shop = s.person.street(&mut s.dice, s.at_ms);
    let ore = s.dice.amount(40_000, 150);
    let (first, _) = s.pay(&Payment::present(shop, ore, "chip_pin").answered("00"));
    s.wait_s(40, 100);
    s.pay(&Payment {
        undoes: Some(("reversal", &first)),
        ..Payment::present(shop, ore, "chip_pin").answered("00")
    });
    s.wait_s(30, 90);
    let (second, _) = s.pay(&Payment::present(shop, ore, "chip_pin").answered("00"));
    s.next_days(3);
    s.pay(&Payment {
        undoes: Some(("refund", &second)),
        ..Payment::present(shop, ore, "chip_pin").answered("00")
    });
}

fn laptop(s: &mut Scene<'_>) {
    let shop = *s.dice.pick(&RESALE[..9]);
    let ore = s.dice.between(500_000, 1_100_000);
    s.person.balance = s.person.balance.max(ore + 100_000);
    by_code(s, shop, ore, TYPED);
}

fn night_out(s: &mut Scene<'_>) {
    until_hour(s, 22);
    for n in 0..s.dice.between(6, 12) {
        let taxi = n % 5 == 4;
        let shop = if taxi {
            once("taxa", "Taxa Nord", "4121", 0)
        } else {
            *skewed(&mut s.dice, &BARS)
        };
        let ore = s.dice.amount(if taxi { 18_000 } else { 9_500 }, 150);
        s.pay(&Payment::present(
            shop,
            ore,
            if ore > 35_000 {
                "chip_pin"
            } else {
                "contactless"
            },
        ));
        s.wait_min(12, 50);
    }
}

const BARS: [Shop; 4] = [
    once("vinstuen", "Vinstuen", "5813", 0),
    once("kaelder", "Kaelderbaren", "5813", 0),
    once("grill", "Nattens Grill", "5814", 0),
    once("klub", "Klub Syd", "5813", 0),
];

fn wrong_data(s: &mut Scene<'_>) {
    let (shop, ore) = ordinary(s);
    for _ in 0..2 {
        s.pay(&Payment::plain(shop, ore).answered("N7"));
        s.wait_s(30, 90);
    }
    s.pay(&Payment::plain(shop, ore));
}

fn telephone(s: &mut Scene<'_>) {
    let shop = once("kro", "Hvide Kro", "7011", 0).branch(s.dice.below(200) + 1);
    let ore = s.dice.between(60_000, 240_000);
    s.pay(&Payment::present(shop, ore, "none").by("moto"));
}

/// What becomes of it: half of the time somebody looks at it and says so.
pub fn looked_at(s: &mut Scene<'_>) {
    let payments = std::mem::take(&mut s.payments);
    s.tale = None;
    if payments.is_empty() || !s.sampled && s.dice.chance(500) {
        return;
    }
    let by = *s.dice.pick(&["fraud-team", "customer-service"]);
    s.wait_min(60, 4 * 24 * 60);
    for payment in payments {
        s.disposition(&payment, "good", by, "confirmed by the cardholder");
        s.wait_s(20, 90);
    }
}
