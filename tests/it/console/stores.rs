//! People, sessions, claims, notes, dispositions and looks in the store: on SQLite, and on the PostgreSQL that
//! `VARSEL_TEST_POSTGRES` names (`tests/postgres/run console`).

use super::*;
use varsel::domain::codes::Severity;
use varsel::store::alerts::{self, Alert, Shelf};
use varsel::store::cases::{self, Case};
use varsel::store::notes::{self, Disposition, Note, Refused};
use varsel::store::people::{Arrival, Provider};
use varsel::store::queue::{self, Wanted};
use varsel::store::trips::{self, Trip};
use varsel::store::{people, sessions, views};

/// A store with one episode in it.
fn kept() -> (Store, String, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(&place_in(&dir)).unwrap();
    let line = crate::notify::line(1, "open", "high", 1);
    let alert = Alert::read(&line).unwrap();
    store
        .commit(|tx| alerts::keep(tx, Shelf::Store, &alert, &line, 1_000))
        .unwrap();
    (store, alert.id, dir)
}

fn note(id: &str, text: &str) -> Note {
    Note {
        id: id.to_owned(),
        person: "anna".to_owned(),
        at_ms: 1_000,
        text: text.to_owned(),
    }
}

#[test]
fn a_person_is_added_once_changed_and_removed_with_all_sessions() {
    let (mut store, _, _dir) = kept();
    let anna = person("anna", "analyst");
    store
        .commit(|tx| {
            assert!(people::add(tx, &anna, 1)? && !people::add(tx, &anna, 2)?);
            assert_eq!(people::find(tx, "anna")?.as_ref(), Some(&anna));
            assert_eq!(people::find(tx, "ANNA")?, None);
            sessions::begin(tx, "s-1", "anna", 1_000, 9_000)?;
            let mut auditor = anna.clone();
            auditor.role = "auditor".to_owned();
            assert!(people::change(tx, &auditor, 3)?);
            assert_eq!(people::all(tx)?, [auditor]);
            assert!(sessions::find(tx, "s-1", 1_000, 500)?.is_none());
            sessions::begin(tx, "s-2", "anna", 1_000, 9_000)?;
            assert!(people::remove(tx, "anna")? && !people::remove(tx, "anna")?);
            assert!(sessions::find(tx, "s-2", 1_000, 500)?.is_none());
            assert!(!people::change(tx, &anna, 4)?);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_session_is_in_force_until_its_end_or_until_it_was_not_seen_and_each_has_a_bounded_number() {
    let (mut store, _, _dir) = kept();
    store
        .commit(|tx| {
            people::add(tx, &person("anna", "analyst"), 1)?;
            sessions::begin(tx, "s", "anna", 1_000, 9_000)?;
            let mut is_in = |now_ms| Ok(sessions::find(tx, "s", now_ms, 500)?.is_some());
            assert_eq!([is_in(1_499)?, is_in(1_500)?], [true, false]);
            sessions::saw(tx, "s", 8_900)?;
            let mut is_in =
                |now_ms| Ok::<_, StoreError>(sessions::find(tx, "s", now_ms, 500)?.is_some());
            assert_eq!([is_in(8_999)?, is_in(9_000)?], [true, false]);
            assert_eq!(sessions::forget(tx, 9_000, 500)?, 1);
            for n in 0..30 {
                sessions::begin(tx, &format!("s-{n}"), "anna", 1_000 + n, 9_000)?;
            }
            let mut left = 0;
            for n in 0..30 {
                left += i64::from(sessions::find(tx, &format!("s-{n}"), 1_100, 500)?.is_some());
            }
            assert_eq!(left, sessions::MAX_EACH);
            assert!(sessions::find(tx, "s-29", 1_100, 500)?.is_some());
            assert!(sessions::end(tx, "s-29")? && !sessions::end(tx, "s-29")?);
            Ok(())
        })
        .unwrap();
}

#[test]
fn whom_a_provider_vouches_for_is_known_by_what_it_calls_them_and_takes_no_name_over() {
    let (mut store, _, _dir) = kept();
    let vouched = |subject: &str| Provider {
        issuer: "https://id.bank.example".to_owned(),
        subject: subject.to_owned(),
    };
    let into = |name: &str| Arrival::In(name.to_owned());
    store
        .commit(|tx| {
            people::add(tx, &person("anna", "analyst"), 1)?;
            let mut arrive =
                |name, role, subject| people::arrive(tx, (name, role), &vouched(subject), 2);
            assert_eq!(arrive("eva", "analyst", "s-1")?, into("eva"));
            assert_eq!(arrive("eva", "analyst", "s-2")?, Arrival::Taken);
            assert_eq!(arrive("ANNA", "admin", "s-2")?, Arrival::Taken);
            assert_eq!(arrive("anna", "admin", "s-1")?, into("eva"));
            assert_eq!(arrive("bo", "auditor", "s-2")?, into("bo"));
            let mut eva = people::find(tx, "eva")?.unwrap();
            assert_eq!((&*eva.role, &*eva.password), ("admin", ""));
            assert_eq!(eva.provider, Some(vouched("s-1")));
            assert_eq!(people::vouched(tx, &vouched("s-1"))?.as_ref(), Some(&eva));
            sessions::begin(tx, "s", "eva", 1_000, 9_000)?;
            // With the same role a session goes on, with another it is over.
            people::arrive(tx, ("eva", "admin"), &vouched("s-1"), 3)?;
            assert!(sessions::find(tx, "s", 1_000, 500)?.is_some());
            people::arrive(tx, ("eva", "auditor"), &vouched("s-1"), 3)?;
            assert!(sessions::find(tx, "s", 1_000, 500)?.is_none());
            eva.is_disabled = true;
            people::change(tx, &eva, 4)?;
            let disabled = people::arrive(tx, ("e", "admin"), &vouched("s-1"), 5)?;
            assert_eq!(disabled, Arrival::Disabled("eva".to_owned()));
            // Who has a password here is nobody's of a provider, however little it says.
            let nobody = Provider {
                issuer: String::new(),
                subject: String::new(),
            };
            assert_eq!(people::vouched(tx, &nobody)?, None);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_trip_is_ended_once_and_in_time_and_their_number_is_bounded() {
    let (mut store, _, _dir) = kept();
    let trip = Trip {
        back: "/console/queue".to_owned(),
        session: "s".to_owned(),
    };
    store
        .commit(|tx| {
            trips::begin(tx, "a", &trip, 1_000)?;
            assert_eq!(trips::end(tx, "b", 1_000)?, None);
            assert_eq!(trips::end(tx, "a", 2_000)?.as_ref(), Some(&trip));
            assert_eq!(trips::end(tx, "a", 2_000)?, None);
            trips::begin(tx, "a", &trip, 1_000)?;
            assert_eq!(trips::end(tx, "a", 1_000 + trips::LASTS_MS)?, None);
            for n in 0..trips::MAX_TRIPS + 5 {
                trips::begin(tx, &format!("t-{n}"), &trip, 1_000 + n)?;
            }
            let now_ms = 1_000 + trips::MAX_TRIPS;
            assert_eq!(trips::end(tx, "t-4", now_ms)?, None);
            assert!(trips::end(tx, "t-5", now_ms)?.is_some());
            // What is over goes when another begins.
            trips::begin(tx, "late", &trip, now_ms + trips::LASTS_MS)?;
            assert_eq!(trips::end(tx, "t-6", now_ms)?, None);
            Ok(())
        })
        .unwrap();
}

#[test]
fn claims_notes_dispositions_and_looks_are_kept_with_their_episode_and_bounded() {
    let (mut store, id, _dir) = kept();
    store
        .commit(|tx| {
            let claim = notes::claim(tx, &id, "anna", None, 5)?.unwrap();
            assert_eq!((claim.person.as_str(), claim.since_ms), ("anna", 5));
            assert_eq!(
                notes::claim(tx, &id, "bo", None, 6)?.unwrap().person,
                "anna"
            );
            assert_eq!(
                notes::claim(tx, "none", "bo", None, 6)?,
                Err(Refused::Unknown)
            );
            for n in 0..notes::MAX_NOTES {
                notes::write(tx, &id, &note(&format!("{n:04}"), "x"))?.unwrap();
            }
            assert_eq!(
                notes::write(tx, &id, &note("more", "x"))?,
                Err(Refused::Full)
            );
            assert_eq!(notes::notes_of(tx, &id)?.len(), 200);
            for n in 0..60 {
                let found = Disposition {
                    id: format!("d-{n}"),
                    verdict: "good".to_owned(),
                    person: "anna".to_owned(),
                    reason: "r".to_owned(),
                    at_ms: n,
                };
                assert!(notes::dispose(tx, &id, &found)?);
                assert!(!notes::dispose(tx, &id, &found)?);
                assert!(!notes::dispose(tx, "none", &found)?);
            }
            let found = notes::dispositions_of(tx, &id)?;
            assert_eq!((found.len(), found[0].at_ms), (50, 59));
            // Who has said what it is has done with it.
            assert_eq!(notes::claim_of(tx, &id)?, None);
            for now_ms in [7, 8] {
                assert!(views::saw(tx, &id, "bo", now_ms)?);
            }
            assert!(!views::saw(tx, "none", "bo", 9)?);
            let seen = views::of(tx, &id)?;
            assert_eq!((seen.len(), seen[0].last_ms, seen[0].times), (1, 8, 2));
            Ok(())
        })
        .unwrap();
}

#[test]
fn what_has_changed_is_told_in_order_from_any_place_on() {
    let (mut store, id, _dir) = kept();
    store
        .commit(|tx| {
            for n in 2..6_u32 {
                let line = crate::notify::line(n, "open", "low", 1);
                let alert = Alert::read(&line).unwrap();
                alerts::keep(tx, Shelf::Store, &alert, &line, 1_000 + i64::from(n / 2))?;
            }
            let all = views::since(tx, 0, "")?;
            assert_eq!(
                (all.len(), all[0].alert.as_str(), all[0].severity),
                (5, id.as_str(), 3)
            );
            for (place, new) in all.iter().enumerate() {
                let rest = views::since(tx, new.changed_ms, &new.alert)?;
                assert_eq!(rest, all[place + 1..]);
            }
            assert_eq!(views::newest_ms(tx)?, 1_002);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_look_at_the_store_changes_nothing_and_waits_for_nobody_who_writes() {
    let (mut store, id, dir) = kept();
    let place = match std::env::var("VARSEL_TEST_POSTGRES") {
        Ok(_) => return look_only(&mut store, &id),
        Err(_) => place_in(&dir),
    };
    let mut other = Store::open(&place).unwrap();
    let seen = store.commit(|tx| {
        notes::claim(tx, &id, "anna", None, 1)?.unwrap();
        // Beside an open transaction that writes.
        other.look(|tx| notes::claim_of(tx, &id))
    });
    assert_eq!(seen.unwrap(), None);
    look_only(&mut store, &id);
}

fn look_only(store: &mut Store, id: &str) {
    let before = store.look(|tx| notes::claim_of(tx, id)).unwrap();
    let tried =
        store.look(|tx| notes::claim(tx, id, "eve", before.as_ref().map(|c| c.person.as_str()), 2));
    // One database refuses, the other forgets.
    drop(tried);
    assert_eq!(store.look(|tx| notes::claim_of(tx, id)).unwrap(), before);
}

/// A case of each episode, by number: its severity and pattern follow from it.
fn case_of(tx: &mut Tx<'_>, n: u32, merchant: &str) -> Result<String, StoreError> {
    let line = crate::notify::line(n, "open", "low", 1);
    let alert = Alert::read(&line).unwrap();
    alerts::keep(tx, Shelf::Store, &alert, &line, 1_000)?;
    let case = Case {
        alert: alert.id.clone(),
        is_open: true,
        score: 500,
        at_ms: i64::from(n) * 60_000,
        severity: if n.is_multiple_of(2) {
            Severity::High
        } else {
            Severity::Low
        },
        pattern: format!("pattern-{}", n % 3),
        cardholder: "p".to_owned(),
        at_risk: Some((1_000, "DKK".to_owned(), merchant.to_owned())),
        base_minor: Some(1_000),
    };
    cases::keep(tx, &case)?;
    Ok(alert.id)
}

#[test]
fn the_queue_shows_what_every_filter_asks_for_together_and_follows_claims() {
    let (mut store, _, _dir) = kept();
    store
        .commit(|tx| {
            let mut ids = Vec::new();
            for n in 2..14 {
                ids.push((n, case_of(tx, n, "Shop")?));
            }
            // One is claimed before its case is known here, as where the chronicle is behind.
            for (n, id) in &ids {
                let who = match n % 4 {
                    0 => "anna",
                    1 => "bo",
                    _ => continue,
                };
                notes::claim(tx, id, who, None, 5)?.unwrap();
            }
            let person = |n: u32| ["anna", "bo", "", ""][(n % 4) as usize];
            for who in [None, Some(""), Some("anna"), Some("bo")] {
                for pattern in [None, Some("pattern-0"), Some("pattern-1")] {
                    for severity in [None, Some(Severity::High), Some(Severity::Low)] {
                        let is_high = severity.map(|severity| severity == Severity::High);
                        let mut wanted: Vec<String> = ids
                            .iter()
                            .filter(|(n, _)| who.is_none_or(|who| person(*n) == who))
                            .filter(|(n, _)| {
                                pattern.is_none_or(|p| p == format!("pattern-{}", n % 3))
                            })
                            .filter(|(n, _)| is_high.is_none_or(|high| high == n.is_multiple_of(2)))
                            .map(|(_, id)| id.clone())
                            .collect();
                        wanted.reverse();
                        let asked = Wanted {
                            person: who.map(str::to_owned),
                            pattern: pattern.map(str::to_owned),
                            severity,
                            ..Wanted::default()
                        };
                        let shown = queue::queue(tx, &asked)?;
                        let shown: Vec<String> = shown.into_iter().map(|row| row.alert).collect();
                        assert_eq!(shown, wanted, "{asked:?}");
                    }
                }
            }
            let of = |tx: &mut Tx<'_>, who: &str| {
                let person = Some(who.to_owned());
                let wanted = Wanted {
                    person,
                    ..Wanted::default()
                };
                Ok::<_, StoreError>(queue::queue(tx, &wanted)?.len())
            };
            let (_, of_anna) = &ids[2];
            assert_eq!((of(tx, "anna")?, of(tx, "")?), (3, 6));
            assert!(notes::give_back(tx, of_anna, "anna")?);
            assert_eq!((of(tx, "anna")?, of(tx, "")?), (2, 7));
            notes::claim(tx, of_anna, "bo", None, 6)?.unwrap();
            assert_eq!((of(tx, "bo")?, of(tx, "")?), (4, 6));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_claim_that_came_before_its_case_is_in_the_queue() {
    let (mut store, _, _dir) = kept();
    store
        .commit(|tx| {
            let line = crate::notify::line(7, "open", "low", 1);
            let alert = Alert::read(&line).unwrap();
            alerts::keep(tx, Shelf::Store, &alert, &line, 1_000)?;
            notes::claim(tx, &alert.id, "anna", None, 5)?.unwrap();
            let id = case_of(tx, 7, "Shop")?;
            let wanted = Wanted {
                person: Some("anna".to_owned()),
                ..Wanted::default()
            };
            let shown = queue::queue(tx, &wanted)?;
            assert_eq!((shown.len(), &shown[0].alert), (1, &id));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_search_finds_every_merchant_that_begins_so_whatever_the_order_of_the_database() {
    let (mut store, _, _dir) = kept();
    store
        .commit(|tx| {
            // In Danish, `aa` is a letter after `z`.
            let names = ["Aabenraa Auto", "Abel", "Azur", "Bilka", "Zebra", "A & B"];
            for (n, name) in (2..).zip(names) {
                case_of(tx, n, name)?;
            }
            for (sought, wanted) in [
                ("a", vec!["A & B", "Aabenraa Auto", "Abel", "Azur"]),
                ("AA", vec!["Aabenraa Auto"]),
                ("b", vec!["Bilka"]),
                ("x", vec![]),
            ] {
                let wanted_of = Wanted {
                    sought: Some(sought.to_owned()),
                    ..Wanted::default()
                };
                let rows = queue::queue(tx, &wanted_of)?;
                let mut shown: Vec<&str> = rows.iter().map(|row| &*row.merchant).collect();
                shown.sort_unstable();
                assert_eq!(shown, wanted, "{sought}");
            }
            Ok(())
        })
        .unwrap();
}
