//! An AReq in EMV 3-D Secure's own field names (2.1.0, 2.2.0, 2.3.1), read into the contract's `threeds`
//! event.
//!
//! Only what the judgement needs must be there; optional fields are read as far as they can be, and
//! what is missing or unknown is told. The card number becomes a token here and is kept nowhere.

use crate::api::emv::{self, ChallengeInd};
use crate::api::failure::{Code, Failure};
use crate::api::iso;
use crate::api::json::Writer;
use crate::api::loose::Loose;
use crate::api::token::{self, Keys};
use crate::domain::currency::Currency;
use crate::domain::ids::Fingerprint;
use crate::intake::Intake;
use chrono::NaiveDateTime;
use serde::Deserialize;
use std::net::IpAddr;
use zeroize::Zeroizing;

/// Versions of the protocol that are read.
const VERSIONS: [&str; 4] = ["2.1.0", "2.2.0", "2.3.0", "2.3.1"];
/// The purchase may be dated so much after our clock; later, the clock counts.
const AHEAD_MS: i64 = 10 * 60_000;
/// The longest transaction id; EMV's are UUIDs.
const MAX_ID: usize = 56;
/// The longest text that is taken over.
const MAX_TEXT: usize = 256;

/// The fields that are read.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Fields<'j> {
    #[serde(borrow)]
    message_type: Loose<'j>,
    message_version: Loose<'j>,
    message_category: Loose<'j>,
    #[serde(rename = "threeDSServerTransID")]
    server_trans_id: Loose<'j>,
    #[serde(rename = "dsTransID")]
    ds_trans_id: Loose<'j>,
    #[serde(rename = "acsTransID")]
    acs_trans_id: Loose<'j>,
    acct_number: Loose<'j>,
    acct_info: Loose<'j>,
    device_channel: Loose<'j>,
    purchase_amount: Loose<'j>,
    purchase_currency: Loose<'j>,
    purchase_exponent: Loose<'j>,
    purchase_date: Loose<'j>,
    mcc: Loose<'j>,
    merchant_name: Loose<'j>,
    merchant_country_code: Loose<'j>,
    #[serde(rename = "acquirerMerchantID")]
    acquirer_merchant_id: Loose<'j>,
    #[serde(rename = "threeDSRequestorID")]
    requestor_id: Loose<'j>,
    #[serde(rename = "browserIP")]
    browser_ip: Loose<'j>,
    app_ip: Loose<'j>,
    #[serde(rename = "threeDSRequestorChallengeInd")]
    challenge_ind: Loose<'j>,
    #[serde(rename = "threeDSRequestorDecReqInd")]
    decoupled: Loose<'j>,
    #[serde(rename = "threeDSRequestorAuthenticationInd")]
    authentication_ind: Loose<'j>,
    #[serde(rename = "threeRIInd")]
    three_ri_ind: Loose<'j>,
    trans_type: Loose<'j>,
}

/// What was read.
#[derive(Debug)]
pub struct Areq {
    /// The event, as the contract writes it.
    pub line: Vec<u8>,
    /// What it lacks or what is unknown in it.
    pub lacks: Vec<(&'static str, &'static str)>,
    /// The merchant mandates a challenge.
    pub wants_challenge: bool,
    /// A decoupled challenge is possible.
    pub decoupled: bool,
    /// What its codes mean, as a JSON object.
    pub emv: Vec<u8>,
    /// The card's token.
    pub card: String,
}

/// Reads an AReq; `now_ms` is wall time, for one that is not dated.
///
/// # Errors
/// Where it is none, of a version that is not read, or lacks what the judgement needs.
pub fn read(
    body: &[u8],
    keys: Option<&Keys>,
    intake: &Intake,
    now_ms: i64,
) -> Result<Areq, Failure> {
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|error| {
        let text = format!(
            "this is not a JSON object with each name once (line {}, column {})",
            error.line(),
            error.column()
        );
        Failure::new(Code::BadRequest, text)
    })?;
    if fields.message_type.text() != Some("AReq") {
        return Err(Failure::new(Code::Refused, "`messageType` is not `AReq`"));
    }
    let version = fields.message_version.text().unwrap_or_default();
    if !VERSIONS.contains(&version) {
        return Err(Code::MessageVersion.into());
    }
    let mut lacks = Vec::new();
    let mut line = Vec::with_capacity(512);
    let card = card_of(&fields, keys, intake)?;
    write_event(&fields, &card, now_ms, &mut line, &mut lacks)?;
    let mut out = Vec::with_capacity(256);
    let wants_challenge = write_codes(&fields, version, &mut out, &mut lacks);
    Ok(Areq {
        line,
        lacks,
        wants_challenge,
        decoupled: version != "2.1.0" && fields.decoupled.text() == Some("Y"),
        emv: out,
        card,
    })
}

/// The same AReq with the card's token in the place of its number, to be handed to another instance.
///
/// # Errors
/// Where it is no object.
pub fn veiled(body: &[u8], card: &str) -> Result<Vec<u8>, Failure> {
    let read = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body);
    let mut fields = read.map_err(|_| Failure::from(Code::BadRequest))?;
    fields.insert("acctNumber".to_owned(), card.into());
    serde_json::to_vec(&fields).map_err(|_| Code::Internal.into())
}

/// The token of the card: of those that the keys give, the one that is bound.
fn card_of(fields: &Fields<'_>, keys: Option<&Keys>, intake: &Intake) -> Result<String, Failure> {
    let given = fields.acct_number.text();
    let given = given.ok_or_else(|| Failure::new(Code::Refused, "`acctNumber` is missing"))?;
    let number = Zeroizing::new(given.to_owned());
    if !token::is_number(&number) {
        return Ok(given.to_owned());
    }
    let tokens = keys.ok_or(Code::NoTokenKey)?.tokens(&number);
    let bound = tokens
        .iter()
        .find(|token| intake.is_bound(Fingerprint::of(token)));
    let chosen = bound.or(tokens.first()).cloned();
    chosen.ok_or_else(|| Code::Internal.into())
}

type Lacks = Vec<(&'static str, &'static str)>;

fn write_event(
    fields: &Fields<'_>,
    card: &str,
    now_ms: i64,
    line: &mut Vec<u8>,
    lacks: &mut Lacks,
) -> Result<(), Failure> {
    let needs = |name: &str| Failure::new(Code::Refused, format!("`{name}` is missing"));
    let ids = [
        &fields.acs_trans_id,
        &fields.server_trans_id,
        &fields.ds_trans_id,
    ];
    let fits = |id: &&str| id.len() <= MAX_ID;
    let id = ids.into_iter().find_map(|id| id.text().filter(fits));
    let id = id.ok_or_else(|| needs("threeDSServerTransID"))?;
    let mut json = Writer { out: line };
    json.open();
    json.field("type", "threeds");
    json.field("message", "AReq");
    json.field("id", &format!("areq-{id}"));
    json.field("acs_trans_id", id);
    json.time("at", at(fields, now_ms, lacks));
    json.field("card", card);
    let is_payment = fields.message_category.text() != Some("02");
    let currency = fields.purchase_currency.text();
    let amount = fields.purchase_amount.text().and_then(|a| a.parse().ok());
    if is_payment && (amount.is_none() || currency.is_none()) {
        return Err(needs("purchaseAmount` or `purchaseCurrency"));
    }
    let letters = currency.and_then(iso::currency);
    let exponent = fields.purchase_exponent.text();
    let amount = scaled(amount.unwrap_or(0), letters, exponent);
    let amount = amount.ok_or_else(|| {
        Failure::new(
            Code::Refused,
            "`purchaseAmount` is no amount in minor units",
        )
    })?;
    if letters.is_none() {
        lacks.push(("purchaseCurrency", "absent, or a number that is not known"));
    }
    json.number("amount_minor", amount);
    json.field("currency", letters.unwrap_or("???"));
    write_merchant(fields, &mut json, lacks);
    write_device(fields, &mut json, lacks);
    json.close();
    Ok(())
}

/// The purchase's date (UTC), or now.
fn at(fields: &Fields<'_>, now_ms: i64, lacks: &mut Lacks) -> i64 {
    let date = fields.purchase_date.text();
    let read = date.and_then(|d| NaiveDateTime::parse_from_str(d, "%Y%m%d%H%M%S").ok());
    match read.map(|at| at.and_utc().timestamp_millis()) {
        Some(at_ms) if (0..=now_ms.saturating_add(AHEAD_MS)).contains(&at_ms) => at_ms,
        Some(_) => {
            lacks.push(("purchaseDate", "lies ahead of our clock, which is taken"));
            now_ms
        }
        None => {
            lacks.push(("purchaseDate", "absent or unreadable: our clock is taken"));
            now_ms
        }
    }
}

/// An amount in the currency's own minor units, where the message counts in others.
fn scaled(amount: i64, letters: Option<&str>, exponent: Option<&str>) -> Option<i64> {
    let own = letters.and_then(Currency::parse).map(Currency::exponent);
    let told = exponent
        .and_then(|e| e.parse::<u8>().ok())
        .filter(|e| *e <= 6);
    let (Some(own), Some(told)) = (own, told) else {
        return Some(amount).filter(|amount| *amount >= 0);
    };
    let factor = |by: u8| 10_i64.pow(u32::from(by));
    let scaled = if own >= told {
        amount.checked_mul(factor(own - told))
    } else {
        // A part of a minor unit counts as a whole one.
        Some(amount.checked_add(factor(told - own) - 1)? / factor(told - own))
    };
    scaled.filter(|amount| *amount >= 0)
}

fn write_merchant(fields: &Fields<'_>, json: &mut Writer<'_>, lacks: &mut Lacks) {
    let mcc = fields.mcc.text();
    let mcc = mcc.filter(|mcc| mcc.len() == 4 && mcc.bytes().all(|b| b.is_ascii_digit()));
    if mcc.is_none() {
        lacks.push(("mcc", "absent, or not four digits"));
    }
    json.field("mcc", mcc.unwrap_or("0000"));
    let short = |text: &&str| text.len() <= MAX_TEXT;
    let name = fields.merchant_name.text().filter(short);
    let id = fields.acquirer_merchant_id.text().filter(short);
    let id = id.or(fields.requestor_id.text().filter(short)).or(name);
    if id.is_none() {
        lacks.push(("acquirerMerchantID", "absent: the merchant is unknown"));
    }
    let country = fields.merchant_country_code.text().and_then(iso::country);
    if country.is_none() {
        lacks.push((
            "merchantCountryCode",
            "absent, or a number that is not known",
        ));
    }
    json.key("merchant");
    json.open();
    json.field("id", id.unwrap_or("unknown"));
    json.field("name", name.unwrap_or_default());
    json.field("country", country.unwrap_or("??"));
    json.close();
}

fn write_device(fields: &Fields<'_>, json: &mut Writer<'_>, lacks: &mut Lacks) {
    if let Some(channel) = fields.device_channel.text().filter(|c| c.len() <= 8) {
        json.field("device_channel", channel);
    }
    let ip = fields.browser_ip.text().or(fields.app_ip.text());
    match ip.map(str::parse::<IpAddr>) {
        Some(Ok(ip)) => json.field("browser_ip", &ip.to_string()),
        Some(Err(_)) => lacks.push(("browserIP", "is no address")),
        None => {}
    }
    let members = fields.acct_info.members();
    let short = |(name, value): &(&str, &str)| {
        name.len() <= 32 && value.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let members = members
        .iter()
        .filter_map(|(name, value)| Some((name.as_ref(), value.text()?)))
        .filter(short);
    let mut members = members.peekable();
    if members.peek().is_some() {
        json.key("acct_info");
        json.open();
        for (name, value) in members {
            json.field(name, value);
        }
        json.close();
    }
}

/// Writes what the codes mean; true where the merchant mandates a challenge.
fn write_codes(fields: &Fields<'_>, version: &str, out: &mut Vec<u8>, lacks: &mut Lacks) -> bool {
    const UNHEARD: &str = "a code that is not known";
    let mut json = Writer { out };
    json.open();
    json.field("message_version", version);
    /// Reads a field's code by its own enum.
    macro_rules! code {
        ($codes:ident, $name:literal, $value:expr) => {
            if let Some(code) = $value {
                let code = emv::$codes::read(code);
                json.field($name, code.word());
                if code.is_unknown() {
                    lacks.push((emv::$codes::FIELD, UNHEARD));
                }
            }
        };
    }
    code!(
        MessageCategory,
        "message_category",
        fields.message_category.text()
    );
    code!(
        DeviceChannel,
        "device_channel",
        fields.device_channel.text()
    );
    code!(ChallengeInd, "challenge", fields.challenge_ind.text());
    code!(
        AuthenticationInd,
        "authentication",
        fields.authentication_ind.text()
    );
    code!(ThreeRiInd, "three_ri", fields.three_ri_ind.text());
    code!(TransType, "trans_type", fields.trans_type.text());
    let info = &fields.acct_info;
    code!(AccountAge, "account_age", info.member("chAccAgeInd"));
    code!(
        AccountChange,
        "account_change",
        info.member("chAccChangeInd")
    );
    code!(
        PasswordChange,
        "password_change",
        info.member("chAccPwChangeInd")
    );
    code!(
        PaymentAccount,
        "payment_account",
        info.member("paymentAccInd")
    );
    code!(
        ShipAddress,
        "ship_address",
        info.member("shipAddressUsageInd")
    );
    code!(
        Suspicious,
        "suspicious_activity",
        info.member("suspiciousAccActivity")
    );
    json.close();
    let mut wanted = fields.challenge_ind.texts().map(ChallengeInd::read);
    wanted.any(|wanted| wanted == ChallengeInd::Mandated)
}

#[cfg(test)]
mod tests;
