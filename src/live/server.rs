//! `LiveServer`: listens, shakes hands, and gives each connection to the actor that serves it.
//!
//! Each worker is an arbiter (a thread) that accepts from the one listening socket and keeps what it accepted.
//! HTTP is spoken by `actix-http` up to the end of the handshake; then the socket is ours (see `connection`).

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter};
use actix_codec::Framed;
use actix_http::{HttpService, KeepAlive, Request, Response, h1};
use actix_service::{Service, ServiceFactory, fn_service};
use bytes::Bytes;
use futures_util::FutureExt as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::admission::{Admission, Arrival, Full};
use super::connection::{self, Accepted, Worker};
use super::handler::MessageHandler;
use super::handshake::{self, Refusal};
use super::hub::Hub;
use super::outbox::Budget;
use super::publish::{Hubs, Published};
use super::registry::{DrainReport, Registry, Shutdown};
use crate::domain::Position;
use crate::metrics::LiveMetrics;
use crate::settings::LiveSettings;

/// Connections the kernel may hold until they are accepted. It is cut to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Bytes read from a socket at once. One buffer of this size for each worker.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Bytes the kernel may hold unsent for one client (`TCP_NOTSENT_LOWAT`). What a slow client has not been sent yet
/// waits in its outbox, where newer positions replace it, and not in a send buffer of megabytes.
const NOT_SENT_LOW_WATER: u32 = 16 * 1024;

/// Pause after the system refused to accept, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The log says at most this often that nothing can be accepted.
const ACCEPT_COMPLAINT: Duration = Duration::from_secs(60);

/// What `stop` needs beyond the drain's own timeout: terminating, and ending the threads.
const STOP_GRACE: Duration = Duration::from_millis(200);

type HandlerFactory = Arc<dyn Fn(Rc<Hub>) -> Rc<dyn MessageHandler> + Send + Sync>;

/// A WebSocket server that is not yet started.
pub struct LiveServer {
    settings: LiveSettings,
    handler: HandlerFactory,
    metrics: Arc<LiveMetrics>,
    latest: Vec<Position>,
}

/// A server that listens. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    address: SocketAddr,
    registry: Addr<Registry>,
    hubs: Hubs,
    workers: Vec<Arbiter>,
    state: watch::Sender<Accepting>,
}

/// What becomes of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepting {
    /// They are served.
    Open,
    /// Those who are there already get 503; the socket that listens is closed.
    Draining,
}

impl LiveServer {
    /// A server with these settings. `handler` makes, on each worker's thread, what takes its clients' messages.
    pub fn new<H: MessageHandler>(
        settings: LiveSettings,
        handler: impl Fn(Rc<Hub>) -> H + Send + Sync + 'static,
        metrics: Arc<LiveMetrics>,
    ) -> Self {
        let handler: HandlerFactory = Arc::new(move |hub| Rc::new(handler(hub)));
        Self { settings, handler, metrics, latest: Vec::new() }
    }

    /// Starts with these positions as the latest of their devices, which snapshots show.
    pub fn with_latest(mut self, latest: Vec<Position>) -> Self {
        self.latest = latest;
        self
    }

    /// Binds and listens. Must be called in an actix system, in which the registry then runs.
    ///
    /// # Errors
    /// The system's, if the address cannot be bound.
    pub fn start(self) -> io::Result<Running> {
        let Self { settings, handler, metrics, latest } = self;
        let listener = listen(SocketAddr::new(settings.host, settings.port))?;
        let address = listener.local_addr()?;
        let listeners =
            (0..settings.workers).map(|_| listener.try_clone()).collect::<io::Result<Vec<_>>>()?;
        drop(listener);
        let registry = Registry::new(metrics.clone()).start();
        let hubs = Hubs::new(settings.workers, metrics.clone());
        let admission = Admission::new(settings.max_connections, settings.max_connections_per_address);
        let now = Instant::now();
        let latest: Arc<[_]> = latest.into_iter().map(|position| Published::new(position, now)).collect();
        let (state, watch) = watch::channel(Accepting::Open);
        let mut workers = Vec::with_capacity(settings.workers);
        for (number, listener) in listeners.into_iter().enumerate() {
            let worker = Arbiter::try_new()?;
            let (settings, handler, metrics) = (settings.clone(), handler.clone(), metrics.clone());
            let (registry, admission, watch) = (registry.clone(), admission.clone(), watch.clone());
            let (inbox, latest) = (hubs.inbox(number), latest.clone());
            worker.spawn_fn(move || {
                let budget = Budget::new(settings.worker_outbox_bytes);
                let hub = Hub::new(metrics.clone(), inbox, budget.clone(), &latest);
                let worker = Worker {
                    settings: Rc::new(settings),
                    handler: handler(hub.clone()),
                    hub: hub.clone(),
                    metrics,
                    registry,
                    budget,
                    phase: Cell::new(0.0),
                    scratch: RefCell::new(vec![0; SCRATCH_BYTES].into()),
                };
                actix_rt::spawn(deliver(hub, worker.metrics.clone()));
                actix_rt::spawn(serve(listener, Rc::new(worker), admission, watch));
            });
            workers.push(worker);
        }
        Ok(Running { address, registry, hubs, workers, state })
    }
}

impl Running {
    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who is connected.
    pub fn registry(&self) -> Addr<Registry> {
        self.registry.clone()
    }

    /// The way to publish positions.
    pub fn hubs(&self) -> Hubs {
        self.hubs.clone()
    }

    /// Stops accepting, sends 1001 to all, waits until they are gone, at most `timeout`, and terminates the rest.
    pub async fn stop(self, timeout: Duration) -> DrainReport {
        self.state.send_replace(Accepting::Draining);
        let report = match self.registry.send(Shutdown { timeout }).await {
            Ok(report) => report,
            Err(error) => {
                log::error!("drain not done: {error}");
                DrainReport::default()
            }
        };
        for worker in &self.workers {
            worker.stop();
        }
        // A thread of its own, as the runtime would wait at its end for a blocking task that a stuck worker holds up.
        let (ended, joined) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            ended.send(self.workers.into_iter().all(|worker| worker.join().is_ok())).ok();
        });
        match tokio::time::timeout(STOP_GRACE, joined).await {
            Ok(Ok(true)) => {}
            _ => log::warn!("a worker did not end in time"),
        }
        report
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without it a restart would have to wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Accepted sockets inherit these two (Linux copies the whole TCP socket), which saves two calls for each client.
    socket.set_tcp_nodelay(true)?;
    if let Err(error) = socket.set_tcp_notsent_lowat(NOT_SENT_LOW_WATER) {
        // Not every sandbox knows it. Slow clients get older positions then, and cost the kernel more.
        log::info!("TCP_NOTSENT_LOWAT cannot be set: {error}");
    }
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Runs the hub. A panic there would be a mistake of ours; it costs one batch, not all that follow.
async fn deliver(hub: Rc<Hub>, metrics: Arc<LiveMetrics>) {
    while AssertUnwindSafe(hub.run()).catch_unwind().await.is_err() {
        metrics.panics.inc();
        log::error!("fan-out panicked; a batch of positions was not delivered to all");
    }
}

/// Accepts and serves until told to drain.
async fn serve(
    listener: TcpListener,
    worker: Rc<Worker>,
    admission: Arc<Admission>,
    mut state: watch::Receiver<Accepting>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::error!("worker cannot listen: {error}"),
    };
    let door = Rc::new(Door { worker, admission, state: state.clone() });
    let upgrade = {
        let door = door.clone();
        fn_service(move |(request, framed): (Request, Framed<TcpStream, h1::Codec>)| {
            door.upgrade(&request, framed);
            std::future::ready(Ok::<_, actix_http::Error>(()))
        })
    };
    let plain = {
        let door = door.clone();
        fn_service(move |request: Request| {
            std::future::ready(Ok::<_, actix_http::Error>(door.plain(&request)))
        })
    };
    let factory = HttpService::build()
        .client_request_timeout(door.worker.settings.handshake_timeout)
        .client_disconnect_timeout(Duration::ZERO)
        .keep_alive(KeepAlive::Disabled)
        .upgrade(upgrade)
        .h1(plain);
    let Ok(http) = factory.new_service(()).await else {
        return log::error!("worker cannot serve HTTP");
    };
    let mut complaint = Complaint(None);
    loop {
        if !door.admission.has_room() {
            door.worker.metrics.accept_errors.inc();
            complaint.say(&"as many sockets are open as the limits allow");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            if *state.borrow() == Accepting::Draining {
                return;
            }
            continue;
        }
        let draining = state.wait_for(|state| *state == Accepting::Draining);
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            // Biased: those whom the kernel has connected already get their 503 first.
            // (An error says that `Running` was dropped, which stops nothing.)
            Ok(_) = draining => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(arrival) = door.arrive(peer) else { continue };
                let conversation = http.call((stream, Some(peer)));
                actix_rt::spawn(async move {
                    if let Err(error) = conversation.await {
                        log::debug!("handshake failed: {error:?}");
                    }
                    drop(arrival);
                });
            }
            Err(error) => {
                door.worker.metrics.accept_errors.inc();
                complaint.say(&error);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                if *state.borrow() == Accepting::Draining {
                    return;
                }
            }
        }
    }
}

/// Says that nothing can be accepted, but not in a flood.
struct Complaint(Option<Instant>);

impl Complaint {
    fn say(&mut self, why: &dyn Display) {
        if self.0.is_none_or(|at| at.elapsed() > ACCEPT_COMPLAINT) {
            self.0 = Some(Instant::now());
            log::error!("cannot accept connections (said at most once a minute): {why}");
        }
    }
}

/// Decides over requests: who becomes a connection.
struct Door {
    worker: Rc<Worker>,
    admission: Arc<Admission>,
    state: watch::Receiver<Accepting>,
}

impl Door {
    /// Counts a socket in, or closes it unanswered: an address may have so many connections, and some more sockets that
    /// are to be told so; were there no end to those that say nothing, they would take the places of all others. A
    /// trusted proxy's sockets are many clients'.
    fn arrive(&self, peer: SocketAddr) -> Option<Arrival> {
        let proxy = handshake::is_trusted(peer.ip(), &self.worker.settings.trusted_proxies);
        let arrival = self.admission.arrive((!proxy).then(|| peer.ip()));
        if arrival.is_none() {
            self.worker.metrics.refused.with_label_values(&[handshake::ADDRESS_FULL.label]).inc();
            log::debug!("socket closed unanswered remote={peer}: too many of this address");
        }
        arrival
    }

    /// A request that asks for an upgrade; the socket is handed over with it.
    fn upgrade(&self, request: &Request, framed: Framed<TcpStream, h1::Codec>) {
        let parts = framed.into_parts();
        match self.admit(request) {
            Ok(accept) => {
                let Admitted { remote, answer, permit } = accept;
                let read_ahead = parts.read_buf.freeze();
                let accepted = Accepted { stream: parts.io, remote, answer, read_ahead, permit };
                connection::open(accepted, self.worker.clone());
            }
            Err(refusal) => {
                self.count(refusal);
                let mut stream = parts.io;
                actix_rt::spawn(async move {
                    // The client may be gone; then nobody misses the answer.
                    drop(stream.write_all(&refusal.to_bytes()).await);
                    drop(stream.shutdown().await);
                });
            }
        }
    }

    fn admit(&self, request: &Request) -> Result<Admitted, Refusal> {
        let settings = &self.worker.settings;
        let answer = handshake::check(request.head(), settings)?;
        if *self.state.borrow() == Accepting::Draining {
            return Err(handshake::DRAINING);
        }
        // It is always there: `serve` gives it.
        let peer = request.peer_addr().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let remote = handshake::remote(request.head(), peer, &settings.trusted_proxies);
        let permit = self.admission.admit(remote.ip()).map_err(|full| match full {
            Full::Server => handshake::SERVER_FULL,
            Full::Address => handshake::ADDRESS_FULL,
        })?;
        Ok(Admitted { remote, answer: answer.into(), permit })
    }

    /// A request that asks for no upgrade, or not rightly.
    fn plain(&self, request: &Request) -> Response<String> {
        let refusal = handshake::check(request.head(), &self.worker.settings).err();
        let refusal = refusal.unwrap_or(handshake::NOT_FOUND);
        self.count(refusal);
        let mut response = Response::build(refusal.status);
        if let Some(header) = refusal.header {
            response.insert_header(header);
        }
        response.insert_header(("Content-Type", "text/plain; charset=utf-8"));
        response.message_body(format!("{}\n", refusal.text)).unwrap_or_else(|error| {
            log::error!("refusal not built: {error}");
            Response::with_body(refusal.status, String::new())
        })
    }

    fn count(&self, refusal: Refusal) {
        self.worker.metrics.refused.with_label_values(&[refusal.label]).inc();
        log::debug!("handshake refused status={} reason={}", refusal.status.as_u16(), refusal.label);
    }
}

struct Admitted {
    remote: SocketAddr,
    answer: Bytes,
    permit: super::admission::Permit,
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_what_the_listening_one_was_given() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), NOT_SENT_LOW_WATER);
    }
}
