//! Connections to Postgres, with the settings under which a commit is on the disk when it returns; and the right to use the
//! database.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::time::timeout;

use crate::positions::store::error::StoreError;

/// Statements that may stay prepared: there are a handful.
const STATEMENTS: usize = 16;

/// The advisory lock that every instance holds: "processor", cut off after eight letters. Alone by whoever hears of no other
/// instance, shared by all that have a log together.
const LOCK: i64 = i64::from_be_bytes(*b"processo");

/// How to connect.
#[derive(Clone)]
pub(super) struct Target {
    options: PgConnectOptions,
    /// How long one thing may take.
    pub(super) timeout: Duration,
}

impl Target {
    /// # Errors
    /// [`StoreError::Database`] if the URL is none of Postgres.
    pub(super) fn new(url: &str, timeout: Duration) -> Result<Self, StoreError> {
        let options: PgConnectOptions = url.parse()?;
        let options = options
            .application_name("processor")
            .statement_cache_capacity(STATEMENTS)
            .disable_statement_logging();
        Ok(Self { options, timeout })
    }

    /// A connection whose statements may take as long as they need: to read everything, or to change the schema.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::TimedOut`]
    pub(super) async fn connect(&self) -> Result<PgConnection, StoreError> {
        self.in_time(async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            sqlx::raw_sql(KEEPALIVE).execute(&mut connection).await?;
            Ok(connection)
        })
        .await
    }

    /// A connection to commit through: a commit is on the disk when it returns, and takes no longer than may be.
    ///
    /// # Errors
    /// The same; [`StoreError::Unsafe`] if commits would not be durable, [`StoreError::ReadOnly`],
    /// [`StoreError::Alone`] if another instance uses the database and they would not hear of each other.
    pub(super) async fn connect_to_commit(&self, is_shared: bool) -> Result<PgConnection, StoreError> {
        let mut connection = self.connect().await?;
        self.in_time(async {
            prepare(&mut connection, self.timeout).await?;
            check_writable(&mut connection).await?;
            take_lock(&mut connection, is_shared).await?;
            Ok(connection)
        })
        .await
    }

    /// What `work` gives, unless it takes longer than may be.
    ///
    /// # Errors
    /// [`StoreError::TimedOut`], or the work's own.
    pub(super) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(self.timeout, work).await.unwrap_or(Err(StoreError::TimedOut(self.timeout)))
    }
}

/// A session whose other end is gone must not hold its locks for the two hours that the system takes to notice.
const KEEPALIVE: &str =
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// A statement that this side has given up must not go on there, nor hold locks.
async fn prepare(connection: &mut PgConnection, timeout: Duration) -> Result<(), StoreError> {
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut *connection).await?;
    if fsync != "on" {
        return Err(StoreError::Unsafe { setting: "fsync", found: fsync, wanted: "on" });
    }
    let commits: String = sqlx::query_scalar("SHOW synchronous_commit").fetch_one(&mut *connection).await?;
    let millis = timeout.as_millis();
    let mut sets =
        format!("SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}");
    if commits == "off" {
        sets.push_str("; SET synchronous_commit = on");
    }
    sqlx::raw_sql(AssertSqlSafe(sets)).execute(connection).await?;
    Ok(())
}

/// Fails where nothing can be written, as on a standby.
///
/// # Errors
/// [`StoreError::ReadOnly`], [`StoreError::Database`]
pub(super) async fn check_writable(connection: &mut PgConnection) -> Result<(), StoreError> {
    let read_only: String =
        sqlx::query_scalar("SELECT current_setting('transaction_read_only')").fetch_one(connection).await?;
    if read_only == "on" { Err(StoreError::ReadOnly) } else { Ok(()) }
}

async fn take_lock(connection: &mut PgConnection, is_shared: bool) -> Result<(), StoreError> {
    let take =
        if is_shared { "SELECT pg_try_advisory_lock_shared($1)" } else { "SELECT pg_try_advisory_lock($1)" };
    let taken: bool = sqlx::query_scalar(take).bind(LOCK).fetch_one(connection).await?;
    if taken { Ok(()) } else { Err(StoreError::Alone { is_shared }) }
}
