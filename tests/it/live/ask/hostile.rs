//! Clients that mean no good, against the real server: slow, too large, too deep, garbled, too many. Each
//! is answered with a failure of its own or cut within its bound, and whoever comes after is served.

use super::faults::{Counter, payment};
use super::*;
use varsel::http::Limits;

/// Bounds that let a test wait for them.
const SHORT: Limits = Limits {
    connections: 64,
    handshake: Duration::from_secs(5),
    head: Duration::from_millis(300),
    life: Duration::from_secs(300),
    grace: Duration::from_secs(2),
    head_bytes: 16 * 1024,
};
/// Who sends one byte, waits this long before the next.
const TRICKLE: Duration = Duration::from_millis(20);
/// Within this the server must have answered or cut.
const BOUND: Duration = Duration::from_secs(30);

/// A counter whose shards sit, so that whoever asks well is answered.
fn counter() -> Counter {
    let counter = Counter::open(SHORT);
    counter.sit();
    counter
}

/// Whoever asks well is served.
fn serves(address: SocketAddr) {
    let told = post(address, "/v1/assessments", &payment());
    assert_eq!(told.status, 200, "{}", told.text);
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(BOUND)).unwrap();
    stream
}

/// Sends bytes and reads until the other side closes: what it said, in lower case.
fn answer(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).to_lowercase()
}

/// Sends a beginning, then a byte now and then, until the other side answers or cuts: what it said.
fn trickles(address: SocketAddr, beginning: &[u8], then: u8) -> String {
    let mut stream = connect(address);
    stream.write_all(beginning).unwrap();
    stream.set_read_timeout(Some(TRICKLE)).unwrap();
    let watch = Stopwatch::start();
    let mut answer = Vec::new();
    let mut part = [0; 4_096];
    loop {
        assert!(watch.elapsed() < BOUND, "neither answered nor cut");
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&part[..count]),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {
                if answer.is_empty() && stream.write_all(&[then]).is_err() {
                    break;
                }
            }
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&answer).to_lowercase()
}

#[test]
fn a_head_or_a_body_that_trickles_is_cut_within_its_bound() {
    let counter = counter();
    let address = counter.address();
    let watch = Stopwatch::start();
    let head = trickles(
        address,
        b"POST /v1/assessments HTTP/1.1\r\nhost: h\r\nx: ",
        b'x',
    );
    assert!(!head.contains(" 200 "), "{head}");
    assert!(
        watch.elapsed() < Duration::from_secs(10),
        "{:?}",
        watch.elapsed()
    );
    for more in [
        "content-length: 60000\r\n\r\n{",
        "transfer-encoding: chunked\r\n\r\n1\r\n",
    ] {
        let request =
            format!("POST /v1/assessments HTTP/1.1\r\nhost: h\r\nvarsel-deadline-ms: 5\r\n{more}");
        let told = trickles(address, request.as_bytes(), b' ');
        let is_cut = told.is_empty() || told.contains("slow_body") || told.contains(" 400 ");
        assert!(is_cut, "{told}");
    }
    serves(address);
}

#[test]
fn what_is_too_large_is_refused_however_it_comes() {
    let counter = counter();
    let address = counter.address();
    let post = "POST /v1/assessments HTTP/1.1\r\nhost: h\r\nconnection: close\r\nvarsel-deadline-ms: 1\r\n";
    let blanks = " ".repeat(70_000);
    let whole = format!("{post}content-length: 70000\r\n\r\n{blanks}");
    let chunked = format!("{post}transfer-encoding: chunked\r\n\r\n11170\r\n{blanks}\r\n0\r\n\r\n");
    for request in [whole, chunked] {
        let told = answer(address, request.as_bytes());
        assert!(
            told.starts_with("http/1.1 413 ") && told.contains("too_large"),
            "{told}"
        );
        assert!(told.contains("\"fallback\""), "{told}");
    }
    // One that only claims to be large is not waited for.
    let claims = format!("{post}content-length: 99999999999\r\n\r\n");
    let told = answer(address, claims.as_bytes());
    assert!(told.contains(" 413 ") || told.contains(" 408 "), "{told}");
    // Line by line, so that the answer is not lost to unread bytes.
    let many = trickles_lines(address, 4_000);
    assert!(!many.contains(" 200 "), "{many}");
    serves(address);
}

/// Sends header lines until it is answered or cut.
fn trickles_lines(address: SocketAddr, lines: usize) -> String {
    let mut stream = connect(address);
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: h\r\n");
    for line in 0..lines {
        if stream
            .write_all(format!("x-{line}: 1\r\n").as_bytes())
            .is_err()
        {
            break;
        }
    }
    let _ = stream.write_all(b"\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).to_lowercase()
}

#[test]
fn what_cannot_be_read_is_told_so_by_every_call_that_takes_a_body() {
    let counter = counter();
    let address = counter.address();
    let hold = "0".repeat(32);
    let paths = [
        "/v1/assessments".to_owned(),
        "/v1/acs/areq".to_owned(),
        "/v1/enforcement".to_owned(),
        format!("/v1/holds/{hold}/acknowledge"),
        format!("/v1/holds/{hold}/enforced"),
        format!("/v1/holds/{hold}/release"),
        format!("/v1/alerts/{hold}/disposition"),
    ];
    let deep = |open: &str, close: &str| open.repeat(10_000) + &close.repeat(10_000);
    let mut garbled = payment().to_string().into_bytes();
    let at = garbled.windows(3).position(|w| w == b"q-1").unwrap();
    garbled[at] = 0xff;
    let bodies: [Vec<u8>; 7] = [
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        garbled,
        vec![0xff, 0xfe, 0x00],
        b"{\"by\":\"\xc3\x28\"}".to_vec(),
        b"<?xml version=\"1.0\"?><a/>".to_vec(),
        b"{\"type\":\"authorization\",\"id\":\"\\ud800\"}".to_vec(),
    ];
    for path in &paths {
        for body in &bodies {
            for kind in ["application/json", "text/xml", "\u{7f}"] {
                let more = format!("content-type: {kind}\r\n");
                let told = call(address, "POST", path, &more, body);
                // A content type that is no header at all is refused before it reaches the call.
                let is_told = matches!(told.status, 400 | 422) && told.body["code"].is_string();
                assert!(
                    is_told || kind == "\u{7f}" && told.status == 400,
                    "{path}: {} {}",
                    told.status,
                    told.text
                );
            }
        }
    }
    for path in [
        "/v1/cards/%ff",
        "/v1/holds/%ff/release",
        "/v1/alerts/%c3%28/disposition",
    ] {
        let method = if path.contains("cards") {
            "GET"
        } else {
            "POST"
        };
        let told = call(address, method, path, "", b"");
        assert_eq!(
            (told.status, told.body["code"].as_str()),
            (400, Some("bad_request")),
            "{path} {}",
            told.text
        );
    }
    serves(address);
}

#[test]
fn what_is_no_http_is_answered_with_a_fault_of_the_client_or_cut() {
    let counter = counter();
    let address = counter.address();
    let post = "POST /v1/assessments HTTP/1.1\r\nhost: h\r\nconnection: close\r\nvarsel-deadline-ms: 1\r\n";
    let requests: Vec<Vec<u8>> = vec![
        format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\nx\r\n").into_bytes(),
        format!("{post}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n").into_bytes(),
        format!("{post}transfer-encoding: chunked\r\n\r\n5\r\nab").into_bytes(),
        format!("{post}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\n\r\n").into_bytes(),
        format!("{post}content-length: 1\r\ncontent-length: 2\r\n\r\nab").into_bytes(),
        format!("{post}content-length: -1\r\n\r\n").into_bytes(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"GET /livez\x00 HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 20_000],
    ];
    for request in requests {
        let told = answer(address, &request);
        let is_cut = told.is_empty() || told.starts_with("http/1.1 4");
        assert!(is_cut, "{}: {told}", String::from_utf8_lossy(&request));
    }
    serves(address);
}

#[test]
fn requests_in_one_piece_are_answered_in_their_order() {
    let counter = counter();
    let address = counter.address();
    let body = payment().to_string();
    let length = body.len();
    let mut pieces = String::new();
    for n in 0..200 {
        let last = if n == 199 {
            "connection: close\r\n"
        } else {
            ""
        };
        pieces += &format!(
            "POST /v1/assessments HTTP/1.1\r\nhost: h\r\nx-request-id: n-{n}\r\n{last}varsel-deadline-ms: 10000\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    }
    let told = answer(address, pieces.as_bytes());
    let ids: Vec<&str> = told
        .split("x-request-id: ")
        .skip(1)
        .map(|rest| rest.split("\r\n").next().unwrap())
        .collect();
    let expected: Vec<String> = (0..200).map(|n| format!("n-{n}")).collect();
    assert_eq!(ids, expected);
    assert_eq!(told.matches("http/1.1 200 ").count(), 200);
}

#[test]
fn a_flood_of_silent_connections_is_cut_and_whoever_comes_behind_it_is_answered() {
    let counter = counter();
    let address = counter.address();
    // Far more than there are places; those that the system itself turns away do not matter.
    let wait = Duration::from_millis(50);
    let flood: Vec<TcpStream> = (0..1_500)
        .filter_map(|_| TcpStream::connect_timeout(&address, wait).ok())
        .collect();
    assert!(flood.len() > 500, "{}", flood.len());
    let watch = Stopwatch::start();
    serves(address);
    assert!(
        watch.elapsed() < Duration::from_secs(60),
        "{:?}",
        watch.elapsed()
    );
    drop(flood);
    serves(address);
}

#[test]
fn a_page_of_another_origin_cannot_change_anything_through_an_open_door() {
    let counter = counter();
    let address = counter.address();
    let said = json!({"suspended": true, "reason": "x"}).to_string();
    let from = |origin: &str| {
        let more = format!("origin: {origin}\r\n");
        call(address, "POST", "/v1/enforcement", &more, said.as_bytes())
    };
    for foreign in [
        "http://elsewhere.example",
        "null",
        "http://here.example",
        "http://here:1",
    ] {
        let told = from(foreign);
        assert_eq!(
            (told.status, told.body["code"].as_str()),
            (403, Some("forbidden")),
            "{}",
            told.text
        );
    }
    assert_eq!(get(address, "/v1/enforcement").body["suspended"], false);
    let own = from("http://here");
    assert!(matches!(own.status, 200 | 202), "{}", own.text);
}
