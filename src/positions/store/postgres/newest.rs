//! The newest position of every device, read at the start and after a gap in the log.

use futures_util::{Stream, TryStreamExt as _, stream};
use sqlx::Connection as _;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::connect::Target;
use super::rows::{arrived, columns};
use crate::positions::arrived::Arrived;
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

/// Positions that are handed on together.
const AT_ONCE: usize = 1024;

/// Parts that may wait to be taken.
const PARTS: usize = 2;

type Parts = mpsc::Sender<Result<Vec<Arrived>, StoreError>>;

/// The newest position of every device, in parts. Each has arrived, as far as can be known, when it counts. It ends after the first
/// error.
pub(super) fn newest(target: &Target) -> impl Stream<Item = Result<Vec<Arrived>, StoreError>> + use<> {
    let (parts, mut receiver) = mpsc::channel(PARTS);
    let target = target.clone();
    actix_rt::spawn(async move {
        if let Err(error) = read_all(&target, &parts).await {
            parts.send(Err(error)).await.ok();
        }
    });
    stream::poll_fn(move |context| receiver.poll_recv(context))
}

async fn read_all(target: &Target, parts: &Parts) -> Result<(), StoreError> {
    let mut connection = target.connect().await?;
    let mut topics = Topics::default();
    let (mut part, mut ahead) = (Vec::new(), Vec::new());
    {
        let mut rows = sqlx::query(GREATEST).fetch(&mut connection);
        // So many rows come as there are devices; each of them in time.
        while let Some(row) = target.in_time(async { Ok(rows.try_next().await?) }).await? {
            let arrived = arrived(&row, &mut topics)?;
            if arrived.arrival == arrived.position.timestamp {
                part.push(arrived);
            } else {
                ahead.push(arrived.position.device_id);
            }
            if part.len() == AT_ONCE && parts.send(Ok(std::mem::take(&mut part))).await.is_err() {
                // Nobody wants them any more.
                return Ok(());
            }
        }
    }
    parts.send(Ok(part)).await.ok();
    for devices in ahead.chunks(AT_ONCE) {
        let ids: Vec<&str> = devices.iter().map(|device| &**device).collect();
        let rows = sqlx::query(NEWEST_OF_SOME).bind(ids).fetch_all(&mut connection);
        let rows = target.in_time(async { Ok(rows.await?) }).await?;
        let part = rows.iter().map(|row| arrived(row, &mut topics)).collect::<Result<_, _>>()?;
        parts.send(Ok(part)).await.ok();
    }
    timeout(target.timeout, connection.close()).await.ok();
    Ok(())
}
