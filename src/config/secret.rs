//! Secrets: where one is read, and the secret itself, which shows itself to nobody who does not ask by name.
//! It deliberately keeps no secret between two reads, so that a changed file counts at the next connection.

use super::sheet::{Part, is_variable};
use crate::problem::Problem;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The most bytes of a secret; what is longer is some other file.
const MAX_BYTES: usize = 4096;

/// A password. `Debug` shows `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A secret that comes from elsewhere than a configuration.
    pub fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself, for whoever must send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Where a secret is read, and the place in the configuration that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretSource {
    pub(super) from: From,
    /// A fault at the place of the source, its words still to be filled in.
    pub(super) place: Problem,
}

/// The two places where a secret may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    File(PathBuf),
    Env(String),
}

/// Where a secret is read by one of two keys: of a file, of a variable; `example` is a name for the variable.
pub(super) fn named(
    part: &mut Part<'_, '_, '_>,
    [file_key, env_key]: [&'static str; 2],
    example: &str,
) -> Option<SecretSource> {
    let file = part.text(file_key);
    let env = part.text(env_key);
    if let (Some(_), Some(env)) = (&file, &env) {
        let message = format!("`{file_key}` and `{env_key}` are both given");
        part.fault(env.at.clone(), message, "keep one of them");
    }
    if let Some(file) = file {
        return Some(SecretSource {
            from: From::File(PathBuf::from(file.value)),
            place: part.sheet.place(file.at),
        });
    }
    let env = env?;
    if !is_variable(env.value) {
        // Perhaps the secret itself: not shown.
        let message =
            format!("`{env_key}` is no name of a variable: letters A to Z, digits and `_`");
        let help = format!("write `{env_key} = \"{example}\"` and set that variable");
        part.fault(env.at, message, &help);
        return None;
    }
    Some(SecretSource {
        from: From::Env(env.value.to_owned()),
        place: part.sheet.place(env.at),
    })
}

impl SecretSource {
    /// Reads the secret; line breaks at the end of a file are not part of it.
    ///
    /// # Errors
    /// A fault at the place in the configuration: missing, unreadable, empty, or over 4,096 bytes.
    pub fn read(&self) -> Result<Secret, Problem> {
        let (text, shown) = match &self.from {
            From::File(path) => (self.file(path)?, format!("the file `{}`", path.display())),
            From::Env(name) => (
                self.variable(name)?,
                format!("the environment variable `{name}`"),
            ),
        };
        if text.is_empty() {
            return Err(self.fault(format!("{shown} is empty"), "write the secret into it"));
        }
        if text.len() > MAX_BYTES {
            let message = format!("{shown} has more than the {MAX_BYTES} bytes of a secret");
            return Err(self.fault(message, "write the secret into it and nothing else"));
        }
        Ok(Secret(text))
    }

    fn file(&self, path: &Path) -> Result<String, Problem> {
        let mut text = String::new();
        // Two more than the most, for a line break of two bytes.
        let most = u64::try_from(MAX_BYTES + 2).unwrap_or(u64::MAX);
        File::open(path)
            .and_then(|file| file.take(most + 1).read_to_string(&mut text))
            .map_err(|error| {
                let message = format!("the file `{}` cannot be read: {error}", path.display());
                self.fault(message, "create it, readable by this user alone")
            })?;
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        Ok(text)
    }

    fn variable(&self, name: &str) -> Result<String, Problem> {
        std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => self.fault(
                format!("the environment variable `{name}` is not set"),
                "set it, or name a file with `password_file`",
            ),
            std::env::VarError::NotUnicode(_) => self.fault(
                format!("the environment variable `{name}` is no UTF-8"),
                "set it again",
            ),
        })
    }

    /// A fault of the secret itself, told at its place in the configuration; shows nothing of it.
    pub fn fault(&self, message: String, help: &str) -> Problem {
        Problem {
            message,
            ..self.place.clone()
        }
        .with_help(help)
    }
}
