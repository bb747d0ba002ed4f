//! The analysts' console: pages rendered here and served below `/console`.
//!
//! `door` has the table of pages and deeds and who may have them; here each is put to work. What a page shows stands in
//! its own file, what a deed does in `deeds`. It judges nothing, and changes nothing but by way of the API and the store.

pub mod assets;
pub mod case;
mod chart;
pub mod clerks;
mod countries;
pub mod deeds;
pub mod door;
pub mod entry;
pub mod fault;
mod habit;
pub mod health;
mod lines;
pub mod login;
pub mod look;
pub mod news;
pub mod oidc;
pub mod overview;
pub mod people;
mod plot;
pub mod queue;
pub mod rulesheet;
pub mod session;
mod story;
pub mod words;

use crate::api::audit::Audit;
use crate::api::call::Call;
use crate::api::failure::{Code, Failure};
use crate::api::teller::Teller;
use crate::clock;
use crate::config;
use crate::rulebook::Loaded;
use crate::store::{StoreError, notes, views};
use crate::telemetry::{Metrics, Readiness};
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use clerks::Clerks;
use door::{Knocks, Needs, ROUTES, Route};
use look::{ConsoleError, Look, Said, Theme};
use news::Herald;
use oidc::Turned;
use oidc::provider::Provider;
use rulesheet::Sheet;
use serde::Deserialize;
use session::{Cookies, Visitor};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Semaphore;
use words::Lang;

/// Passwords that are hashed at once: each takes 19 MiB.
const HASHERS: usize = 2;
/// Who may wait for that.
const MAX_WAITING: usize = 32;

/// Why a page is not shown, or a deed not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Nobody is logged in.
    #[error("nobody is logged in")]
    LoggedOut,
    /// The form is not of this session, or was sent by another site.
    #[error("the form is not of this session")]
    Foreign,
    /// The role does not allow it.
    #[error("the role does not allow it")]
    Forbidden,
    /// What was sent cannot be read.
    #[error("what was sent cannot be read")]
    Unreadable,
    /// There is none of that name.
    #[error("there is nothing of this name here")]
    NotFound,
    /// Too much is in hand.
    #[error("too much is in hand already")]
    Busy,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The API.
    #[error("{}", .0.code.title())]
    Api(Failure),
    /// A log-in by way of a provider came to nothing.
    #[error("a log-in by way of {by} came to nothing")]
    Turned {
        /// Why.
        why: Turned,
        /// What people call the provider.
        by: String,
    },
    /// A fault of ours.
    #[error("a fault of ours")]
    Fault,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Api(failure)
    }
}

impl From<ConsoleError> for Refusal {
    fn from(error: ConsoleError) -> Self {
        match error {
            ConsoleError::NotFound => Self::NotFound,
            ConsoleError::Store(error) => Self::Store(error),
            ConsoleError::Template(error) => {
                tracing::error!(%error, "a page cannot be written");
                Self::Fault
            }
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        tracing::error!(%error, "the system has no randomness or thread for us");
        Self::Fault
    }
}

impl IntoResponse for Refusal {
    /// A bare answer that the guard makes a page of.
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// What forms send; an empty text where a form has no such field.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Sent {
    csrf: String,
    name: String,
    password: String,
    back: String,
    theme: String,
    lang: String,
    instead_of: String,
    hold: String,
    verdict: String,
    reason: String,
    text: String,
}

/// What the console needs from the rest of the process.
#[derive(Debug)]
pub struct Parts<'p> {
    /// Its settings.
    pub console: config::Console,
    /// The way to log and shards.
    pub teller: Arc<Teller>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Readiness.
    pub readiness: Arc<Readiness>,
    /// The rule book.
    pub loaded: &'p Loaded,
}

/// The console of one process.
#[derive(Debug)]
pub struct Console {
    settings: config::Console,
    teller: Arc<Teller>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    sheet: RwLock<Arc<Sheet>>,
    clerks: Clerks,
    herald: Herald,
    knocks: Knocks,
    cookies: Cookies,
    provider: Option<Provider>,
    hashers: Arc<Semaphore>,
    lobby: Semaphore,
    /// The hash of a password that nobody has.
    nobody: String,
}

impl Console {
    /// A console that nobody has visited yet.
    ///
    /// # Errors
    /// Where the system has no thread, memory or randomness.
    pub fn open(parts: Parts<'_>) -> io::Result<Arc<Self>> {
        let config = &parts.teller.config;
        let http = &config.http;
        let origin = parts.console.origin.as_deref();
        let is_secure = match origin {
            Some(origin) => origin.starts_with("https://"),
            // Beyond this machine something before us sees to TLS, where we do not.
            None => http.tls.is_some() || !http.listen.ip().is_loopback(),
        };
        let provider = parts.console.oidc.as_ref();
        let provider = provider.map(|oidc| Provider::open(oidc, origin.unwrap_or_default()));
        Ok(Arc::new(Self {
            clerks: Clerks::start(&config.store)?,
            herald: Herald::start(&config.store)?,
            sheet: RwLock::new(Arc::new(Sheet::of(parts.loaded))),
            settings: parts.console,
            teller: parts.teller,
            metrics: parts.metrics,
            readiness: parts.readiness,
            knocks: Knocks::default(),
            cookies: Cookies { is_secure },
            provider: provider.transpose()?,
            hashers: Arc::new(Semaphore::new(HASHERS)),
            lobby: Semaphore::new(MAX_WAITING),
            nobody: people::hash(&people::made()?)?,
        }))
    }

    /// Shows another rule book from now on.
    pub fn renew(&self, loaded: &Loaded) {
        let sheet = Arc::new(Sheet::of(loaded));
        *self.sheet.write().unwrap_or_else(PoisonError::into_inner) = sheet;
    }

    /// Ends what would hold up the end of the process: streams of news.
    pub fn close(&self) {
        self.herald.close();
    }

    fn sheet(&self) -> Arc<Sheet> {
        Arc::clone(&self.sheet.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn audit(&self) -> Option<&Audit> {
        self.teller.audit.as_ref()
    }

    /// How a page is shown to whoever asks for it.
    fn look(&self, visitor: Option<&Visitor>, headers: &HeaderMap, uri: &Uri) -> Look {
        let chosen = |name| session::value(headers, name).unwrap_or_default();
        let asked = headers
            .get(ACCEPT_LANGUAGE)
            .and_then(|asked| asked.to_str().ok());
        let lang = Lang::parse(&chosen(LANG));
        let (path, said) = told(uri);
        Look {
            lang: lang.unwrap_or_else(|| Lang::of_browser(asked.unwrap_or_default())),
            theme: Theme::parse(&chosen(THEME)),
            user: visitor.map_or_else(String::new, |visitor| visitor.name.clone()),
            role: visitor.map_or_else(String::new, |visitor| visitor.role.word().to_owned()),
            may_decide: visitor.is_some_and(|visitor| door::may(visitor.role, Needs::Decides)),
            csrf: visitor.map_or_else(String::new, |visitor| visitor.token.csrf()),
            path,
            said,
            now_ms: clock::now_ms(),
            is_demo: self.settings.is_demo,
        }
    }
}

/// The cookies of choices.
const LANG: &str = "varsel-lang";
const THEME: &str = "varsel-theme";

/// The path of a page without the word of what a deed came to, and that word.
fn told(uri: &Uri) -> (String, Option<Said>) {
    let mut said = None;
    let query: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| match pair.strip_prefix("said=") {
            Some(word) => {
                said = said_of(word);
                false
            }
            None => !pair.is_empty(),
        })
        .collect();
    let path = if query.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), query.join("&"))
    };
    (path, said)
}

/// What a deed came to, by its word in an address: whoever makes up an address can only choose among these.
fn said_of(word: &str) -> Option<Said> {
    Some(match word {
        "claimed" => Said::Claimed,
        "given-back" => Said::GivenBack,
        "taken" => Said::TakenBy(String::new()),
        "released" => Said::Released,
        "disposed" => Said::Disposed,
        "noted" => Said::Noted,
        "no-reason" => Said::NoReason,
        "logged-out" => Said::LoggedOut,
        "no-text" => Said::Failed("a note needs words".to_owned()),
        "too-long" => Said::Failed("a note has at most 4,000 bytes".to_owned()),
        "full" => Said::Failed("this case has 200 notes already".to_owned()),
        word => {
            let code = Code::ALL.iter().find(|code| code.word() == word)?;
            Said::Failed(code.title().to_owned())
        }
    })
}

/// Sends a browser on to a page, with a word of what a deed came to.
fn see(path: &str, said: &str) -> Response {
    let path = match (said, path.contains('?')) {
        ("", _) => path.to_owned(),
        (said, false) => format!("{path}?said={said}"),
        (said, true) => format!("{path}&said={said}"),
    };
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(place) = HeaderValue::from_str(&path) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

/// Every page and deed of the table.
pub fn router(console: &Arc<Console>) -> Router {
    let pages = ROUTES
        .iter()
        .filter_map(|route| Some((route, page_of(route)?)));
    let router = pages.fold(Router::new(), |router, (route, page)| {
        router.route(route.path, entry::guarded(console, route, page))
    });
    router.with_state(Arc::clone(console))
}

/// What is shown or done; nothing for what the table does not have.
fn page_of(route: &Route) -> Option<MethodRouter<Arc<Console>>> {
    Some(match (route.method, route.path) {
        ("GET", "/console" | "/console/") => get(async || see("/console/queue", "")),
        ("GET", "/console/queue") => get(queue),
        ("GET", "/console/queue/rows") => get(rows),
        ("GET", "/console/cases/{id}") => get(case),
        ("GET", "/console/overview") => get(overview),
        ("GET", "/console/rules") => get(rules),
        ("GET", "/console/health") => get(health),
        ("GET", "/console/events") => get(events),
        ("GET", "/console/assets/{name}") => get(asset),
        ("GET", "/console/log-in") => get(entry::ask),
        ("POST", "/console/log-in") => post(entry::log_in),
        ("POST", "/console/log-out") => post(entry::log_out),
        ("GET", "/console/oidc/start") => get(oidc::start),
        ("GET", "/console/oidc/back") => get(oidc::back),
        ("POST", "/console/look") => post(entry::choose),
        ("POST", "/console/cases/{id}/claim") => post(deeds::claim),
        ("POST", "/console/cases/{id}/note") => post(deeds::note),
        ("POST", "/console/cases/{id}/give-back") => post(deeds::give_back),
        ("POST", "/console/cases/{id}/release") => post(deeds::release),
        ("POST", "/console/cases/{id}/disposition") => post(deeds::dispose),
        _ => return None,
    })
}

type Here = State<Arc<Console>>;
type Who = Extension<Visitor>;
type Page = Result<Html<String>, Refusal>;

async fn queue(State(console): Here, Extension(who): Who, uri: Uri, headers: HeaderMap) -> Page {
    let look = console.look(Some(&who), &headers, &uri);
    let asked = asked(&uri)?;
    let page = console
        .clerks
        .look(move |tx| queue::page(&look, tx, &asked));
    page.await.map(Html)
}

async fn rows(State(console): Here, Extension(who): Who, uri: Uri, headers: HeaderMap) -> Page {
    let mut look = console.look(Some(&who), &headers, &uri);
    // Forms in the rows lead back to the page that they are put into.
    look.path = look.path.replacen("/queue/rows", "/queue", 1);
    let asked = asked(&uri)?;
    let page = console
        .clerks
        .look(move |tx| queue::rows(&look, tx, &asked));
    page.await.map(Html)
}

fn asked(uri: &Uri) -> Result<queue::Asked, Refusal> {
    let asked = Query::try_from_uri(uri).map_err(|_| Refusal::Unreadable)?;
    Ok(asked.0)
}

/// A case; who has looked at it is noted in the audit log before they see anything.
async fn case(
    State(console): Here,
    Extension(who): Who,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Page {
    let mut look = console.look(Some(&who), &headers, &uri);
    let (call, _) = Call::read(&headers, Duration::ZERO, None);
    let request_id = call.id.to_str().unwrap_or_default().to_owned();
    let (teller, sheet) = (Arc::clone(&console.teller), console.sheet());
    let (alert, name) = (id.clone(), who.name.clone());
    let page = console.clerks.ask(move |store| -> Result<String, Refusal> {
        let page = store.look(|tx| {
            if look.said == Some(Said::TakenBy(String::new())) {
                let claim = notes::claim_of(tx, &alert)?;
                look.said = claim.map(|claim| Said::TakenBy(claim.person));
            }
            case::page(&look, tx, Some(&teller), &sheet, &alert)
        })?;
        let what = format!("viewed {alert}");
        teller.noted(Some(&name), &request_id, &what, Default::default())?;
        Ok(page)
    });
    let page = page.await?;
    // Who looked last is for showing: nobody waits for it.
    let now_ms = clock::now_ms();
    tokio::spawn(async move {
        let seen = console
            .clerks
            .commit(move |tx| views::saw(tx, &id, &who.name, now_ms));
        if let Err(error) = seen.await {
            tracing::warn!(%error, "it is not shown who has looked at a case");
        }
    });
    Ok(Html(page))
}

async fn overview(State(console): Here, Extension(who): Who, uri: Uri, headers: HeaderMap) -> Page {
    let look = console.look(Some(&who), &headers, &uri);
    let page = console.clerks.look(move |tx| overview::page(&look, tx));
    page.await.map(Html)
}

async fn rules(State(console): Here, Extension(who): Who, uri: Uri, headers: HeaderMap) -> Page {
    let look = console.look(Some(&who), &headers, &uri);
    let (sheet, metrics) = (console.sheet(), Arc::clone(&console.metrics));
    let page = console
        .clerks
        .look(move |tx| rulesheet::page(&look, tx, &sheet, &metrics));
    page.await.map(Html)
}

async fn health(State(console): Here, Extension(who): Who, uri: Uri, headers: HeaderMap) -> Page {
    let look = console.look(Some(&who), &headers, &uri);
    let (metrics, readiness) = (Arc::clone(&console.metrics), Arc::clone(&console.readiness));
    let ledger = Arc::clone(&console.teller.ledger);
    let page = console
        .clerks
        .look(move |tx| health::page(&look, tx, &metrics, &readiness, &ledger));
    page.await.map(Html)
}

async fn events(State(console): Here, Extension(who): Who) -> Result<Response, Refusal> {
    let events = news::events(console, &who.name, who.token.id())?;
    Ok(events.into_response())
}

async fn asset(Path(name): Path<String>) -> Result<Response, Refusal> {
    let asset = assets::find(&name).ok_or(Refusal::NotFound)?;
    let headers = [
        (CONTENT_TYPE, asset.kind),
        // They change with the program.
        (CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, asset.body).into_response())
}
