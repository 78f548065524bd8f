//! `Door`: the conversation with a socket that was accepted, up to the end of its handshake.
//!
//! All of it is bounded: the request's head in bytes, the whole conversation by the handshake timeout, and after a
//! refusal one second and a few KiB more, so that the client can read it. No body is ever read, there is one request
//! for each socket, and where sockets are scarce those that take longest go first.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::admission::{Admission, Arrival, Closed, Permit};
use super::connection::{self, Accepted, Worker};
use super::forwarded;
use super::handshake::{self, Refusal};
use super::inbound::poll_read;
use super::notice::Notices;
use super::opening::{Opening, OpeningError};

/// How long a refused client may take to read the refusal and go.
const LINGER: Duration = Duration::from_secs(1);

/// How much a refused client may still send before it is cut off. If its bytes were left unread, closing the socket
/// would reset it, and the reset may overtake the refusal.
const LINGER_BYTES: usize = 16 * 1024;

/// Lets clients of one worker in.
pub(crate) struct Door {
    worker: Rc<Worker>,
    admission: Arc<Admission>,
    /// The conversations under way, the oldest first.
    arriving: RefCell<BTreeMap<u64, Arriving>>,
    next: Cell<u64>,
    notices: RefCell<Notices>,
}

/// A conversation under way.
struct Arriving {
    task: AbortHandle,
    /// It is counted already, what follows is for the client to read why.
    refused: bool,
}

/// A conversation's place among those under way, given back when dropped.
struct Place {
    door: Rc<Door>,
    number: u64,
    _arrival: Arrival,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.arriving.borrow_mut().remove(&self.number);
    }
}

/// A client that is shaking hands.
struct Visitor {
    stream: TcpStream,
    /// The peer; or, once the request is read, whom it speaks for.
    remote: SocketAddr,
    /// What came while the request's head is not complete, then what came behind it.
    received: Vec<u8>,
    /// The request is a HEAD, whose answer has no body.
    asks_head: bool,
}

/// A client that was let in.
struct Admitted {
    answer: Vec<u8>,
    permit: Permit,
}

/// Why a conversation ended without a connection.
enum Ended {
    Refused(Refusal),
    /// The client went away.
    Left,
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Door {
    pub(crate) fn new(worker: Rc<Worker>, admission: Arc<Admission>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            admission,
            arriving: RefCell::default(),
            next: Cell::new(0),
            notices: RefCell::new(Notices::new(module_path!())),
        })
    }

    /// True if one more socket may be accepted, perhaps by cutting off another.
    pub(crate) fn has_room(&self) -> bool {
        self.admission.has_room() || !self.arriving.borrow().is_empty()
    }

    /// Begins the conversation with a socket that was accepted. False if another had to go for it.
    pub(crate) async fn welcome(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) -> bool {
        let has_room = self.admission.has_room();
        let Some(arrival) = self.arrive(peer) else { return true };
        if !has_room {
            self.cut_off_oldest();
            // Its task is what closes the socket, so it must have its turn before the next one is accepted.
            tokio::task::yield_now().await;
        }
        let number = self.next.replace(self.next.get() + 1);
        let place = Place { door: self.clone(), number, _arrival: arrival };
        let conversation = actix_rt::spawn(converse(place, stream, peer));
        let arriving = Arriving { task: conversation.abort_handle(), refused: false };
        self.arriving.borrow_mut().insert(number, arriving);
        has_room
    }

    /// Makes room: whoever has been shaking hands for the longest is closed, unanswered.
    fn cut_off_oldest(&self) {
        let oldest = self.arriving.borrow_mut().pop_first();
        if let Some((_, Arriving { task, refused })) = oldest {
            task.abort();
            if !refused {
                self.worker.metrics.refused.with_label_values(&[handshake::SERVER_FULL.label]).inc();
            }
        }
    }

    /// Counts a socket in, or closes it unanswered: an address may have so many connections, and some more sockets that
    /// are to be told so; were there no end to those that say nothing, they would take the places of all others. A
    /// trusted proxy's sockets are many clients'.
    fn arrive(&self, peer: SocketAddr) -> Option<Arrival> {
        let proxy = forwarded::is_trusted(peer.ip(), &self.worker.settings.trusted_proxies);
        let arrival = self.admission.arrive((!proxy).then(|| peer.ip()));
        if arrival.is_none() {
            self.count(peer, handshake::ADDRESS_FULL);
        }
        arrival
    }

    /// Reads the request and decides about it.
    async fn admit(&self, visitor: &mut Visitor) -> Result<Admitted, Ended> {
        let settings = &self.worker.settings;
        let opening = visitor.opening(&self.worker).await?;
        visitor.remote = forwarded::remote(&opening, visitor.remote, settings);
        visitor.asks_head = opening.is("HEAD");
        let answer = handshake::check(&opening, settings)?;
        // From here to the connection nothing may wait: who has a permit must hear of a drain.
        let permit = self.admission.admit(visitor.remote.ip()).map_err(|closed| match closed {
            Closed::Draining => handshake::DRAINING,
            Closed::ServerFull => handshake::SERVER_FULL,
            Closed::AddressFull => handshake::ADDRESS_FULL,
        })?;
        Ok(Admitted { answer, permit })
    }

    /// Counts a refusal and tells of it.
    fn count(&self, remote: SocketAddr, refusal: Refusal) {
        self.worker.metrics.refused.with_label_values(&[refusal.label]).inc();
        let Refusal { status, text, label, .. } = refusal;
        self.notices.borrow_mut().debug(format_args!(
            "handshake refused remote={remote} status={} reason={label}: {text}",
            status.as_u16()
        ));
    }
}

/// The whole conversation. It holds its place among those who arrive until its end.
async fn converse(place: Place, stream: TcpStream, peer: SocketAddr) {
    let Place { door, number, .. } = &place;
    let worker = &door.worker;
    let mut visitor = Visitor { stream, remote: peer, received: Vec::new(), asks_head: false };
    let refusal = match timeout(worker.settings.handshake_timeout, door.admit(&mut visitor)).await {
        Ok(Ok(Admitted { answer, permit })) => {
            let Visitor { stream, remote, received, .. } = visitor;
            let (answer, read_ahead) = (answer.into(), received.into());
            let accepted = Accepted { stream, remote, answer, read_ahead, permit };
            return connection::open(accepted, worker.clone());
        }
        Ok(Err(Ended::Left)) => return,
        Ok(Err(Ended::Refused(refusal))) => refusal,
        Err(_) => handshake::TIMEOUT,
    };
    door.count(visitor.remote, refusal);
    if let Some(arriving) = door.arriving.borrow_mut().get_mut(number) {
        arriving.refused = true;
    }
    // Who has said nothing in all that time is told nothing.
    if refusal != handshake::TIMEOUT || !visitor.received.is_empty() {
        visitor.received = Vec::new();
        // The client may be gone, or not go; either way that was all for it.
        drop(timeout(LINGER, visitor.refuse(refusal, worker)).await);
    }
}

impl Visitor {
    /// Reads the head of the request; what came behind it is left in `received`.
    async fn opening(&mut self, worker: &Worker) -> Result<Opening, Ended> {
        poll_fn(|cx| self.poll_opening(cx, worker)).await
    }

    fn poll_opening(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<Result<Opening, Ended>> {
        let mut scratch = worker.scratch.borrow_mut();
        loop {
            let count = match ready!(poll_read(&self.stream, cx, &mut scratch)) {
                Ok(0) if !self.received.is_empty() => return Poll::Ready(Err(handshake::MALFORMED.into())),
                Ok(0) | Err(_) => return Poll::Ready(Err(Ended::Left)),
                Ok(count) => count,
            };
            // Nearly every request comes in one piece, which is read where it lies. Each piece of another is parsed
            // with all before it: a head is short, and what is no HTTP shall be known at once.
            let parsed = if self.received.is_empty() {
                parse(&scratch[..count], &mut self.received)
            } else {
                let mut bytes = std::mem::take(&mut self.received);
                bytes.extend_from_slice(&scratch[..count]);
                parse(&bytes, &mut self.received)
            };
            match parsed {
                Ok(Some(opening)) => return Poll::Ready(Ok(opening)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Refusal::from(error).into())),
            }
        }
    }

    /// Answers, sends no more, and throws away what still comes until the client is gone.
    async fn refuse(&mut self, refusal: Refusal, worker: &Worker) -> std::io::Result<()> {
        self.stream.write_all(&refusal.to_bytes(self.asks_head)).await?;
        self.stream.shutdown().await?;
        let mut left = LINGER_BYTES;
        while left > 0 {
            let count =
                poll_fn(|cx| poll_read(&self.stream, cx, &mut worker.scratch.borrow_mut()[..left])).await?;
            if count == 0 {
                break;
            }
            left -= count;
        }
        Ok(())
    }
}

/// Reads a head from `bytes`, and puts into `rest` what came behind it, or all of `bytes` if it is not complete.
fn parse(bytes: &[u8], rest: &mut Vec<u8>) -> Result<Option<Opening>, OpeningError> {
    match Opening::parse(bytes)? {
        Some((opening, length)) => {
            rest.extend_from_slice(&bytes[length..]);
            Ok(Some(opening))
        }
        None => {
            rest.extend_from_slice(bytes);
            Ok(None)
        }
    }
}
