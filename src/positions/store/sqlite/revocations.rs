//! Revocations as rows: how one is kept, and how all are read.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use crate::domain::{Revocation, Timestamp};
use crate::positions::revoked::{from_kind_and_name, kind_and_name};
use crate::positions::store::error::StoreError;
use crate::positions::store::interface::MAX_REVOCATIONS;

const FORGET: &str = "DELETE FROM revocations WHERE until <= ?";

/// `max` of two values is NULL if one of them is, which is for ever.
const KEEP: &str = "INSERT INTO revocations (kind, name, revoked_at, until)
    SELECT ?1, ?2, ?3, ?4
    WHERE (SELECT count(*) FROM revocations) < ?5
        OR EXISTS (SELECT 1 FROM revocations WHERE kind = ?1 AND name = ?2)
    ON CONFLICT (kind, name) DO UPDATE SET
        revoked_at = max(revoked_at, excluded.revoked_at), until = max(until, excluded.until)
    RETURNING revoked_at, until";

const READ: &str = "SELECT revoked_at, until, kind, name FROM revocations WHERE until IS NULL OR until > ?";

/// Keeps a revocation, and forgets those that hold no more at `now`. Returns what is kept of it, see `Store::revoke`.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    revocation: &Revocation,
    now: Timestamp,
) -> Result<Option<Revocation>, StoreError> {
    sqlx::query(FORGET).bind(now.as_millis()).execute(&mut *connection).await?;
    let (kind, name) = kind_and_name(&revocation.revoked);
    let rows = sqlx::query(KEEP)
        .bind(kind)
        .bind(&*name)
        .bind(revocation.revoked_at.as_millis())
        .bind(revocation.until.map(Timestamp::as_millis))
        .bind(MAX_REVOCATIONS as i64)
        .fetch_all(connection)
        .await?;
    let Some(row) = rows.first() else { return Ok(None) };
    // A damaged time of before is not the later one.
    let (revoked_at, until) = times(row)?.unwrap_or((revocation.revoked_at, revocation.until));
    Ok(Some(Revocation { revoked: revocation.revoked.clone(), revoked_at, until }))
}

/// All that hold at `now`.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> Result<Vec<Revocation>, StoreError> {
    let rows = sqlx::query(READ).bind(now.as_millis()).fetch_all(connection).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let (kind, name): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        match from_kind_and_name(kind, name).zip(times(row)?) {
            Some((revoked, (revoked_at, until))) => found.push(Revocation { revoked, revoked_at, until }),
            None => log::error!(
                "revocation of {kind:?} {name:?} is none that this release knows: it has no effect"
            ),
        }
    }
    Ok(found)
}

/// When it was revoked, and until when that holds; `None` where a time is none.
fn times(row: &SqliteRow) -> Result<Option<(Timestamp, Option<Timestamp>)>, StoreError> {
    let (revoked_at, until): (i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
    let until = until.map(Timestamp::from_millis);
    Ok(match (Timestamp::from_millis(revoked_at), until) {
        (_, Some(None)) | (None, _) => None,
        (Some(revoked_at), until) => Some((revoked_at, until.flatten())),
    })
}
