//! `RedisLog`: the log of several instances, as streams in Redis.

mod deliver;
mod entry;
mod own;
mod place;
mod queue;
mod reader;
mod revocation;
mod running;
mod shard;
mod writer;

pub(in crate::positions) use running::RedisLog;

#[cfg(test)]
mod tests;
