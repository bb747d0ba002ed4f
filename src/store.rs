//! The store: alerts, holds, and what is to be told of them, in SQLite or PostgreSQL.
//!
//! One type over two back ends and one SQL for both; what differs stands in `back.rs`. Everything is read and written
//! in transactions, so that a record's place in its topic is kept together with what the record caused. It judges
//! nothing and reads no clock: `now` is handed in.

mod back;
mod schema;
mod tls;

pub mod alerts;
pub mod cases;
pub mod early;
pub mod happening;
pub mod lease;
pub mod notes;
pub mod offsets;
pub mod outbox;
pub mod people;
pub mod queue;
pub mod rebuilt;
pub mod samples;
pub mod sessions;
pub mod silences;
pub mod tallies;
pub mod trips;
pub mod views;
pub mod waiting;

pub use back::{Row, Value};

use crate::config;
use crate::problem::Problem;
use back::Back;

/// Why the store does not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or opened.
    #[error(
        "the store `{place}` cannot be opened: {why}\n  = help: check `store.url`, and that this user may write there"
    )]
    Open {
        /// The file or URL.
        place: String,
        /// What the system or the server said.
        why: String,
    },
    /// Its password cannot be read.
    #[error("{0}")]
    Password(Problem),
    /// It was written by a newer version of this program.
    #[error(
        "the store has schema {found}, and this program knows {known}\n  = help: run the newer program, or name another `store.url`"
    )]
    Newer {
        /// Of the store.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// A statement failed: locked, full, gone.
    #[error("the store does not answer: {0}")]
    Failed(String),
    /// Another instance leads now.
    #[error("another instance tells of alerts now")]
    NotLeading,
}

/// An open store: one connection.
#[derive(Debug)]
pub struct Store {
    back: Back,
}

/// A transaction in hand: all of it is kept, or nothing.
#[derive(Debug)]
pub struct Tx<'s> {
    back: &'s mut Back,
}

impl Store {
    /// Opens a store, and brings its schema up to date.
    ///
    /// # Errors
    /// Where it cannot be reached, or is newer than we are.
    pub fn open(place: &config::Store) -> Result<Self, StoreError> {
        let mut back = Back::open(place)?;
        schema::migrate(&mut back)?;
        Ok(Self { back })
    }

    /// Reads in one transaction, beside whoever writes: what is read is one state. Changes nothing.
    ///
    /// # Errors
    /// What the work said, or that the store does not answer.
    pub fn look<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.back.begin_look()?;
        let done = work(&mut Tx {
            back: &mut self.back,
        });
        // Nothing is kept either way.
        let _ = self.back.run("ROLLBACK");
        done
    }

    /// Does some work in one transaction.
    ///
    /// # Errors
    /// What the work said, nothing of which is kept; or that the store does not answer, where it is not known
    /// whether all or nothing was kept.
    pub fn commit<T>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.back.begin()?;
        let done = work(&mut Tx {
            back: &mut self.back,
        });
        match done {
            Ok(done) => {
                if let Err(error) = self.back.run("COMMIT") {
                    // Of a full disk the transaction is still open.
                    let _ = self.back.run("ROLLBACK");
                    return Err(error);
                }
                Ok(done)
            }
            Err(error) => {
                // A connection that is gone has rolled back by itself.
                let _ = self.back.run("ROLLBACK");
                Err(error)
            }
        }
    }
}

impl Tx<'_> {
    /// Changes rows; how many.
    pub(crate) fn change(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<u64, StoreError> {
        self.back.change(sql, values)
    }

    /// Reads rows.
    pub(crate) fn rows(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Vec<Row>, StoreError> {
        self.back.rows(sql, values)
    }

    /// Reads at most one row.
    pub(crate) fn row(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// Reads one number; 0 where there is none.
    pub(crate) fn number(
        &mut self,
        sql: &'static str,
        values: &[Value],
    ) -> Result<i64, StoreError> {
        Ok(self.row(sql, values)?.map_or(0, |row| row.int(0)))
    }
}
