//! One database in MaxMind's format, read whole into memory, checked record by record, and made quick to ask.
//! Knows the two record shapes in use: DB-IP's flat one and MaxMind's nested one. A value is a number: a country's index
//! or a network number, 0 for unknown. It deliberately never maps the file, which another process could change under us.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;

use chrono::{DateTime, NaiveDate};
use hashbrown::HashMap;
use maxminddb::{LookupResult, MaxMindDbError, Reader, path};
use sha2::{Digest, Sha256};

use super::GeoError;
use super::ranges::Ranges;
use crate::domain::country::Country;

/// The largest file read, in bytes: several times the largest city database, and far below what would starve the machine.
const MAX_BYTES: u64 = 1 << 30;

type Record<'a> = LookupResult<'a, Cow<'static, [u8]>>;

/// What is looked for in the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// ISO country codes.
    Country,
    /// Autonomous system numbers.
    Asn,
}

impl Kind {
    fn what(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Asn => "network number",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Country => "use a country or city database, such as the one in `models/geo`",
            Self::Asn => "use an ASN database, such as DB-IP's IP to ASN Lite",
        }
    }

    /// The number in a record; 0 where the record has none or names a country that is not in the list.
    fn number(self, record: &Record<'_>) -> Result<u32, MaxMindDbError> {
        match self {
            Self::Country => {
                let flat: Option<&str> = record.decode_path(&path!["country_code"])?;
                let code = match flat {
                    Some(code) => Some(code),
                    None => record.decode_path(&path!["country", "iso_code"])?,
                };
                Ok(code
                    .and_then(Country::parse)
                    .map_or(0, |country| u32::from(country.index())))
            }
            Self::Asn => {
                let full: Option<u32> = record.decode_path(&path!["autonomous_system_number"])?;
                let number = match full {
                    Some(number) => Some(number),
                    None => record.decode_path(&path!["asn"])?,
                };
                Ok(number.unwrap_or(0))
            }
        }
    }
}

/// A database ready to be asked.
pub(super) struct Database {
    reader: Reader<Cow<'static, [u8]>>,
    /// Every IPv4 answer.
    v4: Ranges,
    /// The number in each record, by the record's place in the file: saves decoding it again for every IPv6 look-up.
    numbers: HashMap<usize, u32>,
    built: Option<NaiveDate>,
    hash: String,
}

impl Database {
    /// Reads and checks a file. Errors: missing or unreadable, larger than [`MAX_BYTES`], damaged, of another kind.
    pub(super) fn read(kind: Kind, path: &Path) -> Result<Self, GeoError> {
        let name = path.display().to_string();
        let unreadable = |detail| GeoError::Unreadable {
            what: kind.what(),
            path: name.clone(),
            detail,
        };
        let size = std::fs::metadata(path)
            .map_err(|error| unreadable(error.to_string()))?
            .len();
        if size > MAX_BYTES {
            return Err(unreadable(format!(
                "it has {size} bytes, and at most {MAX_BYTES} are read"
            )));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        Self::index(kind, &name, Cow::Owned(bytes))
    }

    /// Takes bytes built into the binary.
    pub(super) fn shipped(kind: Kind, name: &str, bytes: &'static [u8]) -> Result<Self, GeoError> {
        Self::index(kind, name, Cow::Borrowed(bytes))
    }

    fn index(kind: Kind, name: &str, bytes: Cow<'static, [u8]>) -> Result<Self, GeoError> {
        let digest = Sha256::digest(&bytes);
        let hash = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let reader = Reader::from_source(bytes).map_err(|error| damaged(kind, name, &error))?;
        let (v4, numbers) = walk(kind, &reader).map_err(|error| damaged(kind, name, &error))?;
        if numbers.is_empty() {
            return Err(GeoError::WrongKind {
                what: kind.what(),
                path: name.to_owned(),
                found: reader.metadata().database_type.clone(),
                help: kind.help(),
            });
        }
        let epoch = i64::try_from(reader.metadata().build_epoch).ok();
        let built = epoch
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .map(|time| time.date_naive());
        Ok(Self {
            reader,
            v4,
            numbers,
            built,
            hash,
        })
    }

    /// The number at an address, 0 for unknown.
    pub(super) fn value(&self, address: IpAddr) -> u32 {
        match address {
            IpAddr::V4(v4) => self.v4.value(v4.to_bits()),
            IpAddr::V6(_) => self.value_by_reader(address),
        }
    }

    /// The number at an address, asked of the reader; the flat table is tested against it.
    pub(super) fn value_by_reader(&self, address: IpAddr) -> u32 {
        // An IPv4-only database answers an IPv6 address with an error: unknown.
        let record = self.reader.lookup(address).ok();
        let place = record.and_then(|record| record.offset());
        place
            .and_then(|place| self.numbers.get(&place))
            .copied()
            .unwrap_or(0)
    }

    /// The day (UTC) it was built, by its own metadata.
    pub(super) fn built(&self) -> Option<NaiveDate> {
        self.built
    }

    /// The first 16 hex digits of the SHA-256 of its bytes.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }
}

/// Walks every network once: the IPv4 ranges into the flat table, every record's number by its place.
///
/// This is also the check for damage: every answer that could ever be given is read here. The reader's own `verify` is
/// stricter than the databases in use (DB-IP's has no description, which it refuses).
fn walk(
    kind: Kind,
    reader: &Reader<Cow<'static, [u8]>>,
) -> Result<(Ranges, HashMap<usize, u32>), MaxMindDbError> {
    let mut seen: HashMap<usize, u32> = HashMap::new();
    let mut ranges = Vec::new();
    for record in reader.networks(Default::default())? {
        let record = record?;
        let Some(place) = record.offset() else {
            continue;
        };
        let number = match seen.get(&place) {
            Some(&number) => number,
            None => *seen.entry(place).insert(kind.number(&record)?).get(),
        };
        let network = record.network()?;
        match (network.network(), network.broadcast()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                ranges.push((first.to_bits(), last.to_bits(), number))
            }
            // One record for all of `::/96`, where IPv4 lives, and more.
            (IpAddr::V6(first), _) if first.is_unspecified() && network.prefix() <= 96 => {
                ranges.push((0, u32::MAX, number))
            }
            (IpAddr::V4(_) | IpAddr::V6(_), _) => {}
        }
    }
    let v4 = Ranges::build(&ranges)
        .ok_or_else(|| MaxMindDbError::invalid_database("its IPv4 networks overlap"))?;
    seen.retain(|_, number| *number != 0);
    Ok((v4, seen))
}

fn damaged(kind: Kind, name: &str, error: &MaxMindDbError) -> GeoError {
    GeoError::Damaged {
        what: kind.what(),
        path: name.to_owned(),
        detail: error.to_string(),
    }
}
