//! A call as its head and body tell it: its id, how long it may take, what it brings along.
//!
//! Bodies and times are bounded here. Which call it is, and what is answered, is the business of `pages` and `grpc`.

use crate::api::failure::{Code, Failure};
use crate::api::teller::Span;
use crate::clock::Stopwatch;
use crate::config::Fallback;
use crate::decode::contains_card_number;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The most bytes of a body.
pub const MAX_BODY: usize = 64 * 1024;
/// How long a body may take to come.
pub const BODY_WAIT: Duration = Duration::from_secs(2);
/// The longest that a call may ask for.
pub const MAX_DEADLINE: Duration = Duration::from_secs(10);
/// The longest request id that is taken over.
const MAX_REQUEST_ID: usize = 64;

/// Names a call; comes back with its answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long the caller can wait, in milliseconds from when we have the request's head.
pub const DEADLINE: HeaderName = HeaderName::from_static("varsel-deadline-ms");

/// Requests since the start, for the ids of those that bring none.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

/// A call as its head tells it.
#[derive(Debug)]
pub struct Call {
    /// Its id: the caller's, or ours.
    pub id: HeaderValue,
    /// How long it may take.
    pub span: Span,
    /// What is stated where an attempt could not be judged; nothing where none was to be judged.
    pub fallback: Option<Fallback>,
}

impl Call {
    /// Reads a head.
    ///
    /// # Errors
    /// Where the deadline cannot be read; the call stands beside it.
    pub fn read(headers: &HeaderMap, usual: Duration, fallback: Option<Fallback>) -> (Self, bool) {
        let begun = Stopwatch::start();
        let given = headers.get(&REQUEST_ID);
        let id = given.filter(|id| is_fine_id(id)).cloned();
        let named = headers.get(&DEADLINE);
        let ms = named.and_then(|ms| whole(ms.to_str().ok()?));
        let bound = ms.map_or(usual, Duration::from_millis).min(MAX_DEADLINE);
        let call = Self {
            id: id.unwrap_or_else(own_id),
            span: Span { begun, bound },
            fallback,
        };
        (call, named.is_some() == ms.is_some())
    }
}

/// A whole number; one that is too large for us is as large as can be.
fn whole(text: &str) -> Option<u64> {
    let is_whole = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| text.parse().unwrap_or(u64::MAX))
}

fn is_fine_id(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_word = (1..=MAX_REQUEST_ID).contains(&bytes.len()) && bytes.iter().all(fits);
    // It is given back and noted: a card number must not come along with it.
    is_word && !id.to_str().is_ok_and(contains_card_number)
}

fn own_id() -> HeaderValue {
    let number = REQUESTS.fetch_add(1, Ordering::Relaxed);
    HeaderValue::from_str(&format!("r-{number:x}")).unwrap_or(HeaderValue::from_static("r"))
}

/// The failure of a call whose deadline cannot be read.
pub fn bad_deadline() -> Failure {
    Failure::new(
        Code::BadRequest,
        "`varsel-deadline-ms` is no whole number of milliseconds",
    )
}

/// The whole of a body, within its bounds.
pub async fn body_of(body: Body, call: &Call) -> Result<Bytes, Failure> {
    let wait = BODY_WAIT.max(call.span.bound);
    let read = tokio::time::timeout(wait, axum::body::to_bytes(body, MAX_BODY)).await;
    match read {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(if error.to_string().contains("length limit") {
            Code::TooLarge.into()
        } else {
            Failure::new(Code::BadRequest, "the body broke off")
        }),
        Err(_) => Err(Code::SlowBody.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_takes_over_a_fine_id_and_its_deadline() {
        let mut headers = HeaderMap::new();
        headers.insert(&REQUEST_ID, HeaderValue::from_static("acs-17.b_2"));
        headers.insert(&DEADLINE, HeaderValue::from_static("40"));
        let (call, is_fine) = Call::read(&headers, MAX_DEADLINE, None);
        assert!(is_fine && call.id == "acs-17.b_2");
        assert_eq!(call.span.bound, Duration::from_millis(40));
        headers.insert(&REQUEST_ID, HeaderValue::from_static("a b"));
        headers.insert(&DEADLINE, HeaderValue::from_static("soon"));
        let (call, is_fine) = Call::read(&headers, MAX_DEADLINE, None);
        assert!(!is_fine && call.id.to_str().unwrap().starts_with("r-"));
    }
}
