//! `WebServer`: the web server of the map page: which paths it has, and what each request must pass.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix_web::dev::RequestHead;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};

use super::files::{Files, PAGE};
use super::host::Host;
use super::page_config::PageConfig;
use super::policy::Policy;
use super::reply;
use super::tiles::{self, Tiles, TilesError};
use super::visitors::{Guard, Visitors};
use crate::http::{self, Server, Site};
use crate::metrics::WebMetrics;
use crate::settings::WebSettings;

/// What a request's body may take to come. None has one that is read.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the page asks for its settings.
const CONFIG: &str = "/config.json";

/// Why the web server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address cannot be bound.
    #[error(transparent)]
    Listen(#[from] io::Error),
    /// The file of map tiles cannot be served.
    #[error(transparent)]
    Tiles(#[from] TilesError),
}

/// A web server that is not yet started.
pub struct WebServer {
    settings: WebSettings,
    metrics: Arc<WebMetrics>,
    /// Where the live server listens, as soon as that is known.
    live_port: Arc<OnceLock<u16>>,
    /// Who may see the page; `None`: everyone.
    guard: Option<Guard>,
}

/// A web server that listens. Dropping it stops it at once.
pub struct Running {
    http: http::Running,
    live_port: Arc<OnceLock<u16>>,
}

impl WebServer {
    /// A server with these settings.
    pub fn new(settings: WebSettings, metrics: Arc<WebMetrics>) -> Self {
        Self { settings, metrics, live_port: Arc::default(), guard: None }
    }

    /// For those only whom `visitors` know; credentials may come in this cookie.
    pub fn only_for(self, visitors: Arc<dyn Visitors>, cookie: Option<String>) -> Self {
        Self { guard: Some(Guard { visitors, cookie }), ..self }
    }

    /// Opens the file of map tiles if there is one, binds and listens, on a thread of its own. Must be called in an actix
    /// system. Until [`Running::set_live_port`] is called, the page is answered with 503.
    ///
    /// # Errors
    /// [`WebError`] if the file or the address cannot be had.
    pub fn start(self) -> Result<Running, WebError> {
        let tiles = self.settings.pmtiles_file.as_deref().map(Tiles::open).transpose()?;
        let live_port = self.live_port.clone();
        let server = Server {
            name: "web",
            address: SocketAddr::new(self.settings.host, self.settings.port),
            max_connections: self.settings.max_connections,
            body_timeout: BODY_TIMEOUT,
            max_body_bytes: 0,
            open: self.metrics.connections.clone(),
            closes: self.metrics.closes.clone(),
        };
        let http = server.start(move || WebSite(web::Data::new(Pages::new(self, tiles))))?;
        Ok(Running { http, live_port })
    }
}

impl Running {
    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Says on which port the live server listens.
    pub fn set_live_port(&self, port: u16) {
        self.live_port.get_or_init(|| port);
    }

    /// Stops. Responses that are ready are still written, for a tenth of a second at most.
    pub async fn stop(self) {
        self.http.stop().await;
    }
}

/// What the web server serves.
struct WebSite(web::Data<Pages>);

impl Site for WebSite {
    fn configure(&self, config: &mut web::ServiceConfig) {
        config.app_data(self.0.clone()).default_service(web::to(serve));
    }
}

async fn serve(request: HttpRequest, pages: web::Data<Pages>) -> HttpResponse {
    let checked = match &pages.server.guard {
        Some(guard) => guard.check(request.head()).await,
        None => Ok(()),
    };
    let response = match checked {
        Ok(()) => pages.response(request.head()),
        Err(response) => response,
    };
    let response = reply::finish(response);
    pages.count(response.status());
    response
}

/// Everything that is served.
struct Pages {
    server: WebServer,
    files: Files,
    policy: Policy,
    tiles: Option<Tiles>,
}

/// What a path stands for.
enum Resource<'a> {
    Page,
    Config,
    Tiles(&'a Tiles),
    File(&'a super::files::File),
}

impl Pages {
    fn new(server: WebServer, tiles: Option<Tiles>) -> Self {
        let policy = Policy::new(&server.settings);
        Self { files: Files::embedded(), policy, tiles, server }
    }

    fn response(&self, head: &RequestHead) -> HttpResponse {
        let Some(host) = Host::of(head) else {
            return reply::text(
                StatusCode::BAD_REQUEST,
                "the request must name one host, in the header Host",
            );
        };
        let Some(resource) = self.resource(head.uri.path()) else {
            return reply::text(StatusCode::NOT_FOUND, "there is no such page; the map is at /");
        };
        if !reply::is_allowed(&head.method) {
            return reply::method_not_allowed();
        }
        match resource {
            Resource::Page => self.with_live_port(|port| self.page(head, &host, port)),
            Resource::Config => {
                self.with_live_port(|port| PageConfig::new(&self.server.settings, port).response())
            }
            Resource::Tiles(tiles) => tiles.response(head),
            Resource::File(file) => file.response(head),
        }
    }

    fn resource(&self, path: &str) -> Option<Resource<'_>> {
        match path.strip_prefix('/')? {
            "" | PAGE => Some(Resource::Page),
            _ if path == CONFIG => Some(Resource::Config),
            _ if path == tiles::PATH => self.tiles.as_ref().map(Resource::Tiles),
            file => self.files.get(file).map(Resource::File),
        }
    }

    /// The page, with the policy for whoever asks at this host. (Also with a 304: the policy may have changed.)
    fn page(&self, head: &RequestHead, host: &Host, live_port: u16) -> HttpResponse {
        let Some(page) = self.files.get(PAGE) else {
            return reply::text(StatusCode::NOT_FOUND, "there is no page");
        };
        let mut response = page.response(head);
        match header::HeaderValue::try_from(self.policy.of_page(host, live_port)) {
            Ok(policy) => drop(response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy)),
            // Settings and hosts were checked. No page is better than one without its policy.
            Err(error) => {
                log::error!("the page's policy is no header: {error}");
                return reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be shown");
            }
        }
        response
    }

    fn with_live_port(&self, respond: impl FnOnce(u16) -> HttpResponse) -> HttpResponse {
        if let Some(port) = self.server.live_port.get() {
            return respond(*port);
        }
        let mut response = reply::text(StatusCode::SERVICE_UNAVAILABLE, "starting: try again in a moment");
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        response
    }

    fn count(&self, status: StatusCode) {
        let class = match status.as_u16() {
            200..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            _ => "5xx",
        };
        self.server.metrics.requests.with_label_values(&[class]).inc();
    }
}
