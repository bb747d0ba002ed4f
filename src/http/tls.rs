//! TLS of our own: certificate, key and authorities, read from files and read again when those change.
//!
//! A changed file counts from the next handshake on; one that is faulty changes nothing. Revocation
//! lists are deliberately not read: who must not come any more is taken out of the clients' file.

use super::validity;
use crate::clock;
use crate::config;
use crate::telemetry::Metrics;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, InconsistentKeys, RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use zeroize::Zeroizing;

/// The most bytes of a file; what is longer is some other file.
const MAX_BYTES: u64 = 1024 * 1024;
/// What the port of the API speaks, and that of gRPC (RFC 7301).
const HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];
const GRPC: [&[u8]; 1] = [b"h2"];

/// A fault of a file: its key in the configuration, what is wrong, and how it is mended.
#[derive(Debug, thiserror::Error)]
#[error("`http.tls.{key}`: {fault}\n  = help: {help}")]
pub struct TlsError {
    key: &'static str,
    fault: String,
    help: &'static str,
}

/// The certificate that a client has shown, and proven to have the key of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// SHA-256 of its DER, as `openssl x509 -fingerprint -sha256` has it.
    pub fingerprint: [u8; 32],
    /// Whether it is our own: another instance with the same files.
    pub is_ours: bool,
}

/// What the files say.
#[derive(Debug)]
struct Current {
    http: Arc<ServerConfig>,
    grpc: Arc<ServerConfig>,
    peers: Option<Arc<ClientConfig>>,
    fingerprint: [u8; 32],
    ends_ms: Option<i64>,
}

/// TLS as the files have it.
#[derive(Debug)]
pub struct Tls {
    files: config::Tls,
    metrics: Arc<Metrics>,
    current: RwLock<Arc<Current>>,
    /// Of what was read last, good or not, so that the same fault is told once.
    seen: Mutex<[u8; 32]>,
}

/// The bytes of the files.
struct Texts {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
    peer_ca: Option<Vec<u8>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn open(files: config::Tls, metrics: &Arc<Metrics>) -> Result<Self, TlsError> {
        let texts = Texts::read(&files)?;
        let current = Current::of(&files, &texts)?;
        let tls = Self {
            files,
            metrics: Arc::clone(metrics),
            current: RwLock::new(Arc::new(current)),
            seen: Mutex::new(texts.digest()),
        };
        tls.told();
        Ok(tls)
    }

    /// Reads the files again; where they have changed and are fine, they count from now on.
    pub fn renew(&self) {
        let texts = Texts::read(&self.files);
        let digest = texts.as_ref().map_or([0; 32], Texts::digest);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == digest {
            return;
        }
        *seen = digest;
        match texts.and_then(|texts| Current::of(&self.files, &texts)) {
            Ok(current) => {
                // Sessions of the old configuration cannot be resumed under the new one: it keeps its own.
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
                self.metrics.tls_reloads.add("accepted", 1);
                tracing::info!("the new certificate is in use");
                self.told();
            }
            Err(error) => {
                self.metrics.tls_reloads.add("refused", 1);
                tracing::error!(
                    "the new certificate is refused, the old one stays in use: {error}"
                );
            }
        }
    }

    /// What a port answers a handshake with.
    pub fn server(&self, is_grpc: bool) -> Arc<ServerConfig> {
        let current = self.current();
        Arc::clone(if is_grpc {
            &current.grpc
        } else {
            &current.http
        })
    }

    /// With what other instances are called; nothing where it is not said whose certificates to trust.
    pub fn peers(&self) -> Option<Arc<ClientConfig>> {
        self.current().peers.clone()
    }

    /// Who a client is that has shown this certificate.
    pub fn shown(&self, certificate: &[u8]) -> Shown {
        let fingerprint = Sha256::digest(certificate).into();
        Shown {
            fingerprint,
            is_ours: fingerprint == self.current().fingerprint,
        }
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells until when the certificate is valid.
    fn told(&self) {
        let Some(ends_ms) = self.current().ends_ms else {
            return;
        };
        let seconds = u64::try_from(ends_ms / 1_000).unwrap_or(0);
        self.metrics.tls_ends_s.store(seconds, Relaxed);
        if ends_ms < clock::now_ms() {
            let file = self.files.certificate.display();
            tracing::warn!(%file, "our certificate is expired: clients will refuse it");
        }
    }
}

impl Texts {
    fn read(files: &config::Tls) -> Result<Self, TlsError> {
        let optional = |key, path: Option<&Path>| path.map(|path| read(key, path)).transpose();
        Ok(Self {
            certificate: read("certificate", &files.certificate)?,
            key: Zeroizing::new(read("key", &files.key)?),
            client_ca: optional("client_ca", files.client_ca.as_deref())?,
            peer_ca: optional("peer_ca", files.peer_ca.as_deref())?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut sum = Sha256::new();
        let [client, peer] =
            [&self.client_ca, &self.peer_ca].map(|ca| ca.as_deref().unwrap_or_default());
        for text in [&self.certificate, &*self.key, client, peer] {
            sum.update(Sha256::digest(text));
        }
        sum.finalize().into()
    }
}

impl Current {
    fn of(files: &config::Tls, texts: &Texts) -> Result<Self, TlsError> {
        let chain = certificates("certificate", &files.certificate, &texts.certificate)?;
        let leaf = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
        let mut trusted = Vec::new();
        for (key, path, text) in [
            ("client_ca", &files.client_ca, &texts.client_ca),
            ("peer_ca", &files.peer_ca, &texts.peer_ca),
        ] {
            let pair = path.as_deref().zip(text.as_deref());
            trusted.push(
                pair.map(|(path, text)| roots(key, path, text))
                    .transpose()?,
            );
        }
        let peer_roots = trusted.pop().flatten();
        let client_roots = trusted.pop().flatten();
        let verifier = verifier(
            client_roots,
            peer_roots.clone(),
            files.require_client_certificate,
        )?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(files, &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key(&files.key, &texts.key)?)
            .map_err(|error| unusable(files, &error))?;
        let peers = peer_roots.map(|roots| -> Result<_, TlsError> {
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| unusable(files, &error))?
                .with_root_certificates(roots)
                .with_client_auth_cert(chain, key(&files.key, &texts.key)?)
                .map_err(|error| unusable(files, &error))?;
            Ok(Arc::new(config))
        });
        let speaking = |words: &[&[u8]]| {
            let mut server = server.clone();
            server.alpn_protocols = words.iter().map(|word| word.to_vec()).collect();
            Arc::new(server)
        };
        Ok(Self {
            http: speaking(&HTTP),
            grpc: speaking(&GRPC),
            peers: peers.transpose()?,
            fingerprint: Sha256::digest(&leaf).into(),
            ends_ms: validity::of(&leaf).map(|(_, last)| last),
        })
    }
}

/// Who looks at clients' certificates: of the clients' authorities, or of other instances'.
fn verifier(
    clients: Option<RootCertStore>,
    peers: Option<RootCertStore>,
    is_required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for store in [clients, peers].into_iter().flatten() {
        roots.roots.extend(store.roots);
    }
    if roots.is_empty() {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if is_required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(|error| TlsError {
        key: "client_ca",
        fault: error.to_string(),
        help: "name the authority that signs the clients' certificates",
    })
}

fn roots(key: &'static str, path: &Path, text: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(key, path, text)? {
        roots.add(certificate).map_err(|error| TlsError {
            key,
            fault: format!(
                "`{}` holds no authority that can be used: {error}",
                path.display()
            ),
            help: "write the authority's certificates into it, PEM",
        })?;
    }
    Ok(roots)
}

/// Every certificate of a file; at least one.
fn certificates(
    key: &'static str,
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |what: String| TlsError {
        key,
        fault: format!("`{}` {what}", path.display()),
        help: "it should hold PEM: `-----BEGIN CERTIFICATE-----` …, our own first, then its chain",
    };
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text).collect();
    let all = read.map_err(|error| fault(format!("cannot be read as PEM: {error}")))?;
    if all.is_empty() {
        return Err(fault("holds no certificate".to_owned()));
    }
    Ok(all)
}

fn key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let shown = path.display();
    let fault = |fault, help| TlsError {
        key: "key",
        fault,
        help,
    };
    if text.windows(9).any(|word| word == b"ENCRYPTED") {
        let help = "write it without a passphrase: `openssl pkey -in KEY -out PLAIN`, readable by this user alone";
        return Err(fault(format!("the key in `{shown}` is encrypted"), help));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|_| {
        let help = "it should hold PEM: `-----BEGIN PRIVATE KEY-----` …";
        fault(format!("`{shown}` holds no private key"), help)
    })
}

fn unusable(files: &config::Tls, error: &rustls::Error) -> TlsError {
    let [certificate, key] = [&files.certificate, &files.key].map(|path| path.display());
    if *error == rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
        return TlsError {
            key: "key",
            fault: format!("`{key}` does not belong to the certificate in `{certificate}`"),
            help: "name the key for which the certificate was made; a new certificate often has a new key",
        };
    }
    TlsError {
        key: "certificate",
        fault: format!("`{certificate}` with `{key}` cannot be used: {error}"),
        help: "have a certificate made for an ECDSA, Ed25519 or RSA key of at least 2,048 bits",
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    read.map_err(|error| TlsError {
        key,
        fault: format!("`{}` cannot be read: {error}", path.display()),
        help: "see that it is there, and readable by this user",
    })?;
    Ok(text)
}
