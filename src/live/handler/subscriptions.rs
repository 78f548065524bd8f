//! `SubscriptionHandler`: subscribes clients to topics of their worker's hub, and tells them what the server has.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::gate::{Gate, Identified, close_reason};
use super::message_handler::{Admitted, Decision, Handled, MessageHandler};
use crate::domain::topic::KIND_NAMES;
use crate::domain::{ClientNetwork, Credentials, NotIdentified, Principal, Timestamp, Topic, TopicError};
use crate::live::client::Client;
use crate::live::fanout::{Hub, NotSubscribed, Wish};
use crate::live::wire::cadence::Cadence;
use crate::live::wire::close;
use crate::live::wire::opening::Opening;
use crate::live::wire::outgoing::{ErrorCode, Limits, Outgoing, PrincipalView};
use crate::live::wire::request::{MAX_ID_BYTES, MAX_TOPICS, Options, Request};

/// So long the topics of one request are handled before others have their turn.
const TURN: Duration = Duration::from_millis(1);

/// What a topic of a list costs a client, as if so many bytes had been sent to it: an eighth of a message of its own.
const BYTES_PER_TOPIC: usize = 2048;

/// So many checks whether a topic may be read cost a client as much as if a byte had been sent to it.
const CHECKS_PER_BYTE: usize = 8;

/// Subscribes clients to topics of their worker's hub.
pub struct SubscriptionHandler {
    hub: Rc<Hub>,
    /// `None`: everyone may read everything.
    gate: Option<Arc<Gate>>,
}

/// What is to be done with each topic of a request.
struct Job {
    hub: Rc<Hub>,
    gate: Option<Arc<Gate>>,
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
    /// A handler that subscribes clients at `hub`, everyone to everything.
    pub fn new(hub: Rc<Hub>) -> Self {
        Self { hub, gate: None }
    }

    /// One that subscribes those whom the gate lets in, to what they may read.
    pub fn with_gate(hub: Rc<Hub>, gate: Arc<Gate>) -> Self {
        Self { hub, gate: Some(gate) }
    }

    fn each(
        &self,
        client: &Rc<Client>,
        topics: Vec<String>,
        id: Option<String>,
        subscribe: Option<Options>,
    ) -> Handled {
        let job =
            Job { hub: self.hub.clone(), gate: self.gate.clone(), client: client.clone(), id, subscribe };
        match &topics[..] {
            [only] => {
                job.topic(only);
                Handled::Done
            }
            _ => Handled::Later(Box::pin(job.topics(topics))),
        }
    }

    fn auth(&self, client: &Rc<Client>, token: &str, id: Option<String>) -> Handled {
        let Some(gate) = &self.gate else {
            client.send(&Outgoing::Authenticated { id: id.as_deref(), principal: None });
            return Handled::Done;
        };
        let stranger = client.principal().is_none().then(|| client.vitals.remote.ip().into());
        match gate.authority().identify(Credentials::of_token(token), stranger) {
            Identified::Done(result) => {
                identified(&self.hub, gate, client, result, id.as_deref());
                Handled::Done
            }
            Identified::Later(result) => {
                let (hub, gate, client) = (self.hub.clone(), gate.clone(), client.clone());
                Handled::Later(Box::pin(async move {
                    identified(&hub, &gate, &client, result.await, id.as_deref());
                }))
            }
        }
    }
}

/// A client has shown a token: for the first time, or a newer one.
fn identified(
    hub: &Hub,
    gate: &Gate,
    client: &Rc<Client>,
    result: Result<Arc<Principal>, NotIdentified>,
    id: Option<&str>,
) {
    if !client.is_open() {
        return; // and takes no place among those of its subject
    }
    let before = client.principal();
    let principal = match result {
        Ok(principal) => principal,
        // The token that it has still holds.
        Err(NotIdentified::Unavailable) if before.is_some() => {
            let message = "tokens cannot be checked now; the one before still holds, try again later";
            let (code, topic) = (ErrorCode::Unavailable, None);
            return client.send(&Outgoing::Error { code, topic, id, message, detail: None });
        }
        Err(error) => return client.close(close_reason(error)),
    };
    match before {
        Some(before) if before.subject != principal.subject => {
            gate.authority().other_subject();
            return client.close(close::UNAUTHORIZED);
        }
        Some(_) => client.renew(principal.clone()),
        None => match gate.place(principal.clone()) {
            Some(identity) => client.identify(identity),
            None => return client.close(close::SUBJECT_FULL),
        },
    }
    // Each of its subscriptions is held against each pattern.
    client.charge(principal.topics.len() * client.vitals.topics() / CHECKS_PER_BYTE);
    client.send(&Outgoing::Authenticated { id, principal: Some(view(&principal)) });
    // What it may not read any more.
    hub.narrow(client, |topic| gate.authority().may_read(&principal, topic));
}

fn view(principal: &Principal) -> PrincipalView<'_> {
    PrincipalView {
        subject: &principal.subject,
        expires_at: principal.expires_at,
        may_read: principal.topics.iter().map(ToString::to_string).collect(),
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
        self.check(&topic)?;
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

    /// Whether the client may read a topic now.
    fn check(&self, topic: &Topic) -> Result<(), Refused> {
        let Some(gate) = &self.gate else { return Ok(()) };
        let may_read = |principal: Arc<Principal>| gate.authority().may_read(&principal, topic);
        if self.client.principal().is_some_and(may_read) {
            return Ok(());
        }
        let message = match topic {
            Topic::Area(_) => "the token does not allow all of this area",
            Topic::Device(_) | Topic::Event(_) => "the token does not allow this topic",
        };
        Err(Refused { code: ErrorCode::Forbidden, message: message.to_owned() })
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
    let principal = client.principal();
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
        principal: principal.as_deref().map(view),
    });
}

impl MessageHandler for SubscriptionHandler {
    fn request(&self, client: &Rc<Client>, request: Request) -> Handled {
        match request {
            Request::Hello { id } => {
                welcome(client, id.as_deref());
                Handled::Done
            }
            Request::Auth { token, id } => self.auth(client, token.reveal(), id),
            Request::Subscribe { topics, id, options } => self.each(client, topics, id, Some(options)),
            Request::Unsubscribe { topics, id } => self.each(client, topics, id, None),
        }
    }

    fn admit<'a>(&'a self, opening: &'a Opening, from: ClientNetwork) -> Decision<'a> {
        match &self.gate {
            Some(gate) => gate.admit(opening, from),
            None => Decision::Now(Ok(Admitted::Anyone)),
        }
    }

    fn recheck(&self, client: &Rc<Client>) {
        let (Some(gate), Some(principal)) = (&self.gate, client.principal()) else { return };
        let authority = gate.authority();
        if authority.is_revoked(&principal) {
            return client.close(close::FORBIDDEN);
        }
        let narrowed = self.hub.narrow(client, |topic| authority.may_read(&principal, topic));
        // A list that is under way may bring others.
        let is_busy = client.reading.has_request_under_way.get();
        if narrowed.ended > 0 && narrowed.left == 0 && !is_busy {
            client.close(close::FORBIDDEN);
        }
    }
}
