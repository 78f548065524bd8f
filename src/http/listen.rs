//! Accepts connections and serves each until it ends, or until its state says that its time is over.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::socket::TrackedSocket;
use super::state::{CloseReason, ConnectionState, Limits};
use super::table::{ConnectionTable, Entry};

/// Connections the kernel may hold until they are accepted.
const BACKLOG: i32 = 1024;

/// Pause after the system refused to accept, most often for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The log says at most this often that nothing can be accepted.
const ACCEPT_COMPLAINT: Duration = Duration::from_secs(60);

/// The response to a client that did not end its request in time.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: application/json\r\n\
    Content-Length: 74\r\n\r\n{\"error\":\"request-timeout\",\"message\":\"the request was not ended in time\"}\n";

/// A socket that listens at `address`.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Without it a restart would have to wait for the old connections' TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    // Accepted sockets inherit these two. Keepalive finds clients whose link is gone.
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(30));
    socket.set_tcp_keepalive(&keepalive.with_interval(Duration::from_secs(10)).with_retries(3))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until `stop`, and gives each connection to `dispatch`. `name` is the server's, for the log.
pub(super) async fn accept<F>(
    name: &str,
    listener: TcpListener,
    table: Rc<ConnectionTable>,
    limits: Limits,
    mut stop: oneshot::Receiver<()>,
    dispatch: impl Fn(TrackedSocket, SocketAddr) -> F,
) where
    F: Future + 'static,
{
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return log::error!("{name} server cannot listen: {error}"),
    };
    let mut complained = None;
    loop {
        let accepted = tokio::select! {
            biased;
            _ = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::select! {
                    biased;
                    _ = &mut stop => break,
                    () = wait_for_room(&table) => {}
                }
                let stream = Rc::new(stream);
                let state = Rc::new(ConnectionState::new(limits, Instant::now()));
                let entry = table.add(state.clone());
                let dispatcher = dispatch(TrackedSocket::new(stream.clone(), state.clone()), peer);
                let task = actix_rt::spawn(serve(dispatcher, stream, state, entry, table.clone()));
                table.set_task(task.abort_handle());
                // The tasks that were told to end close their sockets in their turn.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                complain(name, &error, &mut complained);
                table.evict_one();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    table.stop().await;
}

async fn wait_for_room(table: &ConnectionTable) {
    while table.is_full() && !table.evict_one() {
        tokio::select! {
            () = table.one_closed() => {}
            // One may have come to where it can be closed.
            () = tokio::time::sleep(ACCEPT_PAUSE) => {}
        }
    }
}

fn complain(name: &str, error: &io::Error, complained: &mut Option<Instant>) {
    if complained.is_none_or(|at| at.elapsed() > ACCEPT_COMPLAINT) {
        *complained = Some(Instant::now());
        log::error!("{name} server cannot accept (said at most once a minute): {error}");
    }
}

/// Runs a connection until it ends by itself, is quiet while the server stops, or its time is over.
async fn serve(
    dispatcher: impl Future,
    stream: Rc<TcpStream>,
    state: Rc<ConnectionState>,
    entry: Entry,
    table: Rc<ConnectionTable>,
) {
    let mut dispatcher = pin!(dispatcher);
    let mut sleep = pin!(tokio::time::sleep_until(Instant::now()));
    let reason = poll_fn(|context| {
        if dispatcher.as_mut().poll(context).is_ready() {
            return Poll::Ready(state.over_allowance());
        }
        if table.is_stopping() && state.is_quiet() {
            return Poll::Ready(None);
        }
        if let Some(reason) = state.over_allowance() {
            return Poll::Ready(Some(reason));
        }
        let Some((at, reason)) = state.deadline() else { return Poll::Pending };
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(context).map(|()| Some(reason))
    })
    .await;
    if let Some(reason) = reason {
        table.count_close(reason);
        if matches!(reason, CloseReason::Head | CloseReason::Body) && state.is_unanswered() {
            // It is a courtesy: whoever has no room for it does without.
            stream.try_write(TIMED_OUT).ok();
        }
    }
    drop(entry);
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_keepalive() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        listener.set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.keepalive().unwrap() && accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
        assert_eq!(accepted.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
        assert_eq!(accepted.tcp_keepalive_retries().unwrap(), 3);
    }

    #[test]
    fn the_408_is_as_long_as_it_says() {
        let text = std::str::from_utf8(TIMED_OUT).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
    }
}
