//! `Database`: an open SQLite file in WAL mode.

use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, SqliteConnection};

use super::connect::{ROWS_WAITING, connect};
use super::file::{self, Files, wal_of};
use super::rows::{self, LATEST};
use super::{revocations, schema};
use crate::domain::{Position, Revocation, Timestamp};
use crate::positions::arrived::Arrived;
use crate::positions::order::{Newest, Order, Verdict, may_be_stored};
use crate::positions::store::error::{Loss, StoreError};
use crate::positions::store::topics::Topics;

/// What a commit has changed.
pub(super) struct Changed {
    /// What became of each position.
    pub(super) verdicts: Vec<Verdict>,
    /// For [`Order::apply`].
    pub(super) changed: Vec<(Arc<str>, Newest)>,
}

/// An open file.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) connection: SqliteConnection,
    files: Files,
}

impl Database {
    /// Opens the file; makes it and its folder if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened, is not a store that this program knows, or was one and is not any more.
    pub(super) async fn open(file: &Path) -> Result<Self, StoreError> {
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
        schema::upgrade(&mut connection, file).await?;
        // Setting the version to what it is writes the file's first page, through the log and to the disk.
        schema::set_version(&mut connection).await?;
        let files = Files::of(file)?;
        Ok(Self { connection, files })
    }

    /// Makes a store under another name first, so that one that has its name is whole.
    async fn make(file: &Path) -> Result<(), StoreError> {
        let log = wal_of(file);
        if log.exists() {
            return Err(StoreError::Lost { what: file.display().to_string(), loss: Loss::GoneButLog(log) });
        }
        let new = file::beside(file, ".new");
        file::remove_with_log(&new)?;
        let mut connection = connect(&new, true).await?;
        schema::create(&mut connection).await?;
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
        schema::check_tables(&mut self.connection, self.files.path(), schema::VERSION).await
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
    ) -> Result<Changed, StoreError> {
        self.files.check()?;
        let keys = positions.iter().map(|Arrived { position, .. }| (&position.device_id, position.timestamp));
        let may_be_stored = may_be_stored(order, keys);
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let inserted = rows::insert_all(&mut transaction, positions, &may_be_stored).await?;
        let mut changes = order.changes();
        let verdicts =
            positions.iter().zip(inserted).map(|(Arrived { position, arrival, .. }, is_stored)| {
                changes.add(&position.device_id, position.timestamp, *arrival, is_stored)
            });
        let verdicts = verdicts.collect();
        rows::write_ahead(&mut transaction, &changes).await?;
        transaction.commit().await?;
        // Once more: had the file been taken away meanwhile, this commit went nowhere.
        self.files.check()?;
        Ok(Changed { verdicts, changed: changes.finish() })
    }

    /// Keeps a revocation; when it returns, it is on the disk. See `Store::revoke`.
    ///
    /// # Errors
    /// The same as [`Database::commit`].
    pub(super) async fn revoke(
        &mut self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        self.files.check()?;
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await?;
        let kept = revocations::keep(&mut transaction, revocation, now).await?;
        transaction.commit().await?;
        self.files.check()?;
        Ok(kept)
    }

    /// All revocations that hold at `now`.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be read.
    pub(super) async fn revocations(&mut self, now: Timestamp) -> Result<Vec<Revocation>, StoreError> {
        revocations::read(&mut self.connection, now).await
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
            let (position, ahead) = rows::read(&row, &mut topics)?;
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
    /// [`StoreError::Database`]; nothing is lost by it.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        Ok(self.connection.close().await?)
    }
}
