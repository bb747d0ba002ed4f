//! The door: who may call what. Callers show a bearer token, or a certificate, of which only the SHA-256 is kept.
//!
//! Each line of the clients' file is a name, scopes with commas between, and one or both of the token's hash in hex and
//! the certificate's fingerprint in hex with colons; where both are written, both must be shown. They are compared with
//! every client's in the same time. A new file counts from the next call on. Without such a file everybody may call everything, which is allowed on a loopback
//! address only, unless the configuration says otherwise.

use crate::api::failure::{Code, Failure};
use crate::api::routes::{Route, Scope};
use crate::clock::Stopwatch;
use crate::http::Shown;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Says that a call was handed over by another instance.
pub const FORWARDED: HeaderName = HeaderName::from_static("varsel-forwarded");
/// Who calls, as the door has found; believed of nobody but another instance that hands a call over.
pub const CLIENT: HeaderName = HeaderName::from_static("varsel-client");
/// One call, in millionths.
const CALL: u64 = 1_000_000;
/// The most clients.
const MAX_CLIENTS: usize = 1_000;
/// The longest name of a client.
const MAX_NAME: usize = 64;
/// The longest token that is looked at.
const MAX_TOKEN: usize = 512;

/// Who may call, and what.
#[derive(Debug)]
struct Client {
    name: Arc<str>,
    scopes: Vec<Scope>,
    /// SHA-256 of the token.
    token: Option<[u8; 32]>,
    /// SHA-256 of the certificate's DER.
    certificate: Option<[u8; 32]>,
    purse: Mutex<Purse>,
}

/// Calls that a client may still make: filled steadily, up to a tenth of a second's.
#[derive(Debug)]
struct Purse {
    /// In millionths of a call.
    left: u64,
    filled: Stopwatch,
}

/// The clients that are known.
#[derive(Debug, Default)]
struct Clients(Vec<Client>);

/// Where every caller passes; where no clients are known, everybody.
#[derive(Debug, Default)]
pub struct Door {
    clients: RwLock<Arc<Clients>>,
    is_guarded: bool,
    /// Calls a second of each client.
    rate: u64,
}

impl Door {
    /// Reads a clients' file: lines `NAME SCOPE[,SCOPE…] SHA256 [SHA256]`; `#` begins a remark.
    ///
    /// # Errors
    /// The first line that cannot be read, by its number; shows nothing of it.
    pub fn read(text: &str, rate: u32) -> Result<Self, String> {
        Ok(Self {
            clients: RwLock::new(Arc::new(Clients::read(text)?)),
            is_guarded: true,
            rate: u64::from(rate),
        })
    }

    /// Reads a new clients' file.
    ///
    /// # Errors
    /// As [`Door::read`]; what was in force stays so.
    pub fn renew(&self, text: &str) -> Result<(), String> {
        let clients = Arc::new(Clients::read(text)?);
        *self.clients.write().unwrap_or_else(PoisonError::into_inner) = clients;
        Ok(())
    }

    /// Whether anybody may call anything.
    pub fn is_open(&self) -> bool {
        !self.is_guarded
    }

    /// Lets a caller pass: their name.
    ///
    /// # Errors
    /// Where nobody known calls, or they may not call this.
    pub fn admit(
        &self,
        headers: &HeaderMap,
        shown: Option<Shown>,
        route: &Route,
    ) -> Result<Arc<str>, Failure> {
        let clients = self.clients.read().unwrap_or_else(PoisonError::into_inner);
        let clients = Arc::clone(&clients);
        let client = clients.caller(headers, shown).ok_or(Code::Unauthorized)?;
        let may = route.scopes.is_empty()
            || route
                .scopes
                .iter()
                .any(|scope| client.scopes.contains(scope));
        if !may {
            let wanted: Vec<&str> = route.scopes.iter().map(|scope| scope.word()).collect();
            let text = format!("this call is for {}", wanted.join(", "));
            return Err(Failure::new(Code::Forbidden, text));
        }
        if !self.pays(client) {
            return Err(Code::RateLimited.into());
        }
        Ok(Arc::clone(&client.name))
    }

    /// Takes one call out of a client's purse.
    fn pays(&self, client: &Client) -> bool {
        let mut purse = client.purse.lock().unwrap_or_else(PoisonError::into_inner);
        let micros = u64::try_from(purse.filled.elapsed().as_micros()).unwrap_or(u64::MAX);
        let most = (self.rate * CALL / 10).max(CALL);
        purse.left = micros
            .saturating_mul(self.rate)
            .saturating_add(purse.left)
            .min(most);
        purse.filled = Stopwatch::start();
        let pays = purse.left >= CALL;
        if pays {
            purse.left -= CALL;
        }
        pays
    }
}

impl Clients {
    fn read(text: &str) -> Result<Self, String> {
        let mut clients: Vec<Client> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let client = client(line).ok_or_else(|| {
                format!("line {number} is not a name, scopes, and a SHA-256 as 64 hex digits or 32 pairs with colons")
            })?;
            if clients.iter().any(|known| known.name == client.name) {
                return Err(format!("line {number} has a name that stood before"));
            }
            let is_shared = |known: &Client| {
                known.token.is_some() && known.token == client.token
                    || known.certificate.is_some() && known.certificate == client.certificate
            };
            if clients.iter().any(is_shared) {
                return Err(format!("line {number} has a SHA-256 that stood before"));
            }
            clients.push(client);
        }
        if clients.is_empty() || clients.len() > MAX_CLIENTS {
            return Err(format!(
                "there are {} clients, 1 to {MAX_CLIENTS} are wanted",
                clients.len()
            ));
        }
        Ok(Self(clients))
    }

    /// Who calls. A token and a certificate must be of one client where both are known; a certificate that is in no line
    /// says nothing of who calls, so that the token decides.
    fn caller(&self, headers: &HeaderMap, shown: Option<Shown>) -> Option<&Client> {
        let by_token = match headers.get(AUTHORIZATION) {
            Some(given) => {
                let token = given.to_str().ok()?.strip_prefix("Bearer ")?;
                let fits = (1..=MAX_TOKEN).contains(&token.len());
                let hash = Sha256::digest(token.as_bytes()).into();
                Some(self.of(&hash, |client| client.token).filter(|_| fits)?)
            }
            None => None,
        };
        let by_certificate = self.shows(headers, shown);
        match (by_token, by_certificate) {
            (Some(one), Some(other)) => std::ptr::eq(one, other).then_some(one),
            (Some(client), None) => Some(client).filter(|client| client.certificate.is_none()),
            (None, Some(client)) => Some(client).filter(|client| client.token.is_none()),
            (None, None) => None,
        }
    }

    /// Whose certificate it is; of a call that another instance hands over, whose certificate or token that one has seen.
    fn shows(&self, headers: &HeaderMap, shown: Option<Shown>) -> Option<&Client> {
        let shown = shown?;
        let client = self.of(&shown.fingerprint, |client| client.certificate);
        let is_peer =
            shown.is_ours || client.is_some_and(|client| client.scopes.contains(&Scope::Peer));
        if !is_peer || !headers.contains_key(FORWARDED) {
            return client;
        }
        let name = headers.get(CLIENT)?.to_str().ok()?;
        self.0.iter().find(|client| *client.name == *name)
    }

    /// The client with this hash: every one is looked at, and every byte of each.
    fn of(&self, hash: &[u8; 32], has: impl Fn(&Client) -> Option<[u8; 32]>) -> Option<&Client> {
        let mut found = None;
        for client in &self.0 {
            if has(client).is_some_and(|known| is_same(&known, hash)) {
                found = Some(client);
            }
        }
        found
    }
}

/// Whether two hashes are equal, in a time that does not depend on where they differ.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let differing = one
        .iter()
        .zip(other)
        .fold(0, |bits, (a, b)| std::hint::black_box(bits | (a ^ b)));
    differing == 0
}

fn client(line: &str) -> Option<Client> {
    let mut words = line.split_whitespace();
    let (name, scopes) = (words.next()?, words.next()?);
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_name = name.len() <= MAX_NAME && name.bytes().all(fits);
    let of = |word: &str| {
        Scope::ALL
            .iter()
            .copied()
            .find(|scope| scope.word() == word)
    };
    let scopes: Option<Vec<Scope>> = scopes.split(',').map(of).collect();
    let (mut token, mut certificate) = (None, None);
    for hash in words {
        let is_certificate = hash.contains(':');
        let place = if is_certificate {
            &mut certificate
        } else {
            &mut token
        };
        let separator = if is_certificate { ":" } else { "" };
        if place.replace(hash_of(hash, separator)?).is_some() {
            return None;
        }
    }
    let is_whole = is_name && (token.is_some() || certificate.is_some());
    is_whole.then_some(Client {
        name: Arc::from(name),
        scopes: scopes?,
        token,
        certificate,
        purse: Mutex::new(Purse {
            left: u64::MAX,
            filled: Stopwatch::start(),
        }),
    })
}

/// 32 bytes in hex, with this between each.
fn hash_of(text: &str, separator: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; 32];
    let mut rest = text;
    for (number, byte) in bytes.iter_mut().enumerate() {
        if number > 0 {
            rest = rest.strip_prefix(separator)?;
        }
        let (pair, more) = rest.split_at_checked(2)?;
        let &[high, low] = pair.as_bytes() else {
            return None;
        };
        *byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
        rest = more;
    }
    rest.is_empty().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes::ROUTES;
    use axum::http::HeaderValue;

    fn line(name: &str, scopes: &str) -> String {
        let hash = Sha256::digest(format!("token-of-{name}"));
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {scopes} {hex}\n")
    }

    fn shows(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        headers.insert(AUTHORIZATION, value);
        headers
    }

    #[test]
    fn every_call_is_for_those_scopes_that_the_table_names_and_for_no_other() {
        let text: String = Scope::ALL
            .iter()
            .map(|scope| line(scope.word(), scope.word()))
            .collect();
        let door = Door::read(&text, 1_000_000).unwrap();
        let mut denied = 0;
        for route in ROUTES {
            for scope in Scope::ALL {
                let headers = shows(&format!("token-of-{}", scope.word()));
                let admitted = door.admit(&headers, None, route);
                let may = route.scopes.is_empty() || route.scopes.contains(scope);
                match admitted {
                    Ok(name) => assert!(may && *name == *scope.word(), "{}", route.path),
                    Err(failure) => {
                        assert!(!may && failure.code == Code::Forbidden, "{}", route.path);
                        denied += 1;
                    }
                }
            }
            let nobody = [HeaderMap::new(), shows("guessed"), shows("")];
            for headers in nobody {
                let failure = door.admit(&headers, None, route).unwrap_err();
                assert_eq!(failure.code, Code::Unauthorized);
            }
        }
        assert!(denied > 20, "{denied}");
    }

    #[test]
    fn what_changes_something_is_not_for_those_who_only_look() {
        for route in ROUTES.iter().filter(|route| route.method == "POST") {
            for scope in [Scope::ReadOnly, Scope::Auditor, Scope::RuleAuthor] {
                assert!(!route.scopes.contains(&scope), "{}", route.path);
            }
            assert!(!route.scopes.is_empty(), "{}", route.path);
        }
    }

    #[test]
    fn a_faulty_line_is_told_by_its_number_and_not_shown() {
        let good = line("acs-1", "acs,host");
        let read = |text: &str| Door::read(text, 1).map(drop);
        assert!(read(&format!("# ours\n{good}")).is_ok());
        for bad in ["secret", "a b c", "acs-2 pilot 00", &good] {
            let told = read(&format!("{good}{bad}\n")).unwrap_err();
            assert!(
                told.starts_with("line 2") && !told.contains("secret"),
                "{told}"
            );
        }
        assert!(read("").is_err());
    }

    #[test]
    fn who_asks_more_often_than_they_may_is_told_so_and_nobody_else_is() {
        let text = line("acs-1", "acs") + &line("acs-2", "acs");
        let door = Door::read(&text, 20).unwrap();
        let route = ROUTES.iter().find(|route| route.judges).unwrap();
        let one = shows("token-of-acs-1");
        // A purse holds a tenth of a second's calls: two.
        let codes: Vec<Option<Code>> = (0..50)
            .map(|_| {
                door.admit(&one, None, route)
                    .err()
                    .map(|failure| failure.code)
            })
            .collect();
        assert_eq!(codes[..2], [None, None]);
        assert!(codes.contains(&Some(Code::RateLimited)));
        assert!(door.admit(&shows("token-of-acs-2"), None, route).is_ok());
        let watch = Stopwatch::start();
        while door.admit(&one, None, route).is_err() {
            assert!(watch.elapsed().as_secs() < 10, "the purse fills again");
        }
    }

    fn fingerprint(name: &str) -> [u8; 32] {
        Sha256::digest(format!("certificate-of-{name}")).into()
    }

    fn with_colons(name: &str) -> String {
        let pairs: Vec<String> = fingerprint(name)
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        pairs.join(":")
    }

    fn certificate(name: &str) -> Option<Shown> {
        Some(Shown {
            fingerprint: fingerprint(name),
            is_ours: name == "ours",
        })
    }

    /// Clients that show a token, a certificate, both; and another instance.
    fn mixed() -> Door {
        let both = line("both", "acs").trim_end().to_owned() + " " + &with_colons("both") + "\n";
        let by_certificate = format!("cert acs {}\n", with_colons("cert"));
        let peer = format!("varsel-2 peer {}\n", with_colons("varsel-2"));
        Door::read(
            &(line("token", "acs") + &by_certificate + &both + &peer),
            1_000,
        )
        .unwrap()
    }

    #[test]
    fn a_token_and_a_certificate_are_of_one_client_or_nobody_passes() {
        let door = mixed();
        let route = ROUTES.iter().find(|route| route.judges).unwrap();
        let none = HeaderMap::new;
        let token = |name: &str| shows(&format!("token-of-{name}"));
        for (headers, shown, who) in [
            (none(), None, None),
            (token("token"), None, Some("token")),
            (none(), certificate("cert"), Some("cert")),
            (none(), certificate("strange"), None),
            // A certificate that nobody has named is none.
            (token("token"), certificate("strange"), Some("token")),
            (token("strange"), certificate("cert"), None),
            (shows(""), certificate("cert"), None),
            (token("token"), certificate("cert"), None),
            (token("both"), certificate("both"), Some("both")),
            (token("both"), None, None),
            (token("both"), certificate("strange"), None),
            (none(), certificate("both"), None),
        ] {
            let admitted = door.admit(&headers, shown, route);
            match who {
                Some(who) => assert_eq!(admitted.as_deref(), Ok(who)),
                None => assert_eq!(admitted.unwrap_err().code, Code::Unauthorized),
            }
        }
    }

    #[test]
    fn whom_an_instance_has_let_pass_is_believed_of_an_instance_alone() {
        let door = mixed();
        let route = ROUTES.iter().find(|route| route.judges).unwrap();
        let of = |name: &'static str, is_forwarded: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(CLIENT, HeaderValue::from_static(name));
            if is_forwarded {
                headers.insert(FORWARDED, HeaderValue::from_static("1"));
            }
            headers
        };
        for peer in ["varsel-2", "ours"] {
            let admit = |headers| door.admit(&headers, certificate(peer), route);
            assert_eq!(admit(of("cert", true)).as_deref(), Ok("cert"));
            assert_eq!(
                admit(of("strange", true)).unwrap_err().code,
                Code::Unauthorized
            );
            // An instance by itself may ask for nothing.
            assert!(admit(of("cert", false)).is_err());
            assert!(admit(of("varsel-2", true)).is_err());
            let mut both = of("both", true);
            assert!(admit(both.clone()).is_err(), "its token is missing");
            both.extend(shows("token-of-both"));
            assert_eq!(admit(both).as_deref(), Ok("both"));
        }
        for shown in [None, certificate("cert"), certificate("strange")] {
            let admitted = door.admit(&of("both", true), shown, route);
            assert_ne!(admitted.as_deref(), Ok("both"));
        }
    }

    #[test]
    fn who_is_taken_out_of_the_file_may_not_call_any_more() {
        let door = mixed();
        let route = ROUTES.iter().find(|route| route.judges).unwrap();
        let is_let_in = || {
            door.admit(&HeaderMap::new(), certificate("cert"), route)
                .is_ok()
        };
        assert!(door.renew("a faulty file").is_err() && is_let_in());
        door.renew(&line("token", "acs")).unwrap();
        assert!(!is_let_in());
        assert!(door.admit(&shows("token-of-token"), None, route).is_ok());
    }
}
