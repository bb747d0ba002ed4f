//! The question over gRPC: another writing of what HTTP takes and answers.
//!
//! A message becomes the body of a call of ours and goes the whole way of one: door, deadline, forwarding, counts. The
//! answer becomes a message, a failure a status. Nothing is judged, admitted or bounded here a second time.

mod health;
mod messages;

use crate::api::call::{BODY_WAIT, Call, DEADLINE, MAX_BODY, MAX_DEADLINE, REQUEST_ID};
use crate::api::failure::{Code, Failure};
use crate::api::forward::MAX_ANSWER;
use crate::api::pages;
use crate::api::teller::Teller;
use crate::http::Shown;
use crate::stream::StreamError;
use crate::telemetry::Readiness;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::AUTHORIZATION;
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::{Buf, BufMut};
use futures_util::future::{BoxFuture, FutureExt};
use health::Vitals;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use messages::{DESCRIPTION, Messages};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, UnaryService};
use tonic_health::pb::health_server::HealthServer;

/// What is served.
const SERVICE: &str = "varsel.v1.Assessments";
/// How long the caller can wait: up to 8 digits and a unit.
const TIMEOUT: &str = "grpc-timeout";
/// With this status tonic refuses a message that is too large.
const OUT_OF_RANGE: HeaderValue = HeaderValue::from_static("11");
/// A whole call takes less than this: the body's time and the longest deadline.
const WHOLE: Duration = BODY_WAIT.saturating_add(MAX_DEADLINE);

/// Answers questions: the calls of HTTP, and how their bodies are written here.
#[derive(Clone)]
struct Desk {
    teller: Arc<Teller>,
    calls: TowerToHyperService<Router>,
    messages: Messages,
}

/// Messages as bytes: what is in them is read by the description, not by a type.
struct Whole;

/// What is read of a failure's body.
#[derive(Deserialize)]
struct Problem {
    code: String,
    title: String,
    detail: Option<String>,
    fallback: Option<Fallback>,
}

#[derive(Deserialize)]
struct Fallback {
    action: String,
}

/// Everything that is served over gRPC: the question, health and reflection.
///
/// # Errors
/// Where the description that we were built with cannot be read.
pub fn router(
    teller: Arc<Teller>,
    readiness: Arc<Readiness>,
    calls: Router,
) -> Result<Router, StreamError> {
    let bug = || StreamError::Door("the description of gRPC in this program is broken".to_owned());
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTION)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .map_err(|_| bug())?;
    let desk = Desk {
        teller: Arc::clone(&teller),
        calls: TowerToHyperService::new(calls),
        messages: Messages::new().ok_or_else(bug)?,
    };
    let described = Router::new()
        .route_service("/grpc.reflection.v1.ServerReflection/{call}", reflection)
        .layer(from_fn(move |request, next| {
            described(Arc::clone(&teller), request, next)
        }));
    let health = HealthServer::new(Vitals(readiness));
    Ok(Router::new()
        .route(
            "/varsel.v1.Assessments/Assess",
            post(async move |request| desk.serve(request).await),
        )
        .route_service("/grpc.health.v1.Health/{call}", health)
        .merge(described)
        .fallback(async || {
            Status::unimplemented("there is nothing of this name here").into_http::<Body>()
        }))
}

/// Lets pass who may read the description of the API.
async fn described(teller: Arc<Teller>, request: Request, next: Next) -> Response {
    let response = pages::described(teller, request, next).await;
    if response.status() == StatusCode::OK {
        return response;
    }
    status_of(response).await.into_http()
}

impl Desk {
    async fn serve(self, request: Request) -> Response {
        let (desk, headers) = (self.clone(), request.headers().clone());
        let mut grpc = Grpc::new(Whole).max_decoding_message_size(MAX_BODY);
        let served = tokio::time::timeout(WHOLE, grpc.unary(self, request)).await;
        let code = match served {
            Ok(response) if response.headers().get(Status::GRPC_STATUS) != Some(&OUT_OF_RANGE) => {
                return response.into_response();
            }
            Ok(_) => Code::TooLarge,
            Err(_) => Code::SlowBody,
        };
        let refused = desk.refused(&headers, &code.into());
        status_of(refused).await.into_http()
    }

    /// A failure before anything could be asked.
    fn refused(&self, headers: &HeaderMap, failure: &Failure) -> Response {
        let fallback = self.teller.config.api.fallback;
        let (call, _) = Call::read(headers, MAX_DEADLINE, Some(fallback));
        pages::failed(&self.teller, &call, failure)
    }

    async fn answered(
        &self,
        headers: HeaderMap,
        extensions: &Extensions,
        message: Bytes,
    ) -> Result<tonic::Response<Bytes>, Status> {
        let response = match self.asked(&headers, extensions, message) {
            Ok(request) => {
                let Ok(response) = self.calls.call(request).await;
                response
            }
            Err(failure) => self.refused(&headers, &failure),
        };
        if response.status() != StatusCode::OK {
            return Err(status_of(response).await);
        }
        let (head, body) = response.into_parts();
        let body = axum::body::to_bytes(body, MAX_ANSWER).await;
        let body = body.map_err(|_| Status::unavailable("the answer broke off"))?;
        let reply = self.messages.reply(&body);
        let mut reply = reply.map(tonic::Response::new).ok_or_else(|| {
            tracing::error!("an answer has no place in the messages of gRPC");
            Status::internal(Code::Internal.title())
        })?;
        *reply.metadata_mut() = named(&head.headers);
        Ok(reply)
    }

    /// The call of HTTP that a message stands for.
    fn asked(
        &self,
        headers: &HeaderMap,
        extensions: &Extensions,
        message: Bytes,
    ) -> Result<Request, Failure> {
        let bad = |text: &str| Failure::new(Code::BadRequest, text);
        let (path, body) = self.messages.question(message).map_err(bad)?;
        let mut request = Request::post(path)
            .body(Body::from(body))
            .map_err(|_| Failure::from(Code::Internal))?;
        let passed = request.headers_mut();
        for name in [AUTHORIZATION, REQUEST_ID, DEADLINE] {
            if let Some(value) = headers.get(&name) {
                passed.insert(name, value.clone());
            }
        }
        if let Some(given) = headers.get(TIMEOUT) {
            let ms = given.to_str().ok().and_then(ms_of);
            let ms =
                ms.ok_or_else(|| bad("`grpc-timeout` is no number of up to 8 digits and a unit"))?;
            passed.insert(DEADLINE, HeaderValue::from(ms));
        }
        if let Some(shown) = extensions.get::<Shown>() {
            request.extensions_mut().insert(*shown);
        }
        Ok(request)
    }
}

/// Milliseconds of a `grpc-timeout`, of a part of one none.
fn ms_of(timeout: &str) -> Option<u64> {
    let (digits, unit) = timeout.split_at_checked(timeout.len().checked_sub(1)?)?;
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| is_number)?;
    match unit {
        "H" => Some(number * 3_600_000),
        "M" => Some(number * 60_000),
        "S" => Some(number * 1_000),
        "m" => Some(number),
        "u" => Some(number / 1_000),
        "n" => Some(number / 1_000_000),
        _ => None,
    }
}

/// The metadata that names a call.
fn named(headers: &HeaderMap) -> MetadataMap {
    let mut named = HeaderMap::new();
    if let Some(id) = headers.get(REQUEST_ID) {
        named.insert(REQUEST_ID, id.clone());
    }
    MetadataMap::from_headers(named)
}

/// A failure of HTTP as a status.
async fn status_of(response: Response) -> Status {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MAX_ANSWER).await;
    failure(head.status, &head.headers, &body.unwrap_or_default())
}

/// A failure of HTTP as a status; the code of ours and the fallback are in its metadata.
fn failure(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Status {
    let code = match status.as_u16() {
        400 | 413 | 422 => tonic::Code::InvalidArgument,
        401 => tonic::Code::Unauthenticated,
        403 => tonic::Code::PermissionDenied,
        404 => tonic::Code::NotFound,
        405 => tonic::Code::Unimplemented,
        408 | 504 => tonic::Code::DeadlineExceeded,
        409 => tonic::Code::FailedPrecondition,
        429 => tonic::Code::ResourceExhausted,
        502 | 503 => tonic::Code::Unavailable,
        _ => tonic::Code::Internal,
    };
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        return Status::new(code, Code::Internal.title());
    };
    let mut metadata = named(headers);
    let fallback = problem.fallback.map(|fallback| fallback.action);
    for (name, word) in [
        ("varsel-code", Some(problem.code)),
        ("varsel-fallback", fallback),
    ] {
        if let Some(Ok(word)) = word.map(|word| word.parse()) {
            metadata.insert(name, word);
        }
    }
    Status::with_metadata(code, problem.detail.unwrap_or(problem.title), metadata)
}

impl UnaryService<Bytes> for Desk {
    type Response = Bytes;
    type Future = BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let desk = self.clone();
        async move {
            let (metadata, extensions, message) = request.into_parts();
            desk.answered(metadata.into_headers(), &extensions, message)
                .await
        }
        .boxed()
    }
}

impl Codec for Whole {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Whole {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Whole {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Fallback;

    #[test]
    fn a_timeout_is_read_in_every_unit() {
        for (text, ms) in [
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("3S", Some(3_000)),
            ("40m", Some(40)),
            ("99999999u", Some(99_999)),
            ("999999n", Some(0)),
            ("", None),
            ("S", None),
            ("1", None),
            ("123456789m", None),
            ("+1S", None),
            ("-1S", None),
            ("1é", None),
        ] {
            assert_eq!(ms_of(text), ms, "{text}");
        }
    }

    #[test]
    fn every_failure_has_a_status_and_keeps_its_code_and_fallback() {
        for code in Code::ALL {
            let mut body = Vec::new();
            Failure::from(*code).write("r-1", Some(Fallback::Decline), &mut body);
            let status = StatusCode::from_u16(code.status()).unwrap();
            let told = failure(status, &HeaderMap::new(), &body);
            let word = |name| told.metadata().get(name).unwrap().to_str().unwrap();
            assert_eq!(word("varsel-code"), code.word());
            assert_eq!(word("varsel-fallback"), "decline");
            assert_eq!(told.message(), code.title());
            let is_internal = told.code() == tonic::Code::Internal;
            assert_eq!(is_internal, *code == Code::Internal);
        }
    }
}
