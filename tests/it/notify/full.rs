//! A disk that is full: told in `/readyz`, and nothing is lost once there is room again. The disk is a bound on the size
//! of the files of a process of our own, so that no test needs a file system to fill.

use super::*;
use crate::live::Bank;
use crate::live::ask::process::Process;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use varsel::clock::Stopwatch;
use varsel::store::alerts;

const PATIENCE: Duration = Duration::from_secs(120);
const ALERTS: u32 = 3_000;

/// What `/readyz` answers.
fn readyz(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = b"GET /readyz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Waits until `/readyz` answers so; what it said.
fn until(process: &mut Process, wanted: impl Fn(&str) -> bool) -> String {
    let (address, watch) = (process.address(), Stopwatch::start());
    loop {
        let answer = readyz(address);
        if wanted(&answer) {
            return answer;
        }
        assert!(watch.elapsed() < PATIENCE, "{answer}");
        process.lives();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn no_loss_a_store_whose_disk_is_full_is_told_and_goes_on_when_there_is_room() {
    let (bank, catcher) = (Bank::new(), Catcher::start());
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("varsel.db");
    let more = format!(
        "[run]\nroles = [\"notify\"]\n[store]\nurl = \"{}\"\n[mail]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\n\
         from = \"v@bank.example\"\n[[route]]\nname = \"team\"\nmail = [\"fraud@bank.example\"]\nburst = 100\n\
         group_interval = \"1s\"\n",
        place.display(),
        catcher.address.port()
    );
    // No file of the process may grow beyond a megabyte, as on a disk without room: a write fails.
    let limited = "trap \"\" XFSZ; ulimit -S -f 1024; exec \"$0\" \"$@\"";
    let command = ["bash", "-c", limited, env!("CARGO_BIN_EXE_varsel")];
    let mut process = Process::start_by(&command, &bank, "full", &more, &[]);
    until(&mut process, |answer| answer.starts_with("HTTP/1.1 200 "));
    let lines: Vec<String> = (0..ALERTS).map(|id| line(id, "open", "high", 1)).collect();
    bank.put(&bank.config.topics.alerts, &lines);
    let answer = until(&mut process, |answer| answer.starts_with("HTTP/1.1 503 "));
    assert!(answer.contains("notify: the store"), "{answer}");

    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap());
    let room = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, room).unwrap();
    until(&mut process, |answer| answer.starts_with("HTTP/1.1 200 "));
    let mut store = Store::open(&Place::File(place)).unwrap();
    let watch = Stopwatch::start();
    loop {
        let (count, _) = store.commit(alerts::count).unwrap();
        let standing = store
            .commit(|tx| outbox::standing(tx, i64::MAX, 0))
            .unwrap();
        // Reminders of what was told wait for hours.
        let unsent = standing.queued;
        if count == i64::from(ALERTS) && unsent == 0 && told(&catcher) == ALERTS {
            break;
        }
        assert!(watch.elapsed() < PATIENCE, "{count} alerts, {standing:?}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    process.end();
    assert_eq!(told(&catcher), ALERTS, "each episode once");
}

/// How many episodes the mails told of.
fn told(catcher: &Catcher) -> u32 {
    let subjects = catcher.taken().into_iter();
    let counts = subjects.map(|mail| {
        let subject = mail.header("Subject");
        let first = subject.trim_start_matches("[Varsel] ").split(' ').next();
        first.unwrap_or_default().parse::<u32>().unwrap_or(1)
    });
    counts.sum()
}
