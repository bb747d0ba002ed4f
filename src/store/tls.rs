//! The way to PostgreSQL by TLS: what its client asks of rustls, and nothing else. Whom to trust stands in `trust.rs`,
//! whether TLS is wanted in the configuration.

use postgres::Socket;
use postgres::tls::{self, ChannelBinding, MakeTlsConnect, TlsConnect};
use rustls::ClientConfig;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Makes connections whose server is checked.
pub struct Checked(TlsConnector);

impl Checked {
    /// Trusts whom the configuration trusts.
    pub fn by(config: Arc<ClientConfig>) -> Self {
        Self(TlsConnector::from(config))
    }
}

impl MakeTlsConnect<Socket> for Checked {
    type Stream = Line;
    type TlsConnect = Named;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Named, InvalidDnsNameError> {
        Ok(Named {
            connector: self.0.clone(),
            host: ServerName::try_from(host.to_owned())?,
        })
    }
}

/// A connection that is to be made to a host.
pub struct Named {
    connector: TlsConnector,
    host: ServerName<'static>,
}

impl TlsConnect<Socket> for Named {
    type Stream = Line;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Line>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(self.host, socket).await;
            stream.map(Line)
        })
    }
}

/// A connection.
pub struct Line(TlsStream<Socket>);

impl tls::TlsStream for Line {
    fn channel_binding(&self) -> ChannelBinding {
        // The server's certificate is checked by its name: who is between us has none.
        ChannelBinding::none()
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
