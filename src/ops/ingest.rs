//! `POST /positions`: reads what devices report and hands it to be stored.

use std::rc::Rc;
use std::sync::Arc;

use actix_web::error::PayloadError;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::value::RawValue;

use super::access;
use super::places::{Places, Post};
use super::problem::Problem;
use crate::domain::{Position, Timestamp};
use crate::settings::OpsSettings;

/// What ingest needs: somewhere to store positions.
pub trait Ingest: Send + Sync + 'static {
    /// Stores positions, all or none; ready when they are durable.
    fn submit(&self, positions: Vec<Position>) -> LocalBoxFuture<'static, Result<Accepted, Refused>>;
    /// False while positions cannot be stored.
    fn is_up(&self) -> bool;
}

/// What became of positions that were accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// All of them.
    pub accepted: usize,
    /// Of these, such as were not broadcast, because their devices had reported newer ones.
    #[serde(skip_serializing_if = "is_zero")]
    pub late: usize,
    /// Of these, such as changed nothing, because their devices had reported others with the same timestamp.
    #[serde(skip_serializing_if = "is_zero")]
    pub repeated: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Positions were not stored; they may be posted again later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

pub(super) async fn post(
    request: HttpRequest,
    payload: web::Payload,
    ingest: web::Data<Arc<dyn Ingest>>,
    settings: web::Data<OpsSettings>,
    places: web::Data<Rc<Places>>,
) -> HttpResponse {
    // Its place is kept up to the response: while nothing can be stored, posts wait, and others must not.
    let Some(mut place) = places.post() else { return busy().response() };
    let result = match accept(&request, payload, &settings, &mut place).await {
        Ok(positions) => store(positions, &ingest).await,
        Err(problem) => Err(problem),
    };
    match result {
        Ok(accepted) => HttpResponse::Ok().json(accepted),
        Err(problem) => problem.response(),
    }
}

async fn accept(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &OpsSettings,
    place: &mut Post,
) -> Result<Vec<Position>, Problem> {
    let body = read(payload, settings.max_body_bytes, place).await?;
    let content_type = request.headers().get(header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let lines = content_type.to_ascii_lowercase().starts_with("application/x-ndjson");
    parse(&body, lines, Timestamp::now())
}

async fn read(mut payload: web::Payload, limit: usize, place: &mut Post) -> Result<BytesMut, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let incomplete =
            |error: PayloadError| Problem::new(StatusCode::BAD_REQUEST, "incomplete-body", error.to_string());
        let chunk = chunk.map_err(incomplete)?;
        if chunk.len() > limit - body.len() {
            return Err(access::too_large(limit));
        }
        if !place.grow(chunk.len()) {
            return Err(busy());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Too many posts, or too many bytes of them, are under way.
fn busy() -> Problem {
    let message = "too many posts are under way; post it again later";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-posts", message).with("Retry-After", "1")
}

async fn store(positions: Vec<Position>, ingest: &web::Data<Arc<dyn Ingest>>) -> Result<Accepted, Problem> {
    ingest.submit(positions).await.map_err(|refused| {
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not-stored", refused.to_string());
        problem.with("Retry-After", "1")
    })
}

/// Reads one object, an array of them, or, with `lines`, one on each line. Blank lines do not count.
///
/// # Errors
/// A [`Problem`] with the first record that is no position, or if the body is not JSON. `now` bounds how far ahead a
/// timestamp may be.
pub fn parse(body: &[u8], lines: bool, now: Timestamp) -> Result<Vec<Position>, Problem> {
    let syntax = |message: String| Problem::new(StatusCode::BAD_REQUEST, "invalid-json", message);
    let json_error = |error: serde_json::Error| {
        syntax(format!("the body must be a JSON object, or an array of them: {error}"))
    };
    let record = |(index, json): (usize, &str)| {
        Position::from_json(json, now).map_err(|fault| Problem::record(index, &fault))
    };
    let text = std::str::from_utf8(body).map_err(|_| syntax("the body must be UTF-8".into()))?.trim_ascii();
    if lines {
        return text.lines().filter(|line| !line.trim_ascii().is_empty()).enumerate().map(record).collect();
    }
    if text.starts_with('[') {
        let records: Vec<&RawValue> = serde_json::from_str(text).map_err(json_error)?;
        records.iter().map(|raw| raw.get()).enumerate().map(record).collect()
    } else {
        let one: &RawValue = serde_json::from_str(text).map_err(json_error)?;
        Ok(vec![record((0, one.get()))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"device_id":"a","timestamp":"2026-01-02T03:04:05Z","latitude":1,"longitude":2}"#;

    fn read(body: &str, lines: bool) -> Result<usize, Problem> {
        parse(body.as_bytes(), lines, Timestamp::now()).map(|positions| positions.len())
    }

    #[test]
    fn reads_an_object_an_array_and_lines() {
        assert_eq!(read(ONE, false), Ok(1));
        assert_eq!(read(&format!(" [{ONE} , {ONE}]\n"), false), Ok(2));
        assert_eq!(read(&format!("{ONE}\r\n\n{ONE}\n"), true), Ok(2));
        assert_eq!(read("[]", false), Ok(0));
        assert_eq!(read("\n", true), Ok(0));
    }

    #[test]
    fn says_which_record_is_wrong() {
        let bad = ONE.replace(":1,", ":100,");
        for (body, lines) in [(format!("[{ONE},{bad}]"), false), (format!("{ONE}\n\n{bad}"), true)] {
            let problem = read(&body, lines).unwrap_err();
            assert_eq!(problem.place, Some((1, "latitude")));
            assert_eq!(problem.message, "latitude must be a number from -90 to 90 (degrees)");
        }
        assert_eq!(read("[1]", false).unwrap_err().place, Some((0, "record")));
        for body in ["", "{", "[{]", "nonsense", "{} {}"] {
            assert_eq!(read(body, false).unwrap_err().error, "invalid-json", "{body}");
        }
        assert_eq!(parse(b"\xFF", false, Timestamp::now()).unwrap_err().error, "invalid-json");
    }
}
