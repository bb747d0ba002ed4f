//! AReqs of each version, whole and mangled, read into the contract's event.
//!
//! How they are answered over HTTP is tested in `tests/it/live/ask`.

use super::*;
use crate::config::Secret;
use crate::decode::{Decoder, contains_card_number};
use crate::domain::codes::DeviceChannel;
use crate::domain::event::{Body, Event};
use crate::geo::Geo;
use serde_json::{Value, json};

const NOW_MS: i64 = 1_760_000_000_000;

/// A number of the right length with a right last digit, of no scheme's range in this text.
fn number() -> String {
    ["41", "1111", "1111", "1111", "11"].concat()
}

fn keys() -> Keys {
    Keys::read(&Secret::of(&format!(
        "k2:{} k1:{}",
        "0a".repeat(32),
        "0b".repeat(32)
    )))
    .unwrap()
}

fn areq(version: &str) -> Value {
    json!({
        "messageType": "AReq", "messageVersion": version, "messageCategory": "01",
        "threeDSServerTransID": "8a880dc0-d2d2-4067-bcb1-b08d1690b26e",
        "acctNumber": number(), "deviceChannel": "02",
        "purchaseAmount": "2902338", "purchaseCurrency": "208", "purchaseExponent": "2",
        "purchaseDate": "20180306182525", "mcc": "4829", "merchantName": "F Money Transfer",
        "merchantCountryCode": "208", "acquirerMerchantID": "m-f", "browserIP": "212.5.158.154",
        "threeDSRequestorChallengeInd": "01", "threeDSRequestorAuthenticationInd": "01",
        "acctInfo": {"chAccAgeInd": "02", "chAccChangeInd": "02", "suspiciousAccActivity": "02"}
    })
}

fn read_with(value: &Value, keys: Option<&Keys>, intake: &Intake) -> Result<Areq, Failure> {
    read(&serde_json::to_vec(value).unwrap(), keys, intake, NOW_MS)
}

fn taken(value: &Value) -> (Areq, Event) {
    let areq = read_with(value, Some(&keys()), &Intake::new(Geo::none())).unwrap();
    let mut event = Event::default();
    Decoder::default().question(&areq.line, &mut event).unwrap();
    (areq, event)
}

#[test]
fn an_areq_of_each_version_is_the_contracts_event() {
    for version in ["2.1.0", "2.2.0", "2.3.1"] {
        let mut value = areq(version);
        if version == "2.3.1" {
            // One code there, a list of them here.
            value["threeDSRequestorChallengeInd"] = json!(["04", "12"]);
        }
        let (areq, event) = taken(&value);
        assert_eq!(event.at.ms, 1_520_360_725_000);
        let (merchant, amount, currency, mcc) = event.purchase().unwrap();
        assert_eq!((amount, mcc), (2_902_338, 4829));
        assert_eq!(currency.map(|c| c.to_string()).as_deref(), Some("DKK"));
        assert_eq!(event.str(merchant.id), "m-f");
        assert!(event.ip.is_some() && merchant.country.is_some());
        let Body::Threeds(message) = &event.body else {
            panic!("another type");
        };
        assert_eq!(message.device_channel, Some(DeviceChannel::Browser));
        assert_eq!(areq.wants_challenge, version == "2.3.1");
        assert!(areq.lacks.is_empty(), "{:?}", areq.lacks);
        let emv: Value = serde_json::from_slice(&areq.emv).unwrap();
        assert_eq!(emv["account_age"], "this_transaction");
        assert_eq!(emv["account_change"], "less_than_30_days");
        assert_eq!(emv["suspicious_activity"], "observed");
    }
}

#[test]
fn no_pan_a_card_number_becomes_the_token_that_is_bound_whichever_key_made_it() {
    let mut intake = Intake::new(Geo::none());
    let tokens = keys().tokens(&number());
    let of = |intake: &Intake| {
        let areq = read_with(&areq("2.2.0"), Some(&keys()), intake).unwrap();
        let text = String::from_utf8([areq.line, areq.emv].concat()).unwrap();
        assert!(!contains_card_number(&text) && !text.contains("1111"));
        text
    };
    assert!(of(&intake).contains(&tokens[0]), "the key in use");
    intake.adopt(Fingerprint::of(&tokens[1]), "p-1");
    assert!(of(&intake).contains(&tokens[1]), "bound under the old key");
    intake.adopt(Fingerprint::of(&tokens[0]), "p-1");
    assert!(of(&intake).contains(&tokens[0]));
    let told = read_with(&areq("2.2.0"), None, &intake).unwrap_err();
    assert_eq!(told.code, Code::NoTokenKey);
    assert!(!told.detail.contains("1111"));
}

#[test]
fn optional_fields_are_read_as_far_as_they_can_be() {
    let mut value = areq("2.2.0");
    for (name, strange) in [
        ("browserIP", json!("somewhere")),
        ("merchantCountryCode", json!(["x"])),
        ("mcc", json!("48")),
        ("purchaseDate", json!("yesterday")),
        ("threeDSRequestorChallengeInd", json!("77")),
        ("acctInfo", json!("none")),
        ("transType", json!({"a": 1})),
        ("deviceChannel", json!("09")),
        ("merchantRiskIndicator", json!([[[{}]]])),
    ] {
        value[name] = strange;
    }
    let (areq, event) = taken(&value);
    assert!(event.ip.is_none(), "an address that is none is unknown");
    assert_eq!(event.at.ms, NOW_MS);
    let named: Vec<&str> = areq.lacks.iter().map(|(what, _)| *what).collect();
    for what in [
        "browserIP",
        "merchantCountryCode",
        "mcc",
        "purchaseDate",
        "threeDSRequestorChallengeInd",
        "deviceChannel",
    ] {
        assert!(named.contains(&what), "{what} in {named:?}");
    }
}

#[test]
fn what_the_judgement_needs_must_be_there() {
    let intake = Intake::new(Geo::none());
    for name in [
        "acctNumber",
        "purchaseAmount",
        "purchaseCurrency",
        "threeDSServerTransID",
    ] {
        let mut value = areq("2.1.0");
        value.as_object_mut().unwrap().remove(name);
        let told = read_with(&value, Some(&keys()), &intake).unwrap_err();
        assert_eq!(told.code, Code::Refused, "{name}");
        assert!(told.detail.contains(name), "{told:?}");
    }
    for (name, other, code) in [
        ("messageType", "ARes", Code::Refused),
        ("messageVersion", "1.0.2", Code::MessageVersion),
        ("purchaseAmount", "-5", Code::Refused),
    ] {
        let mut value = areq("2.1.0");
        value[name] = json!(other);
        let told = read_with(&value, Some(&keys()), &intake).unwrap_err();
        assert_eq!(told.code, code, "{name}");
    }
    let mut cardless = areq("2.2.0");
    cardless["messageCategory"] = json!("02");
    cardless.as_object_mut().unwrap().remove("purchaseAmount");
    let (_, event) = taken(&cardless);
    assert_eq!(event.purchase().unwrap().1, 0, "no money is asked for");
}

#[test]
fn an_amount_is_counted_in_the_currencys_own_minor_units() {
    assert_eq!(scaled(1_234, Some("DKK"), Some("2")), Some(1_234));
    assert_eq!(scaled(12, Some("DKK"), Some("0")), Some(1_200));
    assert_eq!(scaled(1_230, Some("JPY"), Some("2")), Some(13));
    assert_eq!(scaled(5, None, Some("2")), Some(5));
    assert_eq!(scaled(5, Some("DKK"), None), Some(5));
    assert_eq!(scaled(i64::MAX, Some("KWD"), Some("0")), None);
}

#[test]
fn other_messages_and_broken_json_are_told_apart() {
    let intake = Intake::new(Geo::none());
    for (body, code) in [
        (&b"{"[..], Code::BadRequest),
        (b"[]", Code::Refused),
        (
            br#"{"messageType":"AReq","messageType":"AReq"}"#,
            Code::BadRequest,
        ),
        (
            br#"{"messageType":"PRes","messageVersion":"2.2.0"}"#,
            Code::Refused,
        ),
    ] {
        let told = read(body, None, &intake, NOW_MS).unwrap_err();
        assert_eq!(told.code, code, "{}", String::from_utf8_lossy(body));
    }
}
