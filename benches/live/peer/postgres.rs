//! `peer-postgres`: what PostgreSQL alone commits: groups of positions, one prepared statement for each, nothing else.

use std::error::Error;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
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

/// Commits groups of `group` positions, of so many devices in turn, and prints how many positions a second.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [url, group, devices, seconds] = arguments else {
        anyhow::bail!("peer-postgres URL GROUP DEVICES SECONDS")
    };
    let (group, devices) = (group.parse::<usize>()?.max(1), devices.parse::<usize>()?.max(1));
    let time = Duration::from_secs_f64(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rate = runtime.block_on(commit(url, group, devices, time))?;
    println!("{rate}");
    Ok(())
}

async fn commit(url: &str, group: usize, devices: usize, time: Duration) -> Result<f64> {
    let mut connection = PgConnection::connect(url).await.context("cannot connect")?;
    sqlx::raw_sql(SCHEMA).execute(&mut connection).await?;
    sqlx::raw_sql("SET statement_timeout = 5000").execute(&mut connection).await?;
    let ids: Vec<String> = (0..devices).map(|device| format!("{device:05}")).collect();
    sqlx::query("INSERT INTO devices SELECT unnest($1::text[])").bind(&ids).execute(&mut connection).await?;
    let (mut next, since) = (0, Instant::now());
    while since.elapsed() < time {
        insert(&mut connection, &ids, next, group).await?;
        next += group;
    }
    Ok(next as f64 / since.elapsed().as_secs_f64())
}

/// Commits the positions with the numbers from `next` on.
async fn insert(connection: &mut PgConnection, ids: &[String], next: usize, group: usize) -> Result<()> {
    let row = |number: usize| (&*ids[number % ids.len()], At(FIRST + (number / ids.len()) as i64 * 1000));
    let mut rows: Vec<(&str, At)> = (next..next + group).map(row).collect();
    rows.sort_unstable();
    let (devices, times): (Vec<&str>, Vec<At>) = rows.into_iter().unzip();
    let column = |value: f64| vec![Some(value); group];
    let returned = sqlx::query(INSERT)
        .bind(devices)
        .bind(times)
        .bind(column(52.520_008))
        .bind(column(13.404_954))
        .bind(column(34.5))
        .bind(column(4.5))
        .bind(column(271.5))
        .bind(column(13.9))
        .bind(vec![None::<String>; group])
        .bind(vec![None::<&str>; group])
        .bind(vec![None::<At>; group])
        .fetch_all(connection)
        .await?;
    anyhow::ensure!(returned.len() == group, "{} of {group} were inserted", returned.len());
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
