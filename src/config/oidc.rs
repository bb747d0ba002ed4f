//! The table `[console.oidc]`: the OpenID Connect provider by way of which people log in at the console, and which of its
//! groups give which role.
//!
//! Whether the provider answers is deliberately not looked at here.

use super::routes::{is_here, place, wanted};
use super::sheet::{CLIENT_LITERAL, Part};
use super::tables::MINUTE;
use super::{SecretSource, secret};
use std::path::PathBuf;
use std::time::Duration;

/// The longest text: what we are called, a claim, a scope, a group.
const MAX_TEXT: usize = 255;
/// The longest name of a provider: it stands on a button.
const MAX_NAME: usize = 60;
/// Scopes, and groups of one role.
const MAX_EACH: usize = 64;
/// The roles of people, the strongest first: of several the first counts.
const ROLES: [&str; 5] = ["admin", "analyst", "rule_author", "auditor", "read_only"];

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Oidc {
    /// What it calls itself: a URL without a query; its discovery document lies below it.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// Where our secret is read; nothing for a public client.
    pub client_secret: Option<SecretSource>,
    /// What people call it.
    pub name: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The claim that says what somebody is called here.
    pub name_claim: String,
    /// The claim with their groups: a text or a list of texts.
    pub roles_claim: String,
    /// The words of roles with the groups that give them; of several the first counts.
    pub roles: Vec<(&'static str, Vec<String>)>,
    /// The authorities that are trusted, PEM; without it, those of the system.
    pub ca_file: Option<PathBuf>,
    /// How long the provider may take over one step: 1 s to 1 min.
    pub timeout: Duration,
}

/// Reads the table; `origin` is that of the console, empty where it is at fault.
pub fn read(part: &mut Part<'_, '_, '_>, origin: Option<&str>) -> Option<Oidc> {
    let is_there = part.head.is_some();
    let issuer = issuer(part, is_there);
    let client_id = wanted(
        part,
        is_there,
        "client_id",
        "write `client_id = \"varsel\"`, what the provider calls us",
    );
    let client_id = client_id.map(|given| bounded(part, &given, "client_id", MAX_TEXT));
    let client_secret = client_secret(part);
    let name = text(part, "name", "OpenID Connect", MAX_NAME);
    let scopes = scopes(part);
    let name_claim = text(part, "name_claim", "preferred_username", MAX_TEXT);
    let roles_claim = text(part, "roles_claim", "groups", MAX_TEXT);
    let ca_file = part.file("ca_file").map(|given| given.value);
    let timeout = part.span("timeout", 1..=MINUTE, Duration::from_secs(10));
    let roles = roles(&mut part.inner("console.oidc.roles"));
    if is_there && roles.is_empty() && !part.sheet.torn {
        let place = part.place();
        let help = "write `[console.oidc.roles]` and in it `analyst = [\"fraud-analysts\"]`";
        part.fault(place, "no group of the provider gives a role", help);
    }
    if is_there {
        check_origin(part, origin);
    }
    Some(Oidc {
        issuer: issuer?,
        client_id: client_id?,
        client_secret,
        name,
        scopes,
        name_claim,
        roles_claim,
        roles,
        ca_file,
        timeout,
    })
}

/// The provider sends browsers back to the console, which must know where that is.
fn check_origin(part: &mut Part<'_, '_, '_>, origin: Option<&str>) {
    let head = part.place();
    let Some(origin) = origin else {
        let help = "write `origin = \"https://varsel.bank.example\"` in `[console]`";
        let message = "the provider sends browsers back, and nothing says to where";
        return part.fault(head, message, help);
    };
    if let Some((false, host, ..)) = place(origin)
        && !is_here(&host)
    {
        let message = format!("codes to log in with do not go to `{host}` without encryption");
        let help = "write `origin = \"https://…\"` in `[console]`";
        part.fault(head, message, help);
    }
}

fn issuer(part: &mut Part<'_, '_, '_>, is_there: bool) -> Option<String> {
    let help = "write `issuer = \"https://login.bank.example\"`, as the provider calls itself";
    let given = wanted(part, is_there, "issuer", help)?;
    let is_fine = given.value.len() <= MAX_TEXT && !given.value.contains('?');
    let Some((tls, host, ..)) = place(given.value).filter(|_| is_fine) else {
        let message = "`issuer` is not `https://host/path`";
        let help = "write it as the provider's discovery document does, without a query";
        part.fault(given.at, message, help);
        return None;
    };
    if !tls && !is_here(&host) {
        let message = format!("the keys of `{host}` are not asked for without encryption");
        part.fault(given.at, message, "write `https://…`");
        return None;
    }
    Some(given.value.to_owned())
}

fn client_secret(part: &mut Part<'_, '_, '_>) -> Option<SecretSource> {
    if let Some(at) = part.key(CLIENT_LITERAL) {
        let message =
            "`client_secret` stands in the configuration, where anyone who sees it can read it";
        let help = "put it into a file and name that with `client_secret_file`, or a variable of the environment with `client_secret_env`; then change it";
        part.fault(at, message, help);
    }
    let keys = ["client_secret_file", "client_secret_env"];
    secret::named(part, keys, "VARSEL_CLIENT_SECRET")
}

fn bounded(
    part: &mut Part<'_, '_, '_>,
    given: &super::sheet::Given<&str>,
    key: &str,
    most: usize,
) -> String {
    if given.value.len() > most || given.value.chars().any(char::is_control) {
        let message = format!("`{key}` is longer than {most} bytes, or has control characters");
        part.sheet.fault(given.at.clone(), message, None);
    }
    given.value.to_owned()
}

fn text(part: &mut Part<'_, '_, '_>, key: &'static str, default: &str, most: usize) -> String {
    let given = part.text(key);
    given.map_or_else(
        || default.to_owned(),
        |given| bounded(part, &given, key, most),
    )
}

/// What is asked for besides `openid`, which always is.
fn scopes(part: &mut Part<'_, '_, '_>) -> Vec<String> {
    let Some(given) = part.texts("scopes") else {
        return vec!["openid".to_owned(), "profile".to_owned()];
    };
    if given.value.len() > MAX_EACH {
        let message = format!("`scopes` names more than {MAX_EACH}");
        part.sheet.fault(given.at, message, None);
    }
    let mut scopes = Vec::new();
    for scope in given.value {
        // RFC 6749, 3.3.
        let fits = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
        if scope.value.len() > MAX_TEXT || !scope.value.bytes().all(fits) {
            let message = format!("`{}` is no scope", scope.value);
            part.fault(scope.at, message, "write each scope as a text of its own");
        } else {
            scopes.push(scope.value.to_owned());
        }
    }
    scopes
}

fn roles(part: &mut Part<'_, '_, '_>) -> Vec<(&'static str, Vec<String>)> {
    let mut roles: Vec<(&'static str, Vec<String>)> = Vec::new();
    for role in ROLES {
        let Some(given) = part.texts(role) else {
            continue;
        };
        if given.value.is_empty() || given.value.len() > MAX_EACH {
            let message = format!(
                "`{role}` names {} groups, outside 1 to {MAX_EACH}",
                given.value.len()
            );
            part.fault(given.at, message, "leave out a role that nobody has");
        }
        let mut groups = Vec::new();
        for group in given.value {
            let taken = roles.iter().find(|(_, groups)| {
                let mut groups = groups.iter();
                groups.any(|known| known == group.value)
            });
            if let Some((other, _)) = taken {
                let message = format!("`{}` gives the role `{other}` already", group.value);
                part.fault(group.at.clone(), message, "let each group give one role");
            }
            groups.push(bounded(part, &group, role, MAX_TEXT));
        }
        roles.push((role, groups));
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Oidc};

    fn read(lines: &str) -> Oidc {
        let text = format!(
            "[kafka]\nbootstrap = \"b:1\"\n[api]\naudit_file = \"a\"\n[console]\norigin = \"https://v.bank.example\"\n\
             [console.oidc]\nissuer = \"https://id.bank.example/realm\"\nclient_id = \"varsel\"\n{lines}"
        );
        let config = Config::parse("varsel.toml", &text);
        config.unwrap().console.unwrap().oidc.unwrap()
    }

    #[test]
    fn what_is_left_out_has_defaults_and_what_is_written_counts() {
        let oidc = read("[console.oidc.roles]\nanalyst = [\"a\"]\n");
        assert_eq!(oidc.name, "OpenID Connect");
        assert_eq!(oidc.scopes, ["openid", "profile"]);
        assert_eq!(
            [&*oidc.name_claim, &*oidc.roles_claim],
            ["preferred_username", "groups"]
        );
        assert!(oidc.client_secret.is_none() && oidc.ca_file.is_none());
        assert_eq!(oidc.timeout.as_secs(), 10);
        let oidc = read(
            "client_secret_env = \"V_C\"\nname = \"Bank ID\"\nscopes = [\"openid\", \"groups\"]\nname_claim = \"upn\"\n\
             roles_claim = \"roles\"\ntimeout = \"3s\"\nroles = { read_only = [\"r\"], admin = [\"x\", \"y\"] }\n",
        );
        assert_eq!(
            [&*oidc.name, &*oidc.name_claim, &*oidc.roles_claim],
            ["Bank ID", "upn", "roles"]
        );
        assert_eq!(oidc.scopes, ["openid", "groups"]);
        assert!(oidc.client_secret.is_some());
        assert_eq!(oidc.timeout.as_secs(), 3);
        // The strongest first, however they are written.
        let words: Vec<&str> = oidc.roles.iter().map(|(role, _)| *role).collect();
        assert_eq!(words, ["admin", "read_only"]);
        assert_eq!(oidc.roles[0].1, ["x", "y"]);
    }
}
