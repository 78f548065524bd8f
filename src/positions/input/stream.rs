//! `Stream`: the requests to an input stream and its group.

use std::time::Duration;

use ::redis::{Cmd, Value, cmd};

use crate::positions::redis::{Connection, Entry, EntryId, RedisError, streams, text};

/// The group of all instances.
const GROUP: &str = "processor";

/// How long Redis may wait for the next entry before it answers that there is none. Short, as a stop waits for the answer.
pub(super) const BLOCK: Duration = Duration::from_millis(250);

/// Most entries that are taken at once, and so stored together.
const MAX_ENTRIES: usize = 512;

/// How many are taken at first, when it is not known how large they are.
const FIRST_ENTRIES: usize = 16;

/// So many bytes are taken at once, or somewhat more: the next entries are taken for as large as the last ones.
const MAX_BYTES: usize = 8 << 20;

/// A connection to an input stream.
pub(super) struct Stream<'a> {
    connection: Connection,
    key: &'a str,
    /// The name under which entries are taken: the instance's.
    consumer: &'a str,
    /// What a request may take.
    limit: Duration,
    /// How many entries are taken at once.
    count: usize,
}

/// Entries that are to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Those behind this one that were taken under this name and not finished.
    Unfinished(EntryId),
    /// Those that nobody has taken yet.
    New,
}

impl<'a> Stream<'a> {
    pub(super) fn new(connection: Connection, key: &'a str, consumer: &'a str, limit: Duration) -> Self {
        Self { connection, key, consumer, limit, count: FIRST_ENTRIES }
    }

    /// Makes the group, and the stream too, unless they are there. The group begins with all that is in the stream.
    pub(super) async fn make_group(&mut self) -> Result<(), RedisError> {
        let mut request = cmd("XGROUP");
        request.arg("CREATE").arg(self.key).arg(GROUP).arg("0").arg("MKSTREAM");
        match self.connection.ask::<Value>(self.limit, &request).await {
            Err(RedisError::Redis(error)) if error.code() == Some("BUSYGROUP") => Ok(()),
            result => result.map(drop),
        }
    }

    /// Takes entries, as soon as there are some; none after [`BLOCK`].
    pub(super) async fn take(&mut self, which: Which) -> Result<Vec<Entry>, RedisError> {
        let mut request = cmd("XREADGROUP");
        request.arg("GROUP").arg(GROUP).arg(self.consumer).arg("COUNT").arg(self.count);
        let from = match which {
            Which::Unfinished(after) => after.to_string(),
            Which::New => {
                request.arg("BLOCK").arg(BLOCK.as_millis() as u64);
                ">".to_owned()
            }
        };
        request.arg("STREAMS").arg(self.key).arg(from);
        let reply = self.connection.ask(self.limit + BLOCK, &request).await?;
        let entries = streams(reply).ok_or(RedisError::Reply("XREADGROUP"))?;
        self.count = next_count(&entries).unwrap_or(self.count);
        Ok(entries)
    }

    /// Takes over entries that others, or this instance before, took so long ago, from `from` on. Returns where to go on;
    /// `None` at the end.
    pub(super) async fn claim(
        &mut self,
        idle: Duration,
        from: EntryId,
    ) -> Result<(Vec<Entry>, Option<EntryId>), RedisError> {
        let mut request = cmd("XAUTOCLAIM");
        request.arg(self.key).arg(GROUP).arg(self.consumer).arg(idle.as_millis() as u64);
        request.arg(from.to_string()).arg("COUNT").arg(self.count);
        let reply: Value = self.connection.ask(self.limit, &request).await?;
        claimed(reply).ok_or(RedisError::Reply("XAUTOCLAIM"))
    }

    /// These are finished.
    pub(super) async fn acknowledge(&mut self, ids: &[EntryId]) -> Result<(), RedisError> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut request = cmd("XACK");
        request.arg(self.key).arg(GROUP);
        for id in ids {
            request.arg(id.to_string());
        }
        self.ask(&request).await
    }

    /// Sends a request whose reply does not matter.
    pub(super) async fn ask(&mut self, request: &Cmd) -> Result<(), RedisError> {
        self.connection.ask::<Value>(self.limit, request).await.map(drop)
    }
}

/// How many entries may be taken after these; `None` if nothing can be told from them.
fn next_count(entries: &[Entry]) -> Option<usize> {
    let bytes = entries.iter().flat_map(|entry| &entry.fields).map(|(name, value)| name.len() + value.len());
    let each = bytes.sum::<usize>().checked_div(entries.len())?;
    Some((MAX_BYTES / each.max(1)).clamp(1, MAX_ENTRIES))
}

fn claimed(reply: Value) -> Option<(Vec<Entry>, Option<EntryId>)> {
    let Value::Array(parts) = reply else { return None };
    let mut parts = parts.into_iter();
    let next = EntryId::parse(text(&parts.next()?)?)?;
    Some((Entry::list(parts.next()?)?, Some(next).filter(|next| *next != EntryId::default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_entries_are_taken_a_few_at_a_time() {
        let entries = |count: usize, bytes: usize| {
            let entry =
                || Entry { id: EntryId::default(), fields: vec![(b"json".to_vec(), vec![0; bytes - 4])] };
            (0..count).map(|_| entry()).collect::<Vec<_>>()
        };
        assert_eq!(next_count(&[]), None);
        assert_eq!(next_count(&entries(3, 200)), Some(MAX_ENTRIES));
        assert_eq!(next_count(&entries(2, 1 << 20)), Some(8));
        assert_eq!(next_count(&entries(1, 100 << 20)), Some(1));
    }
}
