//! People who may log in: name, role, password hash, whether they are disabled.
//!
//! What a role may do, and how a password is hashed, is deliberately not known here.

use super::{Row, StoreError, Tx};

/// The most people.
pub const MAX_PEOPLE: i64 = 10_000;

/// Somebody who may log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Their name: the key.
    pub name: String,
    /// The word of a role.
    pub role: String,
    /// The password's hash, a PHC string; empty for who logs in elsewhere.
    pub password: String,
    /// Whether they may not log in any more.
    pub is_disabled: bool,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.role)
    }
}

fn person(row: &Row) -> Person {
    Person {
        name: row.text(0).to_owned(),
        role: row.text(1).to_owned(),
        password: row.text(2).to_owned(),
        is_disabled: row.int(3) != 0,
    }
}

/// Adds somebody; false where the name is taken.
///
/// # Errors
/// Where there are too many, or the store does not answer.
pub fn add(tx: &mut Tx<'_>, person: &Person, now_ms: i64) -> Result<bool, StoreError> {
    let count = tx.number("SELECT count(*) FROM people", &[])?;
    if count >= MAX_PEOPLE {
        let text = format!("there are {count} people already");
        return Err(StoreError::Failed(text));
    }
    let added = tx.change(
        "INSERT INTO people (name, role, password, created, changed, disabled) VALUES ($1, $2, $3, $4, $4, $5)
         ON CONFLICT (name) DO NOTHING",
        &[
            (&person.name).into(),
            (&person.role).into(),
            (&person.password).into(),
            now_ms.into(),
            i64::from(person.is_disabled).into(),
        ],
    )?;
    Ok(added == 1)
}

/// Somebody by name.
///
/// # Errors
/// Where the store does not answer.
pub fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Person>, StoreError> {
    let row = tx.row(
        "SELECT name, role, password, disabled FROM people WHERE name = $1",
        &[name.into()],
    )?;
    Ok(row.as_ref().map(person))
}

/// Everybody, by name.
///
/// # Errors
/// Where the store does not answer.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<Person>, StoreError> {
    let rows = tx.rows(
        "SELECT name, role, password, disabled FROM people ORDER BY name LIMIT $1",
        &[MAX_PEOPLE.into()],
    )?;
    Ok(rows.iter().map(person).collect())
}

/// Gives somebody another role, password or standing, and ends their sessions; false where nobody has that name.
///
/// # Errors
/// Where the store does not answer.
pub fn change(tx: &mut Tx<'_>, person: &Person, now_ms: i64) -> Result<bool, StoreError> {
    let changed = tx.change(
        "UPDATE people SET role = $2, password = $3, disabled = $4, changed = $5 WHERE name = $1",
        &[
            (&person.name).into(),
            (&person.role).into(),
            (&person.password).into(),
            i64::from(person.is_disabled).into(),
            now_ms.into(),
        ],
    )?;
    super::sessions::end_all(tx, &person.name)?;
    Ok(changed == 1)
}

/// Removes somebody and ends their sessions; what they wrote stays. False where nobody has that name.
///
/// # Errors
/// Where the store does not answer.
pub fn remove(tx: &mut Tx<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(tx.change("DELETE FROM people WHERE name = $1", &[name.into()])? == 1)
}
