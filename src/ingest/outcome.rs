//! `Outcomes`: posts counted by the status of their response, and those that were refused logged.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use prometheus::IntCounterVec;

use crate::http::Problem;

/// So many lines about refused posts are written in one [`WINDOW`].
const LINES: u32 = 20;

/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(1);

/// Counts posts by status, and logs those that were refused.
pub(super) struct Outcomes {
    /// By status.
    requests: IntCounterVec,
    window: RefCell<Window>,
}

#[derive(Default)]
struct Window {
    began: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Outcomes {
    pub(super) fn new(requests: IntCounterVec) -> Self {
        Self { requests, window: RefCell::default() }
    }

    /// A post was accepted.
    pub(super) fn accepted(&self) {
        self.count(StatusCode::OK);
    }

    /// A post of this peer was refused.
    pub(super) fn refused(&self, problem: &Problem, peer: Option<SocketAddr>) {
        self.count(problem.status());
        self.log(peer, problem);
    }

    fn count(&self, status: StatusCode) {
        self.requests.with_label_values(&[status.as_str()]).inc();
    }

    fn log(&self, peer: Option<SocketAddr>, problem: &Problem) {
        if !log::log_enabled!(log::Level::Debug) {
            return;
        }
        let Some(left_out) = self.window.borrow_mut().allow(Instant::now()) else { return };
        let address = peer.map(|address| address.to_string()).unwrap_or_default();
        match left_out {
            0 => log::debug!("post refused remote={address} {problem}"),
            _ => log::debug!(
                "post refused remote={address} {problem} (before it, {left_out} such lines were left out)"
            ),
        }
    }
}

impl Window {
    /// How many lines were left out since the last one, if this one may be written.
    fn allow(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            self.began = Some(now);
            self.lines = 0;
        }
        if self.lines == LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_lines_a_second() {
        let (mut window, now) = (Window::default(), Instant::now());
        let written = (0..100).filter(|_| window.allow(now).is_some()).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(window.allow(now + WINDOW), Some(80));
        assert_eq!(window.allow(now + WINDOW), Some(0));
    }
}
