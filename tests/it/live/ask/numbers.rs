//! Promise `no-pan` end to end: card numbers are sent wherever a caller or a bank could put one, and then
//! looked for in every answer, log line, topic, checkpoint, dead letter and audit line, in every spelling.

use super::process::Process;
use super::*;
use rdkafka::message::BorrowedMessage;
use sha2::{Digest, Sha256};

/// A number of this beginning and length, its last digit by Luhn; made here, so that no source has one.
fn number(beginning: &str, length: usize) -> String {
    let mut digits: Vec<u32> = beginning.chars().filter_map(|c| c.to_digit(10)).collect();
    let more = (0..).map(|n| (n * 7 + 3) % 10);
    digits.extend(more.take(length - 1 - digits.len()));
    let doubled = [true, false].into_iter().cycle();
    let sum: u32 = digits
        .iter()
        .rev()
        .zip(doubled)
        .map(|(digit, is_doubled)| if is_doubled { digit * 2 } else { *digit })
        .map(|value| value / 10 + value % 10)
        .sum();
    digits.push((10 - sum % 10) % 10);
    digits.iter().map(u32::to_string).collect()
}

/// Visa, Mastercard, American Express, Diners, a Maestro of 19 digits, Dankort.
fn numbers() -> Vec<String> {
    let made = [
        ("4571", 16),
        ("5412", 16),
        ("3782", 15),
        ("3056", 14),
        ("6759", 19),
        ("5019", 16),
    ];
    let made: Vec<String> = made
        .map(|(beginning, length)| number(beginning, length))
        .into();
    assert!(made.iter().all(|number| contains_card_number(number)));
    made
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SIXTY_FOUR: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What does not depend on neighbours in the Base64 of bytes that begin at this place of three.
fn base64(bytes: &[u8], place: usize) -> String {
    let mut bits = vec![false; place * 8];
    bits.extend(
        bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)),
    );
    let first = (place * 8).div_ceil(6);
    let letter = |six: &[bool]| {
        let value = six
            .iter()
            .fold(0, |value, bit| value * 2 + usize::from(*bit));
        char::from(SIXTY_FOUR[value])
    };
    bits.chunks_exact(6).skip(first).map(letter).collect()
}

/// Every spelling under which a number must not be found.
fn spellings(number: &str) -> Vec<Vec<u8>> {
    // The number itself, and every run of 13 of its digits: a longer one has such a run in it.
    let mut all: Vec<Vec<u8>> = number.as_bytes().windows(13).map(<[u8]>::to_vec).collect();
    all.push(grouped(number).into_bytes());
    all.push(grouped(number).replace(' ', "-").into_bytes());
    all.push(hex(number.as_bytes()).into_bytes());
    all.push(hex(number.as_bytes()).to_uppercase().into_bytes());
    all.extend((0..3).map(|place| base64(number.as_bytes(), place).into_bytes()));
    all.push(hex(&Sha256::digest(number)).into_bytes());
    if number.len().is_multiple_of(2) {
        let packed = number
            .as_bytes()
            .chunks(2)
            .map(|pair| (pair[0] - b'0') << 4 | (pair[1] - b'0'));
        all.push(packed.collect());
    }
    let text: u64 = number.parse().unwrap();
    all.push(text.to_le_bytes().to_vec());
    all.push(text.to_be_bytes().to_vec());
    all
}

fn seen(needles: &[Vec<u8>], bytes: &[u8]) -> bool {
    needles
        .iter()
        .any(|needle| bytes.windows(needle.len()).any(|piece| piece == needle))
}

#[test]
fn every_spelling_of_a_number_would_be_seen() {
    let number = number("4571", 16);
    let needles = spellings(&number);
    let plain = number.as_bytes();
    let encoded = |prefix: &str| {
        let whole = format!("{prefix}{number}..");
        base64(whole.as_bytes(), 0)
    };
    for text in [
        format!("x{number}y"),
        number[2..15].to_owned(),
        hex(plain),
        encoded(""),
        encoded("a"),
        encoded("ab"),
        grouped(&number),
    ] {
        assert!(seen(&needles, text.as_bytes()), "{text}");
    }
    assert!(!seen(
        &needles,
        b"a006953363e42948b829e472c2791817 and 1520264846000"
    ));
}

/// All that a record of a topic has: key, headers, value.
fn whole(message: &BorrowedMessage<'_>) -> Vec<u8> {
    let mut bytes = message.key().unwrap_or_default().to_vec();
    for header in message
        .headers()
        .into_iter()
        .flat_map(|headers| headers.iter())
    {
        bytes.push(b'\n');
        bytes.extend_from_slice(header.value.unwrap_or_default());
    }
    bytes.push(b'\n');
    bytes.extend_from_slice(message.payload().unwrap_or_default());
    bytes
}

/// A number with a blank after every four digits.
fn grouped(number: &str) -> String {
    let fours: Vec<String> = number
        .as_bytes()
        .chunks(4)
        .map(|four| String::from_utf8_lossy(four).into_owned())
        .collect();
    fours.join(" ")
}

/// Where a monitor is asked about what.
struct Scene<'s> {
    address: SocketAddr,
    loss: &'s Value,
    hold: String,
    alert: String,
}

impl Scene<'_> {
    /// Sends a number as what it is, an AReq's, and in fields of an AReq where none belongs.
    fn in_areqs(&self, number: &str) -> Vec<Told> {
        let areq = json!({"messageType": "AReq", "messageVersion": "2.2.0", "messageCategory": "01",
            "threeDSServerTransID": "8a880dc0-d2d2-4067-bcb1-b08d1690b26e", "acctNumber": number,
            "deviceChannel": "02", "purchaseAmount": "100", "purchaseCurrency": "208",
            "purchaseExponent": "2", "purchaseDate": "20180306182700", "mcc": "5411",
            "merchantName": "M", "merchantCountryCode": "208", "acquirerMerchantID": "m"});
        let mut told = vec![post(self.address, "/v1/acs/areq", &areq)];
        assert_eq!(told[0].status, 200, "{}", told[0].text);
        for name in [
            "merchantName",
            "threeDSServerTransID",
            "cardholderName",
            "purchaseDate",
            "browserIP",
            "acctID",
        ] {
            let mut areq = areq.clone();
            areq[name] = json!(number);
            told.push(post(self.address, "/v1/acs/areq", &areq));
        }
        told
    }

    /// Sends a number in every text of a question.
    fn in_questions(&self, number: &str) -> Vec<Told> {
        let mut asked: Vec<Value> = ["id", "at", "card", "cardholder", "currency", "mcc", "eci"]
            .iter()
            .map(|name| {
                let mut asked = self.loss.clone();
                asked[name] = json!(number);
                asked
            })
            .collect();
        for name in [
            number.to_owned(),
            grouped(number),
            grouped(number).replace(' ', "-"),
        ] {
            let mut one = self.loss.clone();
            one["merchant"]["name"] = json!(name);
            asked.push(one);
        }
        let ask = |asked: &Value| post(self.address, "/v1/assessments", asked);
        asked.iter().map(ask).collect()
    }

    /// Sends a number as what people say when they take a step.
    fn in_steps(&self, number: &str) -> Vec<Told> {
        let mut told = Vec::new();
        for said in [
            json!({"by": number, "reason": "x"}),
            json!({"by": "x", "reason": number}),
        ] {
            for step in ["acknowledge", "enforced", "release"] {
                let path = format!("/v1/holds/{}/{step}", self.hold);
                told.push(post(self.address, &path, &said));
            }
            let mut verdict = said.clone();
            verdict["verdict"] = json!("good");
            let path = format!("/v1/alerts/{}/disposition", self.alert);
            told.push(post(self.address, &path, &verdict));
            let mut switch = said;
            switch["suspended"] = json!(true);
            told.push(post(self.address, "/v1/enforcement", &switch));
        }
        told
    }

    /// Sends a number in paths, queries and heads.
    fn in_heads(&self, number: &str) -> Vec<Told> {
        let address = self.address;
        let mut told = Vec::new();
        for path in [
            format!("/v1/cards/{number}"),
            format!("/v1/holds/{number}/release"),
            format!("/v1/alerts/{number}/disposition"),
            format!("/v1/holds?card={number}"),
            format!("/v1/{number}"),
        ] {
            told.push(get(address, &path));
            told.push(post(address, &path, &json!({"by": "x", "reason": "x"})));
        }
        let heads = [
            "x-request-id",
            "idempotency-key",
            "varsel-client",
            "traceparent",
            "authorization: Bearer",
        ];
        let more: String = heads
            .map(|head| match head.split_once(' ') {
                Some(_) => format!("{head} {number}\r\n"),
                None => format!("{head}: {number}\r\n"),
            })
            .concat();
        let path = format!("/v1/holds/{}/acknowledge", self.hold);
        told.push(call(address, "POST", &path, &more, br#"{"by":"x"}"#));
        let said = json!({"by": "x", "reason": "x", "verdict": "undetermined"}).to_string();
        let path = format!("/v1/alerts/{}/disposition", self.alert);
        told.push(call(address, "POST", &path, &more, said.as_bytes()));
        let asked = self.loss.to_string();
        told.push(call(
            address,
            "POST",
            "/v1/assessments",
            &more,
            asked.as_bytes(),
        ));
        told
    }
}

/// The bank's own records with a number: in a text, as the card, in a record that cannot be read.
fn by_the_bank(bank: &mut Bank, loss: &Value, number: &str) {
    let mut paid = loss.clone();
    paid["response_code"] = json!("00");
    paid["merchant"]["name"] = json!(format!("shop {number}"));
    let mut by_card = paid.clone();
    by_card["card"] = json!(number);
    let torn = format!("{{\"type\":\"authorization\",\"card\":\"{number}");
    bank.feed(&[paid.to_string(), by_card.to_string(), torn]);
}

/// Whether so many records were refused, by the page of metrics.
fn are_refused(page: &str, count: usize) -> bool {
    let of = |code: &str| {
        let is = |line: &&str| line.contains("rejects_total") && line.contains(code);
        let count = page.lines().find(is)?.rsplit(' ').next()?;
        count.parse::<usize>().ok()
    };
    of("card_number").unwrap_or(0) + of("malformed_json").unwrap_or(0) >= count
}

/// All that is kept of a run: what it said and noted, its checkpoints, every topic of ours.
fn all_kept(bank: &Bank, process: &Process) -> Vec<(String, Vec<u8>)> {
    let dir = bank.dir.path();
    let mut kept = vec![
        ("the log".to_owned(), process.said().into_bytes()),
        ("audit".to_owned(), fs::read(dir.join("audit")).unwrap()),
    ];
    let checkpoints = secured::files(&dir.join("kept"));
    assert!(!checkpoints.is_empty());
    kept.extend(
        checkpoints
            .into_iter()
            .map(|bytes| ("a checkpoint".to_owned(), bytes)),
    );
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
        let mut reader = Reader::whole(&bank.config, topic).unwrap();
        let mut records = Vec::new();
        reader
            .to_end(|message| records.push(whole(message)))
            .unwrap();
        assert!(!records.is_empty(), "{topic}");
        kept.extend(records.into_iter().map(|bytes| (topic.clone(), bytes)));
    }
    kept
}

#[test]
fn no_pan_wherever_a_card_number_is_sent_it_is_found_nowhere_in_no_spelling() {
    let (mut bank, monitor, loss) = before_the_loss();
    monitor.stop();
    fs::write(
        bank.dir.path().join("keys"),
        format!("k1:{}", "5a".repeat(32)),
    )
    .unwrap();
    let more = "[api]\ntoken_keys_file = \"keys\"\naudit_file = \"audit\"\n[checkpoint]\nurl = \"./kept\"\n[log]\nlevel = \"trace\"\n";
    let mut process = Process::start(&bank, "numbers", more, &[]);
    let address = process.address();
    until(address, "/readyz", |told| told.status == 200);
    let hold = restored(address, &loss)["hold"].clone();
    let shows = |told: &Told| told.body["alerts"][0].is_object();
    let listed = until(address, "/v1/alerts?limit=1", shows).body;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let scene = Scene {
        address,
        loss: &loss,
        hold: text(&hold),
        alert: text(&listed["alerts"][0]["id"]),
    };
    let numbers = numbers();
    let mut answers = Vec::new();
    for number in &numbers {
        answers.extend(scene.in_areqs(number));
        answers.extend(scene.in_questions(number));
        answers.extend(scene.in_steps(number));
        answers.extend(scene.in_heads(number));
        by_the_bank(&mut bank, &loss, number);
    }
    let count = numbers.len() * 3;
    answers.push(until(address, "/metrics", |told| {
        are_refused(&told.text, count)
    }));
    assert!(answers.len() > 200, "{}", answers.len());
    // Its end leaves a checkpoint after all of it.
    process.end();
    let mut kept = all_kept(&bank, &process);
    for (n, told) in answers.iter().enumerate() {
        let bytes = format!("{}\n{}", told.head, told.text).into_bytes();
        kept.push((format!("answer {n}"), bytes));
    }
    for number in &numbers {
        let needles = spellings(number);
        for (place, bytes) in &kept {
            let found = seen(&needles, bytes);
            assert!(!found, "{place}: {}", String::from_utf8_lossy(bytes));
        }
    }
}
