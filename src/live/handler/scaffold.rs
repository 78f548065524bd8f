//! `ScaffoldHandler`: for a server that is still to get a handler of its own.

use std::rc::Rc;

use super::message_handler::{Handled, MessageHandler};
use crate::live::client::Client;
use crate::live::wire::outgoing::{ErrorCode, Outgoing};
use crate::live::wire::request::Request;

/// Answers `not-implemented` to every request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScaffoldHandler;

impl MessageHandler for ScaffoldHandler {
    fn request(&self, client: &Rc<Client>, request: Request) -> Handled {
        let error = |topic| Outgoing::Error {
            code: ErrorCode::NotImplemented,
            topic,
            id: request.id(),
            message: "this server has no topics yet",
            detail: None,
        };
        request.topics().iter().for_each(|topic| client.send(&error(Some(topic))));
        if request.topics().is_empty() {
            client.send(&error(None));
        }
        Handled::Done
    }
}
