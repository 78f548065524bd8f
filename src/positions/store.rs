//! `Store`: where positions are kept, an SQLite file in WAL mode. Nothing outside this room knows SQL.

mod backup;
mod file;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::value::RawValue;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, QueryBuilder, Row as _, Sqlite, SqliteConnection};

pub use self::backup::{backup, restore};
pub use self::file::StoreLock;
use self::file::{Files, wal_of};
use super::order::{Ahead, Newest, Order, Verdict, doubtful};
use crate::domain::{Position, Timestamp, Topic};

/// The schema's version, kept in the file's `user_version`. Version 1 had no table `ahead`.
const VERSION: i64 = 2;

/// A device has one position at one time, so storing it again changes nothing.
const POSITIONS: &str = "CREATE TABLE positions (
    device_id TEXT NOT NULL,
    timestamp INTEGER NOT NULL, -- milliseconds since 1970-01-01T00:00:00Z
    latitude REAL NOT NULL,
    longitude REAL NOT NULL,
    altitude REAL,
    accuracy REAL,
    heading REAL,
    speed REAL,
    topics TEXT,                -- one a line, NULL for none
    attributes TEXT,            -- a JSON object, as it came
    PRIMARY KEY (device_id, timestamp)
) STRICT, WITHOUT ROWID";

/// Devices whose newest position is not simply the one with the greatest timestamp (see `order`).
const AHEAD: &str = "CREATE TABLE ahead (
    device_id TEXT NOT NULL PRIMARY KEY,
    timestamp INTEGER NOT NULL,    -- of its newest position
    counts_as_of INTEGER NOT NULL  -- milliseconds, as above
) STRICT, WITHOUT ROWID";

/// The newest row of each device. The recursive part jumps from device to device in the primary key instead of
/// reading every row between (a "loose index scan").
const LATEST: &str = "WITH RECURSIVE devices(id) AS (
    SELECT min(device_id) FROM positions
    UNION ALL
    SELECT (SELECT min(device_id) FROM positions WHERE device_id > id) FROM devices WHERE id IS NOT NULL
)
SELECT p.device_id, p.timestamp, p.latitude, p.longitude, p.altitude, p.accuracy, p.heading, p.speed, p.topics, p.attributes,
    a.counts_as_of, iif(a.device_id IS NULL, NULL, (SELECT max(timestamp) FROM positions WHERE device_id = id))
FROM devices LEFT JOIN ahead a ON a.device_id = id JOIN positions p
    ON p.device_id = id
    AND p.timestamp = coalesce(a.timestamp, (SELECT max(timestamp) FROM positions WHERE device_id = id))
WHERE id IS NOT NULL";

/// Rows in one INSERT: few enough that a statement of each size can stay prepared.
const ROWS_PER_INSERT: usize = 64;

/// Rows that may wait between the database's thread and ours while all are read.
const ROWS_WAITING: usize = 1024;

/// How long another process may hold the file's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder cannot be made, read or replaced.
    #[error("{what} {}: {source}", .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Another process uses the store.
    #[error("another process uses it ({holder}): one store serves one process")]
    Locked {
        /// What is known of it.
        holder: String,
    },
    /// SQLite's own reason, such as a full disk.
    #[error("{0}")]
    Sqlite(#[from] sqlx::Error),
    /// A newer version of this program wrote the file.
    #[error("the file has schema version {0}, this program knows {VERSION}; use the program that wrote it")]
    Newer(i64),
    /// The file is not, or no longer, what it was.
    #[error(
        "{what}; put the file back, restore a backup (processor restore), or remove what is there to begin anew"
    )]
    Lost {
        /// What was found.
        what: String,
    },
    /// A setting of SQLite does not hold, so that an acknowledged position would not be safe.
    #[error("PRAGMA {pragma} is {found}, not {wanted}: positions would not be safe in this file")]
    Unsafe {
        /// Its name.
        pragma: &'static str,
        /// Its value.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A row does not read back as a position.
    #[error("the row of device {device:?} at {timestamp} ms is damaged")]
    Damaged {
        /// Its device.
        device: String,
        /// Its time, in milliseconds since the epoch.
        timestamp: i64,
    },
    /// A backup would replace a file, or a restore is asked for something that is no store.
    #[error("{0}")]
    Refused(String),
}

/// A position with the time of its arrival, by the server's clock.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    pub(super) position: Position,
    pub(super) arrival: Timestamp,
}

/// What a commit has changed.
pub(super) struct Committed {
    /// What became of each position.
    pub(super) verdicts: Vec<Verdict>,
    /// For [`Order::apply`].
    pub(super) changed: Vec<(Arc<str>, Newest)>,
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: SqliteConnection,
    files: Files,
}

impl Store {
    /// Opens the file; makes it and its folder if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened, is not a store that this program knows, or was one and is not any more.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        if !file.exists() {
            Self::make(file).await?;
        }
        Self::reopen(file).await
    }

    /// Opens a file that is there already: nothing is made where something was.
    ///
    /// # Errors
    /// The same.
    pub(super) async fn reopen(file: &Path) -> Result<Self, StoreError> {
        file::check_present(file)?;
        let mut connection = connect(file, false).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
        if version > VERSION {
            return Err(StoreError::Newer(version));
        }
        check_tables(&mut connection, file, version).await?;
        if version < VERSION {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            sqlx::query(AHEAD).execute(&mut *transaction).await?;
            set_version(&mut transaction).await?;
            transaction.commit().await?;
        }
        // Setting the version to what it is writes the file's first page, through the log and to the disk.
        set_version(&mut connection).await?;
        let files = Files::look(file)?;
        Ok(Self { connection, files })
    }

    /// Makes a store under another name first, so that one that has its name is whole.
    async fn make(file: &Path) -> Result<(), StoreError> {
        if wal_of(file).exists() {
            let what = format!("{} is gone, but its log {} is there", file.display(), wal_of(file).display());
            return Err(StoreError::Lost { what });
        }
        let new = file::beside(file, ".new");
        file::remove_with_log(&new)?;
        let mut connection = connect(&new, true).await?;
        let mut transaction = connection.begin().await?;
        sqlx::query(POSITIONS).execute(&mut *transaction).await?;
        sqlx::query(AHEAD).execute(&mut *transaction).await?;
        set_version(&mut transaction).await?;
        transaction.commit().await?;
        connection.close().await?;
        file::rename(&new, file)?;
        log::info!("new store made: {}", file.display());
        Ok(())
    }

    /// Fails if the file at the path is not the one that is open any more, or has lost its table: what is written then
    /// would not be there after a restart.
    ///
    /// # Errors
    /// [`StoreError::Lost`], or SQLite's reason.
    pub(super) async fn check(&mut self) -> Result<(), StoreError> {
        self.files.check()?;
        check_tables(&mut self.connection, self.files.path(), VERSION).await
    }

    /// How many bytes the store takes on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files.bytes()
    }

    /// Stores positions, all or none; when it returns, they are on the disk. One that is there already (the same
    /// device and time) is left as it is. Says what each of them is, held against `order` and those before it.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing of it is stored, unless the disk failed at the very end.
    pub(super) async fn commit(
        &mut self,
        positions: &[Arrived],
        order: &Order,
    ) -> Result<Committed, StoreError> {
        self.files.check()?;
        let of = |arrived: &'_ Arrived| arrived.position.timestamp;
        let doubtful = doubtful(order, positions.iter().map(|a| (&a.position.device_id, of(a))));
        let (asked, plain): (Vec<_>, Vec<_>) =
            positions.iter().zip(&doubtful).partition(|(_, doubtful)| **doubtful);
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for rows in plain.chunks(ROWS_PER_INSERT) {
            let mut query = insert(rows.iter().map(|(arrived, _)| &arrived.position));
            query.build().execute(&mut *transaction).await?;
        }
        let mut stored = HashSet::new();
        for rows in asked.chunks(ROWS_PER_INSERT) {
            let mut query = insert(rows.iter().map(|(arrived, _)| &arrived.position));
            query.push(" RETURNING device_id, timestamp");
            for row in query.build().fetch_all(&mut *transaction).await? {
                stored.insert((row.try_get::<String, _>(0)?, row.try_get::<i64, _>(1)?));
            }
        }
        let mut changes = order.changes();
        let mut verdicts = Vec::with_capacity(positions.len());
        for (Arrived { position, arrival }, doubtful) in positions.iter().zip(doubtful) {
            let key = || (position.device_id.to_string(), position.timestamp.as_millis());
            let is_stored = !doubtful || stored.remove(&key());
            verdicts.push(changes.take(&position.device_id, position.timestamp, *arrival, is_stored));
        }
        for rows in changes.ahead().chunks(ROWS_PER_INSERT) {
            let mut query = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO ahead ");
            query.push_values(rows, |mut row, (device, newest)| {
                row.push_bind(device.to_string())
                    .push_bind(newest.timestamp.as_millis())
                    .push_bind(newest.counts_as_of.as_millis());
            });
            query.build().execute(&mut *transaction).await?;
        }
        for device in changes.no_longer_ahead() {
            let delete = sqlx::query("DELETE FROM ahead WHERE device_id = ?");
            delete.bind(device.to_string()).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        // Once more: had the file been taken away meanwhile, this commit went nowhere.
        self.files.check()?;
        Ok(Committed { verdicts, changed: changes.finish() })
    }

    /// Gives the newest position of every device to `each`, one after the other, and fills an [`Order`].
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read.
    pub(super) async fn load(&mut self, mut each: impl FnMut(Position)) -> Result<Order, StoreError> {
        let mut order = Order::default();
        let mut topics = Topics::default();
        let mut rows = sqlx::query(LATEST).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await? {
            let position = position(&row, &mut topics)?;
            let ahead = match (row.try_get::<Option<i64>, _>(10)?, row.try_get::<Option<i64>, _>(11)?) {
                (Some(counts_as_of), Some(greatest)) => {
                    let times = (Timestamp::from_millis(counts_as_of), Timestamp::from_millis(greatest));
                    let (Some(counts_as_of), Some(greatest)) = times else {
                        return Err(damaged(&position));
                    };
                    Some(Ahead { counts_as_of, greatest })
                }
                _ => None,
            };
            order.load(position.device_id.clone(), position.timestamp, ahead);
            each(position);
            if order.devices().is_multiple_of(ROWS_WAITING) {
                // Rows may come faster than they are taken; a signal must be heard all the same.
                tokio::task::yield_now().await;
            }
        }
        Ok(order)
    }

    /// Moves what the log holds into the file and closes it.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`]; nothing is lost by it.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}

async fn connect(file: &Path, create: bool) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: a commit is on the disk, not only in the system's cache, before it is acknowledged.
        .synchronous(SqliteSynchronous::Full)
        .statement_cache_capacity(3 * ROWS_PER_INSERT + 8)
        .row_buffer_size(ROWS_WAITING)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut connection).await?;
    if journal != "wal" {
        return Err(StoreError::Unsafe { pragma: "journal_mode", found: journal, wanted: "wal" });
    }
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut connection).await?;
    if synchronous != 2 {
        let found = synchronous.to_string();
        return Err(StoreError::Unsafe { pragma: "synchronous", found, wanted: "2 (FULL)" });
    }
    Ok(connection)
}

async fn set_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("PRAGMA user_version = 2").execute(connection).await?;
    Ok(())
}

/// Fails if a table is missing that a store of this version has.
async fn check_tables(
    connection: &mut SqliteConnection,
    file: &Path,
    version: i64,
) -> Result<(), StoreError> {
    let count = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('positions', 'ahead')";
    let count: i64 = sqlx::query_scalar(count).fetch_one(connection).await?;
    let wanted = if version < VERSION { 1 } else { 2 };
    if version == 0 || count < wanted {
        let what = format!("{} holds no table of positions any more", file.display());
        return Err(StoreError::Lost { what });
    }
    Ok(())
}

fn insert<'a>(positions: impl Iterator<Item = &'a Position>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO positions ");
    query.push_values(positions, |mut row, position| {
        let topics: Vec<String> = position.topics.iter().map(Topic::to_string).collect();
        row.push_bind(position.device_id.to_string())
            .push_bind(position.timestamp.as_millis())
            .push_bind(position.latitude)
            .push_bind(position.longitude)
            .push_bind(position.altitude)
            .push_bind(position.accuracy)
            .push_bind(position.heading)
            .push_bind(position.speed)
            .push_bind((!topics.is_empty()).then(|| topics.join("\n")))
            .push_bind(position.attributes.as_ref().map(|attributes| attributes.get().to_owned()));
    });
    query.push(" ON CONFLICT DO NOTHING");
    query
}

/// Topics that were read: devices of one event share its name.
#[derive(Default)]
struct Topics(HashSet<Topic>);

impl Topics {
    fn read(&mut self, text: &str) -> Option<Topic> {
        let topic = Topic::parse(text).ok()?;
        if let Some(known) = self.0.get(&topic) {
            return Some(known.clone());
        }
        self.0.insert(topic.clone());
        Some(topic)
    }
}

fn damaged(position: &Position) -> StoreError {
    StoreError::Damaged { device: position.device_id.to_string(), timestamp: position.timestamp.as_millis() }
}

/// Reads a row of [`LATEST`]. By number, as a name costs a search in every row.
fn position(row: &SqliteRow, topics: &mut Topics) -> Result<Position, StoreError> {
    let device: &str = row.try_get(0)?;
    let timestamp: i64 = row.try_get(1)?;
    let lines: Option<&str> = row.try_get(8)?;
    let topics: Option<Vec<Topic>> =
        lines.unwrap_or_default().lines().map(|line| topics.read(line)).collect();
    let attributes: Option<String> = row.try_get(9)?;
    let (Some(time), Some(topics), Ok(attributes)) =
        (Timestamp::from_millis(timestamp), topics, attributes.map(RawValue::from_string).transpose())
    else {
        return Err(StoreError::Damaged { device: device.to_owned(), timestamp });
    };
    Ok(Position {
        device_id: device.into(),
        timestamp: time,
        latitude: row.try_get(2)?,
        longitude: row.try_get(3)?,
        altitude: row.try_get(4)?,
        accuracy: row.try_get(5)?,
        heading: row.try_get(6)?,
        speed: row.try_get(7)?,
        topics,
        attributes,
    })
}

#[cfg(test)]
mod tests;
