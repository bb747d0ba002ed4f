//! Promise `hold-lifecycle`: a hold is requested, delivered, acknowledged, then released or expired,
//! moved by events of the log and by event time alone.

use super::{Feed, STARTER, case};
use std::sync::Arc;
use varsel::domain::codes::{Advice, HoldState};
use varsel::domain::outcome::{Effect, Hold};
use varsel::domain::time::{HOUR_MS, MINUTE_MS, rfc3339};
use varsel::encode;
use varsel::engine::Engine;
use varsel::engine::decide::SUSPENDED;
use varsel::engine::prepared::Prepared;
use varsel::rulebook;

/// The case of 2018 up to and with the first hold.
fn held() -> (Feed, Hold) {
    held_by(&STARTER)
}

fn held_by(book: &Arc<Prepared>) -> (Feed, Hold) {
    let mut feed = Feed::new(book);
    for line in case() {
        for effect in feed.line(line) {
            if let Effect::Hold(hold) = effect {
                assert_eq!(hold.state, HoldState::Requested);
                return (feed, *hold);
            }
        }
    }
    panic!("the case raises a hold");
}

fn step(hold: &Hold, action: &str, at_ms: i64) -> String {
    let (id, whom, at) = (hold.id, &hold.cardholder, rfc3339(at_ms));
    format!(
        r#"{{"type":"hold","id":"{action}-{at}","at":"{at}","cardholder":"{whom}","hold":"{id}","action":"{action}"}}"#
    )
}

/// The states that some effects tell of a hold.
fn states(effects: &[Effect], hold: &Hold) -> Vec<HoldState> {
    let of = |effect: &Effect| match effect {
        Effect::Hold(told) if told.id == hold.id => Some(told.state),
        Effect::Hold(_) | Effect::Alert(_) => None,
    };
    effects.iter().filter_map(of).collect()
}

fn lines(effects: &[Effect]) -> Vec<u8> {
    let mut out = Vec::new();
    for effect in effects {
        match effect {
            Effect::Alert(alert) => encode::alert(&mut out, alert),
            Effect::Hold(hold) => encode::hold(&mut out, hold),
        }
    }
    out
}

fn unacknowledged(effects: &[Effect]) -> usize {
    alerts(effects, "hold-unacknowledged")
}

fn alerts(effects: &[Effect], pattern: &str) -> usize {
    let is =
        |effect: &&Effect| matches!(effect, Effect::Alert(alert) if &*alert.pattern == pattern);
    effects.iter().filter(is).count()
}

#[test]
fn hold_lifecycle_requested_delivered_acknowledged_released() {
    let (mut feed, hold) = held();
    let mut told = Vec::new();
    for (action, minutes) in [
        ("delivered", 1),
        ("delivered", 2),
        ("acknowledged", 3),
        ("enforced", 4),
        ("delivered", 5),
        ("released", 6),
        ("released", 7),
    ] {
        let effects = feed.line(&step(&hold, action, hold.at_ms + minutes * MINUTE_MS));
        told.extend(states(&effects, &hold));
    }
    assert_eq!(
        told,
        [
            HoldState::Delivered,
            HoldState::Acknowledged,
            HoldState::Released
        ]
    );
    let mut effects = Vec::new();
    feed.engine.tick(hold.until_ms + HOUR_MS, &mut effects);
    assert_eq!(
        states(&effects, &hold),
        [],
        "a released hold does not expire"
    );
    assert_eq!(unacknowledged(&effects), 0);
}

#[test]
fn hold_lifecycle_a_hold_expires_at_its_date_by_tick_and_by_own_event_with_the_same_bytes() {
    let (mut by_tick, hold) = held();
    let (mut by_event, _) = held();
    let mut ticked = Vec::new();
    let (mut early, _) = held();
    early.engine.tick(hold.until_ms - 1, &mut ticked);
    assert_eq!(states(&ticked, &hold), [], "not before its date");
    by_tick.engine.tick(hold.until_ms + HOUR_MS, &mut ticked);
    assert_eq!(states(&ticked, &hold), [HoldState::Expired]);
    let dates = ticked.iter().filter_map(|effect| match effect {
        Effect::Hold(told) if told.id == hold.id => Some(told.at_ms),
        Effect::Hold(_) | Effect::Alert(_) => None,
    });
    assert_eq!(dates.collect::<Vec<_>>(), [hold.until_ms]);
    // An own event of no consequence, with no tick before it.
    let line = step(&hold, "enforced", hold.until_ms + HOUR_MS);
    let mut event = varsel::domain::event::Event::default();
    by_event
        .decoder
        .decode(line.as_bytes(), &mut event)
        .unwrap();
    by_event.intake.complete(&mut event);
    by_event.engine.apply(&event, &mut by_event.outcome);
    let (a, b) = (lines(&ticked), lines(&by_event.outcome.effects));
    assert_eq!(String::from_utf8(a).unwrap(), String::from_utf8(b).unwrap());
}

#[test]
fn hold_lifecycle_a_hold_binds_from_the_next_event_until_it_is_released() {
    let pay = |n: i64, at_ms: i64, hold: &Hold| {
        let (whom, at) = (&hold.cardholder, rfc3339(at_ms));
        format!(
            r#"{{"type":"authorization","id":"pay-{n}","at":"{at}","card":"c-144","cardholder":"{whom}","amount_minor":9900,"currency":"DKK","mcc":"5411","merchant":{{"id":"m-netto","name":"Netto","country":"DK"}},"channel":"ecommerce","security":"ssl","response_code":"00"}}"#
        )
    };
    let (mut feed, hold) = held();
    feed.line(&pay(1, hold.at_ms + MINUTE_MS, &hold));
    let bound = feed.outcome.decision.take().unwrap();
    assert!(bound.hold.is_some(), "{bound:?}");
    for told in standing(&feed) {
        let at_ms = hold.at_ms + 2 * MINUTE_MS;
        let line = step(&hold, "released", at_ms)
            .replace(&hold.id.to_string(), &told)
            .replace("released-", &told[..8]);
        feed.line(&line);
    }
    feed.line(&pay(2, hold.at_ms + 3 * MINUTE_MS, &hold));
    assert_eq!(feed.outcome.decision.take().unwrap().hold, None);
}

fn standing(feed: &Feed) -> Vec<String> {
    let records = feed.engine.slab().iter();
    records
        .filter_map(|r| r.cold.as_ref())
        .flat_map(|cold| &cold.holds)
        .map(|hold| hold.id.to_string())
        .collect()
}

#[test]
fn hold_lifecycle_silence_after_a_delivery_raises_an_alert_and_without_one_none() {
    let (mut told, hold) = held();
    let (mut untold, _) = held();
    let (mut heard, _) = held();
    told.line(&step(&hold, "delivered", hold.at_ms + MINUTE_MS));
    heard.line(&step(&hold, "delivered", hold.at_ms + MINUTE_MS));
    heard.line(&step(&hold, "acknowledged", hold.at_ms + 2 * MINUTE_MS));
    let mut alerts = Vec::new();
    for feed in [&mut told, &mut untold, &mut heard] {
        let mut effects = Vec::new();
        feed.engine.tick(hold.at_ms + HOUR_MS, &mut effects);
        alerts.push(unacknowledged(&effects));
    }
    assert_eq!(alerts, [1, 0, 0]);
}

#[test]
fn hold_lifecycle_a_hold_that_nobody_was_told_of_in_time_raises_an_alert_where_the_book_asks_for_it()
 {
    let mut book = rulebook::embedded().unwrap().book;
    book.policy.deliver_ms = Some(MINUTE_MS);
    let asks = Arc::new(Prepared::new(book));
    for (book, steps, expected) in [
        (&asks, &[][..], [1, 0]),
        (&asks, &["delivered"], [0, 1]),
        (&asks, &["acknowledged"], [0, 0]),
        (&asks, &["released"], [0, 0]),
        (&*STARTER, &[], [0, 0]),
    ] {
        let (mut feed, hold) = held_by(book);
        for action in steps {
            feed.line(&step(&hold, action, hold.at_ms + MINUTE_MS / 2));
        }
        let mut effects = Vec::new();
        feed.engine.tick(hold.at_ms + MINUTE_MS - 1, &mut effects);
        assert_eq!(alerts(&effects, "hold-undelivered"), 0, "not before");
        feed.engine.tick(hold.at_ms + HOUR_MS, &mut effects);
        let found = ["hold-undelivered", "hold-unacknowledged"].map(|p| alerts(&effects, p));
        assert_eq!(found, expected, "{steps:?}");
    }
}

#[test]
fn hold_lifecycle_a_good_verdict_counts_the_holds_of_its_episode_also_those_that_are_over() {
    let dispose = |hold: &Hold, verdict: &str| {
        let (alert, whom, at) = (hold.alert, &hold.cardholder, rfc3339(hold.at_ms + HOUR_MS));
        format!(
            r#"{{"type":"disposition","id":"d-{verdict}","at":"{at}","cardholder":"{whom}","subject":{{"alert":"{alert}"}},"verdict":"{verdict}"}}"#
        )
    };
    let mut found = Vec::new();
    for (verdict, released) in [("good", false), ("good", true), ("fraud", false)] {
        let (mut feed, hold) = held();
        if released {
            feed.line(&step(&hold, "released", hold.at_ms + MINUTE_MS));
        }
        feed.line(&dispose(&hold, verdict));
        found.push(feed.outcome.found_good);
        feed.line(&dispose(&hold, verdict).replace("\"d-", "\"again-"));
        assert_eq!(feed.outcome.found_good, 0, "counted once");
    }
    assert_eq!(found, [1, 1, 0]);
}

#[test]
fn while_enforcement_is_suspended_decisions_allow_and_say_so_and_all_else_goes_on() {
    let (mut bound, mut free) = (Feed::new(&STARTER), Feed::new(&STARTER));
    free.engine.suspend(true);
    let mut spared = 0;
    for line in case() {
        let (event, mut effects) = free.event(line);
        let assessed = free.engine.assess(&event);
        free.engine.apply(&event, &mut free.outcome);
        effects.append(&mut free.outcome.effects);
        assert!(bound.line(line) == effects, "alerts and holds: {line}");
        let (Some(bound), Some(free)) = (&bound.outcome.decision, &free.outcome.decision) else {
            continue;
        };
        assert_eq!(assessed, *free);
        assert_eq!((free.action, free.hold), (Advice::Allow, None));
        assert_eq!((free.score, &free.rules), (bound.score, &bound.rules));
        let says = free.reasons.first().is_some_and(|r| &*r.code == SUSPENDED);
        assert_eq!(says, bound.action != Advice::Allow);
        spared += usize::from(says);
    }
    assert!(spared > 5, "{spared}");
    let kept = Engine::restore(Arc::clone(&STARTER), &[&free.saved()], |_| true).unwrap();
    assert!(kept.is_suspended(), "a checkpoint keeps it");
    assert!(
        free.engine
            .under(Arc::clone(&STARTER))
            .unwrap()
            .is_suspended()
    );
    free.engine.suspend(false);
    assert!(free.saved() == bound.saved(), "nothing of it stays");
}
