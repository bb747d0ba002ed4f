//! A test's own world under the shared broker: a folder, a prefix for its topics and groups, a `varsel.toml`.
//!
//! The bank topics are made here, as a bank's would be there already; the monitor's own by `varsel topics --apply`.

use crate::broker::Broker;
use crate::drain::{self, Record};
use crate::feed::Feed;
use crate::monitor::{Ended, Monitor};
use crate::topics::Topics;
use crate::wait::within;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// The bank's topics, and which types of event they carry (see `lines.rs`).
pub const BANK: [&str; 5] = [
    "bank.authorizations",
    "bank.threeds",
    "bank.eid",
    "bank.cardholders",
    "bank.dispositions",
];
/// The monitor's own: keys of `[topics]` and names.
const OWN: [(&str, &str); 7] = [
    ("log", "varsel.log"),
    ("decisions", "varsel.decisions"),
    ("alerts", "varsel.alerts"),
    ("holds", "varsel.holds"),
    ("dead_letters", "varsel.dead-letters"),
    ("bindings", "varsel.bindings"),
    ("owners", "varsel.owners"),
];
pub const BANK_PARTITIONS: i32 = 3;
pub const PARTITIONS: i32 = 6;

pub struct Scene {
    pub name: String,
    pub dir: PathBuf,
    pub broker: Broker,
    pub topics: Topics,
    settings: BTreeMap<(&'static str, String), String>,
}

impl Scene {
    /// An empty world. `label` begins the names of its topics.
    pub fn new(label: &str) -> Self {
        let broker = Broker::named();
        let stamp = varsel::clock::now_ms() % 100_000_000;
        let name = format!("{label}-{stamp}");
        let root =
            std::env::var_os("VARSEL_KAFKA_SCENES").map_or_else(std::env::temp_dir, PathBuf::from);
        let dir = root.join(&name);
        std::fs::create_dir_all(&dir).unwrap();
        let topics = Topics::new(&broker.bootstrap);
        let mut scene = Self {
            name,
            dir,
            broker,
            topics,
            settings: BTreeMap::new(),
        };
        scene.set_text("kafka", "bootstrap", &scene.broker.bootstrap.clone());
        scene.set_text("run", "group", &scene.name.clone());
        scene.set_text("run", "session_timeout", "6s");
        scene.set_text("checkpoint", "url", "./state");
        scene.set_text("checkpoint", "every", "2s");
        scene.set_text("http", "listen", "127.0.0.1:0");
        scene.set("topics", "partitions", PARTITIONS);
        for (key, topic) in OWN {
            scene.set_text("topics", key, &scene.topic(topic));
        }
        let sources: Vec<String> = BANK
            .iter()
            .map(|t| format!("{:?}", scene.topic(t)))
            .collect();
        scene.set("topics", "sources", format!("[{}]", sources.join(", ")));
        scene
    }

    /// The world with all topics made, the monitor's by the monitor.
    pub fn ready(label: &str) -> Self {
        let scene = Self::new(label);
        scene.make_bank_topics();
        scene.make_own_topics();
        scene
    }

    pub fn make_bank_topics(&self) {
        for topic in BANK {
            let settings = [("max.message.bytes", "2000000")];
            self.topics
                .create(&self.topic(topic), BANK_PARTITIONS, &settings);
        }
    }

    pub fn make_own_topics(&self) {
        let made = self.varsel(&["topics", "--apply"]);
        assert_eq!(made.code, Some(0), "varsel topics --apply: {}", made.said);
        for (_, name) in OWN {
            self.topics.led(&self.topic(name));
        }
    }

    /// A topic's name in this world.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Sets a key of the configuration, as TOML.
    pub fn set(&mut self, section: &'static str, key: &str, value: impl ToString) {
        self.settings
            .insert((section, key.to_owned()), value.to_string());
    }

    pub fn set_text(&mut self, section: &'static str, key: &str, value: &str) {
        self.set(section, key, format!("{value:?}"));
    }

    /// Writes an instance's configuration; the file's path.
    pub fn config(&self, instance: &str) -> PathBuf {
        let mut text = String::new();
        let mut at = "";
        let own = (("run", "instance".to_owned()), format!("{instance:?}"));
        let mut all = self.settings.clone();
        all.entry(own.0).or_insert(own.1);
        for ((section, key), value) in &all {
            if *section != at {
                let _ = writeln!(text, "[{section}]");
                at = section;
            }
            let _ = writeln!(text, "{key} = {value}");
        }
        let path = self.dir.join(format!("{instance}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a command of the binary to its end, with this world's configuration.
    pub fn varsel(&self, words: &[&str]) -> Ended {
        let config = self.config("command");
        let mut all: Vec<&str> = words.to_vec();
        all.extend(["--config", config.to_str().unwrap()]);
        crate::monitor::command(&self.dir, &all, Duration::from_secs(120))
    }

    /// Starts a monitor; returns at once.
    pub fn start(&self, instance: &str) -> Monitor {
        Monitor::start(&self.dir, &self.config(instance), instance)
    }

    /// Starts a monitor and waits until it is ready.
    pub fn start_ready(&self, instance: &str) -> Monitor {
        let mut monitor = self.start(instance);
        monitor.wait_ready(Duration::from_secs(60));
        monitor
    }

    pub fn feed(&self) -> Feed {
        Feed::new(&self.broker.bootstrap)
    }

    pub fn drain(&self, name: &str) -> Vec<Record> {
        let topic = self.topic(name);
        drain::all(
            &self.broker.bootstrap,
            &topic,
            self.topics.partitions(&topic),
        )
    }

    /// Records of the bank topics that intake has yet to commit, and of the log that scoring has.
    pub fn behind(&self) -> (i64, i64) {
        let intake = format!("{}-intake", self.name);
        let sources = BANK
            .iter()
            .map(|topic| self.topics.behind(&intake, &self.topic(topic)));
        let score = format!("{}-score", self.name);
        let log = self.topics.behind(&score, &self.topic("varsel.log"));
        (sources.sum(), log)
    }

    /// Waits until everything that the bank sent is decided, acknowledged and committed.
    pub fn settle(&self, limit: Duration) {
        let mut last = (0, 0);
        let settled = within(limit, || {
            last = self.behind();
            (last == (0, 0)).then_some(())
        });
        assert!(
            settled.is_some(),
            "not settled within {limit:?}: {} bank records not committed by intake, {} of the log by scoring{}",
            last.0,
            last.1,
            self.last_words()
        );
    }

    /// The ends of all monitors' logs, for a failure's message.
    pub fn last_words(&self) -> String {
        let mut text = String::new();
        let entries = std::fs::read_dir(&self.dir).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == "log"))
        {
            let said = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let tail = &lines[lines.len().saturating_sub(8)..];
            let _ = write!(text, "\n  {}:\n    {}", path.display(), tail.join("\n    "));
        }
        text
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let keep = std::env::var("VARSEL_KAFKA_KEEP").is_ok_and(|keep| !keep.is_empty());
        if !std::thread::panicking() && !keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
