//! Each table of `varsel.toml`: its keys, their bounds and defaults, and what must agree with what.
//!
//! `[kafka]` and `[http]` stand in `kafka.rs` and `http.rs`, having the most to agree on; how a value is found in the
//! text and how a fault is drawn stands in `sheet.rs`. `varsel.example.toml` shows all of it, and a test holds it to that.

use super::secret;
use super::sheet::{Given, Part, Sheet};
use super::{
    Api, Bounds, Checkpoint, Config, Fallback, Format, Geo, Http, Kafka, Level, Log, Place,
    Protocol, Role, Rules, Run, Start, Topics,
};
use crate::problem::Problems;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml_edit::Document;

/// The longest name of a topic: Kafka's bound. A group's is as long at most.
const MAX_NAME: usize = 249;
/// The longest name of an instance: it is a Kafka client id and stands in every line of log.
const MAX_INSTANCE: usize = 100;
/// Topics of the bank that one monitor reads.
const MAX_SOURCES: usize = 64;
/// Seconds of a minute.
pub const MINUTE: u64 = 60;
/// Seconds of an hour.
pub const HOUR: u64 = 60 * MINUTE;
/// Seconds of a day.
pub const DAY: u64 = 24 * HOUR;

const ROLES: [(&str, Role); 4] = [
    ("intake", Role::Intake),
    ("score", Role::Score),
    ("api", Role::Api),
    ("notify", Role::Notify),
];
const FALLBACKS: [(&str, Fallback); 2] = [
    ("step_up", Fallback::StepUp),
    ("decline", Fallback::Decline),
];
const STARTS: [(&str, Start); 3] = [
    ("earliest", Start::Earliest),
    ("latest", Start::Latest),
    ("refuse", Start::Refuse),
];
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];
const FORMATS: [(&str, Format); 2] = [("json", Format::Json), ("text", Format::Text)];

/// The defaults with these brokers.
pub fn default_for(bootstrap: &str) -> Config {
    let (store, notify) = super::routes::defaults();
    Config {
        store,
        notify,
        kafka: Kafka {
            bootstrap: bootstrap.to_owned(),
            protocol: Protocol::Plaintext,
            ca_file: None,
            certificate: None,
            sasl: None,
        },
        topics: default_topics(),
        run: Run {
            roles: BTreeSet::from([Role::Intake, Role::Score, Role::Api]),
            instance: host_name(),
            group: "varsel".to_owned(),
            static_membership: false,
            session_timeout: Duration::from_secs(6),
            start: Start::Earliest,
            threads: 2,
            accept_loss: false,
        },
        rules: Rules::default(),
        geo: Geo::default(),
        checkpoint: Checkpoint {
            place: Place::Folder(PathBuf::from("./varsel-state")),
            every: Duration::from_secs(30),
            keep: 3,
        },
        http: Http {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8089),
            advertise: None,
            open: false,
            grpc_listen: None,
            tls: None,
        },
        api: Api {
            fallback: Fallback::StepUp,
            deadline: Duration::from_millis(500),
            token_keys: None,
            clients: None,
            rate: 20_000,
            audit: None,
        },
        console: None,
        bounds: Bounds {
            lag_ready: Duration::from_secs(30),
            in_flight: 65_536,
        },
        log: Log {
            level: Level::Info,
            format: Format::Json,
        },
    }
}

/// What topics are called unless it is said otherwise.
fn default_topics() -> Topics {
    Topics {
        sources: [
            "authorizations",
            "threeds",
            "eid",
            "cardholders",
            "dispositions",
        ]
        .map(|name| format!("bank.{name}"))
        .into(),
        log: "varsel.log".to_owned(),
        decisions: "varsel.decisions".to_owned(),
        alerts: "varsel.alerts".to_owned(),
        holds: "varsel.holds".to_owned(),
        dead_letters: "varsel.dead-letters".to_owned(),
        bindings: "varsel.bindings".to_owned(),
        owners: "varsel.owners".to_owned(),
        partitions: 12,
        replication: 1,
        retention: Duration::from_secs(14 * DAY),
    }
}

/// The host's name, as far as it can name an instance.
fn host_name() -> String {
    let uname = rustix::system::uname();
    let name: String = uname
        .nodename()
        .to_string_lossy()
        .chars()
        .map(|c| if in_name(c) { c } else { '-' })
        .take(MAX_INSTANCE)
        .collect();
    if name.is_empty() {
        return "varsel".to_owned();
    }
    name
}

/// Reads a configuration and tells all its faults.
pub fn read(file: &str, text: &str) -> Result<Config, Problems> {
    let (mut sheet, document) = Sheet::open(file, text);
    let Some(document) = document else {
        return Err(sheet.close(None));
    };
    let mut config = default_for("");
    super::kafka::read(&mut sheet, &document, &mut config.kafka);
    topics(&mut sheet, &document, &mut config.topics);
    run(&mut sheet, &document, &mut config.run);
    places(&mut sheet, &document, &mut config);
    checkpoint(&mut sheet, &document, &mut config.checkpoint);
    edges(&mut sheet, &document, &mut config);
    super::routes::read(&mut sheet, &document, &mut config);
    super::console::read(&mut sheet, &document, &mut config);
    let problems = sheet.close(Some(&document));
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(problems)
    }
}

fn topics(sheet: &mut Sheet<'_>, document: &Document<String>, topics: &mut Topics) {
    let mut part = Part::open(sheet, document, "topics");
    let mut taken: BTreeMap<String, String> = BTreeMap::new();
    let mut places: Vec<(String, Given<String>)> = Vec::new();
    if let Some(given) = part.texts("sources") {
        if given.value.is_empty() || given.value.len() > MAX_SOURCES {
            let message = format!(
                "`sources` names {} topics, outside 1 to {MAX_SOURCES}",
                given.value.len()
            );
            part.fault(given.at, message, "name the topics of the bank");
        }
        topics.sources = given
            .value
            .iter()
            .map(|source| source.value.to_owned())
            .collect();
        places.extend(
            given
                .value
                .iter()
                .map(|source| ("sources".to_owned(), owned(source))),
        );
    } else {
        taken.extend(
            topics
                .sources
                .iter()
                .map(|name| (name.clone(), "sources".to_owned())),
        );
    }
    for (key, name) in [
        ("log", &mut topics.log),
        ("decisions", &mut topics.decisions),
        ("alerts", &mut topics.alerts),
        ("holds", &mut topics.holds),
        ("dead_letters", &mut topics.dead_letters),
        ("bindings", &mut topics.bindings),
        ("owners", &mut topics.owners),
    ] {
        match part.text(key) {
            Some(given) => {
                given.value.clone_into(name);
                places.push((key.to_owned(), owned(&given)));
            }
            None => {
                taken.insert(name.clone(), key.to_owned());
            }
        }
    }
    for (key, given) in places {
        check_name(&mut part, &given, "a topic", MAX_NAME);
        if let Some(other) = taken.insert(given.value.clone(), key.clone()) {
            let message = format!("`{}` is the topic of `{other}` already", given.value);
            part.fault(given.at, message, "every topic is for one thing");
        }
    }
    topics.partitions = part.number("partitions", 1..=1_024, topics.partitions);
    topics.replication = part.number("replication", 1..=9, topics.replication);
    topics.retention = part.span("retention", HOUR..=3_650 * DAY, topics.retention);
}

/// With a text of its own.
pub fn owned(given: &Given<&str>) -> Given<String> {
    Given {
        value: given.value.to_owned(),
        at: given.at.clone(),
    }
}

fn in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// Kafka's rule for names of topics, which serves for the others too.
pub fn check_name(part: &mut Part<'_, '_, '_>, given: &Given<String>, what: &str, most: usize) {
    let name = &given.value;
    let is_fine = name.len() <= most && name.chars().all(in_name) && name != "." && name != "..";
    if !is_fine {
        let message = format!("`{name}` is no name of {what}");
        let help =
            format!("1 to {most} of the letters a to z and A to Z, digits, `.`, `_` and `-`");
        part.fault(given.at.clone(), message, &help);
    }
}

fn run(sheet: &mut Sheet<'_>, document: &Document<String>, run: &mut Run) {
    let mut part = Part::open(sheet, document, "run");
    if let Some(given) = part.texts("roles") {
        run.roles = roles(&mut part, &given);
    }
    for (key, what, most, name) in [
        ("instance", "an instance", MAX_INSTANCE, &mut run.instance),
        ("group", "a group", MAX_NAME, &mut run.group),
    ] {
        if let Some(given) = part.text(key) {
            check_name(&mut part, &owned(&given), what, most);
            given.value.clone_into(name);
        }
    }
    run.static_membership = part.flag("static_membership", run.static_membership);
    run.session_timeout = part.span("session_timeout", 6..=30 * MINUTE, run.session_timeout);
    run.start = part
        .word("start", &STARTS)
        .map_or(run.start, |given| given.value);
    run.threads = usize::try_from(part.number("threads", 1..=64, 2)).unwrap_or(run.threads);
    run.accept_loss = part.flag("accept_loss", run.accept_loss);
}

fn roles(part: &mut Part<'_, '_, '_>, given: &Given<Vec<Given<&str>>>) -> BTreeSet<Role> {
    let mut roles = BTreeSet::new();
    if given.value.is_empty() {
        let help = "write `roles = [\"intake\", \"score\"]`, or one of them";
        part.fault(
            given.at.clone(),
            "`roles` is empty, and there is nothing to do",
            help,
        );
    }
    for word in &given.value {
        if let Some(role) = part.one_of("roles", word, &ROLES)
            && !roles.insert(role.value)
        {
            let message = format!("`{}` is named twice", word.value);
            part.fault(role.at, message, "name each role once");
        }
    }
    roles
}

/// Where the files of the rule book and of the addresses lie.
fn places(sheet: &mut Sheet<'_>, document: &Document<String>, config: &mut Config) {
    let mut part = Part::open(sheet, document, "rules");
    if let Some(dir) = part.text("dir") {
        if Path::new(dir.value).is_dir() {
            config.rules.dir = Some(PathBuf::from(dir.value));
        } else {
            let message = format!("there is no folder `{}`", dir.value);
            let help = "leave `dir` out for `./rules` or, failing that, the starter book";
            part.fault(dir.at, message, help);
        }
    }
    let mut part = Part::open(sheet, document, "geo");
    config.geo.country = part.file("country").map(|file| file.value);
    config.geo.asn = part.file("asn").map(|file| file.value);
}

fn checkpoint(sheet: &mut Sheet<'_>, document: &Document<String>, checkpoint: &mut Checkpoint) {
    let mut part = Part::open(sheet, document, "checkpoint");
    if let Some(given) = part.text("url")
        && let Some(place) = place(&mut part, given)
    {
        checkpoint.place = place;
    }
    checkpoint.every = part.span("every", 1..=HOUR, checkpoint.every);
    checkpoint.keep = usize::try_from(part.number("keep", 2..=100, 3)).unwrap_or(checkpoint.keep);
}

fn place(part: &mut Part<'_, '_, '_>, given: Given<&str>) -> Option<Place> {
    let help = "write a folder, `file:///…`, or `s3://bucket/prefix`";
    let Some((scheme, rest)) = given.value.split_once("://") else {
        return Some(Place::Folder(PathBuf::from(given.value)));
    };
    let authority = rest.split('/').next().unwrap_or_default();
    if authority.contains('@') {
        let help = "leave them out: they come from the environment, `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`";
        part.fault(given.at, "`url` has credentials in it", help);
        return None;
    }
    match scheme {
        "file" if rest.starts_with('/') && rest.len() > 1 => {
            Some(Place::Folder(PathBuf::from(rest)))
        }
        "file" => {
            let message = format!("`{}` names no folder of this machine", given.value);
            part.fault(
                given.at,
                message,
                "write three slashes: `file:///var/lib/varsel`",
            );
            None
        }
        "s3" if is_bucket(authority) => Some(Place::Bucket {
            bucket: authority.to_owned(),
            prefix: rest[authority.len()..].trim_matches('/').to_owned(),
        }),
        "s3" => {
            let message = format!("`{authority}` is no name of a bucket");
            part.fault(
                given.at,
                message,
                "3 to 63 of the letters a to z, digits, `.` and `-`: `s3://bucket/prefix`",
            );
            None
        }
        _ => {
            let message = format!("`{scheme}://` is no kind of place that is known here");
            part.fault(given.at, message, help);
            None
        }
    }
}

fn is_bucket(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-'))
}

fn edges(sheet: &mut Sheet<'_>, document: &Document<String>, config: &mut Config) {
    super::http::read(sheet, document, &mut config.http);
    api(sheet, document, &mut config.api);
    let mut part = Part::open(sheet, document, "bounds");
    config.bounds.lag_ready = part.span("lag_ready", 1..=DAY, config.bounds.lag_ready);
    let in_flight = part.number("in_flight", 64..=1_048_576, 65_536);
    config.bounds.in_flight = usize::try_from(in_flight).unwrap_or(config.bounds.in_flight);
    let mut part = Part::open(sheet, document, "log");
    let log = &mut config.log;
    log.level = part
        .word("level", &LEVELS)
        .map_or(log.level, |given| given.value);
    log.format = part
        .word("format", &FORMATS)
        .map_or(log.format, |given| given.value);
}

fn api(sheet: &mut Sheet<'_>, document: &Document<String>, api: &mut Api) {
    let mut part = Part::open(sheet, document, "api");
    api.fallback = part
        .word("fallback", &FALLBACKS)
        .map_or(api.fallback, |given| given.value);
    api.deadline = part.span("deadline", 0..=10, api.deadline);
    let token_keys = ["token_keys_file", "token_keys_env"];
    api.token_keys = secret::named(&mut part, token_keys, "VARSEL_TOKEN_KEYS");
    api.clients = part.file("clients_file").map(|file| file.value);
    api.rate = part.number("rate", 1..=1_000_000, api.rate);
    api.audit = part
        .text("audit_file")
        .map(|given| PathBuf::from(given.value));
}
