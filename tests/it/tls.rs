//! TLS of a port, with real clients: who is let in, what is cut off, and certificates that change while it is served.
//!
//! Who may call what with which certificate stands in `live/ask/encrypted.rs`.

use crate::papers::{self, Authority, Paper};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use varsel::clock::Stopwatch;
use varsel::config;
use varsel::http::{self, Limits, Port, Server, Speaks, Tls};
use varsel::telemetry::{Metrics, Readiness};

const PATIENCE: Duration = Duration::from_secs(60);
const LIVEZ: &[u8] = b"GET /livez HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";

/// A port that speaks TLS, and what it is made of.
struct House {
    bank: Authority,
    dir: TempDir,
    metrics: Arc<Metrics>,
    tls: Arc<Tls>,
    server: Server,
}

impl House {
    /// Served with a paper of the bank's authority, which also signs the clients' where they are asked for any.
    fn new(limits: Limits, change: impl FnOnce(&mut config::Tls)) -> Self {
        Self::speaking(Speaks::Http, limits, change)
    }

    fn speaking(speaks: Speaks, limits: Limits, change: impl FnOnce(&mut config::Tls)) -> Self {
        let bank = Authority::new("bank");
        let dir = tempfile::tempdir().unwrap();
        bank.paper("varsel").put(dir.path());
        let mut files = papers::files(dir.path(), Some(&bank), None);
        change(&mut files);
        let metrics = Arc::new(Metrics::new());
        let tls = Arc::new(Tls::open(files, &metrics).unwrap());
        let readiness = Arc::new(Readiness::new(&[]));
        let port = Port {
            router: http::pages(Arc::clone(&metrics), readiness),
            limits,
            speaks,
            tls: Some(Arc::clone(&tls)),
            metrics: Arc::clone(&metrics),
        };
        let server = http::serve("127.0.0.1:0".parse().unwrap(), port).unwrap();
        Self {
            bank,
            dir,
            metrics,
            tls,
            server,
        }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    fn client(&self, shown: Option<&Paper>) -> ClientConfig {
        papers::client(&self.bank, shown)
    }

    fn is_let_in(&self, client: &ClientConfig) -> bool {
        let told = papers::told(self.address(), client, LIVEZ);
        told.is_ok_and(|told| told.starts_with("HTTP/1.1 200 "))
    }

    /// Waits until so many handshakes have ended in this way.
    fn until(&self, word: &str, count: u64) {
        let watch = Stopwatch::start();
        while self.metrics.tls_handshakes.get(word) < count {
            assert!(watch.elapsed() < PATIENCE, "{word}");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

#[test]
fn a_client_that_trusts_the_authority_is_let_in_and_one_that_does_not_turns_away() {
    let house = House::new(Limits::default(), |_| {});
    assert!(house.is_let_in(&house.client(None)));
    let strange = papers::client(&Authority::new("strange"), None);
    let error = papers::told(house.address(), &strange, LIVEZ).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    house.until("failed", 1);
    assert_eq!(house.metrics.tls_handshakes.get("done"), 1);
    let page = house.metrics.render(0);
    for line in [
        "varsel_tls_handshakes_total{result=\"failed\"} 1\n",
        "varsel_tls_certificate_expires_timestamp_seconds 2524608000\n",
    ] {
        assert!(page.contains(line), "{page}");
    }
}

#[test]
fn where_a_client_certificate_is_required_nobody_passes_without_one_of_the_authority() {
    let house = House::new(Limits::default(), |files| {
        files.require_client_certificate = true;
    });
    let ours = house.bank.paper("acs-1");
    let strange = Authority::new("strange").paper("acs-1");
    assert!(house.is_let_in(&house.client(Some(&ours))));
    assert!(!house.is_let_in(&house.client(None)));
    assert!(!house.is_let_in(&house.client(Some(&strange))));
    house.until("failed", 2);
}

#[test]
fn a_strange_certificate_is_refused_also_where_none_is_required() {
    let house = House::new(Limits::default(), |_| {});
    let strange = Authority::new("strange").paper("acs-1");
    assert!(!house.is_let_in(&house.client(Some(&strange))));
    assert!(house.is_let_in(&house.client(None)));
    let old = house.bank.paper_until("acs-1", 2020);
    assert!(!house.is_let_in(&house.client(Some(&old))), "expired");
}

/// What a server answers to bytes that are no handshake of ours, until it closes.
fn answered(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset says as much as a close.
    let _ = stream.read_to_end(&mut answer);
    answer
}

#[test]
fn plain_http_to_the_port_is_answered_by_nothing_but_an_alert() {
    let house = House::new(Limits::default(), |_| {});
    let answer = answered(house.address(), LIVEZ);
    assert!(
        answer.len() <= 7 && !answer.starts_with(b"HTTP"),
        "{answer:?}"
    );
    house.until("failed", 1);
}

#[test]
fn a_client_that_says_nothing_in_the_handshake_is_cut_off() {
    let house = House::new(
        Limits {
            connections: 1,
            handshake: Duration::from_millis(50),
            ..Limits::default()
        },
        |_| {},
    );
    assert_eq!(answered(house.address(), b""), b"");
    assert_eq!(answered(house.address(), b"\x16\x03\x01"), b"");
    house.until("slow", 2);
    // The one place is free again.
    assert!(house.is_let_in(&house.client(None)));
}

/// Asks for `/livez` over HTTP/2.
async fn livez_by_two(address: SocketAddr, mut client: ClientConfig) -> hyper::StatusCode {
    client.alpn_protocols = vec![b"h2".to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let name = ServerName::IpAddress(address.ip().into());
    let connector = TlsConnector::from(Arc::new(client));
    let stream = connector.connect(name, stream).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(format!("https://{address}/livez"));
    let request = request.body(axum::body::Body::empty()).unwrap();
    sender.send_request(request).await.unwrap().status()
}

#[test]
fn http_2_is_spoken_where_the_handshake_agrees_on_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for speaks in [Speaks::Http, Speaks::Grpc] {
        let house = House::speaking(speaks, Limits::default(), |_| {});
        let status = runtime.block_on(livez_by_two(house.address(), house.client(None)));
        assert_eq!(status, 200);
        let speaks_one = house.is_let_in(&house.client(None));
        assert_eq!(speaks_one, speaks == Speaks::Http);
    }
}

#[test]
fn a_client_that_asks_nothing_over_http_2_is_cut_off() {
    let limits = Limits {
        connections: 1,
        head: Duration::from_millis(50),
        grace: Duration::from_millis(50),
        ..Limits::default()
    };
    let house = House::speaking(Speaks::Grpc, limits, |_| {});
    let mut client = house.client(None);
    client.alpn_protocols = vec![b"h2".to_vec()];
    for words in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = papers::connect(house.address(), &client).unwrap();
        stream.write_all(words).unwrap();
        // The one place is free only once it is cut.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    house.until("done", 2);
}

#[test]
fn tls_1_1_is_refused() {
    let house = House::new(Limits::default(), |_| {});
    let mut hello = vec![3, 2];
    hello.extend([7; 32]);
    // No session; one suite, ECDHE-RSA with AES-128 and SHA-1; no compression.
    hello.extend([0, 0, 2, 0xC0, 0x13, 1, 0]);
    // One extension: signatures by ECDSA with SHA-256.
    hello.extend([0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    let answer = answered(house.address(), &record);
    // An alert (21), fatal (2): `protocol_version` (70).
    assert_eq!((answer[0], &answer[5..]), (21, &[2, 70][..]), "{answer:?}");
}

#[test]
fn a_new_certificate_counts_from_the_next_handshake_and_ends_no_connection() {
    let house = House::new(Limits::default(), |_| {});
    let mut kept = papers::connect(house.address(), &house.client(None)).unwrap();
    let first = shown(&house);
    let paper = house.bank.paper("varsel");
    paper.put(house.dir.path());
    house.tls.renew();
    assert_eq!(shown(&house), paper.der().to_vec());
    assert_ne!(shown(&house), first);
    kept.write_all(LIVEZ).unwrap();
    let mut answer = String::new();
    kept.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(house.metrics.tls_reloads.get("accepted"), 1);
    house.tls.renew();
    assert_eq!(house.metrics.tls_reloads.get("accepted"), 1, "nothing new");
}

/// The certificate that the port shows now.
fn shown(house: &House) -> Vec<u8> {
    let stream = papers::connect(house.address(), &house.client(None)).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_faulty_new_certificate_is_refused_once_and_the_old_one_stays() {
    let house = House::new(Limits::default(), |_| {});
    let first = shown(&house);
    for (number, fault) in (1..).zip([house.bank.paper("varsel").certificate, "not PEM".to_owned()])
    {
        fs::write(house.dir.path().join("certificate.pem"), fault).unwrap();
        house.tls.renew();
        house.tls.renew();
        assert_eq!(house.metrics.tls_reloads.get("refused"), number);
        assert_eq!(shown(&house), first);
    }
    fs::remove_file(house.dir.path().join("key.pem")).unwrap();
    house.tls.renew();
    assert_eq!(shown(&house), first);
    house.bank.paper("varsel").put(house.dir.path());
    house.tls.renew();
    assert_ne!(shown(&house), first);
}

#[test]
fn sessions_of_before_do_not_outlive_the_authority_that_let_them_in() {
    let house = House::new(Limits::default(), |files| {
        files.require_client_certificate = true;
    });
    let ours = house.bank.paper("acs-1");
    let client = house.client(Some(&ours));
    assert!(house.is_let_in(&client));
    // The second time its session is resumed.
    assert!(house.is_let_in(&client));
    let other = Authority::new("other");
    fs::write(house.dir.path().join("clients.pem"), other.pem()).unwrap();
    house.tls.renew();
    assert!(!house.is_let_in(&client));
    assert!(house.is_let_in(&house.client(Some(&other.paper("acs-1")))));
}

/// What is said of files that were changed.
fn fault(change: impl FnOnce(&Path, &Authority)) -> String {
    let bank = Authority::new("bank");
    let dir = tempfile::tempdir().unwrap();
    bank.paper("varsel").put(dir.path());
    let files = papers::files(dir.path(), Some(&bank), Some(&bank));
    change(dir.path(), &bank);
    let opened = Tls::open(files, &Arc::new(Metrics::new()));
    let told = opened.err().unwrap().to_string();
    told.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn every_fault_of_a_file_is_told_with_the_file_and_what_to_do() {
    for (told, begins) in [
        (
            fault(|dir, bank| fs::write(dir.join("key.pem"), bank.paper("x").key).unwrap()),
            "`http.tls.key`: `key.pem` does not belong to the certificate in `certificate.pem`\n",
        ),
        (
            fault(|dir, _| {
                let text = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
                fs::write(dir.join("key.pem"), text).unwrap();
            }),
            "`http.tls.key`: the key in `key.pem` is encrypted\n",
        ),
        (
            fault(|dir, _| fs::write(dir.join("key.pem"), "").unwrap()),
            "`http.tls.key`: `key.pem` holds no private key\n",
        ),
        (
            fault(|dir, _| fs::remove_file(dir.join("certificate.pem")).unwrap()),
            "`http.tls.certificate`: `certificate.pem` cannot be read: ",
        ),
        (
            fault(|dir, _| fs::write(dir.join("certificate.pem"), "x").unwrap()),
            "`http.tls.certificate`: `certificate.pem` holds no certificate\n",
        ),
        (
            fault(|dir, _| fs::write(dir.join("clients.pem"), "").unwrap()),
            "`http.tls.client_ca`: `clients.pem` holds no certificate\n",
        ),
        (
            fault(|dir, _| {
                let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
                fs::write(dir.join("peers.pem"), text).unwrap();
            }),
            "`http.tls.peer_ca`: `peers.pem` holds no authority that can be used: ",
        ),
    ] {
        assert!(told.starts_with(begins), "{told}");
        assert!(told.contains("\n  = help: "), "{told}");
        assert!(!told.contains("AAAA"), "{told}");
    }
}

#[test]
fn an_expired_certificate_of_ours_is_served_all_the_same_and_shows_in_the_metrics() {
    let bank = Authority::new("bank");
    let dir = tempfile::tempdir().unwrap();
    bank.paper_until("varsel", 2020).put(dir.path());
    let metrics = Arc::new(Metrics::new());
    assert!(Tls::open(papers::files(dir.path(), None, None), &metrics).is_ok());
    let page = metrics.render(0);
    let line = "varsel_tls_certificate_expires_timestamp_seconds 1577836800\n";
    assert!(page.contains(line), "{page}");
}
