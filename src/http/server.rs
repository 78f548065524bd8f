//! `Server`: an HTTP server on a thread of its own, which serves a `Site`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_rt::Arbiter;
use actix_service::{Service as _, ServiceFactory as _, fn_service, map_config};
use actix_web::dev::{AppConfig, RequestHead};
use actix_web::error::InternalError;
use actix_web::{App, web};
use futures_util::future::Either;
use prometheus::{IntCounterVec, IntGauge};
use tokio::sync::oneshot;

use super::exchange::Exchange;
use super::listen;
use super::problem::Problem;
use super::socket::TrackedSocket;
use super::state::Limits;
use super::table::ConnectionTable;

/// What the last responses may take to reach their sockets.
const LAST_RESPONSES: Duration = Duration::from_millis(100);

/// Longer than what is read behind an early response, which the connection's state bounds.
const LINGER: Duration = Duration::from_secs(5);

/// What a server serves. It lives on the server's thread.
pub trait Site: 'static {
    /// The paths there are.
    fn configure(&self, config: &mut web::ServiceConfig);

    /// Looks at the head of every request, before it is routed and any of its body is read.
    ///
    /// # Errors
    /// A [`Problem`] with the response, if the request is refused.
    fn check(&self, _head: &RequestHead) -> Result<(), Problem> {
        Ok(())
    }

    /// Looks at the head of a request that asks whether to send its body (`Expect: 100-continue`, RFC 9110 section 10.1.1):
    /// checks all that its path's service would, as the client is told to go on if this is well.
    ///
    /// # Errors
    /// A [`Problem`] with the response, if the request is refused.
    fn check_expect(&self, _head: &RequestHead) -> Result<(), Problem> {
        Ok(())
    }
}

/// A server that is not yet started.
pub struct Server {
    /// What the log calls it.
    pub name: &'static str,
    /// Where to listen.
    pub address: SocketAddr,
    /// Connections in all.
    pub max_connections: usize,
    /// What a request's body may take to come, all of it.
    pub body_timeout: Duration,
    /// Longest body, in bytes; a client may send a few times as many on the wire.
    pub max_body_bytes: usize,
    /// Connections that are open.
    pub open: IntGauge,
    /// Connections that the server closed, by reason.
    pub closes: IntCounterVec,
}

/// A server that listens. Dropping it stops it at once; [`Running::stop`] lets it write its last responses.
pub struct Running {
    address: SocketAddr,
    arbiter: Arbiter,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Server {
    /// Binds and listens, on a thread of its own, where `site` is made. Must be called in an actix system.
    ///
    /// # Errors
    /// The system's, if the address cannot be bound.
    pub fn start<S: Site>(self, site: impl FnOnce() -> S + Send + 'static) -> io::Result<Running> {
        let listener = listen::bind(self.address)?;
        let address = listener.local_addr()?;
        let arbiter = Arbiter::try_new()?;
        let (stop, stopping) = oneshot::channel();
        let (ended, stopped) = oneshot::channel();
        arbiter.spawn_fn(move || {
            actix_rt::spawn(async move {
                self.serve(listener, Rc::new(site()), stopping).await;
                ended.send(()).ok();
            });
        });
        Ok(Running { address, arbiter, stop, stopped })
    }

    async fn serve<S: Site>(self, listener: TcpListener, site: Rc<S>, stop: oneshot::Receiver<()>) {
        let limits = Limits { body: self.body_timeout, body_bytes: self.max_body_bytes };
        let table = ConnectionTable::new(self.max_connections, self.open, self.closes);
        let expecting = site.clone();
        let app =
            App::new().configure(|config| site.configure(config)).wrap_fn(move |mut request, service| {
                let exchange = Exchange::begin(&mut request);
                let response = match site.check(request.head()) {
                    Ok(()) => Either::Left(service.call(request)),
                    Err(problem) => Either::Right(request.into_response(problem.response())),
                };
                async move {
                    let response = match response {
                        Either::Left(response) => response.await?,
                        Either::Right(refusal) => refusal,
                    };
                    Ok(exchange.answer(response))
                }
            });
        let service = HttpService::build()
            // The connection's state bounds what these two would.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(LINGER)
            .on_connect_ext(|socket: &TrackedSocket, data| drop(data.insert(socket.state.clone())))
            .expect(fn_service(move |request| std::future::ready(expect(&*expecting, request))))
            .h1(map_config(app, |_| AppConfig::default()));
        match service.new_service(()).await {
            Ok(service) => {
                let dispatch = |socket, peer| service.call((socket, Some(peer)));
                listen::accept(self.name, listener, table, limits, stop, dispatch).await;
            }
            Err(()) => log::error!("{} server failed to start", self.name),
        }
    }
}

/// Decides whether a client is told to send its body.
///
/// # Errors
/// The response, if the request is refused.
fn expect(
    site: &impl Site,
    mut request: actix_http::Request,
) -> Result<actix_http::Request, actix_web::Error> {
    let Err(problem) = site.check_expect(request.head()) else { return Ok(request) };
    let mut response = problem.response();
    Exchange::refuse_expecting(&mut request, &mut response);
    Err(InternalError::from_response("refused", response).into())
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
