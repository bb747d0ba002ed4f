//! The slow decoder: the contract (EVENTS.md) written down a second time over serde_json, without
//! a thought for speed, and held against the quick one by `decode_corpus.rs`.
//!
//! It judges no number that serde_json cannot hold; of a record that is both malformed and too
//! deep it takes either answer.

mod json;
mod texts;

use json::Json;
pub use json::has_card_number;
use std::net::IpAddr;
use varsel::decode::{MAX_RECORD_BYTES, Reject};
use varsel::domain::codes::{
    Action, AuthenticationMethod, Authenticator, AuthorizationKind, ChallengeCancel, Channel,
    DeviceChannel, EnrolmentChannel, EventType, Message, Purpose, ResponseGroup, Security,
    TransStatus, Verdict,
};
use varsel::domain::country::Country;
use varsel::domain::currency::Currency;
use varsel::domain::event::{
    Authorization, Body, CardChange, Disposition, Eid, Enrolment, Event, HoldStep, Merchant, Otp,
    Span, Threeds, UnknownCodes,
};
use varsel::domain::ids::Fingerprint;
use varsel::domain::time::Moment;

const AMOUNT: std::ops::RangeInclusive<i64> = 0..=1_000_000_000_000_000;
const BALANCE: std::ops::RangeInclusive<i64> = -1_000_000_000_000_000..=1_000_000_000_000_000;

/// Panics where the quick decoder and this one disagree on a record.
pub fn compare(record: &[u8], told: &Result<(), Reject>, event: &Event) {
    let shown = String::from_utf8_lossy(record);
    let code = told.as_ref().err().map(|reject| reject.code);
    match judge(record, event) {
        Verdicts::Unjudged => {}
        Verdicts::TooDeep => assert!(
            matches!(code, Some("too_deep" | "malformed_json")),
            "{shown}: {code:?}"
        ),
        Verdicts::Reject(expected) => assert_eq!(code, Some(expected), "{shown}"),
        Verdicts::Event(expected) => {
            assert_eq!(code, None, "{shown}");
            let (told, expected) = (texts::in_order(event), texts::in_order(&expected));
            assert_eq!(told, expected, "{shown}");
        }
    }
}

enum Verdicts {
    Unjudged,
    TooDeep,
    Reject(&'static str),
    Event(Box<Event>),
}

fn judge(record: &[u8], quick: &Event) -> Verdicts {
    if record.len() > MAX_RECORD_BYTES {
        return Verdicts::Reject("too_long");
    }
    let Ok(text) = std::str::from_utf8(record) else {
        return Verdicts::Reject("not_utf8");
    };
    if depth(text) > 32 {
        return Verdicts::TooDeep;
    }
    let json: Json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) if error.to_string().contains("out of range") => return Verdicts::Unjudged,
        Err(_) => return Verdicts::Reject("malformed_json"),
    };
    if json.has_vague_number() {
        return Verdicts::Unjudged;
    }
    let kept = json.field("acct_info");
    if json.has_card_number("") || kept.is_some_and(Json::has_card_number_anywhere) {
        return Verdicts::Reject("card_number");
    }
    if text.contains("acct_info") && has_card_number(text) {
        // Digits of an escape or behind a point, in what is kept as it stands.
        return Verdicts::Unjudged;
    }
    if json.has_duplicate() {
        return Verdicts::Reject("duplicate_key");
    }
    let Json::Object(fields) = json else {
        return Verdicts::Reject("not_an_object");
    };
    match (Reading {
        fields: &fields,
        event: Event::default(),
    })
    .event(quick)
    {
        Ok(event) => Verdicts::Event(Box::new(event)),
        Err(code) => Verdicts::Reject(code),
    }
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '{' | '[' if !in_string => depth += 1,
            '}' | ']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

type Read<T> = Result<T, &'static str>;

struct Reading<'a> {
    fields: &'a [(String, Json)],
    event: Event,
}

fn get<'a>(fields: &'a [(String, Json)], key: &str) -> Option<&'a Json> {
    fields
        .iter()
        .find(|(k, _)| k == key)
        .map(|(_, json)| json)
        .filter(|json| **json != Json::Null)
}

fn text(json: Option<&Json>) -> Read<Option<&str>> {
    match json {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text)),
        Some(_) => Err("mistyped_field"),
    }
}

fn must<T>(value: Option<T>) -> Read<T> {
    value.ok_or("missing_field")
}

fn whole(json: Option<&Json>, bounds: std::ops::RangeInclusive<i64>) -> Read<Option<i64>> {
    match json {
        None => Ok(None),
        Some(Json::Whole(number)) => {
            let number = i64::try_from(*number).ok().filter(|n| bounds.contains(n));
            number.map(Some).ok_or("mistyped_field")
        }
        Some(_) => Err("mistyped_field"),
    }
}

fn id(json: Option<&Json>) -> Read<Option<&str>> {
    match text(json)? {
        Some(id) if !(1..=64).contains(&id.chars().count()) => Err("mistyped_field"),
        id => Ok(id),
    }
}

fn time(json: Option<&Json>) -> Read<Option<Moment>> {
    text(json)?
        .map(|text| Moment::parse(text).ok_or("bad_time"))
        .transpose()
}

impl Reading<'_> {
    fn at(&self, key: &str) -> Option<&Json> {
        get(self.fields, key)
    }

    fn keep(&mut self, text: &str) -> Read<Span> {
        self.event.push_text(text).ok_or("mistyped_field")
    }

    fn kept(&mut self, key: &str) -> Read<Span> {
        let text = text(get(self.fields, key))?;
        text.map_or(Ok(Span::default()), |text| self.keep(text))
    }

    fn filled(&mut self, key: &str) -> Read<Option<(Span, Fingerprint)>> {
        match text(get(self.fields, key))? {
            None => Ok(None),
            Some("") => Err("mistyped_field"),
            Some(text) => Ok(Some((self.keep(text)?, Fingerprint::of(text)))),
        }
    }

    fn code<T: Default + PartialEq>(
        &mut self,
        key: &str,
        name: &str,
        parse: fn(&str) -> T,
    ) -> Read<Option<T>> {
        let word = text(self.at(key))?.map(parse);
        self.note(name, &word);
        Ok(word)
    }

    fn note<T: Default + PartialEq>(&mut self, name: &str, word: &Option<T>) {
        if *word == Some(T::default()) {
            self.event.unknown_codes.mark(
                UnknownCodes::FIELDS
                    .iter()
                    .position(|f| *f == name)
                    .unwrap(),
            );
        }
    }

    fn event(mut self, quick: &Event) -> Read<Event> {
        let kind = EventType::parse(must(text(self.at("type"))?)?).ok_or("unknown_type")?;
        let own = must(id(get(self.fields, "id"))?)?;
        self.event.id = self.keep(own)?;
        self.event.id_fp = Fingerprint::of(own);
        self.event.at = must(time(self.at("at"))?)?;
        self.event.received_at_ms = time(self.at("received_at"))?.map(|at| at.ms);
        if self
            .event
            .received_at_ms
            .is_some_and(|ms| self.event.at.ms - ms > 600_000)
        {
            return Err("future_time");
        }
        (self.event.card, self.event.card_fp) = self.filled("card")?.unwrap_or_default();
        (self.event.cardholder, self.event.cardholder_fp) =
            self.filled("cardholder")?.unwrap_or_default();
        let given =
            u8::from(!self.event.card.is_empty()) + u8::from(!self.event.cardholder.is_empty());
        let wanted = if matches!(kind, EventType::Card | EventType::Enrolment) {
            2
        } else {
            1
        };
        if given < wanted {
            return Err("no_key");
        }
        self.event.body = match kind {
            EventType::Authorization => self.authorization()?,
            EventType::Threeds => self.threeds(quick)?,
            EventType::Otp => {
                let action = self.action(kind)?;
                self.challenge(true)?;
                Body::Otp(Otp {
                    action,
                    phone: self.kept("phone")?,
                })
            }
            EventType::Eid => self.eid()?,
            EventType::Enrolment => {
                let action = self.action(kind)?;
                let channel =
                    must(self.code("channel", "enrolment_channel", EnrolmentChannel::parse)?)?;
                let phone = self.kept("phone")?;
                let phone_country = self
                    .code("phone_country", "phone_country", Country::parse)?
                    .flatten();
                Body::Enrolment(Enrolment {
                    action,
                    channel,
                    phone,
                    phone_country,
                })
            }
            EventType::Card => self.card()?,
            EventType::Disposition => self.disposition()?,
            EventType::Hold => {
                let hold = must(self.filled("hold")?)?.0;
                let action = self.action(kind)?;
                Body::Hold(HoldStep {
                    hold,
                    action,
                    by: self.kept("by")?,
                    reason: self.kept("reason")?,
                })
            }
        };
        Ok(self.event)
    }

    fn action(&self, kind: EventType) -> Read<Action> {
        let word = must(text(self.at("action"))?)?;
        Action::of(kind)
            .iter()
            .copied()
            .find(|action| action.word() == word)
            .ok_or("unknown_action")
    }

    fn challenge(&mut self, required: bool) -> Read<()> {
        let given = text(get(self.fields, "acs_trans_id"))?;
        match given {
            None if required => return Err("missing_field"),
            Some("") if required => return Err("mistyped_field"),
            None | Some("") => {}
            Some(text) => {
                self.event.acs = self.keep(text)?;
                self.event.acs_fp = Fingerprint::of(text);
            }
        }
        Ok(())
    }

    fn purchase(&mut self) -> Read<(i64, Option<Currency>, u16, Merchant)> {
        let amount = must(whole(self.at("amount_minor"), AMOUNT)?)?;
        let currency = must(self.code("currency", "currency", Currency::parse)?)?;
        let mcc = must(text(self.at("mcc"))?)?;
        if mcc.len() != 4 || !mcc.chars().all(|c| c.is_ascii_digit()) {
            return Err("mistyped_field");
        }
        let mcc = mcc.parse().unwrap();
        let Json::Object(fields) = must(self.at("merchant"))?.clone() else {
            return Err("mistyped_field");
        };
        let id = must(text(get(&fields, "id"))?)?;
        if id.is_empty() {
            return Err("mistyped_field");
        }
        let (id_fp, id) = (Fingerprint::of(id).short(), self.keep(id)?);
        let name = self.keep(must(text(get(&fields, "name"))?)?)?;
        let country = must(text(get(&fields, "country"))?)?;
        let country = Some(Country::parse(country));
        self.note("merchant.country", &country);
        Ok((
            amount,
            currency,
            mcc,
            Merchant {
                id,
                id_fp,
                name,
                country: country.flatten(),
            },
        ))
    }

    fn authorization(&mut self) -> Read<Body> {
        let (amount_minor, currency, mcc, merchant) = self.purchase()?;
        let channel = must(self.code("channel", "channel", Channel::parse)?)?;
        let security = must(self.code("security", "security", Security::parse)?)?;
        let response_code = must(self.filled("response_code")?)?.0;
        let response = ResponseGroup::of(self.event.str(response_code));
        self.note("response_code", &Some(response));
        let kind = self
            .code("kind", "kind", AuthorizationKind::parse)?
            .unwrap_or(AuthorizationKind::Authorization);
        let original = text(self.at("original"))?.filter(|id| !id.is_empty());
        let original_fp = original.map(Fingerprint::of).unwrap_or_default();
        let eci = self.kept("eci")?;
        self.challenge(false)?;
        let available_balance_minor = whole(self.at("available_balance_minor"), BALANCE)?;
        let exemption = self.kept("exemption")?;
        let approved_minor = whole(self.at("approved_minor"), AMOUNT)?;
        Ok(Body::Authorization(Authorization {
            amount_minor,
            currency,
            mcc,
            merchant,
            channel,
            security,
            response_code,
            response,
            kind,
            original_fp,
            eci,
            exemption,
            available_balance_minor,
            approved_minor,
        }))
    }

    fn threeds(&mut self, quick: &Event) -> Read<Body> {
        let message = Message::parse(must(text(self.at("message"))?)?).ok_or("unknown_message")?;
        self.challenge(true)?;
        let mut threeds = Threeds {
            message,
            amount_minor: 0,
            currency: None,
            mcc: 0,
            merchant: Merchant::default(),
            device_channel: None,
            acct_info: Span::default(),
            trans_status: None,
            trans_status_reason: Span::default(),
            authentication_method: None,
            eci: Span::default(),
            challenge_cancel: None,
            interaction_counter: None,
        };
        if message == Message::AReq {
            (
                threeds.amount_minor,
                threeds.currency,
                threeds.mcc,
                threeds.merchant,
            ) = self.purchase()?;
            threeds.device_channel =
                self.code("device_channel", "device_channel", DeviceChannel::parse)?;
            self.event.ip = address(self.at("browser_ip"))?;
            threeds.acct_info = self.acct_info(quick);
        } else if message != Message::CReq {
            threeds.trans_status = Some(must(self.code(
                "trans_status",
                "trans_status",
                TransStatus::parse,
            )?)?);
            threeds.trans_status_reason = self.kept("trans_status_reason")?;
            threeds.authentication_method = self.method()?;
            threeds.eci = self.kept("eci")?;
            threeds.challenge_cancel = self.code(
                "challenge_cancel",
                "challenge_cancel",
                ChallengeCancel::parse,
            )?;
            threeds.interaction_counter = match self.at("interaction_counter") {
                Some(Json::Text(digits)) => {
                    let plain =
                        matches!(digits.len(), 1 | 2) && digits.chars().all(|c| c.is_ascii_digit());
                    Some(if plain {
                        digits.parse().unwrap()
                    } else {
                        return Err("mistyped_field");
                    })
                }
                other => whole(other, 0..=99)?.map(|count| u8::try_from(count).unwrap()),
            };
        }
        Ok(Body::Threeds(threeds))
    }

    /// The raw text cannot be had from here: what was kept must read as the same value.
    fn acct_info(&mut self, quick: &Event) -> Span {
        let (Some(json), Body::Threeds(threeds)) = (self.at("acct_info").cloned(), &quick.body)
        else {
            return Span::default();
        };
        let raw = quick.str(threeds.acct_info);
        if let Json::Text(text) = json {
            assert_eq!(text, raw);
        } else {
            assert_eq!(serde_json::from_str::<Json>(raw).unwrap(), json);
        }
        self.event.push_text(raw).unwrap()
    }

    fn method(&mut self) -> Read<Option<AuthenticationMethod>> {
        let Some(Json::Array(all)) = self.at("authentication_method") else {
            return self.code(
                "authentication_method",
                "authentication_method",
                AuthenticationMethod::parse,
            );
        };
        let mut methods = Vec::new();
        for json in all {
            methods.extend(text(Some(json))?.map(AuthenticationMethod::parse));
            if *json == Json::Null {
                return Err("mistyped_field");
            }
        }
        let known = methods
            .iter()
            .copied()
            .find(|method| *method != AuthenticationMethod::Unknown);
        let method = known.or(methods.first().copied());
        self.note("authentication_method", &method);
        Ok(method)
    }

    fn eid(&mut self) -> Read<Body> {
        let action = self.action(EventType::Eid)?;
        self.event.ip = Some(must(address(self.at("ip"))?)?);
        let authenticator = self.code("authenticator", "authenticator", Authenticator::parse)?;
        let purpose = self.code("purpose", "purpose", Purpose::parse)?;
        self.challenge(false)?;
        Ok(Body::Eid(Eid {
            action,
            authenticator,
            purpose,
            key_number: self.kept("key_number")?,
        }))
    }

    fn card(&mut self) -> Read<Body> {
        let action = self.action(EventType::Card)?;
        let home_country = self
            .code("home_country", "home_country", Country::parse)?
            .flatten();
        let scheme = self.kept("scheme")?;
        let until_ms = time(self.at("until"))?.map(|until| until.ms);
        let mut aliases = Vec::new();
        match self.at("aliases").cloned() {
            None => {}
            Some(Json::Array(all)) if all.len() <= 32 => {
                for json in &all {
                    let text = text(Some(json))?.filter(|text| !text.is_empty());
                    aliases.push(self.keep(text.ok_or("mistyped_field")?)?);
                }
            }
            Some(_) => return Err("mistyped_field"),
        }
        Ok(Body::Card(CardChange {
            action,
            home_country,
            scheme,
            until_ms,
            aliases,
        }))
    }

    fn disposition(&mut self) -> Read<Body> {
        let Json::Object(subject) = must(self.at("subject"))?.clone() else {
            return Err("mistyped_field");
        };
        let (event, alert) = (id(get(&subject, "event"))?, id(get(&subject, "alert"))?);
        let of_alert = alert.is_some();
        if of_alert && event.is_some() {
            return Err("mistyped_field");
        }
        let subject = self.keep(must(event.or(alert))?)?;
        let verdict = Verdict::parse(must(text(self.at("verdict"))?)?);
        if verdict.is_none() {
            self.note("verdict", &Some(String::new()));
        }
        let (by, reason) = (self.kept("by")?, self.kept("reason")?);
        let verdict = verdict.unwrap_or(Verdict::Undetermined);
        Ok(Body::Disposition(Disposition {
            subject,
            of_alert,
            verdict,
            by,
            reason,
        }))
    }
}

fn address(json: Option<&Json>) -> Read<Option<IpAddr>> {
    match text(json)? {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse()
            .map(|ip: IpAddr| Some(ip.to_canonical()))
            .map_err(|_| "mistyped_field"),
    }
}
