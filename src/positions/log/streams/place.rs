//! `Place`: where a reader is in a stream, and whether entries beyond it are gone.

use ::redis::Value;

use crate::positions::redis::{Connection, Entry, EntryId, RedisError, pairs, text};

/// Where a reader is in a stream: it has read everything up to here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: EntryId,
    /// How many entries had ever been added up to here; `None` where Redis does not say (before version 7).
    pub(super) added: Option<u64>,
    /// The run of the server that it is in.
    pub(super) run: Option<String>,
}

/// A stream as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    /// The newest id that was ever given.
    last: EntryId,
    /// The first entry that is still there.
    first: Option<EntryId>,
    length: u64,
    /// Entries that were ever added.
    added: Option<u64>,
    run: Option<String>,
}

impl Stream {
    /// Asks for the stream `key`. One that is not there is empty.
    ///
    /// # Errors
    /// As [`Connection::ask`].
    pub(super) async fn look(
        connection: &mut Connection,
        limit: std::time::Duration,
        key: &str,
    ) -> Result<Self, RedisError> {
        let run = connection.run_id(limit, key).await?;
        let reply = connection.ask(limit, ::redis::cmd("XINFO").arg("STREAM").arg(key)).await;
        match reply {
            Ok(reply) => {
                let stream = Self::from_reply(reply).ok_or(RedisError::Reply("XINFO STREAM"))?;
                Ok(Self { run, ..stream })
            }
            // None were ever added.
            Err(RedisError::Redis(error)) if error.detail() == Some("no such key") => {
                Ok(Self { added: Some(0), run, ..Self::default() })
            }
            Err(error) => Err(error),
        }
    }

    fn from_reply(reply: Value) -> Option<Self> {
        let mut stream = Self::default();
        let mut has_last = false;
        for (name, value) in pairs(reply)? {
            match (text(&name)?, value) {
                ("last-generated-id", id) => {
                    stream.last = EntryId::parse(text(&id)?)?;
                    has_last = true;
                }
                ("length", Value::Int(length)) => stream.length = u64::try_from(length).ok()?,
                ("entries-added", Value::Int(added)) => stream.added = Some(u64::try_from(added).ok()?),
                ("first-entry", entry) => stream.first = Entry::from_value(entry).map(|entry| entry.id),
                _ => {}
            }
        }
        has_last.then_some(stream)
    }

    /// Its end.
    pub(super) fn end(&self) -> Place {
        Place { id: self.last, added: self.added, run: self.run.clone() }
    }

    /// True if a reader at `place` may have missed entries, or will: the stream was made anew, or entries beyond its place
    /// were trimmed.
    ///
    /// (Redis' `max-deleted-entry-id` says nothing of entries that were trimmed.)
    pub(super) fn may_miss(&self, place: &Place) -> bool {
        // A server that was started again may have forgotten its last entries, and has given out new ones since.
        let is_other_run = self.run != place.run;
        let is_anew = self.last < place.id;
        let is_trimmed = match (self.added, place.added) {
            (Some(added), Some(read)) => {
                let trimmed = added.saturating_sub(self.length);
                // Those that were trimmed before they were read are missing in what a reader at the end has counted.
                trimmed > read || added < read || (self.last == place.id && added != read)
            }
            _ => self.first.is_some_and(|first| first > place.id),
        };
        is_other_run || is_anew || is_trimmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millis: u64) -> EntryId {
        EntryId { millis, sequence: 0 }
    }

    fn stream(first: u64, last: u64, length: u64, added: Option<u64>) -> Stream {
        Stream { last: id(last), first: Some(id(first)), length, added, run: Some("a".into()) }
    }

    fn place(at: u64, added: Option<u64>) -> Place {
        Place { id: id(at), added, run: Some("a".into()) }
    }

    #[test]
    fn a_reader_that_keeps_up_misses_nothing() {
        for added in [Some(30), None] {
            let stream = stream(21, 30, 10, added);
            assert!(!stream.may_miss(&stream.end()));
            for at in [21, 25, 29] {
                assert!(!stream.may_miss(&place(at, added.map(|_| at))), "{at} {added:?}");
            }
        }
        // It has read the last one that was trimmed. Without the count that cannot be known.
        assert!(!stream(21, 30, 10, Some(30)).may_miss(&place(20, Some(20))));
        assert!(stream(21, 30, 10, None).may_miss(&place(20, None)));
        // One that was not there, and has its first entries.
        let none = Stream { added: Some(0), run: Some("a".into()), ..Stream::default() };
        assert!(!none.may_miss(&none.end()));
        assert!(!stream(1, 5, 5, Some(5)).may_miss(&none.end()));
    }

    #[test]
    fn trimmed_entries_are_missed() {
        assert!(stream(21, 30, 10, Some(30)).may_miss(&place(19, Some(19))));
        assert!(stream(21, 30, 10, None).may_miss(&place(19, None)));
        // It jumped over five without noticing; it sees so when it is at the end.
        assert!(stream(21, 30, 10, Some(30)).may_miss(&place(30, Some(25))));
    }

    #[test]
    fn a_stream_that_was_made_anew_is_missed() {
        let gone = Stream { added: Some(0), run: Some("a".into()), ..Stream::default() };
        assert!(gone.may_miss(&place(20, Some(20))));
        assert!(stream(1, 5, 5, Some(5)).may_miss(&place(20, Some(20))));
        assert!(stream(31, 35, 5, Some(5)).may_miss(&place(20, Some(20))));
        let other_run = Stream { run: Some("b".into()), ..stream(21, 30, 10, Some(30)) };
        assert!(other_run.may_miss(&place(25, Some(25))));
    }
}
