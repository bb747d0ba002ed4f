//! The topics that the monitor needs: what they must be like, what is there, what to create.
//!
//! `varsel topics` prints it, with the rights each role needs, and creates what is missing with
//! `--apply`. Nothing that exists is ever changed: another number of partitions of the log is told
//! with the way out.

use crate::config::Config;
use crate::stream::StreamError;
use crate::stream::client::{self, ASK};
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Dead letters keep records up to a broker's usual bound and our headers besides.
const LETTER_BYTES: &str = "8388608";

/// One topic as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub what: &'static str,
    /// Its partitions.
    pub partitions: usize,
    /// Its settings.
    pub settings: Vec<(&'static str, String)>,
    /// Whether another number of partitions is a fault.
    pub exact: bool,
}

/// All topics of ours and the sources.
pub fn wanted(config: &Config) -> Vec<Wanted> {
    let topics = &config.topics;
    let count = usize::try_from(topics.partitions).unwrap_or(1);
    let kept = topics.retention.as_millis().to_string();
    let keep = |policy: &str| vec![("cleanup.policy", policy.to_owned())];
    let timed = || {
        let mut settings = keep("delete");
        settings.push(("retention.ms", kept.clone()));
        settings
    };
    let one = |name: &str, what, partitions, settings, exact| Wanted {
        name: name.to_owned(),
        what,
        partitions,
        settings,
        exact,
    };
    let mut all: Vec<Wanted> = topics
        .sources
        .iter()
        .map(|name| one(name, "a source of the bank's", count, timed(), false))
        .collect();
    let mut letters = timed();
    letters.push(("max.message.bytes", LETTER_BYTES.to_owned()));
    let mut log = timed();
    log.push(("max.message.bytes", LETTER_BYTES.to_owned()));
    all.extend([
        one(
            &topics.log,
            "the log, keyed by cardholder",
            count,
            log,
            true,
        ),
        one(&topics.decisions, "decisions", count, timed(), false),
        one(&topics.alerts, "alerts", count, timed(), false),
        one(
            &topics.holds,
            "holds, the last state of each",
            count,
            keep("compact"),
            false,
        ),
        one(&topics.dead_letters, "refused records", 1, letters, false),
        one(
            &topics.bindings,
            "card to cardholder",
            1,
            keep("compact"),
            false,
        ),
        one(
            &topics.owners,
            "who owns which partition",
            1,
            keep("compact"),
            false,
        ),
    ]);
    all
}

/// The topics of [`wanted`] that are not there.
pub fn missing(wanted: &[Wanted], there: &BTreeMap<String, usize>) -> Vec<Wanted> {
    wanted
        .iter()
        .filter(|topic| !there.contains_key(&topic.name))
        .cloned()
        .collect()
}

/// Whether the log has the partitions that it was set up with.
///
/// # Errors
/// Where it has another number, with the way out.
pub fn check_partitions(
    config: &Config,
    there: &BTreeMap<String, usize>,
) -> Result<usize, StreamError> {
    let known = usize::try_from(config.topics.partitions).unwrap_or(1);
    let log = &config.topics.log;
    match there.get(log) {
        Some(found) if *found == known => Ok(known),
        Some(found) => Err(StreamError::Partitions {
            topic: log.clone(),
            found: *found,
            known,
            help: format!(
                "if `{log}` is new and empty, set `topics.partitions = {found}`; if it was grown while in use, name a new `topics.log` with {found} partitions, a new `run.group` and an empty `checkpoint.url`, and let intake read the sources again"
            ),
        }),
        None => Err(StreamError::NoTopics {
            bootstrap: config.kafka.bootstrap.clone(),
            missing: vec![log.clone()],
        }),
    }
}

/// The plan, for people.
pub fn plan(config: &Config, there: Option<&BTreeMap<String, usize>>) -> String {
    let mut text = String::new();
    let replication = config.topics.replication;
    let _ = writeln!(
        text,
        "{:<24} {:>10}  {:<36} settings",
        "topic", "partitions", "for"
    );
    for topic in wanted(config) {
        let state = match there.and_then(|there| there.get(&topic.name)) {
            _ if there.is_none() => String::new(),
            None => "  MISSING".to_owned(),
            Some(found) if *found != topic.partitions && topic.exact => {
                format!("  HAS {found} PARTITIONS")
            }
            Some(found) => format!("  there, {found} partitions"),
        };
        let settings: Vec<String> = topic
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let _ = writeln!(
            text,
            "{:<24} {:>10}  {:<36} {}{state}",
            topic.name,
            topic.partitions,
            topic.what,
            settings.join(" ")
        );
    }
    let _ = writeln!(
        text,
        "\nreplication {replication}; for production 3, with min.insync.replicas=2\n"
    );
    rights(config, &mut text);
    text
}

/// The rights that the monitor's user needs.
fn rights(config: &Config, text: &mut String) {
    let topics = &config.topics;
    let user = config
        .kafka
        .sasl
        .as_ref()
        .map_or("varsel", |sasl| &sasl.username);
    let _ = writeln!(text, "rights of the user `{user}`:");
    for name in &topics.sources {
        let _ = writeln!(text, "  topic {name}: READ, DESCRIBE");
    }
    for name in [
        &topics.log,
        &topics.bindings,
        &topics.owners,
        &topics.dead_letters,
    ] {
        let _ = writeln!(text, "  topic {name}: READ, WRITE, DESCRIBE");
    }
    for name in [&topics.decisions, &topics.alerts, &topics.holds] {
        let _ = writeln!(text, "  topic {name}: WRITE, DESCRIBE");
    }
    let group = &config.run.group;
    let _ = writeln!(text, "  group {group}-*: READ, DESCRIBE (prefixed)");
    let _ = writeln!(
        text,
        "  cluster: IDEMPOTENT_WRITE (brokers before 3.0); CREATE for `--apply`"
    );
}

/// Creates topics.
///
/// # Errors
/// What the broker refuses, by topic.
pub fn create(config: &Config, topics: &[Wanted]) -> Result<Vec<(String, String)>, StreamError> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let admin = client::admin(config)?;
    let replication = i32::try_from(config.topics.replication).unwrap_or(1);
    let new: Vec<NewTopic<'_>> = topics
        .iter()
        .map(|topic| {
            let partitions = i32::try_from(topic.partitions).unwrap_or(1);
            let new = NewTopic::new(
                &topic.name,
                partitions,
                TopicReplication::Fixed(replication),
            );
            topic
                .settings
                .iter()
                .fold(new, |new, (name, value)| new.set(name, value))
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| StreamError::Thread(error.to_string()))?;
    let options = AdminOptions::new()
        .operation_timeout(Some(ASK))
        .request_timeout(Some(ASK));
    let results = runtime
        .block_on(admin.create_topics(&new, &options))
        .map_err(StreamError::client("create topics"))?;
    Ok(results
        .into_iter()
        .map(|result| match result {
            Ok(name) => (name, "created".to_owned()),
            Err((name, code)) => (name, format!("not created: {code}")),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_with_other_partitions_is_refused_with_the_way_out() {
        let config = Config::default_for("localhost:9092");
        let there = BTreeMap::from([(config.topics.log.clone(), 8)]);
        let error = check_partitions(&config, &there).unwrap_err().to_string();
        assert!(
            error.contains("has 8 partitions and 12 were expected"),
            "{error}"
        );
        assert!(error.contains("topics.log"), "{error}");
    }
}
