//! The page of what is not shown or not done: why, in the reader's language, with the status that says the same.
//!
//! It shows nothing of what was asked for.

use super::Refusal;
use super::look::Look;
use super::oidc::Turned;
use super::words::Words;
use askama::Template;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Response};

#[derive(Template)]
#[template(path = "fault.html", config = "src/console/askama.toml")]
struct Page<'p> {
    look: &'p Look,
    w: &'static Words,
    here: &'static str,
    title: &'static str,
    text: String,
    way: &'static str,
    way_name: &'static str,
}

/// Why a log-in by way of a provider came to nothing: status, and what is to be done.
fn turned(w: &'static Words, why: Turned) -> (u16, &'static str) {
    match why {
        Turned::Stale => (403, w.turned_stale),
        Turned::Declined => (403, w.turned_declined),
        Turned::Silent => (502, w.turned_silent),
        Turned::Untrusted => (403, w.turned_untrusted),
        Turned::NoRole => (403, w.turned_no_role),
        Turned::NoName => (403, w.turned_no_name),
        Turned::Taken => (403, w.turned_taken),
        Turned::Disabled => (403, w.turned_disabled),
        Turned::Often => (429, w.turned_often),
    }
}

/// The page of a refusal.
pub fn answer(look: &Look, refusal: &Refusal) -> Response {
    let w = look.words();
    let named;
    let (status, title, text) = match refusal {
        Refusal::Turned { why, by } => {
            let (status, text) = turned(w, *why);
            named = text.replace("{}", by);
            (status, w.fault_logged_out, &*named)
        }
        Refusal::LoggedOut => (401, w.fault_logged_out, w.fault_log_in),
        Refusal::Foreign => (403, w.fault_not_done, w.fault_foreign),
        Refusal::Forbidden => (403, w.fault_not_done, w.said_not_allowed),
        Refusal::Unreadable => (400, w.fault_not_done, w.fault_unreadable),
        Refusal::NotFound => (404, w.fault_not_found, w.fault_nothing_here),
        Refusal::Busy => (503, w.fault_busy, w.fault_again),
        Refusal::Store(error) => {
            tracing::error!(%error, "a page of the console is not shown");
            (503, w.fault_store, w.fault_again)
        }
        Refusal::Api(failure) => (
            failure.code.status(),
            w.fault_not_done,
            failure.code.title(),
        ),
        Refusal::Fault => (500, w.fault_ours, w.fault_again),
    };
    let (way, way_name) = match refusal {
        Refusal::Turned { .. } => ("/console/log-in", w.log_in),
        Refusal::LoggedOut
        | Refusal::Foreign
        | Refusal::Forbidden
        | Refusal::Unreadable
        | Refusal::NotFound
        | Refusal::Busy
        | Refusal::Store(_)
        | Refusal::Api(_)
        | Refusal::Fault => ("/console/queue", w.queue),
    };
    let page = Page {
        look,
        w,
        here: "",
        title,
        text: text.to_owned(),
        way,
        way_name,
    };
    let page = page.render().unwrap_or_default();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Html(page)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let after = axum::http::HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, after);
    }
    response
}
