//! Whether the store works: checks, and what is said and refused where a session fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Context;

use super::{CHECK_EVERY, Consumer};
use crate::positions::sessions::FIRST;
use crate::positions::store::StoreError;

/// A session that has worked within this time works, as far as is known; one that does nothing else is checked more often.
const RECENTLY: Duration = Duration::from_secs(5);

/// For so long a store that could not store something is not taken to work again by checks alone, as these store nothing. After that it is:
/// who takes no posts to an instance that is not ready would never find out.
const DOUBT: Duration = Duration::from_secs(10);

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
        // One that did not work before was counted.
        if self.fault.is_none() {
            self.metrics.store_errors.inc();
        }
        self.refused_at = None;
        self.note_failure(FIRST, &Arc::new(error));
    }

    /// Checks a session that does nothing else: one whose connection has ended must not wait for much to be committed to find that out,
    /// and one that works again is to be used again.
    pub(super) fn check_session(&mut self, number: usize, ctx: &mut Context<Self>) {
        self.use_store(number, ctx, move |mut store| async move {
            let result = store.check().await;
            let done = move |actor: &mut Self, _: &mut Context<Self>| match result {
                Ok(()) => actor.store_works(number),
                Err(error) => {
                    if !actor.sessions.has_failed(number) {
                        actor.metrics.store_errors.inc();
                    }
                    actor.note_failure(number, &Arc::new(error));
                }
            };
            (store, done)
        });
    }

    /// A session failed at what it was to do for someone.
    pub(super) fn session_failed(&mut self, number: usize, error: &Arc<StoreError>) {
        self.metrics.store_errors.inc();
        let now = Instant::now();
        if error.is_of_storing() {
            // That is the same through every session.
            self.refused_at = Some(now);
            return self.store_failed(error);
        }
        let began = now - self.sessions.took(number);
        if matches!(**error, StoreError::TimedOut(_)) && self.stored_at.is_none_or(|at| at < began) {
            // It may be so for all that is stored, as where a standby is waited for.
            self.refused_at = Some(now);
            self.sessions.failed(number, error);
            self.store_failed(error);
            return self.refuse_late(error);
        }
        self.note_failure(number, error);
    }

    /// Something was stored.
    pub(super) fn has_stored(&mut self) {
        self.refused_at = None;
        self.stored_at = Some(Instant::now());
    }

    fn note_failure(&mut self, number: usize, error: &Arc<StoreError>) {
        let is_new = self.sessions.failed(number, error);
        let others_work =
            if number == FIRST { self.do_others_work(error) } else { !self.sessions.have_all_failed() };
        if !others_work {
            self.store_failed(error);
            self.refuse_late(error);
        } else if is_new {
            log::warn!("one of two sessions with the store failed, the other goes on: {error}");
        }
    }

    /// True if another session than the first works, which failed like this.
    fn do_others_work(&self, error: &StoreError) -> bool {
        // What takes too long for one may do so for all: then it counts what they did meanwhile.
        let within = match error {
            StoreError::TimedOut(_) => self.sessions.took(FIRST).min(RECENTLY),
            _ => RECENTLY,
        };
        self.sessions.does_other_work(within, 2 * CHECK_EVERY)
    }

    /// Refuses all that wait if the store took too long: they have waited for it, and would wait as long again.
    fn refuse_late(&mut self, error: &Arc<StoreError>) {
        if matches!(**error, StoreError::TimedOut(_)) {
            while let Some(group) = self.backlog.next_group() {
                self.refuse(group, error);
            }
            self.revoking.refuse(error);
        }
    }

    /// A session did what it was to do. Says so if the store did not work before.
    pub(super) fn store_works(&mut self, number: usize) {
        let had_failed = self.sessions.worked(number);
        if self.refused_at.is_some_and(|at| at.elapsed() < DOUBT) {
            return;
        }
        if self.fault.take().is_some() {
            self.metrics.store_up.set(1);
            match self.refused_at.take() {
                Some(_) => log::info!("store works again, as far as can be known until something is stored"),
                None => log::info!("store works again"),
            }
        } else if had_failed && self.sessions.do_all_work() {
            log::info!("both sessions with the store work again");
        }
    }

    /// Says why, if it worked before or the reason is another.
    fn store_failed(&mut self, error: &StoreError) {
        self.metrics.store_up.set(0);
        let kind = error.kind();
        match self.fault.replace(kind.clone()) {
            None => log::error!("the store failed: {error}; positions are refused until it works again"),
            Some(before) if before != kind => log::warn!("the store still does not work: {error}"),
            Some(_) => {}
        }
    }
}
