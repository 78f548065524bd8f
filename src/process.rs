//! What the process asks of the system before it serves: file descriptors, as each connection needs one, and small pages.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;

/// Descriptors kept back for everything but live connections: the store, the ops server, epoll, the standard three.
const RESERVE: usize = 128;

/// Most descriptors that the kernel is asked to make room for ahead of time; it takes 8 bytes for each.
const MAX_PREPARED: usize = 1 << 20;

/// Raises the soft limit of open files to the hard one, and returns how many live connections that leaves room for.
/// (The soft limit is 1024 on most systems for the sake of programs that use `select(2)`; see `systemd.exec(5)`.)
pub fn room_for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        log::warn!("the limit of open files cannot be raised: {error}");
    }
    let descriptors = getrlimit(Resource::Nofile).current;
    let descriptors = descriptors.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    // Where there are hardly any, half of them are better than none.
    descriptors.saturating_sub(RESERVE).max(descriptors / 2)
}

/// Makes the kernel's table of descriptors large enough for so many connections, now.
///
/// It doubles when it is full, and in a process with several threads whoever wants the next descriptor, so the worker
/// that accepts, then waits until every core has seen that (`synchronize_rcu`): 10 to 30 ms each time, with every
/// client of that worker. Asked for before there are threads it costs nothing. It never shrinks.
pub fn prepare_for_connections(connections: usize) {
    let last = connections.saturating_add(RESERVE).min(MAX_PREPARED) - 1;
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
