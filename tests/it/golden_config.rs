//! Faulty configurations, each with what is told of it: `tests/golden_config/<case>.toml` and `<case>.txt`.
//!
//! A case is added without Rust: write the file and run once with `UPDATE_GOLDEN=1`; the diff is read. It deliberately
//! has no case that is fine: those stand beside the code.

use std::fs;
use std::path::Path;
use varsel::config::Config;

#[test]
fn every_faulty_configuration_is_told_as_expected() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_config");
    let mut cases: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    cases.sort();
    assert!(cases.len() >= 20, "only {} cases", cases.len());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut surprises = Vec::new();
    for case in cases {
        let text = fs::read_to_string(dir.join(format!("{case}.toml"))).unwrap();
        let told = match Config::parse(&format!("{case}.toml"), &text) {
            Ok(_) => String::from("no fault\n"),
            Err(problems) => problems.to_string(),
        };
        assert!(told.starts_with("error: "), "{case} has no fault");
        let page = dir.join(format!("{case}.txt"));
        if update {
            fs::write(&page, &told).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&page).unwrap_or_default();
        if told != expected {
            surprises.push(format!("{case}: expected\n{expected}\ntold\n{told}"));
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}
