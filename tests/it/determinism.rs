//! The promises of the design, each carried by tests that name it: `prefix`, `assess-is-pure`,
//! `harmless-repeat`, `bounded` and `fail-visible` here, `no-loss` and `no-pan` in `damage`,
//! `hold-lifecycle` in `lifecycle`; and that what `candidates` leave out is not missed (`left_out`).
//!
//! Whole replays through files, as a user runs them; the engine itself where a promise is about it.

mod damage;
mod left_out;
mod lifecycle;

use crate::generate::{SOME_HOLD, town};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;
use varsel::decode::Decoder;
use varsel::domain::event::Event;
use varsel::domain::ids::EffectId;
use varsel::domain::outcome::{AlertStatus, Effect};
use varsel::engine::prepared::Prepared;
use varsel::engine::{Applied, Engine, Outcome};
use varsel::geo::Geo;
use varsel::intake::Intake;
use varsel::replay::report::Report;
use varsel::replay::{self, Options};
use varsel::rulebook;

/// The starter book, loaded once.
static STARTER: LazyLock<Arc<Prepared>> =
    LazyLock::new(|| Arc::new(Prepared::new(rulebook::embedded().unwrap().book)));

const FILES: [&str; 5] = [
    "alerts.jsonl",
    "holds.jsonl",
    "decisions.jsonl",
    "rejects.jsonl",
    "report.json",
];
/// The case of 2018, in the repository.
const CASE: &str = include_str!("../../src/demo/case-144-2018.jsonl");

/// A folder for one test, and replays in it.
struct Desk {
    dir: TempDir,
}

/// What a replay wrote, in the order of [`FILES`].
type Written = Vec<String>;

impl Desk {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn input(&self, name: &str, lines: &[impl AsRef<[u8]>]) -> PathBuf {
        let mut bytes = Vec::new();
        for line in lines {
            bytes.extend_from_slice(line.as_ref());
            bytes.push(b'\n');
        }
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn options(&self, inputs: &[&Path], out: &str) -> Options {
        Options {
            inputs: inputs.iter().map(|path| path.to_path_buf()).collect(),
            topics: None,
            out: self.path(out),
            shards: 1,
            batch: 64,
            stop_after: None,
            checkpoint: None,
            resume: None,
        }
    }

    fn replay(&self, options: &Options) -> (Written, Report) {
        let geo = Geo::embedded().unwrap();
        let report = replay::run(options, &STARTER, &geo, &mut |_, _| {}).unwrap();
        let read = |name: &&str| std::fs::read_to_string(options.out.join(name)).unwrap();
        (FILES.iter().map(read).collect(), report)
    }

    fn plain(&self, input: &Path, out: &str) -> (Written, Report) {
        self.replay(&self.options(&[input], out))
    }

    /// Stops after `stop` records, resumes elsewhere with other shards; what was written then.
    fn stopped(
        &self,
        inputs: &[&Path],
        stop: u64,
        (before, after): (usize, usize),
        same_folder: bool,
    ) -> Written {
        let first = Options {
            shards: before,
            stop_after: Some(stop),
            checkpoint: Some(self.path("checkpoint")),
            ..self.options(inputs, "stopped")
        };
        self.replay(&first);
        let out = if same_folder { "stopped" } else { "resumed" };
        let second = Options {
            shards: after,
            batch: 7,
            resume: Some(self.path("checkpoint")),
            ..self.options(inputs, out)
        };
        let written = self.replay(&second).0;
        for name in ["stopped", "resumed", "checkpoint"] {
            let _ = std::fs::remove_dir_all(self.path(name));
        }
        written
    }
}

fn case() -> Vec<&'static str> {
    CASE.lines()
        .filter(|line| !line.trim().is_empty())
        .collect()
}

fn at_of(line: &str) -> &str {
    &line.split_once("\"at\":\"").unwrap().1[..23]
}

/// Lines without their `position`.
fn unplaced(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split(",\"position\":").next().unwrap().to_owned())
        .collect()
}

fn same(ours: &Written, theirs: &Written, what: &str) {
    for ((name, a), b) in FILES.iter().zip(ours).zip(theirs) {
        let differs = a.lines().zip(b.lines()).find(|(a, b)| a != b);
        assert!(
            a == b,
            "{name} differs {what}: first at {differs:?}, {} and {} bytes",
            a.len(),
            b.len()
        );
    }
}

/// Promise `prefix`: same log, same bytes, whatever the shards and batches.
#[test]
fn prefix_the_same_log_gives_the_same_bytes_with_any_shards_and_batches() {
    let desk = Desk::new();
    let input = desk.input("town.jsonl", &town("s", 5, 4_000, 60));
    let (first, report) = desk.plain(&input, "first");
    assert!(
        report.alerts > 20 && report.holds > 10 && report.duplicates > 20 && report.late > 20,
        "{report:?}"
    );
    same(&first, &desk.plain(&input, "again").0, "on a second run");
    for (shards, batch) in [(2, 64), (4, 1), (7, 1_000), (1, 1), (1, 1_000)] {
        let options = Options {
            shards,
            batch,
            ..desk.options(&[&input], "other")
        };
        same(
            &first,
            &desk.replay(&options).0,
            &format!("with {shards} shards, batches of {batch}"),
        );
    }
}

/// Promise `prefix`: the merge of several inputs is the sorted file.
#[test]
fn prefix_several_inputs_merged_equal_one_sorted_file() {
    let desk = Desk::new();
    let mut lines = town("s", 6, 1_500, 30);
    lines.sort_by_key(|line| at_of(line).to_owned());
    let whole = desk.input("whole.jsonl", &lines);
    let (one, report) = desk.plain(&whole, "one");
    let parts: Vec<PathBuf> = (0..3)
        .map(|part| {
            // Lines of the same moment stay together, so that ties are not the merge's.
            let of_part =
                |line: &&String| at_of(line).bytes().map(usize::from).sum::<usize>() % 3 == part;
            let lines: Vec<&String> = lines.iter().filter(of_part).collect();
            desk.input(&format!("part-{part}.jsonl"), &lines)
        })
        .collect();
    let inputs: Vec<&Path> = parts.iter().map(PathBuf::as_path).collect();
    let (merged, merged_report) = desk.replay(&Options {
        shards: 3,
        ..desk.options(&inputs, "merged")
    });
    assert_eq!(report.digest, merged_report.digest);
    assert_eq!(unplaced(&one[2]), unplaced(&merged[2]));
    let again = desk.stopped(&inputs, 700, (2, 1), false);
    same(&merged, &again, "when stopped amid three inputs");
}

/// Promise `prefix`: stopped and resumed at every position of the case, never stopped.
#[test]
fn prefix_a_replay_stopped_and_resumed_at_every_position_equals_one_never_stopped() {
    let desk = Desk::new();
    let lines = case();
    let input = desk.input("case.jsonl", &lines);
    let never = desk.plain(&input, "never").0;
    for stop in 0..=u64::try_from(lines.len()).unwrap() {
        let shards = [(1, 1), (1, 4), (4, 2)][usize::try_from(stop % 3).unwrap()];
        let resumed = desk.stopped(&[&input], stop, shards, stop % 2 == 0);
        same(
            &never,
            &resumed,
            &format!("when stopped after {stop} of {shards:?} shards"),
        );
    }
}

/// Promise `prefix`: the same on a larger log with duplicates, late events, holds and undoings.
#[test]
fn prefix_a_town_stopped_and_resumed_here_and_there_equals_one_never_stopped() {
    let desk = Desk::new();
    let lines = town("s", 7, 1_500, 25);
    let input = desk.input("town.jsonl", &lines);
    let never = desk.plain(&input, "never").0;
    for part in 1..12 {
        let stop = lines.len() * part / 12;
        let shards = [(1, 3), (3, 1), (2, 5)][part % 3];
        let resumed = desk.stopped(
            &[&input],
            u64::try_from(stop).unwrap(),
            shards,
            part % 2 == 0,
        );
        same(
            &never,
            &resumed,
            &format!("when stopped after {stop} of {shards:?} shards"),
        );
    }
}

/// Promise `prefix`: a cardholder's outcome hangs on nobody else. The neighbours' events bear the
/// same times, so that the ticks are the same.
#[test]
fn prefix_a_cardholder_is_not_touched_by_neighbours() {
    let desk = Desk::new();
    let ours = town("ours", 8, 900, 12);
    let mut neighbours = town("next", 9, 3_000, 200).into_iter();
    let mut both = Vec::new();
    for line in &ours {
        both.push(line.clone());
        for other in neighbours.by_ref().take(2) {
            both.push(other.replace(at_of(&other), at_of(line)));
        }
    }
    let alone = desk.plain(&desk.input("ours.jsonl", &ours), "alone").0;
    let among = desk.plain(&desk.input("both.jsonl", &both), "among").0;
    for (name, mark) in [
        (0, "\"cardholder\":\"ours-"),
        (1, "\"cardholder\":\"ours-"),
        (2, "\"event\":\"ours-"),
    ] {
        let of_ours: Vec<String> = unplaced(&among[name])
            .into_iter()
            .filter(|l| l.contains(mark))
            .collect();
        let mut wanted = unplaced(&alone[name]);
        wanted.retain(|line| line.contains(mark));
        assert!(!wanted.is_empty());
        assert_eq!(wanted, of_ours, "{}", FILES[name]);
    }
}

/// Feeds lines to one engine, as a replay does.
struct Feed {
    engine: Engine,
    intake: Intake,
    decoder: Decoder,
    outcome: Outcome,
}

impl Feed {
    fn new(prepared: &Arc<Prepared>) -> Self {
        Self {
            engine: Engine::new(Arc::clone(prepared)),
            intake: Intake::new(Geo::embedded().unwrap()),
            decoder: Decoder::default(),
            outcome: Outcome::default(),
        }
    }

    /// The event of a line, completed, and the effects of the tick before it.
    fn event(&mut self, line: &str) -> (Event, Vec<Effect>) {
        let mut event = Event::default();
        self.decoder
            .decode(line.as_bytes(), &mut event)
            .unwrap_or_else(|e| panic!("{}: {line}", e.text));
        self.intake.complete(&mut event);
        let mut effects = Vec::new();
        if let Some(at_ms) = self.intake.tick_before(event.at.ms) {
            self.engine.tick(at_ms, &mut effects);
        }
        (event, effects)
    }

    /// Applies a line; returns all effects, the tick's first.
    fn line(&mut self, line: &str) -> Vec<Effect> {
        let (event, mut effects) = self.event(line);
        self.engine.apply(&event, &mut self.outcome);
        effects.append(&mut self.outcome.effects);
        effects
    }

    fn saved(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.engine.save(&mut bytes);
        bytes
    }
}

/// Promise `assess-is-pure`: a risk query changes no byte and says what applying then says.
#[test]
fn assess_is_pure_at_every_position() {
    let mut feed = Feed::new(&STARTER);
    let town = town("s", 10, 350, 6);
    let mut decisions = 0;
    for line in case().into_iter().chain(town.iter().map(String::as_str)) {
        let (event, _) = feed.event(line);
        let before = feed.saved();
        let assessed = feed.engine.assess(&event);
        assert_eq!(assessed, feed.engine.assess(&event), "asked twice: {line}");
        assert!(
            before == feed.saved(),
            "a risk query changed the state: {line}"
        );
        feed.engine.apply(&event, &mut feed.outcome);
        if let Some(decision) = &feed.outcome.decision {
            assert_eq!(&assessed, decision, "{line}");
            decisions += 1;
        }
    }
    assert!(decisions > 200);
}

/// Promise `harmless-repeat`: an effect's id is that of its cause, by the contract's recipe, and so
/// the same from a file, from a resumed replay and from other shards.
#[test]
fn harmless_repeat_ids_follow_from_their_causes_alone() {
    let desk = Desk::new();
    let lines = town("s", 11, 1_200, 20);
    let mut feed = Feed::new(&STARTER);
    let mut ids = Vec::new();
    for line in &lines {
        for effect in feed.line(line) {
            match effect {
                Effect::Alert(alert) if alert.status == AlertStatus::Open => {
                    let id = EffectId::derive(
                        &alert.cardholder,
                        "alert",
                        &alert.pattern,
                        &alert.trigger,
                        0,
                    );
                    assert_eq!(alert.id, id);
                    ids.push(alert.id.to_string());
                }
                Effect::Alert(_) => {}
                Effect::Hold(hold) => ids.push(hold.id.to_string()),
            }
        }
    }
    assert!(ids.len() > 20);
    let input = desk.input("town.jsonl", &lines);
    let stop = u64::try_from(lines.len() / 2).unwrap();
    let resharded = Options {
        shards: 5,
        ..desk.options(&[&input], "five")
    };
    for written in [
        desk.plain(&input, "file").0,
        desk.replay(&resharded).0,
        desk.stopped(&[&input], stop, (1, 2), false),
    ] {
        let told = format!("{}{}", written[0], written[1]);
        assert!(ids.iter().all(|id| told.contains(id)));
    }
}

/// Promise `bounded`: ten thousand events in a day and a half leave a record of bounded size, and
/// what gave way is counted.
#[test]
fn bounded_a_cardholder_of_ten_thousand_events_keeps_a_bounded_record() {
    // 4,096 ids seen at 8 bytes, 512 counters at 16, 24 events, 16 cards and 49 places: 45 KiB; and
    // 12 challenges, 24 episodes of 32 ids, 24 holds, 16 waits.
    const AT_REST: usize = 48 * 1_024;
    const OPEN: usize = 96 * 1_024;
    let mut feed = Feed::new(&STARTER);
    let mut kinds = [0_usize; 3];
    for number in 0..10_000_i64 {
        let at = varsel::domain::time::rfc3339(1_520_000_000_000 + number * 13_000);
        let acs = number / 3;
        let kind = usize::try_from(number % 3).unwrap();
        kinds[kind] += 1;
        let line = match kind {
            0 => format!(
                r#"{{"type":"threeds","id":"b-{number}","at":"{at}","card":"c-b","cardholder":"p-b","message":"AReq","acs_trans_id":"a-{acs}","amount_minor":3388211,"currency":"DKK","mcc":"4829","merchant":{{"id":"m-{number}","name":"x","country":"GB"}},"browser_ip":"95.42.{}.7"}}"#,
                number % 251
            ),
            1 => format!(
                r#"{{"type":"authorization","id":"b-{number}","at":"{at}","card":"c-b","cardholder":"p-b","amount_minor":{},"currency":"DKK","mcc":"{}","merchant":{{"id":"m-{number}","name":"x","country":"GB"}},"channel":"ecommerce","security":"ssl","response_code":"{}"}}"#,
                1_000 + number * 100,
                4_000 + number % 3_000,
                ["00", "51", "05"][usize::try_from(number / 3 % 3).unwrap()]
            ),
            _ => format!(
                r#"{{"type":"eid","id":"b-{number}","at":"{at}","cardholder":"p-b","card":"c-b-{number}","action":"authenticated","ip":"212.5.{}.9","acs_trans_id":"a-{acs}"}}"#,
                number % 251
            ),
        };
        feed.line(&line);
        assert_eq!(feed.outcome.applied, Applied::Once);
    }
    assert!(kinds.iter().all(|kind| *kind > 3_000));
    let record = feed.engine.slab().iter().next().unwrap();
    assert_eq!(feed.engine.slab().len(), 1);
    assert!(
        record.bytes_at_rest() < AT_REST,
        "{} bytes at rest",
        record.bytes_at_rest()
    );
    let open = record.cold.as_ref().map_or(0, |cold| cold.bytes());
    assert!(open < OPEN, "{open} bytes open");
    assert!(
        feed.engine.counters().gave_way > 10_000,
        "{:?}",
        feed.engine.counters()
    );
    assert!(feed.saved().len() < AT_REST + OPEN);
}

/// Promise `fail-visible`: what a live rule wanted and could not have is named, with why; absent
/// data is unknown, neither foreign nor harmless.
#[test]
fn fail_visible_an_unknown_value_is_named_and_is_neither_foreign_nor_harmless() {
    let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/books/everything");
    let book = rulebook::load(&book)
        .unwrap_or_else(|problems| panic!("{problems}"))
        .book;
    let mut feed = Feed::new(&Arc::new(Prepared::new(book)));
    feed.line(r#"{"type":"card","id":"f-1","at":"2026-01-05T10:00:00Z","card":"c-f","cardholder":"p-f","action":"issued","home_country":"DK"}"#);
    let areq = |id: &str, more: &str| {
        format!(
            r#"{{"type":"threeds","id":"{id}","at":"2026-01-05T10:01:00Z","card":"c-f","cardholder":"p-f","message":"AReq","acs_trans_id":"a-{id}","amount_minor":100,"currency":"DKK","mcc":"5999","merchant":{{"id":"m-f","name":"x","country":"DK"}}{more}}}"#
        )
    };
    feed.line(&areq("f-2", ""));
    let without = feed.outcome.decision.take().unwrap();
    let named: Vec<&str> = without
        .not_available
        .iter()
        .map(|(name, _)| &**name)
        .collect();
    assert!(named.contains(&"ip_abroad"), "{named:?}");
    assert!(without.rules.iter().all(|rule| &*rule.id != "from-abroad"));
    // Foreign, and whether the network is accustomed cannot be told: that does not protect.
    feed.line(&areq("f-3", r#","browser_ip":"95.42.10.77""#));
    let foreign = feed.outcome.decision.take().unwrap();
    assert!(
        foreign.rules.iter().any(|rule| &*rule.id == "from-abroad"),
        "{foreign:?}"
    );
    // A currency without a rate: the amount is unknown, and said to be.
    feed.line(r#"{"type":"authorization","id":"f-4","at":"2026-01-05T10:02:00Z","card":"c-f","cardholder":"p-f","amount_minor":999999900,"currency":"QQQ","mcc":"4829","merchant":{"id":"m-g","name":"x","country":"DK"},"channel":"smoke","security":"ssl","response_code":"ZX"}"#);
    let strange = feed.outcome.decision.take().unwrap();
    let why = strange
        .not_available
        .iter()
        .find(|(name, _)| &**name == "amount_minor");
    assert!(why.is_some(), "{strange:?}");
    assert_eq!(feed.outcome.applied, Applied::Once);
}

/// The town speaks of holds that nobody knows: they change nothing and are no fault.
#[test]
fn a_step_of_a_hold_that_does_not_stand_changes_nothing() {
    let mut feed = Feed::new(&STARTER);
    let lines = town("s", 12, 400, 5);
    assert!(lines.iter().any(|line| line.contains(SOME_HOLD)));
    for line in lines.iter().filter(|line| line.contains(SOME_HOLD)) {
        let effects = feed.line(line);
        assert!(effects.is_empty(), "{effects:?}");
    }
}
