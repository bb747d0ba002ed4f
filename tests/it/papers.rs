//! Authorities and certificates made for a test, and clients that show and check them.
//!
//! Every key is made anew in each run: nothing here is a secret, and nothing is kept.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use varsel::config::Tls;

/// A server that never answers must fail a test, not stop it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whoever signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate for 127.0.0.1, and its key, PEM.
pub struct Paper {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn paper(&self, name: &str) -> Paper {
        self.paper_until(name, 2050)
    }

    /// One that expires with the first day of a year.
    pub fn paper_until(&self, name: &str, year: i32) -> Paper {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        Paper {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Paper {
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }

    /// As `openssl x509 -fingerprint -sha256` gives it behind the `=`.
    pub fn fingerprint(&self) -> String {
        let hash = Sha256::digest(self.der());
        let pairs: Vec<String> = hash.iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }

    /// Puts certificate and key into a folder.
    pub fn put(&self, dir: &Path) {
        fs::write(dir.join("certificate.pem"), &self.certificate).unwrap();
        fs::write(dir.join("key.pem"), &self.key).unwrap();
    }
}

/// The settings for files in a folder; an authority is written there where it is given.
pub fn files(dir: &Path, clients: Option<&Authority>, peers: Option<&Authority>) -> Tls {
    let put = |name: &str, authority: &Authority| {
        let path = dir.join(name);
        fs::write(&path, authority.pem()).unwrap();
        path
    };
    Tls {
        certificate: dir.join("certificate.pem"),
        key: dir.join("key.pem"),
        client_ca: clients.map(|authority| put("clients.pem", authority)),
        require_client_certificate: false,
        peer_ca: peers.map(|authority| put("peers.pem", authority)),
    }
}

/// A client that trusts an authority and shows a certificate or none.
pub fn client(trusted: &Authority, shown: Option<&Paper>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let Some(paper) = shown else {
        return builder.with_no_client_auth();
    };
    let key = PrivateKeyDer::from_pem_slice(paper.key.as_bytes()).unwrap();
    builder
        .with_client_auth_cert(vec![paper.der()], key)
        .unwrap()
}

/// A connection by TLS; its handshake is done.
pub fn connect(
    address: SocketAddr,
    config: &ClientConfig,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::IpAddress(address.ip().into());
    let mut session = ClientConnection::new(Arc::new(config.clone()), name).unwrap();
    session.complete_io(&mut socket)?;
    Ok(StreamOwned::new(session, socket))
}

/// Sends bytes by TLS, and reads until the other side closes. What it refuses of us in TLS 1.3 shows here.
pub fn told(address: SocketAddr, config: &ClientConfig, request: &[u8]) -> io::Result<String> {
    let mut stream = connect(address, config)?;
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
