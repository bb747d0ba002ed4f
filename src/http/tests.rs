//! Tests of the port over real sockets: pages, bounds, the end.
//!
//! What the pages count is tested where it is counted.

use super::*;
use crate::telemetry::{Metrics, Readiness};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

const ANY: &str = "127.0.0.1:0";

struct House {
    server: Server,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

fn port(limits: Limits, metrics: &Arc<Metrics>, readiness: &Arc<Readiness>) -> Port {
    Port {
        router: pages(Arc::clone(metrics), Arc::clone(readiness)),
        limits,
        speaks: Speaks::Http,
        tls: None,
        metrics: Arc::clone(metrics),
    }
}

fn house(limits: Limits) -> House {
    let metrics = Arc::new(Metrics::new());
    let readiness = Arc::new(Readiness::new(&["restored"]));
    let server = serve(ANY.parse().unwrap(), port(limits, &metrics, &readiness)).unwrap();
    House {
        server,
        metrics,
        readiness,
    }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    // So that a server that never answers fails the test instead of stopping it.
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

/// Sends bytes and reads until the server closes.
fn told(server: &Server, request: &str) -> String {
    let mut stream = connect(server);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(server: &Server, path: &str) -> (u16, String, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
    let answer = told(server, &request);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

/// Asks on a connection that is kept, and reads the answer's head and known body.
fn asks_livez(stream: &mut TcpStream) {
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nhost: here\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\nok\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}

#[test]
fn the_pages_answer_over_a_socket() {
    let house = house(Limits::default());
    let (status, head, body) = get(&house.server, "/livez");
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    assert!(head.contains("cache-control: no-store"), "{head}");

    house.metrics.events.add("applied", 3);
    let (status, head, body) = get(&house.server, "/metrics");
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        body.contains("varsel_events_total{result=\"applied\"} 3\n"),
        "{body}"
    );
}

#[test]
fn a_page_longer_than_any_head_comes_whole() {
    let house = house(Limits {
        head_bytes: 0,
        ..Limits::default()
    });
    for partition in 0..10_000 {
        house
            .metrics
            .lag_records
            .set(&["varsel.log", &partition.to_string()], 7);
    }
    let (status, head, body) = get(&house.server, "/metrics");
    assert_eq!(status, 200);
    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{head}"
    );
    assert_eq!(body.matches("varsel_lag_records{").count(), 10_000);
}

#[test]
fn readiness_says_why_not_and_then_that_it_is() {
    let house = house(Limits::default());
    house.readiness.unmet("restored", "partition \"3\" of 12");
    let (status, head, body) = get(&house.server, "/readyz");
    assert_eq!(status, 503);
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(
        body,
        "{\"ready\":false,\"reasons\":[\"restored: partition \\\"3\\\" of 12\"]}\n"
    );
    house.readiness.met("restored");
    let (status, _, body) = get(&house.server, "/readyz");
    assert_eq!((status, body.as_str()), (200, "{\"ready\":true}\n"));
}

#[test]
fn what_is_not_there_is_told_as_a_problem() {
    let house = house(Limits::default());
    let (status, head, body) = get(&house.server, "/nowhere");
    assert_eq!(status, 404);
    assert!(
        head.contains("content-type: application/problem+json"),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&body["status"], &body["title"]),
        (&404.into(), &"Not Found".into())
    );

    let request =
        "POST /metrics HTTP/1.1\r\nhost: here\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let answer = told(&house.server, request).to_lowercase();
    assert!(answer.starts_with("http/1.1 405 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("allow: get,head"), "{answer}");
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let house = house(Limits::default());
    let fits = format!(
        "GET /livez HTTP/1.1\r\nhost: here\r\nconnection: close\r\nx: {}\r\n\r\n",
        "x".repeat(8_000)
    );
    assert!(told(&house.server, &fits).starts_with("HTTP/1.1 200 "));
    // Exactly what the server takes in before it refuses, so that the answer is not lost to unread bytes.
    let start = "GET /livez HTTP/1.1\r\nx: ";
    let long = format!("{start}{}", "x".repeat(16 * 1024 - start.len()));
    let answer = told(&house.server, &long);
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[test]
fn a_head_that_does_not_come_ends_its_connection() {
    let limits = Limits {
        head: Duration::from_millis(50),
        ..Limits::default()
    };
    let house = house(limits);
    let answer = told(&house.server, "GET /livez HTTP/1.1\r\nhost: he");
    assert!(!answer.contains("200 OK"), "{answer}");
    assert_eq!(told(&house.server, ""), "");
}

#[test]
fn a_connection_lives_for_a_bounded_time() {
    let limits = Limits {
        life: Duration::from_millis(50),
        ..Limits::default()
    };
    let house = house(limits);
    let mut stream = connect(&house.server);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn beyond_the_bound_a_connection_waits_for_a_place() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let house = house(limits);
    let mut first = connect(&house.server);
    asks_livez(&mut first);
    let mut second = connect(&house.server);
    second
        .write_all(b"GET /livez HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        .unwrap();
    // The first is served again and again, on the one thread, and the second is not.
    for _ in 0..20 {
        asks_livez(&mut first);
    }
    second.set_nonblocking(true).unwrap();
    let early = second.read(&mut [0]).unwrap_err();
    assert_eq!(early.kind(), io::ErrorKind::WouldBlock);
    second.set_nonblocking(false).unwrap();
    drop(first);
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");
}

#[test]
fn a_stopped_server_closes_what_is_idle_and_frees_its_port() {
    let house = house(Limits::default());
    let address = house.server.address();
    let mut idle = connect(&house.server);
    asks_livez(&mut idle);
    house.server.stop();
    assert_eq!(idle.read(&mut [0]).unwrap(), 0);
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn an_address_in_use_is_told_by_its_name() {
    let house = house(Limits::default());
    let address = house.server.address();
    let again = port(Limits::default(), &house.metrics, &house.readiness);
    let error = serve(address, again).unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with(&format!("`http.listen`: cannot listen on `{address}`: ")),
        "{told}"
    );
}
