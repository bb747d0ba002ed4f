//! What a question is told where it cannot be judged, or only on an old state: each state of a shard and
//! of its owner brought about for real, over HTTP. Nothing hangs, and nothing silently says `allow`.

use super::process::Process;
use super::*;
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use varsel::api::ledger::Ledger;
use varsel::api::pages;
use varsel::api::teller::Teller;
use varsel::http::{self, Limits, Port, Server, Speaks};
use varsel::stream::owners::Owners;
use varsel::stream::placing::partition_of;
use varsel::stream::seat::{Seat, Seats};
use varsel::stream::sentinel::Sentinel;
use varsel::stream::shard::Shard;

/// What a call may take beyond its deadline on a machine that has more to do.
const SLACK: Duration = Duration::from_secs(20);

/// The calls over HTTP, before seats that the test fills.
pub struct Counter {
    pub bank: Bank,
    seats: Arc<Seats>,
    stop: Arc<AtomicBool>,
    pub server: Server,
    follows: Option<JoinHandle<()>>,
}

impl Counter {
    pub fn open(limits: Limits) -> Self {
        let mut bank = Bank::new();
        let mut config = Config::clone(&bank.config);
        config.run.instance = "here".to_owned();
        bank.config = Arc::new(config);
        let config = &bank.config;
        let seats = Arc::new(Seats::new(
            usize::try_from(config.topics.partitions).unwrap(),
        ));
        let ledger = Arc::new(Ledger::new(Geo::embedded().unwrap()));
        let metrics = Arc::new(Metrics::default());
        let teller = Teller::new(config, &seats, &ledger, &bank.sender, &metrics, None).unwrap();
        let readiness = Arc::new(Readiness::new(&[]));
        let port = Port {
            router: http::pages(Arc::clone(&metrics), readiness)
                .merge(pages::router(Arc::new(teller))),
            limits,
            speaks: Speaks::Http,
            tls: None,
            metrics,
        };
        let server = http::serve(config.http.listen, port).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let follows = {
            let (stop, config, ledger) =
                (Arc::clone(&stop), Arc::clone(config), Arc::clone(&ledger));
            std::thread::spawn(move || ledger.follow(&config, &stop, || {}).unwrap())
        };
        let watch = Stopwatch::start();
        while !ledger.is_read() {
            assert!(watch.elapsed() < PATIENCE, "the topics are read");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Self {
            bank,
            seats,
            stop,
            server,
            follows: Some(follows),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The partition of the cardholder asked about, and its seat.
    fn seat(&self) -> (i32, Arc<Seat>) {
        let partition = partition_of(b"p-1", self.seats.count());
        (partition, Arc::clone(self.seats.of(partition).unwrap()))
    }

    /// An empty shard for that partition.
    fn shard(&self) -> Shard {
        let starter = Arc::new(Prepared::new(rulebook::embedded().unwrap().book));
        let log = self.bank.config.topics.log.as_str();
        Shard::new((log, self.seat().0), 0, 0, &starter)
    }

    /// Seats a shard that everything can be asked of.
    pub fn sit(&self) {
        let sentinel = Arc::new(Sentinel::new(Duration::from_secs(3_600)));
        for partition in 0..i32::try_from(self.seats.count()).unwrap() {
            let seat = self.seats.of(partition).unwrap();
            seat.take(self.shard(), 0, &sentinel);
        }
    }

    /// Announces that the partition asked about is scored by another instance, at this address.
    fn announce(&self, http: &str) {
        let mut config = Config::clone(&self.bank.config);
        config.run.instance = "elsewhere".to_owned();
        let owners = Owners::new(&config, &self.bank.sender, http).unwrap();
        owners.announce(self.seat().0, "x").unwrap();
        let ticket = Ticket::open();
        ticket.settle();
        let watch = Stopwatch::start();
        while self.bank.sender.in_flight() > 0 {
            assert!(watch.elapsed() < PATIENCE, "the announcement is taken");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(follows) = self.follows.take() {
            let _ = follows.join();
        }
    }
}

/// A payment of the cardholder.
pub fn payment() -> Value {
    json!({"type": "authorization", "id": "q-1", "at": "2026-03-01T10:00:00Z", "card": "c-1",
        "cardholder": "p-1", "amount_minor": 100, "currency": "DKK", "mcc": "5411",
        "merchant": {"id": "m", "name": "M", "country": "DK"}, "channel": "ecommerce",
        "security": "3ds"})
}

/// Asks about that payment; the answer must come within the deadline and some slack.
fn ask(address: SocketAddr, deadline_ms: u64) -> Told {
    let watch = Stopwatch::start();
    let more = format!("varsel-deadline-ms: {deadline_ms}\r\n");
    let body = payment().to_string();
    let told = call(address, "POST", "/v1/assessments", &more, body.as_bytes());
    let bound = Duration::from_millis(deadline_ms) + SLACK;
    assert!(
        watch.elapsed() < bound,
        "{deadline_ms} ms: {:?}",
        watch.elapsed()
    );
    told
}

/// A failure states its code, and the fallback as such.
fn fails(told: &Told, status: u16, code: &str) {
    assert_eq!(
        (told.status, told.body["code"].as_str()),
        (status, Some(code)),
        "{}",
        told.text
    );
    fits_schema(&told.body, "Problem");
    assert_eq!(told.body["fallback"]["action"], "step_up");
    assert!(
        told.head.contains("application/problem+json"),
        "{}",
        told.head
    );
    assert!(!told.text.contains("allow\""), "{}", told.text);
}

/// An answer says whether its state may be old, and why.
fn stale(told: &Told, why: Option<&str>) {
    assert_eq!(told.status, 200, "{}", told.text);
    fits_schema(&told.body, "Answer");
    assert_eq!(told.body["stale"], why.is_some(), "{}", told.text);
    assert_eq!(told.body["stale_why"].as_str(), why);
}

#[test]
fn fail_visible_each_state_of_a_shard_has_its_answer() {
    let counter = Counter::open(Limits::default());
    let address = counter.address();
    let (_, seat) = counter.seat();
    let sound = Arc::new(Sentinel::new(Duration::from_secs(3_600)));
    let frozen = Arc::new(Sentinel::new(Duration::ZERO));
    fails(&ask(address, 500), 503, "no_owner");
    seat.restoring();
    fails(&ask(address, 500), 503, "restoring");
    let card = get(address, "/v1/cards/c-1");
    assert_eq!(card.status, 503, "{}", card.text);
    seat.take(counter.shard(), 5, &sound);
    stale(&ask(address, 10_000), Some("restoring"));
    seat.take(counter.shard(), 0, &sound);
    stale(&ask(address, 10_000), None);
    counter.seats.lag(true);
    stale(&ask(address, 10_000), Some("lagging"));
    counter.seats.lag(false);
    // A process that stood still for longer than its group waits may own nothing any more.
    seat.take(counter.shard(), 0, &frozen);
    fails(&ask(address, 500), 503, "no_owner");
    drop(seat.leave());
    let told = ask(address, 500);
    fails(&told, 503, "no_owner");
    assert!(told.head.contains("retry-after: 1"), "{}", told.head);
}

#[test]
fn fail_visible_a_shard_at_work_is_waited_for_until_the_deadline_and_holds_up_nobody_else() {
    let counter = Counter::open(Limits::default());
    let address = counter.address();
    counter.sit();
    let (_, seat) = counter.seat();
    let (held, is_held) = sync_channel(0);
    let (release, released): (SyncSender<()>, Receiver<()>) = sync_channel(0);
    let works = {
        let seat = Arc::clone(&seat);
        std::thread::spawn(move || {
            seat.work(|_| {
                held.send(()).unwrap();
                released.recv().unwrap();
            });
        })
    };
    is_held.recv().unwrap();
    for deadline_ms in [0, 1, 50] {
        fails(&ask(address, deadline_ms), 504, "deadline");
    }
    // Who waits for the shard does not keep the thread.
    let waits = std::thread::spawn(move || ask(address, 10_000));
    let mut other = payment();
    let elsewhere =
        |n: &i32| partition_of(format!("p-{n}").as_bytes(), 4) != partition_of(b"p-1", 4);
    let n = (2..).find(elsewhere).unwrap();
    other["cardholder"] = json!(format!("p-{n}"));
    for _ in 0..20 {
        assert_eq!(post(address, "/v1/assessments", &other).status, 200);
        assert_eq!(get(address, "/livez").status, 200);
    }
    release.send(()).unwrap();
    works.join().unwrap();
    stale(&waits.join().unwrap(), None);
}

#[test]
fn fail_visible_an_owner_that_is_away_mute_or_mad_is_told_within_the_deadline() {
    let counter = Counter::open(Limits::default());
    let address = counter.address();
    // Nobody listens there any more.
    let away = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    counter.announce(&away.to_string());
    let told = until_told(address, |told| told.body["code"] != "no_owner");
    fails(&told, 502, "owner_unreachable");
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{",
        b"\x00\xff\xfe",
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = listener.local_addr().unwrap().to_string();
        let mad = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(answer);
        });
        counter.announce(&http);
        let told = until_told(address, |_| mad.is_finished());
        assert!(matches!(told.status, 502 | 504), "{}", told.text);
        mad.join().unwrap();
    }
    // One that takes the connection and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    counter.announce(&mute.local_addr().unwrap().to_string());
    let told = until_told(address, |told| told.status == 504);
    fails(&told, 504, "deadline");
}

/// Asks until an answer passes; whatever comes before must be a failure that states its fallback.
fn until_told(address: SocketAddr, passes: impl Fn(&Told) -> bool) -> Told {
    let watch = Stopwatch::start();
    loop {
        let told = ask(address, 300);
        assert_eq!(told.body["fallback"]["action"], "step_up", "{}", told.text);
        if passes(&told) {
            return told;
        }
        assert!(watch.elapsed() < PATIENCE, "{}", told.text);
    }
}

#[test]
fn fail_visible_a_killed_owner_is_told_as_unreachable_by_those_that_would_ask_it() {
    let (mut bank, monitor, loss) = before_the_loss();
    monitor.stop();
    let mut owner = Process::start(&bank, "owner", "[run]\ninstance = \"owner\"\n", &[]);
    let there = owner.address();
    until(there, "/readyz", |told| told.status == 200);
    let mut config = Config::clone(&bank.config);
    config.run.roles = [Role::Api].into();
    config.run.instance = "other".to_owned();
    bank.config = Arc::new(config);
    let other = bank.start();
    let address = other.address();
    until(address, "/readyz", |told| told.status == 200);
    let watch = Stopwatch::start();
    while post(address, "/v1/assessments", &loss).status != 200 {
        assert!(watch.elapsed() < PATIENCE, "the owner is known");
    }
    owner.kill();
    fails(
        &post(address, "/v1/assessments", &loss),
        502,
        "owner_unreachable",
    );
    let card = get(
        address,
        &format!("/v1/cards/{}", loss["card"].as_str().unwrap()),
    );
    assert_eq!(
        (card.status, card.body["code"].as_str()),
        (502, Some("owner_unreachable"))
    );
    other.stop();
}

/// An object store that keeps nothing and holds listings back until it is told to answer.
fn slow_store() -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&answers);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), told) = (stream, Arc::clone(&told)) else {
                return;
            };
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    head.push(byte[0]);
                }
                let text = String::from_utf8_lossy(&head).to_lowercase();
                let length = text.split("content-length: ").nth(1);
                let length = length.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
                let _ = stream.read_exact(&mut vec![0; length.unwrap_or(0)]);
                let is_list =
                    head.starts_with(b"GET") && head.windows(9).any(|w| w == b"list-type");
                while is_list && !told.load(Ordering::Relaxed) {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                let list = "<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";
                let body = match head.first() {
                    Some(b'G') => list,
                    Some(b'P') if head.starts_with(b"POST") => {
                        "<DeleteResult><Deleted><Key>k</Key></Deleted></DeleteResult>"
                    }
                    _ => "",
                };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\netag: \"e\"\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes());
            });
        }
    });
    (address, answers)
}

#[test]
fn fail_visible_a_slow_restore_answers_restoring_and_then_what_it_knows() {
    let (bank, monitor, loss) = before_the_loss();
    monitor.stop();
    let (store, answers) = slow_store();
    let endpoint = format!("http://{store}");
    let env = [
        ("AWS_ENDPOINT", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("AWS_REGION", "x"),
    ];
    let more = "[checkpoint]\nurl = \"s3://bank/p\"\n[run]\ninstance = \"slow\"\n";
    let mut slow = Process::start(&bank, "slow", more, &env);
    let address = slow.address();
    let mut ask = || {
        slow.lives();
        post(address, "/v1/assessments", &loss)
    };
    let watch = Stopwatch::start();
    loop {
        let told = ask();
        let code = told.body["code"].as_str().unwrap_or_default().to_owned();
        fails(&told, 503, &code);
        if code == "restoring" && !told.text.contains("bindings") {
            break;
        }
        assert!(
            ["no_owner", "restoring"].contains(&code.as_str()),
            "{}",
            told.text
        );
        assert!(watch.elapsed() < PATIENCE, "{}", told.text);
    }
    assert_eq!(get(address, "/readyz").status, 503);
    answers.store(true, Ordering::Relaxed);
    loop {
        let told = ask();
        if told.status == 200 && told.body["stale"] == false {
            assert_eq!(told.body["action"], "decline", "{}", told.text);
            break;
        }
        if told.status == 200 {
            assert_eq!(told.body["stale_why"], "restoring", "{}", told.text);
        }
        assert!(watch.elapsed() < PATIENCE, "{}", told.text);
    }
}

/// What two instances may say while partitions move between them, besides the right answer.
const MOVING: [&str; 6] = [
    "restoring",
    "no_owner",
    "owner_moved",
    "owner_unreachable",
    "deadline",
    "overloaded",
];

#[test]
fn fail_visible_while_partitions_move_every_answer_is_right_or_stale_or_says_that_it_cannot_be_given()
 {
    let (mut bank, first, loss) = before_the_loss();
    let here = first.address();
    let right = common(&post(here, "/v1/assessments", &loss).body);
    assert_eq!(right["action"], "decline");
    let mut config = Config::clone(&bank.config);
    config.run.instance = "second".to_owned();
    let own = std::mem::replace(&mut bank.config, Arc::new(config));
    let over = Arc::new(AtomicBool::new(false));
    let asks = |address: SocketAddr| {
        let (loss, right, over) = (loss.clone(), right.clone(), Arc::clone(&over));
        std::thread::spawn(move || {
            let (mut whole, mut moving) = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let watch = Stopwatch::start();
                let body = loss.to_string();
                let more = "varsel-deadline-ms: 1000\r\n";
                let told = call(address, "POST", "/v1/assessments", more, body.as_bytes());
                assert!(watch.elapsed() < SLACK, "{:?}", watch.elapsed());
                if told.status == 200 && told.body["stale"] == false {
                    assert_eq!(common(&told.body), right);
                    whole += 1;
                } else if told.status != 200 {
                    let code = told.body["code"].as_str().unwrap_or_default();
                    assert!(MOVING.contains(&code), "{}", told.text);
                    assert_eq!(told.body["fallback"]["action"], "step_up");
                    moving += 1;
                }
            }
            (whole, moving)
        })
    };
    let at_first = asks(here);
    for _ in 0..2 {
        let second = bank.start();
        let there = second.address();
        until(there, "/readyz", |told| told.status == 200);
        let watch = Stopwatch::start();
        // Both answer for every card again, each by itself or by the other.
        for address in [here, there] {
            while post(address, "/v1/assessments", &loss).status != 200 {
                assert!(watch.elapsed() < PATIENCE, "an answer from {address}");
            }
        }
        second.stop();
    }
    over.store(true, Ordering::Relaxed);
    let (whole, _) = at_first.join().unwrap();
    assert!(whole > 10, "{whole}");
    bank.config = own;
    first.stop();
}

#[test]
fn fail_visible_without_a_broker_answers_are_stale_and_steps_are_not_taken() {
    let (bank, monitor, loss) = before_the_loss();
    monitor.stop();
    let mut process = Process::start(&bank, "alone", "[run]\ninstance = \"alone\"\n", &[]);
    let address = process.address();
    until(address, "/readyz", |told| told.status == 200);
    let hold = restored(address, &loss)["hold"].clone();
    let path = format!("/v1/holds/{}/acknowledge", hold.as_str().unwrap());
    until(address, "/v1/holds", |told| {
        told.text.contains(hold.as_str().unwrap())
    });
    let Bank { broker, dir, .. } = bank;
    drop(broker);
    let watch = Stopwatch::start();
    loop {
        let told = post(address, "/v1/assessments", &loss);
        if told.body["stale"] == true {
            stale(&told, Some("lagging"));
            assert_eq!(told.body["action"], "decline", "{}", told.text);
            break;
        }
        assert!(watch.elapsed() < PATIENCE, "{}", process.said());
    }
    assert_eq!(get(address, "/readyz").status, 503);
    let said = json!({"suspended": true, "reason": "x"}).to_string();
    for (path, body) in [
        (path.as_str(), &b"{}"[..]),
        ("/v1/enforcement", said.as_bytes()),
    ] {
        let more = "varsel-deadline-ms: 300\r\n";
        let told = call(address, "POST", path, more, body);
        let code = told.body["code"].as_str();
        assert_eq!(
            (told.status, code),
            (503, Some("log_unavailable")),
            "{}",
            told.text
        );
        assert!(told.head.contains("retry-after: 1"), "{}", told.head);
    }
    assert_eq!(get(address, "/v1/enforcement").body["suspended"], false);
    process.kill();
    drop(dir);
}
