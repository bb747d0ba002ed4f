//! Why a call was not answered as asked: one published list of codes, each with its HTTP status and
//! what the caller should do (problem+json, RFC 9457).
//!
//! Where an attempt could not be judged the answer says so and states the configured fallback as such;
//! nothing here ever says `allow`.

use crate::api::json::Writer;
use crate::config::Fallback;

/// Declares the codes: word, status, what happened, what the caller should do.
macro_rules! codes {
    ($($variant:ident = $word:literal, $status:literal, $title:literal, $remedy:literal;)+) => {
        /// Why a call was not answered as asked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $(#[doc = $title] $variant),+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The HTTP status.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),+ }
            }

            /// What happened.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What the caller should do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy),+ }
            }
        }
    };
}

codes! {
    Restoring = "restoring", 503, "the cardholder's state is being restored",
        "act on the fallback; ask again after a second";
    NoOwner = "no_owner", 503, "no instance scores this cardholder now: partitions are moving",
        "act on the fallback; ask again after a second";
    OwnerUnreachable = "owner_unreachable", 502, "the instance that scores this cardholder does not answer",
        "act on the fallback; ask again after a second";
    OwnerMoved = "owner_moved", 503, "the instance asked does not score this cardholder any more",
        "act on the fallback; ask again after a second";
    Deadline = "deadline", 504, "there was no answer within the deadline",
        "act on the fallback; allow more time in `varsel-deadline-ms`";
    Overloaded = "overloaded", 503, "too much is in hand already",
        "act on the fallback; ask less often";
    RateLimited = "rate_limited", 429, "this client asks more often than it may",
        "act on the fallback; wait as `retry-after` says";
    LogUnavailable = "log_unavailable", 503, "the broker did not take the step in time",
        "call again with the same content: a repeated step has no further effect";
    AuditUnavailable = "audit_unavailable", 503, "the audit log cannot be written, so that the step was not taken",
        "call again later; an operator must look after the disk";
    BadRequest = "bad_request", 400, "the request cannot be read",
        "mend the request as `detail` says";
    Refused = "refused", 422, "the event is refused, as it would be in the stream",
        "mend the event as `detail` says";
    CardNumber = "card_number", 422, "a card number stands where only a token may",
        "send the card's token; card numbers belong into `acctNumber` of an AReq alone";
    NotAQuestion = "not_a_question", 422, "only an authorization or an AReq can be assessed",
        "send one of them";
    NoTokenKey = "no_token_key", 422, "card numbers cannot be turned into tokens: no key is configured",
        "set `api.token_keys_file`, or send the token as `acctNumber`";
    MessageVersion = "message_version", 422, "this version of EMV 3-D Secure is not read",
        "send 2.1.0, 2.2.0 or 2.3.1";
    Unauthorized = "unauthorized", 401, "nobody known is asking",
        "send a bearer token, or a certificate";
    Forbidden = "forbidden", 403, "who asks may not do this",
        "ask an administrator for the scope that `detail` names";
    NotFound = "not_found", 404, "there is nothing of this name",
        "see `/openapi.json`";
    UnknownHold = "unknown_hold", 404, "no hold of this id is known",
        "look for it in `/v1/holds`";
    UnknownAlert = "unknown_alert", 404, "no alert of this id is known",
        "look for it in `/v1/alerts`";
    Method = "method_not_allowed", 405, "this path has other methods",
        "see `/openapi.json`";
    SlowBody = "slow_body", 408, "the body did not come in time",
        "send it at once";
    HoldOver = "hold_over", 409, "the hold is over: nothing further becomes of it",
        "nothing need be done";
    TooLarge = "too_large", 413, "the body is larger than 64 KiB",
        "send less";
    Internal = "internal", 500, "a fault of ours",
        "act on the fallback; please report it with the request id";
}

/// A call that was not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub code: Code,
    /// What is particular to this call; names no value of the request.
    pub detail: String,
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self {
            code,
            detail: String::new(),
        }
    }
}

impl Failure {
    /// With what is particular to this call.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }

    /// The problem's body. `fallback` is stated where an attempt was to be judged.
    pub fn write(&self, request_id: &str, fallback: Option<Fallback>, out: &mut Vec<u8>) {
        let mut json = Writer { out };
        let code = self.code;
        json.open();
        json.key("type");
        json.text(&format!("/v1/problems#{}", code.word()));
        json.field("title", code.title());
        json.number("status", code.status());
        json.field("code", code.word());
        if !self.detail.is_empty() {
            json.field("detail", &self.detail);
        }
        json.field("what_to_do", code.remedy());
        json.field("request_id", request_id);
        if let Some(fallback) = fallback {
            json.key("fallback");
            json.open();
            json.field("action", fallback.word());
            json.field("why", "the attempt was not judged; this is configured");
            json.close();
        }
        json.close();
        json.out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_word_of_its_own_a_status_of_failure_and_a_remedy() {
        let mut words: Vec<&str> = Code::ALL.iter().map(|code| code.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!((400..600).contains(&code.status()), "{}", code.word());
            assert!(!code.remedy().is_empty() && !code.title().contains("allow "));
        }
    }

    #[test]
    fn a_problem_states_the_fallback_as_one() {
        let mut out = Vec::new();
        Failure::from(Code::Restoring).write("r-1", Some(Fallback::StepUp), &mut out);
        let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(read["code"], "restoring");
        assert_eq!(read["status"], 503);
        assert_eq!(read["fallback"]["action"], "step_up");
        assert_eq!(read["request_id"], "r-1");
    }
}
