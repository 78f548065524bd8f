//! `Registration`: a connection's place in the registry, from its actor's start to its end.

use std::rc::Rc;

use actix::Recipient;

use super::worker::Worker;
use crate::live::client::Client;
use crate::live::client::lifecycle::State;
use crate::live::registry::{Control, Deregister, Permit, Register};

/// Counts a connection in when it is told to, and out when it is dropped, which happens with its actor, whatever ends that.
pub(super) struct Registration {
    worker: Rc<Worker>,
    pub(super) client: Rc<Client>,
    _permit: Permit,
}

impl Registration {
    pub(super) fn new(worker: Rc<Worker>, client: Rc<Client>, permit: Permit) -> Self {
        Self { worker, client, _permit: permit }
    }

    /// Counts the connection in; the registry closes it through `control`.
    pub(super) fn register(&self, control: Recipient<Control>) {
        self.worker.registry.do_send(Register { vitals: self.client.vitals.clone(), control });
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let client = &self.client;
        let end = client.end();
        let clean = client.lifecycle().state() != State::Reset;
        self.worker.hub.leave(client);
        client.ended();
        self.worker.registry.do_send(Deregister { id: client.id(), reason: end.reason, clean });
        log::debug!("connection closed id={} code={} reason={}", client.id(), end.code, end.reason.text());
    }
}
