//! Whom we trust where we call others by TLS: whom the system trusts, or the authorities of a file.
//!
//! A certificate is always checked, also by the name that was called. The mail server's way is lettre's, and the
//! TLS of our own ports stands in `http/tls.rs`.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// What a client of TLS 1.2 or 1.3 works by; with a file, only its authorities (PEM) are trusted.
///
/// # Errors
/// Where the file cannot be read or names no authority.
pub fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Some(path) => {
            let told = |why: String| format!("`{}`: {why}", path.display());
            let read =
                CertificateDer::pem_file_iter(path).map_err(|error| told(error.to_string()))?;
            for certificate in read {
                let certificate = certificate.map_err(|error| told(error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| told(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(told("it holds no certificate, PEM".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
