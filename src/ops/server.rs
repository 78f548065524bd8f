//! `OpsServer`: the HTTP server for operators and devices, on a port of its own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_rt::Arbiter;
use actix_service::{Service as _, ServiceFactory as _, fn_service, map_config};
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpMessage as _, HttpResponse, web};
use futures_util::future::Either;
use serde_json::json;
use tokio::sync::oneshot;

use super::access;
use super::connections::{self, Connections};
use super::exchange::{Exchange, Posts, WatchedBody};
use super::ingest::{self, Ingest};
use super::listen;
use super::places::Places;
use super::problem::Problem;
use super::socket::Guarded;
use super::watch::{Limits, Watch};
use crate::metrics::Metrics;
use crate::phase::{Phase, PhaseWatch};
use crate::settings::OpsSettings;

/// What the last responses may take to reach their sockets.
const LAST_RESPONSES: Duration = Duration::from_millis(100);

/// Longer than what is read behind an early response, which the watch bounds.
const LINGER: Duration = Duration::from_secs(5);

/// An ops server that is not yet started.
pub struct OpsServer {
    settings: OpsSettings,
    metrics: Metrics,
    phase: PhaseWatch,
    ingest: Arc<dyn Ingest>,
    connections: Arc<dyn Connections>,
}

/// A server that listens. Dropping it stops it at once; [`Running::stop`] lets it write its last responses.
pub struct Running {
    address: SocketAddr,
    arbiter: Arbiter,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
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
        let listener = listen::bind(SocketAddr::new(self.settings.host, self.settings.port))?;
        let address = listener.local_addr()?;
        let arbiter = Arbiter::try_new()?;
        let (stop, stopping) = oneshot::channel();
        let (ended, stopped) = oneshot::channel();
        arbiter.spawn_fn(move || {
            actix_rt::spawn(async move {
                self.serve(listener, stopping).await;
                ended.send(()).ok();
            });
        });
        Ok(Running { address, arbiter, stop, stopped })
    }

    async fn serve(self, listener: TcpListener, stop: oneshot::Receiver<()>) {
        let Self { settings, metrics, phase, ingest, connections } = self;
        let limits = Limits { body: settings.body_timeout, body_bytes: settings.max_body_bytes };
        let places = Places::new(settings.max_connections, settings.max_body_bytes, metrics.ops.clone());
        let posts = Posts::new(metrics.ops.clone());
        let settings = web::Data::new(settings);
        let door = Door { settings: settings.clone(), posts };
        let expect_door = door.clone();
        let app = App::new()
            .app_data(settings)
            .app_data(web::Data::new(places.clone()))
            .app_data(web::Data::new(metrics))
            .app_data(web::Data::new(phase))
            .app_data(web::Data::new(ingest))
            .app_data(web::Data::new(connections))
            // A resource answers 405 to other methods; HEAD is what some probes send.
            .service(web::resource("/metrics").route(web::get().to(page)).route(web::head().to(page)))
            .service(web::resource("/healthz").route(web::get().to(healthz)).route(web::head().to(healthz)))
            .service(web::resource("/readyz").route(web::get().to(readyz)).route(web::head().to(readyz)))
            .service(
                web::resource("/connections")
                    .route(web::get().to(connections::list))
                    .route(web::head().to(connections::list)),
            )
            .service(web::resource(access::POSITIONS).route(web::post().to(ingest::post)))
            .default_service(web::to(not_found))
            .wrap_fn(move |request, service| {
                let (exchange, passed) = door.pass(request);
                let response = match passed {
                    Either::Left(request) => Either::Left(service.call(request)),
                    Either::Right(refusal) => Either::Right(refusal),
                };
                async move {
                    let mut response = match response {
                        Either::Left(response) => response.await?.map_into_left_body(),
                        Either::Right(refusal) => refusal.map_into_right_body(),
                    };
                    exchange.end(response.response_mut());
                    Ok(response)
                }
            });
        let service = HttpService::build()
            // The watch bounds what these two would.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|socket: &Guarded, data| drop(data.insert(socket.watch.clone())))
            .expect(fn_service(move |request| std::future::ready(expect_door.expect(request))))
            .h1(map_config(app, |_| AppConfig::default()));
        match service.new_service(()).await {
            Ok(service) => {
                listen::accept(listener, places, limits, stop, |socket, peer| {
                    service.call((socket, Some(peer)))
                })
                .await;
            }
            Err(()) => log::error!("ops server failed to start"),
        }
    }
}

/// What every request passes first.
#[derive(Clone)]
struct Door {
    settings: web::Data<OpsSettings>,
    posts: Rc<Posts>,
}

impl Door {
    /// Lets a request in, or refuses it.
    fn pass(
        &self,
        mut request: ServiceRequest,
    ) -> (Exchange, Either<ServiceRequest, ServiceResponse<BoxBody>>) {
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        let mut payload = request.take_payload();
        let has_body = !matches!(payload, Payload::None);
        if let (true, Some(watch)) = (has_body, &watch) {
            payload = WatchedBody::wrap(payload, watch.clone());
        }
        let exchange = Exchange::begin(request.head(), watch, self.posts.clone(), has_body);
        let passed = match access::check(request.head(), &self.settings) {
            Ok(()) => {
                request.set_payload(payload);
                Either::Left(request)
            }
            Err(problem) => Either::Right(request.into_response(problem.response())),
        };
        (exchange, passed)
    }

    /// Looks at a request that asks whether to send its body (`Expect: 100-continue`).
    ///
    /// # Errors
    /// The response, if it is refused.
    fn expect(&self, mut request: actix_http::Request) -> Result<actix_http::Request, actix_web::Error> {
        let Err(problem) = access::check(request.head(), &self.settings) else { return Ok(request) };
        let watch = request.conn_data::<Rc<Watch>>().cloned();
        let has_body = !matches!(request.payload(), Payload::None);
        let exchange = Exchange::begin(request.head(), watch, self.posts.clone(), has_body);
        let mut response = problem.response();
        exchange.end(&mut response);
        Err(InternalError::from_response("refused", response).into())
    }
}

impl Running {
    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops. Responses that are ready are still written; quiet connections are not waited for.
    pub async fn stop(self) {
        self.stop.send(()).ok();
        drop(tokio::time::timeout(LAST_RESPONSES, self.stopped).await);
        self.arbiter.stop();
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
