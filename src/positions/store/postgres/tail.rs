//! `SharedTail`: publishes what comes from the log that all instances share.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use futures_util::TryStreamExt as _;

use super::connect::Target;
use super::newest::newest;
use crate::domain::Revocation;
use crate::positions::arrived::Arrived;
use crate::positions::log::{Stored, Tail};
use crate::positions::order::Order;
use crate::positions::publish::Publish;

/// Publishes what is newer than what it knows of each device, whoever stored it.
pub(super) struct SharedTail {
    pub(super) target: Target,
    pub(super) order: Rc<RefCell<Order>>,
    pub(super) publish: Rc<dyn Publish>,
}

impl Tail for SharedTail {
    fn read(&mut self, positions: Vec<Arrived>) {
        let mut order = self.order.borrow_mut();
        let mut changes = order.changes();
        let is_new = |arrived: Arrived| {
            let is_new = changes.meet(&arrived.position.device_id, arrived.key());
            is_new.then_some((arrived.position, arrived.received))
        };
        let new: Vec<_> = positions.into_iter().filter_map(is_new).collect();
        let changed = changes.finish();
        order.apply(changed);
        drop(order);
        if !new.is_empty() {
            self.publish.publish(new);
        }
    }

    fn revoked(&mut self, revocations: Vec<Revocation>) {
        self.publish.revoked(revocations);
    }

    fn stored(&self) -> Stored {
        Box::pin(newest(&self.target).map_err(|error| Box::from(error) as Box<dyn Error>))
    }
}
