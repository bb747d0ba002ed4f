//! The whole way: bank events through a broker, the monitor and its notifier to a mail server; and back, the store from
//! the topics.

use super::catcher::Fault;
use super::*;
use crate::live::{Bank, cases};
use std::collections::BTreeSet;
use varsel::clock::Stopwatch;
use varsel::config::Role;
use varsel::domain::currency::RateTable;
use varsel::notify::rebuild::rebuild;
use varsel::store::{alerts, offsets};
use varsel::stream::reader::Reader;

/// Every column that the topics speak of, of both tables.
fn rows(place: &Place) -> Vec<String> {
    let sql = "SELECT id || ' ' || first_at || ' ' || at || ' ' || status || ' ' || severity || ' ' || score || ' ' || fed
                   || ' ' || pattern || ' ' || cardholder || ' ' || coalesce(card, '-') || ' ' || line FROM alerts
               UNION ALL SELECT id || ' ' || alert || ' ' || at || ' ' || state || ' ' || step || ' ' || cardholder
                   || ' ' || coalesce(card, '-') || ' ' || line FROM holds ORDER BY 1";
    asked(place, sql)
}

fn rates() -> RateTable {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    varsel::rulebook::chosen(Some(&rules))
        .unwrap()
        .book
        .rates
        .clone()
}

/// The rows of a question that gives one text each.
fn asked(place: &Place, sql: &str) -> Vec<String> {
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
    let found = rebuild(&bank.config, &rates()).unwrap();
    assert_eq!(
        (found.alerts, found.holds, found.unreadable),
        (alerts, holds, 0)
    );
    assert_eq!(found.mended, u64::try_from(alerts + holds).unwrap());
    assert_eq!(rows(&place), whole);
    assert_eq!(rebuild(&bank.config, &rates()).unwrap().mended, 0);
    assert_eq!(
        store
            .commit(|tx| outbox::standing(tx, i64::MAX, 0))
            .unwrap()
            .waiting,
        0
    );
}

/// What stands behind the episodes: cases with their rules and verdicts, what was found, what is counted, what was
/// refused.
fn behind(place: &Place) -> Vec<String> {
    let cases = "SELECT alert || ' ' || is_open || ' ' || rank || ' ' || severity || ' ' || pattern || ' ' || cardholder
                     || ' ' || coalesce(at_risk, -1) || ' ' || coalesce(currency, '-') || ' ' || coalesce(merchant, '-')
                     || ' ' || coalesce(verdict, '-') || ' ' || coalesce(person, '-') FROM cases
                 UNION ALL SELECT alert || ' ' || rule FROM case_rules
                 UNION ALL SELECT id || ' ' || alert || ' ' || verdict || ' ' || person || ' ' || reason FROM dispositions
                 UNION ALL SELECT what || ' ' || day || ' ' || key || ' ' || count FROM tallies WHERE count <> 0
                 UNION ALL SELECT place || ' ' || reason || ' ' || said || ' ' || record FROM samples ORDER BY 1";
    asked(place, cases)
}

fn events(place: &Place) -> BTreeSet<String> {
    let sql = "SELECT cardholder || ' ' || id || ' ' || at || ' ' || line || ' ' || coalesce(country, '-') FROM events
               WHERE line <> ''";
    asked(place, sql).into_iter().collect()
}

/// Every alert as it was told first and later, once those of `of_one` and of somebody else are there; and one of the latter.
fn raised(bank: &Bank, of_one: &str) -> (Vec<alerts::Alert>, alerts::Alert) {
    let watch = Stopwatch::start();
    loop {
        let lines = bank.lines(&bank.config.topics.alerts);
        let raised: Vec<alerts::Alert> = lines
            .iter()
            .map(|line| alerts::Alert::read(line).unwrap())
            .collect();
        let other = raised.iter().find(|alert| alert.cardholder != of_one);
        let is_there = raised.iter().any(|alert| alert.cardholder == of_one);
        if let (Some(other), true) = (other.cloned(), is_there) {
            return (raised, other);
        }
        assert!(watch.elapsed() < Duration::from_secs(60), "no alerts");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Waits until all that was told is in the store: the chronicle has read its topics to their ends, so many dispositions
/// have found their cases, and each case stands as its episode does.
fn settle(bank: &Bank, place: &Place, dispositions: usize) {
    let topics = &bank.config.topics;
    let watch = Stopwatch::start();
    let mut store = Store::open(place).unwrap();
    let left = |store: &mut Store| {
        let kept = store.look(offsets::all).unwrap();
        let of_topic = |topic: &String| {
            let mut reader = Reader::whole(&bank.config, topic).unwrap();
            reader.to_end(|_| {}).unwrap();
            let is_left = |(part, end): (i32, i64)| {
                // A partition without a record has no place.
                kept.get(&(topic.clone(), part)).copied().unwrap_or(0) < end
            };
            reader.ends().filter(|end| is_left(*end)).count()
        };
        let topics = [&topics.log, &topics.decisions, &topics.dead_letters];
        topics.into_iter().map(of_topic).sum::<usize>()
    };
    let rest =
        "SELECT id FROM alerts WHERE status <> 'closed' AND id IN (SELECT alert FROM dispositions)
                UNION ALL SELECT id FROM alerts WHERE id NOT IN (SELECT alert FROM cases)
                UNION ALL SELECT cases.alert FROM cases JOIN alerts ON alerts.id = cases.alert
                    WHERE (CASE WHEN alerts.status = 'closed' THEN 0 ELSE 1 END) <> is_open";
    let found = || asked(place, "SELECT id FROM dispositions").len();
    while left(&mut store) > 0 || found() < dispositions || !asked(place, rest).is_empty() {
        let passed = watch.elapsed();
        assert!(passed < Duration::from_secs(60), "{:?}", asked(place, rest));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn no_loss_what_stands_behind_the_episodes_is_put_right_from_the_topics() {
    let mut bank = Bank::new();
    let dir = tempfile::tempdir().unwrap();
    let place = place_in(&dir);
    bank.change(|config| {
        config.run.roles.insert(Role::Notify);
        config.store = place.clone();
    });
    bank.feed(&cases());
    let monitor = bank.start();
    monitor.until(bank.sent());
    // The case that it all grew out of: payments that were declined, and one that was not.
    let of_one = "p-case-144-2018";
    let (raised, other) = raised(&bank, of_one);
    let found = |id: &str, alert: &alerts::Alert, verdict: &str| {
        format!(
            r#"{{"type":"disposition","id":"{id}","at":"2018-04-01T12:00:00Z","cardholder":"{}","subject":{{"alert":"{}"}},"verdict":"{verdict}","by":"anna","reason":"asked by telephone"}}"#,
            alert.cardholder, alert.id
        )
    };
    let mut told: Vec<String> = raised
        .iter()
        .filter(|alert| alert.cardholder == of_one && alert.status == "open")
        .zip(0..)
        .map(|(alert, n)| found(&format!("d-{n}"), alert, "fraud"))
        .collect();
    told.push(found("e-1", &other, "fraud"));
    told.push(found("e-2", &other, "good"));
    let dispositions = told.len();
    told.push("{\"type\":\"authorization\"}".to_owned());
    bank.feed(&told);
    settle(&bank, &place, dispositions);
    monitor.stop();

    let (whole, kept) = (behind(&place), events(&place));
    for word in ["prevented ", "hits ", "raised ", "rejects ", "verdicts "] {
        let mut of_it = whole.iter().filter(|row| row.starts_with(word));
        assert!(of_it.next().is_some(), "{word} {whole:#?}");
    }
    spoil(
        &place,
        "DELETE FROM events; DELETE FROM dispositions; DELETE FROM samples; DELETE FROM case_rules;
         UPDATE cases SET verdict = NULL, rank = 0, at_risk = 1, is_open = 1;
         DELETE FROM cases WHERE alert LIKE '%0' OR alert LIKE '%7';
         UPDATE tallies SET count = count + 3; DELETE FROM tallies WHERE what = 'hits';",
    );
    assert_ne!(behind(&place), whole);
    let found = rebuild(&bank.config, &rates()).unwrap();
    assert_eq!(behind(&place), whole);
    let laid = usize::try_from(found.behind.dispositions).unwrap();
    assert_eq!(laid, dispositions);
    // The log also has what was forgotten when it came, since no case was open then.
    let again = events(&place);
    let gone: Vec<&String> = kept.difference(&again).collect();
    assert!(gone.is_empty(), "{gone:?}");
    rebuild(&bank.config, &rates()).unwrap();
    assert_eq!((behind(&place), events(&place)), (whole, again));
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
