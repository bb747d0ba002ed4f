//! Log-in by way of an OpenID Connect provider, against one in this process: who gets in, as whom, and all the ways in
//! which nobody does. Whatever goes wrong, nothing is made: no session, no user.

use super::browser::Answer;
use super::provider::{CLIENT, ORIGIN, Provider, SECRET, Signed};
use super::*;
use serde_json::{Value, json};
use varsel::console::session::Token;
use varsel::store::trips;

const SESSION: &str = "__Host-varsel";
const TRIP: &str = "__Host-varsel-trip";

/// A console beside a provider.
struct Inn {
    world: World,
    provider: Provider,
    _dir: TempDir,
}

impl Inn {
    fn new() -> Self {
        Self::with(Provider::start(), "")
    }

    /// So, with more lines in `[console.oidc]`.
    fn with(provider: Provider, more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
        let by_secret = format!("client_secret_file = \"{}\"\n", secret.display());
        let is_public = provider.ways().is_public;
        let text = format!(
            "[kafka]\nbootstrap = \"b:1\"\n[api]\naudit_file = \"a\"\n[console]\norigin = \"{ORIGIN}\"\n\
             [console.oidc]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nname = \"Bank & Co\"\n{}{more}\n\
             [console.oidc.roles]\nanalyst = [\"fraud-analysts\"]\nauditor = [\"audit\"]\n",
            provider.issuer(),
            if is_public { "" } else { &by_secret },
        );
        let console = Config::parse("varsel.toml", &text).unwrap().console;
        let world = World::changed(&[], |config| config.console = console);
        Self {
            world,
            provider,
            _dir: dir,
        }
    }

    fn browser(&self) -> Browser {
        self.world.browser()
    }

    /// Sends a browser out; the way back that the provider gives it.
    fn out(&self, browser: &mut Browser) -> String {
        let answer = browser.get("/console/oidc/start?back=/console/overview");
        let way = answer.leads_to().strip_prefix(self.provider.issuer());
        self.at_provider(way.unwrap())
    }

    fn at_provider(&self, way: &str) -> String {
        let mut there = Browser::new(self.provider.address());
        let answer = there.get(way);
        assert_eq!(answer.status, 302, "{}", answer.text);
        let back = answer.header("location").strip_prefix(ORIGIN).unwrap();
        back.to_owned()
    }

    /// A whole log-in; the answer as it came.
    fn log_in(&self, browser: &mut Browser) -> Answer {
        let back = self.out(browser);
        browser.come(&back)
    }

    /// Somebody who is in.
    fn visit(&self) -> Browser {
        let mut browser = self.browser();
        let answer = self.log_in(&mut browser);
        assert_eq!(answer.status, 200, "{}", answer.text);
        browser
    }

    fn claim(&self, claims: Value) {
        self.provider.ways().claims = claims;
    }

    fn person(&self, name: &str) -> Option<Person> {
        self.world.store(|tx| people::find(tx, name))
    }

    /// That an answer turns somebody away, in these words, and that it made nothing.
    fn is_away(&self, browser: &mut Browser, answer: &Answer, status: u16, words: &str) {
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.text.contains(words), "{words}: {}", answer.text);
        assert!(answer.text.contains("href=\"/console/log-in\""));
        assert!(!browser.cookies.contains_key(SESSION), "{words}");
        assert!(!is_in(browser));
        assert_eq!(self.person("eva"), None, "{words}");
    }
}

fn is_in(browser: &mut Browser) -> bool {
    browser.get("/console/queue").status == 200
}

/// The `set-cookie` headers of an answer.
fn cookies(answer: &Answer) -> Vec<&str> {
    let set = answer
        .headers
        .iter()
        .filter(|(name, _)| name == "set-cookie");
    set.map(|(_, value)| value.as_str()).collect()
}

#[test]
fn who_has_a_role_at_the_provider_is_in_with_it_and_nothing_of_the_way_there_leaks() {
    let inn = Inn::new();
    let mut eva = inn.browser();
    let page = eva.get("/console/log-in").text;
    assert!(page.contains("Log in with Bank &#38; Co"), "{page}");
    assert!(page.contains("href=\"/console/oidc/start?back=\""));
    let answer = eva.get("/console/oidc/start?back=/console/overview");
    let way = answer.leads_to().to_owned();
    for there in [
        "code_challenge_method=S256",
        "response_type=code",
        "state=",
        "nonce=",
    ] {
        assert!(way.contains(there), "{there}: {way}");
    }
    let [cookie] = cookies(&answer)[..] else {
        panic!("{answer:?}")
    };
    assert!(cookie.starts_with(TRIP), "{cookie}");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"));
    let token = Token::read(&eva.cookies[TRIP]).unwrap();
    let secrets = [eva.cookies[TRIP].clone(), token.verifier(), token.trip()];
    assert!(!secrets.iter().any(|secret| way.contains(secret)), "{way}");

    let back = inn.at_provider(way.strip_prefix(inn.provider.issuer()).unwrap());
    let answer = eva.come(&back);
    assert_eq!(answer.status, 200, "{}", answer.text);
    // No redirect: the strict cookie would stay behind.
    assert!(
        answer
            .text
            .contains("http-equiv=\"refresh\" content=\"0;url=/console/overview\"")
    );
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
    assert_eq!(answer.header("cache-control"), "no-store");
    let set = cookies(&answer);
    assert!(set[0].starts_with(SESSION) && set[0].contains("; SameSite=Strict; Secure"));
    assert!(
        set.iter()
            .any(|cookie| cookie.starts_with(TRIP) && cookie.contains("Max-Age=0"))
    );
    assert!(!answer.text.contains("code-1") && !eva.cookies.contains_key(TRIP));
    let exchange = inn.provider.ways().exchanges.remove(0);
    assert_eq!(exchange["code_verifier"], token.verifier());
    assert!(!inn.world.audited().contains("code-1"));
    // Of what the browser showed nothing is in the store.
    if let Place::File(path) = &inn.world.place {
        for file in [path.clone(), path.with_extension("db-wal")] {
            let bytes = std::fs::read(file).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            assert!(!text.contains(&secrets[0]) && !text.contains(&secrets[1]));
        }
    }
    assert!(is_in(&mut eva));
}

#[test]
fn who_comes_by_way_of_a_provider_is_known_here_by_what_it_calls_them_and_has_no_password() {
    let inn = Inn::new();
    let queue = inn.visit().get("/console/queue").text;
    assert!(queue.contains("eva <small>analyst</small>"), "{queue}");
    let person = inn.person("eva").unwrap();
    assert_eq!((&*person.role, &*person.password), ("analyst", ""));
    let vouches = person.provider.unwrap();
    let issuer = inn.provider.issuer();
    assert_eq!((&*vouches.issuer, &*vouches.subject), (issuer, "sub-eva"));
    let told = "\"who\":\"eva\",\"call\":\"log-in by OpenID Connect\"";
    assert!(inn.world.audited().contains(told));
    for password in ["", PASSWORD, SECRET] {
        assert_eq!(inn.browser().try_log_in("eva", password).status, 403);
    }
}

#[test]
fn an_id_token_that_does_not_stand_up_to_the_check_logs_nobody_in() {
    let inn = Inn::new();
    let now_s = clock::now_ms() / 1_000;
    let issuer = inn.provider.issuer().to_owned();
    let claims = [
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"aud": "another"}),
        json!({"aud": [CLIENT, "another"]}),
        json!({"aud": [CLIENT], "azp": "another"}),
        json!({"exp": now_s - 1}),
        json!({"iss": "https://id.bank.example"}),
        json!({"iss": format!("{issuer}/")}),
        json!({"sub": ""}),
    ];
    let words = "does not stand up to a check";
    for claims in claims {
        inn.claim(claims.clone());
        let mut browser = inn.browser();
        let answer = inn.log_in(&mut browser);
        inn.is_away(&mut browser, &answer, 403, words);
    }
    inn.claim(json!({}));
    for signed in [
        Signed::Stranger,
        Signed::Not,
        Signed::Secret,
        Signed::Confused,
    ] {
        inn.provider.ways().signed = signed;
        let mut browser = inn.browser();
        let answer = inn.log_in(&mut browser);
        inn.is_away(&mut browser, &answer, 403, words);
    }
    // Of claims that must be there the lack is told as an answer of no use.
    inn.provider.ways().signed = Signed::Rsa;
    inn.claim(json!({"exp": null}));
    let mut browser = inn.browser();
    let answer = inn.log_in(&mut browser);
    inn.is_away(&mut browser, &answer, 502, "does not answer as it should");
    inn.claim(json!({}));
    assert!(is_in(&mut inn.visit()));
}

#[test]
fn nobody_comes_back_who_did_not_set_out_from_here_and_nobody_twice() {
    let inn = Inn::new();
    let words = "was begun in another browser";
    // The way back of an attacker's own log-in, in the browser of somebody else, on their way or not.
    let planted = inn.out(&mut inn.browser());
    let mut victim = inn.browser();
    let answer = victim.come(&planted);
    inn.is_away(&mut victim, &answer, 403, words);
    inn.out(&mut victim);
    let answer = victim.come(&planted);
    inn.is_away(&mut victim, &answer, 403, words);
    // Without state, with another, twice with any.
    let mut browser = inn.browser();
    let back = inn.out(&mut browser);
    let state = back.split("state=").nth(1).unwrap();
    let state = state.split('&').next().unwrap();
    for (strange, status) in [
        (back.replace(state, ""), 403),
        (back.replace(state, &"A".repeat(43)), 403),
        (back.replace("state=", "st="), 403),
        (format!("{back}&state=x"), 400),
    ] {
        let mut other = browser.clone();
        assert_eq!(other.come(&strange).status, status, "{strange}");
        assert!(!other.cookies.contains_key(SESSION));
    }
    assert!(
        inn.provider.ways().exchanges.is_empty(),
        "no code was spent on it"
    );
    let mut again = browser.clone();
    assert_eq!(browser.come(&back).status, 200);
    assert!(is_in(&mut browser));
    let answer = again.come(&back);
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains(words) && !again.cookies.contains_key(SESSION));
    assert_eq!(inn.provider.ways().exchanges.len(), 1);
    // Ten minutes are enough.
    let mut slow = inn.browser();
    let back = inn.out(&mut slow);
    let id = Token::read(&slow.cookies[TRIP]).unwrap().trip();
    let begun_ms = clock::now_ms() - trips::LASTS_MS;
    inn.world.store(|tx| {
        let trip = trips::end(tx, &id, clock::now_ms())?.unwrap();
        trips::begin(tx, &id, &trip, begun_ms)
    });
    assert_eq!(slow.come(&back).status, 403);
    assert!(!slow.cookies.contains_key(SESSION));
}

#[test]
fn a_code_that_was_stolen_is_of_no_use_to_another_browser() {
    let inn = Inn::new();
    let code_of = |back: &str| {
        let code = back.split("code=").nth(1).unwrap();
        code.split('&').next().unwrap().to_owned()
    };
    let victims = inn.out(&mut inn.browser());
    let mut thief = inn.browser();
    let own = inn.out(&mut thief);
    // The thief's own state and the victim's code: the proof of who asked (PKCE) is the thief's.
    let mixed = own.replace(&code_of(&own), &code_of(&victims));
    let answer = thief.come(&mixed);
    inn.is_away(&mut thief, &answer, 403, "Nobody was logged in");
    assert_eq!(inn.provider.ways().exchanges.len(), 1);
}

#[test]
fn a_session_that_the_browser_had_before_is_never_kept() {
    let inn = Inn::new();
    let mut browser = inn.browser();
    let planted = "A".repeat(43);
    browser.cookies.insert(SESSION.to_owned(), planted.clone());
    assert_eq!(inn.log_in(&mut browser).status, 200);
    assert_ne!(browser.cookies[SESSION], planted);
    assert!(is_in(&mut browser));
    let mut attacker = inn.browser();
    attacker.cookies.insert(SESSION.to_owned(), planted);
    assert!(!is_in(&mut attacker));
    // A session that is in force is over when its browser comes back, though it does not show it then.
    let mut before = browser.clone();
    assert_eq!(inn.log_in(&mut browser).status, 200);
    assert_ne!(before.cookies[SESSION], browser.cookies[SESSION]);
    assert!(is_in(&mut browser) && !is_in(&mut before));
    // A token planted for the way there is not taken up either.
    let mut lured = inn.browser();
    let planted = "B".repeat(43);
    lured.cookies.insert(TRIP.to_owned(), planted.clone());
    inn.out(&mut lured);
    assert_ne!(lured.cookies[TRIP], planted);
}

#[test]
fn a_name_that_is_anothers_is_never_taken_over() {
    let inn = Inn::new();
    let words = "is another user’s here already";
    // A user with a password here, in whatever letters.
    for name in ["anna", "Anna"] {
        inn.claim(json!({"preferred_username": name}));
        let mut browser = inn.browser();
        let answer = inn.log_in(&mut browser);
        inn.is_away(&mut browser, &answer, 403, words);
    }
    let anna = inn.person("anna").unwrap();
    assert_eq!(anna, person("anna", "analyst"));
    let told =
        "\"who\":\"anna\",\"call\":\"log-in by OpenID Connect refused: the name is another's\"";
    assert!(inn.world.audited().contains(told));
    // Another person of the provider under a name that was somebody's.
    inn.claim(json!({}));
    let mut eva = inn.visit();
    inn.claim(json!({"sub": "sub-other"}));
    let mut other = inn.browser();
    let answer = inn.log_in(&mut other);
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains(words) && !is_in(&mut other));
    assert!(is_in(&mut eva));
    // The same person under a new name is who they were.
    inn.claim(json!({"preferred_username": "eva.k"}));
    let mut renamed = inn.visit();
    assert!(renamed.get("/console/queue").text.contains("eva <small>"));
    assert_eq!(inn.person("eva.k"), None);
}

#[test]
fn without_a_role_a_name_or_leave_nobody_gets_in() {
    let inn = Inn::new();
    for groups in [
        json!(null),
        json!([]),
        json!(["staff"]),
        json!({"a": "fraud-analysts"}),
    ] {
        inn.claim(json!({ "groups": groups }));
        let mut browser = inn.browser();
        let answer = inn.log_in(&mut browser);
        inn.is_away(&mut browser, &answer, 403, "gives you a role here");
        assert!(answer.text.contains("Bank &#38; Co knows you"));
    }
    let told = "\"who\":\"eva\",\"call\":\"log-in by OpenID Connect refused: no role\"";
    assert!(inn.world.audited().contains(told));
    inn.claim(json!({"preferred_username": null, "name": "eva", "email": "eva@bank.example"}));
    let mut browser = inn.browser();
    let answer = inn.log_in(&mut browser);
    inn.is_away(&mut browser, &answer, 403, "tells no name of you");
    inn.claim(json!({}));
    let mut eva = inn.visit();
    let mut disabled = inn.person("eva").unwrap();
    disabled.is_disabled = true;
    inn.world
        .store(|tx| people::change(tx, &disabled, clock::now_ms()));
    assert!(!is_in(&mut eva));
    let answer = inn.log_in(&mut eva);
    assert_eq!(answer.status, 403);
    assert!(answer.text.contains("may not log in here any more") && !is_in(&mut eva));
    assert_eq!(inn.person("eva").unwrap(), disabled);
}

#[test]
fn a_role_is_the_providers_at_every_log_in() {
    let inn = Inn::new();
    let mut eva = inn.visit();
    inn.claim(json!({"groups": "audit"}));
    let mut later = inn.visit();
    assert!(
        later
            .get("/console/queue")
            .text
            .contains("eva <small>auditor</small>")
    );
    // A session with the role of before is over.
    assert!(!is_in(&mut eva));
    inn.claim(json!({"groups": ["fraud-analysts", "audit"]}));
    let mut strongest = inn.visit();
    assert!(
        strongest
            .get("/console/queue")
            .text
            .contains("eva <small>analyst</small>")
    );
    // Who has no role there any more has no session here any more, in whatever browser.
    inn.claim(json!({"groups": []}));
    assert_eq!(inn.log_in(&mut inn.browser()).status, 403);
    assert!(!is_in(&mut strongest));
}

#[test]
fn a_provider_that_is_not_there_or_says_no_is_told_clearly_and_holds_nobody_up() {
    let inn = Inn::with(Provider::start(), "timeout = \"1s\"");
    let mut browser = inn.browser();
    inn.provider.ways().error = Some("access_denied");
    let answer = inn.log_in(&mut browser);
    inn.is_away(&mut browser, &answer, 403, "did not log you in");
    assert!(!answer.text.contains("sesame"), "{}", answer.text);
    assert!(inn.provider.ways().exchanges.is_empty());
    inn.provider.ways().error = None;
    let words = "does not answer as it should";
    for (status, text) in [
        (500, "no"),
        (
            401,
            "{\"error\":\"invalid_client\",\"error_description\":\"no\"}",
        ),
        (200, "{\"access_token\":\"a\",\"token_type\":\"Bearer\"}"),
        (
            200,
            "{\"access_token\":\"a\",\"token_type\":\"Bearer\",\"id_token\":\"x.y.z\"}",
        ),
        (200, "not JSON"),
        (302, ""),
    ] {
        inn.provider.ways().answer = Some((status, text.to_owned()));
        let answer = inn.log_in(&mut browser);
        inn.is_away(&mut browser, &answer, 502, words);
    }
    // It takes connections and never answers: who waits for it is told so, and everybody else goes on meanwhile.
    inn.provider.ways().answer = None;
    let back = inn.out(&mut browser);
    let address = inn.provider.address();
    let Inn {
        world, provider, ..
    } = inn;
    provider.stop();
    let silent = std::net::TcpListener::bind(address).unwrap();
    let waiting = std::thread::spawn(move || browser.come(&back));
    for _ in 0..5 {
        assert_eq!(world.browser().get("/console/log-in").status, 200);
    }
    let answer = waiting.join().unwrap();
    assert_eq!(answer.status, 502);
    assert!(answer.text.contains(words), "{}", answer.text);
    drop(silent);
    let mut anna = world.browser();
    assert_eq!(
        anna.try_log_in("anna", PASSWORD).leads_to(),
        "/console/queue"
    );
}

#[test]
fn a_provider_that_was_never_reached_or_sends_us_elsewhere_is_not_followed() {
    let words = "does not answer as it should";
    let elsewhere = Provider::start();
    let strange = |document: Value| {
        let provider = Provider::start();
        provider.ways().document = document;
        provider
    };
    for provider in [
        strange(json!({"issuer": "https://id.bank.example"})),
        strange(json!({"authorization_endpoint": "http://id.bank.example/authorize"})),
        strange(json!({"authorization_endpoint": "javascript:alert(1)"})),
        strange(json!({"jwks_uri": "http://id.bank.example/keys"})),
        strange(json!({"response_types_supported": 7})),
    ] {
        let inn = Inn::with(provider, "");
        let mut browser = inn.browser();
        let answer = browser.get("/console/oidc/start");
        inn.is_away(&mut browser, &answer, 502, words);
        assert!(cookies(&answer).is_empty());
        inn.provider.stop();
    }
    let inn = Inn::new();
    let document = json!({"token_endpoint": "http://id.bank.example/token"});
    inn.provider.ways().document = document;
    let mut browser = inn.browser();
    let answer = inn.log_in(&mut browser);
    inn.is_away(&mut browser, &answer, 502, words);
    elsewhere.stop();
    // One that is not there at all.
    let gone = Provider::start();
    let inn = Inn::with(gone, "timeout = \"1s\"");
    let Inn {
        world, provider, ..
    } = inn;
    provider.stop();
    let answer = world.browser().get("/console/oidc/start");
    assert_eq!(answer.status, 502);
    assert!(answer.text.contains(words));
}

#[test]
fn a_public_client_shows_no_secret_and_a_key_that_is_new_is_asked_for() {
    let provider = Provider::start();
    provider.ways().is_public = true;
    let inn = Inn::with(provider, "");
    assert!(is_in(&mut inn.visit()));
    // Its keys are known by now; this one is not among them.
    inn.provider.ways().signed = Signed::Ed;
    assert!(is_in(&mut inn.visit()));
    // A secret in the body, where the provider takes no other.
    let document = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
    let inn = Inn::new();
    inn.provider.ways().document = document;
    assert_eq!(
        inn.log_in(&mut inn.browser()).status,
        502,
        "this one takes basic alone"
    );
    let exchange = inn.provider.ways().exchanges.remove(0);
    assert_eq!(exchange["client_secret"], SECRET);
}

#[test]
fn log_ins_are_begun_from_our_own_page_and_not_without_end() {
    let inn = Inn::new();
    // Another site begins none.
    let mut lured = inn.browser().saying(&[("sec-fetch-site", "cross-site")]);
    assert_eq!(
        lured.get("/console/oidc/start").leads_to(),
        "/console/log-in"
    );
    assert!(!lured.cookies.contains_key(TRIP));
    // Nor does one lead out of the console.
    let mut browser = inn.browser();
    let answer = browser.get("/console/oidc/start?back=https://evil.example/console/");
    let way = answer
        .leads_to()
        .strip_prefix(inn.provider.issuer())
        .unwrap();
    let back = inn.at_provider(way);
    let answer = browser.come(&back);
    assert!(
        answer.text.contains("content=\"0;url=/console/queue\""),
        "{}",
        answer.text
    );
    let mut statuses: Vec<u16> = Vec::new();
    for _ in 0..52 {
        statuses.push(browser.get("/console/oidc/start").status);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 50);
    let answer = browser.get("/console/oidc/start");
    assert_eq!(answer.status, 429);
    assert!(answer.text.contains("too many attempts from your address"));
    let mut anna = inn.browser();
    assert_eq!(
        anna.try_log_in("anna", PASSWORD).leads_to(),
        "/console/queue"
    );
}

#[test]
fn without_a_provider_there_is_no_such_door() {
    let world = World::with(&[]);
    let mut browser = world.browser();
    assert!(!browser.get("/console/log-in").text.contains("oidc"));
    for path in ["/console/oidc/start", "/console/oidc/back?code=x&state=x"] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }
    let danish = Inn::new();
    let mut browser = danish.browser();
    browser
        .cookies
        .insert("varsel-lang".to_owned(), "da".to_owned());
    let page = browser.get("/console/log-in").text;
    assert!(page.contains("Log ind med Bank &#38; Co"), "{page}");
    let answer = browser.come("/console/oidc/back?code=x&state=x");
    // The choice of language stays behind on the way from elsewhere: the browser's own counts.
    assert!(answer.text.contains("begun in another browser"));
}
