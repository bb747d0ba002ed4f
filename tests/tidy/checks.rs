//! The house style held against this repository, and each rule shown to catch what it is there to catch.
//! The bad snippets are strings, and card numbers are completed at run time, so that this file keeps the rules itself.

use super::lexer::{mentions, without_comments_and_strings};
use super::secrets::{
    CARD_NUMBERS_SHOWN, REGISTRIES, REGISTRIES_NAMED, card_numbers, luhn_sum, registry_named,
    repository,
};
use super::*;

#[test]
fn the_source_keeps_the_house_style() {
    let sources = repository().unwrap().into_iter().filter(|(file, _)| {
        (file.starts_with("src/") || file.starts_with("tests/")) && file.ends_with(".rs")
    });
    let mut seen = 0;
    let mut faults = Vec::new();
    for (file, bytes) in sources {
        seen += 1;
        faults.extend(check_source(&file, &String::from_utf8(bytes).unwrap()));
    }
    assert!(seen > 5, "only {seen} files were found");
    assert_none(&faults);
}

#[test]
fn no_file_shows_a_card_number() {
    let mut faults = Vec::new();
    for (file, bytes) in repository().unwrap() {
        if CARD_NUMBERS_SHOWN.contains(&file.as_str()) {
            continue;
        }
        let lines = card_numbers(&bytes).into_iter();
        faults.extend(lines.map(|line| fault(&file, line, "a card number: make it fail the check digit, or list the file in tests/tidy/secrets.rs")));
    }
    assert_none(&faults);
}

#[test]
fn no_file_names_a_package_registry() {
    let mut faults = Vec::new();
    for (file, bytes) in repository().unwrap() {
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        for (at, line) in text
            .lines()
            .enumerate()
            .filter(|_| !REGISTRIES_NAMED.contains(&file.as_str()))
        {
            faults.extend(registry_named(line).map(|host| {
                fault(
                    &file,
                    at + 1,
                    format!("names the package registry `{host}`"),
                )
            }));
        }
    }
    assert_none(&faults);
}

const OPENING: &str = "//! One.\n//! Two.\n";

/// The faults of a snippet, each as `line: text`; the snippet's own first line is line 3.
fn faults_in(file: &str, code: &str) -> Vec<String> {
    let faults = check_source(file, &format!("{OPENING}{code}"));
    faults
        .iter()
        .map(|fault| format!("{}: {}", fault.line, fault.text))
        .collect()
}

fn assert_caught(file: &str, code: &str, line: usize, word: &str) {
    let faults = faults_in(file, code);
    let caught = faults
        .iter()
        .any(|fault| fault.starts_with(&format!("{line}: ")) && fault.contains(word));
    assert!(
        caught,
        "`{code}` in {file} should be caught at line {line} with `{word}`: {faults:?}"
    );
}

fn assert_fine(file: &str, code: &str) {
    assert_eq!(
        faults_in(file, code),
        Vec::<String>::new(),
        "`{code}` in {file}"
    );
}

#[test]
fn a_layer_that_uses_one_above_it_is_caught() {
    assert_caught(
        "src/domain/card.rs",
        "use crate::engine::State;",
        3,
        "layers use only those below",
    );
    assert_caught(
        "src/engine/window.rs",
        "\nfn f(x: crate::geo::Geo) {}",
        4,
        "`geo` (loading)",
    );
    assert_caught(
        "src/expr/parse.rs",
        "use crate::{\n    domain::time,\n    rulebook,\n};",
        5,
        "`rulebook` (loading)",
    );
    assert_caught("src/geo.rs", "use crate::clock;", 3, "`clock` (edges)");
    assert_caught("src/http.rs", "use crate::app::Shell;", 3, "`app` (top)");
    assert_fine(
        "src/engine.rs",
        "use crate::{domain::time, expr, problem::Problem};\nuse crate::engine::ring;",
    );
    assert_fine(
        "src/replay.rs",
        "use crate::engine::Engine;\nuse crate::clock;\nuse crate::cli;",
    );
    assert_fine(
        "src/rulebook_yaml.rs",
        "// use crate::http;\nconst A: &str = \"crate::http\";",
    );
}

#[test]
fn an_edge_uses_only_the_edges_before_it() {
    assert_caught(
        "src/store.rs",
        "use crate::http;",
        3,
        "only those before it",
    );
    assert_fine(
        "src/http/cards.rs",
        "use crate::store::Rows;\nuse crate::clock;\nuse crate::http::page;",
    );
}

#[test]
fn a_module_of_no_layer_is_caught() {
    assert_caught("src/sundry.rs", "", 1, "is in no layer");
    assert_caught(
        "src/engine.rs",
        "use crate::sundry::x;",
        3,
        "is a module of no layer",
    );
    assert_fine("src/lib.rs", "pub mod sundry;");
}

#[test]
fn super_does_not_lead_around_the_layers() {
    assert_caught(
        "src/engine.rs",
        "use super::http::Page;",
        3,
        "through the roof",
    );
    assert_caught(
        "src/engine/ring.rs",
        "use super::super::http::Page;",
        3,
        "through the roof",
    );
    assert_fine("src/engine/ring.rs", "use super::Slot;");
    assert_fine(
        "src/engine.rs",
        "#[cfg(test)]\nmod tests {\n    use super::*;\n}",
    );
}

#[test]
fn what_a_layer_must_not_contain_is_caught() {
    for code in [
        "use std::fs;",
        "use std::{fmt, fs::File};",
        "fn f() { std::thread::spawn(g); }",
        "async fn f() {}",
        "fn f() { clock.now(); }",
        "use tokio::task;",
        "fn f() { println!(\"x\"); }",
        "use std::net::IpAddr;",
        "fn f() { rand::random() }",
    ] {
        assert_caught(
            "src/engine/apply.rs",
            code,
            3,
            "has no place in the layer core",
        );
    }
    assert_fine(
        "src/engine/apply.rs",
        "use core::net::IpAddr;\nuse std::{fmt, mem};\nfn now_known() { logical(now_ms.log(2)) }",
    );
    assert_caught(
        "src/domain/money.rs",
        "struct Money(f64);",
        3,
        "the layer words",
    );
    assert_fine("src/domain/country.rs", "fn centroid() -> (f32, f32) {}");
    assert_caught("src/rulebook.rs", "use tokio::fs;", 3, "the layer loading");
    assert_fine("src/rulebook.rs", "use std::fs;");
    for code in [
        "struct OpenHold;",
        "fn cards() {}",
        "let model_name = 1;",
        "enum E { CardKey }",
    ] {
        assert_caught("src/expr/check.rs", code, 3, "the layer language");
    }
    assert_fine(
        "src/expr/check.rs",
        "// a card\nfn threshold(text: &str) { wildcard(\"hold\", 'm').holds() }",
    );
}

#[test]
fn tests_inside_a_file_are_free_of_its_layer() {
    let tests = "#[cfg(test)]\n#[expect(dead_code, reason = \"x\")]\nmod tests {\n    use std::fs;\n    use crate::replay;\n}\n";
    assert_fine("src/engine.rs", tests);
    assert_caught(
        "src/engine.rs",
        &format!("{tests}use std::fs;"),
        9,
        "the layer core",
    );
    assert_fine("src/engine/tests.rs", "use std::fs;");
}

#[test]
fn files_that_are_too_long_or_open_without_a_word_are_caught() {
    let long = "//! One.\n//! Two.\n".to_owned() + &"\n".repeat(599);
    assert_eq!(check_source("src/app.rs", &long)[0].line, 601);
    assert_eq!(check_source("src/app.rs", &long[..long.len() - 1]), []);
    for opening in [
        "",
        "//! One.\n",
        "// One.\n// Two.\n",
        "\n//! One.\n//! Two.\n",
        &"//! One.\n".repeat(9),
    ] {
        let faults = check_source("tests/it/main.rs", opening);
        assert!(faults[0].text.contains("it should be 2 to 8"), "{faults:?}");
    }
}

#[test]
fn banned_names_are_caught() {
    for code in [
        "struct RuleManager;",
        "pub enum HandlerKind {}",
        "trait StoreImpl {}",
        "type Helper = u8;",
        "struct HttpServiceUtil<T>(T);",
    ] {
        assert_caught("src/app.rs", code, 3, "has the banned word");
    }
    assert_fine(
        "src/app.rs",
        "struct Implied;\nstruct Serviceable;\nimpl Implied {}\nuse other::ServiceBuilder;",
    );
    for file in [
        "src/engine/utils.rs",
        "src/engine/mod.rs",
        "tests/common.rs",
        "src/domain/types.rs",
    ] {
        assert_caught(file, "", 1, "banned file name");
    }
}

#[test]
fn unfinished_work_is_caught() {
    assert_caught("src/app.rs", concat!("\n// FIX", "ME later"), 4, "mend it");
    assert_caught("src/app.rs", "fn f() { todo!() }", 3, "`todo!` is left");
    assert_caught(
        "src/app.rs",
        "fn f() { unimplemented!() }",
        3,
        "`unimplemented!` is left",
    );
    assert_caught(
        "tests/it/main.rs",
        "#[test]\n  #[ignore = \"slow\"]\nfn f() {}",
        4,
        "#[ignore]",
    );
    assert_fine("src/app.rs", "fn todo() { \"todo!()\" }");
}

#[test]
fn a_clock_outside_its_file_is_caught() {
    for code in [
        "let t = Instant::now();",
        "std::time::SystemTime::now()",
        "chrono::Utc::now()",
        "map(Instant::now)",
    ] {
        assert_caught("src/http.rs", code, 3, "clocks are read in");
        assert_caught("tests/it/main.rs", code, 3, "clocks are read in");
        assert_fine("src/clock.rs", code);
    }
    assert_fine(
        "src/http.rs",
        "// Instant::now\nlet t: Instant = watch.start();",
    );
}

#[test]
fn the_lexer_sees_through_comments_strings_and_lifetimes() {
    let code = without_comments_and_strings(
        "a /* b /* c */ d */ e // f\n\"g \\\" h\" i r#\"j \" k\"# l 'm' '\\'' n<'o> r#p b\"q\" br\"s\" t",
    );
    let words: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(words, ["a", "e", "i", "l", "n<'o>", "r#p", "b", "t"]);
    assert_eq!(code.matches('\n').count(), 1);
}

#[test]
fn a_use_tree_is_read_as_the_paths_it_means() {
    let paths: Vec<String> = mentions("use a::{b, c::{d, e as f}, g::*};\nh::i::<j>(k)")
        .into_iter()
        .map(|m| m.path)
        .collect();
    let expected = [
        "use", "a::b", "a::c::d", "a::c::e", "a::c::as", "a::c::f", "a::g", "h::i", "j", "k",
    ];
    assert_eq!(paths, expected);
}

fn assert_none(faults: &[Fault]) {
    let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(
        faults.is_empty(),
        "{} breaches of the house style:\n{}",
        faults.len(),
        list.join("\n")
    );
}

/// The digits with their check digit, so that no whole number stands in this file.
fn completed(digits: &str) -> String {
    let whole = |check: &u8| {
        let values: Vec<u8> = digits
            .bytes()
            .filter(u8::is_ascii_digit)
            .map(|digit| digit - b'0')
            .chain([*check])
            .collect();
        luhn_sum(&values).is_multiple_of(10)
    };
    let check = (0..10).find(whole).unwrap();
    format!("{digits}{check}")
}

#[test]
fn card_numbers_of_known_schemes_are_caught() {
    let starts = [
        "411111111111111",
        "4111-1111-1111-111",
        "4111 1111 1111 111",
        "50190000000000",
        "37828224631000",
        "555555555555444",
        "222300312200322",
        "353011133330000",
        "620000000000000",
        "3056930902590",
    ];
    for start in starts {
        let number = completed(start);
        for text in [
            number.clone(),
            format!("{{\"pan\":\"{number}\"}}"),
            format!("x 12 {number}."),
            format!("a\nb {number}\n"),
        ] {
            assert!(
                !card_numbers(text.as_bytes()).is_empty(),
                "`{start}…` should be caught in {} letters",
                text.len()
            );
        }
        let wrong =
            number[..number.len() - 1].to_owned() + if number.ends_with('0') { "1" } else { "0" };
        assert!(
            card_numbers(wrong.as_bytes()).is_empty(),
            "`{wrong}` fails its check digit"
        );
    }
    assert_eq!(
        card_numbers(format!("a\nb {}\n", completed(starts[0])).as_bytes()),
        [2]
    );
}

#[test]
fn other_long_numbers_are_no_card_numbers() {
    let visa = completed("411111111111111");
    for text in [
        format!("ab{visa}"),
        format!("0.{visa}"),
        format!("{visa}ff"),
        completed("111111111111111"),
        completed("41111111111"),
        format!("{visa}0000"),
    ] {
        assert!(card_numbers(text.as_bytes()).is_empty(), "`{text}`");
    }
}

#[test]
fn a_registry_is_caught_by_its_host_name() {
    assert_eq!(
        registry_named(concat!("see https://crates", ".io/x")),
        Some(REGISTRIES[0])
    );
    assert_eq!(registry_named("see https://docs.rs/x"), None);
}
