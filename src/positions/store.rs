//! `Store`: where positions are kept, an SQLite file in WAL mode. Nothing else knows SQL.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::value::RawValue;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, QueryBuilder, Row as _, Sqlite, SqliteConnection};

use crate::domain::{Position, Timestamp, Topic};

/// The schema's version, kept in the file's `user_version`.
const VERSION: i64 = 1;

/// A device has one position at one time, so storing it again changes nothing.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS positions (
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

/// The newest row of each device. The recursive part jumps from device to device in the primary key instead of
/// reading every row between (a "loose index scan").
const LATEST: &str = "WITH RECURSIVE devices(id) AS (
    SELECT min(device_id) FROM positions
    UNION ALL
    SELECT (SELECT min(device_id) FROM positions WHERE device_id > id) FROM devices WHERE id IS NOT NULL
)
SELECT positions.* FROM devices JOIN positions
    ON device_id = id AND timestamp = (SELECT max(timestamp) FROM positions WHERE device_id = id)
WHERE id IS NOT NULL";

/// Rows in one INSERT: few enough that a statement of each size can stay prepared.
const ROWS_PER_INSERT: usize = 64;

/// How long another process may hold the file's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder for the file cannot be made.
    #[error("cannot make the folder {}: {source}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// SQLite's own reason, such as a full disk.
    #[error("{0}")]
    Sqlite(#[from] sqlx::Error),
    /// A newer version of this program wrote the file.
    #[error("the file has schema version {0}, this program knows {VERSION}; use the program that wrote it")]
    Newer(i64),
    /// A row does not read back as a position.
    #[error("the row of device {device:?} at {timestamp} ms is damaged")]
    Damaged {
        /// Its device.
        device: String,
        /// Its time, in milliseconds since the epoch.
        timestamp: i64,
    },
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    connection: SqliteConnection,
}

impl Store {
    /// Opens the file, makes it and its folder at need.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened or is not a store of this version.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
        }
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: a commit is on the disk, not only in the system's cache, before it is acknowledged.
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(ROWS_PER_INSERT + 8)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
        if version > VERSION {
            return Err(StoreError::Newer(version));
        }
        sqlx::query(SCHEMA).execute(&mut connection).await?;
        let mut store = Self { connection };
        store.probe().await?;
        Ok(store)
    }

    /// Writes something, to see whether it can be done.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`] if not.
    async fn probe(&mut self) -> Result<(), StoreError> {
        // Setting the version to what it is writes the file's first page, through the log and to the disk.
        sqlx::query("PRAGMA user_version = 1").execute(&mut self.connection).await?;
        Ok(())
    }

    /// Stores positions, all or none; when it returns, they are on the disk. One that is there already (the same
    /// device and time) is left as it is.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`]; then nothing of it is stored.
    pub async fn insert(&mut self, positions: &[Position]) -> Result<(), StoreError> {
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        for rows in positions.chunks(ROWS_PER_INSERT) {
            let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO positions ");
            query.push_values(rows, |mut row, position| {
                let topics: Vec<String> = position.topics.iter().map(Topic::to_string).collect();
                row.push_bind(&*position.device_id)
                    .push_bind(position.timestamp.as_millis())
                    .push_bind(position.latitude)
                    .push_bind(position.longitude)
                    .push_bind(position.altitude)
                    .push_bind(position.accuracy)
                    .push_bind(position.heading)
                    .push_bind(position.speed)
                    .push_bind((!topics.is_empty()).then(|| topics.join("\n")))
                    .push_bind(position.attributes.as_ref().map(|attributes| attributes.get()));
            });
            query.push(" ON CONFLICT DO NOTHING");
            query.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The latest position of every device.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read.
    pub async fn latest(&mut self) -> Result<Vec<Position>, StoreError> {
        let rows = sqlx::query(LATEST).fetch_all(&mut self.connection).await?;
        rows.iter().map(position).collect()
    }

    /// Moves what the log holds into the file and closes it.
    ///
    /// # Errors
    /// [`StoreError::Sqlite`]; nothing is lost by it.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}

fn position(row: &SqliteRow) -> Result<Position, StoreError> {
    let device: String = row.try_get("device_id")?;
    let timestamp: i64 = row.try_get("timestamp")?;
    let topics: Option<String> = row.try_get("topics")?;
    let topics = topics.as_deref().unwrap_or_default().lines().map(Topic::parse).collect();
    let attributes: Option<String> = row.try_get("attributes")?;
    let (Some(time), Ok(topics), Ok(attributes)) =
        (Timestamp::from_millis(timestamp), topics, attributes.map(RawValue::from_string).transpose())
    else {
        return Err(StoreError::Damaged { device, timestamp });
    };
    Ok(Position {
        device_id: device.into(),
        timestamp: time,
        latitude: row.try_get("latitude")?,
        longitude: row.try_get("longitude")?,
        altitude: row.try_get("altitude")?,
        accuracy: row.try_get("accuracy")?,
        heading: row.try_get("heading")?,
        speed: row.try_get("speed")?,
        topics,
        attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(device: &str, second: u32, latitude: f64, extra: &str) -> Position {
        let json = format!(
            r#"{{"device_id":"{device}","timestamp":"2026-01-02T03:04:{second:02}Z","latitude":{latitude},"longitude":1{extra}}}"#
        );
        Position::from_json(&json, Timestamp::now()).unwrap()
    }

    async fn seen(store: &mut Store) -> Vec<String> {
        let latest = store.latest().await.unwrap();
        latest.iter().map(|position| serde_json::to_string(position).unwrap()).collect()
    }

    #[actix::test]
    async fn keeps_each_device_s_positions_once_and_reads_the_latest_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/positions.db");
        let mut store = Store::open(&file).await.unwrap();
        assert_eq!(seen(&mut store).await, [""; 0]);
        let full = r#","altitude":1.5,"accuracy":2,"heading":3,"speed":4,"topics":["event:r 1","event:s"],"attributes":{"a":[1]}"#;
        let many: Vec<_> = (0..200).map(|n| at(&format!("d{n:03}"), 7, 1.0, "")).collect();
        store.insert(&[at("b", 2, 2.0, ""), at("a", 1, 1.0, ""), at("a", 3, 3.0, full)]).await.unwrap();
        store.insert(&[at("a", 3, 9.0, ""), at("b", 1, 1.0, "")]).await.unwrap();
        store.insert(&many).await.unwrap();
        store.close().await.unwrap();
        let mut store = Store::open(&file).await.unwrap();
        let latest = store.latest().await.unwrap();
        assert_eq!(latest.len(), 202);
        assert_eq!(latest[0].topics, [Topic::Event("r 1".into()), Topic::Event("s".into())]);
        let seen = seen(&mut store).await;
        assert!(seen[0].contains(r#""latitude":3.0,"longitude":1.0,"altitude":1.5"#), "{}", seen[0]);
        assert!(seen[0].ends_with(r#""speed":4.0,"attributes":{"a":[1]}}"#), "{}", seen[0]);
        assert!(seen[1].starts_with(r#"{"device_id":"b","timestamp":"2026-01-02T03:04:02.000Z""#));
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM positions")
            .fetch_one(&mut store.connection)
            .await
            .unwrap();
        assert_eq!(count, 204);
    }

    #[actix::test]
    async fn says_why_it_cannot_be_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "this is no database, and long enough for SQLite to look at it".repeat(20))
            .unwrap();
        assert!(matches!(Store::open(&file).await.unwrap_err(), StoreError::Sqlite(_)));
        let inside = file.join("positions.db");
        assert!(matches!(Store::open(&inside).await.unwrap_err(), StoreError::Folder { .. }));
        let newer = folder.path().join("newer.db");
        let mut store = Store::open(&newer).await.unwrap();
        sqlx::query("PRAGMA user_version = 7").execute(&mut store.connection).await.unwrap();
        store.close().await.unwrap();
        assert!(matches!(Store::open(&newer).await.unwrap_err(), StoreError::Newer(7)));
    }
}
