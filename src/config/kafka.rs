//! The table `[kafka]`: brokers, protocol, certificates, credentials, and what must agree among them.
//!
//! Whether a broker answers, and what is in a certificate, is deliberately not looked at here.

use super::sheet::{Given, LITERAL, Part, Sheet};
use super::{Certificate, Kafka, Mechanism, Protocol, Sasl, SecretSource, secret};
use std::ops::Range;
use toml_edit::Document;

/// Brokers named at the start; the rest are learnt from them.
const MAX_BROKERS: usize = 32;

const PROTOCOLS: [(&str, Protocol); 4] = [
    ("plaintext", Protocol::Plaintext),
    ("tls", Protocol::Tls),
    ("sasl_plaintext", Protocol::SaslPlaintext),
    ("sasl_tls", Protocol::SaslTls),
];
const MECHANISMS: [(&str, Mechanism); 3] = [
    ("plain", Mechanism::Plain),
    ("scram-sha-256", Mechanism::ScramSha256),
    ("scram-sha-512", Mechanism::ScramSha512),
];

/// Reads the table.
pub fn read(sheet: &mut Sheet<'_>, document: &Document<String>, kafka: &mut Kafka) {
    let mut part = Part::open(sheet, document, "kafka");
    let written = part.key("bootstrap").is_some();
    if let Some(given) = part.text("bootstrap") {
        kafka.bootstrap = brokers(&mut part, &given);
    } else if !written && !part.sheet.torn {
        let help = "write `bootstrap = \"host:9092\"` under `[kafka]`";
        match part.head.clone() {
            Some(head) => part.fault(head, "`kafka.bootstrap` is missing", help),
            None => part
                .sheet
                .fault_of_file("`kafka.bootstrap` is missing", help),
        }
    }
    let protocol = part.word("protocol", &PROTOCOLS);
    let is_known = protocol.is_some() || part.key("protocol").is_none();
    kafka.protocol = protocol
        .as_ref()
        .map_or(kafka.protocol, |given| given.value);
    let place = protocol.map(|given| given.at);
    tls(&mut part, is_known, kafka);
    sasl(&mut part, is_known, place, kafka);
}

fn brokers(part: &mut Part<'_, '_, '_>, given: &Given<&str>) -> String {
    let mut brokers = Vec::new();
    for broker in given.value.split(',').map(str::trim) {
        let at = within(given, broker);
        let is_host = |host: &str| {
            !host.is_empty()
                && host.chars().all(|c| {
                    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']')
                })
        };
        let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        match broker.rsplit_once(':') {
            Some((host, number)) if is_host(host) && port(number) => brokers.push(broker),
            Some(_) | None => {
                let message = format!("`{broker}` is not `host:port`, the port 1 to 65535");
                let help = "write `host:9092`, several with commas between";
                part.fault(at, message, help);
            }
        }
    }
    if brokers.len() > MAX_BROKERS {
        let message = format!(
            "`bootstrap` names {} brokers, at most {MAX_BROKERS} are used",
            brokers.len()
        );
        let help = "a few suffice: the rest are learnt from them";
        part.fault(given.at.clone(), message, help);
    }
    brokers.join(",")
}

/// Where a piece of a text stands, if the text is written plainly; else the whole text.
fn within(given: &Given<&str>, piece: &str) -> Range<usize> {
    // One byte for the quote that opens the text; with more, or with escapes, the lengths differ.
    if given.at.len() != given.value.len() + 2 || piece.is_empty() {
        return given.at.clone();
    }
    // `piece` is a slice of the text: its address tells its place even where the same words stand twice.
    let offset = piece
        .as_ptr()
        .addr()
        .wrapping_sub(given.value.as_ptr().addr());
    if offset > given.value.len() {
        return given.at.clone();
    }
    let start = given.at.start + 1 + offset;
    start..start + piece.len()
}

fn tls(part: &mut Part<'_, '_, '_>, protocol_is_known: bool, kafka: &mut Kafka) {
    let names = ["ca_file", "cert_file", "key_file"];
    let [ca, cert, key] = names.map(|name| part.key(name));
    let [ca_file, cert_file, key_file] = names.map(|name| part.file(name).map(|file| file.value));
    match (&cert, &key) {
        (Some(at), None) => part.fault(
            at.clone(),
            "`cert_file` is given without `key_file`",
            "name the private key of the certificate with `key_file`",
        ),
        (None, Some(at)) => part.fault(
            at.clone(),
            "`key_file` is given without `cert_file`",
            "name the certificate with `cert_file`",
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if protocol_is_known && !kafka.protocol.is_tls() {
        for (name, at) in names.into_iter().zip([ca, cert, key]) {
            if let Some(at) = at {
                let message = format!("`{name}` is given, and the protocol does not encrypt");
                let help = "write `protocol = \"tls\"` or `\"sasl_tls\"`, or leave the key out";
                part.fault(at, message, help);
            }
        }
    }
    kafka.ca_file = ca_file;
    kafka.certificate = cert_file
        .zip(key_file)
        .map(|(cert_file, key_file)| Certificate {
            cert_file,
            key_file,
        });
}

fn sasl(
    part: &mut Part<'_, '_, '_>,
    protocol_is_known: bool,
    protocol_at: Option<Range<usize>>,
    kafka: &mut Kafka,
) {
    let names = [
        "mechanism",
        "username",
        "password_file",
        "password_env",
        LITERAL,
    ];
    let places = names.map(|name| part.key(name));
    let mechanism = part.word("mechanism", &MECHANISMS);
    let username = part.text("username").map(|given| given.value.to_owned());
    let password = password(part, "VARSEL_KAFKA_PASSWORD");
    if !protocol_is_known {
        return;
    }
    if !kafka.protocol.is_sasl() {
        for (name, at) in names.into_iter().zip(places) {
            if let Some(at) = at {
                let message = format!("`{name}` is given, and the protocol is not one of sasl");
                let help = "write `protocol = \"sasl_tls\"`, or leave the key out";
                part.fault(at, message, help);
            }
        }
        return;
    }
    let at = protocol_at.unwrap_or_default();
    let [mechanism_at, username_at, file_at, env_at, literal_at] = places;
    let has_password = file_at.or(env_at).or(literal_at);
    let wanted = [
        (
            mechanism_at,
            "mechanism",
            "write `mechanism = \"scram-sha-512\"`",
        ),
        (username_at, "username", "write `username = \"…\"`"),
        (
            has_password,
            "password_file",
            "name a file with `password_file`, or a variable of the environment with `password_env`",
        ),
    ];
    for (_, name, help) in wanted.into_iter().filter(|(given, _, _)| given.is_none()) {
        if !part.sheet.torn {
            part.fault(
                at.clone(),
                format!("`{name}` is missing for this protocol"),
                help,
            );
        }
    }
    if let (Some(mechanism), Some(username), Some(password)) = (mechanism, username, password) {
        kafka.sasl = Some(Sasl {
            mechanism: mechanism.value,
            username,
            password,
        });
    }
}

/// Where a password is read; `example` is a name for its variable.
pub fn password(part: &mut Part<'_, '_, '_>, example: &str) -> Option<SecretSource> {
    if let Some(at) = part.key(LITERAL) {
        let message =
            "`password` stands in the configuration, where anyone who sees it can read it";
        let help = "put it into a file and name that with `password_file`, or a variable of the environment with `password_env`; then change it";
        part.fault(at, message, help);
    }
    secret::named(part, ["password_file", "password_env"], example)
}
