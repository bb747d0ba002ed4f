//! The entry: what stands before every page (who is it, may they, is the form theirs), logging in and out, and the
//! headers that every answer bears.
//!
//! A wrong name and a wrong password are told by the same answer after the same work.

use super::door::{self, Needs, Route};
use super::oidc::provider::Provider;
use super::session::{Token, Visitor};
use super::{Console, LANG, Refusal, Sent, THEME, fault, login, people, see};
use crate::api::audit::Entry;
use crate::clock;
use crate::http::Peer;
use crate::store::{StoreError, people as persons, sessions};
use axum::Extension;
use axum::extract::{DefaultBodyLimit, Form, FromRequest, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::MethodRouter;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The most bytes of a form.
const MAX_FORM: usize = 16 * 1024;
/// How long a form may take to come.
const FORM_WAIT: Duration = Duration::from_secs(5);
/// What a browser may do with our pages: nothing inline, nothing from elsewhere, nothing framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// A page that asks for itself once more, from here: then a browser shows its strict cookies too.
const ONCE_MORE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0\"><title>Varsel</title></head><body><p>Varsel …</p></body></html>\n";

type Here = State<Arc<Console>>;
type What = Extension<Arc<Sent>>;

/// A page behind the guard.
pub fn guarded(
    console: &Arc<Console>,
    route: &'static Route,
    page: MethodRouter<Arc<Console>>,
) -> MethodRouter<Arc<Console>> {
    let console = Arc::clone(console);
    let page: MethodRouter<Arc<Console>> = page.layer(from_fn(move |request, next| {
        pass(Arc::clone(&console), route, request, next)
    }));
    page.layer(DefaultBodyLimit::max(MAX_FORM))
}

async fn pass(
    console: Arc<Console>,
    route: &'static Route,
    request: Request,
    next: Next,
) -> Response {
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let is_get = request.method() == Method::GET;
    let visitor = console.visitor(&headers, !route.by_itself).await;
    let known = visitor.as_ref().ok().cloned().flatten();
    let answer = match visitor {
        Ok(visitor) => admitted(&console, route, visitor, request, next).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = answer.unwrap_or_else(Refusal::into_response);
    if let Some(refusal) = response.extensions_mut().remove::<Arc<Refusal>>() {
        let is_visit = is_get && !route.by_itself;
        response = if is_visit && matches!(*refusal, Refusal::LoggedOut) {
            to_log_in(&headers, &uri)
        } else {
            let mut look = console.look(known.as_ref(), &headers, &uri);
            look.said = None;
            fault::answer(&look, &refusal)
        };
    }
    dressed(response)
}

/// Who comes from elsewhere has left their cookie behind: they are asked to come once more before they must log in.
fn to_log_in(headers: &HeaderMap, uri: &Uri) -> Response {
    if door::is_from_elsewhere(headers) {
        return Html(ONCE_MORE).into_response();
    }
    let path = uri.path();
    if matches!(path, "/console" | "/console/" | "/console/queue") {
        return see("/console/log-in", "");
    }
    see(&format!("/console/log-in?back={path}"), "")
}

/// The headers of every answer.
fn dressed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let cached = headers.entry(CACHE_CONTROL);
    cached.or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Lets a request pass that may: its visitor and its form go with it.
async fn admitted(
    console: &Arc<Console>,
    route: &Route,
    visitor: Option<Visitor>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if visitor.is_none() && route.needs != Needs::Nothing {
        return Err(Refusal::LoggedOut);
    }
    if let Some(visitor) = &visitor
        && !door::may(visitor.role, route.needs)
    {
        return Err(Refusal::Forbidden);
    }
    if route.method == "POST" {
        let own = console.settings.origin.as_deref();
        let headers = request.headers().clone();
        if !door::is_of_here(&headers, request.uri(), own) {
            return Err(Refusal::Foreign);
        }
        let (parts, body) = request.into_parts();
        let form = Request::from_parts(parts.clone(), body);
        let sent = tokio::time::timeout(FORM_WAIT, Form::<Sent>::from_request(form, &()));
        let Ok(Ok(Form(sent))) = sent.await else {
            return Err(Refusal::Unreadable);
        };
        let is_visitors = visitor
            .as_ref()
            .is_some_and(|visitor| visitor.token.fits(&sent.csrf));
        let at_door = console.cookies.at_door(&headers);
        let is_doors =
            route.needs == Needs::Nothing && at_door.is_some_and(|token| token.fits(&sent.csrf));
        if !is_visitors && !is_doors {
            return Err(Refusal::Foreign);
        }
        request = Request::from_parts(parts, axum::body::Body::empty());
        request.extensions_mut().insert(Arc::new(sent));
    }
    if let Some(visitor) = visitor {
        request.extensions_mut().insert(visitor);
    }
    Ok(next.run(request).await)
}

impl Console {
    fn idle_ms(&self) -> i64 {
        i64::try_from(self.settings.idle.as_millis()).unwrap_or(i64::MAX)
    }

    /// Who shows a session that is in force. What a page asks for by itself does not keep a session alive.
    async fn visitor(
        &self,
        headers: &HeaderMap,
        is_person: bool,
    ) -> Result<Option<Visitor>, Refusal> {
        let Some(token) = self.cookies.shown(headers) else {
            return Ok(None);
        };
        let (id, now_ms, idle_ms) = (token.id(), clock::now_ms(), self.idle_ms());
        let found = self.clerks.ask(move |store| -> Result<_, StoreError> {
            let found = store.look(|tx| sessions::find(tx, &id, now_ms, idle_ms))?;
            let seen_ms = found.as_ref().map_or(i64::MAX, |session| session.seen_ms);
            if is_person && now_ms.saturating_sub(seen_ms) >= sessions::SEEN_EVERY_MS {
                store.commit(|tx| sessions::saw(tx, &id, now_ms))?;
            }
            Ok(found)
        });
        let found: Option<sessions::Session> = found.await?;
        Ok(found.and_then(|session| {
            Some(Visitor {
                role: people::role(&session.person.role)?,
                name: session.person.name,
                token,
            })
        }))
    }

    /// Whether a session is in force, without taking it for seen.
    pub(super) async fn lives(&self, session: &str) -> bool {
        let (id, now_ms, idle_ms) = (session.to_owned(), clock::now_ms(), self.idle_ms());
        let found = self
            .clerks
            .look(move |tx| sessions::find(tx, &id, now_ms, idle_ms));
        found.await.is_ok_and(|session| session.is_some())
    }

    /// Begins a session, always a new one: one that the browser had is over.
    pub(super) async fn begin(
        &self,
        person: String,
        before: Option<String>,
    ) -> Result<Token, Refusal> {
        let token = Token::new()?;
        let (id, now_ms, idle_ms) = (token.id(), clock::now_ms(), self.idle_ms());
        let longest_ms = i64::try_from(self.settings.session.as_millis()).unwrap_or(i64::MAX);
        let begun = self.clerks.commit(move |tx| {
            if let Some(before) = &before {
                sessions::end(tx, before)?;
            }
            sessions::forget(tx, now_ms, idle_ms)?;
            let ends_ms = now_ms.saturating_add(longest_ms);
            sessions::begin(tx, &id, &person, now_ms, ends_ms)
        });
        begun.await?;
        Ok(token)
    }

    /// Notes in the audit log that somebody came or went, or was turned away.
    pub(super) async fn note(
        self: &Arc<Self>,
        who: &str,
        call: &'static str,
    ) -> Result<(), Refusal> {
        let (console, who) = (Arc::clone(self), who.to_owned());
        let noted = self.clerks.ask(move |_| -> Result<(), Refusal> {
            let Some(audit) = console.audit() else {
                return Ok(());
            };
            let entry = Entry {
                now_ms: clock::now_ms(),
                who: &who,
                call,
                request_id: "",
                said: ("", "", ""),
            };
            Ok(audit.note(&entry)?)
        });
        noted.await
    }

    /// Whose name and password these are; as long for a name that nobody has as for another.
    async fn known(&self, name: &str, password: &str) -> Result<Option<persons::Person>, Refusal> {
        let asked = name.to_owned();
        let person = self
            .clerks
            .look(move |tx| persons::find(tx, &asked))
            .await?;
        let person = person.filter(|person: &persons::Person| {
            !person.password.is_empty()
                && person.provider.is_none()
                && !person.is_disabled
                && people::role(&person.role).is_some()
        });
        let hashed = person
            .as_ref()
            .map_or(&self.nobody, |person| &person.password);
        let hashed = hashed.clone();
        let password = Zeroizing::new(password.to_owned());
        let _place = self.lobby.try_acquire().map_err(|_| Refusal::Busy)?;
        let turn = Arc::clone(&self.hashers).acquire_owned().await;
        let turn = turn.map_err(|_| Refusal::Fault)?;
        let right = tokio::task::spawn_blocking(move || {
            let is_right = people::is_right(&password, &hashed);
            drop(turn);
            is_right
        });
        let is_right = right.await.map_err(|_| Refusal::Fault)?;
        Ok(person.filter(|_| is_right))
    }
}

/// The page to log in with.
pub async fn ask(State(console): Here, uri: Uri, headers: HeaderMap) -> Result<Response, Refusal> {
    let back = uri.query().and_then(|query| query.strip_prefix("back="));
    asked(&console, &headers, &uri, (None, back.unwrap_or_default()))
}

/// The page to log in with, what is to be said on it, and where it leads.
fn asked(
    console: &Console,
    headers: &HeaderMap,
    uri: &Uri,
    (said, back): (Option<super::Said>, &str),
) -> Result<Response, Refusal> {
    let (token, is_new) = match console.cookies.at_door(headers) {
        Some(token) => (token, false),
        None => (Token::new()?, true),
    };
    let mut look = console.look(None, headers, uri);
    look.csrf = token.csrf();
    look.said = said.or(look.said);
    let back = door::way_back(back).unwrap_or_default();
    let provider = console.provider.as_ref().map(Provider::name);
    let mut response = Html(login::page(&look, back, provider)?).into_response();
    if is_new {
        let cookie = console.cookies.greet(&token).map_err(|_| Refusal::Fault)?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The address that a request came from.
pub(super) fn address(peer: Option<Extension<Peer>>) -> IpAddr {
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.0)
}

/// Logs somebody in: with a new session, whatever the browser showed.
pub async fn log_in(
    State(console): Here,
    Extension(sent): What,
    peer: Option<Extension<Peer>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let peer = address(peer);
    let name = sent.name.trim();
    let refused = |status| {
        let said = Some(super::Said::NotLoggedIn);
        let mut response = asked(&console, &headers, &uri, (said, &sent.back))?;
        *response.status_mut() = status;
        Ok(response)
    };
    if !console.knocks.knock(name, peer, clock::now_ms()) {
        tracing::warn!(%peer, "too many attempts to log in");
        return refused(StatusCode::TOO_MANY_REQUESTS);
    }
    let Some(person) = console.known(name, &sent.password).await? else {
        tracing::warn!(%peer, "an attempt to log in failed");
        return refused(StatusCode::FORBIDDEN);
    };
    console.knocks.passed(name, peer);
    console.note(&person.name, "log-in").await?;
    let shown = console.cookies.shown(&headers).map(|token| token.id());
    let token = console.begin(person.name, shown).await?;
    let mut response = see(onward(&sent.back), "");
    for cookie in [console.cookies.begin(&token), console.cookies.enter()] {
        let cookie = cookie.map_err(|_| Refusal::Fault)?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The page after a log-in: the one that was asked for, if it is one of ours.
pub(super) fn onward(back: &str) -> &str {
    let back = door::way_back(back).filter(|back| !back.starts_with("/console/log-"));
    back.unwrap_or("/console/queue")
}

/// Ends the session.
pub async fn log_out(
    State(console): Here,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, Refusal> {
    let id = visitor.token.id();
    console
        .clerks
        .commit(move |tx| sessions::end(tx, &id))
        .await?;
    console.note(&visitor.name, "log-out").await?;
    let mut response = see("/console/log-in", "logged-out");
    let cookie = console.cookies.end().map_err(|_| Refusal::Fault)?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// Keeps a choice of language or colours.
pub async fn choose(State(console): Here, Extension(sent): What) -> Result<Response, Refusal> {
    let mut response = see(door::way_back(&sent.back).unwrap_or("/console/queue"), "");
    let theme = super::Theme::parse(&sent.theme).word();
    let lang = super::Lang::parse(&sent.lang).map(super::Lang::code);
    let theme = Some(theme).filter(|_| !sent.theme.is_empty());
    for (name, word) in [(THEME, theme), (LANG, lang)] {
        let Some(word) = word else { continue };
        let cookie = console.cookies.choose(name, word);
        let cookie = cookie.map_err(|_| Refusal::Fault)?;
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
