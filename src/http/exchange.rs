//! `Exchange`: one request and its response, told to the connection's state.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpResponse};
use futures_util::Stream;
use tokio::time::Instant;

use super::state::ConnectionState;

/// One request, from its head to its response.
pub(super) struct Exchange {
    /// `None` only where a test has no socket.
    state: Option<Rc<ConnectionState>>,
}

impl Exchange {
    /// The head of a request was read; the end of its body will be told too.
    pub(super) fn begin(request: &mut ServiceRequest) -> Self {
        let state = request.conn_data::<Rc<ConnectionState>>().cloned();
        let mut payload = request.take_payload();
        let has_body = !matches!(payload, Payload::None);
        if let (true, Some(state)) = (has_body, &state) {
            payload = TrackedBody::wrap(payload, state.clone());
        }
        request.set_payload(payload);
        Self::new(state, has_body)
    }

    /// The head of a request was read that waits with its body until it is told to send it.
    pub(super) fn begin_expecting(request: &mut actix_http::Request) -> Self {
        let state = request.conn_data::<Rc<ConnectionState>>().cloned();
        Self::new(state, !matches!(request.payload(), Payload::None))
    }

    fn new(state: Option<Rc<ConnectionState>>, has_body: bool) -> Self {
        if let Some(state) = &state {
            state.request_began(has_body, Instant::now());
        }
        Self { state }
    }

    /// The response was made.
    pub(super) fn end(self, response: &mut HttpResponse<impl MessageBody>) {
        if self.state.is_some_and(|state| state.response_made(Instant::now())) {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
    }
}

/// A body that tells the state when it is at its end.
struct TrackedBody {
    payload: Payload,
    state: Rc<ConnectionState>,
}

impl TrackedBody {
    fn wrap(payload: Payload, state: Rc<ConnectionState>) -> Payload {
        Payload::Stream { payload: Box::pin(Self { payload, state }) }
    }
}

impl Stream for TrackedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.payload).poll_next(context));
        if item.is_none() {
            self.state.body_ended(Instant::now());
        }
        Poll::Ready(item)
    }
}
