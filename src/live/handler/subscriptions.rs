//! `SubscriptionHandler`: subscribes clients to topics of their worker's hub.

use std::rc::Rc;

use super::message_handler::{Handled, MessageHandler};
use crate::domain::{Topic, TopicError};
use crate::live::client::Client;
use crate::live::fanout::Hub;
use crate::live::wire::outgoing::{ErrorCode, Outgoing};
use crate::live::wire::request::Request;

/// Subscribes clients to topics of their worker's hub.
pub struct SubscriptionHandler {
    hub: Rc<Hub>,
}

/// What a request named, to be repeated in its response.
#[derive(Clone, Copy)]
struct Named<'a> {
    topic: &'a str,
    id: Option<&'a str>,
}

/// Why a request was not done.
struct Refused {
    code: ErrorCode,
    message: String,
}

impl SubscriptionHandler {
    /// A handler that subscribes clients at `hub`.
    pub fn new(hub: Rc<Hub>) -> Self {
        Self { hub }
    }

    fn subscribe(&self, client: &Rc<Client>, named: Named<'_>) -> Result<(), Refused> {
        let subscribed = self.hub.subscribe(client, &topic(named.topic)?, named.id);
        let code = ErrorCode::TooManySubscriptions;
        subscribed.map_err(|error| Refused { code, message: error.to_string() })
    }

    fn unsubscribe(&self, client: &Client, named: Named<'_>) -> Result<(), Refused> {
        self.hub.unsubscribe(client, &topic(named.topic)?);
        client.send(&Outgoing::Unsubscribed { topic: named.topic, id: named.id });
        Ok(())
    }
}

fn topic(text: &str) -> Result<Topic, Refused> {
    Topic::parse(text).map_err(|error| {
        let code = match error {
            TopicError::UnknownKind => ErrorCode::NotImplemented,
            TopicError::Name(_) => ErrorCode::ProtocolViolation,
        };
        Refused { code, message: error.to_string() }
    })
}

impl MessageHandler for SubscriptionHandler {
    fn request(&self, client: &Rc<Client>, request: Request) -> Handled {
        let (Request::Subscribe { topic, id } | Request::Unsubscribe { topic, id }) = &request;
        let named = Named { topic, id: id.as_deref() };
        let done = match request {
            Request::Subscribe { .. } => self.subscribe(client, named),
            Request::Unsubscribe { .. } => self.unsubscribe(client, named),
        };
        if let Err(Refused { code, message }) = done {
            let Named { topic, id } = named;
            client.send(&Outgoing::Error { code, topic: Some(topic), id, message: &message, detail: None });
        }
        Handled::Done
    }
}
