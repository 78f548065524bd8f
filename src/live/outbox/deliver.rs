//! How bursts of updates come into an outbox: written at once where nothing waits, else kept as far as they fit.

use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use super::burst::{Burst, Count, Delivery, SubscriptionId};
use super::queue::MAX_SLICES;
use super::{Behind, Inner, Outbox, Wire, would_block};

impl<W: Wire + ?Sized> Outbox<W> {
    /// Sends a burst: at once if nothing waits, else as soon as the socket takes it.
    pub(crate) fn deliver(&self, subscription: SubscriptionId, burst: &Burst) -> Delivery {
        let mut result = Ok(0);
        if self.hot.free.get() {
            result = self.hot.wire.try_write(&burst.joined);
            if result.as_ref().is_ok_and(|written| *written == burst.joined.len()) {
                return Delivery::Written;
            }
        }
        self.keep(result, [(subscription, burst)])
    }

    /// Takes a burst without offering it to the socket yet, so that bursts of several topics leave in one write.
    /// True for the first of batch `batch`; then [`Outbox::uncork`] must follow. `None` if nothing is taken any more. What an
    /// earlier batch left corked, because its fan-out did not come to its end, is forgotten.
    pub(crate) fn cork(&self, batch: u64, subscription: SubscriptionId, burst: &Rc<Burst>) -> Option<bool> {
        let mut inner = self.inner.borrow_mut();
        if inner.is_shut() {
            return None;
        }
        if inner.corked_in != batch {
            inner.corked.clear();
            inner.corked_in = batch;
        }
        inner.corked.push((subscription, burst.clone()));
        Some(inner.corked.len() == 1)
    }

    /// Sends what [`Outbox::cork`] took. Also says how much that was.
    pub(crate) fn uncork(&self) -> (Delivery, Count) {
        let corked = std::mem::take(&mut self.inner.borrow_mut().corked);
        let mut count = Count::default();
        corked.iter().for_each(|(_, burst)| count.add(burst.count()));
        let delivery = match &corked[..] {
            [] => Delivery::Written, // all of it was forgotten meanwhile
            [(subscription, burst)] => self.deliver(*subscription, burst),
            several => self.deliver_several(several),
        };
        (delivery, count)
    }

    fn deliver_several(&self, bursts: &[(SubscriptionId, Rc<Burst>)]) -> Delivery {
        let mut written = 0;
        let mut result = Ok(());
        if self.hot.free.get() {
            for some in bursts.chunks(MAX_SLICES) {
                let slices: Vec<_> = some.iter().map(|(_, burst)| IoSlice::new(&burst.joined)).collect();
                let offered: usize = some.iter().map(|(_, burst)| burst.joined.len()).sum();
                let taken = match self.hot.wire.try_write_vectored(&slices) {
                    Ok(taken) => taken,
                    Err(error) => {
                        result = Err(error);
                        break;
                    }
                };
                written += taken;
                if taken < offered {
                    break;
                }
            }
            let total: usize = bursts.iter().map(|(_, burst)| burst.joined.len()).sum();
            if written == total {
                return Delivery::Written;
            }
        }
        let result = match result {
            Err(error) if !would_block(&error) => Err(error),
            _ => Ok(written),
        };
        self.keep(result, bursts.iter().map(|(subscription, burst)| (*subscription, &**burst)))
    }

    /// Keeps what a write left over of these bursts, and sees to it that it is written later.
    fn keep<'a>(
        &self,
        write: io::Result<usize>,
        bursts: impl IntoIterator<Item = (SubscriptionId, &'a Burst)>,
    ) -> Delivery {
        self.change(|inner| {
            if inner.is_shut() {
                return Delivery::Closed;
            }
            let mut written = match write {
                Ok(written) => written,
                Err(error) if would_block(&error) => 0,
                Err(error) => {
                    inner.fail(error.kind());
                    return Delivery::Closed;
                }
            };
            if inner.queue.is_empty() {
                inner.begin_to_wait();
            }
            for (subscription, burst) in bursts {
                let gone = written.min(burst.joined.len());
                written -= gone;
                self.keep_rest(inner, subscription, burst, gone);
            }
            if inner.behind.is_empty() { Delivery::Waiting } else { Delivery::Behind }
        })
    }

    /// Keeps what is left of a burst whose first `written` bytes have gone out.
    fn keep_rest(&self, inner: &mut Inner, subscription: SubscriptionId, burst: &Burst, mut written: usize) {
        let mut sent = 0;
        for update in &burst.updates {
            let length = update.frame.len();
            if written == 0 {
                break;
            } else if written < length {
                inner.queue.push_rest(update.frame.clone(), written);
                written = length;
            }
            written -= length;
            sent += 1;
        }
        let rest = &burst.updates[sent..];
        let Some(first) = rest.first() else { return };
        let bytes: usize = rest.iter().map(|update| update.frame.len()).sum();
        let fits = inner.queue.updates() + bytes <= self.limit && self.budget.has_room();
        if fits && !inner.streaming {
            return rest.iter().for_each(|update| inner.queue.push_update(subscription, update.clone()));
        }
        let waited = inner.queue.drop_positions(subscription);
        let since = waited.first.unwrap_or(first.number) - 1;
        let carried = rest.iter().map(|update| update.carries.count().carried());
        let dropped = waited.count + carried.sum::<usize>();
        if burst.keeps_left {
            for update in rest.iter().filter(|update| update.is_left()) {
                if inner.streaming {
                    inner.after_stream.push(update.frame.clone());
                } else {
                    inner.queue.push_update(subscription, update.clone());
                }
            }
        }
        self.depth.conflated.fetch_add(dropped as u64, Ordering::Relaxed);
        inner.behind.push(Behind { subscription, since, dropped });
    }

    /// The subscriptions that have fallen behind since this was last asked. Until they are caught up, nothing of theirs
    /// may be delivered.
    pub(crate) fn take_behind(&self) -> Vec<Behind> {
        std::mem::take(&mut self.inner.borrow_mut().behind)
    }
}
