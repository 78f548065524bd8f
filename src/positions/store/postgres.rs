//! `PostgresStore`: a PostgreSQL database, which several instances may use. What each of them stores, all hear of through the
//! log; so what is known of a device here may be a little behind what the database has, and the database is asked.

mod connect;
mod newest;
mod rows;
mod schema;
mod tail;
mod time;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use self::connect::{Target, check_writable};
use self::newest::newest;
use self::tail::SharedTail;
use super::error::StoreError;
use super::interface::Store;
use crate::domain::Position;
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
    checks: u32,
    bytes: u64,
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
        let order = Rc::default();
        Ok(Self { target, is_shared, connection: Some(connection), order, checks: 0, bytes: 0 })
    }

    /// The open connection, taken: whoever has it puts it back if all went well.
    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.target.connect_to_commit(self.is_shared).await,
        }
    }

    async fn insert(&mut self, positions: &[Arrived]) -> Result<Vec<bool>, StoreError> {
        let new_devices = {
            let order = self.order.borrow();
            let ids = positions.iter().map(|arrived| &*arrived.position.device_id);
            let mut new: Vec<&str> = ids.filter(|id| !order.knows(id)).collect();
            new.sort_unstable();
            new.dedup();
            new
        };
        let target = self.target.clone();
        target
            .in_time(async {
                let mut connection = self.take().await?;
                let inserted = rows::insert(&mut connection, positions, &new_devices).await?;
                self.connection = Some(connection);
                Ok(inserted)
            })
            .await
    }

    /// What each position is, by what is known now.
    fn verdicts(&self, positions: &[Arrived], inserted: &[bool]) -> Vec<Verdict> {
        let order = self.order.borrow();
        let mut changes = order.changes();
        let verdict = |(arrived, inserted): (&Arrived, &bool)| {
            let Arrived { position, arrival, .. } = arrived;
            match inserted {
                true => changes.add(&position.device_id, position.timestamp, *arrival, true),
                false => changes.repeat(&position.device_id, position.timestamp, *arrival),
            }
        };
        positions.iter().zip(inserted).map(verdict).collect()
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let mut connection = self.take().await?;
        check_writable(&mut connection).await?;
        schema::check_tables(&mut connection).await?;
        if self.checks.is_multiple_of(CHECKS_A_SIZE) {
            let size = sqlx::query_scalar("SELECT pg_database_size(current_database())");
            let bytes: i64 = size.fetch_one(&mut connection).await?;
            self.bytes = bytes.unsigned_abs();
        }
        self.checks = self.checks.wrapping_add(1);
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
            let mut order = Order::default();
            let mut add = |position: Position, ahead| {
                order.load(position.device_id.clone(), position.timestamp, ahead);
                each(position);
            };
            newest(&self.target, &mut add).await?;
            *self.order.borrow_mut() = order;
            Ok(())
        })
    }

    fn commit<'a>(
        &'a mut self,
        positions: &'a [Arrived],
    ) -> LocalBoxFuture<'a, Result<Vec<Verdict>, StoreError>> {
        Box::pin(async move {
            let inserted = self.insert(positions).await?;
            Ok(self.verdicts(positions, &inserted))
        })
    }

    fn check(&mut self) -> LocalBoxFuture<'_, Result<(), StoreError>> {
        let target = self.target.clone();
        Box::pin(async move { target.in_time(self.look()).await })
    }

    fn devices(&self) -> usize {
        self.order.borrow().devices()
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn tail(&self, publish: Box<dyn Publish>) -> Box<dyn Tail> {
        Box::new(SharedTail { target: self.target.clone(), order: self.order.clone(), publish })
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
pub(super) mod server;
