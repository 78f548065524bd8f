//! `Revoking`: revocations that wait for the store, and what the consumer does with them.

use std::collections::VecDeque;
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseFuture};
use tokio::sync::oneshot;

use super::{Consumer, StoreState};
use crate::domain::Revocation;
use crate::positions::revoke::{Revoke, RevokeError};
use crate::positions::revoked;
use crate::positions::store::StoreError;

/// Most that may wait; each takes a commit of its own.
const MAX_WAITING: usize = 1024;

/// The way back to whoever revokes; it may have gone.
type Reply = oneshot::Sender<Result<(), RevokeError>>;

/// A revocation that waits for the store.
pub(super) struct Waiting {
    revocation: Revocation,
    reply: Reply,
}

/// Revocations that wait for the store, the oldest first.
#[derive(Default)]
pub(super) struct Revoking {
    waiting: VecDeque<Waiting>,
    /// One was the last that had the store.
    had_store: bool,
    /// Those that the store has are to be read when it is free.
    must_read: bool,
}

impl Revoking {
    /// The next one, if it is its turn: one, then a group of positions, so that neither waits long for the other.
    pub(super) fn next(&mut self, no_positions_wait: bool) -> Option<Waiting> {
        let next = if self.had_store && !no_positions_wait { None } else { self.waiting.pop_front() };
        self.had_store = next.is_some();
        next
    }

    /// Those that the store has are to be read when it is free.
    pub(super) fn read_soon(&mut self) {
        self.must_read = true;
    }

    /// True if they are to be read now.
    pub(super) fn must_read(&mut self) -> bool {
        std::mem::take(&mut self.must_read)
    }

    /// Refuses all that wait.
    pub(super) fn refuse(&mut self, error: &Arc<StoreError>) {
        for Waiting { reply, .. } in self.waiting.drain(..) {
            reply.send(Err(RevokeError::Store(error.clone()))).ok();
        }
    }
}

impl Consumer {
    /// Stores a revocation, hands it on, and acknowledges it.
    pub(super) fn revoke(&mut self, Waiting { revocation, reply }: Waiting, ctx: &mut Context<Self>) {
        let now = (self.clock)();
        self.use_store(ctx, move |mut store| async move {
            let result = store.revoke(&revocation, now).await;
            let done = move |actor: &mut Self, ctx: &mut Context<Self>| match result {
                Ok(Some(kept)) => actor.hand_on(kept, reply, ctx),
                Ok(None) => {
                    actor.store_works();
                    reply.send(Err(RevokeError::Full)).ok();
                }
                Err(error) => {
                    let error = Arc::new(error);
                    actor.store_failed(&error);
                    reply.send(Err(RevokeError::Store(error.clone()))).ok();
                    actor.refuse_late(&error);
                }
            };
            (store, done)
        });
    }

    /// Reads what is revoked, as the store had no time for a check.
    pub(super) fn read_revocations(&mut self, ctx: &mut Context<Self>) {
        let now = (self.clock)();
        self.use_store(ctx, move |mut store| async move {
            let result = store.revocations(now).await;
            let done = move |actor: &mut Self, _: &mut Context<Self>| match result {
                Ok(revocations) => actor.publish_revocations(revocations),
                Err(error) => actor.check_failed(error),
            };
            (store, done)
        });
    }

    /// Publishes what the store has of revocations, where there is news.
    pub(super) fn publish_revocations(&self, revocations: Option<Vec<Revocation>>) {
        if let Some(some) = revocations.filter(|some| !some.is_empty()) {
            self.publish.revoked(some);
        }
    }

    /// A revocation is on the disk.
    fn hand_on(&mut self, kept: Revocation, reply: Reply, ctx: &mut Context<Self>) {
        self.store_works();
        self.metrics.revocations.inc();
        let handed_on = wrap_future::<_, Self>(self.log.revoke(kept));
        ctx.spawn(handed_on.map(|(), _, _| {
            reply.send(Ok(())).ok();
        }));
    }
}

impl Handler<Revoke> for Consumer {
    type Result = ResponseFuture<Result<(), RevokeError>>;

    fn handle(&mut self, Revoke(revocation): Revoke, ctx: &mut Self::Context) -> Self::Result {
        let refuse = |error| -> Self::Result { Box::pin(async { Err(error) }) };
        if self.stopping.is_some() || matches!(self.store, StoreState::Closed) {
            return refuse(RevokeError::Stopping);
        }
        if let Err(error) = revoked::check(&revocation.revoked) {
            return refuse(error.into());
        }
        if !revocation.holds((self.clock)()) {
            return Box::pin(async { Ok(()) });
        }
        if self.revoking.waiting.len() >= MAX_WAITING {
            return refuse(RevokeError::Busy);
        }
        let (reply, receiver) = oneshot::channel();
        self.revoking.waiting.push_back(Waiting { revocation, reply });
        self.go_on(ctx);
        Box::pin(async { receiver.await.unwrap_or(Err(RevokeError::Stopping)) })
    }
}
