//! Positions as rows: how they are inserted, and how the newest of each device are read back.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::value::RawValue;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite, SqliteConnection};

use crate::domain::{Position, Timestamp};
use crate::positions::arrived::Arrived;
use crate::positions::order::{Ahead, Changes};
use crate::positions::store::error::StoreError;
use crate::positions::store::topics::{Topics, lines};

/// Rows in one INSERT: few enough that a statement of each size can stay prepared.
pub(super) const ROWS_PER_INSERT: usize = 64;

/// The newest row of each device. The recursive part jumps from device to device in the primary key instead of
/// reading every row between (a "loose index scan").
pub(super) const LATEST: &str = "WITH RECURSIVE devices(id) AS (
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

/// Inserts positions; one that is there already (the same device and time) is left as it is. `may_be_stored` says of each
/// whether it may be there: only of those the database is asked. Returns of each whether it was inserted.
pub(super) async fn insert_all(
    connection: &mut SqliteConnection,
    positions: &[Arrived],
    may_be_stored: &[bool],
) -> Result<Vec<bool>, StoreError> {
    let (asked, new): (Vec<_>, Vec<_>) =
        positions.iter().zip(may_be_stored).partition(|(_, may_be_stored)| **may_be_stored);
    for rows in new.chunks(ROWS_PER_INSERT) {
        let mut query = insert(rows.iter().map(|(arrived, _)| &arrived.position));
        query.build().execute(&mut *connection).await?;
    }
    let mut inserted = HashSet::new();
    for rows in asked.chunks(ROWS_PER_INSERT) {
        let mut query = insert(rows.iter().map(|(arrived, _)| &arrived.position));
        query.push(" RETURNING device_id, timestamp");
        for row in query.build().fetch_all(&mut *connection).await? {
            inserted.insert((row.try_get::<String, _>(0)?, row.try_get::<i64, _>(1)?));
        }
    }
    let was_inserted = |(Arrived { position, .. }, may_be_stored): (&Arrived, &bool)| {
        let key = || (position.device_id.to_string(), position.timestamp.as_millis());
        // Of two with the same device and time, the first is the one that was inserted.
        !may_be_stored || inserted.remove(&key())
    };
    Ok(positions.iter().zip(may_be_stored).map(was_inserted).collect())
}

fn insert<'a>(positions: impl Iterator<Item = &'a Position>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO positions ");
    query.push_values(positions, |mut row, position| {
        row.push_bind(position.device_id.to_string())
            .push_bind(position.timestamp.as_millis())
            .push_bind(position.latitude)
            .push_bind(position.longitude)
            .push_bind(position.altitude)
            .push_bind(position.accuracy)
            .push_bind(position.heading)
            .push_bind(position.speed)
            .push_bind(lines(&position.topics))
            .push_bind(position.attributes.as_ref().map(|attributes| attributes.get().to_owned()));
    });
    query.push(" ON CONFLICT DO NOTHING");
    query
}

/// Writes the rows of table `ahead` that `changes` add, and removes those that they make needless.
pub(super) async fn write_ahead(
    connection: &mut SqliteConnection,
    changes: &Changes<'_>,
) -> Result<(), StoreError> {
    for rows in changes.ahead().chunks(ROWS_PER_INSERT) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT OR REPLACE INTO ahead ");
        query.push_values(rows, |mut row, (device, newest)| {
            row.push_bind(device.to_string())
                .push_bind(newest.timestamp.as_millis())
                .push_bind(newest.counts_as_of.as_millis());
        });
        query.build().execute(&mut *connection).await?;
    }
    for device in changes.no_longer_ahead() {
        let delete = sqlx::query("DELETE FROM ahead WHERE device_id = ?");
        delete.bind(device.to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Reads a row of [`LATEST`]: a position, and what table `ahead` has of its device. Columns by number, as a name costs a
/// search in every row.
///
/// # Errors
/// [`StoreError::Damaged`] if it is none that this program wrote.
pub(super) fn read(row: &SqliteRow, topics: &mut Topics) -> Result<(Position, Option<Ahead>), StoreError> {
    let device: &str = row.try_get(0)?;
    let timestamp: i64 = row.try_get(1)?;
    let damaged = || StoreError::Damaged { device: device.to_owned(), timestamp };
    let lines: Option<&str> = row.try_get(8)?;
    let topics = topics.read(lines.unwrap_or_default().lines());
    let attributes: Option<String> = row.try_get(9)?;
    let attributes = attributes.map(RawValue::from_string).transpose().map_err(|_| damaged())?;
    let position = Position {
        device_id: Arc::from(device),
        timestamp: Timestamp::from_millis(timestamp).ok_or_else(damaged)?,
        latitude: row.try_get(2)?,
        longitude: row.try_get(3)?,
        altitude: row.try_get(4)?,
        accuracy: row.try_get(5)?,
        heading: row.try_get(6)?,
        speed: row.try_get(7)?,
        topics: topics.ok_or_else(damaged)?,
        attributes,
    };
    Ok((position, read_ahead(row, damaged)?))
}

fn read_ahead(row: &SqliteRow, damaged: impl Fn() -> StoreError) -> Result<Option<Ahead>, StoreError> {
    let (counts_as_of, greatest): (Option<i64>, Option<i64>) = (row.try_get(10)?, row.try_get(11)?);
    let (Some(counts_as_of), Some(greatest)) = (counts_as_of, greatest) else { return Ok(None) };
    let time = |millis| Timestamp::from_millis(millis).ok_or_else(&damaged);
    Ok(Some(Ahead { counts_as_of: time(counts_as_of)?, greatest: time(greatest)? }))
}
