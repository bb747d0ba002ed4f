//! The lease: who of several instances reads, plans and sends. It is taken for a while and renewed; every change that
//! only its holder may make asks for it in the same transaction, so that a holder that stood still changes nothing.

use super::{Store, StoreError, Tx};

/// The one lease that there is.
const NAME: &str = "notify";
/// How long it is held without renewal, in milliseconds.
pub const HELD_MS: i64 = 10_000;

/// Takes the lease, or renews it; false where another holds it.
///
/// # Errors
/// Where the store does not answer.
pub fn take(store: &mut Store, holder: &str, now_ms: i64) -> Result<bool, StoreError> {
    store.commit(|tx| {
        let changed = tx.change(
            "INSERT INTO leases (name, holder, until) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE leases.holder = excluded.holder OR leases.until < $4",
            &[
                NAME.into(),
                holder.into(),
                (now_ms + HELD_MS).into(),
                now_ms.into(),
            ],
        )?;
        Ok(changed == 1)
    })
}

/// Makes sure, at the beginning of a transaction, that the lease is still ours; nobody can take it before the end.
///
/// # Errors
/// Where it is not, or the store does not answer.
pub fn hold(tx: &mut Tx<'_>, holder: &str) -> Result<(), StoreError> {
    let changed = tx.change(
        "UPDATE leases SET holder = $1 WHERE name = $2 AND holder = $1",
        &[holder.into(), NAME.into()],
    )?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::NotLeading)
    }
}

/// Gives the lease back, so that another instance need not wait.
///
/// # Errors
/// Where the store does not answer.
pub fn give_back(store: &mut Store, holder: &str) -> Result<(), StoreError> {
    store.commit(|tx| {
        tx.change(
            "UPDATE leases SET until = 0 WHERE name = $1 AND holder = $2",
            &[NAME.into(), holder.into()],
        )
        .map(drop)
    })
}
