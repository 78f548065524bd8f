//! Entries that are no positions: moved to a stream of their own, with the reason.

use ::redis::{Cmd, cmd};

use super::record::Rejected;
use crate::positions::redis::Entry;

/// Entries that the stream of rejected ones keeps, or somewhat more.
const MAX_KEPT: usize = 10_000;

/// The fields that are put before those of the entry.
const REASON: &str = "rejected_reason";
const ID: &str = "rejected_id";

/// The name of the stream that has what was rejected of another.
pub(super) fn rejects_of(stream: &str) -> String {
    format!("{stream}:rejected")
}

/// The request that keeps a rejected entry, as it was.
pub(super) fn keep(rejects: &str, entry: &Entry, reason: &Rejected) -> Cmd {
    let mut request = cmd("XADD");
    request.arg(rejects).arg("MAXLEN").arg("~").arg(MAX_KEPT).arg("*");
    request.arg(REASON).arg(reason.to_string()).arg(ID).arg(entry.id.to_string());
    for (name, value) in &entry.fields {
        request.arg(name).arg(value);
    }
    request
}
