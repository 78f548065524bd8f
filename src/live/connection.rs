//! One live connection: its actor, the transport that drives actor and socket, and what of it is bounded.

mod actor;
mod inbound;
mod pulse;
mod rate;
mod registration;
mod socket;
mod transport;
mod worker;

use std::net::SocketAddr;
use std::rc::Rc;

use actix_web_actors::HttpContext;
use bytes::Bytes;
use tokio::net::TcpStream;

use self::actor::{Beginning, LiveConnection};
use self::inbound::Inbound;
use self::registration::Registration;
use self::socket::Socket;
pub(crate) use self::socket::poll_read;
use self::transport::Transport;
pub(crate) use self::worker::Worker;
use super::client::{Client, Standing, Unwelcome};
use super::handler::Admitted;
use super::outbox::Outbox;
use super::registry::Permit;
use super::wire::encoding::Encoding;

/// A client whose handshake was accepted.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    /// The head of the 101 response.
    pub(crate) response: Bytes,
    /// What the client sent right behind its handshake.
    pub(crate) read_ahead: Bytes,
    /// What the handshake negotiated.
    pub(crate) encoding: Encoding,
    /// Who it is.
    pub(crate) admitted: Admitted,
    pub(crate) permit: Permit,
}

/// Opens a connection and lets it run to its end.
///
/// All is set up before the task is made, so that the task holds nothing it has no use for: there may be very many.
pub(crate) fn open(accepted: Accepted, worker: Rc<Worker>) {
    let Accepted { stream, remote, response, read_ahead, encoding, admitted, permit } = accepted;
    let (standing, refused) = match admitted {
        Admitted::Anyone => (Standing::Anyone, None),
        Admitted::Awaited(awaited) => (Standing::Awaited(awaited), None),
        Admitted::Known(identity) => (Standing::Known(identity), None),
        Admitted::Refused(Unwelcome { reason, place }) => (Standing::Refused { _place: place }, Some(reason)),
    };
    let outbox = Outbox::new(Socket(stream), worker.settings.outbox_bytes, worker.budget.clone());
    let shared: Rc<Outbox> = outbox.clone();
    if encoding.is_deflate() {
        worker.metrics.deflate_negotiated.inc();
    }
    let client =
        Client::new(remote, &shared, worker.settings.clone(), worker.metrics.clone(), encoding, standing);
    log::debug!("connection opened id={} remote={remote}", client.id());
    let registration = Registration::new(worker.clone(), client.clone(), permit);
    let inbound = Inbound::new(client.clone(), outbox.clone(), read_ahead, worker.clone());
    let beginning = Beginning { response, inbound, refused };
    let actor = LiveConnection::new(shared, worker.clone(), registration, beginning);
    // Boxed, as a future keeps room for everything that is ever moved into it.
    let mut actor = Box::pin(HttpContext::create(actor));
    let mut transport = Transport::new(client, worker, outbox);
    actix_rt::spawn(async move {
        transport.run(actor.as_mut()).await;
        // The actor goes last, and with it the registration: the connection is counted out when its socket is at its end.
        drop(transport);
        drop(actor);
    });
}
