//! `Dialogue`: the conversation with a socket that was accepted, up to the end of its handshake.
//!
//! All of it is bounded: the request's head in bytes, the whole conversation by the handshake timeout, and after a
//! refusal one second and a few KiB more, so that the client can read it. No body is ever read, and there is one request
//! for each socket.

use std::cell::RefCell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::check::{self, Response};
use super::client_address;
use super::pending::Place;
use super::refusal::{self, Refusal};
use crate::domain::ClientNetwork;
use crate::live::connection::{self, Accepted, Worker, poll_read};
use crate::live::handler::{Admitted, Decision};
use crate::live::registry::{Admission, Permit};
use crate::live::wire::opening::{Opening, OpeningError};
use crate::notice::Notices;

/// How long a refused client may take to read the refusal and go.
const LINGER: Duration = Duration::from_secs(1);

/// How much a refused client may still send before it is cut off. If its bytes were left unread, closing the socket
/// would reset it, and the reset may overtake the refusal.
const LINGER_BYTES: usize = 16 * 1024;

/// What the handshakes of one worker share.
pub(super) struct Host {
    pub(super) worker: Rc<Worker>,
    pub(super) admission: Arc<Admission>,
    pub(super) notices: RefCell<Notices>,
}

/// A client that is shaking hands.
struct Dialogue {
    stream: TcpStream,
    /// The peer; or, once the request is read, whom it speaks for.
    remote: SocketAddr,
    /// What came while the request's head is not complete, then what came behind it.
    received: Vec<u8>,
    /// Something has come from the client.
    was_heard: bool,
    /// The request is a HEAD, whose response has no body.
    asks_head: bool,
}

/// A client that was let in.
struct LetIn {
    response: Response,
    admitted: Admitted,
    permit: Permit,
}

/// Why a dialogue ended without a connection.
enum Ended {
    Refused(Refusal),
    /// The client went away.
    Left,
}

impl<R: Into<Refusal>> From<R> for Ended {
    fn from(refusal: R) -> Self {
        Self::Refused(refusal.into())
    }
}

impl Host {
    /// Reads the request and decides about it.
    async fn admit(&self, dialogue: &mut Dialogue) -> Result<LetIn, Ended> {
        let settings = &self.worker.settings;
        let opening = dialogue.opening(&self.worker).await?;
        dialogue.remote = client_address::remote(&opening, dialogue.remote, settings);
        dialogue.asks_head = opening.is("HEAD");
        let response = check::check(&opening, settings)?;
        // Those for whom there is no place are not decided about.
        self.admission.check(dialogue.remote.ip())?;
        let admitted = self.decide(&opening, dialogue.remote.ip().into()).await?;
        // From here to the connection nothing may wait: who has a permit must hear of a drain.
        let permit = self.admission.admit(dialogue.remote.ip())?;
        Ok(LetIn { response, admitted, permit })
    }

    /// Lets the handler decide. A panic in it refuses this client and no other.
    async fn decide(&self, opening: &Opening, from: ClientNetwork) -> Result<Admitted, Refusal> {
        let decision = async {
            match self.worker.handler.admit(opening, from) {
                Decision::Now(decided) => decided,
                Decision::Later(decision) => decision.await,
            }
        };
        match AssertUnwindSafe(decision).catch_unwind().await {
            Ok(decided) => Ok(decided?),
            Err(_) => {
                self.worker.metrics.panics.inc();
                log::error!("the decision about a client panicked");
                Err(refusal::INTERNAL)
            }
        }
    }

    /// Counts a refusal and tells of it.
    pub(super) fn count(&self, remote: SocketAddr, refusal: Refusal) {
        self.worker.metrics.refused.with_label_values(&[refusal.label]).inc();
        let Refusal { status, text, label, .. } = refusal;
        self.notices.borrow_mut().debug(format_args!(
            "handshake refused remote={remote} status={} reason={label}: {text}",
            status.as_u16()
        ));
    }
}

/// The whole dialogue. It holds its place among those under way until its end.
pub(super) async fn run(host: Rc<Host>, place: Place, stream: TcpStream, peer: SocketAddr) {
    let worker = &host.worker;
    let mut dialogue =
        Dialogue { stream, remote: peer, received: Vec::new(), was_heard: false, asks_head: false };
    let refusal = match timeout(worker.settings.handshake_timeout, host.admit(&mut dialogue)).await {
        Ok(Ok(LetIn { response, admitted, permit })) => {
            let Dialogue { stream, remote, received, .. } = dialogue;
            let Response { head, encoding } = response;
            let (response, read_ahead) = (head.into(), received.into());
            let accepted = Accepted { stream, remote, response, read_ahead, encoding, admitted, permit };
            return connection::open(accepted, worker.clone());
        }
        Ok(Err(Ended::Left)) => return,
        Ok(Err(Ended::Refused(refusal))) => refusal,
        Err(_) => refusal::TIMEOUT,
    };
    host.count(dialogue.remote, refusal);
    place.refused();
    // Who has said nothing in all that time is told nothing.
    if refusal != refusal::TIMEOUT || dialogue.was_heard {
        dialogue.received = Vec::new();
        // The client may be gone, or not go; either way that was all for it.
        drop(timeout(LINGER, dialogue.refuse(refusal, worker)).await);
    }
}

impl Dialogue {
    /// Reads the head of the request; what came behind it is left in `received`.
    async fn opening(&mut self, worker: &Worker) -> Result<Opening, Ended> {
        poll_fn(|cx| self.poll_opening(cx, worker)).await
    }

    fn poll_opening(&mut self, cx: &mut Context<'_>, worker: &Worker) -> Poll<Result<Opening, Ended>> {
        let mut scratch = worker.scratch.borrow_mut();
        loop {
            let count = match ready!(poll_read(&self.stream, cx, &mut scratch)) {
                Ok(0) if !self.received.is_empty() => return Poll::Ready(Err(refusal::MALFORMED.into())),
                Ok(0) | Err(_) => return Poll::Ready(Err(Ended::Left)),
                Ok(count) => count,
            };
            self.was_heard = true;
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

    /// Responds, sends no more, and throws away what still comes until the client is gone.
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
