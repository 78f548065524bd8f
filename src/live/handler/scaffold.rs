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
        let (Request::Subscribe { topic, id } | Request::Unsubscribe { topic, id }) = &request;
        client.send(&Outgoing::Error {
            code: ErrorCode::NotImplemented,
            topic: Some(topic),
            id: id.as_deref(),
            message: "this server has no topics yet",
            detail: None,
        });
        Handled::Done
    }
}
