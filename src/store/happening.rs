//! What is read of an event as the bank sent it, for showing: every field may be missing, and none is judged.
//! Decoding that judges stands in `decode`.

use crate::domain::time::Moment;
use serde::Deserialize;

/// What is read of an event, as the bank sent it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Happening {
    /// `authorization`, `threeds` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Event time, RFC 3339.
    pub at: String,
    /// The card.
    pub card: Option<String>,
    /// Minor units asked for.
    pub amount_minor: Option<i64>,
    /// Their currency.
    pub currency: Option<String>,
    /// What the merchant sells.
    pub mcc: Option<String>,
    /// The merchant.
    pub merchant: Option<Merchant>,
    /// Where the card was.
    pub channel: Option<String>,
    /// How the payment was secured.
    pub security: Option<String>,
    /// ISO 8583 field 39.
    pub response_code: Option<String>,
    /// `reversal`, `refund`.
    #[serde(rename = "kind")]
    pub undoing: Option<String>,
    /// Of 3-D Secure: the message.
    pub message: Option<String>,
    /// Of 3-D Secure: its outcome.
    pub trans_status: Option<String>,
    /// Of eID, codes, cards: what was done.
    pub action: Option<String>,
    /// Of eID: for what.
    pub purpose: Option<String>,
    /// Of eID: with what.
    pub authenticator: Option<String>,
    /// The challenge.
    pub acs_trans_id: Option<String>,
    /// Of a disposition: what was found.
    pub verdict: Option<String>,
    /// By whom.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Of a disposition: of what.
    pub subject: Option<Subject>,
}

/// A merchant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Merchant {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its country.
    pub country: Option<String>,
}

/// What a disposition is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// An episode.
    pub alert: Option<String>,
    /// An event.
    pub event: Option<String>,
}

impl Happening {
    /// Reads a line; nothing where it is none.
    pub fn read(line: &str) -> Option<Self> {
        let read: Self = serde_json::from_str(line).ok()?;
        Moment::parse(&read.at)?;
        Some(read)
    }

    /// Event time in milliseconds.
    pub fn at_ms(&self) -> i64 {
        Moment::parse(&self.at).map_or(0, |at| at.ms)
    }

    /// Whether it is a payment that was asked for.
    pub fn is_payment(&self) -> bool {
        self.kind == "authorization"
            && self
                .undoing
                .as_deref()
                .is_none_or(|kind| kind == "authorization")
    }

    /// Whether it is a payment that went through.
    pub fn is_approved(&self) -> bool {
        self.is_payment() && self.response_code.as_deref() == Some("00")
    }
}
