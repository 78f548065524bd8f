//! Revocations as rows: how one is kept, how all are read, and how it is known that there are others than those that were read.

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection as _, Row as _};

use super::time::At;
use crate::domain::{Revocation, Timestamp};
use crate::positions::revoked::{from_kind_and_name, kind_and_name};
use crate::positions::store::error::StoreError;
use crate::positions::store::interface::MAX_REVOCATIONS;

/// One instance after the other: so the count holds, and numbers rise in the order of commits. Who reads does not wait.
const LOCK: &str = "LOCK TABLE revocations IN SHARE ROW EXCLUSIVE MODE";

const FORGET: &str = "DELETE FROM revocations WHERE until <= $1";

const KEEP: &str = "INSERT INTO revocations AS old (kind, name, revoked_at, until)
    SELECT $1, $2, $3, $4
    WHERE (SELECT count(*) FROM revocations) < $5
        OR EXISTS (SELECT FROM revocations WHERE kind = $1 AND name = $2)
    ON CONFLICT (kind, name) DO UPDATE SET
        revoked_at = greatest(old.revoked_at, excluded.revoked_at),
        until = CASE WHEN old.until IS NOT NULL AND excluded.until IS NOT NULL
            THEN greatest(old.until, excluded.until) END,
        number = DEFAULT
    RETURNING revoked_at, until";

const READ: &str = "SELECT revoked_at, until, kind, name FROM revocations WHERE until IS NULL OR until > $1";

/// Keeps a revocation, and forgets those that hold no more at `now`. Returns what is kept of it, see `Store::revoke`.
pub(super) async fn keep(
    connection: &mut PgConnection,
    revocation: &Revocation,
    now: Timestamp,
) -> Result<Option<Revocation>, StoreError> {
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).execute(&mut *transaction).await?;
    sqlx::query(FORGET).bind(At(now)).execute(&mut *transaction).await?;
    let (kind, name) = kind_and_name(&revocation.revoked);
    let row = sqlx::query(KEEP)
        .bind(kind)
        .bind(&*name)
        .bind(At(revocation.revoked_at))
        .bind(revocation.until.map(At))
        .bind(MAX_REVOCATIONS as i64)
        .fetch_optional(&mut *transaction)
        .await?;
    transaction.commit().await?;
    let Some(row) = row else { return Ok(None) };
    let (revoked_at, until) = times(&row)?;
    Ok(Some(Revocation { revoked: revocation.revoked.clone(), revoked_at, until }))
}

/// The number of the newest; 0 if there is none.
pub(super) async fn newest(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let newest: Option<i64> =
        sqlx::query_scalar("SELECT max(number) FROM revocations").fetch_one(connection).await?;
    Ok(newest.unwrap_or_default())
}

/// All that hold at `now`.
pub(super) async fn read(
    connection: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<Revocation>, StoreError> {
    let rows = sqlx::query(READ).bind(At(now)).fetch_all(connection).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let (revoked_at, until) = times(row)?;
        let (kind, name): (&str, &str) = (row.try_get(2)?, row.try_get(3)?);
        match from_kind_and_name(kind, name) {
            Some(revoked) => found.push(Revocation { revoked, revoked_at, until }),
            None => log::error!(
                "revocation of {kind:?} {name:?} is none that this release knows: it has no effect"
            ),
        }
    }
    Ok(found)
}

fn times(row: &PgRow) -> Result<(Timestamp, Option<Timestamp>), StoreError> {
    let At(revoked_at) = row.try_get(0)?;
    let until: Option<At> = row.try_get(1)?;
    Ok((revoked_at, until.map(|At(until)| until)))
}
