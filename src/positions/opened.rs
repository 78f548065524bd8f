//! `Opened`: a store that is open and loaded, and the log that goes with it.

use std::rc::Rc;
use std::sync::Arc;

use super::log::{InProcess, Log, RedisLog};
use super::publish::Publish;
use super::redis::RedisError;
use super::sessions::Sessions;
use super::store::{self, Another, Store, StoreError};
use crate::domain::{Position, Revocation, Timestamp};
use crate::metrics::LogMetrics;
use crate::settings::{LogSettings, PositionsSettings};

/// A store that is open and loaded, and the log that goes with it, which does not run yet.
pub struct Opened {
    store: Box<dyn Store>,
    another: Option<Another>,
    revocations: Vec<Revocation>,
    redis: Option<RedisLog>,
    metrics: Arc<LogMetrics>,
}

/// A store that is open, and its log, which runs.
pub(super) struct Started {
    /// The sessions with the store: the first, and another if it may have one.
    pub(super) sessions: Sessions,
    pub(super) log: Box<dyn Log>,
}

/// Why positions cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings of the log are none that it can work with.
    #[error(transparent)]
    Log(#[from] RedisError),
}

impl Opened {
    /// Opens the store of `settings`, gives the newest position of each device to `each`, and reads the revocations. Where there is a log in
    /// Redis, nothing that other instances store from now on is missed. `instance` is this one's name.
    ///
    /// # Errors
    /// [`OpenError`] if one of them cannot be used. A log that is only away is waited for later.
    pub async fn load(
        settings: &PositionsSettings,
        log: &LogSettings,
        instance: &str,
        metrics: Arc<LogMetrics>,
        mut each: impl FnMut(Position),
    ) -> Result<Self, OpenError> {
        let is_shared = log.redis.is_some();
        let redis = match &log.redis {
            Some(servers) => {
                let mut redis = RedisLog::new(servers, log, instance, metrics.clone())?;
                redis.note_ends().await;
                Some(redis)
            }
            None => None,
        };
        let mut store = store::open(&settings.database, settings.database_timeout, is_shared).await?;
        store.load(&mut each).await?;
        let revocations = store.revocations(Timestamp::now()).await?.unwrap_or_default();
        let another = store.another().await;
        if let Some(Another { fault: Some(fault), .. }) = &another {
            log::warn!("one of two sessions with the store cannot be opened yet, the other goes on: {fault}");
        }
        Ok(Self { store, another, revocations, redis, metrics })
    }

    /// How many devices are known.
    pub fn devices(&self) -> usize {
        self.store.devices()
    }

    /// All revocations that hold. They are not published: who takes clients must know them before.
    pub fn revocations(&self) -> &[Revocation] {
        &self.revocations
    }

    /// From now on, all that is new is published.
    pub(super) fn start(self, publish: Rc<dyn Publish>) -> Started {
        let tail = self.store.tail(publish);
        let log: Box<dyn Log> = match self.redis {
            Some(redis) => Box::new(redis.start(tail)),
            None => Box::new(InProcess::new(tail, &self.metrics)),
        };
        Started { sessions: Sessions::new(self.store, self.another), log }
    }
}
