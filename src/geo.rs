//! Where an address lies: the country and the network number of an IP address, by databases in MaxMind's format.
//! `lookup` runs once or twice per event, so IPv4 answers come from a flat table made at load and IPv6 from the reader.
//! What is not known stays unknown: private, reserved and unlisted addresses have no country, and are never foreign.
//! It deliberately judges nothing and never goes to the network; a reload builds a new `Geo` and swaps it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use chrono::NaiveDate;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::country::Country;
use crate::domain::event::Place;

mod database;
mod ranges;

use database::Database;

/// The country database that ships with the source: DB-IP's country list, CC BY 4.0, attributed in NOTICE.
static SHIPPED: &[u8] = include_bytes!("../models/geo/dbip-country.mmdb");

/// Built at the first use and shared from then on, because building it takes tens of milliseconds.
static EMBEDDED: LazyLock<Result<Geo, GeoError>> = LazyLock::new(|| {
    let country = Database::shipped(
        database::Kind::Country,
        "models/geo/dbip-country.mmdb",
        SHIPPED,
    )?;
    Ok(Geo {
        country: Some(Arc::new(country)),
        asn: None,
    })
});

/// Why a database could not be used; the text names the file, what is wrong, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GeoError {
    /// The file is missing or cannot be read.
    #[error(
        "cannot read the {what} database `{path}`: {detail}\n  \
         = help: name a file in MaxMind DB format (.mmdb), or leave the setting out: what it would tell is then unknown"
    )]
    Unreadable {
        /// Which database was wanted: `country` or `network number`.
        what: &'static str,
        /// The file as it was named.
        path: String,
        /// What the operating system said.
        detail: String,
    },
    /// The file is no whole database: cut short, damaged, or something else altogether.
    #[error(
        "the {what} database `{path}` is damaged or not in MaxMind DB format: {detail}\n  \
         = help: download or copy it again, and compare its size and checksum with the source"
    )]
    Damaged {
        /// Which database was wanted.
        what: &'static str,
        /// The file as it was named.
        path: String,
        /// Where reading it failed.
        detail: String,
    },
    /// A sound database that holds something else.
    #[error(
        "the {what} database `{path}` holds no {what}: its type is `{found}`\n  \
         = help: {help}"
    )]
    WrongKind {
        /// Which database was wanted.
        what: &'static str,
        /// The file as it was named.
        path: String,
        /// The type in the file's own metadata.
        found: String,
        /// Which databases would do.
        help: &'static str,
    },
}

/// The databases in use. Cloning shares them.
#[derive(Clone, Default)]
pub struct Geo {
    country: Option<Arc<Database>>,
    asn: Option<Arc<Database>>,
}

impl Geo {
    /// Reads the named databases whole into memory and checks every record; a database that is not named stays unknown.
    ///
    /// Errors: see [`GeoError`].
    pub fn load(country: Option<&Path>, asn: Option<&Path>) -> Result<Self, GeoError> {
        let read = |kind, path: Option<&Path>| {
            path.map(|path| Database::read(kind, path).map(Arc::new))
                .transpose()
        };
        Ok(Self {
            country: read(database::Kind::Country, country)?,
            asn: read(database::Kind::Asn, asn)?,
        })
    }

    /// The country database built into the binary, and no network numbers.
    ///
    /// Errors only if the binary was built from a damaged copy.
    pub fn embedded() -> Result<Self, GeoError> {
        EMBEDDED.clone()
    }

    /// No database at all: every address is unknown.
    pub fn none() -> Self {
        Self::default()
    }

    /// The same countries, with network numbers from a file. Errors: see [`GeoError`].
    pub fn with_asn(self, asn: &Path) -> Result<Self, GeoError> {
        Ok(Self {
            country: self.country,
            asn: Self::load(None, Some(asn))?.asn,
        })
    }

    /// What is known of an address; its network's fingerprint is always filled in. An IPv4 address in IPv6 clothes
    /// (`::ffff:a.b.c.d`) is looked up as IPv4.
    ///
    /// Addresses that belong to nobody in particular (private, loopback, link-local, shared, documentation, benchmark,
    /// multicast, reserved: the IANA special-purpose registries, RFC 6890) have no country and no network number.
    pub fn lookup(&self, address: IpAddr) -> Place {
        let address = address.to_canonical();
        let network = network(address);
        if is_special(address) {
            return Place {
                country: None,
                asn: None,
                network,
            };
        }
        let value = |database: &Option<Arc<Database>>| {
            database
                .as_ref()
                .map_or(0, |database| database.value(address))
        };
        let country = u8::try_from(value(&self.country))
            .ok()
            .and_then(Country::from_index);
        let asn = Some(value(&self.asn)).filter(|&number| number != 0);
        Place {
            country,
            asn,
            network,
        }
    }

    /// Whether countries can be known at all.
    pub fn has_country(&self) -> bool {
        self.country.is_some()
    }

    /// Whether network numbers can be known at all.
    pub fn has_asn(&self) -> bool {
        self.asn.is_some()
    }

    /// The day (UTC) on which the country database says it was built.
    pub fn built(&self) -> Option<NaiveDate> {
        self.country.as_ref().and_then(|database| database.built())
    }

    /// The day (UTC) on which the network number database says it was built.
    pub fn asn_built(&self) -> Option<NaiveDate> {
        self.asn.as_ref().and_then(|database| database.built())
    }

    /// The first 16 hex digits of the SHA-256 of the database; of two, both joined by `+`, country first; `none` for none.
    pub fn hash(&self) -> String {
        match (&self.country, &self.asn) {
            (None, None) => "none".to_owned(),
            (Some(only), None) | (None, Some(only)) => only.hash().to_owned(),
            (Some(country), Some(asn)) => format!("{}+{}", country.hash(), asn.hash()),
        }
    }
}

impl fmt::Debug for Geo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Geo")
            .field("built", &self.built())
            .field("hash", &self.hash())
            .finish()
    }
}

/// A fingerprint of the network that an address is in: the /24 of an IPv4 address, the /48 of an IPv6 one. Never 0.
///
/// Equal networks have equal fingerprints; two different ones share one by chance once in four thousand million.
/// It is XXH3 of the masked bytes (three or six of them), so it is the same on every machine and in every version.
pub fn network(address: IpAddr) -> u32 {
    let hash = match address.to_canonical() {
        IpAddr::V4(v4) => xxh3_64(&v4.octets()[..3]),
        IpAddr::V6(v6) => xxh3_64(&v6.octets()[..6]),
    };
    let [a, b, c, d, ..] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d]).max(1)
}

/// Whether nobody in particular is behind the address, so that a country for it would be an invention.
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => is_special_v6(v6),
    }
}

fn is_special_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        [0 | 10 | 127 | 224..=255, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 0, 0 | 2, _]
        | [192, 168, ..]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => true,
        [_, _, _, _] => false,
    }
}

fn is_special_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1]                // unspecified, loopback
        | [0x2001, 0xdb8, ..]                       // documentation
        | [0x3fff, 0..=0x0fff, ..]                  // documentation, RFC 9637
        | [0x0100, 0, 0, 0, ..]                     // discard only
        | [0xfc00..=0xfdff, ..]                     // unique local
        | [0xfe80..=0xfeff, ..]                     // link-local, and site-local of old
        | [0xff00..=0xffff, ..] => true,            // multicast
        [..] => false,
    }
}

#[cfg(test)]
mod tests;
