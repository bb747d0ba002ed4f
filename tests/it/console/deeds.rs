//! Deeds, and what becomes of them: in the log, in the topics, in the store, in the audit log. What is refused before it
//! is looked at stands in `forms`.

use super::*;
use varsel::api::audit;
use varsel::store::alerts::{self, Alert, Hold};
use varsel::store::notes;

/// A hold of an episode that is not over.
fn standing(world: &World, id: &str) -> Option<String> {
    let story = world.store(|tx| alerts::story(tx, id)).unwrap();
    let mut holds = story.holds.iter().filter_map(|line| Hold::read(line));
    let standing = holds.find(|hold| !matches!(hold.state.as_str(), "released" | "expired"));
    standing.map(|hold| hold.id)
}

/// An episode that is open, with a hold that stands.
fn held(world: &World) -> (String, String) {
    world.until(|_| held_now(world).is_some());
    held_now(world).expect("the case of 2018 has a hold")
}

fn held_now(world: &World) -> Option<(String, String)> {
    world.episodes().into_iter().find_map(|id| {
        let line = world.store(|tx| alerts::story(tx, &id)).unwrap().line;
        let is_open = !Alert::read(&line).unwrap().is_closed();
        let hold = standing(world, &id).filter(|_| is_open)?;
        Some((id, hold))
    })
}

fn is_closed(store: &mut Store, id: &str) -> bool {
    let story = store.look(|tx| alerts::story(tx, id)).unwrap().unwrap();
    Alert::read(&story.line).unwrap().is_closed()
}

#[test]
fn a_disposition_is_an_event_of_the_log_ends_the_episode_and_where_all_is_good_its_holds() {
    let world = World::new();
    let (id, hold) = held(&world);
    let mut anna = world.visit("anna");
    let case = format!("/console/cases/{id}");
    assert_eq!(anna.get(&case).status, 200);
    let path = format!("{case}/disposition");
    let fields = [
        ("verdict", "fraud"),
        ("reason", "  "),
        ("by", "somebody else"),
    ];
    let answer = anna.submit(&path, &fields);
    assert_eq!(answer.leads_to(), format!("{case}?said=no-reason"));
    assert!(world.logged("disposition").is_empty());
    let fields = [("verdict", "good"), ("reason", "it was her, on a journey")];
    for _ in 0..2 {
        // Sent twice: one disposition.
        let answer = anna.submit(&path, &fields);
        assert_eq!(answer.leads_to(), format!("{case}?said=disposed"));
    }
    world.until(|store| is_closed(store, &id));
    let logged = world.logged("disposition");
    let ids: std::collections::BTreeSet<String> =
        logged.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{logged:?}");
    let event = &logged[0];
    assert_eq!(event["subject"]["alert"], id.as_str());
    assert_eq!(event["verdict"], "good");
    assert_eq!(
        (event["by"].as_str(), event["reason"].as_str()),
        (Some("anna"), Some("it was her, on a journey"))
    );
    // What was fraud stays held.
    world.until(|_| standing(&world, &id).as_deref() != Some(&hold));
    let found = world.store(|tx| notes::dispositions_of(tx, &id));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].verdict.as_str(), found[0].person.as_str()),
        ("good", "anna")
    );
    assert_eq!(event["id"], found[0].id.as_str());

    let log = world.audited();
    let (lines, _) = audit::verify(log.as_bytes()).unwrap();
    assert!(lines >= 4, "{log}");
    for noted in [
        r#""who":"anna","call":"log-in""#.to_owned(),
        format!(r#""who":"anna","call":"viewed {id}""#),
        format!(r#""who":"anna","call":"disposition {id}""#),
        r#""reason":"it was her, on a journey","verdict":"good""#.to_owned(),
    ] {
        assert!(log.contains(&noted), "{noted} in {log}");
    }
    assert_eq!(log.matches("\"call\":\"viewed ").count(), 1, "{log}");
}

#[test]
fn a_hold_is_released_with_a_reason_by_way_of_the_log_and_only_from_its_own_case() {
    let world = World::new();
    let (id, hold) = held(&world);
    let mut anna = world.visit("anna");
    let case = format!("/console/cases/{id}");
    let release = |anna: &mut Browser, id: &str, hold: &str, reason: &str| {
        let path = format!("/console/cases/{id}/release");
        anna.submit(&path, &[("hold", hold), ("reason", reason)])
    };
    let answer = release(&mut anna, &id, &hold, "");
    assert_eq!(answer.leads_to(), format!("{case}?said=no-reason"));
    let other = format!("{:032x}", 9);
    assert_eq!(release(&mut anna, &other, &hold, "wrong case").status, 404);
    assert_eq!(release(&mut anna, &id, &other, "no such hold").status, 404);
    let long = "x".repeat(513);
    let answer = release(&mut anna, &id, &hold, &long);
    assert_eq!(answer.leads_to(), format!("{case}?said=bad_request"));
    assert!(
        world
            .logged("hold")
            .iter()
            .all(|step| step["action"] != "released")
    );
    let answer = release(&mut anna, &id, &hold, "she called us");
    assert_eq!(answer.leads_to(), format!("{case}?said=released"));
    let steps = world.logged("hold");
    let step = steps
        .iter()
        .find(|step| step["action"] == "released")
        .unwrap();
    assert_eq!(step["hold"], hold.as_str());
    assert_eq!(
        (step["by"].as_str(), step["reason"].as_str()),
        (Some("anna"), Some("she called us"))
    );
    world.until(|_| standing(&world, &id).as_deref() != Some(&hold));
    assert!(world.audited().contains(&format!("released {hold}")));
    // The decision shows it, as a replay of the log would.
    let holds = world.bank.lines(&world.bank.config.topics.holds);
    assert!(
        holds
            .iter()
            .any(|line| line.contains(&hold) && line.contains("\"released\""))
    );
}

#[test]
fn of_two_who_claim_a_case_one_has_it_and_the_other_is_told_who() {
    let world = World::new();
    let id = world.episodes().remove(0);
    let case = format!("/console/cases/{id}");
    let path = format!("{case}/claim");
    let claimants: Vec<(&str, Browser)> = ["anna", "bo"]
        .map(|name| (name, world.visit(name)))
        .into_iter()
        .collect();
    // At the same time.
    let told: Vec<(String, String)> = std::thread::scope(|scope| {
        let threads: Vec<_> = claimants
            .into_iter()
            .map(|(name, mut browser)| {
                let path = &path;
                scope.spawn(move || {
                    (
                        name.to_owned(),
                        browser.submit(path, &[]).leads_to().to_owned(),
                    )
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let holder = world.store(|tx| notes::claim_of(tx, &id)).unwrap().person;
    for (name, place) in told {
        let said = if name == holder { "claimed" } else { "taken" };
        assert_eq!(
            place,
            format!("{case}?said={said}"),
            "{name}, {holder} has it"
        );
    }
    let second = if holder == "anna" { "bo" } else { "anna" };
    let mut browser = world.visit(second);
    let page = browser.get(&format!("{case}?said=taken"));
    assert!(
        page.text
            .contains(&format!("{holder} already has this case")),
        "{}",
        page.text
    );
    // Giving back is for the holder alone; taking over names from whom.
    let answer = browser.submit(&format!("{case}/give-back"), &[]);
    assert_eq!(answer.leads_to(), format!("{case}?said=taken"));
    let answer = browser.submit(&path, &[("instead_of", "nobody")]);
    assert_eq!(answer.leads_to(), format!("{case}?said=taken"));
    let answer = browser.submit(&path, &[("instead_of", &holder)]);
    assert_eq!(answer.leads_to(), format!("{case}?said=claimed"));
    assert_eq!(
        world.store(|tx| notes::claim_of(tx, &id)).unwrap().person,
        second
    );
    let answer = browser.submit(&format!("{case}/give-back"), &[]);
    assert_eq!(answer.leads_to(), format!("{case}?said=given-back"));
    assert!(world.store(|tx| notes::claim_of(tx, &id)).is_none());
    assert!(
        world
            .audited()
            .contains(&format!("claim {id} instead of {holder}"))
    );
}
