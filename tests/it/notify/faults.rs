//! A mail server that fails in every way there is, and a process that dies between any two steps: every alert is
//! mailed, and none twice but where nobody could know, and then under one id.

use super::catcher::Fault;
use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use varsel::clock::Stopwatch;
use varsel::store::outbox::End;

/// The ends of the attempts at one mail whose server fails so, each attempt when it is due.
fn ends(faults: &[Fault]) -> (Desk, Vec<End>) {
    let mut desk = Desk::new();
    desk.catcher.faults(faults);
    desk.hear(&line(1, "open", "high", 1));
    desk.wait(2_000);
    desk.plan();
    let mut ends = Vec::new();
    for _ in 0..20 {
        match desk.step().unwrap() {
            Step::Idle => break,
            Step::Ended(_, end) => {
                if let End::Later { due_ms, .. } | End::Rests { due_ms } = &end {
                    desk.now_ms.set(*due_ms);
                }
                ends.push(end);
            }
        }
    }
    (desk, ends)
}

fn is_later(end: &End, doubtful: bool) -> bool {
    matches!(end, End::Later { is_doubtful, .. } if *is_doubtful == doubtful)
}

#[test]
fn a_server_that_is_busy_or_refuses_for_now_or_cuts_off_gets_the_mail_later_once() {
    for fault in [Fault::Busy, Fault::Later] {
        let (desk, ends) = ends(&[fault, fault]);
        assert_eq!(ends.len(), 3, "{fault:?}: {ends:?}");
        assert!(
            ends[..2].iter().all(|end| is_later(end, false)),
            "{fault:?}: {ends:?}"
        );
        assert_eq!(ends[2], End::Sent);
        assert_eq!(desk.taken().len(), 1, "{fault:?}");
    }
}

#[test]
fn a_mail_that_is_refused_for_good_fails_at_once_and_is_told() {
    for fault in [Fault::Never, Fault::NoContent] {
        let (mut desk, ends) = ends(&[fault]);
        assert!(
            matches!(&ends[..], [End::Failed { said }] if said.contains("5")),
            "{ends:?}"
        );
        assert_eq!(desk.taken().len(), 0);
        let standing = desk.standing();
        assert_eq!((standing.failed, standing.queued), (1, 0));
        let told = standing.last_failure.unwrap();
        assert!(told.starts_with("fraud@bank.example: "), "{told}");
    }
}

#[test]
fn an_end_that_nobody_knows_is_tried_again_under_the_same_id_and_said() {
    for fault in [Fault::Stall, Fault::Cut, Fault::Lost] {
        let (mut desk, ends) = ends(&[fault]);
        assert_eq!(ends.len(), 2, "{fault:?}: {ends:?}");
        assert!(is_later(&ends[0], true), "{fault:?}: {ends:?}");
        let taken = desk.taken();
        let twice = if fault == Fault::Lost { 2 } else { 1 };
        assert_eq!(taken.len(), twice, "{fault:?}");
        assert!(taken.iter().all(|mail| *mail == taken[0]), "the same bytes");
        assert_eq!(desk.standing().queued, 0);
    }
}

#[test]
fn a_slow_server_gets_its_mail_and_one_that_is_too_slow_does_not_hold_us_up() {
    let (desk, slow) = ends(&[Fault::Slow(20)]);
    assert_eq!(slow, [End::Sent]);
    assert_eq!(desk.taken().len(), 1);
    // Each answer is within any time-out of a read: only one over the whole ends it.
    let (desk, too_slow) = ends(&[Fault::Slow(400)]);
    assert!(
        matches!(&too_slow[0], End::Later { said, .. } if said.contains("no answer within 1 s")),
        "{too_slow:?}"
    );
    assert_eq!(too_slow.last(), Some(&End::Sent));
    assert!((1..=2).contains(&desk.taken().len()));
}

#[test]
fn a_server_that_says_nothing_does_not_keep_a_process_from_its_end() {
    let mut desk = Desk::new();
    let mail = desk.notify.mail.as_mut().unwrap();
    mail.timeout = Duration::from_secs(600);
    let (stop, watch) = (Arc::new(AtomicBool::new(false)), Stopwatch::start());
    let mut server = Server::new(mail, &stop).unwrap();
    desk.catcher.faults(&[Fault::Stall]);
    desk.hear(&line(1, "open", "high", 1));
    desk.wait(2_000);
    desk.plan();
    let (sender, store, now_ms) = (&mut desk.sender, &mut desk.store, &desk.now_ms);
    let step = sender.step(store, &|| now_ms.get(), &mut |message| {
        stop.store(true, Ordering::Relaxed);
        deliver(&mut server, message)
    });
    assert!(watch.elapsed() < Duration::from_secs(10));
    // It may have been taken: who comes next sends it again, under its id.
    assert!(
        matches!(&step, Ok(Step::Ended(_, End::Later { said, is_doubtful: true, .. })) if said.contains("ended")),
        "{step:?}"
    );
    desk.die();
    desk.run(10);
    assert_eq!(desk.taken().len(), 1);
}

#[test]
fn a_server_that_is_not_there_rests_between_attempts_and_after_a_day_it_is_given_up() {
    let mut desk = Desk::new();
    // A port that nobody listens on: it was ours a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    desk.notify.mail.as_mut().unwrap().port = port;
    desk.die();
    for id in 0..3 {
        desk.hear(&line(id, "open", "high", 1));
    }
    desk.wait(2_000);
    desk.plan();
    let (mut attempts, mut rests, mut failed) = (0, 0, 0);
    for _ in 0..30 * 60 {
        for step in desk.send() {
            match step {
                Step::Ended(_, End::Later { .. }) => attempts += 1,
                Step::Ended(_, End::Rests { .. }) => rests += 1,
                Step::Ended(_, End::Failed { said }) => {
                    assert!(said.starts_with("given up after a day"), "{said}");
                    failed += 1;
                }
                other @ (Step::Idle | Step::Ended(_, End::Sent)) => panic!("{other:?}"),
            }
        }
        desk.wait(60_000);
    }
    assert_eq!(failed, 3, "after {attempts} attempts and {rests} rests");
    assert!(desk.standing().failed == 3);
}

#[test]
fn ten_minutes_without_a_server_delay_mails_and_lose_and_double_none() {
    let mut desk = Desk::with(|route| route.burst = 100);
    let port = desk.catcher.address.port();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    desk.notify.mail.as_mut().unwrap().port = listener.local_addr().unwrap().port();
    drop(listener);
    desk.die();
    for id in 0..40 {
        desk.hear(&line(id, "open", "high", 1));
        desk.run(15);
    }
    assert_eq!(desk.taken().len(), 0);
    desk.notify.mail.as_mut().unwrap().port = port;
    desk.die();
    // No longer than the longest span between two attempts, and a rest.
    desk.run(400);
    let mut ids: Vec<String> = desk
        .taken()
        .iter()
        .map(|mail| mail.header("Message-ID"))
        .collect();
    assert_eq!(ids.len(), 40, "each once");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}

/// Where a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    InRecording,
    AfterRecording,
    InPlanning,
    AfterPlanning,
    BeforeSending,
    AfterSending,
    AfterSettling,
}

/// Work that ends in the middle of its transaction.
fn dies_in<T>(desk: &mut Desk, work: impl FnOnce(&mut Desk, &mut varsel::store::Tx<'_>) -> T) {
    // A second connection, so that the desk can be borrowed; dropped with the transaction open.
    let mut store = Store::open(&desk.place).unwrap();
    let died: Result<(), StoreError> = store.commit(|tx| {
        work(desk, tx);
        Err(StoreError::Failed("died".to_owned()))
    });
    assert!(died.is_err());
}

#[test]
fn no_loss_a_process_that_dies_between_any_two_steps_mails_each_alert_once_or_under_one_id() {
    use Death::*;
    for death in [
        InRecording,
        AfterRecording,
        InPlanning,
        AfterPlanning,
        BeforeSending,
        AfterSending,
        AfterSettling,
    ] {
        let mut desk = Desk::new();
        let text = line(1, "open", "high", 1);
        let now = Now {
            ms: START_MS,
            local: (0, 720),
        };
        if death == InRecording {
            dies_in(&mut desk, |desk, tx| {
                record::alert(tx, &desk.notify, &text, now.ms, now).unwrap()
            });
            desk.die();
        }
        // The offset was not kept either, so the line comes again.
        assert_eq!(desk.hear(&text), Heard::Told, "{death:?}");
        if death == AfterRecording {
            desk.die();
        }
        desk.wait(2_000);
        if death == InPlanning {
            dies_in(&mut desk, |desk, tx| {
                plan::plan(tx, &desk.notify, &desk.press, desk.now_ms.get()).unwrap()
            });
            desk.die();
        }
        assert_eq!(desk.plan(), 1, "{death:?}");
        if death == AfterPlanning {
            desk.die();
        }
        if matches!(death, BeforeSending | AfterSending) {
            let (sender, store, now_ms) = (&mut desk.sender, &mut desk.store, desk.now_ms.get());
            let server = &mut desk.server;
            let died = catch_unwind(AssertUnwindSafe(|| {
                sender.step(store, &|| now_ms, &mut |message| {
                    if death == AfterSending {
                        deliver(server, message).unwrap();
                    }
                    panic!("the process dies here");
                })
            }));
            assert!(died.is_err());
            desk.die();
        }
        desk.send();
        if death == AfterSettling {
            desk.die();
        }
        desk.run(60);
        let taken = desk.taken();
        let twice = if death == AfterSending { 2 } else { 1 };
        assert_eq!(taken.len(), twice, "{death:?}");
        assert!(
            taken.iter().all(|mail| *mail == taken[0]),
            "{death:?}: the same bytes"
        );
        assert_eq!(desk.standing(), outbox::Standing::default(), "{death:?}");
    }
}

#[test]
fn who_stood_still_and_lost_the_lease_settles_nothing() {
    let mut desk = Desk::new();
    desk.hear(&line(1, "open", "high", 1));
    desk.wait(2_000);
    desk.plan();
    let place = desk.place.clone();
    let now_ms = desk.now_ms.get();
    let (sender, store) = (&mut desk.sender, &mut desk.store);
    let stale = sender.step(store, &|| now_ms, &mut |_| {
        // While this one stands still, another takes over.
        let mut other = Store::open(&place).unwrap();
        assert!(!lease::take(&mut other, "other", START_MS + 9_000).unwrap());
        assert!(lease::take(&mut other, "other", START_MS + 11_000).unwrap());
        Ok(())
    });
    assert!(matches!(stale, Err(StoreError::NotLeading)), "{stale:?}");
    assert!(matches!(
        desk.step(),
        Err(StoreError::NotLeading) | Ok(Step::Idle)
    ));
    assert_eq!(desk.standing().queued, 1);
}

#[test]
fn a_store_that_is_locked_is_said_and_what_was_sent_is_settled_when_it_answers() {
    let mut desk = Desk::on_file();
    desk.hear(&line(1, "open", "high", 1));
    desk.wait(2_000);
    desk.plan();
    let (path, now_ms) = (desk.path(), desk.now_ms.get());
    let lock = rusqlite::Connection::open(&path).unwrap();
    let server = &mut desk.server;
    let (sender, store) = (&mut desk.sender, &mut desk.store);
    let told = sender.step(store, &|| now_ms, &mut |message| {
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        deliver(server, message)
    });
    assert!(
        matches!(&told, Err(StoreError::Failed(said)) if said.contains("locked")),
        "{told:?}"
    );
    lock.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(desk.step().unwrap(), Step::Ended(_, End::Sent)));
    assert_eq!(desk.taken().len(), 1, "sent once");
}
