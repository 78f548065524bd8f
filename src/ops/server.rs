//! `OpsServer`: the HTTP server for operators and trusted devices: which paths it has, and what each request must pass.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};

use super::connections::{self, Connections, ConnectionsToken};
use super::metrics_page::MetricsToken;
use super::revoke::Revoke;
use super::{access, metrics_page, probes, revoke};
use crate::http::{Problem, Running, Server, Site};
use crate::ingest::{BearerToken, Ingest, IngestService, Mount, PostLimits, Reporters, TokenAccess};
use crate::metrics::Metrics;
use crate::phase::PhaseWatch;
use crate::settings::{OpsSettings, Secret};

/// Where posts go.
const POSITIONS: &str = "/positions";

/// What it needs of other rooms.
pub struct Rooms {
    /// Where positions go.
    pub ingest: Arc<dyn Ingest>,
    /// Who is connected.
    pub connections: Arc<dyn Connections>,
    /// Who may post beside the operator, if anyone.
    pub reporters: Option<Arc<dyn Reporters>>,
    /// What revokes.
    pub revoke: Arc<dyn Revoke>,
}

/// An ops server that is not yet started.
pub struct OpsServer {
    settings: OpsSettings,
    metrics: Metrics,
    phase: PhaseWatch,
    rooms: Rooms,
}

impl OpsServer {
    /// A server with these settings.
    pub fn new(settings: OpsSettings, metrics: Metrics, phase: PhaseWatch, rooms: Rooms) -> Self {
        Self { settings, metrics, phase, rooms }
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
        let token = server.settings.ingest_token.clone();
        let access = TokenAccess {
            operator: bearer(&server.settings, token, "OPS_INGEST_TOKEN", "positions", "ingest-closed"),
            reporters: server.rooms.reporters.clone(),
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
        Self { ingest: IngestService::new(server.rooms.ingest.clone(), mount), server }
    }
}

impl Site for OpsSite {
    fn configure(&self, config: &mut web::ServiceConfig) {
        let OpsServer { settings, metrics, phase, rooms } = &self.server;
        let of_its_own = |token: &Option<Secret>, setting, what| {
            token.is_some().then(|| bearer(settings, token.clone(), setting, what, "closed"))
        };
        let metrics_token = of_its_own(&settings.metrics_token, "OPS_METRICS_TOKEN", "metrics");
        let connections_token =
            of_its_own(&settings.connections_token, "OPS_CONNECTIONS_TOKEN", "connections");
        let token = settings.revoke_token.clone();
        let revoke_token = bearer(settings, token, "OPS_REVOKE_TOKEN", "revocations", "closed");
        // A resource answers 405 to other methods; HEAD is what some probes send.
        config
            .app_data(web::Data::new(metrics.clone()))
            .app_data(web::Data::new(phase.clone()))
            .app_data(web::Data::new(rooms.ingest.clone()))
            .app_data(web::Data::new(rooms.connections.clone()))
            .app_data(web::Data::new(rooms.revoke.clone()))
            .app_data(web::Data::new(MetricsToken(metrics_token)))
            .app_data(web::Data::new(ConnectionsToken(connections_token)))
            .app_data(web::Data::new(revoke_token))
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
            .service(web::resource("/revoke").route(web::post().to(revoke::revoke)))
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

fn bearer(
    settings: &OpsSettings,
    token: Option<Secret>,
    setting: &'static str,
    what: &'static str,
    closed: &'static str,
) -> BearerToken {
    BearerToken { token, setting, what, closed, is_loopback: settings.host.is_loopback() }
}

async fn not_found() -> HttpResponse {
    let message = "there are POST /positions, /revoke and GET /metrics, /healthz, /readyz, /connections";
    Problem::new(StatusCode::NOT_FOUND, "not-found", message).response()
}
