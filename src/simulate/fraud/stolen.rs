//! Patterns with the card or its data alone: tested, copied, tapped, told by telephone, tried after the block.
//!
//! Nobody answers a challenge here; those patterns are in `fraud` itself.

use super::{any_transfer, attempt, kroner};
use crate::simulate::places::{ATTACKERS, HOLIDAYS, RESALE, once};
use crate::simulate::scene::{Payment, Scene};

pub(super) fn blocked(s: &mut Scene<'_>) {
    s.by_fraudster(false);
    s.card("blocked");
    s.by_fraudster(true);
    for _ in 0..s.dice.between(6, 11) {
        s.wait_min(1, 25);
        let shop = if s.dice.chance(200) {
            any_transfer(s)
        } else {
            *s.dice.pick(&RESALE)
        };
        let ore = kroner(s, 300, 6_000);
        let code = *s.dice.pick(&["62", "62", "41", "43"]);
        if s.dice.chance(600) {
            s.pay(&Payment::plain(shop, ore).answered(code));
        } else {
            attempt(s, shop, ore, code);
        }
    }
}

fn tests(s: &mut Scene<'_>, declined: u64) {
    let from = s.dice.index(RESALE.len());
    for n in 0..s.dice.index(8) + 6 {
        let shop = RESALE[(from + n) % RESALE.len()].branch(u64::try_from(n).unwrap_or(0));
        let code = if s.dice.chance(declined) {
            *s.dice.pick(&["05", "14", "N7", "82"])
        } else {
            "00"
        };
        let ore = kroner(s, 1, 40);
        s.pay(&Payment::plain(shop, ore).answered(code));
        s.wait_s(8, 75);
    }
    s.wait_min(1, 40);
    let (shop, ore) = (*s.dice.pick(&RESALE[..9]), kroner(s, 2_500, 16_000));
    s.pay(&Payment::plain(shop, ore).answered("00"));
}

pub(super) fn testing(s: &mut Scene<'_>) {
    tests(s, 850);
}

pub(super) fn testing_approved(s: &mut Scene<'_>) {
    tests(s, 0);
}

pub(super) fn rapid(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(12, 26) {
        let (shop, ore) = (*s.dice.pick(&RESALE[..7]), kroner(s, 300, 1_500));
        s.pay(&Payment::plain(shop, ore).answered("00"));
        s.wait_s(15, 60);
    }
}

pub(super) fn copied(s: &mut Scene<'_>) {
    s.by_fraudster(false);
    let shop = s.person.street(&mut s.dice, s.at_ms);
    s.pay(&Payment::present(shop, 18_700, "chip_pin").answered("00"));
    // That one is the owner's.
    s.payments.clear();
    s.by_fraudster(true);
    s.wait_min(25, 100);
    let country = if s.dice.chance(500) {
        &HOLIDAYS[9]
    } else {
        &ATTACKERS[4]
    };
    for _ in 0..s.dice.between(1, 4) {
        let ore = kroner(s, 1_500, 8_000);
        let machine = s.dice.chance(400);
        let shop = if machine {
            once("atm-x", "Bank ATM", "6011", 0)
        } else {
            once("gold", "Central Gold", "5944", 0)
        };
        let payment = Payment::present(shop.there(country), ore, "magstripe").answered("00");
        s.pay(&if machine { payment.by("atm") } else { payment });
        s.wait_min(4, 45);
    }
}

pub(super) fn card_data(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(1, 3) {
        let (shop, ore) = (*s.dice.pick(&RESALE), kroner(s, 400, 6_000));
        s.pay(&Payment::plain(shop, ore).answered("00"));
        s.wait_min(5, 20 * 60);
    }
}

pub(super) fn telephone(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(1, 4) {
        let (shop, ore) = (*s.dice.pick(&RESALE[..9]), kroner(s, 800, 9_000));
        let code = if s.dice.chance(250) { "05" } else { "00" };
        s.pay(
            &Payment::present(shop, ore, "none")
                .by("moto")
                .answered(code),
        );
        s.wait_min(5, 90);
    }
}

pub(super) fn tapped(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(5, 13) {
        let shop = s
            .person
            .street(&mut s.dice, s.at_ms)
            .branch(s.dice.below(60) + 100);
        let ore = kroner(s, 60, 350);
        s.pay(&Payment::present(shop, ore, "contactless").answered("00"));
        s.wait_min(4, 40);
    }
    let shop = once("guld", "Guld og Ure", "5944", 0);
    s.pay(&Payment::present(shop, 890_000, "chip_pin").answered("55"));
}

pub(super) fn wallet(s: &mut Scene<'_>) {
    for _ in 0..s.dice.between(3, 8) {
        let (branch, ore) = (s.dice.below(300) + 1, kroner(s, 1_500, 9_000));
        let shop = *s.dice.pick(&[
            once("elgros-butik", "Elgrossisten Butik", "5732", 0),
            once("gavekort", "Gavekortshoppen", "5947", 0),
            once("guld", "Guld og Ure", "5944", 0),
        ]);
        s.pay(&Payment::present(shop.branch(branch), ore, "wallet").answered("00"));
        s.wait_min(10, 120);
    }
}
