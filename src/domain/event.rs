//! An event: what one record of a bank's stream means, in the trade's own words (EVENTS.md).
//!
//! An [`Event`] owns its text in one string and points into it, so that it can cross threads and
//! be reused without an allocation per field. It is made by `decode` and read by the engine;
//! whether it is suspicious is no question here.

use crate::domain::codes::{
    Action, AuthenticationMethod, Authenticator, AuthorizationKind, ChallengeCancel, Channel,
    DeviceChannel, EnrolmentChannel, EventType, Message, Purpose, ResponseGroup, Security,
    TransStatus, Verdict,
};
use crate::domain::country::Country;
use crate::domain::currency::Currency;
use crate::domain::ids::Fingerprint;
use crate::domain::time::Moment;
use std::net::IpAddr;

/// The longest `id`, in characters (EVENTS.md).
pub const MAX_ID_CHARS: usize = 64;
/// The longest text of any other field that we keep, in bytes: tokens and names are far shorter,
/// and positions in [`Event::text`] are 16 bits wide.
pub const MAX_TEXT_BYTES: usize = 512;

/// A piece of [`Event::text`]. The empty piece stands for an absent optional field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Byte offset into the event's text.
    pub start: u16,
    /// Length in bytes.
    pub len: u16,
}

impl Span {
    /// True where the field is absent (or empty, which means the same).
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// One event, decoded and checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event {
    /// The characters of every text field, one after another. UTF-8, but kept as bytes: few pieces
    /// are ever read as text, and to check those is cheaper than to check all of them.
    pub text: Vec<u8>,
    /// Within so many of its first bytes no text needs an escape in JSON; 0 where nobody looked.
    pub plain: u16,
    /// `id`, at most 64 characters.
    pub id: Span,
    /// Fingerprint of `id`.
    pub id_fp: Fingerprint,
    /// `at`: event time, with the offset as written.
    pub at: Moment,
    /// `received_at`, in milliseconds: when the bank's edge had it.
    pub received_at_ms: Option<i64>,
    /// `card`: the token, empty where absent.
    pub card: Span,
    /// Fingerprint of `card`; 0 where absent.
    pub card_fp: Fingerprint,
    /// `cardholder`: as given, or as resolved by intake; the card's token where the card stands
    /// for its holder. Never empty once resolved.
    pub cardholder: Span,
    /// Fingerprint of the cardholder's key: the engine's only key.
    pub cardholder_fp: Fingerprint,
    /// `acs_trans_id` of the challenge it belongs to; 0 where absent.
    pub acs_fp: Fingerprint,
    /// The text of `acs_trans_id`.
    pub acs: Span,
    /// `browser_ip` of an AReq or `ip` of an eID step.
    pub ip: Option<IpAddr>,
    /// Where that address lies, looked up by the shell in the GeoIP table in force.
    pub place: Place,
    /// Names of the fields whose code we did not know; reported as counts.
    pub unknown_codes: UnknownCodes,
    /// What happened.
    pub body: Body,
}

/// Where an address lies, as far as the table in force knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The country; nothing where the table does not know it.
    pub country: Option<Country>,
    /// The autonomous system's number, where an ASN table is given.
    pub asn: Option<u32>,
    /// A 32-bit fingerprint of the address's network (/24 or /48); 0 where there is no address.
    pub network: u32,
}

/// One bit for each coded field whose word we did not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnknownCodes(pub u16);

impl UnknownCodes {
    /// The coded fields, in bit order.
    pub const FIELDS: &'static [&'static str] = &[
        "channel",
        "security",
        "response_code",
        "kind",
        "currency",
        "merchant.country",
        "trans_status",
        "authentication_method",
        "challenge_cancel",
        "device_channel",
        "authenticator",
        "purpose",
        "phone_country",
        "home_country",
        "enrolment_channel",
        "verdict",
    ];

    /// Marks a field, by its place in [`Self::FIELDS`].
    pub const fn mark(&mut self, field: usize) {
        self.0 |= 1 << field;
    }

    /// How many fields are marked.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }
}

/// What happened, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A payment asked for, reversed or refunded.
    Authorization(Authorization),
    /// One EMV 3-D Secure message.
    Threeds(Threeds),
    /// A step of an SMS one-time password.
    Otp(Otp),
    /// A step of an eID.
    Eid(Eid),
    /// A card or a phone enrolled.
    Enrolment(Enrolment),
    /// A change of a card's state.
    Card(CardChange),
    /// What somebody says of an earlier event.
    Disposition(Disposition),
    /// A step in the life of one of our holds.
    Hold(HoldStep),
}

impl Default for Body {
    fn default() -> Self {
        Self::Otp(Otp {
            action: Action::Sent,
            phone: Span::default(),
        })
    }
}

/// Who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merchant {
    /// `merchant.id`.
    pub id: Span,
    /// 32-bit fingerprint of `merchant.id`.
    pub id_fp: u32,
    /// `merchant.name`.
    pub name: Span,
    /// `merchant.country`; nothing for an unknown code.
    pub country: Option<Country>,
}

/// `authorization`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Authorization {
    /// In minor units of `currency`, as given; never negative.
    pub amount_minor: i64,
    /// ISO 4217; nothing for an unknown code.
    pub currency: Option<Currency>,
    /// Merchant category code, 0-9999.
    pub mcc: u16,
    /// Who is paid.
    pub merchant: Merchant,
    /// How the card was presented.
    pub channel: Channel,
    /// What secured it.
    pub security: Security,
    /// ISO 8583 field 39, as text; empty in a risk query, where it is not known yet.
    pub response_code: Span,
    /// Its group. An outcome: hidden from the decide phase.
    pub response: ResponseGroup,
    /// The request, or its undoing.
    pub kind: AuthorizationKind,
    /// The `id` of what is reversed or refunded; 0 where absent.
    pub original_fp: Fingerprint,
    /// `eci`, as text.
    pub eci: Span,
    /// `exemption`, as text.
    pub exemption: Span,
    /// Before this authorization, in minor units of `currency`.
    pub available_balance_minor: Option<i64>,
    /// A partial approval, in minor units. An outcome: hidden from the decide phase.
    pub approved_minor: Option<i64>,
}

/// `threeds`: one EMV 3-D Secure message.
#[derive(Debug, Clone, PartialEq)]
pub struct Threeds {
    /// Which message.
    pub message: Message,
    /// AReq: the purchase in minor units of `currency`; 0 elsewhere.
    pub amount_minor: i64,
    /// AReq: ISO 4217.
    pub currency: Option<Currency>,
    /// AReq: merchant category code; 0 elsewhere.
    pub mcc: u16,
    /// AReq: who is paid.
    pub merchant: Merchant,
    /// AReq, optional: where the cardholder sits.
    pub device_channel: Option<DeviceChannel>,
    /// AReq, optional: `acct_info.suspicious_acc_activity` (`02` = observed) and the like, as the
    /// raw JSON text of `acct_info`.
    pub acct_info: Span,
    /// ARes, CRes, RReq: the outcome so far.
    pub trans_status: Option<TransStatus>,
    /// Optional EMV reason code, as text.
    pub trans_status_reason: Span,
    /// Optional: the method that the ACS states.
    pub authentication_method: Option<AuthenticationMethod>,
    /// `eci`, as text.
    pub eci: Span,
    /// Optional: why a challenge was broken off.
    pub challenge_cancel: Option<ChallengeCancel>,
    /// Optional: attempts of the cardholder in the challenge, 0-99.
    pub interaction_counter: Option<u8>,
}

/// `otp`: a step of an SMS one-time password.
#[derive(Debug, Clone, PartialEq)]
pub struct Otp {
    /// Sent, delivered, failed, accepted, rejected or expired.
    pub action: Action,
    /// Token of the phone.
    pub phone: Span,
}

/// `eid`: a step of an eID.
#[derive(Debug, Clone, PartialEq)]
pub struct Eid {
    /// Which step.
    pub action: Action,
    /// What was held in hand.
    pub authenticator: Option<Authenticator>,
    /// What it was for.
    pub purpose: Option<Purpose>,
    /// The number of the key on the code card, as text.
    pub key_number: Span,
}

/// `enrolment`: a card or a phone enrolled, changed or removed.
#[derive(Debug, Clone, PartialEq)]
pub struct Enrolment {
    /// Which change.
    pub action: Action,
    /// Through which door.
    pub channel: EnrolmentChannel,
    /// Token of the phone.
    pub phone: Span,
    /// Country of the phone number.
    pub phone_country: Option<Country>,
}

/// `card`: a change of a card's state.
#[derive(Debug, Clone, PartialEq)]
pub struct CardChange {
    /// Which change.
    pub action: Action,
    /// Where its holder is at home.
    pub home_country: Option<Country>,
    /// `scheme`, as text (`visa`, `mastercard`, `visa_dankort` …).
    pub scheme: Span,
    /// Until when the change holds (a bypass), in milliseconds.
    pub until_ms: Option<i64>,
    /// Other tokens of the same card.
    pub aliases: Vec<Span>,
}

/// `disposition`: what an analyst or a dispute says of an earlier event.
#[derive(Debug, Clone, PartialEq)]
pub struct Disposition {
    /// The id of the event or alert it speaks of, as text.
    pub subject: Span,
    /// True where the subject is one of our alerts, false where it is an event.
    pub of_alert: bool,
    /// What is said.
    pub verdict: Verdict,
    /// Who says it.
    pub by: Span,
    /// Why.
    pub reason: Span,
}

/// `hold`: a step in the life of one of our holds, told by the edge that took it.
#[derive(Debug, Clone, PartialEq)]
pub struct HoldStep {
    /// The hold's id, as text.
    pub hold: Span,
    /// Delivered, acknowledged, enforced or released.
    pub action: Action,
    /// Who took it.
    pub by: Span,
    /// Why.
    pub reason: Span,
}

impl Event {
    /// The text of a piece.
    pub fn str(&self, span: Span) -> &str {
        str::from_utf8(self.bytes(span)).unwrap_or("")
    }

    /// The bytes of a piece's text.
    #[inline]
    pub fn bytes(&self, span: Span) -> &[u8] {
        let start = usize::from(span.start);
        self.text
            .get(start..start + usize::from(span.len))
            .unwrap_or_default()
    }

    /// Appends text and returns where it stands; nothing where it is longer than
    /// [`MAX_TEXT_BYTES`] or the event's text would outgrow 16-bit positions.
    pub fn push_text(&mut self, piece: &str) -> Option<Span> {
        if piece.len() > MAX_TEXT_BYTES {
            return None;
        }
        let start = u16::try_from(self.text.len()).ok()?;
        let len = u16::try_from(piece.len()).ok()?;
        start.checked_add(len)?;
        self.text.extend_from_slice(piece.as_bytes());
        Some(Span { start, len })
    }

    /// Touches the event's cache lines and the first of its text's, so that the loads of many
    /// events overlap. The sum has no meaning; it keeps the loads alive.
    pub fn touch(&self) -> u64 {
        let text = self.text.first().copied().unwrap_or(0);
        let amount = match &self.body {
            Body::Authorization(payment) => payment.amount_minor.cast_unsigned(),
            Body::Threeds(message) => message.amount_minor.cast_unsigned(),
            Body::Otp(_)
            | Body::Eid(_)
            | Body::Enrolment(_)
            | Body::Card(_)
            | Body::Disposition(_)
            | Body::Hold(_) => 0,
        };
        amount
            ^ self.at.ms.cast_unsigned()
            ^ self.id_fp.0
            ^ self.acs_fp.0
            ^ u64::from(self.place.network)
            ^ u64::from(text)
    }

    /// The event's `id`.
    pub fn id(&self) -> &str {
        self.str(self.id)
    }

    /// The card's token; empty where the event concerns the person only.
    pub fn card(&self) -> &str {
        self.str(self.card)
    }

    /// The cardholder's key.
    pub fn cardholder(&self) -> &str {
        self.str(self.cardholder)
    }

    /// The type of the event.
    pub const fn kind(&self) -> EventType {
        match self.body {
            Body::Authorization(_) => EventType::Authorization,
            Body::Threeds(_) => EventType::Threeds,
            Body::Otp(_) => EventType::Otp,
            Body::Eid(_) => EventType::Eid,
            Body::Enrolment(_) => EventType::Enrolment,
            Body::Card(_) => EventType::Card,
            Body::Disposition(_) => EventType::Disposition,
            Body::Hold(_) => EventType::Hold,
        }
    }

    /// True for what gets a decision line: an authorization (not its undoing), an AReq, an eID step.
    pub fn is_decided(&self) -> bool {
        match &self.body {
            Body::Authorization(a) => !a.is_undoing(),
            Body::Threeds(t) => t.message == Message::AReq,
            Body::Eid(_) => true,
            Body::Otp(_)
            | Body::Enrolment(_)
            | Body::Card(_)
            | Body::Disposition(_)
            | Body::Hold(_) => false,
        }
    }

    /// The merchant, amount, currency and category of a payment or of an AReq.
    pub fn purchase(&self) -> Option<(&Merchant, i64, Option<Currency>, u16)> {
        match &self.body {
            Body::Authorization(a) => Some((&a.merchant, a.amount_minor, a.currency, a.mcc)),
            Body::Threeds(t) if t.message == Message::AReq => {
                Some((&t.merchant, t.amount_minor, t.currency, t.mcc))
            }
            Body::Threeds(_)
            | Body::Otp(_)
            | Body::Eid(_)
            | Body::Enrolment(_)
            | Body::Card(_)
            | Body::Disposition(_)
            | Body::Hold(_) => None,
        }
    }
}

impl Authorization {
    /// True for a reversal or a refund.
    pub fn is_undoing(&self) -> bool {
        matches!(
            self.kind,
            AuthorizationKind::Reversal | AuthorizationKind::Refund
        )
    }
}
