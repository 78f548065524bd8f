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
        /// How often somebody had to be asked about credentials (`AUTH_HTTP_URL`, or `AUTH_JWKS_URL` for a key that is not known), by whether an answer came.
        asked: IntCounterVec = "processor_auth_asked_total", Labels {
            names: &["outcome"],
            known: &[&["answered"], &["unavailable"]],
        };
    }
}
