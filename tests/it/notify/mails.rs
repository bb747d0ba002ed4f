//! What goes out when: one mail for an episode, bounded updates, floods in a few mails, silences, digests; and what a
//! mail says.

use super::*;
use varsel::config::Language;
use varsel::decode::contains_card_number;
use varsel::domain::codes::Severity;
use varsel::store::alerts;
use varsel::store::silences::{self, Silence};

#[test]
fn one_alert_is_one_mail_that_says_what_why_what_was_done_and_what_to_do() {
    let mut desk = Desk::new();
    assert_eq!(desk.hear(&line(1, "open", "high", 2)), Heard::Told);
    desk.hear_hold(&hold(1, "requested"));
    assert_eq!(desk.plan(), 0, "it waits for more to tell");
    desk.run(5);
    let taken = desk.taken();
    assert_eq!(taken.len(), 1);
    let mail = &taken[0];
    assert_eq!(mail.to, "fraud@bank.example");
    let subject = mail.header("Subject");
    assert_eq!(
        subject,
        "[Varsel] HIGH: over-balance-transfer-attempts (case 00000000)"
    );
    for said in [
        "Tried to transfer <more> than there is",
        "Tried to transfer &lt;more&gt; than there is",
        "Payments must be confirmed anew (step-up), all cards; requested",
        "https://varsel.bank.example/console/cases/00000000000000000000000000000001",
        "release the hold",
    ] {
        // Long lines are broken by `=`.
        assert!(
            mail.data.replace("=\r\n", "").contains(said),
            "{said} in {}",
            mail.data
        );
    }
    for kept_back in ["p-1", "c-1"] {
        assert!(!mail.data.contains(kept_back), "{kept_back}");
    }
    assert!(mail.header("Message-ID").ends_with("@bank.example>"));
}

#[test]
fn harmless_repeat_a_line_told_again_sends_nothing() {
    let mut desk = Desk::new();
    for _ in 0..3 {
        desk.hear(&line(1, "open", "high", 1));
        desk.hear(&line(1, "updated", "high", 2));
    }
    assert_eq!(desk.hear(&line(1, "open", "high", 1)), Heard::Repeat);
    desk.run(5);
    assert_eq!(desk.hear(&line(1, "updated", "high", 2)), Heard::Repeat);
    desk.run(700);
    assert_eq!(desk.taken().len(), 1);
    assert_eq!(desk.hear("{}"), Heard::Unreadable);
}

#[test]
fn an_episode_that_grows_is_told_at_most_so_often_and_at_once_when_it_is_worse() {
    let mut desk = Desk::with(|route| route.updates = 2);
    desk.hear(&line(1, "open", "medium", 1));
    desk.run(3);
    desk.hear(&line(1, "updated", "medium", 2));
    desk.run(60);
    assert_eq!(desk.taken().len(), 1, "growth waits");
    desk.hear(&line(1, "updated", "critical", 3));
    desk.run(3);
    assert_eq!(desk.taken().len(), 2, "what is worse does not");
    for count in 4..40 {
        desk.hear(&line(1, "updated", "critical", count));
        desk.run(100);
    }
    let taken = desk.taken();
    assert_eq!(taken.len(), 3, "one and two updates");
    assert!(taken[1].header("Subject").contains("worse"));
    assert_eq!(
        taken[1].header("In-Reply-To"),
        taken[0].header("Message-ID")
    );
    assert_eq!(taken[2].header("References"), taken[0].header("Message-ID"));
}

#[test]
fn an_episode_that_stays_open_is_told_again_and_one_that_is_closed_is_not() {
    let mut desk = Desk::with(|route| route.repeat_interval = Duration::from_secs(600));
    desk.hear(&line(1, "open", "high", 1));
    desk.hear(&line(2, "open", "high", 1));
    desk.run(3);
    assert_eq!(desk.taken().len(), 2);
    desk.hear(&line(2, "closed", "high", 1));
    desk.run(601);
    let taken = desk.taken();
    assert_eq!(taken.len(), 3);
    assert!(taken[2].header("Subject").contains("still open"));
    desk.run(3_000);
    assert_eq!(desk.taken().len(), 5, "no more than the bound of updates");
}

#[test]
fn ten_thousand_alerts_in_a_minute_are_at_most_twenty_mails_and_none_is_lost_from_the_queue() {
    const ALERTS: u32 = 10_000;
    let mut desk = Desk::new();
    for tenth in 0..600_u32 {
        let (from, to) = (tenth * ALERTS / 600, (tenth + 1) * ALERTS / 600);
        let now = Now {
            ms: desk.now_ms.get(),
            local: (0, 720),
        };
        let notify = &desk.notify;
        let heard = desk.store.commit(|tx| {
            for id in from..to {
                let severity = Severity::WORDS[usize::try_from(id % 4).unwrap()];
                record::alert(tx, notify, &line(id, "open", severity, 1), now.ms, now)?;
            }
            Ok(())
        });
        heard.unwrap();
        desk.wait(100);
        desk.plan();
    }
    desk.send();
    let in_the_minute = desk.taken().len();
    assert!((2..=20).contains(&in_the_minute), "{in_the_minute}");
    desk.run(180);
    let taken = desk.taken();
    assert!(taken.len() <= 20, "{}", taken.len());
    let told: u32 = taken
        .iter()
        .map(|mail| {
            let subject = mail.header("Subject");
            let count = subject
                .trim_start_matches("[Varsel] ")
                .split(' ')
                .next()
                .unwrap();
            count.parse().unwrap_or(1)
        })
        .sum();
    assert_eq!(told, ALERTS, "every episode is counted in one mail");
    let (alerts, _) = desk.store.commit(alerts::count).unwrap();
    assert_eq!(alerts, i64::from(ALERTS));
    assert_eq!(desk.standing().waiting, 0);
}

#[test]
fn a_digest_is_one_mail_an_hour_for_all() {
    let mut desk = Desk::with(|route| route.digest = Duration::from_secs(3_600));
    for id in 0..200 {
        desk.hear(&line(id, "open", "low", 1));
    }
    desk.run(3_599);
    assert_eq!(desk.taken().len(), 0);
    desk.run(3_601);
    let taken = desk.taken();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].header("Subject"), "[Varsel] 200 cases: 200 low");
    assert!(taken[0].data.contains("150 more"));
}

fn silence(desk: &mut Desk, pattern: &str, below: Severity, seconds: i64) {
    let begins_ms = desk.now_ms.get();
    let silence = Silence {
        id: "s-1".to_owned(),
        pattern: pattern.to_owned(),
        cardholder: String::new(),
        card: String::new(),
        below,
        author: "nn".to_owned(),
        comment: "a test of the bank's".to_owned(),
        begins_ms,
        ends_ms: begins_ms + seconds * 1_000,
    };
    desk.store.commit(|tx| silences::add(tx, &silence)).unwrap();
}

#[test]
fn what_is_silenced_is_told_at_the_end_if_it_is_still_open() {
    let mut desk = Desk::new();
    silence(
        &mut desk,
        "over-balance-transfer-attempts",
        Severity::High,
        300,
    );
    desk.hear(&line(1, "open", "high", 1));
    desk.hear(&line(2, "open", "high", 1));
    desk.hear(&line(3, "open", "critical", 1));
    desk.run(5);
    assert_eq!(
        desk.taken().len(),
        1,
        "what is worse than the silence covers is told"
    );
    desk.hear(&line(2, "closed", "high", 1));
    desk.run(200);
    assert_eq!(desk.taken().len(), 1);
    desk.run(100);
    assert_eq!(desk.taken().len(), 2, "the one that is still open");
}

#[test]
fn a_silence_that_is_ended_early_lets_go_what_waited() {
    let mut desk = Desk::new();
    silence(&mut desk, "", Severity::Critical, 3_600);
    desk.hear(&line(1, "open", "critical", 1));
    desk.run(10);
    assert_eq!(desk.taken().len(), 0);
    let now_ms = desk.now_ms.get();
    assert!(
        desk.store
            .commit(|tx| silences::end(tx, "s-1", now_ms))
            .unwrap()
    );
    assert!(
        !desk
            .store
            .commit(|tx| silences::end(tx, "s-1", now_ms))
            .unwrap()
    );
    desk.run(2);
    assert_eq!(desk.taken().len(), 1);
}

#[test]
fn what_lay_in_its_topic_for_a_day_is_kept_and_not_told() {
    let mut desk = Desk::new();
    let now = Now {
        ms: START_MS,
        local: (0, 720),
    };
    let notify = &desk.notify;
    let came_ms = START_MS - 24 * 3_600_000 - 1;
    let line = line(1, "open", "critical", 1);
    let heard = desk
        .store
        .commit(|tx| record::alert(tx, notify, &line, came_ms, now));
    assert_eq!(heard.unwrap(), Heard::Stale);
    desk.run(10);
    assert_eq!(desk.taken().len(), 0);
    assert_eq!(desk.store.commit(alerts::count).unwrap().0, 1);
}

#[test]
fn no_pan_a_card_number_in_a_rules_sentence_reaches_no_mail() {
    let number = ["41", "1111", "1111", "1111", "11"].concat();
    let mut desk = Desk::new();
    let line =
        line(1, "open", "high", 1).replace("Tried to transfer", &format!("Card {number} tried"));
    desk.hear(&line);
    desk.run(5);
    let mail = &desk.taken()[0];
    assert!(mail.data.contains("Card XXXX"), "{}", mail.data);
    assert!(!contains_card_number(&mail.data.replace("=\r\n", "")));
}

#[test]
fn a_text_of_an_event_can_neither_be_markup_nor_a_header() {
    let mut desk = Desk::new();
    let evil = "x\\r\\nBcc: evil@example.com\\r\\n\\r\\n.\\r\\n<script>alert(1)</script>";
    let line = line(1, "open", "high", 1)
        .replace("over-balance-transfer-attempts", evil)
        .replace("Tried to", evil);
    assert_eq!(desk.hear(&line), Heard::Told);
    desk.run(5);
    let mail = &desk.taken()[0];
    assert_eq!(desk.taken().len(), 1);
    let (head, body) = mail.data.split_once("\r\n\r\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    let body = body.replace("=\r\n", "");
    let html = body.split("text/html").nth(1).unwrap();
    assert!(
        !html.contains("<script>") && html.contains("&lt;script&gt;"),
        "{html}"
    );
}

#[test]
fn a_bank_may_write_its_own_templates_and_a_faulty_one_is_told_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let utc = |ms| {
        chrono::DateTime::from_timestamp_millis(ms)
            .unwrap()
            .fixed_offset()
    };
    let open = |language| Press::open(language, None, Some(dir.path()), utc);
    std::fs::write(
        dir.path().join("case.da.txt"),
        "Sag {{ case.short }}\n\nHej {{ case.score }}\n",
    )
    .unwrap();
    let press = open(Language::Danish).unwrap();
    let mut desk = Desk::new();
    desk.hear(&line(7, "open", "high", 1));
    let id = format!("{:032x}", 7);
    let story = desk
        .store
        .commit(|tx| alerts::story(tx, &id))
        .unwrap()
        .unwrap();
    let case = varsel::mail::press::Case {
        story: &story,
        why: "new",
    };
    let text = press.case(&case);
    assert_eq!(
        (text.subject.as_str(), text.text.trim()),
        ("Sag 00000000", "Hej 900")
    );
    assert!(
        text.html.contains("Høj: over-balance-transfer-attempts"),
        "{}",
        text.html
    );
    for faulty in [
        "{{ case.score",
        "{% for x in case.reasons %}",
        "{{ nothing() }}",
        "{% for x in range(100000000) %}{% endfor %}",
    ] {
        std::fs::write(dir.path().join("pile.en.html"), faulty).unwrap();
        let error = open(Language::English).unwrap_err();
        assert_eq!(error.name, "pile.en.html", "{faulty}");
    }
}
