//! Forms of others, and roles: what is not the session's own form, or not the role's to do, changes nothing, in the
//! store, in the log, anywhere.

use super::*;
use varsel::console::door::{Needs, ROUTES};
use varsel::store::notes;

/// What everybody could do to a case, as forms.
fn deeds(id: &str) -> [(String, Vec<(&'static str, &'static str)>); 4] {
    let path = |deed: &str| format!("/console/cases/{id}/{deed}");
    [
        (path("claim"), vec![]),
        (path("note"), vec![("text", "called the customer")]),
        (
            path("disposition"),
            vec![("verdict", "good"), ("reason", "it was her")],
        ),
        (path("give-back"), vec![]),
    ]
}

/// Whether nothing was done to a case.
fn is_untouched(world: &World, id: &str) -> bool {
    let done = world.store(|tx| {
        let claim = notes::claim_of(tx, id)?;
        Ok((
            claim,
            notes::notes_of(tx, id)?,
            notes::dispositions_of(tx, id)?,
        ))
    });
    done == (None, vec![], vec![]) && world.logged("disposition").is_empty()
}

#[test]
fn a_form_without_the_sessions_own_token_changes_nothing() {
    let world = World::new();
    let id = world.episodes().remove(0);
    let mut anna = world.visit("anna");
    let mut bo = world.visit("bo");
    let others = bo.get("/console/queue").csrf();
    let at_door = world.browser().get("/console/log-in").csrf();
    for (path, fields) in deeds(&id) {
        for csrf in [
            None,
            Some(""),
            Some("guessed"),
            Some(&*others),
            Some(&*at_door),
        ] {
            let mut all: Vec<(&str, &str)> = csrf.map(|csrf| ("csrf", csrf)).into_iter().collect();
            all.extend_from_slice(&fields);
            let answer = anna.post(&path, &all);
            assert_eq!(answer.status, 403, "{path} {csrf:?}");
        }
    }
    assert_eq!(
        anna.post("/console/log-out", &[("csrf", &others)]).status,
        403
    );
    assert_eq!(anna.get("/console/queue").status, 200, "still logged in");
    let mut stranger = world.browser();
    let fields = [("name", "anna"), ("password", PASSWORD), ("csrf", "x")];
    assert_eq!(stranger.post("/console/log-in", &fields).status, 403);
    assert!(is_untouched(&world, &id));
}

#[test]
fn a_form_that_another_site_sent_changes_nothing_even_with_the_right_token() {
    let world = World::new();
    let id = world.episodes().remove(0);
    let mut anna = world.visit("anna");
    let csrf = anna.get("/console/queue").csrf();
    let foreign = [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example")],
        [("origin", "null")],
    ];
    for says in foreign {
        for (path, fields) in deeds(&id) {
            let mut all = vec![("csrf", csrf.as_str())];
            all.extend_from_slice(&fields);
            let answer = anna.saying(&says).post(&path, &all);
            assert_eq!(answer.status, 403, "{path} {says:?}");
        }
    }
    assert!(is_untouched(&world, &id));
    let own = format!("http://{}", world.address);
    let mut older = anna.saying(&[("origin", &own)]);
    let (path, _) = &deeds(&id)[0];
    let answer = older.post(path, &[("csrf", &csrf)]);
    assert_eq!(
        answer.leads_to(),
        format!("/console/cases/{id}?said=claimed")
    );
}

#[test]
fn a_role_sees_every_page_and_does_what_it_may_and_nothing_else() {
    let world = World::new();
    let id = world.episodes().remove(0);
    for name in ["audrey", "reader", "rasmus"] {
        let mut visitor = world.visit(name);
        for route in ROUTES {
            let path = route.path.replace("{id}", &id);
            let is_page = route.needs == Needs::Session && route.method == "GET";
            if is_page && !route.by_itself && path.len() > "/console/".len() {
                assert_eq!(visitor.get(&path).status, 200, "{name} {path}");
            }
            if route.needs == Needs::Decides {
                assert_eq!(visitor.submit(&path, &[]).status, 403, "{name} {path}");
            }
        }
        for (path, fields) in deeds(&id) {
            assert_eq!(visitor.submit(&path, &fields).status, 403, "{name} {path}");
        }
        assert!(is_untouched(&world, &id), "{name}");
    }
    for name in ["admin", "anna"] {
        let mut visitor = world.visit(name);
        for (path, fields) in deeds(&id) {
            let answer = visitor.submit(&path, &fields);
            assert!(
                answer.leads_to().starts_with("/console/cases/"),
                "{name} {path}"
            );
        }
    }
    assert_eq!(world.logged("disposition").len(), 2);
}

#[test]
fn forms_that_are_too_large_or_no_forms_are_refused() {
    let world = World::new();
    let id = world.episodes().remove(0);
    let mut anna = world.visit("anna");
    let long = "x".repeat(20_000);
    let path = format!("/console/cases/{id}/note");
    assert_eq!(anna.submit(&path, &[("text", &long)]).status, 400);
    let fits = "x".repeat(4_001);
    let answer = anna.submit(&path, &[("text", &fits)]);
    assert!(answer.leads_to().ends_with("?said=too-long"));
    let unknown = format!("/console/cases/{:032x}/claim", 7);
    assert_eq!(anna.submit(&unknown, &[]).status, 404);
    for strange in ["..%2f..", "x", "%00"] {
        let path = format!("/console/cases/{strange}/claim");
        assert_eq!(anna.submit(&path, &[]).status, 404, "{strange}");
    }
    assert!(is_untouched(&world, &id));
}
