//! `Input`: positions that gateways write to a stream in Redis, taken by one group of all instances.
//!
//! An entry is acknowledged when its positions are in the store, so none is lost; one that an instance took and did not finish is
//! taken over by another. It may be stored twice then, which changes nothing.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::redis::{Redis, RedisError};
use super::submit::{Stored, SubmitError};
use crate::domain::Position;
use crate::metrics::InputMetrics;
use crate::settings::{InputSettings, LogSettings};
use reader::Reader;

mod reader;
mod record;
mod rejects;
mod stream;

/// How positions are submitted to be stored; ready when they are.
pub type SubmitTo = Box<dyn Fn(Vec<Position>) -> LocalBoxFuture<'static, Result<Stored, SubmitError>>>;

/// The reader of an input stream, before it runs.
pub struct Input {
    reader: Reader,
}

/// A reader that runs until it is stopped or dropped.
pub struct RunningInput {
    stop: watch::Sender<bool>,
    task: Task,
}

/// A task that ends when this is dropped.
struct Task(JoinHandle<()>);

impl Input {
    /// The reader of the stream that `settings` name, in the Redis that `log` names. `None` where there is no such stream.
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`RedisError`] if the servers cannot be used together.
    pub fn new(
        settings: &InputSettings,
        log: &LogSettings,
        instance: &str,
        metrics: Arc<InputMetrics>,
    ) -> Result<Option<Self>, RedisError> {
        let Some((name, servers)) = settings.stream.as_ref().zip(log.redis.as_ref()) else { return Ok(None) };
        let redis = Redis::new(servers, log.timeout)?;
        let reader = Reader::new(redis, name, instance, settings.claim_after, metrics);
        Ok(Some(Self { reader }))
    }

    /// Starts to take entries, and submits their positions.
    pub fn start(self, submit: SubmitTo) -> RunningInput {
        let (stop, stopped) = watch::channel(false);
        RunningInput { stop, task: Task(actix_rt::spawn(self.reader.run(submit, stopped))) }
    }
}

impl RunningInput {
    /// Takes nothing more; ends when what was taken is stored and acknowledged, or cannot be. To be called before the store
    /// stops. If the future is dropped before, what is not acknowledged will be taken over.
    pub async fn stop(mut self) {
        self.stop.send(true).ok();
        (&mut self.task.0).await.ok();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests;
