//! Log-in by way of an OpenID Connect provider: code flow with PKCE (OpenID Connect Core 1.0, 3.1; RFC 7636; RFC 9700,
//! 2.1.1). A browser is sent out with a token of its own, from which state, nonce and verifier follow by hash, and gets a
//! new session when it comes back with the state.
//!
//! What the provider says is checked in `provider` and read in `claims`. A session is as after a log-in with a password.

mod caller;
mod claims;
pub mod provider;

use super::look::ConsoleError;
use super::session::Token;
use super::words::Words;
use super::{Console, Refusal, door, entry, see};
use crate::clock;
use crate::http::Peer;
use crate::store::people::{self as persons, Arrival};
use crate::store::trips::{self, Trip};
use crate::store::{StoreError, sessions};
use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Uri};
use axum::response::{Html, IntoResponse, Response};
use claims::Guest;
use provider::{Provider, ProviderError};
use serde::Deserialize;
use std::sync::Arc;

/// The most bytes of a code: what the provider sends by way of the browser is anybody's until it is checked.
const MAX_CODE: usize = 4_096;

/// Why a log-in by way of a provider came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// The browser did not set out from here, or too long ago, or is back already.
    Stale,
    /// The provider logged nobody in.
    Declined,
    /// The provider does not answer as it should.
    Silent,
    /// What the provider says does not stand up to the check.
    Untrusted,
    /// No group of theirs gives a role.
    NoRole,
    /// There is no name that can be one here.
    NoName,
    /// Their name is another's.
    Taken,
    /// They may not log in any more.
    Disabled,
    /// There were too many attempts.
    Often,
}

impl Turned {
    /// What stands in the audit log, where it is known whom it concerns.
    fn noted(self) -> &'static str {
        match self {
            Self::NoRole => "log-in by OpenID Connect refused: no role",
            Self::Taken => "log-in by OpenID Connect refused: the name is another's",
            Self::Disabled => "log-in by OpenID Connect refused: disabled",
            Self::Stale
            | Self::Declined
            | Self::Silent
            | Self::Untrusted
            | Self::NoName
            | Self::Often => "log-in by OpenID Connect refused",
        }
    }
}

/// What a provider sends back with the browser (RFC 6749, 4.1.2; RFC 9207).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    code: String,
    state: String,
    error: String,
    iss: String,
}

#[derive(Template)]
#[template(path = "onward.html", config = "src/console/askama.toml")]
struct Onward<'p> {
    look: &'p super::Look,
    w: &'static Words,
    path: &'p str,
}

type Here = State<Arc<Console>>;

/// Sends a browser to the provider.
pub async fn start(
    State(console): Here,
    peer: Option<Extension<Peer>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let provider = console.provider()?;
    // Another site begins no log-in here.
    if door::is_from_elsewhere(&headers) {
        return Ok(see("/console/log-in", ""));
    }
    let peer = entry::address(peer);
    if !console.knocks.set_out(peer, clock::now_ms()) {
        tracing::warn!(%peer, "too many attempts to log in");
        return Err(turned(provider, Turned::Often));
    }
    let back = uri.query().and_then(|query| query.strip_prefix("back="));
    let trip = Trip {
        back: back.and_then(door::way_back).unwrap_or_default().to_owned(),
        session: console
            .cookies
            .shown(&headers)
            .map_or_else(String::new, |session| session.id()),
    };
    let token = Token::new()?;
    let way = provider.way(&token).await;
    let way = way.map_err(|error| failed(provider, &error))?;
    let (id, now_ms) = (token.trip(), clock::now_ms());
    let begun = console
        .clerks
        .commit(move |tx| trips::begin(tx, &id, &trip, now_ms));
    begun.await?;
    let mut response = see(&way, "");
    let cookie = console.cookies.send_out(&token);
    let cookie = cookie.map_err(|_| Refusal::Fault)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// Takes a browser back from the provider, and logs its person in: with a new session, whatever the browser showed.
pub async fn back(
    State(console): Here,
    peer: Option<Extension<Peer>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let provider = console.provider()?;
    let peer = entry::address(peer);
    let Query(asked): Query<Asked> = Query::try_from_uri(&uri).map_err(|_| Refusal::Unreadable)?;
    let (token, trip) = console.returned(&headers, &asked).await?;
    // Where it says who it is, it must be who was asked (RFC 9207, 2.4).
    let is_other = !asked.iss.is_empty() && asked.iss != provider.settings().issuer;
    if is_other {
        tracing::warn!(%peer, "a browser came back from another provider than ours");
        return Err(turned(provider, Turned::Untrusted));
    }
    if asked.code.is_empty() || asked.code.len() > MAX_CODE || !asked.error.is_empty() {
        tracing::warn!(%peer, "the provider logged nobody in");
        return Err(turned(provider, Turned::Declined));
    }
    let claims = provider.claims(asked.code, &token).await;
    let claims = claims.map_err(|error| failed(provider, &error))?;
    let guest = claims::read(provider.settings(), &claims);
    let guest = guest.map_err(|why| {
        tracing::warn!(%peer, ?why, "the provider's claims are of no use");
        turned(provider, why)
    })?;
    let name = console.arrived(guest).await?;
    console.knocks.came_back(peer);
    console.note(&name, "log-in by OpenID Connect").await?;
    let before = Some(trip.session).filter(|session| !session.is_empty());
    let session = console.begin(name, before).await?;
    // A strict cookie would stay behind on a redirect that another site began: the page asks for the next one itself.
    let look = console.look(None, &headers, &uri);
    let page = Onward {
        look: &look,
        w: look.words(),
        path: entry::onward(&trip.back),
    };
    let page = page.render().map_err(ConsoleError::from)?;
    let mut response = Html(page).into_response();
    let cookies = &console.cookies;
    for cookie in [
        cookies.begin(&session),
        cookies.enter(),
        cookies.come_back(),
    ] {
        let cookie = cookie.map_err(|_| Refusal::Fault)?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn turned(provider: &Provider, why: Turned) -> Refusal {
    Refusal::Turned {
        why,
        by: provider.name().to_owned(),
    }
}

fn failed(provider: &Provider, error: &ProviderError) -> Refusal {
    tracing::warn!(%error, "a log-in by way of the provider failed");
    turned(provider, error.turned())
}

impl Console {
    fn provider(&self) -> Result<&Provider, Refusal> {
        self.provider.as_ref().ok_or(Refusal::NotFound)
    }

    /// The browser's token and its trip, which is over then: of who set out from here, and comes back for the first time.
    async fn returned(&self, headers: &HeaderMap, asked: &Asked) -> Result<(Token, Trip), Refusal> {
        let stale = || {
            self.provider()
                .map(|provider| turned(provider, Turned::Stale))
        };
        let token = self.cookies.travelling(headers);
        let Some(token) = token.filter(|token| token.is_back(&asked.state)) else {
            return Err(stale()?);
        };
        let (id, now_ms) = (token.trip(), clock::now_ms());
        let trip = self
            .clerks
            .commit(move |tx| trips::end(tx, &id, now_ms))
            .await?;
        match trip {
            Some(trip) => Ok((token, trip)),
            None => Err(stale()?),
        }
    }

    /// Under which name somebody is let in. Who has no role any more has no session any more.
    async fn arrived(self: &Arc<Self>, guest: Guest) -> Result<String, Refusal> {
        let (name, now_ms) = (guest.name.clone(), clock::now_ms());
        let arrived = self.clerks.commit(move |tx| {
            let Guest {
                provider,
                name,
                role,
            } = guest;
            let Some(role) = role else {
                if let Some(known) = persons::vouched(tx, &provider)? {
                    sessions::end_all(tx, &known.name)?;
                }
                return Ok::<_, StoreError>(None);
            };
            persons::arrive(tx, (&name, role), &provider, now_ms).map(Some)
        });
        let (who, why) = match arrived.await? {
            Some(Arrival::In(name)) => return Ok(name),
            Some(Arrival::Taken) => (name, Turned::Taken),
            Some(Arrival::Disabled(name)) => (name, Turned::Disabled),
            None => (name, Turned::NoRole),
        };
        tracing::warn!(?why, "a log-in by way of the provider was refused");
        self.note(&who, why.noted()).await?;
        Err(turned(self.provider()?, why))
    }
}
