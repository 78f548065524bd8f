//! What the process asks of the system before it serves: file descriptors, as each connection needs one, and small pages.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;

/// Descriptors kept back for the store, the log, the standard three and what else the process opens.
const RESERVE: usize = 64;

/// Descriptors kept back for live sockets that come while all places are taken, and are told so.
const RESERVE_ARRIVING: usize = 64;

/// Descriptors that each worker needs for itself: its copy of the listening socket, its epoll and what wakes it.
const RESERVE_WORKER: usize = 4;

/// Most descriptors that the kernel is asked to make room for ahead of time; it takes 8 bytes for each.
const MAX_PREPARED: usize = 1 << 20;

/// How many connections there are descriptors for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// At the live server.
    pub live: usize,
    /// At the ops server.
    pub ops: usize,
    /// At the web server.
    pub web: usize,
}

/// Raises the soft limit of open files to the hard one, and returns how many connections that leaves room for, where
/// the ops server is to have `ops` of them and the web server `web`. (The soft limit is 1024 on most systems for the sake of programs that use
/// `select(2)`; see `systemd.exec(5)`.)
pub fn room_for_connections(ops: usize, web: usize, workers: usize) -> Room {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        log::warn!("the limit of open files cannot be raised: {error}");
    }
    let descriptors = getrlimit(Resource::Nofile).current;
    let descriptors = descriptors.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    share(descriptors, ops, web, workers)
}

/// Whatever live clients do, the ops server keeps its part: who looks after the server must reach it. So does the web
/// server, for which half of that is enough.
fn share(descriptors: usize, ops: usize, web: usize, workers: usize) -> Room {
    let (ops, web) = (ops.min((descriptors / 4).max(8)), web.min((descriptors / 8).max(8)));
    let reserve = ops + web + RESERVE + RESERVE_ARRIVING + workers.saturating_mul(RESERVE_WORKER);
    // Where there are hardly any, a quarter of them is better than none.
    Room { live: descriptors.saturating_sub(reserve).max(descriptors / 4), ops, web }
}

/// Makes the kernel's table of descriptors large enough for so many connections and all else, now.
///
/// It doubles when it is full, and in a process with several threads whoever wants the next descriptor, so the worker
/// that accepts, then waits until every core has seen that (`synchronize_rcu`): 10 to 30 ms each time, with every
/// client of that worker. Asked for before there are threads it costs nothing. It never shrinks.
pub fn prepare_for_connections(connections: usize) {
    let last = connections.saturating_add(RESERVE + RESERVE_ARRIVING).min(MAX_PREPARED) - 1;
    match rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), i32::try_from(last).unwrap_or(i32::MAX)) {
        Ok(descriptor) => drop(descriptor),
        // Over the limit where that is tight; the table grows as it is needed then.
        Err(error) => log::debug!("no room made for {last} descriptors: {error}"),
    }
}

/// Keeps to small pages, whatever the host prefers.
///
/// A huge page is found and cleared as a whole when it is first touched. In a virtual machine whose host has yet to
/// find that memory this takes milliseconds, with every client of a worker; and the fan-out gained nothing from them.
pub fn avoid_huge_pages() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        log::debug!("huge pages not switched off: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ops_server_and_the_web_server_keep_their_parts_of_the_descriptors() {
        let room = |live, ops, web| Room { live, ops, web };
        assert_eq!(share(100_000, 1024, 0, 2), room(100_000 - 1024 - 136, 1024, 0));
        assert_eq!(share(100_000, 1024, 256, 2), room(100_000 - 1024 - 256 - 136, 1024, 256));
        assert_eq!(share(512, 1024, 256, 2), room(512 - 128 - 64 - 136, 128, 64));
        assert_eq!(share(512, 20, 0, 2), room(512 - 20 - 136, 20, 0));
        assert_eq!(share(256, 1024, 256, 2), room(64, 64, 32));
        assert_eq!(share(20, 1024, 256, 1000), room(5, 8, 8));
        assert!(share(usize::MAX, 1024, 256, 1024).live > 1 << 40);
    }
}
