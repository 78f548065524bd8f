//! `POST /positions`: reads what devices report and hands it to be stored.

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::domain::{FieldError, Position, Timestamp};
use crate::metrics::OpsMetrics;
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

/// Why a request was not done, as every path of the ops server answers it.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    error: &'static str,
    message: String,
    /// The record and its field, if it is about one.
    place: Option<(usize, &'static str)>,
    /// One header that helps the client.
    header: Option<(&'static str, &'static str)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), place: None, header: None }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    fn record(index: usize, fault: &FieldError) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-position", fault.to_string());
        Self { place: Some((index, fault.field)), ..problem }
    }

    pub(super) fn response(&self) -> HttpResponse {
        let mut body = json!({ "error": self.error, "message": self.message });
        if let Some((index, field)) = self.place {
            body["index"] = index.into();
            body["field"] = field.into();
        }
        let mut response = HttpResponse::build(self.status);
        if let Some(header) = self.header {
            response.insert_header(header);
        }
        response.json(body)
    }
}

pub(super) async fn post(
    request: HttpRequest,
    payload: web::Payload,
    ingest: web::Data<Arc<dyn Ingest>>,
    settings: web::Data<OpsSettings>,
    metrics: web::Data<OpsMetrics>,
) -> HttpResponse {
    let result = match accept(&request, payload, &settings).await {
        Ok(positions) => store(positions, &ingest).await,
        Err(problem) => Err(problem),
    };
    let response = match result {
        Ok(accepted) => HttpResponse::Ok().json(accepted),
        Err(problem) => problem.response(),
    };
    metrics.ingest_requests.with_label_values(&[response.status().as_str()]).inc();
    response
}

async fn accept(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &OpsSettings,
) -> Result<Vec<Position>, Problem> {
    authorize(request, settings)?;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !matches!(header(header::CONTENT_ENCODING), "" | "identity") {
        let message = "the body must not be compressed";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-encoding", message));
    }
    let limit = settings.max_body_bytes;
    let body = payload.to_bytes_limited(limit).await.map_err(|_| {
        let message = format!("the body must have at most {limit} bytes; post it in parts");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", message)
    })?;
    let incomplete =
        |error: actix_web::Error| Problem::new(StatusCode::BAD_REQUEST, "incomplete-body", error.to_string());
    let lines = header(header::CONTENT_TYPE).to_ascii_lowercase().starts_with("application/x-ndjson");
    parse(&body.map_err(incomplete)?, lines, Timestamp::now())
}

fn authorize(request: &HttpRequest, settings: &OpsSettings) -> Result<(), Problem> {
    let Some(token) = &settings.ingest_token else {
        // A browser on this machine can be made to post by any page it shows, but then it says for which.
        if settings.host.is_loopback() && !request.headers().contains_key(header::ORIGIN) {
            return Ok(());
        }
        let message = "set OPS_INGEST_TOKEN: without it positions are taken on a loopback address only, and not from web pages";
        return Err(Problem::new(StatusCode::FORBIDDEN, "ingest-closed", message));
    };
    let given = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
    let expected = format!("Bearer {}", token.reveal());
    if given.is_some_and(|given| same(given, expected.as_bytes())) {
        return Ok(());
    }
    let message = "send the header Authorization: Bearer <OPS_INGEST_TOKEN>";
    Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message).with("WWW-Authenticate", "Bearer"))
}

/// Compares without telling by its time how much was right.
fn same(given: &[u8], expected: &[u8]) -> bool {
    given.len() == expected.len() && given.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
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
