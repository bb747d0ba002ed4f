//! The two back ends: a connection to SQLite or to PostgreSQL, values to and from it, statements prepared once.
//!
//! Statements are written with `$1`, `$2` …; columns are `BIGINT` or `TEXT` only, so that one SQL serves both. What
//! the tables mean is deliberately not known here.

use super::StoreError;
use super::tls::Checked;
use crate::config::Store as Place;
use crate::trust;
use postgres::config::SslMode;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, NoTls, Statement};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, params_from_iter};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// How long a statement waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);
/// How long a connection to PostgreSQL may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A server that acknowledges nothing for so long is gone.
const SILENT: Duration = Duration::from_secs(10);
/// Statements kept prepared; we have fewer.
const PREPARED: usize = 128;

/// A value of a row or a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Int(i64),
    /// A text.
    Text(String),
    /// Nothing.
    Null,
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

/// One row, its columns by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl Row {
    /// A number; 0 where there is none.
    pub fn int(&self, column: usize) -> i64 {
        match self.0.get(column) {
            Some(Value::Int(number)) => *number,
            Some(Value::Text(_) | Value::Null) | None => 0,
        }
    }

    /// A text; empty where there is none.
    pub fn text(&self, column: usize) -> &str {
        self.maybe(column).unwrap_or_default()
    }

    /// A text, where there is one.
    pub fn maybe(&self, column: usize) -> Option<&str> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Some(text),
            Some(Value::Int(_) | Value::Null) | None => None,
        }
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Null => ValueRef::Null,
        }))
    }
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Null => Ok(IsNull::Yes),
        }
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::INT8 || *kind == Type::TEXT
    }

    to_sql_checked!();
}

/// A connection.
pub enum Back {
    /// To a file.
    Sqlite(Connection),
    /// To a server, with the statements that it has prepared.
    Postgres(Box<Client>, BTreeMap<&'static str, Statement>),
}

impl std::fmt::Debug for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite(_) => "Sqlite",
            Self::Postgres(..) => "Postgres",
        })
    }
}

/// An error with its cause, where PostgreSQL's own words stand.
fn spoken(error: &impl std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

fn failed(error: impl std::error::Error) -> StoreError {
    StoreError::Failed(spoken(&error))
}

impl Back {
    /// Connects.
    pub fn open(place: &Place) -> Result<Self, StoreError> {
        match place {
            Place::File(path) => file(path).map_err(|why| StoreError::Open {
                place: path.display().to_string(),
                why,
            }),
            Place::Postgres {
                url,
                password,
                tls,
                ca_file,
            } => {
                let why = |why| StoreError::Open {
                    place: url.clone(),
                    why,
                };
                let said = |error: postgres::Error| why(spoken(&error));
                let mut config: postgres::Config = url.parse().map_err(said)?;
                config.connect_timeout(CONNECT).tcp_user_timeout(SILENT);
                config.keepalives_idle(SILENT).application_name("varsel");
                if let Some(password) = password {
                    let password = password.read().map_err(StoreError::Password)?;
                    config.password(password.reveal());
                }
                let client = if *tls {
                    let trusted = trust::client(ca_file.as_deref()).map_err(why)?;
                    config.ssl_mode(SslMode::Require);
                    config.connect(Checked::by(trusted))
                } else {
                    config.ssl_mode(SslMode::Disable).connect(NoTls)
                };
                Ok(Self::Postgres(
                    Box::new(client.map_err(said)?),
                    BTreeMap::new(),
                ))
            }
        }
    }

    /// Begins a transaction that will write.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        self.run(match self {
            // Else two that read first and write then would lock each other out.
            Self::Sqlite(_) => "BEGIN IMMEDIATE",
            Self::Postgres(..) => "BEGIN",
        })
    }

    /// Begins a transaction that only reads.
    pub fn begin_look(&mut self) -> Result<(), StoreError> {
        self.run(match self {
            Self::Sqlite(_) => "BEGIN",
            Self::Postgres(..) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
    }

    /// Runs statements that answer nothing.
    pub fn run(&mut self, sql: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).map_err(failed),
            Self::Postgres(client, _) => client.batch_execute(sql).map_err(failed),
        }
    }

    /// Lets no other process change the schema until the transaction ends.
    pub fn guard_schema(&mut self) -> Result<(), StoreError> {
        match self {
            // A transaction that writes is alone already.
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(..) => self.run("SELECT pg_advisory_xact_lock(8204117302)"),
        }
    }

    /// Runs what only PostgreSQL needs.
    pub fn run_on_postgres(&mut self, sql: &str) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(..) => self.run(sql),
        }
    }

    /// Changes rows; how many.
    pub fn change(&mut self, sql: &'static str, values: &[Value]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(&numbered(sql)).map_err(failed)?;
                let count = statement
                    .execute(params_from_iter(values))
                    .map_err(failed)?;
                Ok(u64::try_from(count).unwrap_or(u64::MAX))
            }
            Self::Postgres(client, prepared) => {
                let statement = prepare(client, prepared, sql)?;
                client.execute(&statement, &given(values)).map_err(failed)
            }
        }
    }

    /// Reads rows.
    pub fn rows(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(&numbered(sql)).map_err(failed)?;
                let columns = statement.column_count();
                let read = |row: &rusqlite::Row<'_>| {
                    let cells = (0..columns).map(|column| Ok(cell(row.get_ref(column)?)));
                    cells.collect::<rusqlite::Result<_>>().map(Row)
                };
                let rows = statement.query_map(params_from_iter(values), read);
                rows.and_then(Iterator::collect).map_err(failed)
            }
            Self::Postgres(client, prepared) => {
                let statement = prepare(client, prepared, sql)?;
                let rows = client.query(&statement, &given(values)).map_err(failed)?;
                rows.iter().map(row).collect()
            }
        }
    }
}

fn file(path: &Path) -> Result<Back, String> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        fs::create_dir_all(dir).map_err(|error| error.to_string())?;
    }
    let connection = Connection::open(path).map_err(|error| error.to_string())?;
    // Whose card was where: for this user alone.
    let only_us = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, only_us).map_err(|error| error.to_string())?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    let set = connection.busy_timeout(BUSY).and_then(|()| {
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON",
        )
    });
    set.map_err(|error| error.to_string())?;
    Ok(Back::Sqlite(connection))
}

/// A statement as SQLite counts values: to it `$2` is a name, and names are numbered in the order in which they come.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn given(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

fn prepare(
    client: &mut Client,
    prepared: &mut BTreeMap<&'static str, Statement>,
    sql: &'static str,
) -> Result<Statement, StoreError> {
    if let Some(statement) = prepared.get(sql) {
        return Ok(statement.clone());
    }
    let statement = client.prepare(sql).map_err(failed)?;
    prepared.insert(sql, statement.clone());
    Ok(statement)
}

fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        // No column of ours holds these.
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Value::Null,
    }
}

fn row(row: &postgres::Row) -> Result<Row, StoreError> {
    let cells = row.columns().iter().enumerate().map(|(number, column)| {
        if *column.type_() == Type::INT8 {
            let value: Option<i64> = row.try_get(number).map_err(failed)?;
            Ok(value.map_or(Value::Null, Value::Int))
        } else {
            let value: Option<String> = row.try_get(number).map_err(failed)?;
            Ok(value.map_or(Value::Null, Value::Text))
        }
    });
    cells.collect::<Result<_, StoreError>>().map(Row)
}
