//! Ports over HTTP/1.1 and HTTP/2, plain or by TLS, each on a thread and runtime of its own; and the pages
//! `/livez`, `/readyz` and `/metrics`.
//!
//! Everything is bounded: connections, handshakes, the size and time of a request's head, the life of a connection.
//! It deliberately knows nothing of what else is served here: that is handed in by who puts the process together.

mod connections;
mod pages;
mod tls;
mod validity;

pub use connections::{Peer, Port};
pub use pages::router as pages;
pub use tls::{Shown, Tls, TlsError};

#[cfg(test)]
mod tests;

use core::net::SocketAddr;
use std::io;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::watch;

/// Bounds of serving; the defaults are for an operator's tools, not for the public.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// How long the handshake of TLS may take.
    pub handshake: Duration,
    /// How long the head of a request may be awaited, on a fresh connection and on one kept alive.
    pub head: Duration,
    /// How long a connection lives; after that it is closed at the end of a request.
    pub life: Duration,
    /// How long a request in hand may still take when its connection or the server is to end.
    pub grace: Duration,
    /// The most bytes of the head of a request; less than 8,192 counts as that.
    pub head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            handshake: Duration::from_secs(5),
            // Longer than the usual time between two looks of Prometheus, which keeps its connection.
            head: Duration::from_secs(20),
            life: Duration::from_secs(300),
            grace: Duration::from_secs(2),
            head_bytes: 16 * 1024,
        }
    }
}

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP/1.1, and HTTP/2 where a handshake of TLS agrees on it.
    Http,
    /// HTTP/2 alone.
    Grpc,
}

impl Speaks {
    /// The key of its address in the configuration.
    const fn key(self) -> &'static str {
        match self {
            Self::Http => "http.listen",
            Self::Grpc => "http.grpc_listen",
        }
    }
}

/// The port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, not ours, or not allowed.
    #[error("`{key}`: cannot listen on `{address}`: {source}")]
    Listen {
        /// Its key in the configuration.
        key: &'static str,
        /// As configured.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No thread or runtime could be had.
    #[error("the thread of the HTTP port cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// A port being served, until this is stopped or dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Serves an address (port 0: any that is free) from now on.
///
/// # Errors
/// Where the address cannot be listened on, or no thread be had.
pub fn serve(listen: SocketAddr, port: Port) -> Result<Server, Error> {
    let failed = |source| Error::Listen {
        key: port.speaks.key(),
        address: listen,
        source,
    };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(Error::Thread)?;
    let listener = {
        // Registers the socket with the runtime that will poll it.
        let _entered = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(failed)?
    };
    let (stop, stopped) = watch::channel(());
    let name = match port.speaks {
        Speaks::Http => "http",
        Speaks::Grpc => "grpc",
    };
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || runtime.block_on(connections::accept(listener, port, stopped)))
        .map_err(Error::Thread)?;
    Ok(Server {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

impl Server {
    /// Where it listens, with the port that was found for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: no more connections, requests in hand are answered, within the grace of the limits.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // A sender that is gone is the signal.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has been told by the panic hook; nothing more depends on that thread.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
