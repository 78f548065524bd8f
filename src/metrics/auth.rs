//! `AuthMetrics`: what is counted of credentials.

use prometheus::{IntCounter, IntCounterVec};

use super::make::{Labels, Maker, metrics};

metrics! {
    /// What is counted of credentials.
    pub struct AuthMetrics {
        /// Credentials of connections and posts that were accepted.
        accepted: IntCounter = "processor_auth_accepted_total";
        /// Credentials of connections and posts that were refused, by reason.
        refused: IntCounterVec = "processor_auth_refused_total", Labels {
            names: &["reason"],
            known: &[
                &["missing"], &["malformed"], &["algorithm"], &["signature"], &["unknown_key"], &["expired"], &["not_yet"],
                &["too_long_lived"], &["audience"], &["issuer"], &["claims"], &["revoked"], &["other_subject"], &["denied"],
                &["forbidden"], &["unavailable"],
            ],
        };
    }
}
