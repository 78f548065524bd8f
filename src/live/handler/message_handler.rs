//! `MessageHandler`: what a server does with the clients that want to connect, and with the messages of those that have.

use std::fmt;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;

use crate::domain::ClientNetwork;
use crate::live::client::{Awaited, Client, Identity, Unwelcome};
use crate::live::wire::close;
use crate::live::wire::opening::Opening;
use crate::live::wire::outgoing::ErrorCode;
use crate::live::wire::request::{InvalidRequest, Request};

/// A whole message from a client.
#[derive(Clone, PartialEq, Eq)]
pub enum Message {
    /// Valid UTF-8.
    Text(String),
    /// Any bytes.
    Binary(Vec<u8>),
}

/// Its kind and length only: it may hold a token.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if matches!(self, Self::Text(_)) { "Text" } else { "Binary" };
        write!(f, "{kind}({} bytes)", self.bytes().len())
    }
}

impl Message {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }
}

/// How far a message has come.
pub enum Handled {
    /// Everything is done, and the response sent if there is one.
    Done,
    /// The response comes with the end of this future. The client's next message is not handled until then; pings and pongs
    /// before it are, updates go on, and the connection may end meanwhile: then the future is dropped.
    Later(LocalBoxFuture<'static, ()>),
}

/// What is decided about a client whose handshake is in order.
pub enum Decision<'a> {
    /// It is known.
    Now(Result<Admitted, Denied>),
    /// It takes its time, within the handshake timeout.
    Later(LocalBoxFuture<'a, Result<Admitted, Denied>>),
}

/// A client gets its connection.
pub enum Admitted {
    /// Nobody is asked who he is.
    Anyone,
    /// It has to say who it is in time, with `auth`, before it says anything else.
    Awaited(Awaited),
    /// It is known who it is.
    Known(Identity),
    /// Only to be told, in the close frame, why it is none: browsers show nothing of a handshake that was refused.
    Refused(Unwelcome),
}

/// A client does not get a connection: its handshake is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// With 403.
    NotAllowed,
    /// With 429: there are too many connections of its subject.
    SubjectFull,
    /// With 503: it cannot be known now who it is.
    Unavailable,
    /// With 503: too many clients have to say still who they are.
    TooManyUnknown,
}

/// What is done with the messages of a worker's clients. One for each worker; it runs on the worker's thread and
/// must not block. A panic in it ends the connection it was called for, with 1011, or refuses the handshake with 500, and no other.
pub trait MessageHandler: 'static {
    /// Takes a request of the wire contract.
    fn request(&self, client: &Rc<Client>, request: Request) -> Handled;

    /// Takes any message. As provided, it reads the request, counts it, and answers `protocol-violation` to
    /// anything that is none; the connection stays open.
    fn message(&self, client: &Rc<Client>, message: Message) -> Handled {
        let inbound = &client.metrics.inbound;
        let request = Request::parse(message.bytes(), client.settings.max_topic_bytes);
        if client.awaited_for().is_some() && !matches!(request, Ok(Request::Auth { .. })) {
            client.close(close::TOKEN_MISSING);
            return Handled::Done;
        }
        match request {
            Ok(request) => {
                let kind = request.name();
                inbound.with_label_values(&[kind]).inc();
                log::debug!("inbound message id={} type={kind}", client.id());
                self.request(client, request)
            }
            Err(invalid) => {
                inbound.with_label_values(&["invalid"]).inc();
                log::debug!("inbound message id={} type=invalid", client.id());
                let detail = invalid.to_string();
                client.error(ErrorCode::ProtocolViolation, InvalidRequest::MESSAGE, Some(&detail));
                Handled::Done
            }
        }
    }

    /// Decides about a client from there whose handshake is in order but not answered yet.
    ///
    /// As provided: every client may connect.
    fn admit<'a>(&'a self, opening: &'a Opening, from: ClientNetwork) -> Decision<'a> {
        let _ = (opening, from);
        Decision::Now(Ok(Admitted::Anyone))
    }

    /// Looks again at what a client may do: something was revoked.
    ///
    /// As provided, it does nothing.
    fn recheck(&self, client: &Rc<Client>) {
        let _ = client;
    }
}
