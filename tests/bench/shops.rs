//! Where the population pays and from where it goes online: a table of merchants, and addresses by country.
//!
//! Names and lengths are as on a Danish statement; no merchant here is a real one. Country and currency follow the
//! merchant, few merchants have most of the visits, and nothing depends on the cardholder.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a generator cuts hashes as it likes"
)]

use super::Dice;
use std::io::Write;

/// Merchants of each kind.
const AT_HOME: u64 = 40_000;
const ABROAD_EACH: u64 = 400;
const ONLINE: u64 = 6_000;
const SUBSCRIPTIONS: u64 = 300;
const TRANSFERS: u64 = 40;

/// Countries of journeys: country, currency, addresses of a large network there.
const JOURNEYS: [(&str, &str, &str); 8] = [
    ("ES", "EUR", "88.12"),
    ("DE", "EUR", "91.10"),
    ("SE", "SEK", "78.70"),
    ("GB", "GBP", "86.140"),
    ("TR", "TRY", "88.240"),
    ("TH", "THB", "171.97"),
    ("US", "USD", "73.12"),
    ("FR", "EUR", "90.10"),
];
/// Danish networks.
const HOME: [&str; 6] = ["80.62", "87.49", "2.107", "5.103", "93.160", "188.177"];

/// Category, median amount in minor units, name.
type Trade = (u16, u32, &'static str);
const TRADES: [Trade; 16] = [
    (5411, 14_500, "Netto"),
    (5411, 18_900, "Rema 1000"),
    (5411, 26_000, "Foetex"),
    (5411, 23_000, "SuperBrugsen"),
    (5411, 9_500, "Koebmanden"),
    (5499, 6_500, "7-Eleven"),
    (5812, 21_000, "Restaurant Aakanden"),
    (5814, 8_900, "Sunset Burger"),
    (5814, 5_200, "Cafe Norden"),
    (5541, 38_000, "Tankstation"),
    (5912, 11_000, "Apotek"),
    (4111, 3_600, "Rejsekort"),
    (5651, 29_900, "Toejeksperten"),
    (5200, 24_500, "Byggemarked"),
    (7230, 35_000, "Frisoer Saks"),
    (5942, 15_900, "Boghandel"),
];
const WEB_TRADES: [Trade; 10] = [
    (5651, 44_900, "Modehuset"),
    (5732, 119_900, "Elgrossisten"),
    (5942, 19_900, "Bogportalen"),
    (4112, 21_900, "DSB Net"),
    (4722, 189_900, "Rejsebureau"),
    (5816, 7_900, "GameStore"),
    (5999, 25_900, "Webshop"),
    (7832, 22_000, "Biografbilletter"),
    (5814, 18_900, "Takeaway Online"),
    (7995, 20_000, "Spil og Tips"),
];
const TOWNS: [&str; 10] = [
    "Koebenhavn V",
    "Aarhus C",
    "Odense SV",
    "Aalborg",
    "Esbjerg N",
    "Roskilde",
    "Valby",
    "Vejle",
    "Herning",
    "Hilleroed",
];

/// A merchant: its part of a JSON line, and what is usually paid there.
#[derive(Debug)]
pub(super) struct Shop {
    pub(super) fields: String,
    pub(super) median_minor: u32,
}

/// All merchants.
#[derive(Debug)]
pub(super) struct Shops {
    home: Vec<Shop>,
    machines: Vec<Shop>,
    abroad: Vec<Shop>,
    online: Vec<Shop>,
    subscriptions: Vec<Shop>,
    transfers: Vec<Shop>,
}

impl Shops {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed ^ 0x5409);
        let mut many = |count, trades: &[Trade], places: &[(&str, &str)]| -> Vec<Shop> {
            (0..count)
                .map(|_| {
                    let trade = trades[dice.below(trades.len() as u64) as usize];
                    let place = places[dice.below(places.len() as u64) as usize];
                    Shop::new(&mut dice, trade, place)
                })
                .collect()
        };
        let denmark = [("DK", "DKK")];
        let web = [
            ("DK", "DKK"),
            ("DK", "DKK"),
            ("DK", "DKK"),
            ("SE", "DKK"),
            ("DE", "EUR"),
            ("IE", "EUR"),
            ("GB", "GBP"),
            ("NL", "EUR"),
            ("US", "USD"),
        ];
        let journeys: Vec<Shop> = JOURNEYS
            .iter()
            .flat_map(|(country, currency, _)| many(ABROAD_EACH, &TRADES, &[(*country, *currency)]))
            .collect();
        Self {
            home: many(AT_HOME, &TRADES, &denmark),
            machines: many(500, &[(6011, 60_000, "Pengeautomat")], &denmark),
            abroad: journeys,
            online: many(ONLINE, &WEB_TRADES, &web),
            subscriptions: many(
                SUBSCRIPTIONS,
                &[
                    (4899, 12_900, "Streaming"),
                    (5968, 9_900, "Avisen"),
                    (7997, 26_900, "Fitness"),
                ],
                &[("DK", "DKK"), ("DK", "DKK"), ("NL", "EUR"), ("SE", "DKK")],
            ),
            transfers: many(
                TRANSFERS,
                &[
                    (4829, 150_000, "Remit"),
                    (6051, 90_000, "Coin Exchange"),
                    (6012, 200_000, "Invest"),
                ],
                &[("DK", "DKK"), ("GB", "DKK"), ("LT", "EUR"), ("IE", "EUR")],
            ),
        }
    }

    pub(super) fn present(&self, abroad: Option<u64>, draw: u64) -> &Shop {
        match abroad {
            Some(journey) => &self.abroad[there(journey, draw)],
            None => skewed(&self.home, draw),
        }
    }

    pub(super) fn cash(&self, abroad: Option<u64>, draw: u64) -> &Shop {
        match abroad {
            Some(journey) => &self.abroad[there(journey, draw)],
            None => skewed(&self.machines, draw),
        }
    }

    pub(super) fn online(&self, draw: u64) -> &Shop {
        skewed(&self.online, draw)
    }

    pub(super) fn subscription(&self, draw: u64) -> &Shop {
        skewed(&self.subscriptions, draw)
    }

    pub(super) fn transfer(&self, draw: u64) -> &Shop {
        skewed(&self.transfers, draw)
    }
}

fn there(journey: u64, draw: u64) -> usize {
    (journey % JOURNEYS.len() as u64 * ABROAD_EACH + draw % ABROAD_EACH) as usize
}

/// The cube of a uniform number: the first eighth of the table has half of the visits.
fn skewed(shops: &[Shop], draw: u64) -> &Shop {
    let unit = (draw >> 11) as f64 / (1_u64 << 53) as f64;
    let place = (unit * unit * unit * shops.len() as f64) as usize;
    &shops[place.min(shops.len() - 1)]
}

impl Shop {
    fn new(dice: &mut Dice, (mcc, median_minor, name): Trade, place: (&str, &str)) -> Self {
        let (country, currency) = place;
        let town = TOWNS[dice.below(TOWNS.len() as u64) as usize];
        let number = dice.below(1_000_000);
        let letters: String = (0..6)
            .map(|_| char::from(b'A' + dice.below(26) as u8))
            .collect();
        let fields = format!(
            ",\"currency\":\"{currency}\",\"mcc\":\"{mcc:04}\",\"merchant\":{{\"id\":\"{letters}{number:06}\",\"name\":\"{name} {town}\",\"country\":\"{country}\"}}"
        );
        Self {
            fields,
            // A major unit elsewhere is worth about seven of ours; yen and baht are cheap here.
            median_minor: if currency == "DKK" {
                median_minor
            } else {
                median_minor / 7
            },
        }
    }
}

/// Appends the address of a session: at home mostly the own line, at times a phone's network.
pub(super) fn address(who: u32, visit: u64, abroad: Option<u64>, out: &mut Vec<u8>) {
    let own = super::mix(u64::from(who) ^ 0x1B);
    let (net, third, last) = match abroad {
        Some(journey) => {
            let net = JOURNEYS[(journey % JOURNEYS.len() as u64) as usize].2;
            (net, journey >> 8 & 0xFF, visit >> 8 & 0xFF)
        }
        None if visit.is_multiple_of(4) => ("80.62", 100 + (visit >> 8) % 50, visit >> 16 & 0xFF),
        None => {
            let net = HOME[(own % HOME.len() as u64) as usize];
            (net, own >> 8 & 0xFF, own >> 16 & 0xFF)
        }
    };
    let wrote = write!(out, "{net}.{third}.{last}");
    debug_assert!(wrote.is_ok());
}
