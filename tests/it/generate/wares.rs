//! What a town has: its shops, amounts, codes and addresses; and how a field is written.
//!
//! Plain tables; nothing here is random by itself.

use std::fmt::Write as _;

pub const MERCHANTS: &[(&str, &str, &str)] = &[
    ("m-foetex", "5411", "DK"),
    ("m-netto", "5411", "DK"),
    ("m-matas", "5977", "DK"),
    ("m-dsb", "4112", "DK"),
    ("m-cafe", "5812", "DK"),
    ("m-hotel", "7011", "SE"),
    ("m-kro", "5812", "DE"),
    ("m-sofia", "5411", "BG"),
    ("m-air", "3001", "GB"),
    ("m-send", "4829", "GB"),
    ("m-wire", "4829", "US"),
    ("m-coin", "6051", "MT"),
    ("m-bet", "7995", "MT"),
    ("m-gift", "5947", "US"),
    ("m-app", "5816", "IE"),
    ("m-odd", "5999", "ZZ"),
];
pub const AMOUNTS: &[i64] = &[
    0,
    100,
    4_500,
    9_653,
    21_177,
    31_858,
    45_741,
    99_900,
    150_000,
    300_000,
    1_200_000,
    3_388_211,
    900_000_000_000,
];
pub const CURRENCIES: &[&str] = &[
    "DKK", "DKK", "DKK", "DKK", "EUR", "USD", "SEK", "KPW", "QQQ",
];
pub const CODES: &[&str] = &[
    "00", "00", "00", "00", "10", "51", "51", "61", "65", "1A", "05", "55", "62", "59", "91", "ZX",
];
pub const IPS: &[&str] = &[
    "80.62.116.152",
    "80.62.116.58",
    "2.104.5.142",
    "87.49.146.160",
    "95.42.10.77",
    "212.5.158.154",
    "10.0.0.1",
    "2a00:1450:4001::1",
    "::ffff:80.62.116.152",
];
pub const COUNTRIES: &[&str] = &["DK", "DK", "DK", "SE", "BG", "ZZ"];

/// What an event says besides type, id and time.
pub struct Fields(pub String);

impl Fields {
    pub fn new() -> Self {
        Self(String::new())
    }

    pub fn text(mut self, name: &str, value: &str) -> Self {
        write!(self.0, ",\"{name}\":\"{value}\"").unwrap();
        self
    }

    pub fn int(mut self, name: &str, value: i64) -> Self {
        write!(self.0, ",\"{name}\":{value}").unwrap();
        self
    }

    pub fn raw(mut self, name: &str, value: &str) -> Self {
        write!(self.0, ",\"{name}\":{value}").unwrap();
        self
    }

    pub fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    pub fn shop(self, shop: &(&str, &str, &str)) -> Self {
        let merchant = format!(
            "{{\"id\":\"{}\",\"name\":\"{}\",\"country\":\"{}\"}}",
            shop.0,
            shop.0.trim_start_matches("m-"),
            shop.2
        );
        self.text("mcc", shop.1).raw("merchant", &merchant)
    }
}
