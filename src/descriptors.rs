//! File descriptors: each connection needs one, so the process takes as many as it may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept back for everything but live connections: the store, the ops server, epoll, the standard three.
const RESERVE: usize = 128;

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
