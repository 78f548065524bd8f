//! `peer-postgres`: what PostgreSQL alone commits: batches of positions over one connection or many, one prepared statement in a
//! transaction of its own for each batch, nothing else.

use std::error::Error;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use sqlx::encode::IsNull;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Connection as _, Encode, PgConnection, Postgres, Type};

/// The processor's tables.
const SCHEMA: &str = include_str!("../../../src/positions/store/postgres/migrations/1_positions.sql");

/// The processor's statement, as it is once all devices have reported.
const INSERT: &str = include_str!("../../../src/positions/store/postgres/insert.sql");

/// 2026-01-01T00:00:00Z, in microseconds since 2000.
const FIRST: i64 = 820_540_800_000_000;

/// Commits batches of `batch` positions over each of so many connections, the next when the one before was committed, and
/// prints how many positions a second. Each connection has as many of the devices as the others, and reports them in turn.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [url, connections, batch, devices, seconds] = arguments else {
        anyhow::bail!("peer-postgres URL CONNECTIONS BATCH DEVICES SECONDS")
    };
    let (connections, batch) = (connections.parse::<usize>()?.max(1), batch.parse::<usize>()?.max(1));
    let devices = devices.parse::<usize>()?.max(connections);
    let time = Duration::from_secs_f64(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rate = runtime.block_on(commit(url, connections, batch, devices, time))?;
    println!("{rate}");
    Ok(())
}

async fn commit(url: &str, connections: usize, batch: usize, devices: usize, time: Duration) -> Result<f64> {
    let ids: Vec<String> = (0..devices).map(|device| format!("{device:05}")).collect();
    let mut first = connect(url).await?;
    sqlx::raw_sql(SCHEMA).execute(&mut first).await?;
    sqlx::query("INSERT INTO devices SELECT unnest($1::text[])").bind(&ids).execute(&mut first).await?;
    let mut all = vec![first];
    while all.len() < connections {
        all.push(connect(url).await?);
    }
    let mut clients: Vec<_> = all.into_iter().zip(ids.chunks(devices / connections)).collect();
    for (connection, ids) in &mut clients {
        // The first one prepares the statement.
        insert(connection, ids, 0, batch).await?;
    }
    let since = Instant::now();
    let clients = clients.into_iter().map(async |(mut connection, ids)| {
        let mut next = batch;
        while since.elapsed() < time {
            insert(&mut connection, ids, next, batch).await?;
            next += batch;
        }
        anyhow::Ok(next - batch)
    });
    let committed: usize = try_join_all(clients).await?.into_iter().sum();
    Ok(committed as f64 / since.elapsed().as_secs_f64())
}

async fn connect(url: &str) -> Result<PgConnection> {
    let mut connection = PgConnection::connect(url).await.context("cannot connect")?;
    sqlx::raw_sql("SET statement_timeout = 5000").execute(&mut connection).await?;
    Ok(connection)
}

/// Commits the positions with the numbers from `next` on.
async fn insert(connection: &mut PgConnection, ids: &[String], next: usize, batch: usize) -> Result<()> {
    let row = |number: usize| (&*ids[number % ids.len()], At(FIRST + (number / ids.len()) as i64 * 1000));
    let mut rows: Vec<(&str, At)> = (next..next + batch).map(row).collect();
    rows.sort_unstable();
    let (devices, times): (Vec<&str>, Vec<At>) = rows.into_iter().unzip();
    let column = |value: f64| vec![Some(value); batch];
    let returned = sqlx::query(INSERT)
        .bind(devices)
        .bind(times)
        .bind(column(52.520_008))
        .bind(column(13.404_954))
        .bind(column(34.5))
        .bind(column(4.5))
        .bind(column(271.5))
        .bind(column(13.9))
        .bind(vec![None::<String>; batch])
        .bind(vec![None::<&str>; batch])
        .bind(vec![None::<At>; batch])
        .fetch_all(connection)
        .await?;
    anyhow::ensure!(returned.len() == batch, "{} of {batch} were inserted", returned.len());
    Ok(())
}

/// A `timestamptz`: microseconds since 2000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct At(i64);

impl Type<Postgres> for At {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for At {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for At {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, Box<dyn Error + Send + Sync>> {
        Encode::<Postgres>::encode(self.0, buffer)
    }
}
