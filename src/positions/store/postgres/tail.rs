//! `SharedTail`: publishes what comes from the log that all instances share.

use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;
use std::time::Instant;

use futures_util::future::LocalBoxFuture;

use super::connect::Target;
use super::newest::newest;
use crate::domain::Position;
use crate::positions::arrived::Arrived;
use crate::positions::log::Tail;
use crate::positions::order::{Ahead, Order, counts_as_of};
use crate::positions::publish::Publish;

/// Positions that are published together after a gap.
const AT_ONCE: usize = 1024;

/// Publishes what is newer than what it knows of each device, whoever stored it.
pub(super) struct SharedTail {
    pub(super) target: Target,
    pub(super) order: Rc<RefCell<Order>>,
    pub(super) publish: Box<dyn Publish>,
}

impl Tail for SharedTail {
    fn read(&mut self, positions: Vec<Arrived>) {
        let mut order = self.order.borrow_mut();
        let mut changes = order.changes();
        let is_new = |Arrived { position, arrival, received }: Arrived| {
            let counts_as_of = counts_as_of(position.timestamp, arrival);
            let is_new = changes.meet(&position.device_id, position.timestamp, counts_as_of);
            is_new.then_some((position, received))
        };
        let new: Vec<_> = positions.into_iter().filter_map(is_new).collect();
        let changed = changes.finish();
        order.apply(changed);
        drop(order);
        if !new.is_empty() {
            self.publish.publish(new);
        }
    }

    fn catch_up(&mut self) -> LocalBoxFuture<'_, Result<(), Box<dyn Error>>> {
        Box::pin(async {
            let Self { target, order, publish } = self;
            let mut new = Vec::new();
            let mut each = |position: Position, ahead: Option<Ahead>| {
                let counts_as_of = ahead.map_or(position.timestamp, |ahead| ahead.counts_as_of);
                let mut order = order.borrow_mut();
                let mut changes = order.changes();
                if changes.meet(&position.device_id, position.timestamp, counts_as_of) {
                    let changed = changes.finish();
                    order.apply(changed);
                    new.push((position, Instant::now()));
                }
                if new.len() == AT_ONCE {
                    publish.publish(std::mem::take(&mut new));
                }
            };
            let result = newest(target, &mut each).await;
            // What was read before it failed is noted as known.
            publish.publish(new);
            Ok(result?)
        })
    }
}
