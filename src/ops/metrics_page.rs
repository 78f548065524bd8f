//! `GET /metrics`: every figure, for Prometheus.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::access;

use crate::http::Problem;
use crate::ingest::BearerToken;
use crate::metrics::Metrics;

/// What whoever asks must send, if anything.
pub(super) struct MetricsToken(pub(super) Option<BearerToken>);

pub(super) async fn page(
    request: HttpRequest,
    token: web::Data<MetricsToken>,
    metrics: web::Data<Metrics>,
) -> HttpResponse {
    if let Err(problem) = access::check_token(request.head(), &token.0) {
        return problem.response();
    }
    match metrics.page() {
        Ok(page) => {
            HttpResponse::Ok().insert_header((header::CONTENT_TYPE, metrics.content_type())).body(page)
        }
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()).response()
        }
    }
}
