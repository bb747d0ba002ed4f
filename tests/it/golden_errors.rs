//! Golden errors: each folder of `tests/golden_errors` is a faulty rule book, and `expected.txt`
//! the whole of what `varsel rules check` says of it.
//!
//! A case holds the faulty files only; the rest is taken from `base/`. An empty file
//! `NAME.absent` takes `NAME` away. `UPDATE_GOLDEN=1` rewrites what is expected; read the diff.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use varsel::rulebook::{Source, compile};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_errors")
}

/// Every file under a folder by its name in the rule book.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (sub, prefix) in [(dir.to_owned(), ""), (dir.join("lists"), "lists/")] {
        for entry in fs::read_dir(sub).into_iter().flatten() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_file() && name != "expected.txt" {
                let text = fs::read_to_string(entry.path()).unwrap();
                found.insert(format!("{prefix}{name}"), text);
            }
        }
    }
    found
}

/// What checking a case says.
fn told(case: &Path) -> String {
    let mut book = files(&root().join("base"));
    for (name, text) in files(case) {
        match name.strip_suffix(".absent") {
            Some(gone) => {
                book.remove(gone);
            }
            None => {
                book.insert(name, text);
            }
        }
    }
    let sources = book
        .into_iter()
        .map(|(name, text)| Source {
            shown: format!("rules/{name}"),
            name,
            text,
        })
        .collect();
    match compile(sources) {
        Ok(_) => String::from("no fault\n"),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn every_faulty_book_is_told_as_expected() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut cases: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() && !path.ends_with("base"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 30, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let told = told(case);
        let file = case.join("expected.txt");
        if update {
            fs::write(&file, &told).unwrap();
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if told != expected {
            wrong.push(format!(
                "{}\n--- expected\n{expected}--- told\n{told}",
                case.display()
            ));
        }
        assert!(
            told.starts_with("error: "),
            "{} is no faulty book",
            case.display()
        );
    }
    assert!(
        wrong.is_empty(),
        "{} cases differ (UPDATE_GOLDEN=1 rewrites them):\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn the_base_book_has_no_fault() {
    assert_eq!(told(&root().join("base")), "no fault\n");
}
