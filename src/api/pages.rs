//! The calls over HTTP: which path is which call, and how an answer or a failure goes out.
//!
//! How a call's head and body are read stands in `call`, what it does in `teller` and `steps`.

use crate::api::answer::Asked;
use crate::api::areq;
use crate::api::call::{Call, REQUEST_ID, bad_deadline, body_of};
use crate::api::door::CLIENT;
use crate::api::enforcement;
use crate::api::failure::{Code, Failure};
use crate::api::forward::Passed;
use crate::api::look;
use crate::api::openapi;
use crate::api::routes::{ROUTES, Route};
use crate::api::steps::Said;
use crate::api::teller::{Judged, Span, Teller};
use crate::clock;
use crate::domain::ids::EffectId;
use crate::http::Shown;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use std::sync::Arc;
use std::time::Duration;

/// How long a call that waits for the log may take, where it names no deadline.
const STEP_DEADLINE: Duration = Duration::from_secs(5);
/// How long after a vain attempt a shard is tried again.
const AGAIN: Duration = Duration::from_millis(1);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const IDEMPOTENCY: HeaderName = HeaderName::from_static("idempotency-key");

type Desk = State<Arc<Teller>>;
/// What a path names; a fault where it is no UTF-8.
type Named = Result<Path<String>, PathRejection>;

fn name(named: Named) -> Result<String, Failure> {
    let refused = |_| Failure::new(Code::BadRequest, "the path is no UTF-8");
    named.map(|Path(name)| name).map_err(refused)
}

/// Every call of the table.
pub fn router(teller: Arc<Teller>) -> Router {
    let calls = ROUTES
        .iter()
        .filter_map(|route| Some((route, call_of(route)?)));
    let router = calls.fold(Router::new(), |router, (route, call)| {
        // An open door costs who asks nothing.
        let call = if teller.door.is_open() && (route.judges || route.method == "GET") {
            call
        } else {
            let teller = Arc::clone(&teller);
            call.layer(from_fn(move |request, next| {
                admitted(Arc::clone(&teller), route, request, next)
            }))
        };
        router.route(route.path, call)
    });
    router.with_state(teller)
}

/// Lets a caller pass, named in a header of ours.
async fn admitted(
    teller: Arc<Teller>,
    route: &'static Route,
    mut request: Request,
    next: Next,
) -> Response {
    let shown = request.extensions().get::<Shown>().copied();
    let who = if teller.door.is_open() {
        is_of_here(&request).map(|()| "anybody".into())
    } else {
        teller.door.admit(request.headers(), shown, route)
    };
    match who.map(|who| HeaderValue::from_str(&who)) {
        Ok(Ok(name)) => {
            request.headers_mut().insert(CLIENT, name);
            next.run(request).await
        }
        Ok(Err(_)) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(failure) => {
            let fallback = route.judges.then_some(teller.config.api.fallback);
            let (call, _) = Call::read(request.headers(), STEP_DEADLINE, fallback);
            failed(&teller, &call, &failure)
        }
    }
}

/// Lets pass who may read the description of the API.
pub async fn described(teller: Arc<Teller>, request: Request, next: Next) -> Response {
    let route = ROUTES.iter().find(|route| route.path == "/openapi.json");
    match route.filter(|_| !teller.door.is_open()) {
        Some(route) => admitted(teller, route, request, next).await,
        None => next.run(request).await,
    }
}

/// An open door trusts this machine, and so every page that a browser on it shows: what changes something
/// is refused to pages of another origin.
fn is_of_here(request: &Request) -> Result<(), Failure> {
    let headers = request.headers();
    let Some(origin) = headers.get(ORIGIN) else {
        return Ok(());
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(Authority::as_str));
    let origin = origin
        .to_str()
        .ok()
        .and_then(|origin| Some(origin.split_once("://")?.1));
    if origin.is_some() && origin == host {
        return Ok(());
    }
    let text = "a page of another origin may not change anything";
    Err(Failure::new(Code::Forbidden, text))
}

/// What is done at a call; nothing for one that the table does not have.
fn call_of(route: &Route) -> Option<MethodRouter<Arc<Teller>>> {
    Some(match route.path {
        "/v1/assessments" => post(assess),
        "/v1/acs/areq" => post(areq),
        "/v1/cards/{card}" => get(card),
        "/v1/alerts" => get(alerts),
        "/v1/alerts/{id}/disposition" => post(dispose),
        "/v1/holds" => get(holds),
        "/v1/holds/{id}/acknowledge" => post(acknowledge),
        "/v1/holds/{id}/enforced" => post(enforced),
        "/v1/holds/{id}/release" => post(release),
        "/v1/enforcement" if route.method == "POST" => post(switch),
        "/v1/enforcement" => get(enforcement),
        "/v1/problems" => get(problems),
        "/v1/reasons" => get(reasons),
        "/v1/proto" => get(proto),
        "/openapi.json" => get(describe),
        _ => return None,
    })
}

/// A call that only looks.
fn looked(
    teller: &Teller,
    headers: &HeaderMap,
    look: impl FnOnce(&Call) -> Result<Vec<u8>, Failure>,
) -> Response {
    let (call, is_fine) = Call::read(headers, teller.config.api.deadline, None);
    let seen = if is_fine {
        look(&call)
    } else {
        Err(bad_deadline())
    };
    match seen {
        Ok(answer) => fine(teller, &call, StatusCode::OK, answer),
        Err(failure) => failed(teller, &call, &failure),
    }
}

async fn describe(State(teller): Desk, headers: HeaderMap) -> Response {
    looked(&teller, &headers, |_| {
        Ok(openapi::document().to_string().into_bytes())
    })
}

async fn proto(State(teller): Desk, headers: HeaderMap) -> Response {
    let (call, _) = Call::read(&headers, teller.config.api.deadline, None);
    teller.count("ok");
    sent(&call, StatusCode::OK, TEXT, openapi::PROTO.into())
}

async fn assess(State(teller): Desk, headers: HeaderMap, body: Body) -> Response {
    let api = &teller.config.api;
    let (call, is_fine) = Call::read(&headers, api.deadline, Some(api.fallback));
    let result = async {
        if !is_fine {
            return Err(bad_deadline());
        }
        let body = body_of(body, &call).await?;
        let assess = |span| teller.assess(&body, &Asked::default(), span);
        let judged = patiently(call.span, assess).await?;
        let passed = || Ok(Passed::post("/v1/assessments", body));
        settled(&teller, &call, &headers, judged, passed).await
    };
    let result = result.await;
    result.unwrap_or_else(|failure| failed(&teller, &call, &failure))
}

async fn areq(State(teller): Desk, headers: HeaderMap, body: Body) -> Response {
    let api = &teller.config.api;
    let (call, is_fine) = Call::read(&headers, api.deadline, Some(api.fallback));
    let result = async {
        if !is_fine {
            return Err(bad_deadline());
        }
        let body = body_of(body, &call).await?;
        let areq = {
            let intake = teller.ledger.intake();
            areq::read(&body, teller.keys.as_ref(), &intake, clock::now_ms())?
        };
        let asked = Asked {
            lacks: &areq.lacks,
            wants_challenge: areq.wants_challenge,
            decoupled: areq.decoupled,
            emv: Some(&areq.emv),
        };
        let judged = patiently(call.span, |span| teller.assess(&areq.line, &asked, span)).await?;
        let passed = || {
            let veiled = areq::veiled(&body, &areq.card)?;
            Ok(Passed::post("/v1/acs/areq", veiled.into()))
        };
        settled(&teller, &call, &headers, judged, passed).await
    };
    let result = result.await;
    result.unwrap_or_else(|failure| failed(&teller, &call, &failure))
}

/// Tries until the deadline what a shard at work holds up, and lets other calls pass in between.
async fn patiently<T>(
    span: Span,
    mut attempt: impl FnMut(Span) -> Result<T, Failure>,
) -> Result<T, Failure> {
    loop {
        let result = attempt(span.glance());
        let is_busy = matches!(&result, Err(failure) if failure.code == Code::Deadline);
        if !is_busy || span.left().is_zero() {
            return result;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Sends an answer of ours, or has the owner asked and passes its answer on.
async fn settled(
    teller: &Teller,
    call: &Call,
    headers: &HeaderMap,
    judged: Judged,
    passed: impl FnOnce() -> Result<Passed, Failure>,
) -> Result<Response, Failure> {
    match judged {
        Judged::Here(answer) => Ok(fine(teller, call, StatusCode::OK, answer)),
        Judged::Elsewhere(partition) => {
            let forwarder = &teller.forwarder;
            let asked = forwarder.ask(&teller.ledger, partition, headers, passed()?, call.span);
            let (status, kind, body) = asked.await?;
            teller.count("forwarded");
            Ok(sent(call, status, kind, body))
        }
    }
}

async fn card(State(teller): Desk, uri: Uri, card: Named, headers: HeaderMap) -> Response {
    let (call, is_fine) = Call::read(&headers, teller.config.api.deadline, None);
    let result = async {
        if !is_fine {
            return Err(bad_deadline());
        }
        let card = name(card)?;
        let judged = patiently(call.span, |span| look::card(&teller, &card, span)).await?;
        let passed = || Ok(Passed::get(uri.path()));
        settled(&teller, &call, &headers, judged, passed).await
    };
    let result = result.await;
    result.unwrap_or_else(|failure| failed(&teller, &call, &failure))
}

async fn holds(State(teller): Desk, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    listed(&teller, &headers, query.as_deref(), look::holds)
}

async fn alerts(State(teller): Desk, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    listed(&teller, &headers, query.as_deref(), look::alerts)
}

fn listed(
    teller: &Teller,
    headers: &HeaderMap,
    query: Option<&str>,
    list: impl FnOnce(&Teller, &look::Filter) -> Vec<u8>,
) -> Response {
    looked(teller, headers, |_| {
        let filter = look::Filter::read(query.unwrap_or_default())?;
        Ok(list(teller, &filter))
    })
}

async fn problems(State(teller): Desk, headers: HeaderMap) -> Response {
    looked(&teller, &headers, |_| Ok(look::problems()))
}

async fn reasons(State(teller): Desk, headers: HeaderMap) -> Response {
    looked(&teller, &headers, |call| look::reasons(&teller, call.span))
}

async fn enforcement(State(teller): Desk, headers: HeaderMap) -> Response {
    looked(&teller, &headers, |call| {
        Ok(enforcement::state(&teller, call.span))
    })
}

async fn switch(State(teller): Desk, headers: HeaderMap, body: Body) -> Response {
    let (call, is_fine) = Call::read(&headers, STEP_DEADLINE, None);
    let result = async {
        if !is_fine {
            return Err(bad_deadline());
        }
        let body = body_of(body, &call).await?;
        let (suspended, said) = enforcement::wish(&body)?;
        let what = enforcement::named(suspended);
        let said = noted(&teller, &call, &headers, what, said)?;
        teller.switch(suspended, said, call.span).await
    };
    match result.await {
        Ok((answer, shows)) => fine(&teller, &call, recorded(shows), answer),
        Err(failure) => failed(&teller, &call, &failure),
    }
}

async fn acknowledge(desk: Desk, id: Named, headers: HeaderMap, body: Body) -> Response {
    step(desk, id, "acknowledged", headers, body).await
}

async fn enforced(desk: Desk, id: Named, headers: HeaderMap, body: Body) -> Response {
    step(desk, id, "enforced", headers, body).await
}

async fn release(desk: Desk, id: Named, headers: HeaderMap, body: Body) -> Response {
    step(desk, id, "released", headers, body).await
}

async fn step(
    State(teller): Desk,
    id: Named,
    action: &'static str,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let (call, is_fine) = Call::read(&headers, STEP_DEADLINE, None);
    let result = async {
        let said = said(body, &call, is_fine).await?;
        let hold = EffectId::parse(&name(id)?).ok_or(Code::UnknownHold)?;
        let what = format!("{action} {hold}");
        let said = noted(&teller, &call, &headers, &what, said)?;
        teller.step(hold, action, &said, call.span).await
    };
    match result.await {
        Ok((row, shows)) => stepped(&teller, &call, row.line, shows),
        Err(failure) => failed(&teller, &call, &failure),
    }
}

async fn dispose(State(teller): Desk, id: Named, headers: HeaderMap, body: Body) -> Response {
    let (call, is_fine) = Call::read(&headers, STEP_DEADLINE, None);
    let key = headers.get(&IDEMPOTENCY).and_then(|key| key.to_str().ok());
    let result = async {
        let said = said(body, &call, is_fine).await?;
        let alert = EffectId::parse(&name(id)?).ok_or(Code::UnknownAlert)?;
        let what = format!("disposition {alert}");
        let said = noted(&teller, &call, &headers, &what, said)?;
        teller.dispose(alert, &said, key, call.span).await
    };
    match result.await {
        Ok((row, shows)) => stepped(&teller, &call, row.line, shows),
        Err(failure) => failed(&teller, &call, &failure),
    }
}

/// Notes a step in the audit log before it is taken; who calls has taken it, unless they name another.
fn noted(
    teller: &Teller,
    call: &Call,
    headers: &HeaderMap,
    what: &str,
    said: Said,
) -> Result<Said, Failure> {
    let client = headers.get(CLIENT).filter(|_| !teller.door.is_open());
    let who = client.and_then(|client| client.to_str().ok());
    teller.noted(who, call.id.to_str().unwrap_or_default(), what, said)
}

/// 202 where a step is in the log and does not show yet.
fn recorded(shows: bool) -> StatusCode {
    if shows {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    }
}

/// The hold or alert as it stands.
fn stepped(teller: &Teller, call: &Call, line: Box<[u8]>, shows: bool) -> Response {
    let mut answer = line.into_vec();
    answer.push(b'\n');
    fine(teller, call, recorded(shows), answer)
}

async fn said(body: Body, call: &Call, is_fine: bool) -> Result<Said, Failure> {
    if !is_fine {
        return Err(bad_deadline());
    }
    let body = body_of(body, call).await?;
    if body.is_empty() {
        return Ok(Said::default());
    }
    // What serde says may name a value of the request.
    serde_json::from_slice(&body).map_err(|error| {
        let text = format!(
            "the body is no object of the texts `by`, `reason` and, of a disposition, `verdict` (line {}, column {})",
            error.line(),
            error.column()
        );
        Failure::new(Code::BadRequest, text)
    })
}

/// An answer.
pub fn fine(teller: &Teller, call: &Call, status: StatusCode, body: Vec<u8>) -> Response {
    teller.count("ok");
    sent(call, status, JSON, body)
}

/// A failure as problem+json.
pub fn failed(teller: &Teller, call: &Call, failure: &Failure) -> Response {
    teller.count(failure.code.word());
    if failure.code == Code::Internal {
        tracing::error!(request = ?call.id, "a call failed by a fault of ours");
    }
    let mut body = Vec::new();
    failure.write(
        call.id.to_str().unwrap_or_default(),
        call.fallback,
        &mut body,
    );
    let status = StatusCode::from_u16(failure.code.status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = sent(call, status, PROBLEM, body);
    if matches!(failure.code.status(), 429 | 503) {
        let after = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, after);
    }
    response
}

fn sent(call: &Call, status: StatusCode, kind: HeaderValue, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.insert(REQUEST_ID, call.id.clone());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_of_the_table_is_done() {
        for route in ROUTES {
            assert!(call_of(route).is_some(), "{}", route.path);
        }
        let mut none = ROUTES[0];
        none.path = "/v1/none";
        assert!(call_of(&none).is_none());
    }
}
