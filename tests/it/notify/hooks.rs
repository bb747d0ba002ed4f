//! Webhooks against a receiver that is real and fails for real. When a message is due is tested with mails: it does not
//! depend on the channel.

use super::*;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};
use varsel::config::{Secret, Webhook};
use varsel::notify::hook::{Caller, sign};
use varsel::store::outbox::End;

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A call as it came: its head in lower case, its body.
struct Call {
    head: String,
    body: String,
}

impl Call {
    fn header(&self, name: &str) -> &str {
        let line = self
            .head
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default()
    }
}

/// A receiver that answers with these in turn, then with 204; an empty answer closes the connection.
fn receiver(answers: &[&str]) -> (u16, Receiver<Call>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let (calls, come) = sync_channel(1_000);
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if lines.read_line(&mut line).unwrap_or(0) < 3 {
                    break;
                }
                let line = line.to_lowercase();
                if let Some(bytes) = line.strip_prefix("content-length: ") {
                    length = bytes.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            calls.send(Call { head, body }).unwrap();
            let answer = answers
                .next()
                .unwrap_or_else(|| "204 No Content".to_owned());
            if !answer.is_empty() {
                let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        }
    });
    (port, come)
}

/// A desk whose one route goes to a webhook.
fn desk_to(port: u16, is_allowed: bool) -> (Desk, Caller) {
    let mut desk = Desk::with(|route| {
        route.mail.clear();
        route.webhooks = vec!["soc".to_owned()];
    });
    let file = desk.dir.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    let text = format!(
        "[kafka]\nbootstrap = \"b:1\"\n[notify]\nprivate_hosts = [\"127.0.0.1\"]\n[[webhook]]\nname = \"soc\"\n\
         url = \"http://127.0.0.1:{port}/in?x=1\"\nsecret_file = \"{}\"\n",
        file.display()
    );
    let notify = Config::parse("varsel.toml", &text).unwrap().notify;
    desk.notify.webhooks = notify.webhooks;
    if is_allowed {
        desk.notify.private_hosts = notify.private_hosts;
    }
    desk.sender = Sender::new(Channel::Webhook, HOLDER);
    let caller = Caller::new(&desk.notify).unwrap();
    (desk, caller)
}

fn call(desk: &mut Desk, caller: &Caller) -> Step {
    let (sender, store, now_ms) = (&mut desk.sender, &mut desk.store, desk.now_ms.get());
    let step = sender.step(store, &|| now_ms, &mut |message| {
        caller.call(message, now_ms)
    });
    step.unwrap()
}

/// The ends of the attempts at one call, each when it is due.
fn ends(desk: &mut Desk, caller: &Caller) -> Vec<End> {
    desk.hear(&line(1, "open", "high", 1));
    desk.wait(2_000);
    desk.plan();
    let mut ends = Vec::new();
    while let Step::Ended(_, end) = call(desk, caller) {
        if let End::Later { due_ms, .. } | End::Rests { due_ms } = &end {
            desk.now_ms.set(*due_ms);
        }
        ends.push(end);
        assert!(ends.len() < 50, "{ends:?}");
    }
    ends
}

#[test]
fn a_call_is_signed_and_tells_all_that_there_is() {
    let (port, calls) = receiver(&[]);
    let (mut desk, caller) = desk_to(port, true);
    desk.hear_hold(&hold(1, "requested"));
    assert_eq!(ends(&mut desk, &caller), [End::Sent]);
    let call = calls.recv().unwrap();
    assert!(
        call.head.starts_with("post /in?x=1 http/1.1"),
        "{}",
        call.head
    );
    let (id, timestamp) = (call.header("webhook-id"), call.header("webhook-timestamp"));
    let expected = sign(&Secret::of(KEY), id, timestamp.parse().unwrap(), &call.body).unwrap();
    assert_eq!(call.header("webhook-signature"), expected.to_lowercase());
    let body: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!(body["type"], "alert.new");
    assert_eq!(
        body["data"]["alert"]["pattern"],
        "over-balance-transfer-attempts"
    );
    assert_eq!(body["data"]["holds"][0]["state"], "requested");
    let link = body["data"]["link"].as_str().unwrap();
    assert!(
        link.starts_with("https://varsel.bank.example/console/cases/"),
        "{link}"
    );
}

#[test]
fn a_receiver_that_fails_gets_the_same_call_again_and_one_that_refuses_does_not() {
    let (port, calls) = receiver(&["500 No", "503 No", "429 Later"]);
    let (mut desk, caller) = desk_to(port, true);
    let told = ends(&mut desk, &caller);
    assert_eq!(told.last(), Some(&End::Sent), "{told:?}");
    let calls: Vec<Call> = calls.try_iter().collect();
    assert_eq!(calls.len(), 4);
    assert!(calls.iter().all(|call| {
        call.body == calls[0].body && call.header("webhook-id") == calls[0].header("webhook-id")
    }));

    let (port, _calls) = receiver(&["422 No"]);
    let (mut desk, caller) = desk_to(port, true);
    let told = ends(&mut desk, &caller);
    assert!(
        matches!(&told[..], [End::Failed { said }] if said.contains("422")),
        "{told:?}"
    );
}

#[test]
fn a_connection_that_is_closed_without_an_answer_has_an_end_that_nobody_knows() {
    let (port, calls) = receiver(&[""]);
    let (mut desk, caller) = desk_to(port, true);
    let told = ends(&mut desk, &caller);
    assert!(
        matches!(
            &told[0],
            End::Later {
                is_doubtful: true,
                ..
            }
        ),
        "{told:?}"
    );
    assert_eq!(told.last(), Some(&End::Sent));
    assert_eq!(calls.try_iter().count(), 2);
}

#[test]
fn no_redirect_is_followed() {
    let (elsewhere, others) = receiver(&[]);
    let answer = format!("307 Go\r\nlocation: http://127.0.0.1:{elsewhere}/");
    let (port, _calls) = receiver(&[&answer]);
    let (mut desk, caller) = desk_to(port, true);
    let told = ends(&mut desk, &caller);
    assert!(
        matches!(&told[0], End::Later { said, .. } if said.contains("redirects are not followed")),
        "{told:?}"
    );
    assert!(others.try_recv().is_err());
}

#[test]
fn a_private_address_is_called_only_where_its_host_is_allowed_by_name() {
    let (port, calls) = receiver(&[]);
    let (mut desk, caller) = desk_to(port, false);
    desk.hear(&line(1, "open", "high", 1));
    desk.wait(2_000);
    desk.plan();
    let step = call(&mut desk, &caller);
    assert!(
        matches!(&step, Step::Ended(_, End::Later { said, .. }) if said.contains("private_hosts")),
        "{step:?}"
    );
    assert!(calls.try_recv().is_err());
}

#[test]
fn a_receiver_that_is_not_there_rests_and_another_is_not_kept_waiting() {
    let (port, calls) = receiver(&[]);
    let (mut desk, _) = desk_to(port, true);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = Webhook {
        name: "gone".to_owned(),
        port: listener.local_addr().unwrap().port(),
        ..desk.notify.webhooks[0].clone()
    };
    drop(listener);
    desk.notify.webhooks.push(gone);
    desk.notify.routes[0].webhooks.push("gone".to_owned());
    let caller = Caller::new(&desk.notify).unwrap();
    let mut rests = 0;
    for id in 0..8 {
        desk.hear(&line(id, "open", "high", 1));
        desk.wait(2_000);
        desk.plan();
        loop {
            match call(&mut desk, &caller) {
                Step::Idle => break,
                Step::Ended(_, End::Rests { .. }) => rests += 1,
                Step::Ended(..) => {}
            }
        }
    }
    assert_eq!(calls.try_iter().count(), 8);
    assert!(rests > 0, "the one that is gone rests");
}

#[test]
fn a_flood_reaches_a_webhook_whole_in_few_calls() {
    let (port, calls) = receiver(&[]);
    let (mut desk, caller) = desk_to(port, true);
    for id in 0..500 {
        desk.hear(&line(id, "open", "high", 1));
    }
    desk.wait(2_000);
    desk.plan();
    while call(&mut desk, &caller) != Step::Idle {}
    let bodies: Vec<Value> = calls
        .try_iter()
        .map(|call| serde_json::from_str(&call.body).unwrap())
        .collect();
    assert_eq!(bodies.len(), 10);
    let mut ids: Vec<&str> = bodies
        .iter()
        .flat_map(|body| body["data"]["cases"].as_array().unwrap())
        .map(|case| case["alert"]["id"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 500);
}
