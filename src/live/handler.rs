//! `MessageHandler`: what is done with a client's messages; and the two that come with the library.

use std::rc::Rc;

use super::client::Client;
use super::hub::Hub;
use super::protocol::{Action, Answer, Envelope, ErrorCode, InvalidEnvelope};
use crate::domain::{Topic, TopicError};

/// A whole message from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Valid UTF-8.
    Text(String),
    /// Any bytes.
    Binary(Vec<u8>),
}

impl Message {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// What is done with the messages of a worker's clients. One for each worker; it runs on the worker's thread and
/// must not block. A panic in it ends the connection it was called for, with 1011, and no other.
pub trait MessageHandler: 'static {
    /// Takes an envelope of the wire contract.
    fn envelope(&self, client: &Rc<Client>, envelope: Envelope);

    /// Takes any message. As provided, it reads the envelope, counts it, and answers `protocol-violation` to
    /// anything that is none; the connection stays open.
    fn message(&self, client: &Rc<Client>, message: Message) {
        let inbound = &client.metrics.inbound;
        match Envelope::parse(message.bytes(), client.settings.max_topic_bytes) {
            Ok(envelope) => {
                let kind = envelope.action.name();
                inbound.with_label_values(&[kind]).inc();
                log::debug!("inbound message id={} type={kind}", client.id());
                self.envelope(client, envelope);
            }
            Err(invalid) => {
                inbound.with_label_values(&["invalid"]).inc();
                log::debug!("inbound message id={} type=invalid", client.id());
                let detail = invalid.to_string();
                client.error(ErrorCode::ProtocolViolation, InvalidEnvelope::MESSAGE, Some(&detail));
            }
        }
    }
}

/// Answers `not-implemented` to every envelope: for a server that is still to get its own handler.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScaffoldHandler;

impl MessageHandler for ScaffoldHandler {
    fn envelope(&self, client: &Rc<Client>, envelope: Envelope) {
        client.answer(&Answer::Error {
            code: ErrorCode::NotImplemented,
            topic: Some(&envelope.topic),
            id: envelope.id.as_deref(),
            message: "this server has no topics yet",
            detail: None,
        });
    }
}

/// Subscribes clients to topics of the worker's hub.
pub struct SubscriptionHandler {
    hub: Rc<Hub>,
}

impl SubscriptionHandler {
    /// A handler that subscribes clients at `hub`.
    pub fn new(hub: Rc<Hub>) -> Self {
        Self { hub }
    }
}

impl MessageHandler for SubscriptionHandler {
    fn envelope(&self, client: &Rc<Client>, envelope: Envelope) {
        let Envelope { action, topic: text, id } = &envelope;
        let refuse = |code, message: &str| {
            client.answer(&Answer::Error {
                code,
                topic: Some(text),
                id: id.as_deref(),
                message,
                detail: None,
            });
        };
        let topic = match Topic::parse(text) {
            Ok(topic) => topic,
            Err(error @ TopicError::UnknownKind) => {
                return refuse(ErrorCode::NotImplemented, &error.to_string());
            }
            Err(error @ TopicError::Name(_)) => {
                return refuse(ErrorCode::ProtocolViolation, &error.to_string());
            }
        };
        log::trace!("{} {topic:?} id={}", action.name(), client.id());
        match action {
            Action::Subscribe => {
                if let Err(error) = self.hub.subscribe(client, &topic, id.as_deref()) {
                    refuse(ErrorCode::TooManySubscriptions, &error.to_string());
                }
            }
            Action::Unsubscribe => {
                self.hub.unsubscribe(client, &topic);
                client.answer(&Answer::Unsubscribed { topic: text, id: id.as_deref() });
            }
        }
    }
}
