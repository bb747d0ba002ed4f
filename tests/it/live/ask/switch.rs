//! The switch of all enforcement over HTTP: in answers, decisions, log, a restart, and a replay of the log;
//! and what the monitor's friction is counted by. What it does to a decision is the engine's own test.

use super::*;

fn switched(address: SocketAddr, suspended: bool) {
    let said = json!({"suspended": suspended, "reason": "the ACS asks too much", "by": "anna"});
    let told = post(address, "/v1/enforcement", &said);
    // It may be in the log before every shard has it.
    assert!(matches!(told.status, 200 | 202), "{}", told.body);
    fits_schema(&told.body, "Enforcement");
    let told = until(address, "/v1/enforcement", |told| {
        let partitions = &told.body["partitions"];
        let wanted = if suspended {
            &partitions["here"]
        } else {
            &json!(0)
        };
        told.body["suspended"] == suspended && partitions["suspended"] == *wanted
    });
    fits_schema(&told.body, "Enforcement");
    assert_eq!(told.body["by"], "anna");
}

/// What is asked about the payment that was lost is answered while enforcement is suspended.
fn let_through(address: SocketAddr, loss: &Value, bound: &Value) {
    let answer = &restored(address, loss);
    fits_schema(answer, "Answer");
    assert_eq!(answer["action"], "allow", "{answer}");
    assert_eq!(answer["reasons"][0]["code"], "enforcement-suspended");
    assert_eq!(answer["score"], bound["score"]);
    assert_eq!(answer["rules"], bound["rules"]);
    assert_eq!(
        (&answer["hold"], &answer["methods_refused"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(answer["acs"]["trans_status"], "Y");
    assert_eq!(answer["host"]["advice"], "approve");
}

#[test]
fn a_switch_suspends_all_enforcement_at_once_survives_a_restart_and_is_seen_by_a_replay_of_the_log()
{
    let (mut bank, monitor, loss) = before_the_loss();
    let address = monitor.address();
    let bound = post(address, "/v1/assessments", &loss).body;
    assert_eq!(bound["action"], "decline");
    let before = get(address, "/v1/enforcement").body;
    assert_eq!(
        (&before["suspended"], &before["by"]),
        (&json!(false), &Value::Null)
    );
    switched(address, true);
    let_through(address, &loss, &bound);
    let page = |told: &Told| told.text.contains("varsel_enforcement_suspended 4\n");
    until(address, "/metrics", page);
    let ready = until(address, "/readyz", |told| told.status == 200);
    assert!(
        ready.text.contains("enforcement is suspended in 4"),
        "{}",
        ready.text
    );
    switched(address, true);
    monitor.stop();
    let monitor = bank.start();
    let address = monitor.address();
    until(address, "/readyz", |told| told.status == 200);
    let_through(address, &loss, &bound);
    bank.feed(&[loss_with_outcome(&loss)]);
    let id = loss["id"].as_str().unwrap();
    let decided = |bank: &Bank| {
        let lines = bank.lines(&bank.config.topics.decisions).into_iter();
        let mut decisions = lines.map(|line| serde_json::from_str::<Value>(&line).unwrap());
        decisions.find(|decision| decision["event"] == *id)
    };
    let watch = Stopwatch::start();
    let decision = loop {
        if let Some(decision) = decided(&bank) {
            break decision;
        }
        assert!(watch.elapsed() < PATIENCE, "the payment is decided");
    };
    assert_eq!(decision["action"], "allow", "{decision}");
    assert_eq!(decision["reasons"][0]["code"], "enforcement-suspended");
    switched(address, false);
    let mut again = loss.clone();
    again["id"] = json!("asked-afterwards");
    let after = post(address, "/v1/assessments", &again).body;
    assert_ne!(after["action"], "allow", "{after}");
    monitor.stop();
    // What the last answer told the log may not have been scored: one more start sees to it.
    let monitor = bank.start();
    until(monitor.address(), "/readyz", |told| told.status == 200);
    monitor.stop();
    let (of_log, _) = replayed_topics(&bank, std::slice::from_ref(&bank.config.topics.log));
    assert_eq!(of_log, bank.given());
}

#[test]
fn a_switch_without_a_reason_or_with_a_card_number_is_refused() {
    let (bank, monitor, _) = before_the_loss();
    let address = monitor.address();
    let number = ["41", "1111", "1111", "1111", "11"].concat();
    for (said, status, code) in [
        (json!({"suspended": true}), 400, "bad_request"),
        (json!({"reason": "x"}), 400, "bad_request"),
        (
            json!({"suspended": true, "reason": number}),
            422,
            "card_number",
        ),
    ] {
        let told = post(address, "/v1/enforcement", &said);
        assert_eq!(
            (told.status, told.body["code"].as_str()),
            (status, Some(code))
        );
        assert!(!told.text.contains(&number));
    }
    assert_eq!(get(address, "/v1/enforcement").body["suspended"], false);
    monitor.stop();
    drop(bank);
}

#[test]
fn holds_found_good_are_counted_whoever_says_so() {
    let (mut bank, monitor, loss) = before_the_loss();
    let address = monitor.address();
    let told = post(address, "/v1/assessments", &loss).body;
    let hold = told["hold"].as_str().unwrap();
    let row = |told: &Told| {
        let rows = told.body["holds"].as_array().cloned().unwrap_or_default();
        rows.into_iter().find(|row| row["id"] == *hold)
    };
    let listed = until(address, "/v1/holds?limit=200", |told| row(told).is_some());
    let alert = row(&listed).unwrap()["alert"].clone();
    let disposition = json!({"type": "disposition", "id": "d-1", "at": loss["at"],
        "cardholder": loss["cardholder"], "subject": {"alert": alert}, "verdict": "good"});
    bank.feed(&[disposition.to_string()]);
    let page = |told: &Told| {
        let line = told
            .text
            .lines()
            .find(|line| line.starts_with("varsel_holds_found_good_total "));
        line.is_some_and(|line| !line.ends_with(" 0"))
    };
    until(address, "/metrics", page);
    monitor.stop();
}
