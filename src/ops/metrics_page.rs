//! `GET /metrics`: every figure, for Prometheus.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, web};

use crate::http::Problem;
use crate::metrics::Metrics;

pub(super) async fn page(metrics: web::Data<Metrics>) -> HttpResponse {
    match metrics.page() {
        Ok(page) => {
            HttpResponse::Ok().insert_header((header::CONTENT_TYPE, metrics.content_type())).body(page)
        }
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()).response()
        }
    }
}
