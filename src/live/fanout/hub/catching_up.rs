//! How the hub brings clients up to date that have not got everything: long snapshots, and who was too slow.

use std::rc::Rc;
use std::task::Waker;

use super::Hub;
use crate::domain::Topic;
use crate::live::client::Client;
use crate::live::fanout::catchup::{Abandoned, CatchUp, Piece};
use crate::live::fanout::compose;
use crate::live::fanout::delivery;
use crate::live::fanout::listing::Listing;
use crate::live::fanout::subscription::{BEHIND, Subscriber, Subscription};
use crate::live::fanout::update::Change;
use crate::live::outbox::Count;

impl Hub {
    /// From now on a subscription is served by [`Hub::catch_up`], until it has everything.
    pub(super) fn begin_catch_up(&self, subscription: &Rc<Subscription>, catch_up: CatchUp) {
        subscription.set_seen(BEHIND);
        self.latest.borrow_mut().watch(subscription.topic());
        let subscriber = &subscription.subscriber;
        if catch_up.is_streaming() {
            // Snapshots come first, but nothing comes before the rest of one that is half sent.
            let place = usize::from(subscriber.is_streaming());
            subscriber.behind.borrow_mut().insert(place, subscription.clone());
        } else {
            subscriber.behind.borrow_mut().push_back(subscription.clone());
        }
        *subscription.catch_up.borrow_mut() = Some(Box::new(catch_up));
        subscriber.outbox.wake();
    }

    /// It has everything, or ends. Returns what was not finished.
    pub(super) fn end_catch_up(&self, subscription: &Rc<Subscription>) -> Abandoned {
        let ended = subscription.catch_up.borrow_mut().take();
        let Some(catch_up) = ended else { return Abandoned::Updates };
        let subscriber = &subscription.subscriber;
        subscriber.behind.borrow_mut().retain(|behind| !Rc::ptr_eq(behind, subscription));
        let abandoned = catch_up.abandon();
        match &abandoned {
            Abandoned::HalfSent(end) => {
                subscriber.outbox.end_stream(Some(end.clone()));
                self.go_on_streaming(subscriber);
            }
            // Another may be half sent, and goes on. If not, what waited for this one comes before the next.
            Abandoned::Unsent { .. } if !subscriber.is_half_sent() => {
                subscriber.outbox.end_stream(None);
                self.go_on_streaming(subscriber);
            }
            Abandoned::Unsent { .. } | Abandoned::Updates => {}
        }
        self.latest.borrow_mut().unwatch(subscription.topic(), self.told.get());
        abandoned
    }

    /// A snapshot of this client is at its end; if another is waiting, nothing may come between still.
    fn go_on_streaming(&self, subscriber: &Subscriber) {
        if subscriber.is_streaming() {
            subscriber.outbox.begin_stream();
        }
    }

    /// Notes the subscriptions of this client that a burst did not fit for.
    pub(super) fn fell_behind(&self, subscriber: &Subscriber) {
        for behind in subscriber.outbox.take_behind() {
            self.means.metrics.conflated.inc_by(behind.dropped as u64);
            if let Some(subscription) = subscriber.subscription(behind.subscription) {
                let catch_up = CatchUp::since(subscription.topic(), behind.since);
                self.begin_catch_up(&subscription, catch_up);
                if let Topic::Area(area) = subscription.topic() {
                    self.note_undelivered(&subscription, area.bounds(), behind.since);
                }
            }
        }
    }

    /// Sends a client the next piece of what it has not got yet, now that its outbox is empty. False if there is nothing,
    /// or no memory for it now; then `waker` is woken when there is.
    pub(crate) fn catch_up(&self, client: &Client, waker: &Waker) -> bool {
        let known = self.subscribers.borrow().get(&client.id()).cloned();
        let Some(subscriber) = known else { return false };
        let first = subscriber.behind.borrow().front().cloned();
        let Some(subscription) = first else { return false };
        if !self.means.budget.has_room_or_wakes(waker) || !self.is_dispatched_or_wakes(&subscription, waker) {
            return false;
        }
        let number = self.has_everything_up_to(&subscription);
        match self.next_piece(&subscription, number) {
            Piece::Fragment { frame, last } => {
                subscriber.outbox.fragment(frame, last);
                if last {
                    subscriber.behind.borrow_mut().rotate_left(1);
                    self.go_on_streaming(&subscriber);
                }
            }
            Piece::Updates(changes) => {
                self.send_changes(&subscription, &changes);
                subscriber.behind.borrow_mut().rotate_left(1);
            }
            Piece::Lost => self.start_again(&subscription),
            Piece::Done => {
                self.end_catch_up(&subscription);
                subscription.set_seen(number);
            }
        }
        true
    }

    fn next_piece(&self, subscription: &Subscription, number: u64) -> Piece {
        match subscription.catch_up.borrow_mut().as_mut() {
            Some(catch_up) => {
                catch_up.next(subscription.topic(), &mut self.latest.borrow_mut(), number, &self.means)
            }
            None => Piece::Done,
        }
    }

    /// Up to which update a subscription has everything once it has all that there is for it now. An area is served what was
    /// dispatched, as the dispatch finds out which devices went out; its snapshot is of now.
    fn has_everything_up_to(&self, subscription: &Subscription) -> u64 {
        if subscription.topic().is_area() && !subscription.is_streaming() {
            self.dispatched.get()
        } else {
            self.number.get()
        }
    }

    /// True if a subscription can be served now; else `waker` is woken when it can. One of an area waits until all that its
    /// snapshot showed is dispatched.
    fn is_dispatched_or_wakes(&self, subscription: &Subscription, waker: &Waker) -> bool {
        let is_ahead =
            |listing: &mut Listing| self.is_dispatching.get() || listing.shown() > self.dispatched.get();
        let waits = !subscription.is_streaming() && subscription.with_listing(is_ahead).unwrap_or(false);
        if waits {
            let mut awaiting = self.awaiting_dispatch.borrow_mut();
            if !awaiting.iter().any(|known| known.will_wake(waker)) {
                awaiting.push(waker.clone());
            }
        }
        !waits
    }

    /// Sends a client a new snapshot, as if it had just subscribed.
    pub(super) fn start_again(&self, subscription: &Rc<Subscription>) {
        subscription.subscriber.outbox.forget(subscription.id);
        self.end_catch_up(subscription);
        subscription.set_seen(self.number.get());
        self.send_snapshot(subscription, None);
    }

    fn send_changes(&self, subscription: &Subscription, changes: &[Change]) {
        let frames = compose::frames(subscription.topic(), subscription.audience.mode, changes, &self.means);
        let mut count = Count::default();
        frames.iter().for_each(|frame| count.add(frame.carries().count()));
        delivery::count(&self.means.metrics, count);
        subscription.subscriber.outbox.catch_up(subscription.id, frames);
    }
}
