//! Questions to a provider over HTTP: by TLS, or without it on this machine where the provider itself is; no redirect is
//! followed, and an answer has a bound.
//!
//! How long a question may take is deliberately left to who asks.

use crate::config::Oidc;
use crate::trust;
use axum::body::Body;
use axum::http::{Request, Response, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls::ClientConfig;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// The most bytes of an answer; an organization's discovery document and keys have some tens of thousands.
const MAX_ANSWER: usize = 1024 * 1024;
/// Connections kept.
const KEPT: usize = 4;
/// How long a connection is kept without a question.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// A question that had no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CallError(String);

/// Who asks.
#[derive(Debug)]
pub struct Caller {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    is_plain: bool,
}

impl Caller {
    /// One that is connected to nobody yet.
    ///
    /// # Errors
    /// Where the file of authorities cannot be used.
    pub fn open(settings: &Oidc) -> io::Result<Self> {
        let tls = trust::client(settings.ca_file.as_deref()).map_err(io::Error::other)?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(ClientConfig::clone(&tls))
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(KEPT_FOR)
                .pool_max_idle_per_host(KEPT)
                .build(connector),
            is_plain: settings.issuer.starts_with("http://"),
        })
    }

    /// Whether a place may be asked, or browsers sent there: whatever the provider's own document says.
    pub fn may_ask(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let address = host.parse::<IpAddr>();
        let is_here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_here && self.is_plain,
            _ => false,
        }
    }

    /// One question, and its answer whole.
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, CallError> {
        let (head, body) = request.into_parts();
        if !self.may_ask(&head.uri) {
            return Err(CallError("it is not asked without encryption".to_owned()));
        }
        let asked = Request::from_parts(head, Body::from(body));
        let answer = self.client.request(asked).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            CallError(format!("{error}{}", cause.unwrap_or_default()))
        })?;
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(Body::new(body), MAX_ANSWER).await;
        let body = body.map_err(|error| CallError(error.to_string()))?;
        Ok(Response::from_parts(head, body.to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for Caller {
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, CallError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.ask(request))
    }
}
