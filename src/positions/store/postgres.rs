//! `PostgresStore`: a PostgreSQL database, which several instances may use. What each of them stores, all hear of through the
//! log; so what is known of a device here may be a little behind what the database has, and the database is asked.

mod connect;
mod newest;
mod revocations;
mod rows;
mod schema;
mod tail;
mod time;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::LocalBoxFuture;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use self::connect::{Target, check_writable};
use self::newest::newest;
use self::tail::SharedTail;
use super::error::StoreError;
use super::interface::{Another, Committed, Store};
use crate::domain::{Position, Revocation, Timestamp};
use crate::positions::arrived::Arrived;
use crate::positions::log::Tail;
use crate::positions::order::{Order, Verdict};
use crate::positions::publish::Publish;

/// One look at the size of the database for so many checks: it looks at every file.
const CHECKS_A_SIZE: u32 = 60;

/// A store in a PostgreSQL database.
pub(super) struct PostgresStore {
    target: Target,
    is_shared: bool,
    /// `None` after something failed.
    connection: Option<PgConnection>,
    /// What came from the log and what was loaded; the tail keeps it.
    order: Rc<RefCell<Order>>,
    /// After a connection had to be made anew, devices that were named to the database since: it may be another one, that has taken the place of the
    /// one before and has not all that was committed there.
    named: Option<HashSet<Arc<str>>>,
    /// The number of the newest revocation when they were last read; `None` if they have to be read.
    known_revocation: Option<i64>,
    /// Of the database; its sessions share it.
    size: Rc<Size>,
}

/// The size of a database, which is looked at now and then.
#[derive(Default)]
struct Size {
    checks: Cell<u32>,
    bytes: Cell<u64>,
}

impl PostgresStore {
    /// Connects, and makes the tables if there are none. `is_shared`: other instances may use it too.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be used.
    pub(super) async fn open(url: &str, timeout: Duration, is_shared: bool) -> Result<Self, StoreError> {
        let target = Target::new(url, timeout)?;
        let connection = target.connect_to_commit(is_shared).await?;
        schema::upgrade(&target).await?;
        Ok(Self {
            target,
            is_shared,
            connection: Some(connection),
            order: Rc::default(),
            named: None,
            known_revocation: None,
            size: Rc::default(),
        })
    }

    /// The open connection, taken: whoever has it puts it back if all went well.
    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => {
                let connection = self.target.connect_to_commit(self.is_shared).await;
                let connection = connection.map_err(StoreError::while_connecting)?;
                self.named = Some(HashSet::new());
                self.known_revocation = None;
                Ok(connection)
            }
        }
    }

    async fn insert(&mut self, positions: &[Arrived]) -> Result<Committed, StoreError> {
        let mut connection = self.take().await?;
        let new_devices = self.new_devices(positions);
        let inserted = rows::insert(&mut connection, positions, &new_devices).await?;
        let (verdicts, perhaps_untold) = self.verdicts(positions, &inserted);
        let untold = match perhaps_untold.as_slice() {
            [] => Vec::new(),
            some => rows::stored(&mut connection, some).await?,
        };
        self.named(new_devices);
        self.connection = Some(connection);
        Ok(Committed { verdicts, untold })
    }

    /// Devices of which the database may have no row, each once, sorted.
    fn new_devices(&self, positions: &[Arrived]) -> Vec<Arc<str>> {
        let order = self.order.borrow();
        let is_new = |id: &&Arc<str>| match &self.named {
            Some(named) => !named.contains(*id),
            None => !order.knows(id),
        };
        let ids = positions.iter().map(|arrived| &arrived.position.device_id);
        let mut new: Vec<_> = ids.filter(is_new).cloned().collect();
        new.sort_unstable();
        new.dedup();
        new
    }

    fn named(&mut self, devices: Vec<Arc<str>>) {
        if let Some(named) = &mut self.named {
            named.extend(devices);
        }
    }

    /// What each position is, by what is known now; and of those that were there already, which others may not have been told of.
    fn verdicts<'a>(&self, positions: &'a [Arrived], inserted: &[bool]) -> (Vec<Verdict>, Vec<&'a Arrived>) {
        let order = self.order.borrow();
        let mut changes = order.changes();
        let mut perhaps_untold = Vec::new();
        let verdict = |(arrived, inserted): (&'a Arrived, &bool)| {
            if *inserted {
                return if changes.meet(&arrived.position.device_id, arrived.key()) {
                    Verdict::New
                } else {
                    Verdict::Late
                };
            }
            if changes.may_be_newest(&arrived.position.device_id, arrived.key()) {
                perhaps_untold.push(arrived);
            }
            Verdict::Repeated
        };
        (positions.iter().zip(inserted).map(verdict).collect(), perhaps_untold)
    }

    async fn keep(
        &mut self,
        revocation: &Revocation,
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        let mut connection = self.take().await?;
        let kept = revocations::keep(&mut connection, revocation, now).await?;
        self.connection = Some(connection);
        Ok(kept)
    }

    async fn new_revocations(&mut self, now: Timestamp) -> Result<Option<Vec<Revocation>>, StoreError> {
        let mut connection = self.take().await?;
        // Before they are read: what comes between the two is read once more then.
        let newest = revocations::newest(&mut connection).await?;
        let found = if self.known_revocation == Some(newest) {
            None
        } else {
            Some(revocations::read(&mut connection, now).await?)
        };
        self.known_revocation = Some(newest);
        self.connection = Some(connection);
        Ok(found)
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let mut connection = self.take().await?;
        check_writable(&mut connection).await?;
        schema::check_tables(&mut connection).await?;
        let number = self.size.checks.get();
        // Before it is asked, as that may take longer than a check may.
        self.size.checks.set(number.wrapping_add(1));
        if number.is_multiple_of(CHECKS_A_SIZE) {
            let size = sqlx::query_scalar("SELECT pg_database_size(current_database())");
            let bytes: i64 = size.fetch_one(&mut connection).await?;
            self.size.bytes.set(bytes.unsigned_abs());
        }
        self.connection = Some(connection);
        Ok(())
    }
}

impl Store for PostgresStore {
    fn load<'a>(
        &'a mut self,
        each: &'a mut dyn FnMut(Position),
    ) -> LocalBoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut parts = pin!(newest(&self.target));
            while let Some(part) = parts.try_next().await? {
                let mut order = self.order.borrow_mut();
                let mut changes = order.changes();
                for arrived in part {
                    changes.meet(&arrived.position.device_id, arrived.key());
                    each(arrived.position);
                }
                let changed = changes.finish();
                order.apply(changed);
            }
            Ok(())
        })
    }

    fn commit<'a>(
        &'a mut self,
        positions: &'a [Arrived],
    ) -> LocalBoxFuture<'a, Result<Committed, StoreError>> {
        let target = self.target.clone();
        Box::pin(async move { target.in_time(self.insert(positions)).await })
    }

    fn revoke<'a>(
        &'a mut self,
        revocation: &'a Revocation,
        now: Timestamp,
    ) -> LocalBoxFuture<'a, Result<Option<Revocation>, StoreError>> {
        let target = self.target.clone();
        Box::pin(async move { target.in_time(self.keep(revocation, now)).await })
    }

    fn revocations(
        &mut self,
        now: Timestamp,
    ) -> LocalBoxFuture<'_, Result<Option<Vec<Revocation>>, StoreError>> {
        let target = self.target.clone();
        Box::pin(async move { target.in_time(self.new_revocations(now)).await })
    }

    fn check(&mut self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        let target = self.target.clone();
        Box::pin(async move { target.in_time(self.look()).await })
    }

    fn devices(&self) -> usize {
        self.order.borrow().devices()
    }

    fn bytes(&self) -> u64 {
        self.size.bytes.get()
    }

    fn tail(&self, publish: Rc<dyn Publish>) -> Box<dyn Tail> {
        Box::new(SharedTail { target: self.target.clone(), order: self.order.clone(), publish })
    }

    /// Where other instances insert too, so may this one at two places; alone, whoever has the lock is the only one that does.
    fn another(&self) -> LocalBoxFuture<'_, Option<Another>> {
        Box::pin(async {
            if !self.is_shared {
                return None;
            }
            let (connection, fault) = match self.target.connect_to_commit(self.is_shared).await {
                Ok(connection) => (Some(connection), None),
                Err(error) => (None, Some(error.while_connecting())),
            };
            let store = Self {
                target: self.target.clone(),
                is_shared: self.is_shared,
                connection,
                order: self.order.clone(),
                named: None,
                known_revocation: None,
                size: self.size.clone(),
            };
            Some(Another { store: Box::new(store), fault })
        })
    }

    fn close(self: Box<Self>) -> LocalBoxFuture<'static, Result<(), StoreError>> {
        Box::pin(async move {
            match self.connection {
                Some(connection) => self.target.in_time(async { Ok(connection.close().await?) }).await,
                None => Ok(()),
            }
        })
    }
}

#[cfg(test)]
#[allow(dead_code, reason = "tests/cluster uses all of it")]
#[path = "../../../tests/harness/postgres.rs"]
pub(in crate::positions) mod server;
