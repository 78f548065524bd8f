//! The tables, and how a database comes to have them.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, SqlSafeStr as _};

use super::connect::Target;
use crate::positions::store::error::{Loss, StoreError};

/// Every step from an empty database to this version. One that was released is never changed: databases remember what was done
/// to them. (`sqlx::migrate!` would read the folder itself, but builds the drivers a second time for that.)
fn migrations() -> Vec<Migration> {
    let step = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    vec![
        step(1, "positions", include_str!("migrations/1_positions.sql")),
        step(2, "revocations", include_str!("migrations/2_revocations.sql")),
    ]
}

/// Makes the tables, or brings those of an older version to this one. Instances that start together wait for each other.
///
/// # Errors
/// [`StoreError::Newer`] if a newer version of this program was here, or Postgres's reason.
pub(super) async fn upgrade(target: &Target) -> Result<(), StoreError> {
    let mut connection = target.connect().await?;
    // That a table is there already is no news. Another instance that changes tables is waited for, but not for ever: who
    // started this one hears of it then.
    let sets = "SET client_min_messages = warning; SET lock_timeout = 60000";
    sqlx::raw_sql(sets).execute(&mut connection).await?;
    let known = migrations().len() as i64;
    match Migrator::with_migrations(migrations()).run_direct(None, &mut connection, false).await {
        Ok(()) => {}
        Err(MigrateError::VersionMissing(found)) => return Err(StoreError::Newer { found, known }),
        Err(error) => return Err(StoreError::Migration(error)),
    }
    check_tables(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Fails if the tables are gone.
pub(super) async fn check_tables(connection: &mut PgConnection) -> Result<(), StoreError> {
    let there = "SELECT to_regclass('positions') IS NOT NULL AND to_regclass('devices') IS NOT NULL
        AND to_regclass('revocations') IS NOT NULL";
    let there: bool = sqlx::query_scalar(there).fetch_one(connection).await?;
    if there { Ok(()) } else { Err(StoreError::Lost { what: "the database".into(), loss: Loss::NoTable }) }
}
