//! `peer-sqlite`: what SQLite alone commits: groups of positions, prepared statements, nothing else.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

/// Rows in one statement, as many as the processor's store has.
const ROWS: usize = 64;

const SCHEMA: &str = "CREATE TABLE positions (
    device_id TEXT NOT NULL, timestamp INTEGER NOT NULL, latitude REAL NOT NULL, longitude REAL NOT NULL,
    altitude REAL, accuracy REAL, heading REAL, speed REAL, topics TEXT, attributes TEXT,
    PRIMARY KEY (device_id, timestamp)) STRICT, WITHOUT ROWID";

/// Commits groups of `group` positions, of so many devices in turn, and prints how many positions a second.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let [file, group, devices, seconds] = arguments else {
        anyhow::bail!("peer-sqlite FILE GROUP DEVICES SECONDS")
    };
    let (group, devices) = (group.parse::<usize>()?.max(1), devices.parse::<usize>()?.max(1));
    let time = Duration::from_secs_f64(seconds.parse()?);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let rate = runtime.block_on(commit(Path::new(file), group, devices, time))?;
    println!("{rate}");
    Ok(())
}

async fn commit(file: &Path, group: usize, devices: usize, time: Duration) -> Result<f64> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = SqliteConnection::connect_with(&options).await.context("cannot open the file")?;
    sqlx::query(SCHEMA).execute(&mut connection).await?;
    let ids: Vec<String> = (0..devices).map(|device| format!("{device:05}")).collect();
    let (mut next, since) = (0, Instant::now());
    while since.elapsed() < time {
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        let end = next + group;
        while next < end {
            let rows = ROWS.min(end - next);
            let values = vec!["(?,?,?,?,?,?,?,?,?,?)"; rows].join(",");
            let sql = format!("INSERT INTO positions VALUES {values} ON CONFLICT DO NOTHING");
            let mut query = sqlx::query(AssertSqlSafe(sql));
            for number in next..next + rows {
                query = query
                    .bind(&*ids[number % devices])
                    .bind(1_767_225_600_000 + (number / devices) as i64)
                    .bind(52.520_008)
                    .bind(13.404_954)
                    .bind(34.5)
                    .bind(4.5)
                    .bind(271.5)
                    .bind(13.9)
                    .bind(None::<&str>)
                    .bind(None::<&str>);
            }
            query.execute(&mut *transaction).await?;
            next += rows;
        }
        transaction.commit().await?;
    }
    Ok(next as f64 / since.elapsed().as_secs_f64())
}
