//! The door: every page and deed in one table with who may have it, and what keeps others out.
//!
//! Nothing is served that the table does not name. A deed must come from a page of ours: its form carries the session's
//! token, and the browser says that it was sent from here. Attempts to log in are counted for each name and address,
//! those by way of a provider for each address.

use crate::api::routes::Scope;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// How the browser says from where a request was sent (Fetch Metadata).
pub const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Attempts are counted over so long, in milliseconds.
const WINDOW_MS: i64 = 15 * 60_000;
/// Attempts for one name from one address, for one name, and from one address.
const ATTEMPTS: [u32; 3] = [10, 100, 50];
/// Log-ins begun by way of a provider from one address.
const TRIPS: u32 = 50;
/// Counts kept; the oldest gives way.
const MAX_COUNTS: usize = 30_000;

/// Who may have a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Everybody.
    Nothing,
    /// Who is logged in.
    Session,
    /// Who may decide: claim, write, release, dispose.
    Decides,
}

/// A page or deed.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Who may have it.
    pub needs: Needs,
    /// Whether pages ask for it by themselves: that does not show that anybody is there.
    pub by_itself: bool,
}

const fn page(path: &'static str) -> Route {
    Route {
        method: "GET",
        path,
        needs: Needs::Session,
        by_itself: false,
    }
}

const fn deed(path: &'static str) -> Route {
    Route {
        method: "POST",
        path,
        needs: Needs::Decides,
        by_itself: false,
    }
}

/// Every page and deed.
pub const ROUTES: &[Route] = &[
    page("/console"),
    page("/console/"),
    page("/console/queue"),
    Route {
        by_itself: true,
        ..page("/console/queue/rows")
    },
    page("/console/cases/{id}"),
    page("/console/overview"),
    page("/console/rules"),
    page("/console/health"),
    Route {
        by_itself: true,
        ..page("/console/events")
    },
    Route {
        needs: Needs::Nothing,
        ..page("/console/assets/{name}")
    },
    Route {
        needs: Needs::Nothing,
        ..page("/console/log-in")
    },
    Route {
        needs: Needs::Nothing,
        ..deed("/console/log-in")
    },
    Route {
        needs: Needs::Nothing,
        ..page("/console/oidc/start")
    },
    Route {
        needs: Needs::Nothing,
        ..page("/console/oidc/back")
    },
    Route {
        needs: Needs::Nothing,
        ..deed("/console/look")
    },
    Route {
        needs: Needs::Session,
        ..deed("/console/log-out")
    },
    deed("/console/cases/{id}/claim"),
    deed("/console/cases/{id}/give-back"),
    deed("/console/cases/{id}/note"),
    deed("/console/cases/{id}/release"),
    deed("/console/cases/{id}/disposition"),
];

/// Whether somebody in that role may have what needs this: the scopes of the API's own call of the same kind.
pub fn may(role: Scope, needs: Needs) -> bool {
    match needs {
        Needs::Nothing | Needs::Session => true,
        Needs::Decides => matches!(role, Scope::Analyst | Scope::Admin),
    }
}

/// Whether the browser says that a request was sent by a page of ours. Browsers that send neither header are older than
/// both; then the form's token alone decides.
pub fn is_of_here(headers: &HeaderMap, uri: &Uri, own: Option<&str>) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin";
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if let Some(own) = own {
        return origin == own;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| uri.authority().map(Authority::as_str));
    let from = origin.split_once("://").map(|(_, from)| from);
    from.is_some() && from == host
}

/// Whether a browser was sent here by another site: its strict cookies stay behind then.
pub fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    headers
        .get(FETCH_SITE)
        .is_some_and(|site| site == "cross-site" || site == "same-site")
}

/// Where a form may lead back to: a page of ours and nothing else.
pub fn way_back(path: &str) -> Option<&str> {
    let fits = |b: u8| b.is_ascii_graphic() && b != b'\\';
    let is_ours = path.starts_with("/console/") && !path.contains("//") && !path.contains("/.");
    (is_ours && path.len() <= 1_024 && path.bytes().all(fits)).then_some(path)
}

/// What attempts are counted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Both(String, IpAddr),
    Name(String),
    Peer(IpAddr),
    Trip(IpAddr),
}

/// Attempts since a moment.
#[derive(Debug, Clone, Copy)]
struct Count {
    attempts: u32,
    since_ms: i64,
}

/// Attempts to log in, counted in this process.
#[derive(Debug, Default)]
pub struct Knocks(Mutex<BTreeMap<Key, Count>>);

impl Knocks {
    /// Counts an attempt, before it is looked at; false where there were too many.
    pub fn knock(&self, name: &str, peer: IpAddr, now_ms: i64) -> bool {
        let keys = keys(name, peer).into_iter().zip(ATTEMPTS);
        self.count(&keys.collect::<Vec<_>>(), now_ms)
    }

    /// Counts a log-in that is begun by way of a provider; false where there were too many that came to nothing.
    pub fn set_out(&self, peer: IpAddr, now_ms: i64) -> bool {
        self.count(&[(Key::Trip(network(peer)), TRIPS)], now_ms)
    }

    fn count(&self, keys: &[(Key, u32)], now_ms: i64) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |count: &Count| now_ms.saturating_sub(count.since_ms) >= WINDOW_MS;
        for (key, _) in keys {
            if counts.get(key).is_some_and(is_over) {
                counts.remove(key);
            }
        }
        let spent = keys.iter().any(|(key, most)| {
            let count = counts.get(key);
            count.is_some_and(|count| count.attempts >= *most)
        });
        if spent {
            return false;
        }
        if counts.len() >= MAX_COUNTS {
            counts.retain(|_, count| !is_over(count));
        }
        for (key, _) in keys {
            if counts.len() >= MAX_COUNTS && !counts.contains_key(key) {
                let oldest = counts.iter().min_by_key(|(_, count)| count.since_ms);
                if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                    counts.remove(&oldest);
                }
            }
            let new = Count {
                attempts: 0,
                since_ms: now_ms,
            };
            counts.entry(key.clone()).or_insert(new).attempts += 1;
        }
        true
    }

    /// An attempt was right: it counts no more.
    pub fn passed(&self, name: &str, peer: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [both, name, peer] = keys(name, peer);
        counts.remove(&both);
        for key in [name, peer] {
            take_back(&mut counts, &key);
        }
    }

    /// A log-in by way of a provider came to its end: it counts no more.
    pub fn came_back(&self, peer: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        take_back(&mut counts, &Key::Trip(network(peer)));
    }
}

fn take_back(counts: &mut BTreeMap<Key, Count>, key: &Key) {
    if let Some(count) = counts.get_mut(key) {
        count.attempts = count.attempts.saturating_sub(1);
    }
}

/// An address as it is counted.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        // A customer has a network of that size at least.
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

fn keys(name: &str, peer: IpAddr) -> [Key; 3] {
    let name: String = name.chars().take(super::people::MAX_NAME).collect();
    let peer = network(peer);
    [
        Key::Both(name.clone(), peer),
        Key::Name(name),
        Key::Peer(peer),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes;
    use crate::console::people::ROLES;
    use axum::http::HeaderValue;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().cloned();
        pairs
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn who_may_release_and_dispose_here_may_do_so_over_the_api_and_nobody_else() {
        for path in ["/v1/holds/{id}/release", "/v1/alerts/{id}/disposition"] {
            let call = routes::ROUTES.iter().find(|route| route.path == path);
            for role in ROLES {
                let may_call = call.unwrap().scopes.contains(&role);
                assert_eq!(may(role, Needs::Decides), may_call, "{path}");
            }
        }
        let looks = routes::ROUTES.iter().find(|r| r.path == "/v1/alerts");
        assert!(
            ROLES
                .iter()
                .all(|role| looks.unwrap().scopes.contains(role))
        );
    }

    #[test]
    fn what_changes_something_is_a_post_and_needs_somebody_who_decides() {
        for route in ROUTES {
            let is_deed = route.path.contains("{id}/");
            assert_eq!(is_deed, route.needs == Needs::Decides, "{}", route.path);
            assert!(!is_deed || route.method == "POST", "{}", route.path);
        }
    }

    #[test]
    fn a_request_that_another_page_sent_is_told_by_either_header() {
        let here = Uri::from_static("/console/look");
        let is_ours =
            |pairs: &[(HeaderName, &'static str)], own| is_of_here(&headers(pairs), &here, own);
        for site in ["cross-site", "same-site", "none"] {
            assert!(!is_ours(&[(FETCH_SITE, site)], None), "{site}");
        }
        // Under `no-referrer` a browser sends `null` with a form of ours, too.
        assert!(is_ours(
            &[(FETCH_SITE, "same-origin"), (ORIGIN, "null")],
            None
        ));
        let asked = |origin| [(HOST, "v.example:8089"), (ORIGIN, origin)];
        assert!(is_ours(&asked("http://v.example:8089"), None));
        for origin in ["null", "http://v.example", "https://evil.example:8089", ""] {
            assert!(!is_ours(&asked(origin), None), "{origin}");
        }
        assert!(is_ours(
            &asked("https://v.example"),
            Some("https://v.example")
        ));
        assert!(!is_ours(
            &asked("http://v.example:8089"),
            Some("https://v.example")
        ));
        assert!(is_ours(&[], None));
    }

    #[test]
    fn a_form_leads_back_to_a_page_of_ours_and_nowhere_else() {
        assert!(way_back("/console/queue?severity=high&q=a%20b").is_some());
        for bad in [
            "https://evil.example/console/",
            "//evil.example",
            "/console//evil.example",
            "/console/../v1/alerts",
            "/console/queue\r\nset-cookie: x",
            "/console/\\evil",
            "/demo/mails",
            "",
        ] {
            assert!(way_back(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn attempts_are_bounded_for_a_name_and_an_address_and_come_back_with_time() {
        let knocks = Knocks::default();
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        for _ in 0..10 {
            assert!(knocks.knock("anna", one, 1_000));
        }
        assert!(!knocks.knock("anna", one, 2_000));
        // The same person elsewhere, and another here, are not shut out.
        assert!(knocks.knock("anna", other, 2_000) && knocks.knock("bo", one, 2_000));
        assert!(knocks.knock("anna", one, 1_000 + WINDOW_MS));
        // From one address, whatever the name.
        let third: IpAddr = "10.0.0.3".parse().unwrap();
        let tried = (0..200).filter(|n| knocks.knock(&format!("p{n}"), third, 5_000));
        assert_eq!(tried.count(), 50);
        // An address of the same network is the same visitor.
        let six = |text: &str| text.parse::<IpAddr>().unwrap();
        for n in 0..10 {
            assert!(knocks.knock("eva", six(&format!("2001:db8::{n}")), 5_000));
        }
        assert!(!knocks.knock("eva", six("2001:db8::ffff"), 5_000));
    }

    #[test]
    fn log_ins_by_way_of_a_provider_are_bounded_for_an_address_and_shut_nobody_else_out() {
        let knocks = Knocks::default();
        let one: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..500 {
            assert!(knocks.set_out(one, 1_000));
            knocks.came_back(one);
        }
        assert_eq!((0..80).filter(|_| knocks.set_out(one, 1_000)).count(), 50);
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        assert!(knocks.set_out(other, 1_000) && knocks.knock("anna", one, 1_000));
        assert!(knocks.set_out(one, 1_000 + WINDOW_MS));
    }

    #[test]
    fn who_gets_in_is_not_counted_and_counts_are_bounded() {
        let knocks = Knocks::default();
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..1_000 {
            assert!(knocks.knock("anna", peer, 1_000));
            knocks.passed("anna", peer);
        }
        for n in 0_u32..15_200 {
            let peer = IpAddr::V4(std::net::Ipv4Addr::from_bits(n));
            knocks.knock("anna", peer, i64::from(n));
        }
        assert!(knocks.0.lock().unwrap().len() <= MAX_COUNTS);
    }
}
