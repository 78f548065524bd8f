//! `Outcomes`: posts counted by the status of their response, and those that were refused logged.

use std::cell::RefCell;
use std::net::SocketAddr;

use actix_web::http::StatusCode;
use prometheus::IntCounterVec;

use crate::http::Problem;
use crate::notice::Notices;

/// Counts posts by status, and logs those that were refused.
pub(super) struct Outcomes {
    /// By status.
    requests: IntCounterVec,
    notices: RefCell<Notices>,
}

impl Outcomes {
    pub(super) fn new(requests: IntCounterVec) -> Self {
        Self { requests, notices: RefCell::new(Notices::new(module_path!())) }
    }

    /// A post was accepted.
    pub(super) fn accepted(&self) {
        self.count(StatusCode::OK);
    }

    /// A post of this peer was refused.
    pub(super) fn refused(&self, problem: &Problem, peer: Option<SocketAddr>) {
        self.count(problem.status());
        let address = peer.map(|address| address.to_string()).unwrap_or_default();
        self.notices.borrow_mut().debug(format_args!("post refused remote={address} {problem}"));
    }

    fn count(&self, status: StatusCode) {
        self.requests.with_label_values(&[status.as_str()]).inc();
    }
}
