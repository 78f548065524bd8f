//! `Exchange`: one request and its response, told to the connection's watch; what is counted and logged of posts.

use std::cell::RefCell;
use std::fmt::Display;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::{Payload, RequestHead};
use actix_web::error::PayloadError;
use actix_web::http::ConnectionType;
use actix_web::web::Bytes;
use futures_util::Stream;

use super::access;
use super::problem::Problem;
use super::watch::Watch;
use crate::metrics::OpsMetrics;

/// So many lines about refused posts are written in one [`WINDOW`].
const LINES: u32 = 20;

/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(1);

/// Counts posts by status, and tells of those that were refused.
pub(super) struct Posts {
    metrics: Arc<OpsMetrics>,
    window: RefCell<Window>,
}

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

/// One request, from its head to its response.
pub(super) struct Exchange {
    watch: Option<Rc<Watch>>,
    posts: Rc<Posts>,
    /// The address, if the request is a post.
    post: Option<String>,
}

impl Exchange {
    /// The head of a request was read.
    pub(super) fn begin(
        head: &RequestHead,
        watch: Option<Rc<Watch>>,
        posts: Rc<Posts>,
        has_body: bool,
    ) -> Self {
        if let Some(watch) = &watch {
            watch.request(has_body, tokio::time::Instant::now());
        }
        let address = || head.peer_addr.map(|address| address.to_string()).unwrap_or_default();
        Self { watch, posts, post: access::is_post(head).then(address) }
    }

    /// The response was made.
    pub(super) fn end(self, response: &mut HttpResponse<impl MessageBody>) {
        if let Some(address) = &self.post {
            self.posts.told(response, address);
        }
        if self.watch.is_some_and(|watch| watch.response(tokio::time::Instant::now())) {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
    }
}

impl Posts {
    pub(super) fn new(metrics: Arc<OpsMetrics>) -> Rc<Self> {
        Rc::new(Self { metrics, window: RefCell::default() })
    }

    fn told(&self, response: &HttpResponse<impl MessageBody>, address: &str) {
        self.metrics.ingest_requests.with_label_values(&[response.status().as_str()]).inc();
        if let Some(problem) = response.extensions().get::<Problem>() {
            self.log(address, problem);
        }
    }

    fn log(&self, address: &str, problem: &dyn Display) {
        if !log::log_enabled!(log::Level::Debug) {
            return;
        }
        match self.window.borrow_mut().allow(Instant::now()) {
            Some(0) => log::debug!("post refused remote={address} {problem}"),
            Some(left_out) => log::debug!(
                "post refused remote={address} {problem} (before it, {left_out} such lines were left out)"
            ),
            None => {}
        }
    }
}

impl Window {
    /// How many lines were left out since the last one, if this one may be written.
    fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            self.began = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

/// A body that tells the watch when it is at its end.
pub(super) struct WatchedBody {
    payload: Payload,
    watch: Rc<Watch>,
}

impl WatchedBody {
    pub(super) fn wrap(payload: Payload, watch: Rc<Watch>) -> Payload {
        Payload::Stream { payload: Box::pin(Self { payload, watch }) }
    }
}

impl Stream for WatchedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.payload).poll_next(context));
        if item.is_none() {
            self.watch.body_ended(tokio::time::Instant::now());
        }
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_lines_a_second() {
        let (mut window, now) = (Window::default(), Instant::now());
        let written = (0..100).filter(|_| window.allow(now).is_some()).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(window.allow(now + WINDOW), Some(80));
        assert_eq!(window.allow(now + WINDOW), Some(0));
    }
}
