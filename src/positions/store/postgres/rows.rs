//! Positions as rows: how they are inserted, and how a row is read back.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use super::time::At;
use crate::domain::{Position, Timestamp};
use crate::positions::arrived::Arrived;
use crate::positions::order::counts_as_of;
use crate::positions::store::error::StoreError;
use crate::positions::store::topics::{Topics, lines};

/// The columns that [`arrived`] reads, in its order.
macro_rules! columns {
    () => {
        "device_id, timestamp, latitude, longitude, altitude, accuracy, heading, speed, topics, attributes::text, arrival"
    };
}
pub(super) use columns;

/// One statement is one transaction, and one way there and back.
const INSERT: &str = include_str!("insert.sql");
const INSERT_WITH_DEVICES: &str = concat!(
    "WITH heard AS (INSERT INTO devices SELECT unnest($12::text[]) ON CONFLICT DO NOTHING) ",
    include_str!("insert.sql")
);

/// Inserts positions, all or none; one that is there already (the same device and time) is left as it is. `new_devices` are
/// noted as devices that have reported. Returns of each position whether it was inserted.
pub(super) async fn insert(
    connection: &mut PgConnection,
    positions: &[Arrived],
    new_devices: &[Arc<str>],
) -> Result<Vec<bool>, StoreError> {
    // Instances insert at the same time: had two the same rows in different orders, each could wait for the other. Stable,
    // so that of two with the same device and time the first is stored.
    let mut rows: Vec<&Arrived> = positions.iter().collect();
    rows.sort_by(|one, other| key(one).cmp(&key(other)));
    let column = |value: fn(&Position) -> Option<f64>| -> Vec<Option<f64>> {
        rows.iter().map(|row| value(&row.position)).collect()
    };
    let with_devices = !new_devices.is_empty();
    let statement = if with_devices { INSERT_WITH_DEVICES } else { INSERT };
    let mut query = sqlx::query(statement)
        .bind(rows.iter().map(|row| &*row.position.device_id).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| At(row.position.timestamp)).collect::<Vec<_>>())
        .bind(column(|position| Some(position.latitude)))
        .bind(column(|position| Some(position.longitude)))
        .bind(column(|position| position.altitude))
        .bind(column(|position| position.accuracy))
        .bind(column(|position| position.heading))
        .bind(column(|position| position.speed))
        .bind(rows.iter().map(|row| lines(&row.position.topics)).collect::<Vec<_>>())
        .bind(
            rows.iter()
                .map(|row| row.position.attributes.as_ref().map(|json| json.get()))
                .collect::<Vec<_>>(),
        )
        .bind(rows.iter().map(|row| arrival_from_the_future(row)).collect::<Vec<_>>());
    if with_devices {
        query = query.bind(new_devices.iter().map(|id| &**id).collect::<Vec<_>>());
    }
    let returned = query.fetch_all(connection).await?;
    if returned.len() == positions.len() {
        return Ok(vec![true; positions.len()]);
    }
    let mut inserted = HashSet::new();
    for row in &returned {
        inserted.insert((row.try_get::<&str, _>(0)?, row.try_get::<At, _>(1)?));
    }
    // Of two with the same device and time, the first is the one that was inserted.
    let keys =
        positions.iter().map(|Arrived { position, .. }| (&*position.device_id, At(position.timestamp)));
    Ok(keys.map(|key| inserted.remove(&key)).collect())
}

fn key(arrived: &Arrived) -> (&str, Timestamp) {
    (&arrived.position.device_id, arrived.position.timestamp)
}

/// When a position arrived, if its time had not come yet.
fn arrival_from_the_future(arrived: &Arrived) -> Option<At> {
    (arrived.counts_as_of() != arrived.position.timestamp).then_some(At(arrived.arrival))
}

/// Reads a row of [`columns`], as if it had arrived when it counts: nothing else is known of when it did.
///
/// # Errors
/// [`StoreError::Damaged`] if it is none that this program wrote.
pub(super) fn arrived(row: &PgRow, topics: &mut Topics) -> Result<Arrived, StoreError> {
    let device: &str = row.try_get(0)?;
    let At(timestamp) = row.try_get(1)?;
    let damaged = || StoreError::Damaged { device: device.to_owned(), timestamp: timestamp.as_millis() };
    let names: Option<Vec<String>> = row.try_get(8)?;
    let attributes: Option<String> = row.try_get(9)?;
    let attributes = attributes.map(RawValue::from_string).transpose().map_err(|_| damaged())?;
    let arrival: Option<At> = row.try_get(10)?;
    let position = Position {
        device_id: Arc::from(device),
        timestamp,
        latitude: row.try_get(2)?,
        longitude: row.try_get(3)?,
        altitude: row.try_get(4)?,
        accuracy: row.try_get(5)?,
        heading: row.try_get(6)?,
        speed: row.try_get(7)?,
        topics: topics.read(names.iter().flatten().map(String::as_str)).ok_or_else(damaged)?,
        attributes,
    };
    let arrival = arrival.map_or(timestamp, |At(arrival)| counts_as_of(timestamp, arrival));
    Ok(Arrived { position, arrival, received: Instant::now() })
}

/// Positions that are stored, by device and time.
const STORED: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM positions WHERE (device_id, timestamp) IN (SELECT * FROM unnest($1::text[], $2::timestamptz[]))"
);

/// The positions that are stored with the devices and times of `positions`, each with its arrival: of one whose time had come by
/// then it is not known, and does not matter.
pub(super) async fn stored(
    connection: &mut PgConnection,
    positions: &[&Arrived],
) -> Result<Vec<Arrived>, StoreError> {
    let ids: Vec<&str> = positions.iter().map(|arrived| &*arrived.position.device_id).collect();
    let times: Vec<At> = positions.iter().map(|arrived| At(arrived.position.timestamp)).collect();
    let rows = sqlx::query(STORED).bind(ids).bind(times).fetch_all(connection).await?;
    let mut topics = Topics::default();
    rows.iter().map(|row| arrived(row, &mut topics)).collect()
}
