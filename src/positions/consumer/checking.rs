//! Whether the store works: checks, and what is said and refused where a session fails.

use std::sync::Arc;

use actix::Context;

use super::{CHECK_EVERY, Consumer};
use crate::positions::sessions::FIRST;
use crate::positions::store::StoreError;

impl Consumer {
    /// Checks the store, so that readiness knows also when nobody submits whether it is there, or there again; and publishes revocations
    /// of other instances that it has. So these come also where the log is away, or has lost them.
    pub(super) fn check_store(&mut self, ctx: &mut Context<Self>) {
        let now = (self.clock)();
        self.use_store(FIRST, ctx, move |mut store| async move {
            let result = match store.check().await {
                Ok(()) => store.revocations(now).await,
                Err(error) => Err(error),
            };
            let done = move |actor: &mut Self, _: &mut Context<Self>| match result {
                Ok(revocations) => {
                    actor.store_works(FIRST);
                    actor.publish_revocations(revocations);
                }
                Err(error) => actor.check_failed(error),
            };
            (store, done)
        });
    }

    pub(super) fn check_failed(&mut self, error: StoreError) {
        let error = Arc::new(error);
        // One that did not work before has said so.
        if self.metrics.store_up.get() == 1 {
            self.first_failed(&error);
        } else {
            self.sessions.failed(FIRST);
            self.refuse_late(&error);
        }
    }

    /// Checks a session that is not the first: one whose connection has ended must not wait for much to be committed to find that out,
    /// and one that works again is to be used again.
    pub(super) fn check_session(&mut self, number: usize, ctx: &mut Context<Self>) {
        self.use_store(number, ctx, move |mut store| async move {
            let result = store.check().await;
            let done = move |actor: &mut Self, _: &mut Context<Self>| match result {
                Ok(()) => {
                    if actor.sessions.worked(number) && actor.metrics.store_up.get() == 1 {
                        log::info!("both sessions with the store work again");
                    }
                }
                // One that has failed before has said so.
                Err(_) if actor.sessions.has_failed(number) => {}
                Err(error) => actor.one_failed(number, &error),
            };
            (store, done)
        });
    }

    /// The first session failed at what it was to do.
    pub(super) fn first_failed(&mut self, error: &Arc<StoreError>) {
        if self.sessions.has_other_worked(2 * CHECK_EVERY) {
            // The store works, and who waits for it does not wait as long again. But no other session does revocations.
            self.refuse_late_revocations(error);
            self.one_failed(FIRST, error);
        } else {
            self.sessions.failed(FIRST);
            self.store_failed(error);
            self.refuse_late(error);
        }
    }

    /// One session failed, and the store works.
    pub(super) fn one_failed(&mut self, number: usize, error: &StoreError) {
        self.metrics.store_errors.inc();
        if self.sessions.failed(number) {
            log::warn!("one of two sessions with the store failed, the other goes on: {error}");
        }
    }

    /// Refuses all that wait if the store took too long: they have waited for it, and would wait as long again.
    fn refuse_late(&mut self, error: &Arc<StoreError>) {
        if matches!(**error, StoreError::TimedOut(_)) {
            while let Some(group) = self.backlog.next_group() {
                self.refuse(group, error);
            }
        }
        self.refuse_late_revocations(error);
    }

    fn refuse_late_revocations(&mut self, error: &Arc<StoreError>) {
        if matches!(**error, StoreError::TimedOut(_)) {
            self.revoking.refuse(error);
        }
    }

    /// The store did what it was to do through this session: says so if it did not before.
    pub(super) fn store_works(&mut self, number: usize) {
        self.sessions.worked(number);
        if self.metrics.store_up.get() == 0 {
            log::info!("store works again");
            self.metrics.store_up.set(1);
        }
    }

    /// Says why, if it worked before.
    fn store_failed(&self, error: &StoreError) {
        self.metrics.store_errors.inc();
        if self.metrics.store_up.get() == 1 {
            log::error!("the store failed: {error}; positions are refused until it works again");
            self.metrics.store_up.set(0);
        }
    }
}
