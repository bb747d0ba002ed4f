//! The way to a PostgreSQL that takes a user only by TLS and with a password, brought up by `tests/postgres/run`.
//!
//! What the store does there is tested with the notifier, on both databases: see `tests/it/notify`.

use std::path::{Path, PathBuf};
use tempfile::TempDir;
use varsel::config::{Config, Store as Place};
use varsel::store::{Store, offsets};

/// What the script says of its server; a test that has none fails.
fn said(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("`{name}` is not set: run tests/postgres/run"))
}

/// The place of a store as a configuration has it.
fn place(dir: &TempDir, password: &str, more: &str, ca_file: Option<&Path>) -> Place {
    let file = dir.path().join("password");
    std::fs::write(&file, password).unwrap();
    let trust = ca_file.map(|path| format!("ca_file = \"{}\"\n", path.display()));
    let text = format!(
        "kafka.bootstrap = \"b:1\"\n[store]\nurl = \"{}{more}\"\npassword_file = \"{}\"\n{}",
        said("VARSEL_TEST_POSTGRES_TLS"),
        file.display(),
        trust.unwrap_or_default()
    );
    Config::parse("varsel.toml", &text).unwrap().store
}

fn authority() -> PathBuf {
    PathBuf::from(said("VARSEL_TEST_POSTGRES_CA"))
}

fn refused(place: &Place) -> String {
    Store::open(place).unwrap_err().to_string()
}

#[test]
fn a_store_is_kept_by_tls_where_the_authority_is_trusted_and_the_password_right() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = authority();
    let place = place(&dir, "open sesame", "?sslmode=verify-full", Some(&ca_file));
    let mut store = Store::open(&place).unwrap();
    store.commit(|tx| offsets::keep(tx, "t", 0, 7)).unwrap();
    let kept = Store::open(&place).unwrap().commit(offsets::all).unwrap();
    assert_eq!(kept.get(&("t".to_owned(), 0)), Some(&7));
}

#[test]
fn a_server_of_an_authority_that_is_not_trusted_is_not_spoken_to() {
    let dir = tempfile::tempdir().unwrap();
    let told = refused(&place(&dir, "open sesame", "?sslmode=verify-full", None));
    assert!(told.contains("certificate"), "{told}");
}

#[test]
fn a_password_that_is_wrong_is_refused_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let ca_file = authority();
    let told = refused(&place(
        &dir,
        "abracadabra",
        "?sslmode=require",
        Some(&ca_file),
    ));
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("abracadabra"), "{told}");
}

#[test]
fn a_server_that_wants_tls_refuses_whoever_comes_without() {
    let dir = tempfile::tempdir().unwrap();
    let told = refused(&place(&dir, "open sesame", "?sslmode=disable", None));
    assert!(told.contains("pg_hba.conf"), "{told}");
}
