//! The notifier: from lines of alerts to a mail server and to webhooks that are real and fail for real; what a crash
//! between any two steps leaves; floods, silences, updates. Time is handed in wherever it is waited for.

mod catcher;
mod faults;
mod full;
mod guarded;
mod hooks;
mod live;
mod mails;
mod stores;

use catcher::{Catcher, Taken};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use varsel::config::{Config, Mail, Notify, Route, Security, Store as Place};
use varsel::mail::letter;
use varsel::mail::press::{Press, Text};
use varsel::mail::server::{Kind, Refusal, Server};
use varsel::notify::plan;
use varsel::notify::record::{self, Heard, Now};
use varsel::notify::send::{Sender, Step};
use varsel::store::alerts::Shelf;
use varsel::store::outbox::{self, Channel, Message};
use varsel::store::{Store, StoreError, lease};

/// A Monday at noon, UTC.
const START_MS: i64 = 1_767_614_400_000;
/// Who leads.
const HOLDER: &str = "test";

/// A line of an alert.
pub fn line(id: u32, status: &str, severity: &str, count: u32) -> String {
    serde_json::json!({
        "id": format!("{id:032x}"), "at": "2018-03-05T15:47:26.000Z", "status": status, "card": "c-1",
        "cardholder": format!("p-{id}"), "pattern": "over-balance-transfer-attempts", "severity": severity,
        "score": 900, "count": count, "events": ["e-1"], "trigger": "e-1",
        "rules": [{"id": "over-balance", "version": 1}],
        "reasons": [{"code": "over-balance", "text": "Tried to transfer <more> than there is"}],
        "rts_factors": {},
    })
    .to_string()
}

/// A line of a hold of the alert of that id.
pub fn hold(id: u32, state: &str) -> String {
    serde_json::json!({
        "id": format!("{:032x}", 0xF000_0000 + id), "at": "2018-03-05T15:47:27.000Z", "card": null,
        "cardholder": format!("p-{id}"), "kind": "step_up", "methods_refused": ["eid", "otp"], "state": state,
        "from": "2018-03-05T15:47:27.000Z", "until": "2018-03-08T15:47:27.000Z", "alert": format!("{id:032x}"),
        "reasons": [],
    })
    .to_string()
}

/// A mail server's settings, on this machine.
pub fn mail_to(catcher: &Catcher) -> Mail {
    Mail {
        host: "127.0.0.1".to_owned(),
        port: catcher.address.port(),
        security: Security::Plain,
        ca_file: None,
        from: "Varsel <varsel@bank.example>".parse().unwrap(),
        login: None,
        timeout: Duration::from_secs(1),
    }
}

fn file_in(dir: &TempDir) -> PathBuf {
    dir.path().join("data/varsel.db")
}

/// A schema of its own on a PostgreSQL, named after a folder that is nobody else's.
fn schema_of(url: &str, dir: &Path) -> Place {
    let name = dir.file_name().unwrap().to_string_lossy();
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let name = format!("t_{}_{name}", std::process::id()).to_lowercase();
    let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
    client
        .batch_execute(&format!("CREATE SCHEMA {name}"))
        .unwrap();
    Place::Postgres {
        url: format!("{url}?options=-c%20search_path%3D{name}"),
        password: None,
        tls: false,
        ca_file: None,
    }
}

/// A store of its own: on the PostgreSQL that `VARSEL_TEST_POSTGRES` names, or in a file.
pub fn place_in(dir: &TempDir) -> Place {
    match std::env::var("VARSEL_TEST_POSTGRES") {
        Ok(url) => schema_of(&url, dir.path()),
        Err(_) => Place::File(file_in(dir)),
    }
}

/// Does something to a store behind its back.
pub fn spoil(place: &Place, sql: &str) {
    match place {
        Place::File(path) => {
            let store = rusqlite::Connection::open(path).unwrap();
            store.execute_batch(sql).unwrap();
        }
        Place::Postgres { url, .. } => {
            let mut store = postgres::Client::connect(url, postgres::NoTls).unwrap();
            store.batch_execute(sql).unwrap();
        }
    }
}

/// A notifier without a broker, whose time is what the test says.
pub struct Desk {
    pub notify: Notify,
    pub store: Store,
    pub place: Place,
    pub now_ms: Cell<i64>,
    pub catcher: Catcher,
    pub press: Press,
    pub dir: TempDir,
    server: Server,
    sender: Sender,
}

impl Desk {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// With one route to one address, changed; on the PostgreSQL that `VARSEL_TEST_POSTGRES` names, or in a file.
    pub fn with(change: impl FnOnce(&mut Route)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = place_in(&dir);
        Self::at(place, dir, change)
    }

    /// In a file, whatever else there is.
    pub fn on_file() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::at(Place::File(file_in(&dir)), dir, |_| {})
    }

    fn at(place: Place, dir: TempDir, change: impl FnOnce(&mut Route)) -> Self {
        let catcher = Catcher::start();
        let mut notify = Config::default_for("").notify;
        let mut route = Route::new("team", vec!["fraud@bank.example".parse().unwrap()]);
        route.repeat_interval = Duration::ZERO;
        change(&mut route);
        notify.routes = vec![route];
        notify.mail = Some(mail_to(&catcher));
        notify.link = Some("https://varsel.bank.example".to_owned());
        let mut store = Store::open(&place).unwrap();
        assert!(lease::take(&mut store, HOLDER, START_MS).unwrap());
        let press = Press::open(notify.language, notify.link.as_deref(), None, |ms| {
            chrono::DateTime::from_timestamp_millis(ms)
                .unwrap()
                .fixed_offset()
        });
        Self {
            server: Server::new(notify.mail.as_ref().unwrap(), &Arc::default()).unwrap(),
            sender: Sender::new(Channel::Mail, HOLDER),
            press: press.unwrap(),
            notify,
            store,
            place,
            now_ms: Cell::new(START_MS),
            catcher,
            dir,
        }
    }

    /// The file of a store that is in one.
    pub fn path(&self) -> PathBuf {
        file_in(&self.dir)
    }

    /// The process dies and another takes over.
    pub fn die(&mut self) {
        self.store = Store::open(&self.place).unwrap();
        self.sender = Sender::new(Channel::Mail, HOLDER);
        self.server = Server::new(self.notify.mail.as_ref().unwrap(), &Arc::default()).unwrap();
        let now_ms = self.now_ms.get();
        let recovered = self.store.commit(|tx| outbox::recover(tx, now_ms));
        recovered.unwrap();
    }

    pub fn wait(&self, ms: i64) {
        self.now_ms.set(self.now_ms.get() + ms);
    }

    pub fn hear(&mut self, line: &str) -> Heard {
        let now = Now {
            ms: self.now_ms.get(),
            local: (0, 720),
        };
        let notify = &self.notify;
        let heard = self
            .store
            .commit(|tx| record::alert(tx, notify, line, now.ms, now));
        heard.unwrap()
    }

    pub fn hear_hold(&mut self, line: &str) -> Heard {
        let held = self.store.commit(|tx| record::hold(tx, Shelf::Store, line));
        held.unwrap()
    }

    pub fn plan(&mut self) -> u64 {
        let (notify, press, now_ms) = (&self.notify, &self.press, self.now_ms.get());
        let planned = self
            .store
            .commit(|tx| plan::plan(tx, notify, press, now_ms));
        planned.unwrap()
    }

    pub fn step(&mut self) -> Result<Step, StoreError> {
        let server = &mut self.server;
        let (sender, store, now_ms) = (&mut self.sender, &mut self.store, &self.now_ms);
        sender.step(store, &|| now_ms.get(), &mut |message| {
            deliver(server, message)
        })
    }

    /// Sends what is due now.
    pub fn send(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            match self.step().unwrap() {
                Step::Idle => return steps,
                step => steps.push(step),
            }
        }
    }

    /// Waits for what is due within so many seconds, and sends it: second by second, or every ten of many.
    pub fn run(&mut self, seconds: i64) {
        let step = if seconds > 60 { 10 } else { 1 };
        for _ in 0..seconds / step {
            self.wait(step * 1_000);
            self.plan();
            self.send();
        }
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.catcher.taken()
    }

    pub fn standing(&mut self) -> outbox::Standing {
        let now_ms = self.now_ms.get();
        self.store
            .commit(|tx| outbox::standing(tx, now_ms, now_ms))
            .unwrap()
    }
}

/// Hands a message to the server, as the notifier does.
pub fn deliver(server: &mut Server, message: &Message) -> Result<(), Refusal> {
    let text: Text = serde_json::from_str(&message.body).unwrap();
    let to = message.target.parse().unwrap();
    let from = &server.mail().from;
    let letter = letter::write(from, &to, &message.id, &text, message.created_ms);
    server.send(&letter.map_err(|said| Refusal::of(Kind::Final, said))?)
}
