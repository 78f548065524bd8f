//! `OpsServer`: the HTTP server for operators and trusted devices: which paths it has, and what each request must pass.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::connections::{self, Connections};
use super::{access, metrics_page, probes};
use crate::http::{Problem, Running, Server, Site};
use crate::ingest::{BearerToken, Ingest, IngestService, Mount, PostLimits};
use crate::metrics::Metrics;
use crate::phase::PhaseWatch;
use crate::settings::OpsSettings;

/// Where posts go.
const POSITIONS: &str = "/positions";

/// An ops server that is not yet started.
pub struct OpsServer {
    settings: OpsSettings,
    metrics: Metrics,
    phase: PhaseWatch,
    ingest: Arc<dyn Ingest>,
    connections: Arc<dyn Connections>,
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

    /// Binds and listens, on a thread of its own. Must be called in an actix system.
    ///
    /// # Errors
    /// The system's, if the address cannot be bound.
    pub fn start(self) -> io::Result<Running> {
        let server = Server {
            name: "ops",
            address: SocketAddr::new(self.settings.host, self.settings.port),
            max_connections: self.settings.max_connections,
            body_timeout: self.settings.body_timeout,
            max_body_bytes: self.settings.max_body_bytes,
            open: self.metrics.ops.connections.clone(),
            closes: self.metrics.ops.closes.clone(),
        };
        server.start(move || OpsSite::new(self))
    }
}

/// What the ops server serves.
struct OpsSite {
    server: OpsServer,
    ingest: IngestService,
}

impl OpsSite {
    fn new(server: OpsServer) -> Self {
        let OpsSettings { max_connections, max_body_bytes, .. } = server.settings;
        let access = BearerToken {
            token: server.settings.ingest_token.clone(),
            setting: "OPS_INGEST_TOKEN",
            is_loopback: server.settings.host.is_loopback(),
        };
        // A quarter of the connections is for others than those who post.
        let max_posts = (max_connections - max_connections / 4).max(1);
        let mount = Mount {
            path: POSITIONS,
            access: Box::new(access),
            max_body_bytes,
            limits: PostLimits::new(max_posts, max_body_bytes),
            requests: server.metrics.ops.ingest_requests.clone(),
        };
        Self { ingest: IngestService::new(server.ingest.clone(), mount), server }
    }
}

impl Site for OpsSite {
    fn configure(&self, config: &mut web::ServiceConfig) {
        let OpsServer { metrics, phase, ingest, connections, .. } = &self.server;
        // A resource answers 405 to other methods; HEAD is what some probes send.
        config
            .app_data(web::Data::new(metrics.clone()))
            .app_data(web::Data::new(phase.clone()))
            .app_data(web::Data::new(ingest.clone()))
            .app_data(web::Data::new(connections.clone()))
            .service(
                web::resource("/metrics")
                    .route(web::get().to(metrics_page::page))
                    .route(web::head().to(metrics_page::page)),
            )
            .service(
                web::resource("/healthz")
                    .route(web::get().to(probes::healthz))
                    .route(web::head().to(probes::healthz)),
            )
            .service(
                web::resource("/readyz")
                    .route(web::get().to(probes::readyz))
                    .route(web::head().to(probes::readyz)),
            )
            .service(
                web::resource("/connections")
                    .route(web::get().to(connections::list))
                    .route(web::head().to(connections::list)),
            )
            .default_service(web::to(not_found));
        self.ingest.configure(config);
    }

    fn check(&self, head: &RequestHead) -> Result<(), Problem> {
        access::check_host(head, &self.server.settings).inspect_err(|problem| {
            if self.ingest.is_for(head) {
                self.ingest.count_refused(head, problem);
            }
        })
    }

    fn check_expect(&self, head: &RequestHead) -> Result<(), Problem> {
        self.check(head)?;
        if self.ingest.is_for(head) { self.ingest.check(head) } else { Ok(()) }
    }
}

async fn not_found() -> HttpResponse {
    let message = "there are POST /positions and GET /metrics, /healthz, /readyz, /connections";
    Problem::new(StatusCode::NOT_FOUND, "not-found", message).response()
}
