//! Tests of loading as a whole: version, filters, numbering, examples, schemas, plan.
//!
//! Single faults and their words are golden cases in `tests/golden_errors`.

use super::*;
use crate::domain::codes::{EventType, ResponseGroup};
use crate::engine::class::{Class, ClassField};
use std::collections::BTreeSet;

const BASE: [(&str, &str); 6] = [
    (
        "policy.yaml",
        include_str!("../../tests/golden_errors/base/policy.yaml"),
    ),
    (
        "groups.yaml",
        include_str!("../../tests/golden_errors/base/groups.yaml"),
    ),
    (
        "rates.yaml",
        include_str!("../../tests/golden_errors/base/rates.yaml"),
    ),
    (
        "features.yaml",
        include_str!("../../tests/golden_errors/base/features.yaml"),
    ),
    (
        "tiny.yaml",
        include_str!("../../tests/golden_errors/base/tiny.yaml"),
    ),
    (
        "lists/trusted.txt",
        include_str!("../../tests/golden_errors/base/lists/trusted.txt"),
    ),
];

/// The base book with one piece of one file changed.
fn changed(name: &str, from: &str, to: &str) -> Loaded {
    let files = BASE
        .iter()
        .map(|(file, text)| {
            let text = if *file == name {
                assert!(text.contains(from), "{file} has no `{from}`");
                text.replacen(from, to, 1)
            } else {
                (*text).to_owned()
            };
            Source {
                name: (*file).to_owned(),
                shown: format!("rules/{file}"),
                text,
            }
        })
        .collect();
    compile(files).unwrap_or_else(|problems| panic!("{problems}"))
}

fn base() -> Loaded {
    changed("policy.yaml", "tiny", "tiny")
}

#[test]
fn the_version_names_the_book_and_changes_with_every_file() {
    let version = base().book.version;
    let (name, digits) = version.split_once('+').unwrap();
    assert_eq!(name, "tiny");
    assert!(digits.len() == 12 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    assert_eq!(base().book.version, version);
    for (file, text) in BASE {
        let last = text.lines().last().unwrap();
        let other = changed(file, last, &format!("{last} # a comment"));
        assert_ne!(other.book.version, version, "{file}");
    }
}

#[test]
fn a_filter_passes_what_its_expression_says() {
    let book = base().book;
    let filter = &book.aggregates[0].filter;
    let transfer = u8::try_from(book.mcc_groups.symbols.code("transfer").unwrap()).unwrap();
    let class = |kind: EventType, group: u8, response: ResponseGroup| {
        Class::default()
            .with(ClassField::Type, kind.code())
            .with(ClassField::MccGroup, group)
            .with(ClassField::Response, response.code())
    };
    assert!(filter.passes(class(
        EventType::Authorization,
        transfer,
        ResponseGroup::Limit
    )));
    assert!(!filter.passes(class(
        EventType::Authorization,
        transfer,
        ResponseGroup::Approved
    )));
    assert!(!filter.passes(class(EventType::Authorization, 3, ResponseGroup::Limit)));
    assert!(!filter.passes(class(EventType::Threeds, transfer, ResponseGroup::Limit)));
    // What is unknown passes neither a test nor its opposite.
    assert!(!filter.passes(class(
        EventType::Authorization,
        transfer,
        ResponseGroup::Unknown
    )));
    let share = &book.aggregates[2].filter;
    assert!(!share.passes(class(EventType::Authorization, 0, ResponseGroup::Unknown)));
    assert!(share.passes(class(EventType::Authorization, 0, ResponseGroup::Technical)));
}

#[test]
fn a_filter_without_a_type_counts_every_kept_type_that_has_its_fields() {
    let book = changed(
        "features.yaml",
        "where: 'response != \"approved\"'",
        "where: merchant_abroad",
    )
    .book;
    let on = book.aggregates[2].filter.on;
    assert_eq!(
        condition::type_names(on),
        ["authorization", "threeds", "otp", "eid"]
    );
    let book = changed(
        "features.yaml",
        "    where: 'type == \"authorization\" && response == \"approved\"'\n",
        "",
    )
    .book;
    let on = book.aggregates[1].filter.on;
    let kept = [
        "authorization",
        "threeds",
        "otp",
        "eid",
        "enrolment",
        "card",
    ];
    assert_eq!(condition::type_names(on), kept);
}

#[test]
fn every_code_is_in_one_group_and_ranges_include_both_ends() {
    let groups = base().book.mcc_groups;
    let name = |mcc| {
        groups
            .symbols
            .word(i64::from(groups.code(mcc)))
            .unwrap()
            .to_owned()
    };
    assert_eq!(name(4829), "transfer");
    assert_eq!(
        (name(6536), name(6538)),
        ("transfer".into(), "transfer".into())
    );
    assert_eq!((name(6535), name(6539)), ("other".into(), "other".into()));
    assert_eq!(groups.code(10_000), 0);
}

#[test]
fn sequences_share_one_numbering_of_states() {
    let steps = "    sequence:\n      within: 24h\n      steps:\n        - {on: otp, count: 3}\n        \
                 - {absent: true, on: eid}\n        - {on: authorization}\n    score: 600";
    let first = changed("tiny.yaml", "    score: 600", steps);
    let second = BASE[4].1.replacen("    score: 600", steps, 1).replacen(
        "second-declined-transfer",
        "another-claim",
        1,
    );
    let mut files = first.files;
    files.push(Source {
        name: "z.yaml".into(),
        shown: "rules/z.yaml".into(),
        text: second,
    });
    let book = compile(files)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .book;
    let states: Vec<(u16, u16)> = book
        .rules
        .iter()
        .map(|rule| rule.sequence.as_ref().unwrap())
        .map(|sequence| (sequence.first_state, sequence.states()))
        .collect();
    assert_eq!(states, [(0, 4), (4, 4)]);
    assert_eq!(
        book.rules[0].id, "another-claim",
        "rules are in order of id"
    );
}

#[test]
fn the_examples_of_a_book_run_and_a_wrong_one_is_told_with_its_values() {
    let verdicts = test(base()).unwrap();
    assert!(
        verdicts.iter().all(|v| v.surprises.is_empty()),
        "{verdicts:#?}"
    );
    let verdicts = test(changed(
        "tiny.yaml",
        "declined_transfers_24h >= 1",
        "declined_transfers_24h >= 2",
    ));
    let verdicts = verdicts.unwrap();
    let surprise = &verdicts[0].surprises[0];
    assert_eq!((surprise.event.as_str(), surprise.expected), ("b", true));
    let reads: Vec<(String, String)> = surprise.conditions[0]
        .1
        .iter()
        .flat_map(|part| part.reads.clone())
        .collect();
    assert!(
        reads.contains(&("declined_transfers_24h".into(), "1".into())),
        "{reads:?}"
    );
}

#[test]
fn an_absence_hits_at_the_event_that_began_the_wait() {
    let rule = "family: Waiting
rules:
  - id: code-never-used
    version: 1
    why: A code was sent and nothing came of it
    on: [otp]
    phase: absorb
    sequence:
      within: 1h
      steps:
        - {on: otp, where: 'action == \"sent\"'}
        - {absent: true, on: otp, where: 'action == \"accepted\"', for: 10m}
    score: 0
    pattern: unused-codes
    severity: low
    mode: shadow
    examples:
      - says: nobody types the code
        given: [{id: a, at: 0m, type: otp, action: sent}]
        hits: [a]
      - says: somebody does
        given:
          - {id: a, at: 0m, type: otp, action: sent}
          - {id: b, at: 9m, type: otp, action: accepted}
        hits: []
";
    let mut files = base().files;
    files.push(Source {
        name: "w.yaml".into(),
        shown: "rules/w.yaml".into(),
        text: rule.into(),
    });
    let loaded = compile(files).unwrap_or_else(|problems| panic!("{problems}"));
    let verdicts = test(loaded).unwrap();
    assert!(
        verdicts.iter().all(|v| v.surprises.is_empty()),
        "{verdicts:#?}"
    );
}

/// The names of the fields that a schema allows at a path of properties and list items.
fn schema_fields(kind: SchemaKind, path: &[&str]) -> BTreeSet<String> {
    let mut at: serde_json::Value = serde_json::from_str(&schema(kind)).unwrap();
    for step in path {
        let next = if *step == "[]" {
            &at["items"]
        } else {
            &at["properties"][*step]
        };
        at = next.clone();
    }
    at["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn a_schema_names_the_fields_that_the_loader_reads() {
    let set = |names: &[&str]| {
        names
            .iter()
            .map(|n| (*n).to_owned())
            .collect::<BTreeSet<_>>()
    };
    let rule = ["rules", "[]"];
    let under = |more: &[&'static str]| [&rule[..], more].concat();
    let rules = |path: &[&str]| schema_fields(SchemaKind::Rules, path);
    assert_eq!(rules(&[]), set(rules::FAMILY_FIELDS));
    assert_eq!(rules(&rule), set(rules::FIELDS));
    assert_eq!(rules(&under(&["hold"])), set(rules::HOLD_FIELDS));
    assert_eq!(rules(&under(&["sequence"])), set(sequence::FIELDS));
    assert_eq!(
        rules(&under(&["sequence", "steps", "[]"])),
        set(sequence::STEP_FIELDS)
    );
    assert_eq!(rules(&under(&["examples", "[]"])), set(examples::FIELDS));
    let feature = schema_fields(SchemaKind::Features, &["features", "[]"]);
    assert_eq!(feature, set(features::FIELDS));
    assert_eq!(
        schema_fields(SchemaKind::Policy, &[]),
        set(policy::POLICY_FIELDS)
    );
    assert_eq!(
        schema_fields(SchemaKind::Groups, &["groups", "[]"]),
        set(groups::FIELDS)
    );
    assert_eq!(
        schema_fields(SchemaKind::Rates, &[]),
        set(policy::RATES_FIELDS)
    );
}

#[test]
fn the_plan_names_every_feature_and_rule() {
    let book = base().book;
    let plan = plan(&book);
    for aggregate in &book.aggregates {
        assert!(plan.contains(&aggregate.name));
    }
    assert!(plan.contains("second-declined-transfer"));
    assert!(plan.contains("[response insufficient|limit]"), "{plan}");
    assert!(
        plan.lines()
            .any(|l| l.starts_with("spent_7d") && l.contains("960")),
        "{plan}"
    );
}

#[test]
fn a_folder_that_is_not_there_is_told_as_one_fault() {
    let problems = load(Path::new("no/such/folder")).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems.to_string().contains("this folder cannot be read"),
        "{problems}"
    );
}

/// Numbers that look random and are the same in every run (the constants of Knuth's MMIX).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[test]
fn a_mangled_book_is_refused_or_read_and_never_a_crash() {
    let pieces = [
        "'", "\"", "{", "}", "[", "]", ":", " ", "\n", "\t", "- ", "|", ">", "&a ", "*a", "!", "#",
        "é", "\\u00e6", "''", "9", "~", "\r\n", "%", "? ",
    ];
    let mut dice = Dice(7);
    let mut refused = 0;
    for _ in 0..1_500 {
        let mut files = base().files;
        let file = dice.below(files.len());
        let text = &mut files[file].text;
        for _ in 0..=dice.below(3) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let at = places[dice.below(places.len())];
            if dice.below(2) == 0 {
                text.insert_str(at, pieces[dice.below(pieces.len())]);
            } else {
                text.remove(at);
            }
        }
        if let Err(problems) = compile(files) {
            assert!(problems.to_string().contains("error: "));
            refused += 1;
        }
    }
    assert!((500..1_500).contains(&refused), "{refused} of 1500 refused");
}

#[test]
fn a_book_waits_for_deliveries_only_where_its_policy_says_so() {
    assert_eq!(base().book.policy.deliver_ms, None);
    let more = "acknowledge_within: 15m\ndeliver_within: 60s";
    let asks = changed("policy.yaml", "acknowledge_within: 15m", more);
    assert_eq!(asks.book.policy.deliver_ms, Some(60_000));
}
