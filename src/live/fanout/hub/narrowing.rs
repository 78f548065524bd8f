//! Subscriptions that end without their client's asking: to what it may not read any more, and to areas that have become too full.

use std::rc::Rc;

use super::Hub;
use crate::domain::Topic;
use crate::live::client::Client;
use crate::live::fanout::subscription::Subscription;
use crate::live::wire::outgoing::{ErrorCode, Outgoing};

/// What became of a client's subscriptions when it was looked at what it may read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Narrowed {
    /// So many were ended.
    pub(crate) ended: usize,
    /// So many it still has.
    pub(crate) left: usize,
}

impl Hub {
    /// Ends those of a client's subscriptions whose topics it may not read, and says so.
    pub(crate) fn narrow(&self, client: &Client, may_read: impl Fn(&Topic) -> bool) -> Narrowed {
        let known = self.subscribers.borrow().get(&client.id()).cloned();
        let Some(subscriber) = known else { return Narrowed::default() };
        let held = subscriber.held.borrow();
        let forbidden: Vec<_> = held.values().filter(|held| !may_read(held.topic())).cloned().collect();
        drop(held);
        // Areas that stay are sent anew once, when all others are gone: one after the other would be very many snapshots, and some
        // of areas that end a moment later.
        let mut since = None;
        for subscription in &forbidden {
            let dropped = subscriber.outbox.forget(subscription.id);
            let first = self.detach(subscription, dropped);
            since = since.into_iter().chain(first).min();
            say_ended(subscription, ErrorCode::Forbidden, "the token does not allow this topic any more");
        }
        if let Some(since) = since {
            self.restart_areas(&subscriber, since);
        }
        self.forget_if_without(&subscriber);
        let left = subscriber.held.borrow().len();
        Narrowed { ended: forbidden.len(), left }
    }

    /// Ends the subscription of an area that holds too many devices now.
    pub(super) fn end_as_overgrown(&self, subscription: &Rc<Subscription>, message: &str) {
        self.end(subscription);
        say_ended(subscription, ErrorCode::TooManyDevices, message);
    }
}

fn say_ended(subscription: &Subscription, code: ErrorCode, message: &str) {
    subscription.subscriber.client.send(&Outgoing::Error {
        code,
        topic: Some(&subscription.topic().to_string()),
        id: None,
        message,
        detail: Some("this subscription has ended"),
    });
}
