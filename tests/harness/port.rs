//! Free ports for programs that cannot choose one themselves. Used by unit tests as well.

use std::hash::{BuildHasher as _, RandomState};
use std::net::TcpListener;

/// Below the ports that the system gives to whoever asks for any (from 32,768 on): so none of those takes one between now and
/// the program's start.
const FIRST: u16 = 20_000;
const COUNT: u64 = 12_000;

/// A free port of 127.0.0.1, by chance one that nobody else here has just been given.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = FIRST + (RandomState::new().hash_one(0) % COUNT) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
