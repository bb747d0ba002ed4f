//! People who may log in: name, role, whether they are disabled; a password hash, or the provider that vouches for them.
//!
//! What a role may do, how a password is hashed, and how a provider vouches, is deliberately not known here.

use super::{Row, StoreError, Tx};

/// The most people.
pub const MAX_PEOPLE: i64 = 10_000;

/// Who vouches for somebody, in the place of a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// What the provider calls itself.
    pub issuer: String,
    /// What it calls them: never another's, unlike a name (OpenID Connect Core 1.0, 5.7).
    pub subject: String,
}

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
    /// Where they log in; nothing for who has a password here.
    pub provider: Option<Provider>,
}

/// What becomes of somebody whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// They are in, under this name.
    In(String),
    /// Their name is somebody else's.
    Taken,
    /// They may not log in any more, under this name.
    Disabled(String),
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
        provider: Some(row.text(4))
            .filter(|issuer| !issuer.is_empty())
            .map(|issuer| Provider {
                issuer: issuer.to_owned(),
                subject: row.text(5).to_owned(),
            }),
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
    let provider = person.provider.as_ref();
    let (issuer, subject) = provider.map_or(("", ""), |one| (&*one.issuer, &*one.subject));
    let added = tx.change(
        "INSERT INTO people (name, role, password, created, changed, disabled, issuer, subject)
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING",
        &[
            (&person.name).into(),
            (&person.role).into(),
            (&person.password).into(),
            now_ms.into(),
            i64::from(person.is_disabled).into(),
            issuer.into(),
            subject.into(),
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
        "SELECT name, role, password, disabled, issuer, subject FROM people WHERE name = $1",
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
        "SELECT name, role, password, disabled, issuer, subject FROM people ORDER BY name LIMIT $1",
        &[MAX_PEOPLE.into()],
    )?;
    Ok(rows.iter().map(person).collect())
}

/// Whom a provider vouches for.
///
/// # Errors
/// Where the store does not answer.
pub fn vouched(tx: &mut Tx<'_>, provider: &Provider) -> Result<Option<Person>, StoreError> {
    let row = tx.row(
        "SELECT name, role, password, disabled, issuer, subject FROM people
         WHERE issuer = $1 AND subject = $2 AND issuer <> ''",
        &[(&provider.issuer).into(), (&provider.subject).into()],
    )?;
    Ok(row.as_ref().map(person))
}

/// Lets somebody in whom a provider vouches for, with the role that they have there now. Who is known keeps the name
/// they had at first; a name that another has, be it in other letters, is never taken over.
///
/// # Errors
/// Where there are too many, or the store does not answer.
pub fn arrive(
    tx: &mut Tx<'_>,
    (name, role): (&str, &str),
    provider: &Provider,
    now_ms: i64,
) -> Result<Arrival, StoreError> {
    if let Some(mut known) = vouched(tx, provider)? {
        if known.is_disabled {
            return Ok(Arrival::Disabled(known.name));
        }
        if known.role != role {
            role.clone_into(&mut known.role);
            change(tx, &known, now_ms)?;
        }
        return Ok(Arrival::In(known.name));
    }
    let namesakes = tx.number(
        "SELECT count(*) FROM people WHERE lower(name) = lower($1)",
        &[name.into()],
    )?;
    let new = Person {
        name: name.to_owned(),
        role: role.to_owned(),
        password: String::new(),
        is_disabled: false,
        provider: Some(provider.clone()),
    };
    if namesakes > 0 || !add(tx, &new, now_ms)? {
        return Ok(Arrival::Taken);
    }
    Ok(Arrival::In(new.name))
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
