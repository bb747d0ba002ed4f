//! Names of the countries that turn up most, in both languages; the others show their two letters alone, which is no
//! fault.

use super::words::Lang;

const NAMES: [(&str, &str, &str); 48] = [
    (
        "AE",
        "the United Arab Emirates",
        "De Forenede Arabiske Emirater",
    ),
    ("AT", "Austria", "Østrig"),
    ("AU", "Australia", "Australien"),
    ("BE", "Belgium", "Belgien"),
    ("BG", "Bulgaria", "Bulgarien"),
    ("BR", "Brazil", "Brasilien"),
    ("CA", "Canada", "Canada"),
    ("CH", "Switzerland", "Schweiz"),
    ("CN", "China", "Kina"),
    ("CY", "Cyprus", "Cypern"),
    ("CZ", "Czechia", "Tjekkiet"),
    ("DE", "Germany", "Tyskland"),
    ("DK", "Denmark", "Danmark"),
    ("EE", "Estonia", "Estland"),
    ("EG", "Egypt", "Egypten"),
    ("ES", "Spain", "Spanien"),
    ("FI", "Finland", "Finland"),
    ("FO", "the Faroe Islands", "Færøerne"),
    ("FR", "France", "Frankrig"),
    ("GB", "the United Kingdom", "Storbritannien"),
    ("GL", "Greenland", "Grønland"),
    ("GR", "Greece", "Grækenland"),
    ("HR", "Croatia", "Kroatien"),
    ("HU", "Hungary", "Ungarn"),
    ("IE", "Ireland", "Irland"),
    ("IN", "India", "Indien"),
    ("IS", "Iceland", "Island"),
    ("IT", "Italy", "Italien"),
    ("JP", "Japan", "Japan"),
    ("LT", "Lithuania", "Litauen"),
    ("LU", "Luxembourg", "Luxembourg"),
    ("LV", "Latvia", "Letland"),
    ("MT", "Malta", "Malta"),
    ("NG", "Nigeria", "Nigeria"),
    ("NL", "the Netherlands", "Holland"),
    ("NO", "Norway", "Norge"),
    ("PL", "Poland", "Polen"),
    ("PT", "Portugal", "Portugal"),
    ("RO", "Romania", "Rumænien"),
    ("RS", "Serbia", "Serbien"),
    ("RU", "Russia", "Rusland"),
    ("SE", "Sweden", "Sverige"),
    ("SI", "Slovenia", "Slovenien"),
    ("SK", "Slovakia", "Slovakiet"),
    ("TH", "Thailand", "Thailand"),
    ("TR", "Türkiye", "Tyrkiet"),
    ("UA", "Ukraine", "Ukraine"),
    ("US", "the United States", "USA"),
];

/// A country's name with its letters, such as `Bulgaria (BG)`.
pub fn named(lang: Lang, letters: &str) -> String {
    let row = NAMES.iter().find(|(known, _, _)| *known == letters);
    match (row, lang) {
        (Some((_, english, _)), Lang::English) => format!("{english} ({letters})"),
        (Some((_, _, danish)), Lang::Danish) => format!("{danish} ({letters})"),
        (None, _) => letters.to_owned(),
    }
}
