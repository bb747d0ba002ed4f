//! The tables of the notifier: `[store]`, `[notify]`, `[mail]`, `[[route]]`, `[[webhook]]`, and what must agree among
//! them.
//!
//! Whether a mail server answers is deliberately not looked at here.

use super::kafka::password;
use super::sheet::{Given, Part, Sheet};
use super::tables::{DAY, HOUR, MINUTE, check_name, owned};
use super::{
    Config, Language, Login, Mail, Notify, Role, Route, SecretSource, Security, Store, Webhook,
    secret,
};
use crate::domain::codes::Severity;
use core::net::IpAddr;
use lettre::Address;
use lettre::message::Mailbox;
use postgres::config::Host;
use std::path::PathBuf;
use std::time::Duration;
use toml_edit::Document;

/// Routes, and webhooks.
const MAX_ROUTES: usize = 64;
/// Addresses of one route.
const MAX_ADDRESSES: usize = 50;
/// The longest name of a route or webhook.
const MAX_NAME: usize = 60;
const LANGUAGES: [(&str, Language); 2] = [("en", Language::English), ("da", Language::Danish)];
const SECURITIES: [(&str, Security); 3] = [
    ("tls", Security::Tls),
    ("starttls", Security::StartTls),
    ("none", Security::Plain),
];
const SEVERITIES: [(&str, Severity); 4] = [
    ("low", Severity::Low),
    ("medium", Severity::Medium),
    ("high", Severity::High),
    ("critical", Severity::Critical),
];
const DAYS: [(&str, usize); 7] = [
    ("mon", 0),
    ("tue", 1),
    ("wed", 2),
    ("thu", 3),
    ("fri", 4),
    ("sat", 5),
    ("sun", 6),
];

/// The defaults: a file, and nobody to tell.
pub fn defaults() -> (Store, Notify) {
    let notify = Notify {
        language: Language::English,
        link: None,
        templates: None,
        stale_after: Duration::from_secs(DAY),
        private_hosts: Vec::new(),
        mail: None,
        routes: Vec::new(),
        webhooks: Vec::new(),
    };
    (
        Store::File(PathBuf::from("./varsel-data/varsel.db")),
        notify,
    )
}

/// Reads the tables.
pub fn read(sheet: &mut Sheet<'_>, document: &Document<String>, config: &mut Config) {
    store(sheet, document, &mut config.store);
    notify(sheet, document, &mut config.notify);
    let mut mail_at = None;
    config.notify.mail = mail(sheet, document);
    let hosts = config.notify.private_hosts.clone();
    let mut webhooks = Vec::new();
    Part::each(sheet, document, "webhook", |mut part| {
        webhooks.extend(webhook(&mut part, &hosts));
    });
    let mut routes = Vec::new();
    Part::each(sheet, document, "route", |mut part| {
        routes.extend(route(&mut part, &webhooks));
        if let Some(at) = part.key("mail") {
            mail_at = Some(at);
        }
        if routes.len() > MAX_ROUTES {
            let message = format!("there are more than {MAX_ROUTES} routes");
            part.fault(
                part.place(),
                message,
                "let one route have several addresses",
            );
        }
    });
    let has_mail_table = document.get("mail").is_some();
    if let Some(at) = mail_at
        && !has_mail_table
        && !sheet.torn
    {
        let help = "write `[mail]` with `host` and `from`";
        sheet.fault(
            at,
            "a route sends mail, and there is no `[mail]`",
            Some(help),
        );
    }
    twice(sheet, document, &routes);
    let notifies = config.run.roles.contains(&Role::Notify);
    if notifies && routes.is_empty() && !sheet.torn && document.get("route").is_none() {
        sheet.fault_of_file(
            "the role `notify` has no route, and would tell nobody",
            "write `[[route]]` with `name` and `mail`",
        );
    }
    config.notify.webhooks = webhooks;
    config.notify.routes = routes;
}

/// Names by which the store knows a route must differ.
fn twice(sheet: &mut Sheet<'_>, document: &Document<String>, routes: &[Route]) {
    let mut seen: Vec<String> = Vec::new();
    if routes.len() < 2 {
        return;
    }
    Part::each(sheet, document, "route", |mut part| {
        if let Some(name) = part.text("name") {
            if seen.iter().any(|known| known == name.value) {
                let message = format!("`{}` is the name of a route already", name.value);
                part.fault(name.at, message, "give each route a name of its own");
            } else {
                seen.push(name.value.to_owned());
            }
        }
    });
}

fn store(sheet: &mut Sheet<'_>, document: &Document<String>, store: &mut Store) {
    let mut part = Part::open(sheet, document, "store");
    let password = password(&mut part, "VARSEL_STORE_PASSWORD");
    let ca_file = part.file("ca_file").map(|given| given.value);
    let Some(given) = part.text("url") else {
        return;
    };
    let Some((scheme, rest)) = given.value.split_once("://") else {
        *store = Store::File(PathBuf::from(given.value));
        return;
    };
    let login = rest.split('/').next().unwrap_or_default();
    let user = login.rsplit_once('@').map_or("", |(user, _)| user);
    match scheme {
        "postgres" | "postgresql" if user.contains(':') => {
            let help = "leave it out, and name a file with `password_file` or a variable with `password_env`";
            part.fault(given.at, "`url` has a password in it", help);
        }
        "postgres" | "postgresql" => match postgres(given.value) {
            Ok((url, tls)) => {
                *store = Store::Postgres {
                    url,
                    password,
                    tls,
                    ca_file,
                };
            }
            Err((message, help)) => part.fault(given.at, message, help),
        },
        _ => {
            let message = format!("`{scheme}://` is no kind of store that is known here");
            let help = "write a file, or `postgres://user@host/database`";
            part.fault(given.at, message, help);
        }
    }
}

/// A URL of PostgreSQL without its `sslmode`, and whether the way there is TLS: to another machine it is, unless
/// that is said not to be wanted; to this one where it is asked for.
fn postgres(given: &str) -> Result<(String, bool), (String, &'static str)> {
    let (place, query) = given.split_once('?').unwrap_or((given, ""));
    let (modes, rest): (Vec<&str>, Vec<&str>) = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .partition(|pair| pair.starts_with("sslmode="));
    let mut url = place.to_owned();
    if !rest.is_empty() {
        url = format!("{url}?{}", rest.join("&"));
    }
    let parsed: postgres::Config = url.parse().map_err(|error: postgres::Error| {
        let message = format!("`url` cannot be read: {error}");
        (message, "write `postgres://user@host/database`")
    })?;
    let is_local = |host: &Host| match host {
        Host::Tcp(host) => is_here(host),
        Host::Unix(_) => true,
    };
    match modes.last().map(|mode| mode.trim_start_matches("sslmode=")) {
        None => Ok((url, !parsed.get_hosts().iter().all(is_local))),
        Some("disable") => Ok((url, false)),
        Some("require" | "verify-full") => Ok((url, true)),
        Some(mode) => Err((
            format!("`sslmode` is `{mode}`, it can be `verify-full` or `disable`"),
            "leave it out: to another machine it is `verify-full`; `ca_file` names whom to trust",
        )),
    }
}

fn notify(sheet: &mut Sheet<'_>, document: &Document<String>, notify: &mut Notify) {
    let mut part = Part::open(sheet, document, "notify");
    notify.language = part
        .word("language", &LANGUAGES)
        .map_or(notify.language, |given| given.value);
    if let Some(given) = part.text("link") {
        let is_fine = ["https://", "http://"]
            .iter()
            .any(|scheme| given.value.starts_with(scheme))
            && !given.value.contains(['"', '<', '>', ' ', '@']);
        if is_fine {
            notify.link = Some(given.value.trim_end_matches('/').to_owned());
        } else {
            let message = format!("`{}` is no address of a page", given.value);
            let help = "write what an analyst's browser opens: `https://varsel.bank.example`";
            part.fault(given.at, message, help);
        }
    }
    if let Some(given) = part.text("templates") {
        if PathBuf::from(given.value).is_dir() {
            notify.templates = Some(PathBuf::from(given.value));
        } else {
            let message = format!("there is no folder `{}`", given.value);
            part.fault(
                given.at,
                message,
                "leave `templates` out for the built-in ones",
            );
        }
    }
    notify.stale_after = part.span("stale_after", MINUTE..=30 * DAY, notify.stale_after);
    if let Some(given) = part.texts("private_hosts") {
        notify.private_hosts = given
            .value
            .iter()
            .map(|host| host.value.to_owned())
            .collect();
    }
}

fn mail(sheet: &mut Sheet<'_>, document: &Document<String>) -> Option<Mail> {
    let is_there = document.get("mail").is_some();
    let mut part = Part::open(sheet, document, "mail");
    let host = wanted(
        &mut part,
        is_there,
        "host",
        "write `host = \"smtp.bank.example\"`",
    );
    let security = part.word("security", &SECURITIES);
    let at = security.as_ref().map(|given| given.at.clone());
    let security = security.map_or(Security::StartTls, |given| given.value);
    let usual = match security {
        Security::Tls => 465,
        Security::StartTls => 587,
        Security::Plain => 25,
    };
    let port = part.number("port", 1..=65_535, usual);
    let ca_file = part.file("ca_file").map(|given| given.value);
    let from = wanted(
        &mut part,
        is_there,
        "from",
        "write `from = \"Varsel <varsel@bank.example>\"`",
    );
    let username = part.text("username");
    let password = password(&mut part, "VARSEL_MAIL_PASSWORD");
    let timeout = part.span("timeout", 1..=10 * MINUTE, Duration::from_secs(30));
    if let (Some(username), None) = (&username, &password) {
        let help = "name a file with `password_file`, or a variable with `password_env`";
        part.fault(
            username.at.clone(),
            "`username` is given without a password",
            help,
        );
    }
    let (host, from) = (host?, from?);
    let mailbox: Mailbox = match from.value.parse() {
        Ok(mailbox) => mailbox,
        Err(_) => {
            let message = format!("`{}` is no address of mail", from.value);
            part.fault(from.at, message, "write `Varsel <varsel@bank.example>`");
            return None;
        }
    };
    if security == Security::Plain && !is_here(host.value) {
        let message = "mail to another machine is not sent without encryption";
        let help = "write `security = \"starttls\"` or `\"tls\"`";
        part.fault(at.unwrap_or(host.at), message, help);
        return None;
    }
    Some(Mail {
        host: host.value.to_owned(),
        port: u16::try_from(port).unwrap_or(25),
        security,
        ca_file,
        from: mailbox,
        login: username.zip(password).map(|(username, password)| Login {
            username: username.value.to_owned(),
            password,
        }),
        timeout,
    })
}

/// A text that must be there where its table is.
pub fn wanted<'d>(
    part: &mut Part<'_, '_, 'd>,
    is_there: bool,
    key: &'static str,
    help: &str,
) -> Option<Given<&'d str>> {
    let written = part.key(key).is_some();
    let given = part.text(key);
    if !written && is_there && !part.sheet.torn {
        let place = part.place();
        part.fault(place, format!("`{key}` is missing"), help);
    }
    given
}

/// Whether a host is this machine.
pub fn is_here(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn route(part: &mut Part<'_, '_, '_>, webhooks: &[Webhook]) -> Option<Route> {
    let name = wanted(part, true, "name", "write `name = \"fraud-team\"`");
    let mut route = Route::new("", Vec::new());
    if let Some(name) = &name {
        check_name(part, &owned(name), "a route", MAX_NAME);
        name.value.clone_into(&mut route.name);
    }
    for given in part
        .texts("mail")
        .map(|given| given.value)
        .unwrap_or_default()
    {
        match given.value.parse::<Address>() {
            Ok(address) => route.mail.push(address),
            Err(_) => {
                let message = format!("`{}` is no address of mail", given.value);
                part.fault(given.at, message, "write `fraud@bank.example`");
            }
        }
    }
    for given in part
        .texts("webhooks")
        .map(|given| given.value)
        .unwrap_or_default()
    {
        if webhooks.iter().any(|webhook| webhook.name == given.value) {
            route.webhooks.push(given.value.to_owned());
        } else {
            let message = format!("there is no webhook `{}`", given.value);
            part.fault(given.at, message, "describe it under `[[webhook]]`");
        }
    }
    let told = part.key("mail").or_else(|| part.key("webhooks"));
    if told.is_none() && !part.sheet.torn {
        let place = part.place();
        part.fault(
            place,
            "the route goes nowhere",
            "give it `mail` or `webhooks`",
        );
    }
    if route.mail.len() > MAX_ADDRESSES {
        let place = part.place();
        let message = format!("the route has more than {MAX_ADDRESSES} addresses");
        part.fault(place, message, "use a mailing list");
    }
    which(part, &mut route);
    often(part, &mut route);
    name.map(|_| route)
}

/// Which alerts a route takes.
fn which(part: &mut Part<'_, '_, '_>, route: &mut Route) {
    for given in part
        .texts("severities")
        .map(|given| given.value)
        .unwrap_or_default()
    {
        let severity = part.one_of("severities", &given, &SEVERITIES);
        route.severities.extend(severity.map(|given| given.value));
    }
    if let Some(given) = part.texts("patterns") {
        route.patterns = given.value.iter().map(|one| one.value.to_owned()).collect();
    }
    if let Some(given) = part.text("hours") {
        match hours(given.value) {
            Some(hours) => route.hours = Some(hours),
            None => {
                let message = format!("`{}` is no part of a day", given.value);
                part.fault(
                    given.at,
                    message,
                    "write `\"08:00-17:00\"`, or over midnight `\"17:00-08:00\"`",
                );
            }
        }
    }
    if let Some(given) = part.texts("days") {
        route.days = [false; 7];
        for given in given.value {
            if let Some(day) = part.one_of("days", &given, &DAYS)
                && let Some(slot) = route.days.get_mut(day.value)
            {
                *slot = true;
            }
        }
    }
}

/// How often a route tells.
fn often(part: &mut Part<'_, '_, '_>, route: &mut Route) {
    route.group_wait = part.span("group_wait", 0..=HOUR, route.group_wait);
    route.burst = part.number("burst", 1..=100, route.burst);
    route.group_interval = part.span("group_interval", 1..=DAY, route.group_interval);
    route.updates = part.number("updates", 0..=20, route.updates);
    route.update_interval = part.span("update_interval", 1..=DAY, route.update_interval);
    route.repeat_interval = part.span("repeat_interval", 0..=30 * DAY, route.repeat_interval);
    route.digest = part.span("digest", 0..=7 * DAY, route.digest);
}

/// `08:00-17:00` as minutes of the day.
fn hours(text: &str) -> Option<(u32, u32)> {
    let minute = |text: &str| {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
        (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
    };
    let (from, to) = text.split_once('-')?;
    let (from, to) = (minute(from)?, minute(to)?);
    (from != to && from < 24 * 60).then_some((from, to))
}

fn webhook(part: &mut Part<'_, '_, '_>, private_hosts: &[String]) -> Option<Webhook> {
    let name = wanted(part, true, "name", "write `name = \"soc\"`");
    if let Some(name) = &name {
        check_name(part, &owned(name), "a webhook", MAX_NAME);
    }
    let url = wanted(
        part,
        true,
        "url",
        "write `url = \"https://soc.bank.example/varsel\"`",
    );
    let secret = signing_key(part);
    let ca_file = part.file("ca_file").map(|given| given.value);
    let timeout = part.span("timeout", 1..=MINUTE, Duration::from_secs(10));
    let url = url?;
    let Some((tls, host, port, path)) = place(url.value) else {
        let message = "`url` is not `https://host/path`";
        let help = "write `https://soc.bank.example/varsel`, without a name or a password in it";
        part.fault(url.at, message, help);
        return None;
    };
    if !tls && !private_hosts.contains(&host) {
        let message = format!("alerts do not go to `{host}` without encryption");
        let help = "write `https://…`, or name the host in `notify.private_hosts`";
        part.fault(url.at, message, help);
        return None;
    }
    Some(Webhook {
        name: name?.value.to_owned(),
        tls,
        host,
        port,
        path,
        secret: secret?,
        ca_file,
        timeout,
    })
}

/// A URL without user and password: whether it is TLS, host (without brackets), port, and path with query.
pub fn place(url: &str) -> Option<(bool, String, u16, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(cut);
    let usual = if tls { 443 } else { 80 };
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, port) = inner.split_once(']')?;
            (host, port.strip_prefix(':'))
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    let is_fine = !host.is_empty()
        && host.chars().all(fits)
        && path.chars().all(|c| c.is_ascii_graphic() && c != '#');
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None => usual,
    };
    let path = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    };
    is_fine.then(|| (tls, host.to_owned(), port, path))
}

fn signing_key(part: &mut Part<'_, '_, '_>) -> Option<SecretSource> {
    let keys = ["secret_file", "secret_env"];
    let is_written = keys.map(|key| part.key(key).is_some()).contains(&true);
    if !is_written && !part.sheet.torn {
        let place = part.place();
        let help = "name a file with `secret_file`, or a variable with `secret_env`";
        part.fault(place, "the webhook has no key to sign with", help);
    }
    secret::named(part, keys, "VARSEL_WEBHOOK_KEY")
}
