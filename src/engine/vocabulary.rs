//! The vocabulary of rules: every event field and every built-in feature, one row each.
//!
//! A row says name, type, unit, on which event types the name has a meaning, what it costs and
//! what it is. To add a feature: a row here, an arm in `features.rs`, a line in the slow reference
//! (`tests/it/reference.rs`). Aggregates are not here: the fraud team declares them in
//! `rules/features.yaml`.

use crate::domain::codes::{
    Action, AuthenticationMethod, Authenticator, ChallengeCancel, Channel, DeviceChannel,
    EnrolmentChannel, EventType, Message, Method, Purpose, ResponseGroup, Security, TransStatus,
};
use crate::domain::country::Country;
use crate::domain::currency::Currency;
use crate::expr::{CodeKind, Field, Symbols, Type, Unit};
use std::sync::Arc;

/// A set of event types: bit n stands for the type with code n.
pub type Types = u16;
const AUTH: Types = 1 << (EventType::Authorization as u8 + 1);
const TDS: Types = 1 << (EventType::Threeds as u8 + 1);
const OTP: Types = 1 << (EventType::Otp as u8 + 1);
const EID: Types = 1 << (EventType::Eid as u8 + 1);
const ENR: Types = 1 << (EventType::Enrolment as u8 + 1);
const CARD: Types = 1 << (EventType::Card as u8 + 1);
const DISP: Types = 1 << (EventType::Disposition as u8 + 1);
const HOLD: Types = 1 << (EventType::Hold as u8 + 1);
const ALL: Types = AUTH | TDS | OTP | EID | ENR | CARD | DISP | HOLD;
/// Events with a purchase in hand: their own, or that of the challenge they belong to.
const BUY: Types = AUTH | TDS | OTP | EID;

/// An ISO 3166-1 alpha-2 literal.
pub static COUNTRY: CodeKind = CodeKind {
    name: "country",
    parse: |text| Country::parse(text).map(|c| u32::from(c.index())),
    show: |code| {
        u8::try_from(code)
            .ok()
            .and_then(Country::from_index)
            .map_or_else(String::new, |c| c.to_string())
    },
    hint: "two capital letters of ISO 3166-1, such as \"DK\"",
};
/// An ISO 4217 literal.
pub static CURRENCY: CodeKind = CodeKind {
    name: "currency",
    parse: |text| Currency::parse(text).map(currency_code),
    show: |code| String::from_utf8_lossy(&code.to_be_bytes()[1..]).into_owned(),
    hint: "three capital letters of ISO 4217, such as \"DKK\"",
};
/// A merchant category code literal.
pub static MCC: CodeKind = CodeKind {
    name: "merchant category code",
    parse: |text| {
        (text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
    },
    show: |code| format!("{code:04}"),
    hint: "four digits, such as \"4829\"",
};
/// An ISO 8583 field 39 literal.
pub static RESPONSE_CODE: CodeKind = CodeKind {
    name: "response code",
    parse: response_code,
    show: |code| String::from_utf8_lossy(&code.to_be_bytes()[2..]).into_owned(),
    hint: "two characters of ISO 8583 field 39, such as \"51\" or \"1A\"",
};

/// A currency's letters as a number.
pub fn currency_code(currency: Currency) -> u32 {
    let [a, b, c] = currency.letters();
    u32::from_be_bytes([0, a, b, c])
}

/// A two-character response code as a number; nothing for other lengths.
pub fn response_code(text: &str) -> Option<u32> {
    let [a, b] = text.as_bytes() else { return None };
    Some(u32::from(*a) << 8 | u32::from(*b))
}

/// What kind of value a row has; the symbols of MCC groups come with the rule book.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    Count,
    Minor,
    Days,
    Hours,
    Km,
    KmPerHour,
    Score,
    Plain,
    Float,
    Age,
    Text,
    Country,
    Currency,
    Mcc,
    ResponseCode,
    MccGroup,
    Words(&'static str, &'static [&'static str]),
}

/// Declares the [`Feature`] enum and its table of rows together, so that neither can lack a row.
macro_rules! vocabulary {
    ($($variant:ident = $name:literal: $kind:expr, on $on:expr, $cost:literal ns, $outcome:ident, $doc:literal;)+) => {
        /// A field of the event in hand, or a built-in feature of its cardholder's state.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum Feature { $(#[doc = $doc] $variant),+ }

        impl Feature {
            /// Every feature, in slot order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
        }

        static ROWS: &[Row] = &[$(Row { name: $name, kind: $kind, on: $on, cost_ns: $cost, outcome: vocabulary!(@$outcome), doc: $doc }),+];
    };
    (@open) => { false };
    (@outcome) => { true };
}

struct Row {
    name: &'static str,
    kind: Kind,
    on: Types,
    cost_ns: u32,
    outcome: bool,
    doc: &'static str,
}

vocabulary! {
    // The event in hand.
    Type = "type": Kind::Words("type", EventType::WORDS), on ALL, 1 ns, open, "The event's type.";
    Message = "message": Kind::Words("message", Message::WORDS), on TDS, 1 ns, open, "The EMV 3-D Secure message.";
    Action = "action": Kind::Words("action", Action::WORDS), on OTP | EID | ENR | CARD | HOLD, 1 ns, open, "The step that an otp, eid, enrolment, card or hold event tells.";
    Channel = "channel": Kind::Words("channel", Channel::WORDS), on AUTH, 1 ns, open, "How the card was presented.";
    Security = "security": Kind::Words("security", Security::WORDS), on AUTH, 1 ns, open, "What secured the payment.";
    Response = "response": Kind::Words("response", ResponseGroup::WORDS), on AUTH, 1 ns, outcome, "The response code's group; `65` is sca_required for Mastercard's remote payments, limit elsewhere. Absorb phase only.";
    ResponseCode = "response_code": Kind::ResponseCode, on AUTH, 1 ns, outcome, "ISO 8583 field 39 as given. Absorb phase only.";
    Eci = "eci": Kind::Text, on AUTH | TDS, 1 ns, open, "Electronic commerce indicator as given.";
    Exemption = "exemption": Kind::Text, on AUTH, 1 ns, open, "The SCA exemption claimed, as given.";
    TransStatus = "trans_status": Kind::Words("trans_status", TransStatus::WORDS), on TDS, 1 ns, open, "EMV transStatus of an ARes, CRes or RReq.";
    TransStatusReason = "trans_status_reason": Kind::Text, on TDS, 1 ns, open, "EMV transStatusReason as given.";
    AuthenticationMethod = "authentication_method": Kind::Words("authentication_method", AuthenticationMethod::WORDS), on TDS, 1 ns, open, "EMV 2.3.1 authenticationMethod stated by the ACS.";
    ChallengeCancel = "challenge_cancel": Kind::Words("challenge_cancel", ChallengeCancel::WORDS), on TDS, 1 ns, open, "EMV challengeCancel: why a challenge was broken off.";
    DeviceChannel = "device_channel": Kind::Words("device_channel", DeviceChannel::WORDS), on TDS, 1 ns, open, "EMV deviceChannel.";
    InteractionCounter = "interaction_counter": Kind::Count, on TDS, 1 ns, open, "EMV interactionCounter: attempts of the cardholder in the challenge.";
    Authenticator = "authenticator": Kind::Words("authenticator", Authenticator::WORDS), on EID, 1 ns, open, "What was held in hand for the eID.";
    Purpose = "purpose": Kind::Words("purpose", Purpose::WORDS), on EID, 1 ns, open, "What the eID step was for.";
    EnrolmentChannel = "enrolment_channel": Kind::Words("enrolment_channel", EnrolmentChannel::WORDS), on ENR, 1 ns, open, "Through which door the enrolment came.";
    PhoneCountry = "phone_country": Kind::Country, on ENR, 1 ns, open, "Country of the phone number.";
    Phone = "phone": Kind::Text, on OTP | ENR, 1 ns, open, "Token of the phone.";
    Card = "card": Kind::Text, on ALL, 1 ns, open, "The card's token.";
    Late = "late": Kind::Bool, on ALL, 1 ns, open, "Whether the event arrived after its cardholder's clock had passed it.";
    Hour = "hour": Kind::Hours, on ALL, 1 ns, open, "Hour of the day, 0-23, at the offset the event was written with.";
    // The purchase in hand: the event's own, or for 3-D Secure, otp and eid steps that of their challenge.
    AmountMinor = "amount_minor": Kind::Minor, on BUY, 3 ns, open, "Amount of the purchase in minor units of the base currency; unknown for a currency without a rate.";
    Currency = "currency": Kind::Currency, on BUY, 2 ns, open, "Currency of the purchase.";
    Mcc = "mcc": Kind::Mcc, on BUY, 2 ns, open, "Merchant category code of the purchase.";
    MccGroup = "mcc_group": Kind::MccGroup, on BUY, 2 ns, open, "Group of the merchant category code, as `groups.yaml` lists them; `other` where it lists none.";
    MerchantId = "merchant_id": Kind::Text, on AUTH | TDS, 1 ns, open, "The merchant's id (authorizations and AReq only).";
    MerchantName = "merchant_name": Kind::Text, on AUTH | TDS, 1 ns, open, "The merchant's name (authorizations and AReq only).";
    MerchantCountry = "merchant_country": Kind::Country, on BUY, 2 ns, open, "Country of the merchant.";
    AvailableBalanceMinor = "available_balance_minor": Kind::Minor, on AUTH, 3 ns, open, "Balance before this authorization, in minor units of the base currency; unknown where the bank gives none.";
    OverBalance = "over_balance": Kind::Bool, on AUTH, 4 ns, open, "Whether the amount exceeds the balance; unknown where the bank gives none.";
    // Places.
    HomeCountry = "home_country": Kind::Country, on ALL, 4 ns, open, "Where the cardholder is at home: the newest `card` event that said so; unknown before one did.";
    MerchantAbroad = "merchant_abroad": Kind::Bool, on BUY, 5 ns, open, "Whether the merchant's country is not the home country.";
    MerchantCountryAccustomed = "merchant_country_accustomed": Kind::Bool, on BUY, 12 ns, open, "Whether the merchant's country is home, one where the cardholder paid with the card present by chip within 400 days, or one from which they used their eID on three earlier days.";
    IpKnown = "ip_known": Kind::Bool, on TDS | EID, 2 ns, open, "Whether the event gave an address at all.";
    IpCountry = "ip_country": Kind::Country, on TDS | EID, 2 ns, open, "Country of the event's own address (GeoIP); unknown without one.";
    IpAsn = "ip_asn": Kind::Plain, on TDS | EID, 2 ns, open, "Autonomous system of the address, where an ASN database is given.";
    IpAbroad = "ip_abroad": Kind::Bool, on TDS | EID, 5 ns, open, "Whether the address's country is not the home country; unknown where either is.";
    IpCountryAccustomed = "ip_country_accustomed": Kind::Bool, on TDS | EID, 12 ns, open, "Whether the address's country is home, one where the cardholder paid with the card present by chip within 400 days, or one from which they used their eID on three earlier days.";
    IpNetworkAccustomed = "ip_network_accustomed": Kind::Bool, on TDS | EID, 12 ns, open, "Whether the cardholder came from this network (/24 or /48) with their eID or in an approved 3-D Secure payment on an earlier day.";
    IpHosting = "ip_hosting": Kind::Bool, on TDS | EID, 4 ns, open, "Whether the address belongs to a hosting network of the list `hosting-asns`; unknown without an ASN database.";
    PresentKm = "present_km": Kind::Km, on AUTH, 15 ns, open, "Kilometres between the country of the last approved card-present payment and this merchant's; 0 within a country; unknown before the first.";
    PresentAge = "present_age": Kind::Age, on AUTH, 6 ns, open, "How long ago the last approved card-present payment was.";
    PresentSpeedKmh = "present_speed_kmh": Kind::KmPerHour, on AUTH, 16 ns, open, "The speed that a traveller would have needed from the last approved card-present payment to this merchant's country.";
    // Habits.
    HistoryAge = "history_age": Kind::Age, on ALL, 3 ns, open, "How long the monitor has known this cardholder.";
    HistoryPayments = "history_payments": Kind::Count, on ALL, 3 ns, open, "Approved payments ever seen of this cardholder (stops at 65,535).";
    AmountZ = "amount_z": Kind::Float, on BUY, 15 ns, open, "Robust z-score of log2 amount against the cardholder's own histogram (median and quartile distance); unknown before 8 payments.";
    AmountTail = "amount_tail": Kind::Score, on BUY, 60 ns, open, "How far in the upper tail of the cardholder's own decayed log-normal the amount lies: 0 common … 999 never (rounded -log10 p times 100); unknown before 8 payments.";
    MerchantDays = "merchant_days": Kind::Days, on AUTH | TDS, 12 ns, open, "On how many earlier days the cardholder paid this merchant (of the merchants kept, those used on most days; stops at 255).";
    MerchantMaxMinor = "merchant_max_minor": Kind::Minor, on AUTH | TDS, 12 ns, open, "The largest amount ever approved at this merchant, in minor units of the base currency, to 1/8 of an octave upwards; 0 at a new merchant.";
    MccGroupDays = "mcc_group_days": Kind::Days, on BUY, 12 ns, open, "On how many earlier days the cardholder had a payment approved in this MCC group (stops at 255).";
    MccGroupMaxMinor = "mcc_group_max_minor": Kind::Minor, on BUY, 12 ns, open, "The largest amount ever approved in this MCC group, in minor units of the base currency, to 1/8 of an octave upwards; 0 before the first.";
    HourShare = "hour_share": Kind::Float, on ALL, 6 ns, open, "Share of the cardholder's approved payments that fell in the same three-hour part of the day; unknown before 8 payments.";
    // Enrolment and the state of the card.
    PhoneLinkAge = "phone_link_age": Kind::Age, on ALL, 3 ns, open, "How long ago the phone in force was linked or changed; unknown where the monitor saw no link.";
    PhoneLinkChannel = "phone_link_channel": Kind::Words("enrolment_channel", EnrolmentChannel::WORDS), on ALL, 3 ns, open, "Through which door the phone in force was linked.";
    PhoneReplaced = "phone_replaced": Kind::Bool, on ALL, 3 ns, open, "Whether the phone in force replaced an earlier one (a change, or a link after a link or a deletion).";
    PhoneAbroad = "phone_abroad": Kind::Bool, on ALL, 5 ns, open, "Whether the phone in force has a number of another country than home.";
    AppActivationAge = "app_activation_age": Kind::Age, on ALL, 3 ns, open, "How long ago the eID app was last activated or reactivated.";
    AppActivationAccustomed = "app_activation_accustomed": Kind::Bool, on ALL, 4 ns, open, "Whether that activation came from an accustomed country.";
    CardAge = "card_age": Kind::Age, on ALL, 6 ns, open, "How long ago the card was issued or enrolled, as far as seen.";
    CardBlocked = "card_blocked": Kind::Bool, on ALL, 6 ns, open, "Whether the card in hand is blocked (by bank, owner or PIN lock).";
    CardInternetClosed = "card_internet_closed": Kind::Bool, on ALL, 6 ns, open, "Whether the card in hand is closed for internet.";
    CardUnblockAge = "card_unblock_age": Kind::Age, on ALL, 6 ns, open, "How long ago the card in hand was unblocked or opened again.";
    BypassActive = "bypass_active": Kind::Bool, on ALL, 6 ns, open, "Whether customer service's bypass of the one-time password is in force for the card in hand.";
    EidBlocked = "eid_blocked": Kind::Bool, on ALL, 3 ns, open, "Whether the cardholder's eID is blocked.";
    // The challenge that the event belongs to.
    ChallengeKnown = "challenge_known": Kind::Bool, on BUY, 8 ns, open, "Whether the event's challenge has been seen.";
    ChallengeStatus = "challenge_status": Kind::Words("trans_status", TransStatus::WORDS), on BUY, 8 ns, open, "The challenge's newest transStatus before this event.";
    ChallengeMethod = "challenge_method": Kind::Words("method", Method::WORDS), on BUY, 9 ns, open, "The method known to have passed the challenge: stated by the ACS, or by matching steps.";
    ChallengeOtpDelivered = "challenge_otp_delivered": Kind::Bool, on BUY, 8 ns, open, "Whether a one-time password was delivered in the challenge.";
    ChallengeOtpAccepted = "challenge_otp_accepted": Kind::Bool, on BUY, 8 ns, open, "Whether a one-time password was accepted in the challenge.";
    ChallengeOtpRejections = "challenge_otp_rejections": Kind::Count, on BUY, 8 ns, open, "One-time passwords rejected in the challenge.";
    ChallengeEidSeen = "challenge_eid_seen": Kind::Bool, on BUY, 8 ns, open, "Whether an eID step was seen in the challenge before this event.";
    ChallengeEidCountry = "challenge_eid_country": Kind::Country, on BUY, 8 ns, open, "Country of the newest eID step in the challenge.";
    ChallengeEidAccustomed = "challenge_eid_accustomed": Kind::Bool, on BUY, 9 ns, open, "Whether that country was accustomed when the step came.";
    ChallengeEidNetworkAccustomed = "challenge_eid_network_accustomed": Kind::Bool, on BUY, 9 ns, open, "Whether that network was accustomed when the step came.";
    AfterSoftDecline = "after_soft_decline": Kind::Bool, on AUTH | TDS, 12 ns, open, "Whether this is the intended return after a soft decline: the newest attempt at this merchant within 30 minutes was declined as sca_required.";
    HoldActive = "hold_active": Kind::Bool, on ALL, 4 ns, open, "Whether a hold stands on the card in hand.";
}

/// How many built-in features there are; aggregates take the slots after them.
pub const BUILT_INS: usize = Feature::ALL.len();

impl Feature {
    /// The feature of a slot below [`BUILT_INS`].
    pub fn of_slot(slot: u16) -> Option<Self> {
        Self::ALL.get(usize::from(slot)).copied()
    }

    /// The name in rules.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// On which event types the name has a meaning.
    pub fn on(self) -> Types {
        self.row().on
    }

    /// True for what the decide phase may not see.
    pub fn is_outcome(self) -> bool {
        self.row().outcome
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }
}

/// The fields of the expression scheme, in slot order, with the rule book's MCC groups.
pub fn fields(mcc_groups: &Arc<Symbols>) -> Vec<Field> {
    ROWS.iter()
        .map(|row| Field {
            name: row.name.to_owned(),
            kind: row.kind.of(mcc_groups),
            cost_ns: row.cost_ns,
            doc: row.doc.to_owned(),
        })
        .collect()
}

impl Kind {
    fn of(self, mcc_groups: &Arc<Symbols>) -> Type {
        match self {
            Self::Bool => Type::Bool,
            Self::Count => Type::Int(Unit::Count),
            Self::Minor => Type::Int(Unit::Minor),
            Self::Days => Type::Int(Unit::Days),
            Self::Hours => Type::Int(Unit::Hours),
            Self::Km => Type::Int(Unit::Km),
            Self::KmPerHour => Type::Int(Unit::KmPerHour),
            Self::Score => Type::Int(Unit::Score),
            Self::Plain => Type::Int(Unit::Plain),
            Self::Float => Type::Float(Unit::Plain),
            Self::Age => Type::Duration,
            Self::Text => Type::Text,
            Self::Country => Type::Code(&COUNTRY),
            Self::Currency => Type::Code(&CURRENCY),
            Self::Mcc => Type::Code(&MCC),
            Self::ResponseCode => Type::Code(&RESPONSE_CODE),
            Self::MccGroup => Type::Symbol(Arc::clone(mcc_groups)),
            Self::Words(name, words) => Type::Symbol(Arc::new(Symbols {
                name: name.to_owned(),
                words: words.iter().map(|w| (*w).to_owned()).collect(),
            })),
        }
    }
}
