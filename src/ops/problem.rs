//! `Problem`: why a request was not done, as every path of the ops server answers it.

use std::fmt;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::domain::FieldError;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    pub(super) error: &'static str,
    pub(super) message: String,
    /// The record and its field, if it is about one.
    pub(super) place: Option<(usize, &'static str)>,
    /// One header that helps the client.
    header: Option<(&'static str, &'static str)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, message: message.into(), place: None, header: None }
    }

    pub(super) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(super) fn record(index: usize, fault: &FieldError) -> Self {
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-position", fault.to_string());
        Self { place: Some((index, fault.field)), ..problem }
    }

    /// The response, with the problem in its extensions for whoever logs it.
    pub(super) fn response(self) -> HttpResponse {
        let body = self.body();
        let mut response = HttpResponse::build(self.status);
        if let Some(header) = self.header {
            response.insert_header(header);
        }
        let mut response = response.json(body);
        response.extensions_mut().insert(self);
        response
    }

    /// The body of the response.
    pub(super) fn body(&self) -> serde_json::Value {
        let mut body = json!({ "error": self.error, "message": self.message });
        if let Some((index, field)) = self.place {
            body["index"] = index.into();
            body["field"] = field.into();
        }
        body
    }
}

/// For the log: nothing that the client sent.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status={} reason={}", self.status.as_u16(), self.error)?;
        match self.place {
            Some((index, field)) => write!(f, " index={index} field={field}"),
            None => Ok(()),
        }
    }
}
