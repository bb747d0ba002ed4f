//! The risk API over HTTP against the embedded broker: answers are what the decisions are, steps go
//! through the log, and every failure is told with its code.

mod encrypted;
mod faults;
mod grpc;
mod hostile;
mod numbers;
pub mod process;
mod secured;
mod switch;

use super::*;
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use varsel::api::openapi;
use varsel::config::Role;
use varsel::decode::contains_card_number;

/// An answer: status, head in lower case, body as it came and as JSON.
struct Told {
    status: u16,
    head: String,
    text: String,
    body: Value,
}

/// Sends bytes and reads until the other side closes.
fn raw(address: SocketAddr, request: &[u8]) -> Told {
    let mut stream = TcpStream::connect(address).unwrap();
    // A server that never answers must fail the test, not stop it.
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    parsed(&String::from_utf8(answer).unwrap())
}

fn parsed(answer: &str) -> Told {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    Told {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        text: body.to_owned(),
        body: serde_json::from_str(body).unwrap_or_default(),
    }
}

fn call(address: SocketAddr, method: &str, path: &str, more: &str, body: &[u8]) -> Told {
    let length = body.len();
    // A rule book that comes into force takes long where the compiler was not asked for speed.
    let patient = "varsel-deadline-ms: 10000\r\n";
    let more = if more.contains("varsel-deadline-ms") {
        more.to_owned()
    } else {
        format!("{more}{patient}")
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n"
    );
    raw(address, &[head.as_bytes(), body].concat())
}

fn get(address: SocketAddr, path: &str) -> Told {
    call(address, "GET", path, "", b"")
}

fn post(address: SocketAddr, path: &str, body: &Value) -> Told {
    call(address, "POST", path, "", body.to_string().as_bytes())
}

impl Monitor {
    fn address(&self) -> SocketAddr {
        let watch = Stopwatch::start();
        loop {
            if let Some(address) = self.signals.address.get() {
                return *address;
            }
            assert!(watch.elapsed() < PATIENCE, "nothing is served");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Waits until so many records, and the API's own steps, have gone all the way.
    fn until_with_steps(&self, count: u64) {
        let watch = Stopwatch::start();
        while self.metrics.events_done() < count + self.metrics.steps_taken() {
            assert!(watch.elapsed() < PATIENCE, "{count} records");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// Asks until an answer passes.
fn until(address: SocketAddr, path: &str, passes: impl Fn(&Told) -> bool) -> Told {
    let watch = Stopwatch::start();
    loop {
        let told = get(address, path);
        if passes(&told) {
            return told;
        }
        let Told { status, body, .. } = told;
        assert!(watch.elapsed() < PATIENCE, "{path}: {status} {body}");
    }
}

/// Asks until the answer rests on all that there was: one that is ready may still have some in hand.
fn restored(address: SocketAddr, question: &Value) -> Value {
    let watch = Stopwatch::start();
    loop {
        let told = post(address, "/v1/assessments", question);
        if told.status == 200 && told.body["stale"] == false {
            return told.body;
        }
        assert!(watch.elapsed() < PATIENCE, "{}", told.text);
    }
}

/// The question about an event: an authorization without its outcome, or an AReq; nothing for others.
fn question(line: &str) -> Option<Value> {
    let mut event: Value = serde_json::from_str(line).unwrap();
    let kind = event["kind"].as_str().unwrap_or("authorization");
    let asks = match event["type"].as_str()? {
        "authorization" => kind == "authorization",
        "threeds" => event["message"] == "AReq",
        _ => false,
    };
    let fields = event.as_object_mut()?;
    fields.remove("response_code");
    fields.remove("approved_minor");
    asks.then_some(event)
}

/// Holds a value to a schema of ours, as far as those go: types, enums, members.
fn fits(value: &Value, schema: &Value, all: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        return fits(value, &all[name.rsplit('/').next().unwrap()], all, at);
    }
    if let Some(either) = schema["anyOf"].as_array() {
        let null = either.iter().any(|one| one["type"] == "null");
        if !(value.is_null() && null) {
            fits(value, &either[0], all, at);
        }
        return;
    }
    let is = match schema["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        _ => true,
    };
    assert!(is, "{at}: {value} is no {}", schema["type"]);
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    for item in value.as_array().into_iter().flatten() {
        fits(item, &schema["items"], all, at);
    }
    let (Some(members), Some(known)) = (value.as_object(), schema["properties"].as_object()) else {
        return;
    };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            members.contains_key(name.as_str().unwrap()),
            "{at}: {name} is missing"
        );
    }
    for (name, value) in members {
        match known.get(name) {
            Some(schema) => fits(value, schema, all, &format!("{at}.{name}")),
            None => assert_ne!(schema["additionalProperties"], false, "{at}: `{name}`"),
        }
    }
}

fn fits_schema(value: &Value, name: &str) {
    let document = openapi::document();
    let all = &document["components"]["schemas"];
    fits(value, &all[name], all, name);
}

/// What decision and answer must have in common.
fn common(value: &Value) -> Value {
    let mut common = json!({});
    for name in [
        "event",
        "at",
        "card",
        "score",
        "action",
        "methods_refused",
        "hold",
        "rules",
        "ruleset",
        "late",
    ] {
        common[name] = value[name].clone();
    }
    let pairs = |list: &str, one: &str, other: &str| -> Vec<(Value, Value)> {
        let items = value[list].as_array().unwrap().iter();
        let own = ["unknown_card", "browser_ip"].map(Value::from);
        items
            .filter(|item| !own.contains(&item[one]))
            .map(|item| (item[one].clone(), item[other].clone()))
            .collect()
    };
    common["reasons"] = json!(pairs("reasons", "code", "text"));
    common["not_available"] = json!(pairs("not_available", "what", "why"));
    common
}

/// Feeds lines one by one, asks about each before it comes, and holds the answer to the decision.
fn asked_before_each(lines: &[String], bank: &mut Bank) -> usize {
    let monitor = bank.start();
    let address = monitor.address();
    until(address, "/readyz", |told| told.status == 200);
    let mut answers = BTreeMap::new();
    for line in lines {
        let question = question(line);
        let asks = question.is_some();
        if let Some(question) = question {
            monitor.until_with_steps(bank.sent);
            let told = post(address, "/v1/assessments", &question);
            assert_eq!(told.status, 200, "{}", told.body);
            fits_schema(&told.body, "Answer");
            let id = question["id"].as_str().unwrap().to_owned();
            // An event that comes twice is decided once.
            answers.entry(id).or_insert(told.body);
        }
        bank.feed(&[line]);
        if asks {
            // What comes next from another source must not overtake it.
            monitor.until_with_steps(bank.sent);
        }
    }
    monitor.until_with_steps(bank.sent);
    monitor.stop();
    let mut held_to = 0;
    for line in bank.lines(&bank.config.topics.decisions) {
        let decision: Value = serde_json::from_str(&line).unwrap();
        // What comes late is judged at its partition's tick, which another source may have moved since.
        if decision["late"] == true {
            continue;
        }
        if let Some(answer) = answers.get(decision["event"].as_str().unwrap()) {
            assert_eq!(common(answer), common(&decision));
            held_to += 1;
        }
    }
    held_to
}

#[test]
fn assess_is_pure_an_answer_is_the_decision_that_applying_the_event_then_gives() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/case-144-2018/events.jsonl");
    let case: Vec<String> = fs::read_to_string(path)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    let mut bank = Bank::new();
    assert!(asked_before_each(&case, &mut bank) > 30);
    // What was asked changed nothing: the log alone, with the deliveries in it, gives the same.
    let (of_log, _) = replayed_topics(&bank, std::slice::from_ref(&bank.config.topics.log));
    assert_eq!(of_log, bank.given());
}

#[test]
fn assess_is_pure_over_a_generated_town() {
    let lines = town("asked", 5, 160, 5);
    assert!(asked_before_each(&lines, &mut Bank::new()) > 20);
}

/// A monitor that has seen the case of 2018 up to the payment that was lost, and that payment.
fn before_the_loss() -> (Bank, Monitor, Value) {
    let mut lines = cases();
    lines.retain(|line| line.contains("\"p-case-144-2018\""));
    let loss = lines.pop().unwrap();
    let mut bank = Bank::new();
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent);
    (bank, monitor, question(&loss).unwrap())
}

#[test]
fn hold_lifecycle_over_http_goes_through_the_log_and_a_replay_of_it_sees_every_step() {
    let (mut bank, monitor, loss) = before_the_loss();
    let address = monitor.address();
    let first = post(address, "/v1/assessments", &loss).body;
    assert_eq!(first["action"], "decline");
    assert!(
        first["methods_refused"]
            .as_array()
            .unwrap()
            .contains(&json!("eid"))
    );
    assert_eq!(first["acs"]["trans_status"], "R");
    assert_eq!(first["host"]["advice"], "decline");
    let hold = first["hold"].as_str().unwrap().to_owned();
    let path = format!("/v1/holds/{hold}");
    let is = |told: &Told, state: &str| {
        let holds = told.body["holds"].as_array().unwrap().iter();
        holds
            .filter(|h| h["id"] == *hold)
            .any(|h| h["state"] == state)
    };
    until(address, "/v1/holds", |told| is(told, "delivered"));
    // Told once more, it is not delivered once more.
    post(address, "/v1/assessments", &loss);
    assert_eq!(monitor.metrics.steps_taken(), 1);
    let acknowledged = post(
        address,
        &format!("{path}/acknowledge"),
        &json!({"by": "acs-1"}),
    );
    assert_eq!(
        (acknowledged.status, &acknowledged.body["state"]),
        (200, &json!("acknowledged"))
    );
    fits_schema(&acknowledged.body, "Hold");
    let bare = post(address, &format!("{path}/release"), &json!({"by": "anna"}));
    assert_eq!(
        (bare.status, &bare.body["code"]),
        (400, &json!("bad_request"))
    );
    let said = json!({"by": "anna", "reason": "the customer was asked"});
    for _ in 0..2 {
        let released = post(address, &format!("{path}/release"), &said);
        assert_eq!(
            (released.status, &released.body["state"]),
            (200, &json!("released"))
        );
    }
    let late = post(address, &format!("{path}/acknowledge"), &json!({}));
    assert_eq!(
        (late.status, &late.body["code"]),
        (409, &json!("hold_over"))
    );
    let after = post(address, "/v1/assessments", &loss).body;
    assert_ne!(after["hold"], first["hold"], "another hold, or none");
    let card = get(
        address,
        &format!("/v1/cards/{}", loss["card"].as_str().unwrap()),
    );
    fits_schema(&card.body, "Card");
    let standing = card.body["holds"].as_array().unwrap();
    assert!(standing.iter().all(|other| other["id"] != *hold));
    disposed_of(address);
    bank.feed(&[loss_with_outcome(&loss)]);
    monitor.until_with_steps(bank.sent);
    monitor.stop();
    let (of_log, _) = replayed_topics(&bank, std::slice::from_ref(&bank.config.topics.log));
    assert_eq!(of_log, bank.given());
}

fn disposed_of(address: SocketAddr) {
    let alerts = get(address, "/v1/alerts?limit=1&cardholder=p-case-144-2018");
    fits_schema(&alerts.body, "Alerts");
    let alert = alerts.body["alerts"][0]["id"].as_str().unwrap();
    let path = format!("/v1/alerts/{alert}/disposition");
    let said = json!({"by": "anna", "reason": "seen", "verdict": "fraud"});
    let disposed = post(address, &path, &said);
    // It may be in the log before it shows.
    assert!(matches!(disposed.status, 200 | 202), "{}", disposed.body);
    until(address, "/v1/alerts?state=closed", |told| {
        let alerts = told.body["alerts"].as_array().unwrap();
        alerts.iter().any(|closed| closed["id"] == *alert)
    });
}

fn loss_with_outcome(loss: &Value) -> Vec<u8> {
    let mut loss = loss.clone();
    loss["response_code"] = json!("00");
    loss.to_string().into_bytes()
}

#[test]
fn every_failure_is_told_with_its_code_and_never_as_allow() {
    let (bank, monitor, loss) = before_the_loss();
    let address = monitor.address();
    let number = ["41", "1111", "1111", "1111", "11"].concat();
    let mut with_number = loss.clone();
    with_number["merchant"]["name"] = json!(number);
    let mut reversal = loss.clone();
    reversal["kind"] = json!("reversal");
    reversal["response_code"] = json!("00");
    let deep = format!("{}{}", "[".repeat(100_000 / 2), "]".repeat(10));
    let large = vec![b' '; 70_000];
    let whole = loss.to_string().into_bytes();
    for (path, body, status, code) in [
        ("/v1/assessments", &b"not json"[..], 400, "bad_request"),
        ("/v1/assessments", b"", 400, "bad_request"),
        ("/v1/assessments", deep.as_bytes(), 400, "bad_request"),
        (
            "/v1/assessments",
            &whole[..whole.len() / 2],
            400,
            "bad_request",
        ),
        (
            "/v1/assessments",
            br#"{"type":"authorization"}"#,
            422,
            "refused",
        ),
        (
            "/v1/assessments",
            with_number.to_string().as_bytes(),
            422,
            "card_number",
        ),
        (
            "/v1/assessments",
            reversal.to_string().as_bytes(),
            422,
            "not_a_question",
        ),
        ("/v1/assessments", &large, 413, "too_large"),
        ("/v1/acs/areq", b"{}", 422, "refused"),
        (
            "/v1/acs/areq",
            br#"{"messageType":"AReq","messageVersion":"1.0.2"}"#,
            422,
            "message_version",
        ),
    ] {
        let told = call(address, "POST", path, "", body);
        assert_eq!(
            (told.status, told.body["code"].as_str()),
            (status, Some(code))
        );
        assert!(
            told.head.contains("application/problem+json"),
            "{}",
            told.head
        );
        assert_eq!(told.body["fallback"]["action"], "step_up");
        fits_schema(&told.body, "Problem");
        assert!(!contains_card_number(&told.body.to_string()));
    }
    what_else_fails(address, &number);
    monitor.stop();
    drop(bank);
}

/// A body that does not come in time is told so, and its connection is not kept.
fn a_slow_body(address: SocketAddr) {
    let head = "POST /v1/assessments HTTP/1.1\r\nhost: h\r\nvarsel-deadline-ms: 5\r\ncontent-length: 100\r\n\r\n{\"type\":";
    let told = raw(address, head.as_bytes());
    assert_eq!(
        (told.status, told.body["code"].as_str()),
        (408, Some("slow_body"))
    );
}

fn what_else_fails(address: SocketAddr, number: &str) {
    a_slow_body(address);
    let bad = call(
        address,
        "POST",
        "/v1/assessments",
        "varsel-deadline-ms: soon\r\n",
        b"{}",
    );
    assert_eq!(bad.body["code"], "bad_request");
    let nothing = "0".repeat(32);
    for (path, code) in [
        (format!("/v1/holds/{nothing}/acknowledge"), "unknown_hold"),
        ("/v1/holds/x/enforced".to_owned(), "unknown_hold"),
        (format!("/v1/alerts/{nothing}/disposition"), "unknown_alert"),
    ] {
        let told = post(address, &path, &json!({"verdict": "good"}));
        let code = if path.contains("holds") && told.status == 400 {
            "bad_request"
        } else {
            code
        };
        assert_eq!(told.body["code"], code, "{path}");
    }
    assert_eq!(
        get(address, "/v1/holds?colour=red").body["code"],
        "bad_request"
    );
    assert_eq!(
        get(address, &format!("/v1/cards/{number}")).body["code"],
        "card_number"
    );
    assert_eq!(get(address, "/v1/none").status, 404);
    assert_eq!(get(address, "/v1/assessments").status, 405);
    fits_schema(&get(address, "/v1/problems").body, "Problems");
    fits_schema(&get(address, "/v1/reasons").body, "Reasons");
    assert_eq!(get(address, "/openapi.json").body, openapi::document());
}

#[test]
fn fail_visible_an_unknown_card_and_an_absent_address_are_named() {
    let (bank, monitor, loss) = before_the_loss();
    let address = monitor.address();
    let areq = json!({"type": "threeds", "message": "AReq", "id": "q-1", "at": loss["at"],
        "card": "c-nobody", "acs_trans_id": "t-1", "amount_minor": 100, "currency": "DKK",
        "mcc": "5411", "merchant": loss["merchant"]});
    let told = call(
        address,
        "POST",
        "/v1/assessments",
        "x-request-id: mine-1\r\n",
        areq.to_string().as_bytes(),
    );
    assert_eq!(told.status, 200, "{}", told.body);
    assert!(told.head.contains("x-request-id: mine-1"), "{}", told.head);
    let named: Vec<&str> = told.body["not_available"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["what"].as_str().unwrap())
        .collect();
    assert!(
        named.contains(&"unknown_card") && named.contains(&"browser_ip"),
        "{named:?}"
    );
    monitor.stop();
    drop(bank);
}

#[test]
fn fail_visible_an_instance_that_scores_nothing_says_that_nobody_does() {
    let mut bank = Bank::new();
    let mut config = Config::clone(&bank.config);
    config.run.roles = [Role::Api].into();
    bank.config = Arc::new(config);
    let monitor = bank.start();
    let address = monitor.address();
    let case = cases();
    let asked = case.iter().find_map(|line| question(line)).unwrap();
    let told = post(address, "/v1/assessments", &asked);
    assert_eq!(
        (told.status, told.body["code"].as_str()),
        (503, Some("no_owner"))
    );
    assert_eq!(told.body["fallback"]["action"], "step_up");
    assert!(told.head.contains("retry-after: 1"), "{}", told.head);
    monitor.stop();
}

#[test]
fn an_instance_hands_a_question_to_the_one_that_scores_its_cardholder_and_not_further() {
    let (mut bank, monitor, loss) = before_the_loss();
    let asked = post(monitor.address(), "/v1/assessments", &loss).body;
    let mut config = Config::clone(&bank.config);
    config.run.roles = [Role::Api].into();
    config.run.instance = "other".to_owned();
    bank.config = Arc::new(config);
    let other = bank.start();
    let address = other.address();
    let card = format!("/v1/cards/{}", loss["card"].as_str().unwrap());
    let told = until(address, &card, |told| told.status == 200);
    assert_eq!(told.body["known"], true);
    let answer = post(address, "/v1/assessments", &loss);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["reasons"], asked["reasons"]);
    let whole = loss.to_string().into_bytes();
    let again = call(
        address,
        "POST",
        "/v1/assessments",
        "varsel-forwarded: 1\r\n",
        &whole,
    );
    assert_eq!(
        (again.status, again.body["code"].as_str()),
        (503, Some("owner_moved"))
    );
    monitor.stop();
    let gone = post(address, "/v1/assessments", &loss);
    let code = gone.body["code"].as_str().unwrap_or_default();
    assert!(
        ["no_owner", "owner_unreachable"].contains(&code),
        "{}",
        gone.body
    );
    other.stop();
}
