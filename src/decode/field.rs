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

/// So many bytes, placed so that one instruction can take many of them from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(align(32))]
struct Lanes([u8; Opening::MAX]);

/// What bytes must be, and which of them count: zeros elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    bytes: Lanes,
    /// All bits of every byte that counts.
    mask: Lanes,
}

impl Block {
    /// Of at most [`Opening::MAX`] bytes, of which those count that have a mark.
    pub(super) const fn new(text: &[u8], marks: &[bool]) -> Self {
        let (mut bytes, mut mask) = ([0; Opening::MAX], [0; Opening::MAX]);
        let mut at = 0;
        while at < text.len() {
            if marks[at] {
                bytes[at] = text[at];
                mask[at] = u8::MAX;
            }
            at += 1;
        }
        Self {
            bytes: Lanes(bytes),
            mask: Lanes(mask),
        }
    }

    /// Whether bytes are such: no jump, so that the compiler takes many at once.
    #[inline(always)]
    pub(super) fn is_in(&self, chunk: &[u8; Opening::MAX]) -> bool {
        let (Lanes(bytes), Lanes(mask)) = (self.bytes, self.mask);
        let mut odd = 0;
        for lane in 0..Opening::MAX {
            odd |= (chunk[lane] & mask[lane]) ^ bytes[lane];
        }
        odd == 0
    }
}

/// A short text to be compared with what stands in a record: a key with its quotes and colon, or
/// all that stands between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    block: Block,
    length: usize,
}

impl Opening {
    /// The longest, in bytes.
    pub(super) const MAX: usize = 32;

    /// Of a text of at most [`Self::MAX`] bytes.
    pub(super) const fn new(text: &[u8]) -> Self {
        assert!(text.len() <= Self::MAX, "longer than can be compared");
        Self {
            block: Block::new(text, &[true; Self::MAX]),
            length: text.len(),
        }
    }

    /// The text itself.
    pub(super) fn bytes(&self) -> &[u8] {
        self.block.bytes.0.get(..self.length).unwrap_or_default()
    }

    /// How many quotes are in it.
    pub(super) fn quotes(&self) -> u32 {
        let quotes = self.bytes().iter().map(|byte| u32::from(*byte == b'"'));
        quotes.sum()
    }

    /// Its length where the text begins with exactly that, else 0.
    #[inline]
    pub(super) fn length_in(&self, rest: &[u8]) -> usize {
        let begins = match rest.first_chunk::<{ Self::MAX }>() {
            Some(chunk) => self.begins(chunk),
            None => self.begins_short(rest),
        };
        if begins { self.length } else { 0 }
    }

    /// Whether so many bytes begin with exactly that.
    #[inline(always)]
    pub(super) fn begins(&self, chunk: &[u8; Self::MAX]) -> bool {
        self.block.is_in(chunk)
    }

    /// Near the end of a record: zeros, which are in no key, fill it up.
    fn begins_short(&self, rest: &[u8]) -> bool {
        let mut chunk = [0; Self::MAX];
        if let Some(place) = chunk.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        self.begins(&chunk)
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
