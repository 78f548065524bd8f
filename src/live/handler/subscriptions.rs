//! `SubscriptionHandler`: subscribes clients to topics of their worker's hub, and tells them what the server has.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::message_handler::{Handled, MessageHandler};
use crate::domain::topic::KIND_NAMES;
use crate::domain::{Timestamp, Topic, TopicError};
use crate::live::client::Client;
use crate::live::fanout::{Hub, NotSubscribed, Wish};
use crate::live::wire::cadence::Cadence;
use crate::live::wire::outgoing::{ErrorCode, Limits, Outgoing};
use crate::live::wire::request::{MAX_ID_BYTES, MAX_TOPICS, Options, Request};

/// So long the topics of one request are handled before others have their turn.
const TURN: Duration = Duration::from_millis(1);

/// What a topic of a list costs a client, as if so many bytes had been sent to it: an eighth of a message of its own.
const BYTES_PER_TOPIC: usize = 2048;

/// Subscribes clients to topics of their worker's hub.
pub struct SubscriptionHandler {
    hub: Rc<Hub>,
}

/// What is to be done with each topic of a request.
struct Job {
    hub: Rc<Hub>,
    client: Rc<Client>,
    id: Option<String>,
    /// `None`: they are unsubscribed.
    subscribe: Option<Options>,
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

    fn each(
        &self,
        client: &Rc<Client>,
        topics: Vec<String>,
        id: Option<String>,
        subscribe: Option<Options>,
    ) -> Handled {
        let job = Job { hub: self.hub.clone(), client: client.clone(), id, subscribe };
        match &topics[..] {
            [only] => {
                job.topic(only);
                Handled::Done
            }
            _ => Handled::Later(Box::pin(job.topics(topics))),
        }
    }
}

impl Job {
    /// Goes through a list: others have their turn in between, and a client that does not read its responses is waited for.
    async fn topics(self, topics: Vec<String>) {
        let mut topics = topics.iter().peekable();
        while topics.peek().is_some() {
            // Polled with the connection, and so also when it has written what waits.
            poll_fn(|_| if self.client.is_jammed() { Poll::Pending } else { Poll::Ready(()) }).await;
            let since = Instant::now();
            self.client.hold(true);
            while !self.client.is_jammed()
                && since.elapsed() < TURN
                && let Some(topic) = topics.next()
            {
                self.topic(topic);
                self.client.charge(BYTES_PER_TOPIC);
            }
            self.client.hold(false);
            tokio::task::yield_now().await;
        }
    }

    fn topic(&self, text: &str) {
        let id = self.id.as_deref();
        let done = match &self.subscribe {
            Some(options) => self.subscribe(text, options),
            None => self.unsubscribe(text),
        };
        if let Err(Refused { code, message }) = done {
            let topic = Some(text);
            self.client.send(&Outgoing::Error { code, topic, id, message: &message, detail: None });
        }
    }

    fn subscribe(&self, text: &str, options: &Options) -> Result<(), Refused> {
        let topic = topic(text)?;
        let replaces = options.replaces.as_deref().map(|text| area(&topic, text)).transpose()?;
        let wish = Wish {
            id: self.id.as_deref(),
            cadence: Cadence::at_least(options.every_ms),
            batch: options.batch,
            replaces: replaces.as_ref(),
        };
        self.hub.subscribe(&self.client, &topic, wish).map_err(|error| {
            let code = match error {
                NotSubscribed::TooManySubscriptions(_) => ErrorCode::TooManySubscriptions,
                NotSubscribed::TooManyDevices { .. } | NotSubscribed::TooManyTogether { .. } => {
                    ErrorCode::TooManyDevices
                }
            };
            Refused { code, message: error.to_string() }
        })
    }

    fn unsubscribe(&self, text: &str) -> Result<(), Refused> {
        self.hub.unsubscribe(&self.client, &topic(text)?);
        self.client.send(&Outgoing::Unsubscribed { topic: text, id: self.id.as_deref() });
        Ok(())
    }
}

fn topic(text: &str) -> Result<Topic, Refused> {
    Topic::parse(text).map_err(|error| {
        let code = match error {
            TopicError::UnknownKind => ErrorCode::NotImplemented,
            TopicError::Name(_) | TopicError::Area(_) => ErrorCode::ProtocolViolation,
        };
        Refused { code, message: error.to_string() }
    })
}

/// The area that `topic` replaces.
fn area(topic: &Topic, text: &str) -> Result<Topic, Refused> {
    match (topic, self::topic(text)) {
        (Topic::Area(_), Ok(replaced @ Topic::Area(_))) => Ok(replaced),
        (_, Err(refused)) => Err(Refused { message: format!("replaces: {}", refused.message), ..refused }),
        _ => {
            let message = "replaces: only an area takes the place of another area".to_owned();
            Err(Refused { code: ErrorCode::ProtocolViolation, message })
        }
    }
}

fn welcome(client: &Client, id: Option<&str>) {
    let settings = &client.settings;
    client.send(&Outgoing::Welcome {
        id,
        server_time: Timestamp::now(),
        ping_interval_ms: settings.ping_interval.as_millis() as u64,
        topics: &KIND_NAMES,
        every_ms: &Cadence::STEPS,
        limits: Limits {
            message_bytes: settings.max_message_bytes,
            topic_bytes: settings.max_topic_bytes,
            id_bytes: MAX_ID_BYTES,
            topics: MAX_TOPICS,
            subscriptions: settings.max_subscriptions,
            messages_per_second: settings.max_messages_per_second,
            area_devices: settings.max_area_devices,
            min_every_ms: Cadence::at_least(settings.min_every_ms.into()).map_or(0, Cadence::millis),
        },
    });
}

impl MessageHandler for SubscriptionHandler {
    fn request(&self, client: &Rc<Client>, request: Request) -> Handled {
        match request {
            Request::Hello { id } => {
                welcome(client, id.as_deref());
                Handled::Done
            }
            Request::Subscribe { topics, id, options } => self.each(client, topics, id, Some(options)),
            Request::Unsubscribe { topics, id } => self.each(client, topics, id, None),
        }
    }
}
