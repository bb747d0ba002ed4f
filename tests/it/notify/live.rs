//! The whole way: bank events through a broker, the monitor and its notifier to a mail server; and back, the store from
//! the topics.

use super::catcher::Fault;
use super::*;
use crate::live::{Bank, cases};
use std::collections::BTreeSet;
use varsel::clock::Stopwatch;
use varsel::config::Role;
use varsel::notify::rebuild::rebuild;
use varsel::store::alerts;

/// Every column that the topics speak of, of both tables.
fn rows(place: &Place) -> Vec<String> {
    let sql = "SELECT id || ' ' || first_at || ' ' || at || ' ' || status || ' ' || severity || ' ' || score || ' ' || fed
                   || ' ' || pattern || ' ' || cardholder || ' ' || coalesce(card, '-') || ' ' || line FROM alerts
               UNION ALL SELECT id || ' ' || alert || ' ' || at || ' ' || state || ' ' || step || ' ' || cardholder
                   || ' ' || coalesce(card, '-') || ' ' || line FROM holds ORDER BY 1";
    match place {
        Place::File(path) => {
            let store = rusqlite::Connection::open(path).unwrap();
            let mut statement = store.prepare(sql).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(Result::unwrap).collect()
        }
        Place::Postgres { url, .. } => {
            let mut store = postgres::Client::connect(url, postgres::NoTls).unwrap();
            let rows = store.query(sql, &[]).unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    }
}

#[test]
fn no_loss_every_alert_of_the_recorded_cases_is_mailed_once_and_the_store_is_what_the_topics_say() {
    let catcher = Catcher::start();
    let mut bank = Bank::new();
    let dir = tempfile::tempdir().unwrap();
    let place = place_in(&dir);
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

    // What is lost or wrong is put right from the topics, and nobody is told again.
    let whole = rows(&place);
    spoil(
        &place,
        "DELETE FROM holds WHERE id LIKE '%0' OR id LIKE '%7';
         UPDATE holds SET state = 'released', step = 3, line = '{}';
         DELETE FROM alerts WHERE id LIKE '%0' OR id LIKE '%7';
         UPDATE alerts SET status = 'closed', severity = 1, line = 'x' WHERE id LIKE '%1' OR id LIKE '%8';
         UPDATE alerts SET fed = 1000000 WHERE id LIKE '%2' OR id LIKE '%9';
         UPDATE alerts SET score = score + 1, cardholder = 'p', first_at = at + 1;",
    );
    let found = rebuild(&bank.config).unwrap();
    assert_eq!(
        (found.alerts, found.holds, found.unreadable),
        (alerts, holds, 0)
    );
    assert_eq!(found.mended, u64::try_from(alerts + holds).unwrap());
    assert_eq!(rows(&place), whole);
    assert_eq!(rebuild(&bank.config).unwrap().mended, 0);
    assert_eq!(
        store
            .commit(|tx| outbox::standing(tx, i64::MAX, 0))
            .unwrap()
            .waiting,
        0
    );
}

#[test]
fn a_monitor_whose_mail_server_says_nothing_ends_within_ten_seconds() {
    let catcher = Catcher::start();
    catcher.faults(&[Fault::Stall]);
    let mut bank = Bank::new();
    let dir = tempfile::tempdir().unwrap();
    bank.change(|config| {
        config.run.roles.insert(Role::Notify);
        config.store = place_in(&dir);
        let mail = mail_to(&catcher);
        config.notify.mail = Some(Mail {
            timeout: Duration::from_secs(600),
            ..mail
        });
        let mut route = Route::new("team", vec!["fraud@bank.example".parse().unwrap()]);
        route.group_wait = Duration::ZERO;
        config.notify.routes = vec![route];
    });
    bank.feed(&cases());
    let monitor = bank.start();
    let watch = Stopwatch::start();
    while catcher.has_faults_left() {
        assert!(watch.elapsed() < Duration::from_secs(60), "nothing is sent");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let watch = Stopwatch::start();
    monitor.stop();
    let took = watch.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let standing = Store::open(&bank.config.store)
        .unwrap()
        .commit(|tx| outbox::standing(tx, i64::MAX, 0));
    assert!(standing.unwrap().queued > 0, "it is sent by who comes next");
}
