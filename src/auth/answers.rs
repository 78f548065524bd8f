//! `Answers`: what was answered about credentials, kept for as long as it holds.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::digest;

use super::refused::Refused;
use crate::domain::{Credentials, Principal};

/// Most principals that are kept.
const MAX_PRINCIPALS: usize = 10_000;

/// Most refusals that are kept.
const MAX_REFUSALS: usize = 1_000;

/// Most bytes of answers of a kind that are kept, which take about twice as much: one client with long claims can come with many paths.
const MAX_BYTES: usize = 16 << 20;

/// The longest that an answer is kept, whatever it says.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// What was answered: a principal, or that there is none.
pub(super) type Answer = Result<Arc<Principal>, Refused>;

/// What was answered.
pub(super) struct Answers {
    principals: Shelf,
    /// Apart, as strangers can cause any number.
    refusals: Shelf,
}

/// Answers of a kind, by a digest of the credentials, so that those are not kept.
struct Shelf {
    kept: HashMap<Key, Kept>,
    /// Of all that are kept.
    bytes: usize,
    most: usize,
}

type Key = [u8; 32];

struct Kept {
    answer: Answer,
    until: Instant,
    /// Of the answer's body.
    bytes: usize,
}

impl Default for Answers {
    fn default() -> Self {
        Self { principals: Shelf::new(MAX_PRINCIPALS), refusals: Shelf::new(MAX_REFUSALS) }
    }
}

impl Answers {
    /// The one that still holds.
    pub(super) fn get(&self, credentials: &Credentials) -> Option<Answer> {
        let key = key(credentials);
        let kept = self.principals.kept.get(&key).or_else(|| self.refusals.kept.get(&key));
        kept.filter(|kept| Instant::now() < kept.until).map(|kept| kept.answer.clone())
    }

    /// Keeps one that came in `bytes` and holds for so long.
    pub(super) fn keep(
        &mut self,
        credentials: &Credentials,
        answer: Answer,
        max_age: Duration,
        bytes: usize,
    ) {
        if max_age.is_zero() {
            return;
        }
        let until = Instant::now() + max_age.min(MAX_AGE);
        let shelf = if answer.is_ok() { &mut self.principals } else { &mut self.refusals };
        shelf.put(key(credentials), Kept { answer, until, bytes });
    }
}

impl Shelf {
    fn new(most: usize) -> Self {
        Self { kept: HashMap::new(), bytes: 0, most }
    }

    /// Keeps one more, in the place of others if it must: of any, as whoever they are of is asked about again.
    fn put(&mut self, key: Key, one: Kept) {
        self.remove(&key);
        while self.kept.len() >= self.most || self.bytes + one.bytes > MAX_BYTES {
            let Some(victim) = self.kept.keys().next().copied() else { return };
            self.remove(&victim);
        }
        self.bytes += one.bytes;
        self.kept.insert(key, one);
    }

    fn remove(&mut self, key: &Key) {
        self.bytes -= self.kept.remove(key).map_or(0, |kept| kept.bytes);
    }
}

/// A digest of all that is sent.
fn key(credentials: &Credentials) -> Key {
    let Credentials { authorization, token, cookie, path } = credentials;
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [authorization.as_deref(), token.as_deref(), cookie.as_deref(), Some(path.as_str())] {
        // Lengths keep parts apart.
        context.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        context.update(part.unwrap_or_default().as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(context.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_answers_are_kept_and_no_more_than_so_many_bytes_of_them() {
        let mut shelf = Shelf::new(3);
        let put = |shelf: &mut Shelf, key: u8, bytes| {
            shelf.put([key; 32], Kept { answer: Err(Refused::Denied), until: Instant::now(), bytes });
            (shelf.kept.len(), shelf.bytes)
        };
        let counts =
            [(1, 10), (1, 20), (2, 1), (3, 1), (4, 1)].map(|(key, bytes)| put(&mut shelf, key, bytes));
        assert_eq!(&counts[..4], [(1, 10), (1, 20), (2, 21), (3, 22)]);
        assert_eq!(counts[4].0, 3);
        assert_eq!(put(&mut shelf, 5, MAX_BYTES), (1, MAX_BYTES));
        assert_eq!(put(&mut shelf, 6, 1), (1, 1));
        // What is too long by itself is not kept, and takes the place of none that are gone for it already.
        assert_eq!(put(&mut shelf, 7, MAX_BYTES + 1), (0, 0));
    }

    #[test]
    fn credentials_are_told_apart_by_each_of_their_parts() {
        let credentials = |authorization: Option<&str>,
                           token: Option<&str>,
                           cookie: Option<&str>,
                           path: &str| Credentials {
            authorization: authorization.map(str::to_owned),
            token: token.map(str::to_owned),
            cookie: cookie.map(str::to_owned),
            path: path.to_owned(),
        };
        let all = [
            credentials(Some("a"), None, None, "/"),
            credentials(None, Some("a"), None, "/"),
            credentials(None, None, Some("a"), "/"),
            credentials(Some("a"), None, None, "/b"),
            credentials(Some("ab"), None, None, "/"),
            credentials(Some("a"), Some("b"), None, "/"),
            credentials(Some("a"), Some(""), None, "/"),
        ];
        let mut keys: Vec<_> = all.iter().map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
    }
}
