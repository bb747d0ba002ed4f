//! The table `[console]`: that there is one, and how long its sessions last. What stands in it about a provider is
//! read in `oidc.rs`.
//!
//! Who may log in with a password is kept in the store (`varsel users`), not in a file.

use super::sheet::{Part, Sheet};
use super::tables::{DAY, HOUR, MINUTE};
use super::{Config, Console, Role};
use std::time::Duration;
use toml_edit::Document;

impl Default for Console {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(15 * MINUTE),
            session: Duration::from_secs(12 * HOUR),
            origin: None,
            oidc: None,
            is_demo: false,
        }
    }
}

/// Reads the table; after `[api]` and `[run]`, with which it must agree.
pub fn read(sheet: &mut Sheet<'_>, document: &Document<String>, config: &mut Config) {
    let mut part = Part::open(sheet, document, "console");
    let mut console = Console::default();
    console.idle = part.span("idle_timeout", MINUTE..=DAY, console.idle);
    console.session = part.span("session", 5 * MINUTE..=7 * DAY, console.session);
    if let Some(given) = part.text("origin") {
        let host = given
            .value
            .strip_prefix("https://")
            .or_else(|| given.value.strip_prefix("http://"));
        if host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '@', ' '])) {
            console.origin = Some(given.value.to_owned());
        } else {
            let message = format!("`{}` is no origin", given.value);
            let help =
                "write what the browser's address begins with: `https://varsel.bank.example`";
            part.fault(given.at, message, help);
        }
    }
    // One that is at fault was told of already.
    let origin = part
        .key("origin")
        .map(|_| console.origin.clone().unwrap_or_default());
    console.oidc = super::oidc::read(&mut part.inner("console.oidc"), origin.as_deref());
    let Some(head) = part.head.clone() else {
        return;
    };
    if !config.run.roles.contains(&Role::Api) {
        let help = "add `api` to `run.roles`, or leave `[console]` out";
        part.fault(
            head.clone(),
            "the console is served in the role `api`, which is not ours",
            help,
        );
    }
    if config.api.audit.is_none() {
        let help = "write `audit_file = \"audit.jsonl\"` in `[api]`";
        part.fault(
            head,
            "the console notes every look at a case, and there is no audit log",
            help,
        );
    }
    config.console = Some(console);
}
