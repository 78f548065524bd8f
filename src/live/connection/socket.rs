//! `Socket`: a client's TCP socket, written to by its outbox and read from past tokio's buffers.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::live::outbox::Wire;

/// The socket as the outbox writes to it. The outbox owns it, so that both are in one place.
pub(super) struct Socket(pub(super) TcpStream);

impl Wire for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        // Past tokio, which would first look up whether it believes the socket to be writable: one more place in
        // memory for each of thousands of sockets. If it is full, the transport's own write tells tokio so.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(rustix::net::send(&self.0, bytes, flags)?)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }
}

/// Reads what has come; 0 at the end of the stream.
///
/// A read that does not fill the buffer has emptied the socket, so tokio is told that it is not readable any more, which
/// saves the second read that would find that out. (tokio does the same where it owns the socket alone.)
pub(crate) fn poll_read(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_read_ready(cx))?;
        let mut read = None;
        let result = stream.try_io(Interest::READABLE, || {
            let (count, _) = rustix::net::recv(stream, &mut *buffer, RecvFlags::DONTWAIT)?;
            read = Some(count);
            if (1..buffer.len()).contains(&count) { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (read, result) {
            (Some(count), _) => return Poll::Ready(Ok(count)),
            (None, Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                return Poll::Ready(Err(error));
            }
            _ => {}
        }
    }
}
