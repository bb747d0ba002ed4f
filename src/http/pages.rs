//! The pages: what `/livez`, `/readyz` and `/metrics` answer, and everything else (RFC 9457).
//!
//! They deliberately know nothing of sockets.

use crate::clock;
use crate::telemetry::{Metrics, Readiness};
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use std::sync::Arc;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All pages.
pub fn router(metrics: Arc<Metrics>, readiness: Arc<Readiness>) -> Router {
    let live = Arc::clone(&readiness);
    let counts = Arc::clone(&metrics);
    Router::new()
        .route("/livez", get(async move || livez(&live)))
        .route("/readyz", get(async move || readyz(&readiness, &counts)))
        .route(
            "/metrics",
            get(async move || page(StatusCode::OK, PROMETHEUS, metrics.render(clock::now_ms()))),
        )
        .fallback(async || problem(StatusCode::NOT_FOUND, "there is nothing of this name here"))
        .method_not_allowed_fallback(async || {
            problem(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path has other methods",
            )
        })
}

/// 200 while every thread turns; 503 with a line for each that does not.
fn livez(readiness: &Readiness) -> Response {
    let stuck = readiness.stuck();
    if stuck.is_empty() {
        return page(StatusCode::OK, TEXT, "ok\n".to_owned());
    }
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        TEXT,
        stuck.join("\n") + "\n",
    )
}

/// 200 where every condition is met and every thread turns; 503 with the reasons where not. A note says
/// what hinders nobody and must be known.
fn readyz(readiness: &Readiness, metrics: &Metrics) -> Response {
    let mut reasons = readiness.reasons();
    reasons.extend(readiness.stuck());
    let (mut body, status) = if reasons.is_empty() {
        (json!({"ready": true}), StatusCode::OK)
    } else {
        let body = json!({"ready": false, "reasons": reasons});
        (body, StatusCode::SERVICE_UNAVAILABLE)
    };
    let mut notes = readiness.notes();
    let suspended = metrics.suspended.sum();
    if suspended > 0 {
        notes.push(format!(
            "enforcement is suspended in {suspended} of the partitions scored here"
        ));
    }
    if !notes.is_empty() {
        body["notes"] = json!(notes);
    }
    page(status, JSON, line(&body))
}

/// A fault as RFC 9457 has it; the type is left blank, since the status says all.
fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or_default();
    let body =
        json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    page(status, PROBLEM, line(&body))
}

fn line(body: &Value) -> String {
    format!("{body}\n")
}

fn page(status: StatusCode, kind: &'static str, body: String) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, body).into_response()
}
