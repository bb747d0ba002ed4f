//! `varsel users`: who may log in at the console. It works on the store itself, beside a running console; a change ends
//! the sessions of whom it concerns. Passwords come from a file or standard input, never from the command line. Who logs
//! in by way of a provider has role and password there: here they are only let in or kept out.

use crate::cli::live::Settings;
use crate::cli::rules::{BAD_FILES, FAILED, FINE};
use crate::clock;
use crate::config::Config;
use crate::console::people::{MAX_PASSWORD, MIN_PASSWORD, ROLES, hash, is_name, role};
use crate::store::people::{self, Person};
use crate::store::{Store, StoreError};
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What can be done with users.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Show them
    List(Settings),
    /// Add one, with a password from a file or standard input
    Add(Add),
    /// Remove one; what they wrote stays. Whom the provider vouches for comes back at their next log-in: disable them
    Remove(Named),
    /// Let one log in no more; what they have open ends
    Disable(Named),
    /// Let one log in again
    Enable(Named),
    /// Give one another role
    Role(Changed),
    /// Give one another password; what they have open ends
    Password(Password),
}

/// Options of `varsel users add`.
#[derive(Debug, Clone, Args)]
pub struct Add {
    /// Which user, and with which password.
    #[command(flatten)]
    pub password: Password,
    /// What they may do: analyst, rule_author, admin, auditor or read_only
    #[arg(long, value_parser = role_word)]
    pub role: String,
}

/// Which user, and where the password is read.
#[derive(Debug, Clone, Args)]
pub struct Password {
    /// Which user.
    #[command(flatten)]
    pub named: Named,
    /// The file with the password, 15 to 256 bytes; without it, it is read from standard input
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Options of `varsel users role`.
#[derive(Debug, Clone, Args)]
pub struct Changed {
    /// Which user.
    #[command(flatten)]
    pub named: Named,
    /// What they may do: analyst, rule_author, admin, auditor or read_only
    #[arg(value_parser = role_word)]
    pub role: String,
}

/// Which user.
#[derive(Debug, Clone, Args)]
pub struct Named {
    /// Which configuration.
    #[command(flatten)]
    pub settings: Settings,
    /// Their name: letters, digits, `.`, `_`, `-` and `@`
    #[arg(value_parser = user)]
    pub name: String,
}

fn user(name: &str) -> Result<String, String> {
    let fine = is_name(name).then(|| name.to_owned());
    fine.ok_or_else(|| "1 to 64 letters, digits, `.`, `_`, `-` and `@`".to_owned())
}

fn role_word(word: &str) -> Result<String, String> {
    let known = role(word).map(|role| role.word().to_owned());
    known.ok_or_else(|| format!("it can be {}", ROLES.map(|role| role.word()).join(", ")))
}

impl Command {
    fn settings(&self) -> &Settings {
        match self {
            Self::List(settings) => settings,
            Self::Add(add) => &add.password.named.settings,
            Self::Remove(named) | Self::Disable(named) | Self::Enable(named) => &named.settings,
            Self::Role(changed) => &changed.named.settings,
            Self::Password(password) => &password.named.settings,
        }
    }

    /// Where a password is read, if one is needed.
    fn password(&self) -> Option<&Password> {
        match self {
            Self::Add(add) => Some(&add.password),
            Self::Password(password) => Some(password),
            Self::List(_)
            | Self::Remove(_)
            | Self::Disable(_)
            | Self::Enable(_)
            | Self::Role(_) => None,
        }
    }
}

/// `varsel users`.
///
/// # Errors
/// Where the terminal cannot be written.
pub fn run(command: &Command, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<u8> {
    let config = match Config::load(&command.settings().config) {
        Ok(config) => config,
        Err(problems) => {
            write!(err, "{problems}")?;
            return Ok(BAD_FILES);
        }
    };
    let hashed = match command.password().map(hashed).transpose() {
        Ok(hashed) => hashed.unwrap_or_default(),
        Err(text) => {
            writeln!(err, "error: {text}")?;
            return Ok(BAD_FILES);
        }
    };
    let done = Store::open(&config.store).and_then(|mut store| done(command, hashed, &mut store));
    match done {
        Ok(Ok(lines)) => {
            for line in lines {
                writeln!(out, "{line}")?;
            }
            Ok(FINE)
        }
        Ok(Err(text)) => {
            writeln!(err, "error: {text}")?;
            Ok(BAD_FILES)
        }
        Err(error) => {
            writeln!(err, "error: {error}")?;
            Ok(FAILED)
        }
    }
}

/// The hash of the password that a file or standard input has; line breaks at its end are not part of it.
fn hashed(from: &Password) -> Result<String, String> {
    let mut text = Zeroizing::new(String::new());
    // Room for a line break, and one byte that is too many.
    let most = u64::try_from(MAX_PASSWORD + 3).unwrap_or(u64::MAX);
    let read = match &from.password_file {
        Some(path) => File::open(path).and_then(|file| file.take(most).read_to_string(&mut text)),
        None => io::stdin().lock().take(most).read_to_string(&mut text),
    };
    read.map_err(|error| format!("the password cannot be read: {error}"))?;
    let password = text.trim_end_matches(['\n', '\r']);
    if password.chars().count() < MIN_PASSWORD || password.len() > MAX_PASSWORD {
        return Err(format!(
            "a password has {MIN_PASSWORD} characters at least and {MAX_PASSWORD} bytes at most\n  = help: several words are easier to remember than signs"
        ));
    }
    hash(password).map_err(|error| error.to_string())
}

type Told = Result<Vec<String>, String>;

/// Does it, and answers with what is to be said.
fn done(command: &Command, hashed: String, store: &mut Store) -> Result<Told, StoreError> {
    let now_ms = clock::now_ms();
    match command {
        Command::List(_) => {
            let all = store.look::<_, StoreError>(people::all)?;
            Ok(Ok(all.iter().map(shown).collect()))
        }
        Command::Add(add) => {
            let person = Person {
                name: add.password.named.name.clone(),
                role: add.role.clone(),
                password: hashed,
                is_disabled: false,
                provider: None,
            };
            let is_new = store.commit(|tx| people::add(tx, &person, now_ms))?;
            Ok(if is_new {
                Ok(vec![shown(&person)])
            } else {
                Err(format!("there is a user `{}` already", person.name))
            })
        }
        Command::Remove(named) => {
            let was_there = store.commit(|tx| people::remove(tx, &named.name))?;
            Ok(if was_there {
                Ok(vec!["removed".to_owned()])
            } else {
                Err(nobody(&named.name))
            })
        }
        Command::Disable(named) => change(store, &named.name, |person| person.is_disabled = true),
        Command::Enable(named) => change(store, &named.name, |person| person.is_disabled = false),
        Command::Role(changed) => change_own(store, &changed.named.name, |person| {
            person.role.clone_from(&changed.role);
        }),
        Command::Password(password) => change_own(store, &password.named.name, |person| {
            person.password = hashed;
        }),
    }
}

fn nobody(name: &str) -> String {
    format!("there is no user `{name}`")
}

/// Changes somebody.
fn change(
    store: &mut Store,
    name: &str,
    change: impl FnOnce(&mut Person),
) -> Result<Told, StoreError> {
    change_where(store, name, |person| {
        change(person);
        Ok(())
    })
}

/// Changes somebody who has role and password here.
fn change_own(
    store: &mut Store,
    name: &str,
    change: impl FnOnce(&mut Person),
) -> Result<Told, StoreError> {
    change_where(store, name, |person| {
        if let Some(provider) = &person.provider {
            let help = "change it there, or keep them out with `varsel users disable`";
            return Err(format!(
                "`{name}` has role and password from `{}`\n  = help: {help}",
                provider.issuer
            ));
        }
        change(person);
        Ok(())
    })
}

fn change_where(
    store: &mut Store,
    name: &str,
    change: impl FnOnce(&mut Person) -> Result<(), String>,
) -> Result<Told, StoreError> {
    let now_ms = clock::now_ms();
    store.commit(|tx| {
        let Some(mut person) = people::find(tx, name)? else {
            return Ok(Err(nobody(name)));
        };
        if let Err(told) = change(&mut person) {
            return Ok(Err(told));
        }
        people::change(tx, &person, now_ms)?;
        Ok(Ok(vec![shown(&person)]))
    })
}

fn shown(person: &Person) -> String {
    let standing = if person.is_disabled { "  disabled" } else { "" };
    let provider = person.provider.as_ref();
    let by = provider.map_or_else(String::new, |one| format!("  by way of {}", one.issuer));
    format!("{}  {}{standing}{by}", person.name, person.role)
}
