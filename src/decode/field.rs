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
            pub(super) const COUNT: usize = Self::ALL.len();
            /// Every field, in the order of the contract.
            pub(super) const ALL: &'static [Self] = &[$($(Self::$name),+),+];

            /// The name with its path, as messages show it.
            pub(super) const fn path(self) -> &'static str {
                match self { $($(Self::$name => concat!($prefix, $key)),+),+ }
            }

            /// The object that it stands in.
            pub(super) const fn scope(self) -> Scope {
                match self { $($(Self::$name => Scope::$scope),+),+ }
            }

            /// The field of a key.
            pub(super) fn find(scope: Scope, key: &str) -> Option<Self> {
                match scope {
                    $(Scope::$scope => match key { $($key => Some(Self::$name),)+ _ => None }),+
                }
            }
        }

        /// `"key":` of every field, by its place.
        pub(super) static OPENINGS: [Opening; Field::COUNT] = [
            $($(Opening::new(concat!("\"", $key, "\":").as_bytes())),+),+
        ];
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
    #[inline(always)]
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// The bit in a set of fields.
    #[inline(always)]
    pub(super) const fn bit(self) -> u64 {
        1 << self.index()
    }

    /// True where a JSON number is an amount, which is exempt from the card-number guard.
    #[inline(always)]
    pub(super) const fn is_amount(self) -> bool {
        const AMOUNTS: u64 = set(&[
            Field::AmountMinor,
            Field::AvailableBalanceMinor,
            Field::ApprovedMinor,
        ]);
        AMOUNTS & self.bit() != 0
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

/// A short text to be compared with what stands in a record, made so that comparing it is a few
/// loads and no jump: a key with its quotes and colon, or all that stands between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    words: [u64; 4],
    masks: [u64; 4],
    length: usize,
}

impl Opening {
    /// The longest, in bytes.
    pub(super) const MAX: usize = 32;

    /// Of a text of at most [`Self::MAX`] bytes.
    pub(super) const fn new(text: &[u8]) -> Self {
        assert!(text.len() <= Self::MAX, "longer than two words");
        let (mut words, mut masks) = ([0; 4], [0; 4]);
        let mut at = 0;
        while at < text.len() {
            words[at / 8] |= (text[at] as u64) << (at % 8 * 8);
            masks[at / 8] |= 0xff << (at % 8 * 8);
            at += 1;
        }
        Self {
            words,
            masks,
            length: text.len(),
        }
    }

    /// Its length in bytes.
    #[inline]
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    /// How many quotes are in it.
    pub(super) fn quotes(&self) -> u64 {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        bytes.map(|byte| u64::from(byte == b'"')).sum()
    }

    /// Its length where the text begins with exactly that, else 0.
    #[inline]
    pub(super) fn length_in(&self, rest: &[u8]) -> usize {
        if self.begins(rest) { self.length } else { 0 }
    }

    /// Whether the text begins with exactly that.
    #[inline(always)]
    pub(super) fn begins(&self, rest: &[u8]) -> bool {
        match rest.first_chunk::<{ Self::MAX }>() {
            Some(chunk) => self.is_in(chunk),
            None => self.is_in_short(rest),
        }
    }

    #[inline(always)]
    fn is_in(&self, chunk: &[u8; Self::MAX]) -> bool {
        let (eights, _) = chunk.as_chunks::<8>();
        let odd =
            |nth: usize| (u64::from_le_bytes(eights[nth]) ^ self.words[nth]) & self.masks[nth];
        // Most pieces are short.
        odd(0) | odd(1) == 0 && (self.length <= 16 || odd(2) | odd(3) == 0)
    }

    /// Near the end of a record: zeros, which are in no key, fill it up.
    fn is_in_short(&self, rest: &[u8]) -> bool {
        let mut chunk = [0; Self::MAX];
        if let Some(place) = chunk.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        self.is_in(&chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_opens_only_where_it_stands_whole() {
        for (opening, field) in OPENINGS.iter().zip(Field::ALL) {
            let name = field.path().rsplit('.').next().unwrap();
            let key = format!("\"{name}\":");
            assert_eq!(opening.quotes(), 2);
            for tail in ["", "1", "\"and a long tail of forty bytes or still more\""] {
                assert_eq!(
                    opening.length_in(format!("{key}{tail}").as_bytes()),
                    key.len()
                );
                assert_eq!(opening.length_in(format!(" {key}{tail}").as_bytes()), 0);
                let other = key.replacen(':', ";", 1);
                assert_eq!(opening.length_in(format!("{other}{tail}").as_bytes()), 0);
            }
        }
    }

    #[test]
    fn amounts_are_the_fields_that_are_called_so() {
        for key in [
            "amount_minor",
            "available_balance_minor",
            "approved_minor",
            "mcc",
            "id",
        ] {
            let field = Field::find(Scope::Record, key).unwrap();
            assert_eq!(field.path(), key);
            assert_eq!(field.is_amount(), is_amount(key));
        }
    }
}
