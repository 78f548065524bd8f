//! `Exchange`: one request and its response, told to the connection's state.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ResponseHead, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpResponse};
use futures_util::Stream;
use tokio::time::Instant;

use super::state::ConnectionState;

/// One request, from its head until its response is written, or given up.
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

    /// The head of a request was read that waits with its body until it is told to send it, and it is refused.
    pub(super) fn refuse_expecting(request: &mut actix_http::Request, response: &mut HttpResponse) {
        let state = request.conn_data::<Rc<ConnectionState>>().cloned();
        Self::new(state, !matches!(request.payload(), Payload::None)).made(response.head_mut());
    }

    fn new(state: Option<Rc<ConnectionState>>, has_body: bool) -> Self {
        if let Some(state) = &state {
            state.request_began(has_body, Instant::now());
        }
        Self { state }
    }

    fn made(&self, response: &mut ResponseHead) {
        if self.state.as_ref().is_some_and(|state| state.response_made(Instant::now())) {
            response.set_connection_type(ConnectionType::Close);
        }
    }

    /// The response was made, and will be written.
    pub(super) fn answer(self, mut response: ServiceResponse) -> ServiceResponse<TrackedResponse> {
        self.made(response.response_mut().head_mut());
        response.map_body(|_, body| TrackedResponse { body, _exchange: self })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(state) = &self.state {
            state.response_ended(Instant::now());
        }
    }
}

/// The body of a response: when it goes, all of it was handed over to be written.
pub(super) struct TrackedResponse {
    body: BoxBody,
    _exchange: Exchange,
}

impl MessageBody for TrackedResponse {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(context)
    }
}

/// The body of a request, which tells the state when more of it is wanted, and when it is at its end.
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
        let item = Pin::new(&mut self.payload).poll_next(context);
        match &item {
            Poll::Pending => self.state.body_wanted(Instant::now()),
            Poll::Ready(None) => self.state.body_ended(Instant::now()),
            Poll::Ready(Some(_)) => {}
        }
        item
    }
}
