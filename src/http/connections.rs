//! Connections: accepted within a bound, shaken hands with where TLS is spoken, each served for a
//! bounded time, ended in order.
//!
//! `axum::serve` has none of these bounds, so this stands in its place. What is answered is deliberately not known here.

use super::{Limits, Shown, Speaks, Tls};
use crate::telemetry::Metrics;
use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::future::pending;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long to leave a system alone that has no more files or memory for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// The least that hyper takes as the bound of a head, in bytes.
const LEAST_HEAD: usize = 8_192;

/// Requests at once over one connection of HTTP/2.
const MAX_STREAMS: u32 = 128;

/// From where a request came: the address of the connection's other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A port: what is spoken there, within which bounds, and who answers.
#[derive(Debug, Clone)]
pub struct Port {
    /// Who answers.
    pub router: Router,
    /// Bounds.
    pub limits: Limits,
    /// HTTP or gRPC.
    pub speaks: Speaks,
    /// By which it is encrypted, if it is.
    pub tls: Option<Arc<Tls>>,
    /// Where handshakes are counted.
    pub metrics: Arc<Metrics>,
}

/// Accepts until `stopped` says so, then waits for the connections in hand.
pub async fn accept(listener: TcpListener, port: Port, mut stopped: watch::Receiver<()>) {
    let limits = port.limits;
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let next = tokio::select! {
            _ = stopped.changed() => break,
            next = next(&listener, &places) => next,
        };
        let Some((stream, peer, place)) = next else {
            continue;
        };
        let (port, stopped) = (port.clone(), stopped.clone());
        tokio::spawn(async move {
            port.serve(stream, peer, stopped).await;
            drop(place);
        });
    }
    drop(listener);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    // What has not ended by now is cut off with the runtime.
    let _ = timeout(limits.grace, places.acquire_many(all)).await;
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, address)) => Some((stream, Peer(address.ip()), place)),
        Err(error) => {
            tracing::warn!(%error, "a connection to the http port was not accepted");
            sleep(PAUSE).await;
            None
        }
    }
}

impl Port {
    async fn serve(self, stream: TcpStream, peer: Peer, mut stopped: watch::Receiver<()>) {
        // An answer is written at once: nothing is gained by waiting for more. Where it fails, the connection is gone.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else {
            let is_two = self.speaks == Speaks::Grpc;
            return self.converse(stream, is_two, (peer, None), stopped).await;
        };
        let stream = tokio::select! {
            stream = self.shake_hands(tls, stream) => stream,
            _ = stopped.changed() => None,
        };
        let Some(stream) = stream else {
            return;
        };
        let session = stream.get_ref().1;
        let is_two = session.alpn_protocol() == Some(b"h2");
        if self.speaks == Speaks::Grpc && !is_two {
            return;
        }
        let certificate = session.peer_certificates().and_then(<[_]>::first);
        let shown = certificate.map(|certificate| tls.shown(certificate));
        self.converse(stream, is_two, (peer, shown), stopped).await;
    }

    /// The encrypted stream; nothing where the client cannot do it, may not come, or says nothing.
    async fn shake_hands(&self, tls: &Tls, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(tls.server(self.speaks == Speaks::Grpc));
        let shaken = timeout(self.limits.handshake, acceptor.accept(stream)).await;
        let (word, stream) = match shaken {
            Ok(Ok(stream)) => ("done", Some(stream)),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a handshake failed");
                ("failed", None)
            }
            Err(_) => ("slow", None),
        };
        self.metrics.tls_handshakes.add(word, 1);
        stream
    }

    async fn converse<S>(
        &self,
        stream: S,
        is_two: bool,
        (peer, shown): (Peer, Option<Shown>),
        mut stopped: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = &self.limits;
        let asked = Arc::new(AtomicBool::new(false));
        let calls = TowerToHyperService::new(self.router.clone());
        let calls = service_fn(|mut request: hyper::Request<Incoming>| {
            asked.store(true, Relaxed);
            request.extensions_mut().insert(peer);
            if let Some(shown) = shown {
                request.extensions_mut().insert(shown);
            }
            calls.call(request)
        });
        let builder = builder(limits, is_two);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), calls));
        // Whatever goes wrong with a connection is the client's affair: it sees it.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = stopped.changed() => {}
            () = silence(limits.head, &asked), if is_two => {}
            () = sleep(limits.life) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(limits.grace, connection).await;
    }
}

/// Ends where nothing was asked in time; the head of a request alone is bounded under HTTP/1.1.
async fn silence(head: Duration, asked: &AtomicBool) {
    sleep(head).await;
    if asked.load(Relaxed) {
        pending::<()>().await;
    }
}

fn builder(limits: &Limits, is_two: bool) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let head = limits.head_bytes.max(LEAST_HEAD);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(head);
    // A client that is silent under HTTP/2 has to answer pings instead.
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.grace)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX));
    if is_two {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}
