//! The tables, as numbered migrations: each runs once, in one transaction, and is never changed afterwards.
//!
//! A store that a newer program has written is refused: what its tables mean is not known here.

use super::StoreError;
use super::back::Back;

/// The migrations, the first one number 1.
const MIGRATIONS: [&str; 5] = [
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
    include_str!("schema/4.sql"),
    include_str!("schema/5.sql"),
];

/// What PostgreSQL is told besides, after the migration of a number: names are searched by how they begin, which only the
/// order of their bytes keeps together; in Danish `aa` comes after `z`.
const POSTGRES: [(i64, &str); 1] = [(
    4,
    "ALTER TABLE cases ALTER COLUMN sought TYPE TEXT COLLATE \"C\"",
)];

/// Brings the schema up to date.
pub fn migrate(back: &mut Back) -> Result<(), StoreError> {
    back.begin()?;
    let done = guarded(back);
    let end = back.run(if done.is_ok() { "COMMIT" } else { "ROLLBACK" });
    done.and(end)
}

fn guarded(back: &mut Back) -> Result<(), StoreError> {
    back.guard_schema()?;
    back.run("CREATE TABLE IF NOT EXISTS varsel_schema (version BIGINT NOT NULL)")?;
    let rows = back.rows("SELECT coalesce(max(version), 0) FROM varsel_schema", &[])?;
    let found = rows.first().map_or(0, |row| row.int(0));
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, sql) in (1_i64..)
        .zip(MIGRATIONS)
        .filter(|(version, _)| *version > found)
    {
        back.run(sql)?;
        for (_, sql) in POSTGRES.iter().filter(|(after, _)| *after == version) {
            back.run_on_postgres(sql)?;
        }
        back.change(
            "INSERT INTO varsel_schema (version) VALUES ($1)",
            &[version.into()],
        )?;
    }
    Ok(())
}
