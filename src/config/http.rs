//! The table `[http]` and, in it, `[http.tls]`: where HTTP and gRPC are served, and by which files they are encrypted.
//!
//! What is in those files is deliberately not looked at here, but where they are used.

use super::sheet::{Part, Sheet};
use super::{Http, Tls};
use core::net::SocketAddr;
use std::ops::Range;
use toml_edit::Document;

/// Reads the tables.
pub fn read(sheet: &mut Sheet<'_>, document: &Document<String>, http: &mut Http) {
    let mut part = Part::open(sheet, document, "http");
    if let Some((listen, _)) = address(&mut part, "listen", 8089) {
        http.listen = listen;
    }
    if let Some(given) = part.text("advertise") {
        let port = given.value.rsplit_once(':').map(|(_, port)| port);
        let is_fine = port.is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
            && !given.value.contains(['/', '@', ' ']);
        if is_fine {
            http.advertise = Some(given.value.to_owned());
        } else {
            let message = format!("`{}` is not a host and a port", given.value);
            let help = "write how other instances reach this one: `varsel-1.bank.example:8089`";
            part.fault(given.at, message, help);
        }
    }
    http.open = part.flag("open", http.open);
    if let Some((listen, at)) = address(&mut part, "grpc_listen", 8090) {
        if listen == http.listen && listen.port() != 0 {
            let help = "give gRPC a port of its own, `127.0.0.1:8090`";
            part.fault(
                at,
                format!("`{listen}` is the address of `listen` already"),
                help,
            );
        }
        http.grpc_listen = Some(listen);
    }
    http.tls = tls(&mut part.inner("http.tls"));
}

fn address(
    part: &mut Part<'_, '_, '_>,
    key: &'static str,
    port: u16,
) -> Option<(SocketAddr, Range<usize>)> {
    let given = part.text(key)?;
    let listen = given.value.parse();
    if listen.is_err() {
        let message = format!("`{}` is not an address and a port", given.value);
        let help = format!("write `127.0.0.1:{port}`, or `0.0.0.0:{port}` for every network");
        part.fault(given.at.clone(), message, &help);
    }
    Some((listen.ok()?, given.at))
}

fn tls(part: &mut Part<'_, '_, '_>) -> Option<Tls> {
    let [certificate, key, client_ca, peer_ca] = ["certificate", "key", "client_ca", "peer_ca"]
        .map(|name| {
            let is_written = part.key(name).is_some();
            let file = part.file(name).map(|file| file.value);
            (is_written, file)
        });
    let require_client_certificate = part.flag("require_client_certificate", false);
    let head = part.head.clone()?;
    for (name, (is_written, _), help) in [
        (
            "certificate",
            &certificate,
            "name the file of our certificate and its chain, PEM",
        ),
        (
            "key",
            &key,
            "name the file of the certificate's private key, PEM",
        ),
    ] {
        if !is_written {
            part.fault(head.clone(), format!("`http.tls.{name}` is missing"), help);
        }
    }
    if require_client_certificate
        && !client_ca.0
        && let Some(at) = part.key("require_client_certificate")
    {
        let message =
            "clients' certificates are required, and nothing says whose signature they bear";
        part.fault(at, message, "name their authority with `client_ca`");
    }
    Some(Tls {
        certificate: certificate.1?,
        key: key.1?,
        client_ca: client_ca.1,
        require_client_certificate,
        peer_ca: peer_ca.1,
    })
}
