//! The coded words of events: one enum per field, since the same code means different things in
//! different fields (EMV 3-D Secure, ISO 8583, and this product's own contract).
//!
//! `Unknown` is a code that we have not heard of: kept, counted, never an error. The words that
//! must be known (`type`, `message`, `action`) have no `Unknown`: a record with a strange one is
//! refused at decode.

/// Declares an enum of wire words with `parse`, `word`, `code` (1-based, 0 = unknown) and `WORDS`.
macro_rules! words {
    ($(#[$doc:meta])* open $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(u8)]
        pub enum $name {
            /// A code that we do not know: kept and counted.
            #[default]
            Unknown,
            $(#[doc = concat!("`", $word, "`")] $variant),+
        }
        impl $name {
            /// Every wire word, in code order (the first has code 1).
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// Every known value, in code order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The value of a wire word; an unheard-of word is [`Self::Unknown`].
            #[inline]
            pub fn parse<W: AsRef<[u8]> + ?Sized>(word: &W) -> Self {
                let word = word.as_ref();
                $(if word == $word.as_bytes() { return Self::$variant; })+
                Self::Unknown
            }
            /// The wire word; `unknown` for the unknown.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ Self::Unknown => "unknown" }
            }
            /// A small number for class tests: 0 for unknown, then 1, 2, … in the order of [`Self::WORDS`].
            pub const fn code(self) -> u8 { self as u8 }
            /// The value of a [`Self::code`]; a strange number is [`Self::Unknown`].
            pub fn from_code(code: u8) -> Self {
                usize::from(code).checked_sub(1).and_then(|i| Self::ALL.get(i)).copied().unwrap_or_default()
            }
        }
    };
    ($(#[$doc:meta])* closed $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $(#[doc = concat!("`", $word, "`")] $variant),+ }
        impl $name {
            /// Every wire word, in code order (the first has code 1).
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// Every value, in code order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The value of a wire word, or nothing where it is not one of [`Self::WORDS`].
            #[inline]
            pub fn parse<W: AsRef<[u8]> + ?Sized>(word: &W) -> Option<Self> {
                let word = word.as_ref();
                $(if word == $word.as_bytes() { return Some(Self::$variant); })+
                None
            }
            /// The wire word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
            /// A small number for class tests: 1, 2, … in the order of [`Self::WORDS`].
            pub const fn code(self) -> u8 { self as u8 + 1 }
            /// The value of a [`Self::code`].
            pub fn from_code(code: u8) -> Option<Self> {
                usize::from(code).checked_sub(1).and_then(|i| Self::ALL.get(i)).copied()
            }
        }
    };
}

words! {
    /// What kind of event a record tells.
    closed EventType {
        Authorization = "authorization", Threeds = "threeds", Otp = "otp", Eid = "eid",
        Enrolment = "enrolment", Card = "card", Disposition = "disposition", Hold = "hold",
    }
}
words! {
    /// How the card was presented to the merchant.
    open Channel { Ecommerce = "ecommerce", Pos = "pos", Atm = "atm", Moto = "moto", Recurring = "recurring" }
}
words! {
    /// What secured the payment.
    open Security {
        Threeds = "3ds", Ssl = "ssl", ChipPin = "chip_pin", Chip = "chip",
        Contactless = "contactless", Magstripe = "magstripe", Wallet = "wallet", None = "none",
    }
}
words! {
    /// What an `authorization` event is: the request itself, or the undoing of an earlier one.
    open AuthorizationKind { Authorization = "authorization", Reversal = "reversal", Refund = "refund" }
}
words! {
    /// What an ISO 8583 response code (field 39) says, in groups: see [`ResponseGroup::of`].
    open ResponseGroup {
        Approved = "approved", Insufficient = "insufficient", Limit = "limit",
        ScaRequired = "sca_required", DoNotHonour = "do_not_honour", WrongData = "wrong_data",
        Restricted = "restricted", Suspected = "suspected", Technical = "technical",
    }
}
words! {
    /// EMV 3-D Secure messages.
    closed Message { AReq = "AReq", ARes = "ARes", CReq = "CReq", CRes = "CRes", RReq = "RReq" }
}
words! {
    /// EMV 3-D Secure `transStatus`.
    open TransStatus {
        Authenticated = "Y", NotAuthenticated = "N", Unavailable = "U", Attempt = "A",
        Challenge = "C", Decoupled = "D", Rejected = "R", Informational = "I", Spc = "S",
    }
}
words! {
    /// EMV 3-D Secure 2.3.1 `authenticationMethod`.
    open AuthenticationMethod {
        StaticPasscode = "01", SmsOtp = "02", KeyFobOtp = "03", AppOtp = "04", OtherOtp = "05", Kba = "06",
        OobBiometrics = "07", OobLogin = "08", OobOther = "09", Other = "10", Push = "11", Decoupled = "12",
        WebAuthn = "13", Spc = "14", Behavioural = "15", ElectronicId = "16",
    }
}
words! {
    /// EMV 3-D Secure `challengeCancel`.
    open ChallengeCancel {
        Cardholder = "01", DecoupledTimedOut = "03", AcsTimedOut = "04", FirstCReqMissing = "05",
        TransactionError = "06", UnknownReason = "07", SdkTimedOut = "08", CresError = "09", CreqError = "10",
    }
}
words! {
    /// EMV 3-D Secure `deviceChannel`.
    open DeviceChannel { App = "01", Browser = "02", ThreeRi = "03" }
}
words! {
    /// Steps of `otp`, `eid`, `enrolment`, `card` and `hold` events in one table; which type may
    /// carry which is in [`Action::of`].
    closed Action {
        Sent = "sent", Delivered = "delivered", Failed = "failed", Accepted = "accepted",
        Rejected = "rejected", Expired = "expired",
        KeyIssued = "key_issued", KeyAccepted = "key_accepted", KeyRejected = "key_rejected",
        Authenticated = "authenticated", AppActivated = "app_activated", AppReactivated = "app_reactivated",
        Blocked = "blocked", Unblocked = "unblocked",
        CardEnrolled = "card_enrolled", PhoneLinked = "phone_linked", PhoneChanged = "phone_changed",
        PhoneDeleted = "phone_deleted",
        Issued = "issued", PinLocked = "pin_locked", PinUnlocked = "pin_unlocked",
        InternetClosed = "internet_closed", InternetOpened = "internet_opened",
        BypassGranted = "bypass_granted", BypassEnded = "bypass_ended",
        Acknowledged = "acknowledged", Enforced = "enforced", Released = "released",
    }
}
words! {
    /// What the cardholder held in hand for the eID.
    open Authenticator { CodeCard = "code_card", CodeToken = "code_token", App = "app" }
}
words! {
    /// What an eID step was for.
    open Purpose { Payment = "payment", BankLogin = "bank_login", Enrolment = "enrolment", Other = "other" }
}
words! {
    /// Where a phone number or card was enrolled.
    open EnrolmentChannel { Bank = "bank", Processor = "processor", Purchase = "purchase", BankStaff = "bank_staff" }
}
words! {
    /// What an analyst or a dispute says of an earlier event.
    closed Verdict { Fraud = "fraud", Good = "good", Undetermined = "undetermined" }
}
words! {
    /// The method by which a challenge was passed, as far as it is *known*.
    open Method {
        Otp = "otp", EidCodeCard = "eid_code_card", EidCodeToken = "eid_code_token", EidApp = "eid_app",
        Eid = "eid", Frictionless = "frictionless", Other = "other",
    }
}
words! {
    /// What the monitor advises for the attempt in hand.
    closed Advice { Allow = "allow", StepUp = "step_up", Decline = "decline" }
}
words! {
    /// How bad an alert is.
    closed Severity { Low = "low", Medium = "medium", High = "high", Critical = "critical" }
}
words! {
    /// What a hold asks for.
    closed HoldKind { StepUp = "step_up", Decline = "decline" }
}
words! {
    /// Where a hold stands in its life.
    closed HoldState {
        Requested = "requested", Delivered = "delivered", Acknowledged = "acknowledged",
        Released = "released", Expired = "expired",
    }
}
words! {
    /// The authentication methods that a hold may refuse.
    closed Refusal { Otp = "otp", Eid = "eid", EidCodeCard = "eid_code_card", EidApp = "eid_app", Any = "any" }
}

impl Action {
    /// The actions that an event of this type may carry; empty for types without `action`.
    pub const fn of(kind: EventType) -> &'static [Self] {
        use Action::*;
        match kind {
            EventType::Otp => &[Sent, Delivered, Failed, Accepted, Rejected, Expired],
            EventType::Eid => &[
                KeyIssued,
                KeyAccepted,
                KeyRejected,
                Authenticated,
                Failed,
                AppActivated,
                AppReactivated,
                Blocked,
                Unblocked,
            ],
            EventType::Enrolment => &[CardEnrolled, PhoneLinked, PhoneChanged, PhoneDeleted],
            EventType::Card => &[
                Issued,
                Blocked,
                Unblocked,
                PinLocked,
                PinUnlocked,
                InternetClosed,
                InternetOpened,
                BypassGranted,
                BypassEnded,
            ],
            EventType::Hold => &[Delivered, Acknowledged, Enforced, Released],
            EventType::Authorization | EventType::Threeds | EventType::Disposition => &[],
        }
    }
}

impl ResponseGroup {
    /// The group of an ISO 8583 field 39 code (STANDARDS, section 4). `65` counts as a limit here;
    /// at Mastercard it is a soft decline, which the engine knows from the card's scheme.
    #[inline]
    pub fn of<W: AsRef<[u8]> + ?Sized>(code: &W) -> Self {
        match code.as_ref() {
            b"00" | b"10" | b"85" => Self::Approved,
            b"51" => Self::Insufficient,
            b"61" | b"65" => Self::Limit,
            b"1A" | b"70" => Self::ScaRequired,
            b"05" => Self::DoNotHonour,
            b"12" | b"13" | b"14" | b"54" | b"55" | b"75" | b"82" | b"N7" => Self::WrongData,
            b"04" | b"07" | b"41" | b"43" | b"57" | b"58" | b"62" | b"78" | b"93" => {
                Self::Restricted
            }
            b"34" | b"59" | b"63" => Self::Suspected,
            b"19" | b"86" | b"91" | b"92" | b"96" => Self::Technical,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_as_itself_and_codes_count_from_one() {
        for (index, channel) in Channel::ALL.iter().enumerate() {
            assert_eq!(Channel::parse(channel.word()), *channel);
            assert_eq!(Channel::from_code(channel.code()), *channel);
            assert_eq!(usize::from(channel.code()), index + 1);
        }
        for (index, action) in Action::ALL.iter().enumerate() {
            assert_eq!(Action::parse(action.word()), Some(*action));
            assert_eq!(usize::from(action.code()), index + 1);
        }
        assert_eq!(Channel::parse("pigeon"), Channel::Unknown);
        assert_eq!(Channel::Unknown.code(), 0);
        assert_eq!(Action::parse("pigeon"), None);
    }
}
