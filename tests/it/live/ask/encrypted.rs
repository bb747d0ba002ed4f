//! The API by TLS: who calls with a certificate, with a token or with both, and calls that one instance
//! hands to another.
//!
//! Handshakes and files stand in `tls.rs`.

use super::*;
use crate::papers::{self, Authority, Paper};
use sha2::{Digest, Sha256};

/// A bank with an authority, and the certificate that each of its clients has.
pub struct Town {
    pub bank: Authority,
    pub acs: Paper,
    pub anna: Paper,
    eve: Paper,
}

fn hex(token: &str) -> String {
    let hash = Sha256::digest(token);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts papers, authorities and a clients' file into the bank's folder, and names them in its settings.
pub fn by_tls(bank: &mut Bank) -> Town {
    let dir = bank.dir.path();
    let authority = Authority::new("bank");
    authority.paper("varsel").put(dir);
    let [acs, anna, eve] = ["acs-1", "anna", "eve"].map(|name| authority.paper(name));
    let clients = format!(
        "acs-1 acs {}\nanna analyst {}  {}\nhost-1 host {}\n",
        acs.fingerprint(),
        hex("anna-token"),
        anna.fingerprint(),
        hex("host-1-token"),
    );
    let path = dir.join("clients");
    fs::write(&path, clients).unwrap();
    let files = papers::files(dir, Some(&authority), Some(&authority));
    let mut config = Config::clone(&bank.config);
    config.http.tls = Some(files);
    config.api.clients = Some(path);
    bank.config = Arc::new(config);
    Town {
        bank: authority,
        acs,
        anna,
        eve,
    }
}

impl Town {
    fn asked(
        &self,
        address: SocketAddr,
        shown: Option<&Paper>,
        token: Option<&str>,
        path: &str,
        body: &Value,
    ) -> Told {
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let (method, body) = if body.is_null() {
            ("GET", String::new())
        } else {
            ("POST", body.to_string())
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\nvarsel-deadline-ms: 10000\r\n{}content-length: {}\r\n\r\n{body}",
            token.unwrap_or_default(),
            body.len()
        );
        let client = papers::client(&self.bank, shown);
        let answer = papers::told(address, &client, request.as_bytes()).unwrap();
        parsed(&answer)
    }

    /// Looks until an answer passes, as the ACS.
    fn until(&self, address: SocketAddr, path: &str, passes: impl Fn(&Told) -> bool) -> Told {
        let watch = Stopwatch::start();
        loop {
            let told = self.asked(address, Some(&self.acs), None, path, &Value::Null);
            if passes(&told) {
                return told;
            }
            assert!(watch.elapsed() < PATIENCE, "{path}: {}", told.body);
        }
    }
}

/// Everything of the case of 2018 but the payment that was lost, and the question about that one.
pub fn case_of_2018() -> (Vec<String>, Value) {
    let mut lines = cases();
    lines.retain(|line| line.contains("\"p-case-144-2018\""));
    let loss = lines.pop().unwrap();
    (lines, question(&loss).unwrap())
}

#[test]
fn a_client_is_known_by_its_certificate_its_token_or_both_and_may_do_what_its_line_says() {
    let mut bank = Bank::new();
    let town = by_tls(&mut bank);
    let (lines, loss) = case_of_2018();
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent);
    let address = monitor.address();
    let [acs, anna, eve] = [&town.acs, &town.anna, &town.eve].map(Some);
    let alerts = "/v1/alerts";
    let assess = "/v1/assessments";
    for (shown, token, path, body, status) in [
        (acs, None, assess, &loss, 200),
        (acs, None, alerts, &Value::Null, 403),
        (None, Some("host-1-token"), assess, &loss, 200),
        (eve, Some("host-1-token"), assess, &loss, 200),
        (acs, Some("host-1-token"), assess, &loss, 401),
        (eve, None, assess, &loss, 401),
        (None, None, assess, &loss, 401),
        (anna, Some("anna-token"), alerts, &Value::Null, 200),
        (anna, None, alerts, &Value::Null, 401),
        (None, Some("anna-token"), alerts, &Value::Null, 401),
        (None, None, "/livez", &Value::Null, 200),
    ] {
        let told = town.asked(address, shown, token, path, body);
        assert_eq!(told.status, status, "{path} {token:?}: {}", told.body);
    }
    monitor.stop();
}

#[test]
fn beyond_this_machine_the_api_is_served_with_tls_and_credentials_alone() {
    let mut bank = Bank::new();
    let town = by_tls(&mut bank);
    let mut config = Config::clone(&bank.config);
    config.http.listen = "0.0.0.0:0".parse().unwrap();
    let refused = |change: fn(&mut Config), lacks: &str, bank: &mut Bank| {
        let mut config = config.clone();
        change(&mut config);
        bank.config = Arc::new(config);
        let error = bank.start().thread.join().unwrap().unwrap_err();
        let told = error.to_string();
        assert!(told.contains(lacks) && told.contains("= help: "), "{told}");
    };
    refused(|config| config.http.tls = None, "without TLS\n", &mut bank);
    refused(
        |config| config.api.clients = None,
        "without credentials\n",
        &mut bank,
    );
    bank.config = Arc::new(config);
    let monitor = bank.start();
    let port = monitor.address().port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    town.until(address, "/readyz", |told| told.status == 200);
    monitor.stop();
}

/// Another instance, which scores nothing: in its own folder, with its own certificate and clients.
fn other(bank: &Bank, town: &Town, dir: &Path, clients: &str) -> Monitor {
    let mut config = Config::clone(&bank.config);
    config.run.roles = [Role::Api].into();
    config.run.instance = "other".to_owned();
    let path = dir.join("clients");
    fs::write(&path, clients).unwrap();
    config.api.clients = Some(path);
    config.http.tls = Some(papers::files(dir, Some(&town.bank), Some(&town.bank)));
    bank.start_with(config)
}

#[test]
fn calls_are_handed_over_by_tls_and_the_owner_is_no_looser_than_who_was_asked() {
    let mut bank = Bank::new();
    let town = by_tls(&mut bank);
    let dir = tempfile::tempdir().unwrap();
    let paper = town.bank.paper("other");
    paper.put(dir.path());
    let clients = bank.config.api.clients.clone().unwrap();
    let known = fs::read_to_string(&clients).unwrap();
    fs::write(
        &clients,
        format!("{known}other peer {}\n", paper.fingerprint()),
    )
    .unwrap();
    let (lines, loss) = case_of_2018();
    bank.feed(&lines);
    let monitor = bank.start();
    monitor.until(bank.sent);
    // Eve is known to the other instance alone, which takes Anna for an ACS besides.
    let looser = known.replace("analyst", "acs,analyst");
    let looser = format!("{looser}eve host {}\n", town.eve.fingerprint());
    let other = other(&bank, &town, dir.path(), &looser);
    let address = other.address();
    let card = format!("/v1/cards/{}", loss["card"].as_str().unwrap());
    town.until(address, &card, |told| told.status == 200);
    let areq = json!({"messageType": "AReq", "messageVersion": "2.2.0",
        "threeDSServerTransID": "8a880dc0-d2d2-4067-bcb1-b08d1690b26e", "mcc": "4829",
        "acctNumber": loss["card"], "purchaseAmount": "2902338", "purchaseCurrency": "208",
        "purchaseExponent": "2", "purchaseDate": "20180306182700"});
    let (assess, acs_areq) = ("/v1/assessments", "/v1/acs/areq");
    let [acs, anna, eve] = [&town.acs, &town.anna, &town.eve].map(Some);
    let anna_token = Some("anna-token");
    for (shown, token, path, body, status) in [
        (acs, None, assess, &loss, 200),
        (acs, None, acs_areq, &areq, 200),
        (None, Some("host-1-token"), assess, &loss, 200),
        (anna, anna_token, assess, &loss, 200),
        (anna, anna_token, acs_areq, &areq, 403),
        (anna, None, assess, &loss, 401),
        (eve, None, assess, &loss, 401),
    ] {
        let told = town.asked(address, shown, token, path, body);
        assert_eq!(told.status, status, "{path} {token:?}: {}", told.body);
    }
    let served = other.metrics.answers.cell(&["forwarded"]);
    assert_eq!(
        served.load(Ordering::Relaxed),
        7,
        "with the card, and without Anna alone"
    );
    who_has_no_tls_asks_nobody_who_has(&bank, &loss);
    other.stop();
    monitor.stop();
}

fn who_has_no_tls_asks_nobody_who_has(bank: &Bank, loss: &Value) {
    let mut config = Config::clone(&bank.config);
    config.run.roles = [Role::Api].into();
    config.run.instance = "plain".to_owned();
    config.api.clients = None;
    config.http.tls = None;
    let plain = bank.start_with(config);
    let watch = Stopwatch::start();
    let told = loop {
        let told = post(plain.address(), "/v1/assessments", loss);
        if told.body["code"] != "no_owner" {
            break told;
        }
        assert!(watch.elapsed() < PATIENCE, "{}", told.body);
    };
    let detail = told.body["detail"].as_str().unwrap_or_default();
    assert_eq!(told.status, 502, "{}", told.body);
    assert!(
        detail.contains("has TLS, and this instance has none"),
        "{detail}"
    );
    plain.stop();
}

#[test]
fn on_a_signal_callers_and_certificates_are_read_again() {
    let mut bank = Bank::new();
    let town = by_tls(&mut bank);
    let monitor = bank.start();
    let address = monitor.address();
    let holds = "/v1/holds";
    let status = |shown| {
        town.asked(address, Some(shown), None, holds, &Value::Null)
            .status
    };
    town.until(address, "/readyz", |told| told.status == 200);
    assert_eq!((status(&town.acs), status(&town.eve)), (200, 401));
    let clients = bank.config.api.clients.clone().unwrap();
    fs::write(clients, format!("eve host {}\n", town.eve.fingerprint())).unwrap();
    let paper = town.bank.paper("varsel");
    paper.put(bank.dir.path());
    monitor.signals.reload.store(true, Ordering::Relaxed);
    let watch = Stopwatch::start();
    while status(&town.eve) != 200 {
        assert!(
            watch.elapsed() < PATIENCE,
            "the new clients are not in force"
        );
    }
    assert_eq!(status(&town.acs), 401);
    let client = papers::client(&town.bank, None);
    let stream = papers::connect(address, &client).unwrap();
    assert_eq!(stream.conn.peer_certificates().unwrap()[0], paper.der());
    monitor.stop();
}
