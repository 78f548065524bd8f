//! `Mode`: how a subscription is served. Subscriptions of one topic with the same mode share what they get.

use crate::live::wire::cadence::Cadence;
use crate::live::wire::encoding::Encoding;

/// How a subscription is served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode {
    /// At most this often; `None`: as soon as there is an update.
    pub(super) cadence: Option<Cadence>,
    /// Positions that leave together are one message.
    pub(super) batch: bool,
    pub(super) encoding: Encoding,
}
