//! `LogSettings`: what the log between instances is told, and how it is read.

use std::time::Duration;

use super::read::Reader;
use super::redis::RedisServers;
use super::table;

/// Settings of the log that hands stored positions to every instance.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Where it is; `None`: in this process.
    pub redis: Option<RedisServers>,
    /// What the names of its streams begin with.
    pub stream: String,
    /// How many streams it has.
    pub shards: u32,
    /// Entries that each stream keeps, or somewhat more.
    pub max_entries: u64,
    /// What an append may take.
    pub timeout: Duration,
}

impl LogSettings {
    pub(super) fn read(read: &mut Reader) -> Self {
        let redis = read.optional(&table::REDIS_URL);
        if let Some(servers) = redis.as_ref().filter(|servers| servers.tls && !cfg!(feature = "tls"))
            && read.is_sound(&table::REDIS_URL)
        {
            let allowed = "redis://…: this program was built without TLS (feature `tls`)";
            read.fault(&table::REDIS_URL, servers, allowed.to_owned());
        }
        Self {
            redis,
            stream: read.value(&table::POSITIONS_LOG_STREAM),
            shards: read.value(&table::POSITIONS_LOG_SHARDS),
            max_entries: read.value(&table::POSITIONS_LOG_MAX_ENTRIES),
            timeout: read.value(&table::POSITIONS_LOG_TIMEOUT_MS),
        }
    }
}
