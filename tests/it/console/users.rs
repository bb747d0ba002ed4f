//! `varsel users`: who may log in, said on the command line; a password never is. The binary itself is run, on a store
//! in a file.

use super::*;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs `varsel users` in a folder with a configuration, with this on its standard input.
fn users(dir: &TempDir, words: &[&str], input: &str) -> Output {
    let config = dir.path().join("varsel.toml");
    std::fs::write(&config, "[kafka]\nbootstrap = \"localhost:9092\"\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_varsel"))
        .arg("users")
        .args(words)
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who needs no password reads none.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&*output.stdout, &*output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn users_are_added_changed_and_removed_with_passwords_from_standard_input_or_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str], input: &str| said(&users(&dir, words, input));
    let add = ["add", "anna", "--role", "analyst"];
    let (code, text) = run(&add, "too short\n");
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("15 characters at least"), "{text}");
    assert_eq!(run(&add, &"x".repeat(257)).0, Some(2));
    assert_eq!(
        run(&add, &format!("{PASSWORD}\n")),
        (Some(0), "anna  analyst\n".to_owned())
    );
    let (code, text) = run(&add, PASSWORD);
    assert_eq!(code, Some(2));
    assert!(text.contains("there is a user `anna` already"), "{text}");
    std::fs::write(dir.path().join("password"), "another long password\n").unwrap();
    let file = ["password", "anna", "--password-file", "password"];
    assert_eq!(run(&file, "").0, Some(0));
    assert_eq!(run(&["role", "anna", "auditor"], "").1, "anna  auditor\n");
    assert_eq!(run(&["disable", "anna"], "").1, "anna  auditor  disabled\n");
    assert_eq!(run(&["enable", "anna"], "").1, "anna  auditor\n");
    assert_eq!(run(&["list"], "").1, "anna  auditor\n");

    let place = Place::File(dir.path().join("varsel-data/varsel.db"));
    let found = Store::open(&place)
        .unwrap()
        .look::<_, StoreError>(|tx| people::find(tx, "anna"));
    let hashed = found.unwrap().unwrap().password;
    assert!(varsel::console::people::is_right(
        "another long password",
        &hashed
    ));
    assert_eq!(
        run(&["remove", "anna"], ""),
        (Some(0), "removed\n".to_owned())
    );
    assert_eq!(run(&["remove", "anna"], "").0, Some(2));
    assert_eq!(run(&["list"], ""), (Some(0), String::new()));
}

#[test]
fn roles_of_machines_strange_names_and_passwords_as_words_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for words in [
        &["add", "anna", "--role", "acs"][..],
        &["add", "an na", "--role", "analyst"],
        &["add", "anna", "--role", "analyst", "--password", PASSWORD],
        &["add", "anna"],
    ] {
        let (code, text) = said(&users(&dir, words, PASSWORD));
        assert_eq!(code, Some(2), "{words:?}: {text}");
        // Not even in a message of bad usage.
        assert!(
            !text.contains("horse battery") || words.contains(&PASSWORD),
            "{text}"
        );
    }
    assert!(!dir.path().join("varsel-data").exists(), "nothing was made");
}

#[test]
fn who_logs_in_by_way_of_a_provider_is_shown_as_such_and_has_role_and_password_there() {
    let dir = tempfile::tempdir().unwrap();
    let run = |words: &[&str], input: &str| said(&users(&dir, words, input));
    run(&["add", "anna", "--role", "analyst"], PASSWORD);
    let place = Place::File(dir.path().join("varsel-data/varsel.db"));
    let provider = people::Provider {
        issuer: "https://id.bank.example".to_owned(),
        subject: "s-1".to_owned(),
    };
    let arrived = Store::open(&place)
        .unwrap()
        .commit(|tx| people::arrive(tx, ("eva", "analyst"), &provider, 1));
    arrived.unwrap();
    let by = "by way of https://id.bank.example";
    let all = format!("anna  analyst\neva  analyst  {by}\n");
    assert_eq!(run(&["list"], ""), (Some(0), all));
    for words in [&["role", "eva", "admin"][..], &["password", "eva"]] {
        let (code, text) = run(words, PASSWORD);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains("`eva` has role and password from"), "{text}");
    }
    let disabled = format!("eva  analyst  disabled  {by}\n");
    assert_eq!(run(&["disable", "eva"], "").1, disabled);
    assert_eq!(run(&["enable", "eva"], "").0, Some(0));
    let (code, text) = run(&["add", "eva", "--role", "analyst"], PASSWORD);
    assert_eq!(code, Some(2), "{text}");
    assert_eq!(run(&["remove", "eva"], "").0, Some(0));
}
