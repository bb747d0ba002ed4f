//! The way into the demo's console: a user with a password made at the start, told in the terminal alone.
//!
//! It ends with the demo: user and store lie in the demo's own folder.

use crate::clock;
use crate::config::{self, Config};
use crate::console::people;
use crate::store::people::{Person, add};
use crate::store::{Store, StoreError};
use crate::stream::StreamError;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// Who logs in.
const NAME: &str = "analyst";

/// The demo's own log-in.
pub struct Entry {
    password: String,
}

impl Entry {
    /// Turns the console on, with one user; mails link to it.
    ///
    /// # Errors
    /// Where the store cannot be opened, or no port is free.
    pub fn open(config: &mut Config, state: &Path) -> Result<Self, super::DemoError> {
        // The port must be known before it is served: mails have it in their links.
        config.http.listen = TcpListener::bind(config.http.listen)?.local_addr()?;
        config.notify.link = Some(format!("http://{}", config.http.listen));
        config.api.audit = Some(state.join("audit.jsonl"));
        config.console = Some(config::Console {
            is_demo: true,
            ..config::Console::default()
        });
        let password = people::made()?;
        let person = Person {
            name: NAME.to_owned(),
            role: "analyst".to_owned(),
            password: people::hash(&password)?,
            is_disabled: false,
            provider: None,
        };
        let added = Store::open(&config.store)
            .and_then(|mut store| store.commit(|tx| add(tx, &person, clock::now_ms())));
        added.map_err(|error: StoreError| StreamError::Notify(error.to_string()))?;
        Ok(Self { password })
    }

    /// Says where the console is, and how to log in.
    ///
    /// # Errors
    /// Where the terminal fails.
    pub fn tell(&self, address: SocketAddr, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "The analysts' console: http://{address}/console\n  user name  {NAME}\n  password   {}\n",
            self.password
        )?;
        out.flush()
    }
}
