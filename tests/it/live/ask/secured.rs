//! Callers and card numbers: who may call what, what the audit log keeps, and that an AReq's card number
//! finds its card and is kept nowhere.

use super::*;
use sha2::{Digest, Sha256};
use varsel::api::routes::{ROUTES, Scope};
use varsel::config::Secret;

/// A folder with keys, clients and an empty place for the audit log, and the settings that name them.
fn secured(bank: &mut Bank) -> (PathBuf, varsel::api::token::Keys) {
    let dir = bank.dir.path();
    let keys = format!("k1:{}", "5a".repeat(32));
    fs::write(dir.join("keys"), &keys).unwrap();
    let client = |name: &str, scopes: &str| {
        let hash = Sha256::digest(format!("{name}-token"));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {scopes} {hex}\n")
    };
    let clients = client("acs-1", "acs") + &client("anna", "analyst") + &client("eve", "read_only");
    fs::write(dir.join("clients"), clients).unwrap();
    let text = format!(
        "[kafka]\nbootstrap = \"x:1\"\n[api]\ntoken_keys_file = \"{0}/keys\"\nclients_file = \"{0}/clients\"\naudit_file = \"{0}/audit\"\n",
        dir.display()
    );
    let mut config = Config::clone(&bank.config);
    config.api = Config::parse("x", &text).unwrap().api;
    let audit = dir.join("audit");
    bank.config = Arc::new(config);
    (
        audit,
        varsel::api::token::Keys::read(&Secret::of(&keys)).unwrap(),
    )
}

fn as_client(address: SocketAddr, name: &str, path: &str, body: &Value) -> Told {
    let more = format!("authorization: Bearer {name}-token\r\n");
    let method = if body.is_null() { "GET" } else { "POST" };
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    call(address, method, path, &more, body.as_bytes())
}

/// Every file below a folder.
pub fn files(dir: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![fs::read(path).unwrap()]
            }
        })
        .collect()
}

#[test]
fn no_pan_an_areqs_card_number_finds_the_card_by_its_alias_and_is_kept_nowhere() {
    let mut bank = Bank::new();
    let (audit, keys) = secured(&mut bank);
    let number = ["41", "1111", "1111", "1111", "11"].concat();
    let alias = keys.tokens(&number).remove(0);
    let mut lines = cases();
    lines.retain(|line| line.contains("\"p-case-144-2018\""));
    lines.pop();
    let bound = lines.iter().find(|line| line.contains("\"type\":\"card\""));
    let mut bound: Value = serde_json::from_str(bound.unwrap()).unwrap();
    bound["id"] = json!("alias-1");
    bound["aliases"] = json!([alias]);
    lines.insert(0, bound.to_string());
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent);
    let address = monitor.address();
    let areq = json!({"messageType": "AReq", "messageVersion": "2.2.0", "messageCategory": "01",
        "threeDSServerTransID": "8a880dc0-d2d2-4067-bcb1-b08d1690b26e", "acctNumber": number,
        "deviceChannel": "02", "purchaseAmount": "2902338", "purchaseCurrency": "208",
        "purchaseExponent": "2", "purchaseDate": "20180306182700", "mcc": "4829",
        "merchantName": "F Money Transfer", "merchantCountryCode": "208",
        "acquirerMerchantID": "m-f", "browserIP": "212.5.158.154"});
    let watch = Stopwatch::start();
    let told = loop {
        // The alias is known here a moment after it is in force.
        let told = as_client(address, "acs-1", "/v1/acs/areq", &areq);
        let names = told.body["not_available"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if told.status == 200 && names.iter().all(|entry| entry["what"] != "unknown_card") {
            break told;
        }
        assert!(watch.elapsed() < PATIENCE, "{}", told.body);
    };
    fits_schema(&told.body, "Answer");
    assert_eq!(told.body["card"], json!(alias));
    assert_ne!(told.body["action"], "allow");
    assert!(
        told.body["acs"]["methods_not_to_offer"]
            .as_array()
            .unwrap()
            .contains(&json!("eid"))
    );
    assert_eq!(told.body["emv"]["message_category"], "payment");
    let hold = told.body["hold"].as_str().unwrap();
    who_may_call_what(address, hold, &areq);
    monitor.stop();
    let lines = varsel::api::audit::verify(&fs::read(&audit).unwrap()[..]).unwrap();
    assert_eq!(lines.0, 1, "one step was taken");
    let mut kept = files(bank.dir.path());
    let topics = &bank.config.topics;
    for topic in [
        &topics.log,
        &topics.decisions,
        &topics.alerts,
        &topics.holds,
        &topics.dead_letters,
        &topics.bindings,
        &topics.owners,
    ] {
        kept.extend(bank.lines(topic).into_iter().map(String::into_bytes));
    }
    for bytes in kept {
        let found = bytes
            .windows(number.len())
            .any(|piece| piece == number.as_bytes());
        assert!(!found, "{}", String::from_utf8_lossy(&bytes));
    }
}

fn who_may_call_what(address: SocketAddr, hold: &str, areq: &Value) {
    let path = format!("/v1/holds/{hold}/release");
    let said = json!({"reason": "the customer was asked"});
    let nobody = post(address, "/v1/acs/areq", areq);
    assert_eq!(
        (nobody.status, nobody.body["code"].as_str()),
        (401, Some("unauthorized"))
    );
    assert_eq!(nobody.body["fallback"]["action"], "step_up");
    for (name, path, body, status) in [
        ("mallory", path.as_str(), &said, 401),
        ("acs-1", &path, &said, 403),
        ("eve", &path, &said, 403),
        ("eve", "/v1/holds", &Value::Null, 200),
        ("anna", "/v1/acs/areq", areq, 403),
        ("anna", &path, &said, 200),
    ] {
        let told = as_client(address, name, path, body);
        assert_eq!(told.status, status, "{name} {path}: {}", told.body);
    }
}

#[test]
fn an_open_door_to_a_network_is_refused() {
    let mut bank = Bank::new();
    let mut config = Config::clone(&bank.config);
    config.http.listen = "0.0.0.0:0".parse().unwrap();
    bank.config = Arc::new(config);
    let monitor = bank.start();
    let error = monitor.thread.join().unwrap().unwrap_err().to_string();
    assert!(
        error.contains("without TLS") && error.contains("= help: "),
        "{error}"
    );
}

/// A clients' file with one client of each scope, and its tokens' rule: `SCOPE-token`.
fn one_of_each(bank: &mut Bank) -> PathBuf {
    let (audit, _) = secured(bank);
    let lines: String = Scope::ALL
        .iter()
        .map(|scope| {
            let hash = Sha256::digest(format!("{}-token", scope.word()));
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{0} {0} {hex}\n", scope.word())
        })
        .collect();
    fs::write(bank.dir.path().join("clients"), lines).unwrap();
    audit
}

/// What those show who have no token of ours.
fn strangers() -> Vec<String> {
    let hash = Sha256::digest("admin-token");
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let long = "x".repeat(600);
    let mut shown: Vec<String> = [
        "Bearer",
        "Bearer ",
        "Bearer mallory",
        "Bearer admin-token2",
        "Bearer  admin-token",
        "Basic YWRtaW46YWRtaW4tdG9rZW4=",
        "admin-token",
        "Bearer \u{e6}",
        &format!("Bearer {hash}"),
        &format!("Bearer admin-token{long}"),
    ]
    .iter()
    .map(|value| format!("authorization: {value}\r\n"))
    .collect();
    shown.push(String::new());
    shown.push("varsel-client: admin\r\n".to_owned());
    shown
}

#[test]
fn every_call_is_for_its_scopes_alone_on_the_running_server() {
    let mut bank = Bank::new();
    let audit = one_of_each(&mut bank);
    let monitor = bank.start();
    let address = monitor.address();
    until(address, "/readyz", |told| told.status == 200);
    let (mut let_in, mut denied) = (0, 0);
    for route in ROUTES {
        let path = route
            .path
            .replace("{card}", "c-1")
            .replace("{id}", &"0".repeat(32));
        let body: &[u8] = if route.method == "POST" { b"{}" } else { b"" };
        let shown = |more: &str| call(address, route.method, &path, more, body);
        for scope in Scope::ALL {
            let told = shown(&format!("authorization: Bearer {}-token\r\n", scope.word()));
            let may = route.scopes.is_empty() || route.scopes.contains(scope);
            let what = format!("{} {path} as {}: {}", route.method, scope.word(), told.text);
            if may {
                // What is asked is nonsense; who asks is not.
                assert!(!matches!(told.status, 401 | 403 | 500), "{what}");
                let_in += 1;
            } else {
                assert_eq!(
                    (told.status, &told.body["code"]),
                    (403, &json!("forbidden")),
                    "{what}"
                );
                denied += 1;
            }
        }
        for nobody in strangers() {
            let told = shown(&nobody);
            let what = format!("{} {path} {nobody}: {}", route.method, told.text);
            let code = (told.status, &told.body["code"]);
            assert_eq!(code, (401, &json!("unauthorized")), "{what}");
            assert_eq!(told.body["fallback"].is_object(), route.judges, "{what}");
        }
    }
    assert_eq!(let_in + denied, ROUTES.len() * Scope::ALL.len());
    assert!(let_in > 30 && denied > 30, "{let_in} {denied}");
    let said = json!({"suspended": true, "reason": "a test"}).to_string();
    let as_admin = "authorization: Bearer admin-token\r\nvarsel-client: anna\r\n";
    let told = call(
        address,
        "POST",
        "/v1/enforcement",
        as_admin,
        said.as_bytes(),
    );
    assert!(matches!(told.status, 200 | 202), "{}", told.text);
    monitor.stop();
    let lines = fs::read_to_string(&audit).unwrap();
    varsel::api::audit::verify(lines.as_bytes()).unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["call"], "suspended all enforcement");
    assert_eq!(
        (&last["who"], &last["by"], &last["reason"]),
        (&json!("admin"), &json!("admin"), &json!("a test"))
    );
}
