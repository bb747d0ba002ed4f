//! Stories of people who are away: hotels and tickets paid there, logins from there, a phone lost there.
//!
//! The everyday of a journey is in `everyday`.

use super::{by_code, by_eid};
use crate::domain::time::{DAY_MS, HOUR_MS};
use crate::simulate::person::Journey;
use crate::simulate::places::{HOLIDAYS, Shop, once};
use crate::simulate::scene::{CAME, Payment, Scene, Secure, TYPED};

/// Goes to a country for some days, there from half a day later; waits until then and a bit.
fn go(s: &mut Scene<'_>, days: i64) {
    let at = s
        .dice
        .index(HOLIDAYS.len())
        .min(s.dice.index(HOLIDAYS.len()));
    let from_ms = s.at_ms + s.dice.between(8 * HOUR_MS, 14 * HOUR_MS);
    s.person.journey = Some(Journey {
        country: u8::try_from(at).unwrap_or(0),
        from_ms,
        until_ms: from_ms + days * DAY_MS,
    });
    s.at_ms = from_ms;
    s.wait_min(30, 180);
}

/// A few payments by card where they are.
fn about(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(2, 4) {
        let shop = s.person.street(&mut s.dice, s.at_ms);
        let ore = s.dice.amount(shop.median, 200);
        let security = *s.dice.pick(&["chip_pin", "contactless"]);
        s.pay(&Payment::present(shop, ore, security));
        s.wait_min(60, 240);
    }
}

fn there(s: &Scene<'_>, shop: Shop) -> Shop {
    s.person
        .abroad(s.at_ms)
        .map_or(shop, |country| shop.there(country))
}

pub(super) fn hotel(s: &mut Scene<'_>) {
    let days = s.dice.between(4, 9);
    go(s, days);
    about(s);
    s.next_days(1);
    about(s);
    let shop = there(s, once("grand", "Grand Hotel Palace", "7011", 0));
    let ore = s.dice.between(120_000, 420_000);
    s.person.balance = s.person.balance.max(ore * 2);
    by_eid(s, shop, ore, CAME);
}

pub(super) fn train(s: &mut Scene<'_>) {
    let days = s.dice.between(3, 7);
    go(s, days);
    about(s);
    s.next_days(1);
    let shop = there(s, once("rail", "National Rail Tickets", "4112", 0));
    let ore = s.dice.between(30_000, 150_000);
    by_code(s, shop, ore, TYPED);
}

pub(super) fn weekend(s: &mut Scene<'_>) {
    go(s, 3);
    for _ in 0..3 {
        s.login("bank_login");
        s.wait_min(20, 200);
        about(s);
        s.wait_min(4 * 60, 10 * 60);
    }
}

pub(super) fn lost_abroad(s: &mut Scene<'_>) {
    go(s, 8);
    about(s);
    s.next_days(2);
    let ip = s.person.address(&mut s.dice, s.at_ms);
    s.eid("app_activated", ip, "app", "other", None, None);
    s.wait_min(60, 20 * 60);
    let shop = there(s, once("grand", "Grand Hotel Palace", "7011", 0));
    let ore = s.dice.between(120_000, 600_000);
    s.person.balance = s.person.balance.max(ore * 2);
    let it = s.own(shop, ore);
    s.secure(&Secure {
        browser: Some(ip),
        eid: Some((ip, "app")),
        ..it
    });
}
