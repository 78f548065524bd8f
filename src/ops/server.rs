//! `OpsServer`: the HTTP server for operators and devices, on a port of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::json;

use super::connections::{self, Connections};
use super::ingest::{self, Ingest, Problem};
use crate::metrics::Metrics;
use crate::phase::{Phase, PhaseWatch};
use crate::settings::OpsSettings;

/// How long a quiet connection is kept for a device's next post.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What the last answers may take to reach their sockets.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

/// From connecting to a whole request head.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// An ops server that is not yet started.
pub struct OpsServer {
    settings: OpsSettings,
    metrics: Metrics,
    phase: PhaseWatch,
    ingest: Arc<dyn Ingest>,
    connections: Arc<dyn Connections>,
}

/// A server that listens.
pub struct Running {
    address: SocketAddr,
    handle: ServerHandle,
}

impl OpsServer {
    /// A server with these settings.
    pub fn new(
        settings: OpsSettings,
        metrics: Metrics,
        phase: PhaseWatch,
        ingest: Arc<dyn Ingest>,
        connections: Arc<dyn Connections>,
    ) -> Self {
        Self { settings, metrics, phase, ingest, connections }
    }

    /// Binds and listens. Must be called in an actix system.
    ///
    /// # Errors
    /// The system's, if the address cannot be bound.
    pub fn start(self) -> io::Result<Running> {
        let Self { settings, metrics, phase, ingest, connections } = self;
        let bind = SocketAddr::new(settings.host, settings.port);
        let settings = web::Data::new(settings);
        let ops_metrics = web::Data::from(metrics.ops.clone());
        let (metrics, phase) = (web::Data::new(metrics), web::Data::new(phase));
        let (ingest, connections) = (web::Data::new(ingest), web::Data::new(connections));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(settings.clone())
                .app_data(ops_metrics.clone())
                .app_data(metrics.clone())
                .app_data(phase.clone())
                .app_data(ingest.clone())
                .app_data(connections.clone())
                // A resource answers 405 to other methods; HEAD is what some probes send.
                .service(web::resource("/metrics").route(web::get().to(page)))
                .service(
                    web::resource("/healthz").route(web::get().to(healthz)).route(web::head().to(healthz)),
                )
                .service(web::resource("/readyz").route(web::get().to(readyz)).route(web::head().to(readyz)))
                .service(web::resource("/connections").route(web::get().to(connections::list)))
                .service(web::resource("/positions").route(web::post().to(ingest::post)))
                .default_service(web::to(not_found))
        })
        // The app stops it, last, when the drain has been watched to its end.
        .disable_signals()
        .workers(1)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(REQUEST_TIMEOUT)
        .shutdown_timeout(1)
        .bind(bind)?;
        let address = server.addrs().first().copied().unwrap_or(bind);
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(async move {
            if let Err(error) = server.await {
                log::error!("ops server failed: {error}");
            }
        });
        Ok(Running { address, handle })
    }
}

impl Running {
    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops. Answers that are ready are still written; quiet connections are not waited for.
    pub async fn stop(self) {
        // Over in no time where no connection is open, and cut off where one is: then `stop` looks at it once a
        // second only.
        drop(tokio::time::timeout(LAST_ANSWERS, self.handle.stop(true)).await);
    }
}

async fn page(metrics: web::Data<Metrics>) -> HttpResponse {
    match metrics.page() {
        Ok(page) => {
            HttpResponse::Ok().insert_header((header::CONTENT_TYPE, metrics.content_type())).body(page)
        }
        Err(error) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string()).response()
        }
    }
}

/// Alive: the process answers.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Ready: new clients and posts are welcome.
async fn readyz(phase: web::Data<PhaseWatch>, ingest: web::Data<Arc<dyn Ingest>>) -> HttpResponse {
    let status = match phase.get() {
        Phase::Ready if ingest.is_up() => return HttpResponse::Ok().json(json!({ "status": "ready" })),
        Phase::Ready => "store failed",
        Phase::Starting => "starting",
        Phase::Draining | Phase::Stopped => "draining",
    };
    HttpResponse::ServiceUnavailable().json(json!({ "status": status }))
}

async fn not_found() -> HttpResponse {
    let message = "there are POST /positions and GET /metrics, /healthz, /readyz, /connections";
    Problem::new(StatusCode::NOT_FOUND, "not-found", message).response()
}
