//! `GET /healthz` and `GET /readyz`: what an orchestrator asks to know whether to restart the process, and whether to send
//! it clients.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::ingest::Ingest;
use crate::phase::{Phase, PhaseWatch};

/// Alive: the process answers.
pub(super) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Ready: new clients and posts are welcome. A log that is away is named, but no reason to send them elsewhere: posts are stored all
/// the same, and where it is away from all instances there would be nowhere else.
pub(super) async fn readyz(phase: web::Data<PhaseWatch>, ingest: web::Data<Arc<dyn Ingest>>) -> HttpResponse {
    let status = match phase.get() {
        Phase::Ready if ingest.is_up() && ingest.is_log_up() => {
            return HttpResponse::Ok().json(json!({ "status": "ready" }));
        }
        Phase::Ready if ingest.is_up() => {
            return HttpResponse::Ok().json(json!({ "status": "ready", "log": "away" }));
        }
        Phase::Ready => "store failed",
        Phase::Starting => "starting",
        Phase::Draining | Phase::Stopped => "draining",
    };
    HttpResponse::ServiceUnavailable().json(json!({ "status": status }))
}
