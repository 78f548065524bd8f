//! The accept loop of a worker: takes sockets in until the server drains, and says when it cannot.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::watch;

use super::dialogue::{self, Host};
use super::pending::Pending;
use super::{client_address, refusal};
use crate::live::connection::Worker;
use crate::live::registry::{Admission, Arrival};
use crate::notice::Notices;

/// Pause after the system refused to accept, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The log says at most this often that nothing can be accepted.
const ACCEPT_COMPLAINT: Duration = Duration::from_secs(60);

/// As many as the kernel can have connected before the drain began. Who comes later need not be waited for.
const MOST_CONNECTED: usize = 4096;

/// Why a socket cannot be accepted, or only in the place of another.
const FULL: &str =
    "as many sockets are open as the limits allow; those that shake hands the longest are closed";

/// What becomes of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepting {
    /// They are accepted.
    Open,
    /// The socket that listens is closed.
    Draining,
}

/// What a worker needs to take clients in.
struct Entrance {
    host: Rc<Host>,
    pending: Rc<Pending>,
}

/// Accepts and serves until told to drain.
pub(crate) async fn serve(
    listener: TcpListener,
    worker: Rc<Worker>,
    admission: Arc<Admission>,
    mut state: watch::Receiver<Accepting>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::error!("worker cannot listen: {error}"),
    };
    let metrics = worker.metrics.clone();
    let entrance = Entrance::new(worker, admission);
    let mut complaint = Complaint(None);
    loop {
        let failure = match accept(&listener, &entrance, &mut state).await {
            Accept::Draining => return entrance.welcome_rest(listener).await,
            Accept::Socket(stream, peer) => {
                if !entrance.welcome(stream, peer).await {
                    metrics.accept_errors.inc();
                    complaint.say(FULL);
                }
                continue;
            }
            Accept::Full => FULL.to_owned(),
            Accept::Failed(error) => error.to_string(),
        };
        metrics.accept_errors.inc();
        complaint.say(&failure);
        tokio::time::sleep(ACCEPT_PAUSE).await;
        if *state.borrow() == Accepting::Draining {
            return;
        }
    }
}

/// What came of waiting for a socket.
enum Accept {
    Socket(TcpStream, SocketAddr),
    /// No more sockets may be open.
    Full,
    Failed(io::Error),
    Draining,
}

async fn accept(
    listener: &tokio::net::TcpListener,
    entrance: &Entrance,
    state: &mut watch::Receiver<Accepting>,
) -> Accept {
    if !entrance.pending.has_room() {
        return Accept::Full;
    }
    tokio::select! {
        accepted = listener.accept() => match accepted {
            Ok((stream, peer)) => Accept::Socket(stream, peer),
            Err(error) => Accept::Failed(error),
        },
        // (An error says that `Running` was dropped, which stops nothing.)
        Ok(_) = state.wait_for(|state| *state == Accepting::Draining) => Accept::Draining,
    }
}

impl Entrance {
    fn new(worker: Rc<Worker>, admission: Arc<Admission>) -> Self {
        let pending = Pending::new(admission.clone(), worker.metrics.clone());
        let notices = RefCell::new(Notices::new(module_path!()));
        Self { host: Rc::new(Host { worker, admission, notices }), pending }
    }

    /// Begins the handshake with a socket that was accepted. False if another had to go for it.
    async fn welcome(&self, stream: TcpStream, peer: SocketAddr) -> bool {
        let had_room = self.host.admission.has_room();
        let Some(arrival) = self.arrive(peer) else { return true };
        let start = |place| actix_rt::spawn(dialogue::run(self.host.clone(), place, stream, peer));
        self.pending.add(arrival, had_room, start).await
    }

    /// The server drains: those whom the kernel has connected already get their 503, instead of the reset that they would
    /// get if the listening socket was closed before they are accepted. The kernel itself is asked: that they are there may
    /// not have come to tokio's notice yet.
    async fn welcome_rest(&self, listener: tokio::net::TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        for _ in 0..MOST_CONNECTED {
            let Ok((stream, peer)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            let Ok(stream) = stream else { continue };
            if !self.pending.has_room() || !self.welcome(stream, peer).await {
                return;
            }
        }
    }

    /// Counts a socket in, or closes it unanswered: an address may have so many connections, and some more sockets that
    /// are to be told so; were there no end to those that say nothing, they would take the places of all others. A
    /// trusted proxy's sockets are many clients'.
    fn arrive(&self, peer: SocketAddr) -> Option<Arrival> {
        let proxy = client_address::is_trusted(peer.ip(), &self.host.worker.settings.trusted_proxies);
        let arrival = self.host.admission.arrive((!proxy).then(|| peer.ip()));
        if arrival.is_none() {
            self.host.count(peer, refusal::ADDRESS_FULL);
        }
        arrival
    }
}

/// Says that nothing can be accepted, but not in a flood.
struct Complaint(Option<Instant>);

impl Complaint {
    fn say(&mut self, why: &str) {
        if self.0.is_none_or(|at| at.elapsed() > ACCEPT_COMPLAINT) {
            self.0 = Some(Instant::now());
            log::error!("cannot accept connections (said at most once a minute): {why}");
        }
    }
}
