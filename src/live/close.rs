//! `CloseReason`: how a connection can end; code, text and metric label together, so that they cannot drift apart.

/// How a connection ended, or is to be ended.
///
/// Codes are those of RFC 6455 section 7.4.1; 4000 to 4999 are for private use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The close code. 1005 and 1006 are never sent.
    pub code: u16,
    /// The reason sent with it, and shown in the log.
    pub text: &'static str,
    /// The value of the metric's label `reason`.
    pub label: &'static str,
}

impl CloseReason {
    const fn new(code: u16, text: &'static str, label: &'static str) -> Self {
        Self { code, text, label }
    }

    /// The value of the metric's label `code`.
    pub fn code_label(self) -> String {
        if self.code == 0 { "other".to_owned() } else { self.code.to_string() }
    }
}

/// The client closed in the ordinary way; the code it sent is answered, this is what is logged and counted.
pub const NORMAL: CloseReason = CloseReason::new(1000, "closed by client", "normal");
/// The client closed because it goes away, as a browser does that leaves the page.
pub const CLIENT_GOING_AWAY: CloseReason = CloseReason::new(1001, "client going away", "client_going_away");
/// The client closed with another code. Code 0 stands for all of them: clients choose it, so no label may tell it.
pub const CLIENT_OTHER: CloseReason =
    CloseReason::new(0, "closed by client with another code", "client_other");
/// The client closed without a code (RFC 6455 section 7.1.5).
pub const NO_STATUS: CloseReason = CloseReason::new(1005, "closed by client without a code", "no_status");

/// The server drains.
pub const GOING_AWAY: CloseReason = CloseReason::new(1001, "server shutting down", "going_away");
/// The bytes are not RFC 6455.
pub const PROTOCOL_ERROR: CloseReason = CloseReason::new(1002, "protocol error", "protocol_error");
/// A kind of data this server does not take.
pub const UNSUPPORTED_DATA: CloseReason = CloseReason::new(1003, "unsupported data", "unsupported_data");
/// Text that is not UTF-8.
pub const INVALID_DATA: CloseReason = CloseReason::new(1007, "text is not UTF-8", "invalid_data");
/// The client sends too many messages.
pub const RATE_LIMITED: CloseReason = CloseReason::new(1008, "too many messages", "rate_limited");
/// A message over the limit.
pub const TOO_BIG: CloseReason = CloseReason::new(1009, "message too big", "too_big");
/// A fault of the server's own.
pub const INTERNAL: CloseReason = CloseReason::new(1011, "internal error", "internal");
/// Credentials are missing or wrong.
pub const UNAUTHORIZED: CloseReason = CloseReason::new(4401, "unauthorized", "unauthorized");
/// Credentials do not suffice.
pub const FORBIDDEN: CloseReason = CloseReason::new(4403, "forbidden", "forbidden");

/// The stream ended without a close frame.
pub const EOF: CloseReason = CloseReason::new(1006, "connection closed without a close frame", "eof");
/// The socket failed, most often by a reset.
pub const RESET: CloseReason = CloseReason::new(1006, "connection reset", "reset");
/// Nothing came from the client for the pong timeout.
pub const PONG_TIMEOUT: CloseReason = CloseReason::new(1006, "silent for the pong timeout", "pong_timeout");
/// The client's socket took nothing for the pong timeout while something waited for it.
pub const NOT_READING: CloseReason =
    CloseReason::new(1006, "not reading for the pong timeout", "not_reading");
/// The reason for a close that the client began with `code`.
pub fn from_client(code: Option<u16>) -> CloseReason {
    match code {
        None => NO_STATUS,
        Some(1000) => NORMAL,
        Some(1001) => CLIENT_GOING_AWAY,
        Some(_) => CLIENT_OTHER,
    }
}
