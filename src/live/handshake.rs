//! From an accepted socket to a connection, or to a refusal: bounded in time, bytes and number.

mod accept;
mod check;
mod client_address;
mod dialogue;
mod extensions;
mod pending;
pub(crate) mod refusal;

pub(crate) use self::accept::{Accepting, serve};
