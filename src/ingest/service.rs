//! `IngestService`: `POST` of positions on one path: checks, reads, submits, answers, counts.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::{RequestHead, Url};
use actix_web::error::PayloadError;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use prometheus::IntCounterVec;

use super::access::{Access, Checked};
use super::format;
use super::limits::{Permit, PostLimits};
use super::outcome::Outcomes;
use super::submit::{Accepted, Ingest};
use crate::domain::{Position, Timestamp};
use crate::http::{Problem, head};

/// Where and for whom the service is mounted on a server.
pub struct Mount {
    /// The path that is posted to.
    pub path: &'static str,
    /// Who may.
    pub access: Box<dyn Access>,
    /// Longest body, in bytes.
    pub max_body_bytes: usize,
    /// What all posts together may take.
    pub limits: Rc<PostLimits>,
    /// Posts, by status.
    pub requests: IntCounterVec,
}

/// `POST` of positions, as one server has mounted it. Cloning is cheap.
#[derive(Clone)]
pub struct IngestService(Rc<Inner>);

struct Inner {
    path: &'static str,
    access: Box<dyn Access>,
    max_body_bytes: usize,
    limits: Rc<PostLimits>,
    outcomes: Outcomes,
    ingest: Arc<dyn Ingest>,
}

impl IngestService {
    /// A service that submits to `ingest`.
    pub fn new(ingest: Arc<dyn Ingest>, mount: Mount) -> Self {
        let Mount { path, access, max_body_bytes, limits, requests } = mount;
        Self(Rc::new(Inner {
            path,
            access,
            max_body_bytes,
            limits,
            outcomes: Outcomes::new(requests),
            ingest,
        }))
    }

    /// Mounts it. The service checks by itself who may post.
    pub fn configure(&self, config: &mut web::ServiceConfig) {
        let resource = web::resource(self.0.path).app_data(web::Data::new(self.clone()));
        // A resource answers 405 to other methods.
        config.service(resource.route(web::post().to(post)));
    }

    /// True for a request that this service would answer.
    pub fn is_for(&self, head: &RequestHead) -> bool {
        // As the router reads the path: `%70ositions` is `positions`.
        head.method == Method::POST && Url::new(head.uri.clone()).path() == self.0.path
    }

    /// Looks at the head of a post: for a server that has to say, before the body comes, whether it may.
    ///
    /// # Errors
    /// A [`Problem`] if it may not; it is counted.
    pub fn check(&self, head: &RequestHead) -> Result<(), Problem> {
        let checked = self.0.check(head).map(drop);
        checked.inspect_err(|problem| self.count_refused(head, problem))
    }

    /// Counts a post that was refused.
    pub fn count_refused(&self, head: &RequestHead, problem: &Problem) {
        self.0.outcomes.refused(problem, head.peer_addr);
    }
}

async fn post(
    request: HttpRequest,
    payload: web::Payload,
    service: web::Data<IngestService>,
) -> HttpResponse {
    match service.0.accept(&request, payload).await {
        Ok(accepted) => {
            service.0.outcomes.accepted();
            HttpResponse::Ok().json(accepted)
        }
        Err(problem) => {
            service.count_refused(request.head(), &problem);
            problem.response()
        }
    }
}

impl Inner {
    async fn accept(&self, request: &HttpRequest, payload: web::Payload) -> Result<Accepted, Problem> {
        let checked = self.check(request.head())?;
        // Before there is a permit: whoever makes up tokens takes no place of those who post.
        let grant = match checked {
            Checked::Granted(grant) => grant,
            Checked::Later(grant) => grant.await?,
        };
        // Held until positions are stored: while nothing can be, posts wait, and others must not.
        let mut permit = self.limits.admit().ok_or_else(busy)?;
        let body = read(payload, self.max_body_bytes, &mut permit).await?;
        let content_type = head::text(request.head(), &header::CONTENT_TYPE).unwrap_or_default();
        let positions = format::parse(&body, format::is_lines(content_type), Timestamp::now())?;
        grant.check(&positions)?;
        self.access.look_again(&grant)?;
        self.store(positions).await
    }

    /// Looks at the head of a post, before any of its body is read.
    fn check(&self, head: &RequestHead) -> Result<Checked, Problem> {
        let checked = self.access.check(head)?;
        check_body(head, self.max_body_bytes)?;
        Ok(checked)
    }

    async fn store(&self, positions: Vec<Position>) -> Result<Accepted, Problem> {
        self.ingest.submit(positions).await.map_err(|refused| {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-stored", refused.to_string());
            problem.with_header("Retry-After", "1")
        })
    }
}

/// The body must be plain and not longer than `limit`, as far as its head tells.
fn check_body(head: &RequestHead, limit: usize) -> Result<(), Problem> {
    let encodings = head.headers.get_all(header::CONTENT_ENCODING);
    let mut encodings = encodings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let is_plain = |encoding: &[u8]| encoding.is_empty() || encoding.eq_ignore_ascii_case(b"identity");
    if !encodings.all(|encoding| is_plain(encoding.trim_ascii())) {
        let message = "the body must not be compressed";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", message));
    }
    let length = head::text(head, &header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.trim_ascii().parse::<u64>().ok());
    if length.is_some_and(|length| length > limit as u64) {
        return Err(too_large(limit));
    }
    Ok(())
}

async fn read(mut payload: web::Payload, limit: usize, permit: &mut Permit) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let incomplete =
            |error: PayloadError| Problem::new(StatusCode::BAD_REQUEST, "incomplete-body", error.to_string());
        let chunk = chunk.map_err(incomplete)?;
        if chunk.len() > limit - body.len() {
            return Err(too_large(limit));
        }
        if !permit.grow(chunk.len()) {
            return Err(busy());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A body has more than `limit` bytes.
fn too_large(limit: usize) -> Problem {
    let message = format!("the body must have at most {limit} bytes; post it in parts");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message)
}

/// Too many posts, or too many bytes of them, are under way.
fn busy() -> Problem {
    let message = "too many posts are under way; post it again later";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-posts", message).with_header("Retry-After", "1")
}

#[cfg(test)]
mod tests;
