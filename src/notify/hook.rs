//! Webhooks: what is sent and how it is signed (Standard Webhooks: id, timestamp and body under HMAC-SHA-256), and the
//! one call that brings it to its receiver.
//!
//! No redirect is followed, no address of a private network is called that is not allowed by name, and the address that
//! was checked is the one that is connected to. It deliberately tries nothing again.

use crate::config::{Notify, Route, Secret, Webhook};
use crate::domain::time::write_rfc3339;
use crate::mail::press::Case;
use crate::mail::server::{Kind, Refusal};
use crate::store::outbox::Message;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use sha2::Sha256;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// How long one call may take, from the look-up of the name to the answer's head.
const CALL: Duration = Duration::from_secs(10);
/// The most bytes of an answer's head.
const MAX_HEAD: usize = 16 * 1024;

/// What tells of one episode.
pub fn case(case: &Case<'_>, notify: &Notify, route: &Route, now_ms: i64) -> String {
    let kind = format!("alert.{}", case.why);
    envelope(&kind, route, now_ms, told(case, notify))
}

/// What tells of many.
pub fn pile(cases: &[Case<'_>], notify: &Notify, route: &Route, now_ms: i64) -> String {
    let cases: Vec<Value> = cases.iter().map(|case| told(case, notify)).collect();
    envelope("alerts", route, now_ms, json!({ "cases": cases }))
}

fn envelope(kind: &str, route: &Route, now_ms: i64, data: Value) -> String {
    let mut at = Vec::with_capacity(24);
    write_rfc3339(&mut at, now_ms);
    let at = String::from_utf8_lossy(&at);
    json!({ "type": kind, "timestamp": at, "route": route.name, "data": data }).to_string()
}

fn told(case: &Case<'_>, notify: &Notify) -> Value {
    let read = |line: &String| serde_json::from_str::<Value>(line).unwrap_or_default();
    let link = notify.link.as_ref();
    json!({
        "why": case.why,
        "alert": read(&case.story.line),
        "holds": case.story.holds.iter().map(read).collect::<Vec<_>>(),
        "link": link.map(|link| format!("{link}/console/cases/{}", case.story.id)),
    })
}

/// The value of `webhook-signature` for a body (Standard Webhooks, "Signature scheme"): a key that begins with
/// `whsec_` is base64 from there on, any other is taken as it is.
pub fn sign(key: &Secret, id: &str, timestamp: i64, body: &str) -> Result<String, String> {
    let key = match key.reveal().strip_prefix("whsec_") {
        Some(coded) => STANDARD
            .decode(coded)
            .map_err(|_| "the webhook's key is no base64 after `whsec_`".to_owned())?,
        None => key.reveal().as_bytes().to_vec(),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    Ok(format!(
        "v1,{}",
        STANDARD.encode(mac.finalize().into_bytes())
    ))
}

/// Calls the receivers.
pub struct Caller {
    webhooks: Vec<Webhook>,
    private_hosts: Vec<String>,
    runtime: Runtime,
    tls: TlsConnector,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("webhooks", &self.webhooks)
            .finish_non_exhaustive()
    }
}

impl Caller {
    /// Trusts whom the system trusts.
    ///
    /// # Errors
    /// Where the system has no runtime or no TLS.
    pub fn new(notify: &Notify) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| error.to_string())?;
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            webhooks: notify.webhooks.clone(),
            private_hosts: notify.private_hosts.clone(),
            runtime,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Brings a message to its receiver, which has it when this returns well.
    ///
    /// # Errors
    /// Why not, and what that means.
    pub fn call(&self, message: &Message, now_ms: i64) -> Result<(), Refusal> {
        let known = self.webhooks.iter().find(|one| one.name == message.target);
        let Some(webhook) = known else {
            let said = format!(
                "there is no webhook `{}` in the configuration",
                message.target
            );
            return Err(refused(Kind::Final, said));
        };
        let mut was_sent = false;
        let calling = self.through(webhook, message, now_ms, &mut was_sent);
        let done = self
            .runtime
            .block_on(async { timeout(CALL, calling).await });
        match done {
            Ok(Ok(status)) => judge(status),
            Ok(Err(said)) => Err(refused(unknown(was_sent), said)),
            Err(_) => {
                let said = format!("no answer within {} s", CALL.as_secs());
                Err(refused(unknown(was_sent), said))
            }
        }
    }

    async fn through(
        &self,
        webhook: &Webhook,
        message: &Message,
        now_ms: i64,
        was_sent: &mut bool,
    ) -> Result<StatusCode, String> {
        let request = request(webhook, message, now_ms)?;
        let address = self.address(webhook).await?;
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        if webhook.tls {
            let name = rustls::pki_types::ServerName::try_from(webhook.host.clone());
            let name = name.map_err(|error| error.to_string())?;
            let stream = self.tls.connect(name, stream).await;
            exchange(
                stream.map_err(|error| error.to_string())?,
                request,
                was_sent,
            )
            .await
        } else {
            exchange(stream, request, was_sent).await
        }
    }

    /// Where a receiver is; an address that is not public only where its host is allowed by name.
    async fn address(&self, webhook: &Webhook) -> Result<SocketAddr, String> {
        let place = (webhook.host.as_str(), webhook.port);
        let found = tokio::net::lookup_host(place).await;
        let found: Vec<SocketAddr> = found.map_err(|error| error.to_string())?.collect();
        let is_allowed = self.private_hosts.contains(&webhook.host);
        if !is_allowed && found.iter().any(|address| !is_public(address.ip())) {
            return Err(format!(
                "`{}` is in a private network: name it in `notify.private_hosts` to allow it",
                webhook.host
            ));
        }
        let first = found.first().copied();
        first.ok_or_else(|| format!("`{}` has no address", webhook.host))
    }
}

/// What an end without an answer means.
fn unknown(was_sent: bool) -> Kind {
    if was_sent {
        Kind::Doubtful
    } else {
        Kind::Server
    }
}

fn refused(kind: Kind, said: String) -> Refusal {
    Refusal { said, kind }
}

fn judge(status: StatusCode) -> Result<(), Refusal> {
    if status.is_success() {
        return Ok(());
    }
    let kind = match status {
        // Of this message, now and later: not understood, gone, too large, of the wrong kind.
        StatusCode::BAD_REQUEST
        | StatusCode::GONE
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Kind::Final,
        status if status.is_server_error() => Kind::Server,
        // Keys, paths and redirects are mended by people.
        _ => Kind::Passing,
    };
    let note = if status.is_redirection() {
        " (redirects are not followed)"
    } else {
        ""
    };
    Err(refused(kind, format!("it answered {status}{note}")))
}

fn request(webhook: &Webhook, message: &Message, now_ms: i64) -> Result<Request<Whole>, String> {
    let key = webhook.secret.read().map_err(|problem| problem.message)?;
    let timestamp = now_ms.div_euclid(1_000);
    let signature = sign(&key, &message.id, timestamp, &message.body)?;
    let host = if webhook.host.contains(':') {
        format!("[{}]:{}", webhook.host, webhook.port)
    } else {
        format!("{}:{}", webhook.host, webhook.port)
    };
    Request::post(&webhook.path)
        .header("host", host)
        .header("user-agent", "varsel")
        .header("content-type", "application/json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(Whole(Some(Bytes::from(message.body.clone()))))
        .map_err(|error| error.to_string())
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Whole>,
    was_sent: &mut bool,
) -> Result<StatusCode, String> {
    let made = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await;
    let (mut sender, connection) = made.map_err(|error| error.to_string())?;
    *was_sent = true;
    let mut answer = std::pin::pin!(async move {
        let answer: hyper::Result<hyper::Response<Incoming>> = sender.send_request(request).await;
        answer
            .map(|answer| answer.status())
            .map_err(|error| error.to_string())
    });
    tokio::select! {
        // The body is of no interest: the connection ends with the answer's head.
        answered = &mut answer => answered,
        // One that was closed right after the answer has still brought it.
        _ = connection => answer.await,
    }
}

/// A body in one piece.
struct Whole(Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        Poll::Ready(
            self.0
                .take()
                .map(|bytes| Ok(hyper::body::Frame::data(bytes))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        let bytes = self.0.as_ref().map_or(0, Bytes::len);
        hyper::body::SizeHint::with_exact(u64::try_from(bytes).unwrap_or(0))
    }
}

/// Whether an address is reached over the public internet (IANA's special-purpose registries); those that carry an
/// IPv4 address within them are as public as that.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let [a, b, c, d, e, f, g, h] = parts;
    let within = |high: u16, low: u16| {
        let ([w, x], [y, z]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(w, x, y, z))
    };
    match (a, b) {
        // Mapped, compatible, and IPv4 translated (RFC 6052).
        (0, 0) if [c, d, e] == [0, 0, 0] => f == 0xFFFF && within(g, h),
        (0x64, 0xFF9B) => [c, d, e, f] == [0, 0, 0, 0] && within(g, h),
        // 6to4.
        (0x2002, high) => within(high, c),
        (0x2001, 0xDB8) | (0x2001, 0..=0x1FF) => false,
        // Global unicast is 2000::/3; all else is local, multicast or unassigned.
        _ => a & 0xE000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_standard_s_example() {
        // Standard Webhooks, libraries' shared test vector.
        let key = Secret::of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &key,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signature.unwrap(),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert!(sign(&Secret::of("whsec_%"), "a", 1, "b").is_err());
        assert!(sign(&Secret::of("plain"), "a", 1, "b").is_ok());
    }

    #[test]
    fn no_address_of_a_private_network_is_public_however_it_is_written() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:7f00:1::",
            "2001:db8::1",
            "2001::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9", "2002:909:909::"] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
