//! Getting in, staying in, getting out: passwords, sessions, their ends. Time that passes is written into the store,
//! since nobody waits here.

use super::*;
use varsel::console::door::{Needs, ROUTES};
use varsel::console::session::Token;
use varsel::store::sessions;

/// The session that a browser shows, by its name in the store.
fn session_of(browser: &Browser) -> String {
    Token::read(&browser.cookies["varsel"]).unwrap().id()
}

fn is_in(browser: &mut Browser) -> bool {
    browser.get("/console/queue").status == 200
}

#[test]
fn who_is_not_logged_in_sees_the_log_in_page_and_nothing_else() {
    let world = World::new();
    let id = world.episodes().remove(0);
    let mut nobody = world.browser();
    for route in ROUTES.iter().filter(|route| route.needs != Needs::Nothing) {
        let path = route.path.replace("{id}", &id);
        if route.method == "POST" {
            assert_eq!(nobody.post(&path, &[]).status, 401, "{path}");
            continue;
        }
        let answer = nobody.get(&path);
        if route.by_itself {
            assert_eq!(answer.status, 401, "{path}");
        } else {
            assert!(answer.leads_to().starts_with("/console/log-in"), "{path}");
        }
        assert!(!answer.text.contains("p-case-144-2018"), "{path}");
    }
    let case = format!("/console/cases/{id}");
    let back = nobody.get(&case).leads_to().to_owned();
    // After the log-in the case is shown that was asked for.
    let page = nobody.get(&back);
    assert!(
        page.text
            .contains(&format!("name=\"back\" value=\"{case}\""))
    );
    let csrf = page.csrf();
    let fields = [
        ("csrf", csrf.as_str()),
        ("name", "anna"),
        ("password", PASSWORD),
        ("back", &case),
    ];
    assert_eq!(nobody.post("/console/log-in", &fields).leads_to(), case);
    let mut lured = world.browser();
    let csrf = lured.get("/console/log-in").csrf();
    let mut fields = fields;
    fields[0].1 = &csrf;
    fields[3].1 = "https://evil.example/console/";
    let answer = lured.post("/console/log-in", &fields);
    assert_eq!(answer.leads_to(), "/console/queue");
}

#[test]
fn a_wrong_name_and_a_wrong_password_are_told_alike_and_attempts_are_limited() {
    let world = World::with(&[]);
    let mut browser = world.browser();
    let wrong = browser.try_log_in("anna", "wrong horse battery");
    let unknown = browser.try_log_in("nobody", "wrong horse battery");
    assert_eq!((wrong.status, unknown.status), (403, 403));
    assert_eq!(wrong.text, unknown.text);
    let mut statuses: Vec<u16> = Vec::new();
    for _ in 0..10 {
        statuses.push(browser.try_log_in("anna", "guessed again 123").status);
    }
    assert_eq!(statuses, [403, 403, 403, 403, 403, 403, 403, 403, 403, 429]);
    // Not even the right one: else the answer would tell that it is right.
    let right = browser.try_log_in("anna", PASSWORD);
    assert_eq!((right.status, right.text), (429, wrong.text));
    assert!(!browser.cookies.contains_key("varsel"));
    // Others at the same address are not shut out.
    world.visit("bo");
    assert!(!world.audited().contains("guessed"));
}

#[test]
fn no_password_no_role_and_disabled_users_do_not_get_in() {
    let world = World::with(&[]);
    let mut empty = person("empty", "analyst");
    empty.password = String::new();
    let mut disabled = person("disabled", "analyst");
    disabled.is_disabled = true;
    for person in [empty, disabled, person("machine", "acs")] {
        world.store(|tx| people::add(tx, &person, clock::now_ms()));
        for password in ["", PASSWORD] {
            let answer = world.browser().try_log_in(&person.name, password);
            assert_eq!(answer.status, 403, "{}", person.name);
        }
    }
}

#[test]
fn a_session_that_somebody_else_has_chosen_is_never_taken_over() {
    let world = World::with(&[]);
    let mut browser = world.browser();
    let planted = "A".repeat(43);
    browser.cookies.insert("varsel".to_owned(), planted.clone());
    assert!(!is_in(&mut browser));
    browser.try_log_in("anna", PASSWORD);
    assert_ne!(browser.cookies["varsel"], planted);
    assert!(is_in(&mut browser));
    let mut attacker = world.browser();
    attacker.cookies.insert("varsel".to_owned(), planted);
    assert!(!is_in(&mut attacker));
    // Who logs in again has one session, and it is a new one.
    let mut before = browser.clone();
    browser.try_log_in("bo", PASSWORD);
    assert!(is_in(&mut browser) && !is_in(&mut before));
    assert_ne!(before.cookies["varsel"], browser.cookies["varsel"]);
}

#[test]
fn a_session_ends_when_nobody_is_there_at_its_time_and_at_log_out() {
    let world = World::with(&[]);
    let now_ms = clock::now_ms();
    let minute = 60_000;
    let mut idle = world.visit("anna");
    let id = session_of(&idle);
    world.store(|tx| sessions::saw(tx, &id, now_ms - 14 * minute));
    assert!(is_in(&mut idle), "a page was asked for in time");
    world.store(|tx| sessions::saw(tx, &id, now_ms - 16 * minute));
    assert!(!is_in(&mut idle));

    // What a page asks for by itself does not show that anybody is there.
    let mut open = world.visit("anna");
    let id = session_of(&open);
    let seen_ms = now_ms - 10 * minute;
    world.store(|tx| sessions::saw(tx, &id, seen_ms));
    assert_eq!(open.get("/console/queue/rows").status, 200);
    let seen = world.store(|tx| sessions::find(tx, &id, now_ms, 15 * minute));
    assert_eq!(seen.unwrap().seen_ms, seen_ms);
    assert!(is_in(&mut open));
    let seen = world.store(|tx| sessions::find(tx, &id, now_ms, 15 * minute));
    assert!(seen.unwrap().seen_ms >= now_ms);

    // Twelve hours are enough, however busy.
    let later = now_ms + 13 * 60 * minute;
    world.store(|tx| sessions::saw(tx, &id, later - minute));
    assert!(
        world
            .store(|tx| sessions::find(tx, &id, later, 15 * minute))
            .is_none()
    );

    let mut out = world.visit("bo");
    let mut stolen = out.clone();
    assert!(is_in(&mut stolen));
    let answer = out.submit("/console/log-out", &[]);
    assert_eq!(answer.leads_to(), "/console/log-in?said=logged-out");
    assert!(!out.cookies.contains_key("varsel"));
    assert!(
        !is_in(&mut stolen),
        "the session is over, not only its cookie"
    );
}

#[test]
fn who_is_disabled_or_given_another_role_is_out_at_once() {
    let world = World::with(&[]);
    let mut anna = world.visit("anna");
    assert!(is_in(&mut anna));
    let mut changed = person("anna", "analyst");
    changed.is_disabled = true;
    assert!(world.store(|tx| people::change(tx, &changed, clock::now_ms())));
    assert!(!is_in(&mut anna));
    let mut bo = world.visit("bo");
    world.store(|tx| people::change(tx, &person("bo", "read_only"), clock::now_ms()));
    assert!(!is_in(&mut bo));
    let mut reader = world.visit("reader");
    assert!(world.store(|tx| people::remove(tx, "reader")));
    assert!(!is_in(&mut reader));
}

#[test]
fn every_answer_forbids_what_a_page_of_ours_never_needs() {
    let world = World::new();
    let mut anna = world.visit("anna");
    let case = format!("/console/cases/{}", world.episodes()[0]);
    let mut nobody = world.browser();
    let answers = [
        anna.get("/console/queue"),
        anna.get(&case),
        anna.get("/console/cases/none"),
        anna.get("/console/assets/console.js"),
        anna.get("/console/assets/none"),
        anna.post("/console/look", &[]),
        nobody.get("/console/queue"),
        nobody.get("/console/log-in"),
    ];
    for answer in answers {
        let policy = answer.header("content-security-policy");
        let wanted = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
        assert_eq!(policy, wanted, "{answer:?}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let kind = answer.header("content-type");
        let is_asset = kind.starts_with("text/javascript");
        let cached = if is_asset { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), cached, "{answer:?}");
    }
    let mut fresh = world.browser();
    let answer = fresh.try_log_in("anna", PASSWORD);
    let cookies: Vec<&String> = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value)
        .collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    for cookie in cookies {
        assert!(cookie.contains("; HttpOnly; SameSite=Strict"), "{cookie}");
    }
    // Of the session's cookie the store knows only a hash.
    let token = &fresh.cookies["varsel"];
    if let Place::File(path) = &world.place {
        for file in [path.clone(), path.with_extension("db-wal")] {
            let bytes = std::fs::read(file).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&bytes).contains(token.as_str()));
        }
    }
}

#[test]
fn behind_tls_cookies_are_for_this_host_and_tls_alone_and_forms_must_come_from_there() {
    let world = World::changed(&[], |config| {
        let origin = "https://varsel.bank.example".to_owned();
        config.console.as_mut().unwrap().origin = Some(origin);
    });
    let own = [("origin", "https://varsel.bank.example")];
    let mut browser = world.browser().saying(&own);
    let answer = browser.try_log_in("anna", PASSWORD);
    assert_eq!(answer.leads_to(), "/console/queue");
    for (_, cookie) in answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie")
    {
        let is_bound = cookie.starts_with("__Host-varsel") && cookie.contains("; Path=/; ");
        assert!(is_bound && cookie.contains("; Secure"), "{cookie}");
    }
    assert!(is_in(&mut browser));
    // A cookie under the plain name, as a neighbour of this host could set it, is none.
    let mut plain = world.browser();
    let token = browser.cookies["__Host-varsel"].clone();
    plain.cookies.insert("varsel".to_owned(), token);
    assert!(!is_in(&mut plain));
    let csrf = browser.get("/console/queue").csrf();
    let here = format!("http://{}", world.address);
    let mut other = browser.saying(&[("origin", &here)]);
    assert_eq!(
        other.post("/console/log-out", &[("csrf", &csrf)]).status,
        403
    );
    assert_eq!(
        browser.post("/console/log-out", &[("csrf", &csrf)]).status,
        303
    );
}

#[test]
fn who_follows_a_link_from_elsewhere_is_not_asked_to_log_in_again() {
    let world = World::new();
    let mut anna = world.visit("anna");
    let case = format!("/console/cases/{}", world.episodes()[0]);
    // A strict cookie stays behind when another site sends the browser here.
    let mut sent = world.browser().saying(&[("sec-fetch-site", "cross-site")]);
    let answer = sent.get(&case);
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("http-equiv=\"refresh\""));
    assert!(!answer.text.contains("p-case-144-2018"));
    assert_eq!(anna.get(&case).status, 200);
}
