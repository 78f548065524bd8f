//! Who connects and who posts: credentials become principals. Knows no WebSockets and no HTTP server.

mod answers;
mod authenticator;
mod claims;
mod crypto;
mod error;
mod fetch;
mod http;
mod jwt;
mod key_set;
mod refused;
mod revocations;
mod token;
mod turns;

pub use self::authenticator::{Authenticator, Check};
pub use self::claims::Claims;
pub use self::error::AuthError;
pub use self::http::Shown;
pub use self::refused::Refused;
pub use self::revocations::Revocations;
pub use self::token::{Inspection, TokenError, inspect, make};
