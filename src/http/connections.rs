//! Connections: accepted within a bound, each served for a bounded time, ended in order.
//!
//! `axum::serve` has none of these bounds, so this stands in its place. What is answered is deliberately not known here.

use super::Limits;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// How long to leave a system alone that has no more files or memory for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// The least that hyper takes as the bound of a head, in bytes.
const LEAST_HEAD: usize = 8_192;

/// Accepts until `stopped` says so, then waits for the connections in hand.
pub async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    loop {
        let next = tokio::select! {
            _ = stopped.changed() => break,
            next = next(&listener, &places) => next,
        };
        let Some((stream, place)) = next else {
            continue;
        };
        let (router, stopped) = (router.clone(), stopped.clone());
        tokio::spawn(async move {
            serve(stream, router, limits, stopped).await;
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
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection to the http port was not accepted");
            sleep(PAUSE).await;
            None
        }
    }
}

async fn serve(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(limits.head_bytes.max(LEAST_HEAD))
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // Whatever goes wrong with a connection is the client's affair: it sees it.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopped.changed() => {}
        () = sleep(limits.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(limits.grace, connection).await;
}
