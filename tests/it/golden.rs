//! Golden cases: each folder of `tests/golden` is a recorded story, what it asks of the monitor, and
//! what the monitor said. All go the product's way, through `replay::run`.
//!
//! `expect.json` holds what must stay true whatever the rules say; the output files hold the very
//! bytes, so that a change shows as a diff to be read. `UPDATE_GOLDEN=1` rewrites the outputs, never
//! `expect.json`. Positions and the rule book's version are left out of the comparison: the one
//! depends on where the repository lies, the other changes with every comma of every rule.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use varsel::engine::prepared::Prepared;
use varsel::geo::Geo;
use varsel::replay::{Options, run};
use varsel::rulebook;

/// The outputs that are compared; `decisions.jsonl` only where the case has one.
const OUTPUTS: [&str; 3] = ["alerts.jsonl", "holds.jsonl", "decisions.jsonl"];
/// What `expect.json` may say.
const WISHES: [&str; 8] = [
    "kind",
    "last",
    "events",
    "alert_by",
    "hold_at_last",
    "actions",
    "allow_all",
    "quiet",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

fn rows(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A text field, or nothing.
fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn ms(row: &Value, field: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text(row, field))
        .unwrap()
        .timestamp_millis()
}

/// What a replay said: the rows of each output, and the lines as they are compared.
#[derive(Default)]
struct Said {
    rows: BTreeMap<&'static str, Vec<Value>>,
    lines: BTreeMap<&'static str, String>,
}

impl Said {
    fn of(name: &str) -> &'static str {
        OUTPUTS.into_iter().find(|known| *known == name).unwrap()
    }

    fn rows(&self, name: &str) -> &[Value] {
        self.rows.get(Self::of(name)).map_or(&[], Vec::as_slice)
    }

    fn put(&mut self, name: &'static str, told: &str) {
        let lines: String = told.lines().map(|line| bare(line) + "\n").collect();
        self.lines.insert(name, lines);
        self.rows.insert(name, rows(told));
    }
}

/// A line without its position and its rule book's version.
fn bare(line: &str) -> String {
    let row: Value = serde_json::from_str(line).unwrap();
    let mut bare = line.to_owned();
    for field in ["position", "ruleset"] {
        if let Some(value) = row.get(field) {
            let found = format!(",\"{field}\":{value}");
            assert!(bare.contains(&found), "{field} is not where it was: {line}");
            bare = bare.replacen(&found, "", 1);
        }
    }
    bare
}

fn replayed(case: &Path, starter: &Arc<Prepared>, geo: &Geo) -> Said {
    let own = case.join("rules");
    let prepared = if own.is_dir() {
        let loaded = rulebook::load(&own).unwrap_or_else(|problems| panic!("{problems}"));
        Arc::new(Prepared::new(loaded.book))
    } else {
        Arc::clone(starter)
    };
    let out = tempfile::tempdir().unwrap();
    let options = Options {
        inputs: vec![case.join("events.jsonl")],
        topics: None,
        out: out.path().to_owned(),
        shards: 1,
        batch: 64,
        stop_after: None,
        checkpoint: None,
        resume: None,
    };
    run(&options, &prepared, geo, &mut |_, _| {}).unwrap();
    let mut said = Said::default();
    for name in OUTPUTS {
        said.put(name, &fs::read_to_string(out.path().join(name)).unwrap());
    }
    said
}

/// Where each event of a story stands; a repeated id counts at its first.
fn places(events: &[Value]) -> BTreeMap<&str, usize> {
    let mut places = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        places.entry(text(event, "id")).or_insert(at);
    }
    places
}

/// The last attempt to pay: reversals and refunds are none.
fn last_attempt(events: &[Value]) -> &Value {
    events
        .iter()
        .rfind(|event| {
            text(event, "type") == "authorization"
                && matches!(text(event, "kind"), "" | "authorization")
        })
        .unwrap()
}

/// Which wishes are not met, each in a sentence.
fn unmet(wishes: &Map<String, Value>, events: &[Value], said: &Said) -> Vec<String> {
    let mut unmet = Vec::new();
    for wish in wishes.keys() {
        if !WISHES.contains(&wish.as_str()) {
            unmet.push(format!("`{wish}` is no wish; known are {WISHES:?}"));
        }
    }
    let asked = |wish: &str| wishes.get(wish).and_then(Value::as_bool) == Some(true);
    if let Some(by) = wishes.get("alert_by").and_then(Value::as_str) {
        unmet.extend(alert_by(by, events, said));
    }
    if asked("hold_at_last") && !hold_stands(last_attempt(events), events, said) {
        unmet.push("no hold stands at the last authorization".to_owned());
    }
    for (event, allowed) in wishes
        .get("actions")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let taken = said
            .rows("decisions.jsonl")
            .iter()
            .find(|d| text(d, "event") == event);
        let action = taken.map_or("no decision", |d| text(d, "action"));
        if !allowed.as_array().unwrap().iter().any(|a| a == action) {
            unmet.push(format!("{event}: {action}, wanted one of {allowed}"));
        }
    }
    if asked("allow_all") {
        unmet.extend(disturbed(events, said));
    }
    if asked("quiet") {
        unmet.extend(loud(said));
    }
    unmet
}

fn alert_by(by: &str, events: &[Value], said: &Said) -> Option<String> {
    let places = places(events);
    let Some(limit) = places.get(by) else {
        return Some(format!("alert_by names `{by}`, which is no event"));
    };
    let in_time = said
        .rows("alerts.jsonl")
        .iter()
        .filter_map(|alert| places.get(text(alert, "trigger")))
        .any(|place| place <= limit);
    (!in_time).then(|| format!("no alert by {by}"))
}

/// Whether a hold raised before the last attempt binds it.
fn hold_stands(last: &Value, events: &[Value], said: &Said) -> bool {
    let at = ms(last, "at");
    let aliased = events.iter().any(|event| event.get("aliases").is_some());
    let mut newest: BTreeMap<&str, &Value> = BTreeMap::new();
    for hold in said.rows("holds.jsonl") {
        if ms(hold, "at") < at {
            newest.insert(text(hold, "id"), hold);
        }
    }
    newest.values().any(|hold| {
        !matches!(text(hold, "state"), "released" | "expired")
            && ms(hold, "from") <= at
            && at < ms(hold, "until")
            && (aliased || hold["card"].is_null() || hold["card"] == last["card"])
    })
}

fn disturbed(events: &[Value], said: &Said) -> Vec<String> {
    let places = places(events);
    said.rows("decisions.jsonl")
        .iter()
        .filter(|decision| {
            let event = places.get(text(decision, "event")).map(|at| &events[*at]);
            event.is_some_and(|event| text(event, "type") == "authorization")
                && text(decision, "action") != "allow"
        })
        .map(|d| format!("{}: {}: {}", d["event"], d["action"], d["reasons"]))
        .collect()
}

fn loud(said: &Said) -> Vec<String> {
    let holds = said.rows("holds.jsonl").iter().map(|h| format!("hold {h}"));
    let alerts = said
        .rows("alerts.jsonl")
        .iter()
        .filter(|alert| matches!(text(alert, "severity"), "high" | "critical"))
        .map(|a| {
            format!(
                "alert {} {} by {}",
                a["severity"], a["pattern"], a["trigger"]
            )
        });
    holds.chain(alerts).collect()
}

/// How a case differs from its golden files; rewrites them where `update` says so.
fn differences(case: &Path, said: &Said, update: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    for name in OUTPUTS {
        let file = case.join(name);
        if name == "decisions.jsonl" && !file.exists() {
            continue;
        }
        let told = said.lines.get(name).cloned().unwrap_or_default();
        if update {
            fs::write(&file, &told).unwrap();
        }
        let golden = fs::read_to_string(&file).unwrap_or_default();
        if !file.exists() || golden != told {
            let mut lines = golden.lines().zip(told.lines()).enumerate();
            let first = lines.find(|(_, (golden, told))| golden != told);
            wrong.push(match first {
                Some((at, (golden, told))) => {
                    format!("{name}:{}\n  golden {golden}\n  told   {told}", at + 1)
                }
                None => format!(
                    "{name}: {} lines, golden {}",
                    told.lines().count(),
                    golden.lines().count()
                ),
            });
        }
    }
    wrong
}

fn expected(case: &Path) -> Map<String, Value> {
    let text = fs::read_to_string(case.join("expect.json"))
        .unwrap_or_else(|error| panic!("{}: expect.json: {error}", case.display()));
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{}: expect.json: {error}", case.display()))
}

#[test]
fn every_golden_case_ends_as_it_should() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let loaded = rulebook::embedded().unwrap_or_else(|problems| panic!("{problems}"));
    let starter = Arc::new(Prepared::new(loaded.book));
    let geo = Geo::embedded().unwrap();
    let cases = cases();
    assert!(cases.len() >= 40, "only {} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let said = replayed(case, &starter, &geo);
        let events = rows(&fs::read_to_string(case.join("events.jsonl")).unwrap());
        let mut faults = unmet(&expected(case), &events, &said);
        faults.extend(differences(case, &said, update));
        if !faults.is_empty() {
            wrong.push(format!("{}\n{}", case.display(), faults.join("\n")));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} cases differ (UPDATE_GOLDEN=1 rewrites the outputs):\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_monitor_that_says_nothing_fails_the_attacks() {
    let case = root().join("case-144-2018");
    let events = rows(&fs::read_to_string(case.join("events.jsonl")).unwrap());
    let unmet = unmet(&expected(&case), &events, &Said::default());
    assert_eq!(unmet.len(), 4, "{unmet:?}");
}

#[test]
fn a_monitor_that_alarms_on_a_holiday_fails_it() {
    let case = root().join("holiday-in-bulgaria");
    let events = rows(&fs::read_to_string(case.join("events.jsonl")).unwrap());
    let mut said = Said::default();
    let stopped = r#"{"event":"holiday-in-bulgaria-last","action":"step_up","position":"f:1"}"#;
    let id = text(last_attempt(&events), "id").to_owned();
    said.put(
        "decisions.jsonl",
        &stopped.replace("holiday-in-bulgaria-last", &id),
    );
    said.put(
        "alerts.jsonl",
        r#"{"severity":"high","pattern":"p","trigger":"t"}"#,
    );
    let unmet = unmet(&expected(&case), &events, &said);
    assert_eq!(unmet.len(), 2, "{unmet:?}");
}

#[test]
fn a_mistyped_wish_is_told() {
    let wishes = serde_json::from_str(r#"{"alert_bye": "x"}"#).unwrap();
    let told = unmet(&wishes, &[], &Said::default());
    assert!(told[0].starts_with("`alert_bye` is no wish"), "{told:?}");
}
