//! The store itself: schema, transactions, what a second process sees, what a rebuild puts right. What is due in it is
//! tested with mails.

use super::*;
use varsel::store::{alerts, offsets};

#[test]
fn a_store_of_a_newer_program_is_refused_plainly() {
    let desk = Desk::on_file();
    let other = rusqlite::Connection::open(desk.path()).unwrap();
    other
        .execute("INSERT INTO varsel_schema (version) VALUES (99)", [])
        .unwrap();
    let error = Store::open(&desk.place).unwrap_err().to_string();
    assert!(
        error.starts_with("the store has schema 99, and this program knows "),
        "{error}"
    );
    assert!(error.contains("= help: run the newer program"), "{error}");
}

#[test]
fn a_place_that_cannot_be_written_is_told_with_what_to_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let place = Place::File(file.path().join("varsel.db"));
    let error = Store::open(&place).unwrap_err().to_string();
    assert!(
        error.contains("cannot be opened") && error.contains("store.url"),
        "{error}"
    );
}

#[test]
fn a_transaction_that_fails_keeps_nothing_and_one_that_does_not_keeps_all() {
    let mut desk = Desk::new();
    let failed: Result<(), StoreError> = desk.store.commit(|tx| {
        offsets::keep(tx, "t", 0, 7)?;
        Err(StoreError::Failed("no".to_owned()))
    });
    assert!(failed.is_err());
    assert!(desk.store.commit(offsets::all).unwrap().is_empty());
    desk.store
        .commit(|tx| offsets::keep(tx, "t", 0, 7))
        .unwrap();
    desk.store
        .commit(|tx| offsets::keep(tx, "t", 0, 9))
        .unwrap();
    let all = Store::open(&desk.place)
        .unwrap()
        .commit(offsets::all)
        .unwrap();
    assert_eq!(
        all.into_iter().collect::<Vec<_>>(),
        [(("t".to_owned(), 0), 9)]
    );
}

#[test]
fn the_file_is_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::on_file();
    let mode = std::fs::metadata(desk.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_hold_only_goes_forward() {
    let mut desk = Desk::new();
    desk.hear(&line(1, "open", "high", 1));
    for (state, heard) in [
        ("requested", Heard::Kept),
        ("released", Heard::Kept),
        ("delivered", Heard::Repeat),
        ("released", Heard::Repeat),
    ] {
        assert_eq!(desk.hear_hold(&hold(1, state)), heard, "{state}");
    }
    let id = format!("{:032x}", 1);
    let story = desk
        .store
        .commit(|tx| alerts::story(tx, &id))
        .unwrap()
        .unwrap();
    assert_eq!(story.holds.len(), 1);
    assert!(story.holds[0].contains("released"));
}

#[test]
fn one_lease_is_held_by_one_until_it_ends_or_is_given_back() {
    let mut desk = Desk::new();
    let store = &mut desk.store;
    assert!(!lease::take(store, "other", START_MS + 1).unwrap());
    assert!(lease::take(store, HOLDER, START_MS + 5_000).unwrap());
    assert!(!lease::take(store, "other", START_MS + 14_999).unwrap());
    lease::give_back(store, HOLDER).unwrap();
    assert!(lease::take(store, "other", START_MS + 5_001).unwrap());
    assert!(matches!(
        store.commit(|tx| lease::hold(tx, HOLDER)),
        Err(StoreError::NotLeading)
    ));
}
