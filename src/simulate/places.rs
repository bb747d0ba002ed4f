//! Where the population pays and from where it goes online: shops by trade, countries with their currency and networks.
//!
//! All names are made up, as are ids. Networks are real ranges of each country's access providers, so that GeoIP finds
//! them there; who a visitor of such a range is, nobody here knows.

use crate::simulate::dice::Dice;
use core::net::Ipv4Addr;

/// A merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shop {
    /// Begins its id; letters and dashes.
    pub slug: &'static str,
    /// As on a statement.
    pub name: &'static str,
    /// Merchant category code.
    pub mcc: &'static str,
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// ISO 4217: what it charges in.
    pub currency: &'static str,
    /// What is usually paid, in øre.
    pub median: i64,
    /// Which of several of the same name; 0 where there is one.
    pub branch: u64,
}

/// Where somebody may be.
#[derive(Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1 alpha-2.
    pub code: &'static str,
    /// ISO 4217.
    pub currency: &'static str,
    /// First two octets of access networks; all 65,536 addresses of each lie in the country.
    pub nets: &'static [[u8; 2]],
}

const fn country(code: &'static str, currency: &'static str, nets: &'static [[u8; 2]]) -> Country {
    Country {
        code,
        currency,
        nets,
    }
}

/// Denmark: fixed lines.
pub const HOME: Country = country(
    "DK",
    "DKK",
    &[
        [87, 49],
        [2, 104],
        [188, 176],
        [5, 186],
        [83, 92],
        [77, 213],
        [62, 198],
        [85, 191],
        [93, 160],
        [188, 177],
        [5, 103],
        [94, 147],
        [2, 107],
    ],
);
/// Denmark: the mobile operators' networks, whose addresses change all the time.
pub const MOBILE: Country = country("DK", "DKK", &[[80, 62], [80, 197], [87, 48]]);
/// Where Danes go on holiday, the most visited first.
pub const HOLIDAYS: [Country; 14] = [
    country("ES", "EUR", &[[83, 35], [88, 26], [79, 112]]),
    country("DE", "EUR", &[[84, 56], [46, 5]]),
    country("IT", "EUR", &[[151, 20], [79, 20]]),
    country("GR", "EUR", &[[94, 64], [79, 129], [62, 103]]),
    country("FR", "EUR", &[[86, 192], [82, 64]]),
    country("GB", "GBP", &[[86, 128], [2, 216]]),
    country("SE", "SEK", &[[90, 224], [83, 250], [78, 69]]),
    country("PT", "EUR", &[[85, 240], [81, 193]]),
    country("TR", "TRY", &[[85, 100], [88, 230]]),
    country("TH", "THB", &[[171, 96], [49, 228], [110, 164]]),
    country("US", "USD", &[[73, 15], [98, 207], [24, 5]]),
    country("BG", "EUR", &[[95, 42], [78, 83], [46, 10], [78, 90]]),
    country("PL", "PLN", &[[83, 4], [79, 184]]),
    country("NO", "NOK", &[[84, 208], [88, 88]]),
];
/// Sweden, over the bridge.
pub const SWEDEN: usize = 6;
/// From where attacks come; Bulgaria as in the case of 2018.
pub const ATTACKERS: [Country; 13] = [
    country("BG", "EUR", &[[95, 42], [78, 83], [46, 10], [78, 90]]),
    country("RO", "RON", &[[82, 76], [89, 136], [5, 12]]),
    country("NG", "USD", &[[105, 112], [197, 210], [41, 58]]),
    country("GH", "USD", &[[154, 160]]),
    country("BR", "BRL", &[[189, 6]]),
    country("BY", "USD", &[[178, 120]]),
    country("RU", "USD", &[[95, 24], [5, 18], [94, 25]]),
    country("LT", "EUR", &[[78, 60]]),
    country("LV", "EUR", &[[78, 84]]),
    country("UA", "UAH", &[[176, 36]]),
    country("VN", "VND", &[[14, 160]]),
    country("PH", "PHP", &[[112, 198], [124, 106]]),
    country("PK", "PKR", &[[39, 40]]),
];

impl Country {
    /// Any address in it.
    pub fn address(&self, dice: &mut Dice) -> Ipv4Addr {
        let [a, b] = *dice.pick(self.nets);
        Ipv4Addr::new(a, b, octet(dice, 0, 256), octet(dice, 1, 255))
    }
}

fn octet(dice: &mut Dice, low: i64, high: i64) -> u8 {
    u8::try_from(dice.between(low, high)).unwrap_or(1)
}

/// What a minor unit of a currency is worth in thousandths of an øre; about the rates of 2026.
pub fn rate(currency: &str) -> i64 {
    match currency {
        "EUR" => 7_460,
        "USD" => 6_380,
        "GBP" => 8_600,
        "SEK" => 684,
        "NOK" => 638,
        "PLN" => 1_757,
        "TRY" => 148,
        "THB" => 199,
        "BRL" => 1_180,
        "HKD" => 816,
        _ => 1_000,
    }
}

const fn shop(
    slug: &'static str,
    name: &'static str,
    mcc: &'static str,
    country: &'static str,
    currency: &'static str,
    median: i64,
) -> Shop {
    Shop {
        slug,
        name,
        mcc,
        country,
        currency,
        median,
        branch: 0,
    }
}

const fn danish(slug: &'static str, name: &'static str, mcc: &'static str, median: i64) -> Shop {
    shop(slug, name, mcc, "DK", "DKK", median)
}

/// Shops in Danish streets, the most visited first.
pub const STREET: [Shop; 26] = [
    danish("nabo", "Nabo Discount", "5411", 14_500),
    danish("torvet", "Torvets Marked", "5411", 21_000),
    danish("kvik", "Kvik Kiosk", "5499", 6_500),
    danish("spar-dag", "SparDag", "5411", 17_500),
    danish("brugs", "Lokalbrugsen", "5411", 19_500),
    danish("kaffe", "Kaffehjornet", "5814", 5_200),
    danish("bus", "Regionsbus", "4111", 2_800),
    danish("tank", "Tank og Vask", "5541", 38_000),
    danish("bager", "Bager Holm", "5462", 6_800),
    danish("pizza", "Pizzeria Amalfi", "5812", 18_500),
    danish("apotek", "Lovens Apotek", "5912", 11_000),
    danish("drikke", "Vinstuen", "5813", 9_000),
    danish("hyper", "Storcenter Hyper", "5311", 33_000),
    danish("toj", "Tojhuset", "5651", 29_900),
    danish("bolig", "Bolig og Ting", "5331", 12_500),
    danish("byg", "Byg og Have", "5200", 24_500),
    danish("klip", "Klip og Krol", "7230", 32_000),
    danish("bog", "Boghjornet", "5942", 15_900),
    danish("sport", "Sportsladen", "5941", 34_900),
    danish("tog", "Landsbanen", "4112", 8_900),
    danish("skole", "Skolekantinen", "5814", 3_500),
    danish("bio", "Bio Palads", "7832", 21_000),
    danish("park", "ParkNemt", "7523", 4_200),
    danish("svom", "Svommehallen", "7997", 6_500),
    danish("dyr", "Dyrlaegen", "0742", 85_000),
    danish("mobel", "Mobelgaarden", "5712", 249_900),
];
/// Web shops, the most visited first.
pub const WEB: [Shop; 24] = [
    danish("mad-hjem", "MadHjem", "5814", 21_900),
    danish("modehus", "Modehuset", "5651", 44_900),
    danish("tog-net", "Landsbanen Net", "4112", 21_900),
    danish("kurven", "Kurven.dk", "5411", 64_900),
    danish("bogport", "Bogporten", "5942", 19_900),
    danish("billet", "Billethuset", "7922", 45_000),
    danish("elgros", "Elgrossisten", "5732", 119_900),
    danish("legebyen", "Legebyen", "5945", 32_900),
    shop("nordmode", "NordMode", "5651", "SE", "DKK", 52_900),
    shop(
        "allting",
        "Allting Marketplace",
        "5999",
        "DE",
        "EUR",
        24_900,
    ),
    danish("helse", "Helsenettet", "5912", 22_900),
    danish("biobil", "Biobilletten", "7832", 22_000),
    danish("spil", "Lykkespil", "7995", 15_000),
    shop("appland", "Appland", "5816", "IE", "EUR", 5_900),
    shop("kinalager", "Kinalager", "5999", "NL", "EUR", 12_900),
    danish("hvidevare", "Hvidevarehuset", "5722", 249_900),
    danish("tandlaege", "Tandklinikken", "8021", 64_000),
    shop("flyv", "Flyv Nord", "4511", "NO", "DKK", 139_900),
    danish("rejs", "Rejsemageren", "4722", 289_900),
    shop("hobby", "HobbyWorld", "5945", "GB", "GBP", 28_900),
    danish("parti", "Byens Forening", "8398", 15_000),
    danish("blomst", "Blomsterbudet", "5992", 34_900),
    danish("cykel", "Cykelbasen", "5940", 39_900),
    danish("hotel", "Kystens Hoteller", "7011", 119_900),
];
/// What is paid each month by itself.
pub const SUBSCRIPTIONS: [Shop; 8] = [
    shop("filmtid", "Filmtid", "5815", "NL", "DKK", 11_900),
    danish("mobil", "Mobilnettet", "4899", 14_900),
    danish("motion", "Motionshuset", "7997", 26_900),
    danish("avisen", "Morgenavisen", "5968", 24_900),
    shop("musik", "Tonestrom", "5815", "SE", "DKK", 10_900),
    shop("sky", "Skygem", "4816", "IE", "EUR", 2_300),
    danish("lotteri", "Klasselodden", "9406", 17_500),
    danish("forsikring", "Trygt Hjem", "6300", 42_000),
];
/// Trades abroad; the country is put in.
pub const ABROAD: [Shop; 8] = [
    danish("super", "Supermarket Central", "5411", 17_000),
    danish("resto", "Restaurant Sol", "5812", 32_000),
    danish("kiosk-x", "Beach Kiosk", "5499", 6_500),
    danish("taxi", "City Taxi", "4121", 14_000),
    danish("cafe-x", "Cafe Central", "5814", 7_500),
    danish("museum", "National Museum", "7991", 18_000),
    danish("pharma", "Pharmacia", "5912", 11_000),
    danish("souvenir", "Souvenirs", "5947", 15_000),
];
/// Companies that move money, buy coins, keep wallets: money that leaves.
pub const TRANSFERS: [Shop; 20] = [
    shop("worldsend", "WorldSend", "4829", "DK", "DKK", 250_000),
    shop("gram", "GramMoney", "4829", "GB", "DKK", 230_000),
    shop("nordremit", "Nordremit", "4829", "DK", "DKK", 250_000),
    shop("riva", "Riva Financial", "4829", "ES", "EUR", 220_000),
    shop("heim", "HeimRemit", "4829", "GB", "DKK", 180_000),
    shop("remitto", "Remitto", "4829", "IE", "EUR", 200_000),
    shop("baltgo", "BaltGo Transfer", "4829", "LT", "EUR", 190_000),
    shop("coinbay", "CoinBay", "6051", "IE", "EUR", 150_000),
    shop("bitstand", "BitStand", "6051", "LU", "EUR", 150_000),
    shop("kronx", "KronX Exchange", "6051", "GB", "DKK", 150_000),
    shop("paxo", "Paxo", "6051", "EE", "EUR", 120_000),
    shop("moonkey", "MoonKey", "6051", "GB", "DKK", 120_000),
    shop("volut", "Volutio", "6012", "LT", "DKK", 120_000),
    shop("skrim", "Skrimm Wallet", "6012", "GB", "EUR", 100_000),
    shop("netto-p", "Netpay Wallet", "6012", "GB", "DKK", 100_000),
    shop("curvo", "Curvo", "6012", "GB", "DKK", 100_000),
    shop("paysend", "P2P Sendo", "6538", "GB", "DKK", 150_000),
    shop("card2", "CardToCard", "6538", "CY", "EUR", 150_000),
    shop("fundo", "Fundo Invest", "6211", "DK", "DKK", 150_000),
    shop("aktie", "Aktiespar", "6211", "DK", "DKK", 120_000),
];
/// Web shops elsewhere that sell what can be sold on.
pub const RESALE: [Shop; 16] = [
    shop("techfor", "TechForAll", "5732", "DE", "EUR", 320_000),
    shop("gsmd", "GSM Depot", "4812", "NL", "EUR", 480_000),
    shop("sneak", "SneakerZone", "5661", "GB", "GBP", 160_000),
    shop("lux", "Luxury Watch Hub", "5944", "HK", "USD", 600_000),
    shop("giftm", "Giftcard Mall", "5947", "US", "USD", 80_000),
    shop("planet", "Game Planet", "5816", "PL", "EUR", 45_000),
    shop("camw", "Camera Town", "5946", "GB", "GBP", 350_000),
    shop("itk", "ITKomplex", "5045", "LT", "EUR", 420_000),
    shop("fash", "Fashion Direct", "5691", "IT", "EUR", 190_000),
    shop("toyb", "ToyBarn", "5945", "IE", "EUR", 90_000),
    shop("parf", "Parfum Dreams", "5977", "DE", "EUR", 120_000),
    shop("flora", "FloraSend", "5992", "GB", "GBP", 60_000),
    shop("bookb", "BookBin", "5942", "US", "USD", 40_000),
    shop("help", "HelpNow", "8398", "US", "USD", 20_000),
    shop("movieb", "MovieBox", "5815", "NL", "EUR", 15_000),
    shop("hosty", "Cheap Hosting", "4816", "FR", "EUR", 30_000),
];

impl Shop {
    /// The branch of a number.
    pub const fn branch(self, branch: u64) -> Self {
        Self { branch, ..self }
    }

    /// The same trade in another country.
    pub const fn there(self, country: &Country) -> Self {
        Self {
            country: country.code,
            currency: country.currency,
            ..self
        }
    }

    /// An amount in øre as minor units of what the shop charges in; at least 1.
    pub fn minor(&self, ore: i64) -> i64 {
        (ore * 1_000 / rate(self.currency)).max(1)
    }
}

/// A shop of its own, met in one story only.
pub const fn once(slug: &'static str, name: &'static str, mcc: &'static str, median: i64) -> Shop {
    danish(slug, name, mcc, median)
}

/// One of several that the first are likelier than the last: the square of a uniform number.
pub fn skewed<'a, T>(dice: &mut Dice, of: &'a [T]) -> &'a T {
    let (one, two) = (dice.index(of.len()), dice.index(of.len()));
    &of[one.min(two)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::Geo;
    use core::net::IpAddr;

    #[test]
    fn geoip_finds_every_network_in_its_country() {
        let geo = Geo::embedded().unwrap();
        for place in [&HOME, &MOBILE]
            .into_iter()
            .chain(&HOLIDAYS)
            .chain(&ATTACKERS)
        {
            let found = geo.lookup(IpAddr::V4(Ipv4Addr::new(
                place.nets[0][0],
                place.nets[0][1],
                9,
                9,
            )));
            let wanted = found.country.map(|c| c.to_string());
            assert_eq!(wanted.as_deref(), Some(place.code));
        }
    }
}
