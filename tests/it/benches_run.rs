//! Every benchmark runs here with a tiny population, so that none of them rots between measurements.
//!
//! What they compute is checked (events counted, sums that agree, percentiles in order); how long it took is not.

#![allow(
    clippy::duplicate_mod,
    reason = "each benchmark is a program of its own and brings what it shares with the others"
)]

#[path = "../bench/ask.rs"]
mod ask;
#[path = "../bench/console.rs"]
mod console;
#[path = "../bench/engine.rs"]
mod engine;
#[path = "../bench/lines.rs"]
mod lines;
#[path = "../bench/memory.rs"]
mod memory;
#[path = "../bench/outage.rs"]
mod outage;
#[path = "../bench/replay.rs"]
mod replay;
#[path = "../bench/rules.rs"]
mod rules;

#[test]
fn the_engine_benchmark_counts_what_it_applied_and_its_percentiles_are_in_order() {
    let measured = engine::run(engine::Size {
        cards: 300,
        days: 1,
        rounds: 2,
        events: 500,
        queries: 50,
    });
    assert_eq!(measured.tally.events, 2 * measured.round);
    assert!(measured.before > 900, "{measured:?}");
    assert!(measured.tally.decisions > measured.round);
    assert!(measured.candidates[0] > 0.0);
    assert_eq!(measured.assess.len(), 50);
    let at = |quantile| measured.assess.value_at_quantile(quantile);
    assert!(at(0.5) > 0 && at(0.5) <= at(0.99) && at(0.99) <= measured.assess.max());
    // No answer can come sooner after its due moment than it takes to be worked out.
    assert!(measured.service.min() <= measured.assess.min());
    assert!(engine::table(&[measured]).to_string().contains("| 300 |"));
}

#[test]
fn the_lines_benchmark_loses_no_line() {
    let measured = lines::run(lines::Size {
        cards: 300,
        days: 1,
        rounds: 1,
        lines: 500,
    });
    assert_eq!(measured.read, measured.applied + measured.rejects);
    assert_eq!(measured.lines, measured.round);
    assert!(measured.bytes_out > 0 && measured.bytes_in > measured.lines * 200);
    assert!(lines::table(&[measured]).to_string().contains("| 300 |"));
}

#[test]
fn the_replay_benchmark_gets_one_digest_from_one_and_two_shards() {
    let measured = replay::run(replay::Size {
        cards: 200,
        events: 3_000,
        rounds: 1,
    });
    let [one, two] = &measured.shards[..] else {
        panic!("{measured:?}");
    };
    assert_eq!(one.3.events_read, 3_000);
    assert_eq!(one.3.events_read, one.3.events_applied + one.3.rejects);
    assert_eq!(one.3.digest, two.3.digest);
    assert!(replay::table(&measured).to_string().contains("3,000"));
}

#[test]
fn the_memory_benchmark_counts_every_cardholder_and_no_section_twice() {
    let measured = memory::run(memory::Size {
        cards: 300,
        days: 2,
    });
    assert_eq!(measured.bound.0, 300);
    for rest in &measured.rests {
        assert_eq!(rest.cardholders, 300);
        let all: usize = rest.bytes.iter().sum();
        assert!(rest.sections.iter().sum::<u64>() < u64::try_from(all).unwrap());
        assert!(rest.bytes.is_sorted());
    }
    assert_eq!(memory::tables(&measured)[0].rows.len(), 2);
}

#[test]
fn the_outage_benchmark_sees_every_decision_and_loses_no_mail() {
    for post in outage::Post::ALL {
        let measured = outage::run(outage::Size {
            post,
            rate: 400,
            seconds: 1,
            warm: 1,
        });
        assert_eq!(measured.seen.len(), 400, "{post:?}");
        let (sent, waiting) = match post {
            outage::Post::Nobody => (0, 0),
            outage::Post::Well => (8, 0),
            outage::Post::Out => (0, 8),
        };
        assert_eq!(measured.alerts, i64::try_from(sent).unwrap() + waiting);
        assert_eq!(
            (measured.sent, measured.queued),
            (sent, waiting),
            "{post:?}"
        );
        assert_eq!(outage::table(&[measured]).rows.len(), 1);
    }
}

#[test]
fn the_rules_benchmark_has_the_books_that_it_names() {
    let measured = rules::run(rules::Size {
        cards: 200,
        days: 1,
        rounds: 1,
        events: 300,
    });
    assert_eq!(measured.first().unwrap().rules, 24);
    assert_eq!(measured.last().unwrap().rules, 100);
    assert!(measured.windows(2).all(|two| two[0].rules < two[1].rules));
    assert!(measured.iter().all(|m| m.tally.events == m.round));
    assert!(rules::ratio(&measured) > 0.0);
}

#[test]
fn the_ask_benchmark_gets_an_answer_to_every_question() {
    for rate in [Some(200), None] {
        let measured = ask::run(ask::Size {
            cards: 200,
            before: 2_000,
            rate,
            seconds: 1,
            connections: 2,
            ingest: 100,
            pin: false,
        });
        assert_eq!(measured.errors, 0);
        assert_eq!(measured.response.len(), measured.service.len());
        assert!(
            rate.is_none() || measured.response.len() == 200,
            "{measured:?}"
        );
        // No answer can come sooner after its due moment than after it was asked for.
        assert!(measured.service.min() <= measured.response.max());
        assert!(ask::table(&[measured]).rows.len() == 2);
    }
}

#[test]
fn the_console_benchmark_opens_every_page_as_often_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let measured = console::run(&console::Size {
        alerts: 300,
        rounds: 6,
        place: varsel::config::Store::File(folder.path().join("varsel.db")),
    })
    .unwrap();
    assert_eq!(measured.pages.len(), 12);
    assert!(measured.pages.iter().all(|(_, times)| times.len() == 6));
    assert!(
        console::table(&measured, "SQLite")
            .to_string()
            .contains("300 alerts")
    );
}
