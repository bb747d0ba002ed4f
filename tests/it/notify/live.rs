//! The whole way: bank events through a broker, the monitor and its notifier to a mail server; and back, the store from
//! the topics.

use super::*;
use crate::live::{Bank, cases};
use std::collections::BTreeSet;
use varsel::config::Role;
use varsel::notify::rebuild::rebuild;
use varsel::store::alerts;

#[test]
fn no_loss_every_alert_of_the_recorded_cases_is_mailed_once_and_the_store_is_what_the_topics_say() {
    let catcher = Catcher::start();
    let mut bank = Bank::new();
    let dir = tempfile::tempdir().unwrap();
    let place = Place::File(dir.path().join("varsel.db"));
    bank.change(|config| {
        config.run.roles.insert(Role::Notify);
        config.store = place.clone();
        config.notify.mail = Some(mail_to(&catcher));
        let mut route = Route::new("team", vec!["fraud@bank.example".parse().unwrap()]);
        route.group_wait = Duration::from_millis(500);
        route.burst = 100;
        route.updates = 0;
        config.notify.routes = vec![route];
    });
    let lines = cases();
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent());
    // Stopped and started in between: what was mailed is not mailed again.
    catcher.until(1, Duration::from_secs(60));
    monitor.stop();
    let monitor = bank.start();
    let told: BTreeSet<String> = bank
        .lines(&bank.config.topics.alerts)
        .iter()
        .map(|line| alerts::Alert::read(line).unwrap().id)
        .collect();
    let taken = catcher.until(told.len(), Duration::from_secs(60));
    monitor.stop();
    let ids: BTreeSet<String> = taken.iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.len(), catcher.taken().len(), "none twice");
    assert_eq!(ids.len(), told.len(), "each episode has its mail");
    let mut store = Store::open(&place).unwrap();
    let (alerts, holds) = store.commit(alerts::count).unwrap();
    assert_eq!(alerts, i64::try_from(told.len()).unwrap());
    let of_holds: BTreeSet<String> = bank
        .lines(&bank.config.topics.holds)
        .iter()
        .map(|line| alerts::Hold::read(line).unwrap().id)
        .collect();
    assert_eq!(holds, i64::try_from(of_holds.len()).unwrap());

    // What is lost comes back from the topics, and nobody is told again.
    let before = store.commit(alerts::lines).unwrap();
    let damage = rusqlite::Connection::open(dir.path().join("varsel.db")).unwrap();
    damage
        .execute_batch("DELETE FROM holds; DELETE FROM alerts")
        .unwrap();
    let found = rebuild(&bank.config).unwrap();
    assert_eq!(
        (found.alerts, found.holds, found.unreadable),
        (alerts, holds, 0)
    );
    assert_eq!(store.commit(alerts::lines).unwrap(), before);
    assert_eq!(
        store.commit(|tx| outbox::standing(tx, 0)).unwrap().waiting,
        0
    );
}
