//! A session as a browser shows it: the token in its cookie, the token that forms carry, and who it is.
//!
//! Of the cookie's token the store has only the SHA-256, and the forms' token follows from it by hash, so that neither
//! can be found from what is stored; nor can what a provider is told of a log-in. When a session is over is decided in
//! the store.

use crate::api::routes::Scope;
use crate::console::people;
use crate::store::trips::LASTS_MS;
use axum::http::header::{COOKIE, InvalidHeaderValue};
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::io;

/// Bytes of a token.
const TOKEN: usize = 32;
/// Characters of a token in base64.
const TOKEN_CHARS: usize = 43;

/// A token: of a session, or of a browser that is still at the door.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Token {
    /// A new one, 256 bits of the system's randomness.
    ///
    /// # Errors
    /// Where the system has none.
    pub fn new() -> io::Result<Self> {
        let bytes: [u8; TOKEN] = people::random()?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Reads what a cookie holds; nothing where it can be no token of ours.
    pub fn read(text: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (text.len() == TOKEN_CHARS && text.bytes().all(fits)).then(|| Self(text.to_owned()))
    }

    /// Its name in the store.
    pub fn id(&self) -> String {
        self.hashed("session")
    }

    /// What forms must carry.
    pub fn csrf(&self) -> String {
        self.hashed("form")
    }

    /// Whether a form carries what it must.
    pub fn fits(&self, csrf: &str) -> bool {
        is_same(&self.csrf(), csrf)
    }

    /// What a provider sends back with the browser (`state`).
    pub fn state(&self) -> String {
        self.hashed("state")
    }

    /// Whether a provider sends back what this browser was sent with.
    pub fn is_back(&self, state: &str) -> bool {
        is_same(&self.state(), state)
    }

    /// What a provider puts into the ID token (`nonce`).
    pub fn nonce(&self) -> String {
        self.hashed("nonce")
    }

    /// What proves to a provider that we are who sent the browser (RFC 7636, `code_verifier`: 43 characters).
    pub fn verifier(&self) -> String {
        self.hashed("verifier")
    }

    /// The name of a trip to a provider in the store.
    pub fn trip(&self) -> String {
        self.hashed("trip")
    }

    fn hashed(&self, what: &str) -> String {
        let mut sum = Sha256::new();
        sum.update(what);
        sum.update(":");
        sum.update(&self.0);
        URL_SAFE_NO_PAD.encode(sum.finalize())
    }
}

/// Whether two texts are the same, in a time that does not depend on where they differ.
fn is_same(own: &str, other: &str) -> bool {
    let differing = own
        .bytes()
        .zip(other.bytes())
        .fold(0, |bits, (a, b)| std::hint::black_box(bits | (a ^ b)));
    own.len() == other.len() && differing == 0
}

/// Somebody who is logged in.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Their name.
    pub name: String,
    /// What they may do.
    pub role: Scope,
    /// Their session.
    pub token: Token,
}

/// The cookies of this console.
#[derive(Debug, Clone, Copy)]
pub struct Cookies {
    /// Whether the browser comes by TLS: then the cookies are for TLS alone, and for this very host.
    pub is_secure: bool,
}

impl Cookies {
    fn session(self) -> &'static str {
        if self.is_secure {
            "__Host-varsel"
        } else {
            "varsel"
        }
    }

    fn door(self) -> &'static str {
        if self.is_secure {
            "__Host-varsel-door"
        } else {
            "varsel-door"
        }
    }

    fn trip(self) -> &'static str {
        if self.is_secure {
            "__Host-varsel-trip"
        } else {
            "varsel-trip"
        }
    }

    /// The token of a session, if one is shown.
    pub fn shown(self, headers: &HeaderMap) -> Option<Token> {
        Token::read(&value(headers, self.session())?)
    }

    /// The token of a browser that is still at the door.
    pub fn at_door(self, headers: &HeaderMap) -> Option<Token> {
        Token::read(&value(headers, self.door())?)
    }

    /// The token of a browser that was sent to a provider.
    pub fn travelling(self, headers: &HeaderMap) -> Option<Token> {
        Token::read(&value(headers, self.trip())?)
    }

    /// Sets the cookie of a session; it ends with the browser.
    pub fn begin(self, token: &Token) -> Result<HeaderValue, InvalidHeaderValue> {
        self.set(self.session(), &token.0, "")
    }

    /// Sets the cookie of a browser at the door.
    pub fn greet(self, token: &Token) -> Result<HeaderValue, InvalidHeaderValue> {
        self.set(self.door(), &token.0, "")
    }

    /// Takes the session's cookie away.
    pub fn end(self) -> Result<HeaderValue, InvalidHeaderValue> {
        self.set(self.session(), "", "; Max-Age=0")
    }

    /// Takes the door's cookie away.
    pub fn enter(self) -> Result<HeaderValue, InvalidHeaderValue> {
        self.set(self.door(), "", "; Max-Age=0")
    }

    /// Sets the cookie of a browser that is sent to a provider, for as long as a trip lasts. It is the one that is not
    /// strict: the provider sends the browser back, and a strict cookie would stay behind then.
    pub fn send_out(self, token: &Token) -> Result<HeaderValue, InvalidHeaderValue> {
        let lasts_s = LASTS_MS / 1_000;
        self.bake(
            self.trip(),
            &token.0,
            "Lax",
            &format!("; Max-Age={lasts_s}"),
        )
    }

    /// Takes a trip's cookie away.
    pub fn come_back(self) -> Result<HeaderValue, InvalidHeaderValue> {
        self.bake(self.trip(), "", "Lax", "; Max-Age=0")
    }

    /// Sets a choice (language, colours) for a year.
    pub fn choose(self, name: &str, word: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        self.set(name, word, "; Max-Age=31536000")
    }

    fn set(self, name: &str, value: &str, more: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        self.bake(name, value, "Strict", more)
    }

    fn bake(
        self,
        name: &str,
        value: &str,
        site: &str,
        more: &str,
    ) -> Result<HeaderValue, InvalidHeaderValue> {
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite={site}{secure}{more}");
        HeaderValue::from_str(&cookie)
    }
}

/// What a cookie of that name holds; nothing where there are two, of which one may be another's.
pub fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = None;
    for header in headers.get_all(COOKIE) {
        for pair in header.to_str().ok()?.split(';') {
            if let Some((key, value)) = pair.trim().split_once('=')
                && key == name
                && found.replace(value.to_owned()).is_some()
            {
                return None;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_forms_carry_fits_one_token_alone_and_says_nothing_of_it() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert!(one.fits(&one.csrf()));
        for wrong in [other.csrf(), String::new(), one.id(), one.0.clone()] {
            assert!(!one.fits(&wrong));
        }
        assert_ne!(one.csrf(), one.id());
        assert!(one.is_back(&one.state()) && !one.is_back(&other.state()));
        let told = [one.id(), one.csrf(), one.state(), one.nonce(), one.trip()];
        assert!(!told.contains(&one.verifier()));
        assert_eq!(Token::read(&one.0), Some(one.clone()));
        assert!(Token::read("short").is_none());
        assert!(Token::read(&format!("{}=", &one.0[..42])).is_none());
        assert_eq!(format!("{one:?}"), "…");
    }

    #[test]
    fn a_cookie_given_twice_is_none() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; varsel=x"));
        assert_eq!(value(&headers, "varsel").as_deref(), Some("x"));
        assert_eq!(value(&headers, "arsel"), None);
        headers.append(COOKIE, HeaderValue::from_static("varsel=y"));
        assert_eq!(value(&headers, "varsel"), None);
    }

    #[test]
    fn under_tls_cookies_are_for_this_host_and_tls_alone() {
        let token = Token::new().unwrap();
        let by_tls = Cookies { is_secure: true }.begin(&token).unwrap();
        let plain = Cookies { is_secure: false }.begin(&token).unwrap();
        let by_tls = by_tls.to_str().unwrap();
        assert!(by_tls.starts_with("__Host-varsel=") && by_tls.contains("; Secure"));
        let plain = plain.to_str().unwrap();
        assert!(plain.starts_with("varsel=") && !plain.contains("Secure"));
        for cookie in [by_tls, plain] {
            assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Strict"));
        }
    }
}
