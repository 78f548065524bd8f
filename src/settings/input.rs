//! `InputSettings`: what the reader of the input stream is told, and how it is read.

use std::time::Duration;

use super::log::LogSettings;
use super::read::Reader;
use super::table;

/// Settings of the stream in Redis that gateways write positions to.
#[derive(Clone, Debug)]
pub struct InputSettings {
    /// Its name; `None`: there is none. Where there is one, there is a Redis too.
    pub stream: Option<String>,
    /// An entry that an instance took and has not finished for so long is taken over by another.
    pub claim_after: Duration,
}

impl InputSettings {
    pub(super) fn read(read: &mut Reader, log: &LogSettings) -> Self {
        let stream = read.optional(&table::POSITIONS_INPUT_STREAM);
        if let Some(name) =
            stream.as_ref().filter(|_| log.redis.is_none() && read.is_sound(&table::REDIS_URL))
        {
            let allowed = format!("empty, as {} is", table::REDIS_URL.variable);
            read.fault(&table::POSITIONS_INPUT_STREAM, name, allowed);
        }
        Self { stream, claim_after: read.value(&table::POSITIONS_INPUT_CLAIM_AFTER_MS) }
    }
}
