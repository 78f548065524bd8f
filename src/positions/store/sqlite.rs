//! `SqliteStore`: an SQLite file, which one process uses.

mod backup;
mod connect;
mod database;
mod file;
mod lock;
mod revocations;
mod rows;
mod schema;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

pub use self::backup::{backup, restore};
use self::database::Database;
pub use self::lock::StoreLock;
use super::error::StoreError;
use super::interface::{Another, Committed, Store};
use crate::domain::{Position, Revocation, Timestamp};
use crate::positions::arrived::Arrived;
use crate::positions::log::Tail;
use crate::positions::order::Order;
use crate::positions::publish::{Direct, Publish};

/// A store in an SQLite file. As no other process writes there, it knows of each device what the file holds.
pub(super) struct SqliteStore {
    file: PathBuf,
    /// `None` after it failed: opened anew, it starts clean.
    database: Option<Database>,
    order: Order,
    /// Revocations were read since one was kept.
    knows_revocations: bool,
    _lock: StoreLock,
}

impl SqliteStore {
    /// Opens the store in `file`, which no other process may use meanwhile; makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be used.
    pub(super) async fn open(file: &Path) -> Result<Self, StoreError> {
        let lock = StoreLock::take(file)?;
        let database = Database::open(file).await?;
        Ok(Self {
            file: file.to_owned(),
            database: Some(database),
            order: Order::default(),
            knows_revocations: false,
            _lock: lock,
        })
    }

    /// The open database, taken: whoever has it puts it back if all went well.
    async fn take(&mut self) -> Result<Database, StoreError> {
        match self.database.take() {
            Some(database) => Ok(database),
            None => Database::reopen(&self.file).await,
        }
    }
}

impl Store for SqliteStore {
    fn load<'a>(
        &'a mut self,
        each: &'a mut dyn FnMut(Position),
    ) -> LocalBoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut database = self.take().await?;
            self.order = database.load(each).await?;
            self.database = Some(database);
            Ok(())
        })
    }

    fn commit<'a>(
        &'a mut self,
        positions: &'a [Arrived],
    ) -> LocalBoxFuture<'a, Result<Committed, StoreError>> {
        Box::pin(async move {
            let mut database = self.take().await?;
            let committed = database.commit(positions, &self.order).await?;
            self.database = Some(database);
            self.order.apply(committed.changed);
            Ok(Committed { verdicts: committed.verdicts, untold: Vec::new() })
        })
    }

    fn revoke<'a>(
        &'a mut self,
        revocation: &'a Revocation,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Option<Revocation>, StoreError>> {
        Box::pin(async move {
            let mut database = self.take().await?;
            // Also where it fails at the very end.
            self.knows_revocations = false;
            let kept = database.revoke(revocation, now).await?;
            self.database = Some(database);
            Ok(kept)
        })
    }

    fn revocations(
        &mut self,
        now: Timestamp,
    ) -> LocalBoxFuture<'_, Result<Option<Vec<Revocation>>, StoreError>> {
        Box::pin(async move {
            if self.knows_revocations {
                return Ok(None);
            }
            let mut database = self.take().await?;
            let found = database.revocations(now).await?;
            self.database = Some(database);
            self.knows_revocations = true;
            Ok(Some(found))
        })
    }

    fn check(&mut self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut database = self.take().await?;
            database.check().await?;
            self.database = Some(database);
            Ok(())
        })
    }

    fn devices(&self) -> usize {
        self.order.devices()
    }

    fn bytes(&self) -> u64 {
        self.database.as_ref().map_or(0, Database::bytes)
    }

    fn tail(&self, publish: Rc<dyn Publish>) -> Box<dyn Tail> {
        Box::new(Direct(publish))
    }

    /// SQLite has one writer at a time.
    fn another(&self) -> LocalBoxFuture<'_, Option<Another>> {
        Box::pin(async { None })
    }

    fn close(self: Box<Self>) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            match self.database {
                Some(database) => database.close().await,
                None => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests;
