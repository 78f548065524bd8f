//! `POST /revoke`: that tokens hold no more, or not for a topic.

use std::error::Error;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;

use crate::domain::{Revoked, Timestamp, TopicPattern};
use crate::http::Problem;
use crate::ingest::BearerToken;

/// Longest body, in bytes.
const MAX_BODY_BYTES: usize = 4096;

/// What the ops server needs to revoke something.
pub trait Revoke: Send + Sync + 'static {
    /// Revokes it on all instances; ready when that is durable. Returns until when it has to be remembered, if not for ever.
    fn revoke(&self, revoked: Revoked) -> LocalBoxFuture<'static, Result<Option<Timestamp>, NotRevoked>>;
}

/// Nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum NotRevoked {
    /// Nobody is asked who he is.
    #[error("AUTH is none: there are no tokens to revoke")]
    NoTokens,
    /// What was asked for cannot be.
    #[error("{0}")]
    Invalid(Box<dyn Error + Send + Sync>),
    /// It may be tried again later.
    #[error("{0}")]
    Unavailable(Box<dyn Error + Send + Sync>),
}

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    subject: Option<String>,
    token_id: Option<String>,
    topic: Option<String>,
}

impl From<NotRevoked> for Problem {
    fn from(error: NotRevoked) -> Self {
        let message = error.to_string();
        match error {
            NotRevoked::NoTokens => Self::new(StatusCode::CONFLICT, "no-tokens", message),
            NotRevoked::Invalid(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-revocation", message)
            }
            NotRevoked::Unavailable(_) => {
                let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "not-revoked", message);
                problem.with_header("Retry-After", "1")
            }
        }
    }
}

pub(super) async fn revoke(
    request: HttpRequest,
    payload: web::Payload,
    access: web::Data<BearerToken>,
    revoke: web::Data<Arc<dyn Revoke>>,
) -> HttpResponse {
    match accept(&request, payload, &access, &***revoke).await {
        Ok(response) => response,
        Err(problem) => {
            log::debug!("revocation refused {problem}");
            problem.response()
        }
    }
}

async fn accept(
    request: &HttpRequest,
    payload: web::Payload,
    access: &BearerToken,
    revoke: &dyn Revoke,
) -> Result<HttpResponse, Problem> {
    access.check(request.head())?;
    let revoked = read(&body(payload).await?)?;
    let (name, what) = match &revoked {
        Revoked::Subject(subject) => ("subject", subject.clone()),
        Revoked::Token(id) => ("token_id", id.clone()),
        Revoked::Topic(pattern) => ("topic", pattern.to_string()),
    };
    let until = revoke.revoke(revoked).await?;
    log::info!("revoked {name} {what:?}");
    Ok(HttpResponse::Ok().json(serde_json::json!({ name: what, "until": until })))
}

async fn body(mut payload: web::Payload) -> Result<Vec<u8>, Problem> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let incomplete = |error: actix_web::error::PayloadError| {
            Problem::new(StatusCode::BAD_REQUEST, "incomplete-body", error.to_string())
        };
        body.extend_from_slice(&chunk.map_err(incomplete)?);
        if body.len() > MAX_BODY_BYTES {
            let message = format!("the body must have at most {MAX_BODY_BYTES} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message));
        }
    }
    Ok(body)
}

fn read(json: &[u8]) -> Result<Revoked, Problem> {
    let shape = || {
        let message = "the body must be a JSON object with one of subject, token_id and topic, each a string";
        Problem::new(StatusCode::BAD_REQUEST, "invalid-json", message)
    };
    let body: Body = serde_json::from_slice(json).map_err(|_| shape())?;
    match (body.subject, body.token_id, body.topic) {
        (Some(subject), None, None) => Ok(Revoked::Subject(subject)),
        (None, Some(id), None) => Ok(Revoked::Token(id)),
        (None, None, Some(topic)) => TopicPattern::parse(&topic).map(Revoked::Topic).map_err(|error| {
            let message = format!("topic: {error}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-revocation", message)
        }),
        _ => Err(shape()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_revoked_at_a_time() {
        assert_eq!(read(br#"{"subject":"ann"}"#), Ok(Revoked::Subject("ann".into())));
        assert_eq!(read(br#"{"token_id":"7"}"#), Ok(Revoked::Token("7".into())));
        let topic = TopicPattern::parse("event:*").unwrap();
        assert_eq!(read(br#"{"topic":"event:*"}"#), Ok(Revoked::Topic(topic)));
        for json in
            ["", "{}", "[]", r#"{"subject":"a","topic":"event:a"}"#, r#"{"user":"a"}"#, r#"{"subject":7}"#]
        {
            assert_eq!(read(json.as_bytes()).unwrap_err().error(), "invalid-json", "{json}");
        }
        assert_eq!(read(br#"{"topic":"nonsense"}"#).unwrap_err().error(), "invalid-revocation");
    }
}
