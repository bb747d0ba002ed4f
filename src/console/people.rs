//! Who may log in: their names, their roles, which are scopes of the API, and their passwords (Argon2id).
//!
//! What is hashed is kept in the store. Hashing takes tens of milliseconds and megabytes on purpose: never on a thread
//! that answers others.

use crate::api::routes::Scope;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use rustix::rand::{GetRandomFlags, getrandom};
use std::io;

/// The fewest characters of a password (NIST SP 800-63B-4, 3.1.1.2, asks for 15 where it is the only factor).
pub const MIN_PASSWORD: usize = 15;
/// The most bytes of a password: what is hashed must be bounded.
pub const MAX_PASSWORD: usize = 256;
/// The longest name.
pub const MAX_NAME: usize = 64;
/// Bytes of a salt.
const SALT: usize = 16;

/// The roles that people can have.
pub const ROLES: [Scope; 5] = [
    Scope::Analyst,
    Scope::RuleAuthor,
    Scope::Admin,
    Scope::Auditor,
    Scope::ReadOnly,
];

/// A role by its word; nothing for the scopes of machines.
pub fn role(word: &str) -> Option<Scope> {
    ROLES.into_iter().find(|role| role.word() == word)
}

/// Whether somebody may be called so: letters, digits, `.`, `_`, `-` and `@`.
pub fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(fits)
}

/// Random bytes of the system.
///
/// # Errors
/// Where it has none.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut filled = 0;
    while filled < N {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

/// 19 MiB, two passes, one lane: OWASP's first choice for Argon2id.
fn argon() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

/// Hashes a password with a salt of its own, as a PHC string.
///
/// # Errors
/// Where the system has no memory or randomness.
pub fn hash(password: &str) -> io::Result<String> {
    let salt: [u8; SALT] = random()?;
    let hashed = argon().hash_password_with_salt(password.as_bytes(), &salt);
    let hashed: PasswordHash = hashed.map_err(|error| io::Error::other(error.to_string()))?;
    Ok(hashed.to_string())
}

/// Whether this is the password of a hash; compared in constant time. A hash that cannot be read is nobody's.
pub fn is_right(password: &str, hashed: &str) -> bool {
    let fits = password.len() <= MAX_PASSWORD;
    let hashed = PasswordHash::new(hashed);
    hashed.is_ok_and(|hashed| {
        argon()
            .verify_password(password.as_bytes(), &hashed)
            .is_ok()
    }) && fits
}

/// A password that can be read aloud and typed: twenty letters in groups of five, 86 bits.
///
/// # Errors
/// Where the system has no randomness.
pub fn made() -> io::Result<String> {
    // Without letters that look alike; 20 of them, so that four fifths of a byte's values are even.
    const LETTERS: &[u8; 20] = b"abcdefghkmnpqrstwxyz";
    let mut text = String::new();
    let mut count = 0;
    while count < 20 {
        for byte in random::<32>()? {
            let byte = usize::from(byte);
            if byte >= 240 || count == 20 {
                continue;
            }
            if count > 0 && count % 5 == 0 {
                text.push('-');
            }
            text.push(char::from(LETTERS[byte % LETTERS.len()]));
            count += 1;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_known_by_its_hash_and_another_is_not() {
        let hashed = hash("correct horse battery").unwrap();
        assert!(
            hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hashed}"
        );
        assert!(is_right("correct horse battery", &hashed));
        for wrong in ["correct horse batterz", "", "correct horse battery "] {
            assert!(!is_right(wrong, &hashed), "{wrong}");
        }
        assert!(!is_right("x", "") && !is_right("x", "$argon2id$v=19$broken"));
        assert_ne!(hashed, hash("correct horse battery").unwrap());
    }

    #[test]
    fn a_password_that_is_made_is_long_and_new_each_time() {
        let (one, other) = (made().unwrap(), made().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.len(), 23);
        assert!(
            one.split('-')
                .all(|part| part.len() == 5 && part.bytes().all(|b| b.is_ascii_lowercase()))
        );
    }

    #[test]
    fn roles_are_those_of_people_and_names_are_plain() {
        assert_eq!(role("analyst"), Some(Scope::Analyst));
        for machine in ["acs", "host", "peer", "", "Analyst"] {
            assert_eq!(role(machine), None);
        }
        assert!(is_name("anna.k@bank.example") && is_name("a"));
        for bad in ["", "a b", "<b>", "å", "a\n", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
