//! What each type of event must and may have, field by field in the contract's order (EVENTS.md).
//!
//! A code that we have not heard of is kept as unknown and marked, save `type`, `message` and
//! `action`. Fields of other types are passed over and counted.

use super::field::{Field, set};
use super::fields::{Fields, MAX_AMOUNT_MINOR, as_text, missing, mistyped, required, unknown_bit};
use super::moment::Calendar;
use super::token::{Kind, Token};
use super::walk::Table;
use super::{Code, Fault};
use crate::domain::codes::{
    Action, AuthenticationMethod, Authenticator, AuthorizationKind, ChallengeCancel, Channel,
    DeviceChannel, EnrolmentChannel, EventType, Message, Purpose, ResponseGroup, Security,
    TransStatus, Verdict,
};
use crate::domain::currency::Currency;
use crate::domain::event::{
    Authorization, Body, CardChange, Disposition, Eid, Enrolment, Event, HoldStep, Merchant, Otp,
    Place, Span, Threeds, UnknownCodes,
};
use crate::domain::ids::Fingerprint;
use crate::domain::time::MINUTE_MS;
use std::mem;

/// How far `at` may lie ahead of `received_at` (EVENTS.md, Rejects).
const MAX_AHEAD_MS: i64 = 10 * MINUTE_MS;
/// The most other tokens of one card: a card has one or two.
const MAX_ALIASES: usize = 32;

const ON_ALL: u64 = set(&[
    Field::Type,
    Field::Id,
    Field::At,
    Field::ReceivedAt,
    Field::Card,
    Field::Cardholder,
    // Counted with the object that they stand in.
    Field::MerchantId,
    Field::MerchantName,
    Field::MerchantCountry,
    Field::SubjectEvent,
    Field::SubjectAlert,
]);

/// The fields that a type has, beside those of every type.
const fn fields_of(kind: EventType) -> u64 {
    use Field::*;
    match kind {
        EventType::Authorization => {
            const {
                set(&[
                    AmountMinor,
                    Currency,
                    Mcc,
                    Merchant,
                    Channel,
                    Security,
                    ResponseCode,
                    Kind,
                    Original,
                    Eci,
                    AcsTransId,
                    AvailableBalanceMinor,
                    Exemption,
                    ApprovedMinor,
                ])
            }
        }
        EventType::Threeds => {
            const {
                set(&[
                    Message,
                    AcsTransId,
                    AmountMinor,
                    Currency,
                    Mcc,
                    Merchant,
                    DeviceChannel,
                    BrowserIp,
                    AcctInfo,
                    TransStatus,
                    TransStatusReason,
                    AuthenticationMethod,
                    Eci,
                    ChallengeCancel,
                    InteractionCounter,
                ])
            }
        }
        EventType::Otp => const { set(&[Action, AcsTransId, Phone]) },
        EventType::Eid => {
            const { set(&[Action, Ip, Authenticator, Purpose, AcsTransId, KeyNumber]) }
        }
        EventType::Enrolment => const { set(&[Action, Channel, Phone, PhoneCountry]) },
        EventType::Card => const { set(&[Action, HomeCountry, SchemeName, Until, Aliases]) },
        EventType::Disposition => const { set(&[Subject, Verdict, By, Reason]) },
        EventType::Hold => const { set(&[Hold, Action, By, Reason]) },
    }
}

/// Makes the event of a record that has been read, and tells how many of its fields its type does
/// not have. Where `is_open` the outcome is still to come.
pub(super) fn build(
    record: &[u8],
    table: &Table,
    calendar: &mut Calendar,
    event: &mut Event,
    is_open: bool,
) -> Result<u64, Fault> {
    let aliases = clear(event);
    let mut fields = Fields::new(record, table, calendar, event);
    let kind = fields.common()?;
    let body = match kind {
        EventType::Authorization => Body::Authorization(fields.authorization(is_open)?),
        EventType::Threeds => Body::Threeds(fields.threeds()?),
        EventType::Otp => Body::Otp(fields.otp()?),
        EventType::Eid => Body::Eid(fields.eid()?),
        EventType::Enrolment => Body::Enrolment(fields.enrolment()?),
        EventType::Card => Body::Card(fields.card(aliases)?),
        EventType::Disposition => Body::Disposition(fields.disposition()?),
        EventType::Hold => Body::Hold(fields.hold()?),
    };
    fields.event.body = body;
    Ok(u64::from(
        (table.seen & !ON_ALL & !fields_of(kind)).count_ones(),
    ))
}

/// Empties an event but for its text and its memory, the list of aliases of its last use included.
fn clear(event: &mut Event) -> Vec<Span> {
    event.received_at_ms = None;
    event.card = Span::default();
    event.card_fp = Fingerprint::default();
    event.cardholder = Span::default();
    event.cardholder_fp = Fingerprint::default();
    event.acs = Span::default();
    event.acs_fp = Fingerprint::default();
    event.ip = None;
    event.place = Place::default();
    event.unknown_codes = UnknownCodes::default();
    match &mut event.body {
        Body::Card(card) => {
            card.aliases.clear();
            mem::take(&mut card.aliases)
        }
        Body::Authorization(_)
        | Body::Threeds(_)
        | Body::Otp(_)
        | Body::Eid(_)
        | Body::Enrolment(_)
        | Body::Disposition(_)
        | Body::Hold(_) => Vec::new(),
    }
}

/// What a payment and an AReq have in common.
struct Purchase {
    amount_minor: i64,
    currency: Option<Currency>,
    mcc: u16,
    merchant: Merchant,
}

impl Fields<'_> {
    /// The fields of every event.
    #[inline]
    fn common(&mut self) -> Result<EventType, Fault> {
        const UNKNOWN: Fault = Fault::field(Code::UnknownType, Field::Type, "is none that we know");
        const AHEAD: Fault = Fault::field(
            Code::FutureTime,
            Field::At,
            "is more than 10 minutes after `received_at`",
        );
        let kind = EventType::parse(self.required_words(Field::Type)?).ok_or(UNKNOWN)?;
        let id = required(Field::Id, self.id(Field::Id)?)?;
        self.event.id = self.keep(Field::Id, id)?;
        self.event.id_fp = Fingerprint::of_bytes(id);
        self.event.at = required(Field::At, self.moment(Field::At)?)?;
        if let Some(received_at) = self.moment(Field::ReceivedAt)? {
            self.event.received_at_ms = Some(received_at.ms);
            if self.event.at.ms > received_at.ms + MAX_AHEAD_MS {
                return Err(AHEAD);
            }
        }
        if let Some((card, words)) = self.filled(Field::Card)? {
            self.event.card = card;
            self.event.card_fp = Fingerprint::of_bytes(words);
        }
        if let Some((cardholder, words)) = self.filled(Field::Cardholder)? {
            self.event.cardholder = cardholder;
            self.event.cardholder_fp = Fingerprint::of_bytes(words);
        }
        self.keys(kind)?;
        Ok(kind)
    }

    #[inline]
    fn keys(&self, kind: EventType) -> Result<(), Fault> {
        let (card, cardholder) = (
            !self.event.card.is_empty(),
            !self.event.cardholder.is_empty(),
        );
        let binds = matches!(kind, EventType::Card | EventType::Enrolment);
        if binds && !(card && cardholder) {
            let says = "this type needs both `card` and `cardholder`";
            return Err(Fault::record(Code::NoKey, says));
        }
        if !card && !cardholder {
            return Err(Fault::record(
                Code::NoKey,
                "neither `card` nor `cardholder` is given",
            ));
        }
        Ok(())
    }

    /// `action`, where the type has it.
    #[inline]
    fn action(&self, kind: EventType) -> Result<Action, Fault> {
        Action::parse(self.required_words(Field::Action)?)
            .filter(|action| Action::of(kind).contains(action))
            .ok_or(Fault::field(
                Code::UnknownAction,
                Field::Action,
                "is none that this type has",
            ))
    }

    #[inline]
    fn challenge(&mut self, is_required: bool) -> Result<(), Fault> {
        let acs = if is_required {
            Some(self.required_filled(Field::AcsTransId)?)
        } else {
            match self.words(Field::AcsTransId)? {
                None | Some([]) => None,
                Some(words) => Some((self.keep(Field::AcsTransId, words)?, words)),
            }
        };
        if let Some((span, words)) = acs {
            self.event.acs = span;
            self.event.acs_fp = Fingerprint::of_bytes(words);
        }
        Ok(())
    }

    #[inline]
    fn purchase(&mut self) -> Result<Purchase, Fault> {
        let amount_minor = required(Field::AmountMinor, self.amount(Field::AmountMinor)?)?;
        let currency = self.code(
            Field::Currency,
            const { unknown_bit("currency") },
            Currency::parse,
        )?;
        let currency = required(Field::Currency, currency)?;
        let mcc = mcc(self.required_words(Field::Mcc)?)?;
        let merchant = self.merchant()?;
        Ok(Purchase {
            amount_minor,
            currency,
            mcc,
            merchant,
        })
    }

    #[inline]
    fn merchant(&mut self) -> Result<Merchant, Fault> {
        match self.token(Field::Merchant) {
            None => return Err(missing(Field::Merchant)),
            Some(Token {
                kind: Kind::Object, ..
            }) => {}
            Some(_) => return Err(mistyped(Field::Merchant, "must be an object")),
        }
        let (id, words) = self.required_filled(Field::MerchantId)?;
        let name = self.required_words(Field::MerchantName)?;
        let name = self.keep(Field::MerchantName, name)?;
        self.required_words(Field::MerchantCountry)?;
        let country = self.country(
            Field::MerchantCountry,
            const { unknown_bit("merchant.country") },
        )?;
        Ok(Merchant {
            id,
            id_fp: Fingerprint::of_bytes(words).short(),
            name,
            country,
        })
    }

    #[inline]
    fn authorization(&mut self, is_open: bool) -> Result<Authorization, Fault> {
        let purchase = self.purchase()?;
        let channel = self.code(
            Field::Channel,
            const { unknown_bit("channel") },
            Channel::parse,
        )?;
        let channel = required(Field::Channel, channel)?;
        let security = self.code(
            Field::Security,
            const { unknown_bit("security") },
            Security::parse,
        )?;
        let security = required(Field::Security, security)?;
        let (response_code, code) = if is_open && self.token(Field::ResponseCode).is_none() {
            (Span::default(), [].as_slice())
        } else {
            self.required_filled(Field::ResponseCode)?
        };
        let response = ResponseGroup::of(code);
        if !code.is_empty() && response == ResponseGroup::Unknown {
            self.event
                .unknown_codes
                .mark(const { unknown_bit("response_code") });
        }
        let kind = self.code(
            Field::Kind,
            const { unknown_bit("kind") },
            AuthorizationKind::parse,
        )?;
        let original = self.words(Field::Original)?.filter(|id| !id.is_empty());
        let eci = self.text(Field::Eci)?;
        self.challenge(false)?;
        let balance = -MAX_AMOUNT_MINOR..=MAX_AMOUNT_MINOR;
        let says = "must be a whole number, -10^15 to 10^15";
        let available_balance_minor = self.integer(Field::AvailableBalanceMinor, balance, says)?;
        Ok(Authorization {
            amount_minor: purchase.amount_minor,
            currency: purchase.currency,
            mcc: purchase.mcc,
            merchant: purchase.merchant,
            channel,
            security,
            response_code,
            response,
            kind: kind.unwrap_or(AuthorizationKind::Authorization),
            original_fp: original.map(Fingerprint::of_bytes).unwrap_or_default(),
            eci,
            exemption: self.text(Field::Exemption)?,
            available_balance_minor,
            approved_minor: self.amount(Field::ApprovedMinor)?,
        })
    }

    fn threeds(&mut self) -> Result<Threeds, Fault> {
        const UNKNOWN: Fault =
            Fault::field(Code::UnknownMessage, Field::Message, "is none that we know");
        let message = Message::parse(self.required_words(Field::Message)?).ok_or(UNKNOWN)?;
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
        match message {
            Message::AReq => self.request(&mut threeds)?,
            Message::ARes | Message::CRes | Message::RReq => self.answer(&mut threeds)?,
            Message::CReq => {}
        }
        Ok(threeds)
    }

    fn request(&mut self, threeds: &mut Threeds) -> Result<(), Fault> {
        let purchase = self.purchase()?;
        threeds.amount_minor = purchase.amount_minor;
        threeds.currency = purchase.currency;
        threeds.mcc = purchase.mcc;
        threeds.merchant = purchase.merchant;
        let bit = const { unknown_bit("device_channel") };
        threeds.device_channel = self.code(Field::DeviceChannel, bit, DeviceChannel::parse)?;
        self.event.ip = self.address(Field::BrowserIp)?;
        threeds.acct_info = self.acct_info()?;
        Ok(())
    }

    fn answer(&mut self, threeds: &mut Threeds) -> Result<(), Fault> {
        let bit = const { unknown_bit("trans_status") };
        let status = self.code(Field::TransStatus, bit, TransStatus::parse)?;
        threeds.trans_status = Some(required(Field::TransStatus, status)?);
        threeds.trans_status_reason = self.text(Field::TransStatusReason)?;
        threeds.authentication_method = self.authentication_method()?;
        threeds.eci = self.text(Field::Eci)?;
        let bit = const { unknown_bit("challenge_cancel") };
        threeds.challenge_cancel =
            self.code(Field::ChallengeCancel, bit, ChallengeCancel::parse)?;
        threeds.interaction_counter = self.interaction_counter()?;
        Ok(())
    }

    /// One method, or an array of methods (EMV 2.3.1), of which the first that we know counts.
    fn authentication_method(&mut self) -> Result<Option<AuthenticationMethod>, Fault> {
        let bit = const { unknown_bit("authentication_method") };
        let field = Field::AuthenticationMethod;
        let Some(token) = self.token(field).filter(|token| token.kind == Kind::Array) else {
            return self.code(field, bit, AuthenticationMethod::parse);
        };
        let mut first = None;
        let texts_only = self.each_text(token, |words| {
            if first.is_none_or(|method| method == AuthenticationMethod::Unknown) {
                first = Some(AuthenticationMethod::parse(words));
            }
            true
        });
        if !texts_only {
            return Err(mistyped(field, "must be a string or an array of strings"));
        }
        if first == Some(AuthenticationMethod::Unknown) {
            self.event.unknown_codes.mark(bit);
        }
        Ok(first)
    }

    /// EMV writes two digits; some write a number.
    fn interaction_counter(&self) -> Result<Option<u8>, Fault> {
        const SAYS: &str = "must be a number from 0 to 99, or one or two digits";
        let field = Field::InteractionCounter;
        let Some(token) = self.token(field) else {
            return Ok(None);
        };
        let count = match token.kind {
            Kind::Text | Kind::Unescaped => {
                let digits = self.required_words(field)?;
                let plain = digits.len() <= 2 && digits.iter().all(u8::is_ascii_digit);
                plain.then(|| as_text(digits).parse::<u8>().ok()).flatten()
            }
            Kind::Null | Kind::Integer | Kind::Float | Kind::Bool | Kind::Array | Kind::Object => {
                let count = self.integer(field, 0..=99, SAYS)?;
                count.and_then(|count| u8::try_from(count).ok())
            }
        };
        count.map(Some).ok_or(mistyped(field, SAYS))
    }

    #[inline]
    fn otp(&mut self) -> Result<Otp, Fault> {
        let action = self.action(EventType::Otp)?;
        self.challenge(true)?;
        Ok(Otp {
            action,
            phone: self.text(Field::Phone)?,
        })
    }

    fn eid(&mut self) -> Result<Eid, Fault> {
        let action = self.action(EventType::Eid)?;
        self.event.ip = Some(required(Field::Ip, self.address(Field::Ip)?)?);
        let bit = const { unknown_bit("authenticator") };
        let authenticator = self.code(Field::Authenticator, bit, Authenticator::parse)?;
        let purpose = self.code(
            Field::Purpose,
            const { unknown_bit("purpose") },
            Purpose::parse,
        )?;
        self.challenge(false)?;
        Ok(Eid {
            action,
            authenticator,
            purpose,
            key_number: self.text(Field::KeyNumber)?,
        })
    }

    fn enrolment(&mut self) -> Result<Enrolment, Fault> {
        let action = self.action(EventType::Enrolment)?;
        let bit = const { unknown_bit("enrolment_channel") };
        let channel = self.code(Field::Channel, bit, EnrolmentChannel::parse)?;
        let channel = required(Field::Channel, channel)?;
        let phone = self.text(Field::Phone)?;
        let phone_country =
            self.country(Field::PhoneCountry, const { unknown_bit("phone_country") })?;
        Ok(Enrolment {
            action,
            channel,
            phone,
            phone_country,
        })
    }

    fn card(&mut self, aliases: Vec<Span>) -> Result<CardChange, Fault> {
        let action = self.action(EventType::Card)?;
        let home_country =
            self.country(Field::HomeCountry, const { unknown_bit("home_country") })?;
        let scheme = self.text(Field::SchemeName)?;
        let until_ms = self.moment(Field::Until)?.map(|until| until.ms);
        let aliases = self.aliases(aliases)?;
        Ok(CardChange {
            action,
            home_country,
            scheme,
            until_ms,
            aliases,
        })
    }

    fn aliases(&mut self, mut aliases: Vec<Span>) -> Result<Vec<Span>, Fault> {
        const FAULT: Fault = mistyped(
            Field::Aliases,
            "must be an array of at most 32 strings of 1 to 512 bytes",
        );
        let Some(token) = self.token(Field::Aliases) else {
            return Ok(aliases);
        };
        if token.kind != Kind::Array {
            return Err(FAULT);
        }
        // Lent out, so that texts can be put into it while the array is read.
        let mut event = mem::take(self.event);
        let texts_only = self.each_text(token, |words| {
            let fits = !words.is_empty() && aliases.len() < MAX_ALIASES;
            let span = if fits { event.push_text(words) } else { None };
            aliases.extend(span);
            span.is_some()
        });
        *self.event = event;
        if texts_only { Ok(aliases) } else { Err(FAULT) }
    }

    fn disposition(&mut self) -> Result<Disposition, Fault> {
        match self.token(Field::Subject) {
            None => return Err(missing(Field::Subject)),
            Some(Token {
                kind: Kind::Object, ..
            }) => {}
            Some(_) => return Err(mistyped(Field::Subject, "must be an object")),
        }
        let (event, alert) = (self.id(Field::SubjectEvent)?, self.id(Field::SubjectAlert)?);
        let (subject, of_alert) = match (event, alert) {
            (Some(id), None) => (self.keep(Field::SubjectEvent, id)?, false),
            (None, Some(id)) => (self.keep(Field::SubjectAlert, id)?, true),
            (None, None) => return Err(missing(Field::Subject)),
            (Some(_), Some(_)) => {
                return Err(mistyped(
                    Field::Subject,
                    "must name an event or an alert, not both",
                ));
            }
        };
        let verdict = Verdict::parse(self.required_words(Field::Verdict)?).unwrap_or_else(|| {
            self.event
                .unknown_codes
                .mark(const { unknown_bit("verdict") });
            Verdict::Undetermined
        });
        let (by, reason) = (self.text(Field::By)?, self.text(Field::Reason)?);
        Ok(Disposition {
            subject,
            of_alert,
            verdict,
            by,
            reason,
        })
    }

    fn hold(&mut self) -> Result<HoldStep, Fault> {
        let (hold, _) = self.required_filled(Field::Hold)?;
        let action = self.action(EventType::Hold)?;
        Ok(HoldStep {
            hold,
            action,
            by: self.text(Field::By)?,
            reason: self.text(Field::Reason)?,
        })
    }
}

/// Four digits.
#[inline]
fn mcc(words: &[u8]) -> Result<u16, Fault> {
    const FAULT: Fault = mistyped(Field::Mcc, "must be a string of 4 digits");
    let digits: &[u8; 4] = words.try_into().map_err(|_| FAULT)?;
    let digits = digits.map(|digit| u16::from(digit.wrapping_sub(b'0')));
    if digits.iter().any(|digit| *digit > 9) {
        return Err(FAULT);
    }
    Ok(digits.iter().fold(0, |number, digit| number * 10 + digit))
}
