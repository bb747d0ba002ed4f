//! What `Geo` promises, tried on the shipped database and on small databases written here byte by byte
//! (MaxMind DB format 2.0). Deliberately asks no other service whether an answer is true of the world.

use std::fs;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Country and network number.
fn known(geo: &Geo, text: &str) -> (Option<Country>, Option<u32>) {
    let place = geo.lookup(ip(text));
    assert_eq!(place.network, network(ip(text)));
    (place.country, place.asn)
}

fn country(geo: &Geo, text: &str) -> Option<String> {
    geo.lookup(ip(text))
        .country
        .map(|country| country.to_string())
}

/// A linear congruential sequence: the same addresses in every run.
fn sequence() -> impl Iterator<Item = u128> {
    let mut state: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
            .wrapping_add(0x5851_f42d_4c95_7f2d_1405_7b7e_f767_814f);
        state ^ (state >> 64)
    })
}

#[test]
fn the_shipped_database_knows_the_addresses_of_the_2018_case() {
    let geo = Geo::embedded().unwrap();
    for (address, expected) in [
        ("80.62.116.158", "DK"),
        ("2.104.5.142", "DK"),
        ("95.42.10.77", "BG"),
        ("212.5.158.154", "BG"),
    ] {
        assert_eq!(
            country(&geo, address).as_deref(),
            Some(expected),
            "{address}"
        );
    }
    assert_eq!(country(&geo, "2001:6c8::1").as_deref(), Some("DK"));
    assert_eq!(geo.lookup(ip("80.62.116.158")).asn, None);
    assert_eq!(geo.built(), NaiveDate::from_ymd_opt(2026, 6, 1));
}

#[test]
fn the_shipped_database_is_whole() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/geo/dbip-country.mmdb");
    let geo = Geo::load(Some(&file), None).unwrap();
    let embedded = Geo::embedded().unwrap();
    assert_eq!(
        (geo.hash(), geo.built()),
        (embedded.hash(), embedded.built())
    );
    assert_eq!(geo.hash().len(), 16);
}

#[test]
fn the_flat_table_answers_as_the_reader_does() {
    let geo = Geo::embedded().unwrap();
    let database = geo.country.unwrap();
    let mut known = 0;
    for bits in sequence().take(100_000) {
        let [a, b, c, d, ..] = bits.to_le_bytes();
        let address = IpAddr::from([a, b, c, d]);
        let value = database.value(address);
        assert_eq!(value, database.value_by_reader(address), "{address}");
        known += usize::from(value != 0);
    }
    assert!(
        known > 50_000,
        "only {known} of 100,000 addresses have a country"
    );
}

#[test]
fn an_ipv4_address_in_ipv6_clothes_is_the_same_place() {
    let geo = Geo::embedded().unwrap();
    assert_eq!(
        geo.lookup(ip("::ffff:95.42.10.77")),
        geo.lookup(ip("95.42.10.77"))
    );
    assert_eq!(
        network(ip("::ffff:95.42.10.77")),
        network(ip("95.42.10.77"))
    );
    assert_eq!(country(&geo, "::ffff:10.0.0.1"), None);
}

#[test]
fn addresses_of_nobody_in_particular_are_unknown() {
    let everywhere = everywhere();
    let special = [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.9.9",
        "172.31.255.255",
        "192.0.2.7",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.4",
        "203.0.113.9",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "2001:db8::1",
        "3fff::1",
        "fd00::1",
        "fe80::1",
        "ff02::1",
    ];
    for address in special {
        assert_eq!(known(&everywhere, address), (None, None), "{address}");
    }
    for address in [
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "203.0.114.0",
        "2001:db9::1",
    ] {
        assert_eq!(
            country(&everywhere, address).as_deref(),
            Some("DK"),
            "{address}"
        );
    }
}

#[test]
fn without_a_database_everything_is_unknown() {
    let geo = Geo::none();
    assert_eq!(known(&geo, "95.42.10.77"), (None, None));
    assert_eq!((geo.built(), geo.hash().as_str()), (None, "none"));
    assert!(!geo.has_country() && !geo.has_asn());
}

#[test]
fn a_network_is_the_24_of_ipv4_and_the_48_of_ipv6() {
    assert_eq!(network(ip("80.62.116.1")), network(ip("80.62.116.254")));
    assert_ne!(network(ip("80.62.116.1")), network(ip("80.62.117.1")));
    assert_eq!(
        network(ip("2001:6c8:1::1")),
        network(ip("2001:6c8:1:ffff::9"))
    );
    assert_ne!(network(ip("2001:6c8:1::1")), network(ip("2001:6c8:2::1")));
    assert!(
        sequence()
            .take(10_000)
            .all(|bits| network(IpAddr::V6(bits.into())) != 0)
    );
    // Part of stored state: a change of this number is a change of format.
    assert_eq!(network(ip("80.62.116.158")), FINGERPRINT);
}

/// XXH3-64 of the bytes 80, 62, 116, its low 32 bits.
const FINGERPRINT: u32 = 1_788_122_861;

#[test]
fn both_record_shapes_are_read() {
    let nested = map(&[("country", map(&[("iso_code", text("BG"))]))]);
    let flat = map(&[("country_code", text("BG"))]);
    for record in [nested, flat] {
        let geo = loaded(Some(&whole_world(&record, "Test-Country")), None).unwrap();
        assert_eq!(country(&geo, "95.42.10.77").as_deref(), Some("BG"));
        assert_eq!(country(&geo, "2a00::1").as_deref(), Some("BG"));
    }
    for field in ["autonomous_system_number", "asn"] {
        let record = map(&[(field, number(8866))]);
        let geo = loaded(None, Some(&whole_world(&record, "Test-ASN"))).unwrap();
        assert_eq!(known(&geo, "95.42.10.77"), (None, Some(8866)));
        assert_eq!((geo.has_country(), geo.has_asn()), (false, true));
    }
}

#[test]
fn a_country_that_is_not_in_the_list_is_unknown() {
    // One half of the world in `EU`, which is no country, the other in Denmark.
    let records = [
        map(&[("country_code", text("EU"))]),
        map(&[("country_code", text("DK"))]),
    ];
    let geo = loaded(
        Some(&database(&records[0], &records[1], "Test-Country")),
        None,
    )
    .unwrap();
    assert_eq!(
        (country(&geo, "9.0.0.1"), country(&geo, "2a00::1")),
        (None, None)
    );
    assert_eq!(country(&geo, "8000::1").as_deref(), Some("DK"));
}

#[test]
fn two_databases_answer_together_and_are_named_by_both_hashes() {
    let countries = whole_world(&map(&[("country_code", text("DK"))]), "Test-Country");
    let numbers = whole_world(&map(&[("asn", number(3292))]), "Test-ASN");
    let geo = loaded(Some(&countries), Some(&numbers)).unwrap();
    assert_eq!(
        known(&geo, "80.62.116.158"),
        (Country::parse("DK"), Some(3292))
    );
    let (one, two) = (
        loaded(Some(&countries), None).unwrap(),
        loaded(None, Some(&numbers)).unwrap(),
    );
    assert_eq!(geo.hash(), format!("{}+{}", one.hash(), two.hash()));
}

#[test]
fn a_missing_file_is_named_with_what_to_do() {
    let error = Geo::load(Some(Path::new("no/such.mmdb")), None).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("cannot read the country database `no/such.mmdb`: "),
        "{message}"
    );
    assert!(message.contains("\n  = help: "), "{message}");
}

#[test]
fn a_database_cut_short_or_damaged_is_refused() {
    let whole =
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/geo/dbip-country.mmdb"))
            .unwrap();
    let half = &whole[..whole.len() / 2];
    let tail = [&whole[..100], &whole[whole.len() - 200_000..]].concat();
    let mut overwritten = whole.clone();
    overwritten[5_000..9_000].fill(0xff);
    for (name, bytes) in [
        ("half", half),
        ("tail", &tail),
        ("overwritten", &overwritten),
        ("empty", &[]),
        ("text", b"country: DK"),
    ] {
        let error = loaded(Some(bytes), None).unwrap_err();
        assert!(matches!(error, GeoError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("= help: "), "{error}");
    }
}

#[test]
fn a_database_of_another_kind_is_refused_by_name() {
    let numbers = whole_world(&map(&[("asn", number(3292))]), "Test-ASN");
    let message = loaded(Some(&numbers), None).unwrap_err().to_string();
    assert!(
        message.contains("holds no country: its type is `Test-ASN`"),
        "{message}"
    );
    let countries = whole_world(&map(&[("country_code", text("DK"))]), "Test-Country");
    let message = loaded(None, Some(&countries)).unwrap_err().to_string();
    assert!(
        message.contains("holds no network number: its type is `Test-Country`"),
        "{message}"
    );
}

fn loaded(country: Option<&[u8]>, asn: Option<&[u8]>) -> Result<Geo, GeoError> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: Option<&[u8]>| {
        bytes.map(|bytes| {
            let file = folder.path().join(name);
            fs::write(&file, bytes).unwrap();
            file
        })
    };
    let (country, asn) = (write("country.mmdb", country), write("asn.mmdb", asn));
    Geo::load(country.as_deref(), asn.as_deref())
}

fn everywhere() -> Geo {
    loaded(
        Some(&whole_world(
            &map(&[("country_code", text("DK"))]),
            "Test-Country",
        )),
        None,
    )
    .unwrap()
}

fn whole_world(record: &[u8], kind: &str) -> Vec<u8> {
    database(record, record, kind)
}

/// A database of one node: every address whose first bit is 0 has the first record, every other the second.
fn database(zero: &[u8], one: &[u8], kind: &str) -> Vec<u8> {
    // A record pointer is the node count, 16 bytes of separator, and the place in the data section.
    let pointer = |place: usize| u32::try_from(1 + 16 + place).unwrap().to_be_bytes()[1..].to_vec();
    let metadata = map(&[
        ("binary_format_major_version", short(2)),
        ("binary_format_minor_version", short(0)),
        ("build_epoch", long(1_522_540_800)),
        ("database_type", text(kind)),
        ("description", map(&[])),
        ("ip_version", short(6)),
        ("languages", vec![0x00, 0x04]),
        ("node_count", number(1)),
        ("record_size", short(24)),
    ]);
    let (zero_at, one_at, data) = if zero == one {
        (0, 0, zero.to_vec())
    } else {
        (0, zero.len(), [zero, one].concat())
    };
    [
        pointer(zero_at),
        pointer(one_at),
        vec![0; 16],
        data,
        b"\xab\xcd\xefMaxMind.com".to_vec(),
        metadata,
    ]
    .concat()
}

fn text(value: &str) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    let control = if length < 29 {
        vec![0x40 | length]
    } else {
        vec![0x40 | 29, length - 29]
    };
    [control, value.as_bytes().to_vec()].concat()
}

fn number(value: u32) -> Vec<u8> {
    [vec![0xc4], value.to_be_bytes().to_vec()].concat()
}

fn long(value: u64) -> Vec<u8> {
    [vec![0x08, 0x02], value.to_be_bytes().to_vec()].concat()
}

fn short(value: u16) -> Vec<u8> {
    [vec![0xa2], value.to_be_bytes().to_vec()].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let control = vec![0xe0 | u8::try_from(entries.len()).unwrap()];
    entries.iter().fold(control, |mut bytes, (key, value)| {
        bytes.extend(text(key));
        bytes.extend(value);
        bytes
    })
}
