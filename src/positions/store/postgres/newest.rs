//! The newest position of every device, read at the start and after a gap in the log.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::connect::Target;
use super::rows::{columns, read};
use crate::domain::{Position, Timestamp};
use crate::positions::order::Ahead;
use crate::positions::store::error::StoreError;
use crate::positions::store::topics::Topics;

/// The position with the greatest timestamp of each device: the newest, unless it came from the future. One look into the index
/// for each device, however many positions it has.
const GREATEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM devices AS device(id) CROSS JOIN LATERAL (
        SELECT * FROM positions WHERE device_id = id ORDER BY timestamp DESC LIMIT 1
    ) AS greatest"
);

/// The newest of each of some devices whose greatest came from the future: that which arrived last of those, or the greatest
/// of the others if that counts as of later.
const NEWEST_OF_SOME: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM unnest($1::text[]) AS device(id) CROSS JOIN LATERAL (
        WITH ahead AS (
            SELECT * FROM positions WHERE device_id = id AND arrival IS NOT NULL
            ORDER BY arrival DESC, timestamp DESC LIMIT 1
        )
        SELECT * FROM (
            SELECT * FROM ahead
            UNION ALL (
                SELECT * FROM positions
                WHERE device_id = id AND arrival IS NULL AND timestamp > (SELECT arrival FROM ahead)
                ORDER BY timestamp DESC LIMIT 1
            )
        ) AS choice ORDER BY coalesce(arrival, timestamp) DESC LIMIT 1
    ) AS newest"
);

/// Devices that are asked for at once.
const AT_ONCE: usize = 1024;

/// Gives the newest position of every device to `each`, one after the other, and with it what has to be known of a device that is
/// ahead of its time.
///
/// # Errors
/// [`StoreError`] if not all could be read.
pub(super) async fn newest(
    target: &Target,
    each: &mut dyn FnMut(Position, Option<Ahead>),
) -> Result<(), StoreError> {
    let mut connection = target.connect().await?;
    let mut topics = Topics::default();
    let mut ahead = Vec::new();
    let mut count = 0_usize;
    {
        let mut rows = sqlx::query(GREATEST).fetch(&mut connection);
        // So many rows come as there are devices; each of them in time.
        while let Some(row) = target.in_time(async { Ok(rows.try_next().await?) }).await? {
            let (position, counts_as_of) = read(&row, &mut topics)?;
            if counts_as_of == position.timestamp {
                each(position, None);
            } else {
                ahead.push((position.device_id, position.timestamp));
            }
            count += 1;
            if count.is_multiple_of(AT_ONCE) {
                // Rows may come faster than they are taken; a signal must be heard all the same.
                tokio::task::yield_now().await;
            }
        }
    }
    for devices in ahead.chunks(AT_ONCE) {
        target.in_time(newest_of_some(&mut connection, devices, &mut topics, each)).await?;
    }
    timeout(target.timeout, connection.close()).await.ok();
    Ok(())
}

async fn newest_of_some(
    connection: &mut PgConnection,
    devices: &[(Arc<str>, Timestamp)],
    topics: &mut Topics,
    each: &mut dyn FnMut(Position, Option<Ahead>),
) -> Result<(), StoreError> {
    let greatest: HashMap<&str, Timestamp> =
        devices.iter().map(|(device, timestamp)| (&**device, *timestamp)).collect();
    let ids: Vec<&str> = devices.iter().map(|(device, _)| &**device).collect();
    for row in sqlx::query(NEWEST_OF_SOME).bind(ids).fetch_all(connection).await? {
        let (position, counts_as_of) = read(&row, topics)?;
        let greatest = greatest.get(&*position.device_id).copied().unwrap_or(position.timestamp);
        each(position, Some(Ahead { counts_as_of, greatest }));
    }
    Ok(())
}
