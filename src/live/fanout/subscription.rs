//! `Subscription` and `Subscriber`: one client's interest in one topic, and a client with all of its subscriptions.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use super::catchup::CatchUp;
use crate::domain::Topic;
use crate::live::client::Client;
use crate::live::outbox::{Outbox, SubscriptionId};

/// A client that is subscribed to something.
pub(super) struct Subscriber {
    pub(super) client: Rc<Client>,
    pub(super) outbox: Rc<Outbox>,
    pub(super) held: RefCell<HashMap<Topic, Rc<Subscription>>>,
    /// Subscriptions that have not got everything yet, in the order in which they are served.
    pub(super) behind: RefCell<VecDeque<Rc<Subscription>>>,
}

/// One client's interest in one topic.
pub(super) struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) subscriber: Rc<Subscriber>,
    pub(super) topic: Topic,
    /// Its place among the topic's members.
    pub(super) place: Cell<usize>,
    /// What it still has to get before the fan-out delivers to it again.
    pub(super) catch_up: RefCell<Option<Box<CatchUp>>>,
}

impl Subscriber {
    pub(super) fn new(client: Rc<Client>, outbox: Rc<Outbox>) -> Rc<Self> {
        Rc::new(Self { client, outbox, held: RefCell::default(), behind: RefCell::default() })
    }

    /// True while a snapshot is on its way that is not sent as a whole.
    pub(super) fn is_streaming(&self) -> bool {
        self.behind.borrow().front().is_some_and(|first| first.is_streaming())
    }

    /// Its subscription with this id.
    pub(super) fn subscription(&self, id: SubscriptionId) -> Option<Rc<Subscription>> {
        self.held.borrow().values().find(|held| held.id == id).cloned()
    }
}

impl Subscription {
    pub(super) fn new(id: SubscriptionId, subscriber: Rc<Subscriber>, topic: Topic) -> Rc<Self> {
        let (place, catch_up) = (Cell::new(0), RefCell::default());
        Rc::new(Self { id, subscriber, topic, place, catch_up })
    }

    /// True while its snapshot is not sent as a whole.
    pub(super) fn is_streaming(&self) -> bool {
        self.catch_up.borrow().as_ref().is_some_and(|catch_up| catch_up.is_streaming())
    }
}
