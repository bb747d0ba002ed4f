//! The fields of the contract by the keys that they have in a record, and where each may stand.
//!
//! Names only: what a field must hold is in `body.rs`, how its value is read in `walk.rs`.

/// The object that a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The record itself.
    Record,
    /// `merchant`.
    Merchant,
    /// `subject` of a disposition.
    Subject,
}

macro_rules! fields {
    ($($scope:ident $prefix:literal { $($name:ident = $key:literal),+ $(,)? })+) => {
        /// A field of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(super) enum Field { $($($name),+),+ }

        impl Field {
            /// How many fields there are; at most 64, since a set of them is one word.
            pub(super) const COUNT: usize = [$($(Self::$name),+),+].len();

            /// The name with its path, as messages show it.
            pub(super) const fn path(self) -> &'static str {
                match self { $($(Self::$name => concat!($prefix, $key)),+),+ }
            }

            /// The field of a key.
            pub(super) fn find(scope: Scope, key: &str) -> Option<Self> {
                match scope {
                    $(Scope::$scope => match key { $($key => Some(Self::$name),)+ _ => None }),+
                }
            }

            /// The length of `"key":` where the text begins with exactly that, else 0. The keys
            /// are constants here, so that each comparison becomes a load or two.
            #[inline]
            pub(super) fn opening(self, rest: &[u8]) -> usize {
                match self {
                    $($(Self::$name => {
                        const OPENING: &[u8] = concat!("\"", $key, "\":").as_bytes();
                        if rest.starts_with(OPENING) { OPENING.len() } else { 0 }
                    }),+),+
                }
            }
        }
    };
}

fields! {
    Record "" {
        Type = "type", Id = "id", At = "at", ReceivedAt = "received_at", Card = "card",
        Cardholder = "cardholder",
        AmountMinor = "amount_minor", Currency = "currency", Mcc = "mcc", Merchant = "merchant",
        Channel = "channel", Security = "security", ResponseCode = "response_code", Kind = "kind",
        Original = "original", Eci = "eci", AcsTransId = "acs_trans_id",
        AvailableBalanceMinor = "available_balance_minor", Exemption = "exemption",
        ApprovedMinor = "approved_minor",
        Message = "message", DeviceChannel = "device_channel", BrowserIp = "browser_ip",
        AcctInfo = "acct_info", TransStatus = "trans_status",
        TransStatusReason = "trans_status_reason", AuthenticationMethod = "authentication_method",
        ChallengeCancel = "challenge_cancel", InteractionCounter = "interaction_counter",
        Action = "action", Phone = "phone", Ip = "ip", Authenticator = "authenticator",
        Purpose = "purpose", KeyNumber = "key_number", PhoneCountry = "phone_country",
        HomeCountry = "home_country", SchemeName = "scheme", Until = "until", Aliases = "aliases",
        Subject = "subject", Verdict = "verdict", By = "by", Reason = "reason", Hold = "hold",
    }
    Merchant "merchant." {
        MerchantId = "id", MerchantName = "name", MerchantCountry = "country",
    }
    Subject "subject." {
        SubjectEvent = "event", SubjectAlert = "alert",
    }
}

impl Field {
    /// The place in tables.
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// The bit in a set of fields.
    pub(super) const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// True where a JSON number is an amount, which is exempt from the card-number guard.
    pub(super) fn is_amount(self) -> bool {
        is_amount(self.path())
    }
}

/// True for the key of an amount.
pub(super) fn is_amount(key: &str) -> bool {
    key.ends_with("_minor")
}

const _: () = assert!(Field::COUNT <= 64);

/// The set of some fields.
pub(super) const fn set(fields: &[Field]) -> u64 {
    let mut all = 0;
    let mut next = 0;
    while next < fields.len() {
        all |= fields[next].bit();
        next += 1;
    }
    all
}
