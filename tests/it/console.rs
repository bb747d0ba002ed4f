//! The analysts' console over HTTP, against a running monitor and its store: who gets in and who does not, what each
//! role may do, forms of others, and the way of a case from its alert to its disposition in the log.

mod browser;
mod deeds;
mod entry;
mod forms;
mod live;
mod markup;
mod oidc;
mod provider;
mod stores;
mod users;

use crate::live::{Bank, Monitor, cases};
use crate::notify::place_in;
use browser::Browser;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;
use varsel::clock::{self, Stopwatch};
use varsel::config::{Config, Console, Role, Store as Place};
use varsel::console::people::hash;
use varsel::store::people::{self, Person};
use varsel::store::{Store, StoreError, Tx, views};

/// Everybody's password.
const PASSWORD: &str = "correct horse battery";
/// What anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A monitor with a console and a store, and the case of 2018 in it.
struct World {
    bank: Bank,
    monitor: Option<Monitor>,
    place: Place,
    dir: TempDir,
    address: SocketAddr,
}

/// The case's lines up to the first that raises an alert and some more, not the end of the story.
fn story() -> Vec<String> {
    let mut lines = cases();
    lines.retain(|line| line.contains("\"p-case-144-2018\""));
    lines
}

fn person(name: &str, role: &str) -> Person {
    static HASHED: OnceLock<String> = OnceLock::new();
    Person {
        name: name.to_owned(),
        role: role.to_owned(),
        password: HASHED.get_or_init(|| hash(PASSWORD).unwrap()).clone(),
        is_disabled: false,
        provider: None,
    }
}

impl World {
    fn new() -> Self {
        let world = Self::with(&story());
        // What was scored is in the topics only when the broker has it; the case of 2018 has alerts and holds.
        world.until(|store| store.look(varsel::store::alerts::count).unwrap().1 > 0);
        world.settle();
        world
    }

    fn with(lines: &[String]) -> Self {
        Self::changed(lines, |_| {})
    }

    fn changed(lines: &[String], change: impl FnOnce(&mut Config)) -> Self {
        Self::beginning(lines, None, change)
    }

    fn beginning(lines: &[String], rules: Option<&Path>, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = place_in(&dir);
        let mut bank = Bank::new();
        bank.rules = rules.map(Path::to_owned);
        bank.change(|config| {
            config.run.roles.insert(Role::Notify);
            config.store = place.clone();
            config.api.audit = Some(dir.path().join("audit.jsonl"));
            config.console = Some(Console::default());
            change(config);
        });
        let mut store = Store::open(&place).unwrap();
        for (name, role) in [
            ("anna", "analyst"),
            ("bo", "analyst"),
            ("rasmus", "rule_author"),
            ("admin", "admin"),
            ("audrey", "auditor"),
            ("reader", "read_only"),
        ] {
            let person = person(name, role);
            let added = store.commit(|tx| people::add(tx, &person, clock::now_ms()));
            assert!(added.unwrap());
        }
        bank.feed(lines);
        let monitor = bank.start();
        let address = address_of(&monitor);
        let world = Self {
            bank,
            monitor: Some(monitor),
            place,
            dir,
            address,
        };
        world.settle();
        world
    }

    /// Waits until all that was fed is scored, and its alerts are in the store.
    fn settle(&self) {
        self.monitor.as_ref().unwrap().until(self.bank.sent());
        let ids = |topic: &str| -> i64 {
            let lines = self.bank.lines(topic);
            let ids = lines.iter().map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).unwrap();
                line["id"].as_str().unwrap().to_owned()
            });
            let ids: BTreeSet<String> = ids.collect();
            i64::try_from(ids.len()).unwrap()
        };
        let topics = &self.bank.config.topics;
        self.until(|store| {
            let kept = store.look(varsel::store::alerts::count).unwrap();
            kept == (ids(&topics.alerts), ids(&topics.holds))
        });
    }

    /// Waits until the store is as it should be.
    fn until(&self, is_so: impl Fn(&mut Store) -> bool) {
        let mut store = Store::open(&self.place).unwrap();
        let watch = Stopwatch::start();
        while !is_so(&mut store) {
            assert!(
                watch.elapsed() < PATIENCE,
                "the store does not come to that"
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn store<T>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> T {
        Store::open(&self.place).unwrap().commit(work).unwrap()
    }

    /// The ids of the episodes in the store, the oldest first.
    fn episodes(&self) -> Vec<String> {
        let news = self.store(|tx| views::since(tx, 0, ""));
        news.into_iter().map(|new| new.alert).collect()
    }

    fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// A browser that somebody has logged in with.
    fn visit(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.try_log_in(name, PASSWORD);
        assert_eq!(answer.leads_to(), "/console/queue");
        browser
    }

    /// The steps and dispositions in the log.
    fn logged(&self, kind: &str) -> Vec<serde_json::Value> {
        let lines = self.bank.lines(&self.bank.config.topics.log);
        let events = lines
            .iter()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        events.filter(|event| event["type"] == kind).collect()
    }

    fn audited(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap_or_default()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(monitor) = self.monitor.take() {
            // What has failed already need not be told twice.
            if !std::thread::panicking() {
                monitor.stop();
            }
        }
    }
}

fn address_of(monitor: &Monitor) -> SocketAddr {
    let watch = Stopwatch::start();
    loop {
        if let Some(address) = monitor.signals.address.get() {
            return *address;
        }
        assert!(watch.elapsed() < PATIENCE, "nothing is served");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
