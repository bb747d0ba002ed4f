//! Handing a call to the instance that scores its cardholder: once, within what is left of its time,
//! over connections that are kept.
//!
//! A call that was handed over is never handed on: two instances that take each other for the owner
//! answer so, instead of asking each other for ever. An instance with TLS hands over by TLS alone, and
//! tells whom it has let pass; the owner decides for itself what they may do.

use crate::api::call::DEADLINE;
use crate::api::door::{CLIENT, FORWARDED};
use crate::api::failure::{Code, Failure};
use crate::api::ledger::Ledger;
use crate::api::teller::Span;
use crate::http::Tls;
use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Calls handed over at once, at most.
const MAX_OUT: usize = 256;
/// Connections kept to one instance, at most.
const KEPT: usize = 32;
/// How long a connection is kept without a call.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_millis(500);
/// The most bytes of an answer.
pub const MAX_ANSWER: usize = 1024 * 1024;
/// What is passed on of a call's head.
const PASSED: [&str; 4] = [
    "content-type",
    "x-request-id",
    "idempotency-key",
    "authorization",
];

/// A call to be handed over.
#[derive(Debug)]
pub struct Passed {
    /// GET or POST.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Its body.
    pub body: Bytes,
}

impl Passed {
    /// A question with its body.
    pub fn post(path: &str, body: Bytes) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            body,
        }
    }

    /// A look.
    pub fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            body: Bytes::new(),
        }
    }
}

/// Connections by TLS, and with what they were made.
type Secured = (
    Arc<ClientConfig>,
    Client<HttpsConnector<HttpConnector>, Body>,
);

/// The way to other instances.
#[derive(Debug)]
pub struct Forwarder {
    instance: String,
    /// Whether callers are known here, so that they can be named there.
    is_guarded: bool,
    tls: Option<Arc<Tls>>,
    plain: Client<HttpConnector, Body>,
    secured: Mutex<Option<Secured>>,
    out: AtomicUsize,
}

/// Counts a call that is out until it is dropped.
struct Out<'f>(&'f AtomicUsize);

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Forwarder {
    /// A forwarder of this instance that is connected to nobody yet.
    pub fn new(instance: &str, is_guarded: bool, tls: Option<Arc<Tls>>) -> Self {
        Self {
            instance: instance.to_owned(),
            is_guarded,
            tls,
            plain: client(connector()),
            secured: Mutex::default(),
            out: AtomicUsize::new(0),
        }
    }

    /// Hands a call to who scores a partition; the answer is passed back as it came.
    ///
    /// # Errors
    /// Where nobody is known to score it, they cannot be reached, or time is up.
    pub async fn ask(
        &self,
        ledger: &Ledger,
        partition: i32,
        headers: &HeaderMap,
        passed: Passed,
        span: Span,
    ) -> Result<(StatusCode, HeaderValue, Vec<u8>), Failure> {
        if headers.contains_key(FORWARDED) {
            return Err(Code::OwnerMoved.into());
        }
        let owner = ledger.owner(partition).ok_or(Code::NoOwner)?;
        let named = owner.instance.filter(|name| *name != self.instance);
        let named = named.ok_or(Code::NoOwner)?;
        let unreachable = |why: &str| {
            let text = format!("`{named}` {why}");
            Failure::new(Code::OwnerUnreachable, text)
        };
        let there = owner.http.filter(|_| owner.api);
        let there = there.ok_or_else(|| unreachable("does not have the role `api`"))?;
        if self.out.fetch_add(1, Ordering::AcqRel) >= MAX_OUT {
            self.out.fetch_sub(1, Ordering::AcqRel);
            return Err(Code::Overloaded.into());
        }
        let _out = Out(&self.out);
        let request = self.request(&there, headers, passed, span)?;
        let response = self.sent(request, owner.tls).map_err(unreachable)?;
        let answered = tokio::time::timeout(span.left(), answer(response)).await;
        answered.map_err(|_| Failure::from(Code::Deadline))?
    }

    /// Sends a request by TLS where we have it; or why that cannot be.
    fn sent(&self, request: Request<Body>, is_tls: bool) -> Result<ResponseFuture, &'static str> {
        match (&self.tls, is_tls) {
            (None, false) => Ok(self.plain.request(request)),
            (Some(tls), true) => {
                let peers = tls.peers();
                let peers = peers.ok_or("is not asked: `http.tls.peer_ca` is not set here")?;
                Ok(self.secured(peers).request(request))
            }
            (Some(_), false) => Err("has no TLS, and is not asked without"),
            (None, true) => Err("has TLS, and this instance has none"),
        }
    }

    /// Connections with the certificate and the authorities of now.
    fn secured(&self, peers: Arc<ClientConfig>) -> Client<HttpsConnector<HttpConnector>, Body> {
        let mut secured = self.secured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((with, client)) = &*secured
            && Arc::ptr_eq(with, &peers)
        {
            return client.clone();
        }
        let mut plain = connector();
        plain.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&peers))
            .https_only()
            .enable_http1()
            .wrap_connector(plain);
        let client = client(connector);
        *secured = Some((peers, client.clone()));
        client
    }

    fn request(
        &self,
        there: &str,
        headers: &HeaderMap,
        passed: Passed,
        span: Span,
    ) -> Result<Request<Body>, Failure> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let left_ms = span.left().as_millis().max(1).to_string();
        let mut request = Request::builder()
            .method(passed.method)
            .uri(format!("{scheme}://{there}{}", passed.path))
            .header(HOST, there)
            .header(FORWARDED, "1")
            .header(DEADLINE, left_ms);
        for name in PASSED {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        // Where everybody may call, anybody may have written it.
        if let Some(who) = headers.get(CLIENT).filter(|_| self.is_guarded) {
            request = request.header(CLIENT, who);
        }
        let request = request.body(Body::from(passed.body));
        request.map_err(|_| Code::OwnerUnreachable.into())
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT));
    connector.set_nodelay(true);
    connector
}

fn client<C: Connect + Clone>(connector: C) -> Client<C, Body> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT_FOR)
        .pool_max_idle_per_host(KEPT)
        .build(connector)
}

async fn answer(response: ResponseFuture) -> Result<(StatusCode, HeaderValue, Vec<u8>), Failure> {
    let unreachable = || Failure::from(Code::OwnerUnreachable);
    let response = response.await.map_err(|error| {
        tracing::debug!(%error, "another instance is not reached");
        unreachable()
    })?;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).cloned();
    let body = axum::body::to_bytes(Body::new(response.into_body()), MAX_ANSWER).await;
    let body = body.map_err(|_| unreachable())?;
    let kind = kind.unwrap_or(HeaderValue::from_static("application/json"));
    Ok((status, kind, body.to_vec()))
}
