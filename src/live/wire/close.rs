//! `CloseReason`: how a connection can end; code, text and metric label together, so that they cannot drift apart.

use std::borrow::Cow;

/// How a connection ended, or is to be ended.
///
/// Codes are those of RFC 6455 section 7.4.1; 4000 to 4999 are for private use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The close code. 1005 and 1006 are never sent.
    pub code: u16,
    /// The reason sent with it, and shown in the log; `{}` stands for the number.
    text: &'static str,
    /// A figure that the client needs to do better, such as the limit it broke.
    number: Option<u64>,
    /// The value of the metric's label `reason`.
    pub label: &'static str,
}

impl CloseReason {
    const fn new(code: u16, text: &'static str, label: &'static str) -> Self {
        Self { code, text, number: None, label }
    }

    /// The same reason with its number.
    pub const fn with(mut self, number: u64) -> Self {
        self.number = Some(number);
        self
    }

    /// The reason as it is sent and logged.
    pub fn text(self) -> Cow<'static, str> {
        match self.number {
            Some(number) => self.text.replace("{}", &number.to_string()).into(),
            None => self.text.into(),
        }
    }

    /// The value of the metric's label `code`.
    pub fn code_label(self) -> String {
        if self.code == 0 { "other".to_owned() } else { self.code.to_string() }
    }
}

/// Defines reasons as constants and, from the same lines, the list of all of them.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal, $label:literal;)*) => {
        $($(#[$doc])* pub const $name: CloseReason = CloseReason::new($code, $text, $label);)*

        /// Every reason there is.
        pub const ALL: &[CloseReason] = &[$($name),*];
    };
}

reasons! {
    /// The client closed in the ordinary way; the code it sent is answered, this is what is logged and counted.
    NORMAL = 1000, "closed by client", "normal";
    /// The client closed because it goes away, as a browser does that leaves the page.
    CLIENT_GOING_AWAY = 1001, "client going away", "client_going_away";
    /// The client closed with another code. Code 0 stands for all of them: clients choose it, so no label may tell it.
    CLIENT_OTHER = 0, "closed by client with another code", "client_other";
    /// The client closed without a code (RFC 6455 section 7.1.5).
    NO_STATUS = 1005, "closed by client without a code", "no_status";

    /// The server drains.
    GOING_AWAY = 1001, "server shutting down", "going_away";
    /// The bytes are not RFC 6455.
    PROTOCOL_ERROR = 1002, "protocol error", "protocol_error";
    /// A kind of data this server does not take.
    UNSUPPORTED_DATA = 1003, "unsupported data", "unsupported_data";
    /// Text that is not UTF-8.
    INVALID_DATA = 1007, "text is not UTF-8", "invalid_data";
    /// A compressed message that cannot be decompressed. RFC 7692 names no code; the data is not what its kind of message
    /// holds, which is what 1007 says.
    CORRUPT_DATA = 1007, "compressed data is corrupt", "corrupt_data";
    /// The client sends too many messages.
    RATE_LIMITED = 1008, "too many messages", "rate_limited";
    /// A message over the limit, which is its number.
    TOO_BIG = 1009, "message too big, at most {} bytes are allowed", "too_big";
    /// A fault of the server's own.
    INTERNAL = 1011, "internal error", "internal";
    /// Whoever must be asked who the client is does not answer: the client may come again (IANA's registry of close codes).
    TRY_AGAIN_LATER = 1013, "tokens cannot be checked now, try again later", "auth_unavailable";
    /// The limit of connections of one subject is reached.
    SUBJECT_FULL = 1013, "too many connections of this subject, try again later", "subject_full";
    /// Credentials are wrong.
    UNAUTHORIZED = 4401, "unauthorized: the token is not accepted", "unauthorized";
    /// Credentials are missing.
    TOKEN_MISSING = 4401, "unauthorized: no token came", "token_missing";
    /// Credentials were good and are no more.
    TOKEN_EXPIRED = 4401, "unauthorized: the token has expired", "token_expired";
    /// Credentials do not suffice, or not any more.
    FORBIDDEN = 4403, "forbidden", "forbidden";

    /// The stream ended without a close frame.
    EOF = 1006, "connection closed without a close frame", "eof";
    /// The socket failed, most often by a reset.
    RESET = 1006, "connection reset", "reset";
    /// Nothing came from the client for the pong timeout.
    PONG_TIMEOUT = 1006, "silent for the pong timeout", "pong_timeout";
    /// The client's socket took nothing for the pong timeout while something waited for it.
    NOT_READING = 1006, "not reading for the pong timeout", "not_reading";
}

/// The reason for a close that the client began with `code`.
pub fn from_client(code: Option<u16>) -> CloseReason {
    match code {
        None => NO_STATUS,
        Some(1000) => NORMAL,
        Some(1001) => CLIENT_GOING_AWAY,
        Some(_) => CLIENT_OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_with_a_number_says_it() {
        assert_eq!(TOO_BIG.with(65536).text(), "message too big, at most 65536 bytes are allowed");
        assert_eq!(GOING_AWAY.text(), "server shutting down");
    }

    #[test]
    fn every_reason_fits_into_a_close_frame() {
        for reason in ALL {
            // 125 bytes of a control frame less two of the code (RFC 6455 section 5.5).
            assert!(reason.with(u64::MAX).text().len() <= 123, "{reason:?}");
        }
    }

    #[test]
    fn no_two_reasons_share_code_and_label() {
        let names: std::collections::HashSet<_> =
            ALL.iter().map(|reason| (reason.code_label(), reason.label)).collect();
        assert_eq!(names.len(), ALL.len());
    }
}
