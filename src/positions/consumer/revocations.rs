//! Revocations: stored one after the other, handed on, acknowledged; and those of other instances, as the store has them.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{ActorFutureExt as _, AsyncContext as _, Context, Handler, ResponseFuture};
use tokio::sync::oneshot;

use super::Consumer;
use crate::domain::Revocation;
use crate::positions::revoke::{Revoke, RevokeError};
use crate::positions::revoked::check as check_revoked;
use crate::positions::revoking::{RevokeReply, Waiting};
use crate::positions::sessions::FIRST;

impl Consumer {
    /// Stores a revocation, hands it on, and acknowledges it.
    pub(super) fn revoke(&mut self, Waiting { revocation, reply }: Waiting, ctx: &mut Context<Self>) {
        let now = (self.clock)();
        self.use_store(FIRST, ctx, move |mut store| async move {
            let result = store.revoke(&revocation, now).await;
            let done = move |actor: &mut Self, ctx: &mut Context<Self>| match result {
                Ok(Some(kept)) => {
                    actor.has_stored();
                    actor.store_works(FIRST);
                    actor.hand_on(kept, reply, ctx);
                }
                Ok(None) => {
                    actor.store_works(FIRST);
                    reply.send(Err(RevokeError::Full)).ok();
                }
                Err(error) => {
                    let error = Arc::new(error);
                    actor.session_failed(FIRST, &error);
                    reply.send(Err(RevokeError::Store(error))).ok();
                }
            };
            (store, done)
        });
    }

    /// Reads what is revoked, as the store had no time for a check.
    pub(super) fn read_revocations(&mut self, ctx: &mut Context<Self>) {
        let now = (self.clock)();
        self.use_store(FIRST, ctx, move |mut store| async move {
            let result = store.revocations(now).await;
            let done = move |actor: &mut Self, _: &mut Context<Self>| match result {
                // That they are read, if they had to be, does not tell that anything can be stored.
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
    fn hand_on(&mut self, kept: Revocation, reply: RevokeReply, ctx: &mut Context<Self>) {
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
        if self.stopping.is_some() || self.sessions.are_closed() {
            return refuse(RevokeError::Stopping);
        }
        if let Err(error) = check_revoked(&revocation.revoked) {
            return refuse(error.into());
        }
        if !revocation.holds((self.clock)()) {
            return Box::pin(async { Ok(()) });
        }
        if !self.revoking.has_room() {
            return refuse(RevokeError::Busy);
        }
        let (reply, receiver) = oneshot::channel();
        self.revoking.push(Waiting { revocation, reply });
        self.go_on(ctx);
        Box::pin(async { receiver.await.unwrap_or(Err(RevokeError::Stopping)) })
    }
}
