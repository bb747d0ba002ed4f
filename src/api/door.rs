//! The door: who may call what. Callers show a bearer token of which only the SHA-256 is kept.
//!
//! Each line of the clients' file is a name, scopes with commas between, and the token's hash in hex. A
//! token is compared with every client's in the same time. Without such a file everybody may call
//! everything, which is allowed on a loopback address only, unless the configuration says otherwise.

use crate::api::failure::{Code, Failure};
use crate::api::routes::{Route, Scope};
use crate::clock::Stopwatch;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use std::sync::{Mutex, PoisonError};

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
    name: String,
    scopes: Vec<Scope>,
    hash: [u8; 32],
    purse: Mutex<Purse>,
}

/// Calls that a client may still make: filled steadily, up to a tenth of a second's.
#[derive(Debug)]
struct Purse {
    /// In millionths of a call.
    left: u64,
    filled: Stopwatch,
}

/// The clients that are known; nobody: everybody may call.
#[derive(Debug, Default)]
pub struct Door {
    clients: Vec<Client>,
    /// Calls a second of each client.
    rate: u64,
}

impl Door {
    /// Reads a clients' file: lines `NAME SCOPE[,SCOPE…] SHA256`; `#` begins a remark.
    ///
    /// # Errors
    /// The first line that cannot be read, by its number; shows nothing of it.
    pub fn read(text: &str, rate: u32) -> Result<Self, String> {
        let mut clients: Vec<Client> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let client = client(line).ok_or_else(|| {
                format!("line {number} is not a name, scopes, and a SHA-256 as 64 hex digits")
            })?;
            if clients.iter().any(|known| known.name == client.name) {
                return Err(format!("line {number} has a name that stood before"));
            }
            clients.push(client);
        }
        if clients.is_empty() || clients.len() > MAX_CLIENTS {
            return Err(format!(
                "there are {} clients, 1 to {MAX_CLIENTS} are wanted",
                clients.len()
            ));
        }
        Ok(Self {
            clients,
            rate: u64::from(rate),
        })
    }

    /// Whether anybody may call anything.
    pub fn is_open(&self) -> bool {
        self.clients.is_empty()
    }

    /// Lets a caller pass: their name.
    ///
    /// # Errors
    /// Where nobody known calls, or they may not call this.
    pub fn admit(&self, headers: &HeaderMap, route: &Route) -> Result<&str, Failure> {
        let given = headers.get(AUTHORIZATION);
        let given = given.and_then(|given| given.to_str().ok());
        let token = given.and_then(|given| given.strip_prefix("Bearer "));
        let token = token.filter(|token| (1..=MAX_TOKEN).contains(&token.len()));
        let token = token.ok_or(Code::Unauthorized)?;
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for client in &self.clients {
            // Every client is looked at, and every byte of each.
            if is_same(&client.hash, &hash) {
                found = Some(client);
            }
        }
        let client = found.ok_or(Code::Unauthorized)?;
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
        Ok(&client.name)
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
    let (name, scopes, hash) = (words.next()?, words.next()?, words.next()?);
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_name = name.len() <= MAX_NAME && name.bytes().all(fits);
    let of = |word: &str| {
        Scope::ALL
            .iter()
            .copied()
            .find(|scope| scope.word() == word)
    };
    let scopes: Option<Vec<Scope>> = scopes.split(',').map(of).collect();
    let (pairs, rest) = hash.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok())
        .collect();
    let hash: [u8; 32] = bytes?.try_into().ok()?;
    let is_whole = is_name && rest.is_empty() && words.next().is_none();
    is_whole.then_some(Client {
        name: name.to_owned(),
        scopes: scopes?,
        hash,
        purse: Mutex::new(Purse {
            left: u64::MAX,
            filled: Stopwatch::start(),
        }),
    })
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
                let admitted = door.admit(&headers, route);
                let may = route.scopes.is_empty() || route.scopes.contains(scope);
                match admitted {
                    Ok(name) => assert!(may && name == scope.word(), "{}", route.path),
                    Err(failure) => {
                        assert!(!may && failure.code == Code::Forbidden, "{}", route.path);
                        denied += 1;
                    }
                }
            }
            let nobody = [HeaderMap::new(), shows("guessed"), shows("")];
            for headers in nobody {
                let failure = door.admit(&headers, route).unwrap_err();
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
            .map(|_| door.admit(&one, route).err().map(|failure| failure.code))
            .collect();
        assert_eq!(codes[..2], [None, None]);
        assert!(codes.contains(&Some(Code::RateLimited)));
        assert!(door.admit(&shows("token-of-acs-2"), route).is_ok());
        let watch = Stopwatch::start();
        while door.admit(&one, route).is_err() {
            assert!(watch.elapsed().as_secs() < 10, "the purse fills again");
        }
    }
}
