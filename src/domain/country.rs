//! A country as the bank's records name it: ISO 3166-1 alpha-2, checked against the list, two bytes wide.
//! It also knows roughly where each country lies, so that a rule can ask how far two of them are apart.
//! It deliberately knows no names, borders, regions or addresses: which address lies where is `geo`'s business.

use std::fmt;
use std::sync::LazyLock;

mod table;
use table::COUNTRIES;

/// Mean radius of the Earth in kilometres (IUGG mean radius R1).
const EARTH_RADIUS_KM: f64 = 6_371.008_8;

/// One of the 249 countries and territories of ISO 3166-1, or `XK` (Kosovo).
///
/// The two letters are packed with the first one in the high byte, so the natural order is alphabetical.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(u16);

/// Points on the unit sphere, by row of [`COUNTRIES`].
///
/// Computed once: a distance then costs one square root and one arc sine, which matters at a million events per second.
static POINTS: LazyLock<Vec<[f64; 3]>> = LazyLock::new(|| {
    COUNTRIES
        .iter()
        .map(|&(_, lat, lon)| {
            let (lat, lon) = (degrees(lat).to_radians(), degrees(lon).to_radians());
            [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
        })
        .collect()
});

fn degrees(tenths: i16) -> f64 {
    f64::from(tenths) / 10.0
}

impl Country {
    /// How many countries there are; [`Country::index`] runs from 1 to this number.
    pub const COUNT: u8 = 250;

    /// Reads exactly two upper-case letters that are a listed code; anything else is `None`.
    #[inline]
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &T) -> Option<Self> {
        let letters: [u8; 2] = text.as_ref().try_into().ok()?;
        row(letters).map(|_| Self::pack(letters))
    }

    /// The two letters as ASCII bytes.
    pub fn letters(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }

    /// The place in the alphabetical list, from 1 to [`Country::COUNT`]; 0 is left free to mean "unknown" in tables.
    pub fn index(self) -> u8 {
        // INVARIANT (listed-country): only listed codes are ever packed, so the search always finds its row.
        row(self.letters())
            .and_then(|row| u8::try_from(row + 1).ok())
            .unwrap_or_default()
    }

    /// The inverse of [`Country::index`]; `None` for 0 and for numbers above [`Country::COUNT`].
    pub fn from_index(index: u8) -> Option<Self> {
        let row = usize::from(index).checked_sub(1)?;
        COUNTRIES
            .get(row)
            .map(|&(letters, _, _)| Self::pack(letters))
    }

    /// Every country, in alphabetical order.
    pub fn all() -> impl Iterator<Item = Self> {
        COUNTRIES.iter().map(|&(letters, _, _)| Self::pack(letters))
    }

    /// A point near the middle of the country, as degrees (latitude north, longitude east), good to about a degree.
    pub fn centroid(self) -> (f32, f32) {
        let (_, lat, lon) = COUNTRIES[self.row()];
        (f32::from(lat) / 10.0, f32::from(lon) / 10.0)
    }

    /// The great-circle distance between two countries' centroids, in whole kilometres (0 to 20,015).
    ///
    /// By the chord of the unit sphere, 2 R asin(chord / 2), which is exact for near and far points alike. The result
    /// is the same on every machine: no pair lies so near a rounding edge that the last bits of a sine could move it.
    pub fn distance_km(self, other: Self) -> u32 {
        whole_km(self.distance(other))
    }

    fn distance(self, other: Self) -> f64 {
        let (a, b) = (POINTS[self.row()], POINTS[other.row()]);
        let square: f64 = (0..3).map(|i| (a[i] - b[i]) * (a[i] - b[i])).sum();
        2.0 * EARTH_RADIUS_KM * (square.sqrt() / 2.0).min(1.0).asin()
    }

    fn row(self) -> usize {
        usize::from(self.index()).saturating_sub(1)
    }

    const fn pack(letters: [u8; 2]) -> Self {
        Self(u16::from_be_bytes(letters))
    }
}

/// Looked up through a table of 26 x 26 letter pairs rather than by search: this runs per event.
fn row(letters: [u8; 2]) -> Option<usize> {
    let place = |letter: u8| {
        letter
            .is_ascii_uppercase()
            .then(|| usize::from(letter - b'A'))
    };
    let cell = place(letters[0])? * 26 + place(letters[1])?;
    usize::from(INDEX[cell]).checked_sub(1)
}

/// Index (1 to 250) of each letter pair, 0 where no country has it.
static INDEX: [u8; 26 * 26] = index_table();

const fn index_table() -> [u8; 26 * 26] {
    let mut table = [0; 26 * 26];
    let mut row = 0;
    let mut index: u8 = 0;
    while row < COUNTRIES.len() {
        let [a, b] = COUNTRIES[row].0;
        index += 1;
        table[(a - b'A') as usize * 26 + (b - b'A') as usize] = index;
        row += 1;
    }
    table
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "half the Earth's circumference is 20,015 km, and a length is not negative"
)]
fn whole_km(km: f64) -> u32 {
    km.round() as u32
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b] = self.letters();
        write!(f, "{}{}", char::from(a), char::from(b))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Country({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn country(text: &str) -> Country {
        Country::parse(text).unwrap()
    }

    #[test]
    fn only_listed_codes_are_countries() {
        for text in ["DK", "BG", "XK", "AD", "ZW"] {
            assert_eq!(country(text).to_string(), text);
        }
        for text in [
            "", "D", "DNK", "dk", "Dk", "XX", "ZZ", "EU", "UK", "AN", "D1", "Æ", "[A", "A[",
        ] {
            assert_eq!(Country::parse(text), None, "`{text}`");
        }
    }

    #[test]
    fn the_table_is_alphabetical_without_repeats() {
        assert!(COUNTRIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(COUNTRIES.len(), usize::from(Country::COUNT));
    }

    #[test]
    fn an_index_leads_back_to_its_country() {
        assert_eq!(country("AD").index(), 1);
        assert_eq!(country("ZW").index(), Country::COUNT);
        for index in 1..=Country::COUNT {
            let country = Country::from_index(index).unwrap();
            assert_eq!(country.index(), index);
            assert_eq!(Country::parse(&country.to_string()), Some(country));
        }
        assert_eq!(Country::from_index(0), None);
        assert_eq!(Country::from_index(251), None);
        assert_eq!(Country::all().count(), 250);
    }

    #[test]
    fn every_country_lies_on_the_globe_and_no_two_on_one_spot() {
        for a in Country::all() {
            let (lat, lon) = a.centroid();
            assert!(lat.abs() <= 90.0 && lon.abs() <= 180.0, "{a}: {lat} {lon}");
            for b in Country::all().filter(|&b| b != a) {
                assert!(a.distance(b) > 1.0, "{a} and {b} share a centroid");
            }
        }
    }

    #[test]
    fn known_countries_are_as_far_apart_as_on_a_map() {
        let near = |a, b, low: u32, high: u32| {
            let km = country(a).distance_km(country(b));
            assert!((low..=high).contains(&km), "{a}-{b}: {km} km");
        };
        near("DK", "BG", 1_600, 1_900);
        near("DK", "SE", 500, 900);
        near("DK", "DE", 400, 700);
        near("DK", "US", 6_500, 8_500);
        near("GB", "NZ", 17_500, 19_500);
        near("FJ", "WF", 400, 900); // across the date line
    }

    #[test]
    fn distance_is_symmetric_and_zero_at_home() {
        for a in Country::all() {
            assert_eq!(a.distance_km(a), 0);
            for b in Country::all() {
                assert_eq!(a.distance_km(b), b.distance_km(a));
            }
        }
    }

    #[test]
    fn no_distance_lies_so_near_a_half_that_another_machine_could_round_it_otherwise() {
        for a in Country::all() {
            for b in Country::all() {
                let km = a.distance(b);
                assert!((km.fract() - 0.5).abs() > 1e-7, "{a}-{b}: {km}");
            }
        }
    }
}
