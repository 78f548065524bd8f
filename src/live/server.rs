//! `LiveServer`: listens, starts the workers, and stops them.
//!
//! Each worker is an arbiter (a thread) that accepts from the one listening socket and keeps what it accepted:
//! `handshake` up to the end of the handshake, then `connection`.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Arbiter};
use futures_util::FutureExt as _;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;

use super::connection::Worker;
use super::fanout::{Hub, Hubs, Published};
use super::handler::MessageHandler;
use super::handshake::{self, Accepting, refusal};
use super::outbox::Budget;
use super::registry::{Admission, DrainReport, Pace, Registry, Shutdown};
use super::wire::close;
use crate::domain::Position;
use crate::metrics::LiveMetrics;
use crate::settings::LiveSettings;

/// Connections the kernel may hold until they are accepted. It is cut to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Bytes the kernel may hold unsent for one client (`TCP_NOTSENT_LOWAT`). What a slow client has not been sent yet
/// waits in its outbox, where newer positions replace it, and not in a send buffer of megabytes.
const NOT_SENT_LOW_WATER: u32 = 16 * 1024;

/// What `stop` needs beyond the drain's own timeout: terminating, and ending the threads.
const STOP_GRACE: Duration = Duration::from_millis(200);

type HandlerFactory = Arc<dyn Fn(Rc<Hub>) -> Rc<dyn MessageHandler> + Send + Sync>;

/// A WebSocket server that is not yet started.
pub struct LiveServer {
    settings: LiveSettings,
    handler: HandlerFactory,
    metrics: Arc<LiveMetrics>,
    latest: Vec<Arc<Published>>,
    /// Bound, but not listening yet.
    socket: Option<Socket>,
}

/// A server that listens. Dropping it does not stop it; [`Running::stop`] does.
pub struct Running {
    address: SocketAddr,
    registry: Addr<Registry>,
    hubs: Hubs,
    workers: Vec<Arbiter>,
    state: watch::Sender<Accepting>,
    admission: Arc<Admission>,
    pace: Pace,
}

impl LiveServer {
    /// A server with these settings. `handler` makes, on each worker's thread, what takes its clients' messages.
    pub fn new<H: MessageHandler>(
        settings: LiveSettings,
        handler: impl Fn(Rc<Hub>) -> H + Send + Sync + 'static,
        metrics: Arc<LiveMetrics>,
    ) -> Self {
        let handler: HandlerFactory = Arc::new(move |hub| Rc::new(handler(hub)));
        // All values of these labels are known, so their series are there from the start.
        for reason in close::ALL {
            metrics.closes.with_label_values(&[reason.code_label().as_str(), reason.label]);
        }
        for refusal in refusal::ALL {
            metrics.refused.with_label_values(&[refusal.label]);
        }
        Self { settings, handler, metrics, latest: Vec::new(), socket: None }
    }

    /// Starts with this position as the latest of its device, which snapshots show.
    pub fn add_latest(&mut self, position: Position) {
        self.latest.push(Published::new(position, Instant::now()));
    }

    /// Binds without listening: the address is this server's, but until it starts clients are refused, so that they go
    /// elsewhere or come again.
    ///
    /// # Errors
    /// The system's, if the address cannot be bound.
    pub fn bind(&mut self) -> io::Result<()> {
        self.socket = Some(bind(SocketAddr::new(self.settings.host, self.settings.port))?);
        Ok(())
    }

    /// Binds, if that is not done yet, and listens. Must be called in an actix system, in which the registry then runs.
    ///
    /// # Errors
    /// The system's, if the address cannot be bound or listened on.
    pub fn start(mut self) -> io::Result<Running> {
        if self.socket.is_none() {
            self.bind()?;
        }
        let Self { settings, handler, metrics, latest, socket } = self;
        let Some(socket) = socket else { return Err(io::ErrorKind::NotConnected.into()) };
        socket.listen(BACKLOG)?;
        let listener: TcpListener = socket.into();
        let address = listener.local_addr()?;
        let listeners =
            (0..settings.workers).map(|_| listener.try_clone()).collect::<io::Result<Vec<_>>>()?;
        drop(listener);
        let admission = Admission::new(settings.max_connections, settings.max_connections_per_address);
        let registry = Registry::new(metrics.clone(), admission.clone()).start();
        let hubs = Hubs::new(settings.workers, metrics.clone());
        let latest: Arc<[_]> = latest.into();
        let (state, watch) = watch::channel(Accepting::Open);
        let pace = Pace {
            delay: settings.drain_delay,
            spread: settings.drain_spread,
            reconnect_spread: settings.reconnect_spread,
        };
        let start = Start {
            settings,
            handler,
            metrics,
            latest,
            registry: registry.clone(),
            admission: admission.clone(),
            watch,
        };
        let mut workers = Vec::with_capacity(listeners.len());
        for (number, listener) in listeners.into_iter().enumerate() {
            let (start, hubs) = (start.clone(), hubs.clone());
            let worker = Arbiter::try_new()?;
            worker.spawn_fn(move || start.worker(listener, &hubs, number));
            workers.push(worker);
        }
        Ok(Running { address, registry, hubs, workers, state, admission, pace })
    }
}

/// What each worker is started with.
#[derive(Clone)]
struct Start {
    settings: LiveSettings,
    handler: HandlerFactory,
    metrics: Arc<LiveMetrics>,
    latest: Arc<[Arc<Published>]>,
    registry: Addr<Registry>,
    admission: Arc<Admission>,
    watch: watch::Receiver<Accepting>,
}

impl Start {
    /// Starts worker `number` on this thread.
    fn worker(self, listener: TcpListener, hubs: &Hubs, number: usize) {
        let Self { settings, handler, metrics, latest, registry, admission, watch } = self;
        let budget = Budget::new(settings.worker_outbox_bytes);
        let hub = Hub::new(metrics.clone(), hubs.inbox(number), budget.clone(), &latest);
        hub.stagger(number, settings.workers);
        actix_rt::spawn(deliver(hub.clone(), metrics.clone()));
        let handler = handler(hub.clone());
        let worker = Worker::new(Rc::new(settings), metrics, hub, budget, handler, registry);
        actix_rt::spawn(handshake::serve(listener, Rc::new(worker), admission, watch));
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

    /// How many are connected, those that have just got 101 among them.
    pub fn connected(&self) -> usize {
        self.admission.connected()
    }

    /// Closes the listening socket when everyone has been sent a close frame. Until then those who come get 503: they may
    /// come from a load balancer that has not looked at readiness yet.
    async fn stop_accepting(&self) {
        let window = self.pace.window();
        if !window.is_zero() {
            tokio::time::sleep(window).await;
        }
        self.state.send_replace(Accepting::Draining);
    }

    /// Admits nobody any more, sends 1001 to all, at once or spread over the time that the settings name, waits until they
    /// are gone, at most `timeout`, and terminates the rest.
    pub async fn stop(self, timeout: Duration) -> DrainReport {
        let drain = self.registry.send(Shutdown { timeout, pace: self.pace });
        let stop_accepting = async {
            self.stop_accepting().await;
            std::future::pending().await
        };
        let report = tokio::select! {
            // Without a window, nobody is accepted any more when the drain begins.
            biased;
            never = stop_accepting => never,
            report = drain => report,
        };
        let report = match report {
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

fn bind(address: SocketAddr) -> io::Result<Socket> {
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
    Ok(socket)
}

/// Runs the hub. A panic there would be a mistake of ours; it costs one batch, not all that follow. (Of that batch, who was not
/// served yet misses the positions until the devices' next ones, and that a device left until it subscribes again.)
async fn deliver(hub: Rc<Hub>, metrics: Arc<LiveMetrics>) {
    while AssertUnwindSafe(hub.run()).catch_unwind().await.is_err() {
        metrics.panics.inc();
        log::error!("fan-out panicked; a batch of positions was not delivered to all");
    }
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_what_the_listening_one_was_given() {
        let socket = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        socket.set_nonblocking(false).unwrap();
        socket.listen(1).unwrap();
        let listener: TcpListener = socket.into();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), NOT_SENT_LOW_WATER);
    }
}
