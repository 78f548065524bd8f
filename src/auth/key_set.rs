//! `KeySet`: the keys of whoever signs tokens, as a URL has them (RFC 7517): read again now and then, kept while the URL is away.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::fetch::{FetchError, Fetcher};
use super::refused::Refused;
use crate::settings::PageUrl;

/// How often the set is read while all is well.
const READ_EVERY: Duration = Duration::from_secs(600);

/// How often it is read at most, whatever tokens name; and while there is none.
const READ_AT_MOST_EVERY: Duration = Duration::from_secs(10);

/// Longest set, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// Most keys that are used.
const MAX_KEYS: usize = 1000;

/// The keys at a URL.
pub(super) struct KeySet {
    url: PageUrl,
    algorithm: Algorithm,
    fetcher: Fetcher,
    keys: RwLock<Arc<Keys>>,
    /// Held while it is read.
    reading: Mutex<Reading>,
}

/// Keys by their id; `None`: one without.
type Keys = HashMap<Option<String>, DecodingKey>;

/// How it went when it was last read.
#[derive(Default)]
struct Reading {
    at: Option<Instant>,
    failed: bool,
}

/// Why a set is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeySetError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("answered {0}")]
    Status(u16),
    #[error("is no JSON Web Key Set")]
    Syntax,
    #[error("has no key for {0}")]
    NoKey(String),
}

impl KeySet {
    /// The keys at `url` that check what is signed with `algorithm`. Reads nothing yet.
    pub(super) fn new(url: &PageUrl, algorithm: Algorithm, timeout: Duration) -> Self {
        let fetcher = Fetcher::new(timeout, MAX_BYTES);
        Self { url: url.clone(), algorithm, fetcher, keys: RwLock::default(), reading: Mutex::default() }
    }

    /// The key with this id; or the only one there is, for a token that names none.
    pub(super) fn find(&self, id: Option<&str>) -> Option<DecodingKey> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        match id {
            Some(id) => keys.get(&Some(id.to_owned())).cloned(),
            None if keys.len() == 1 => keys.values().next().cloned(),
            None => keys.get(&None).cloned(),
        }
    }

    /// The same, after the set was read again, unless that was done a moment ago.
    ///
    /// # Errors
    /// [`Refused::UnknownKey`] if there is no such key, [`Refused::Unavailable`] if that cannot be known.
    pub(super) async fn find_anew(self: &Arc<Self>, id: Option<&str>) -> Result<DecodingKey, Refused> {
        let (this, wanted) = (self.clone(), id.map(str::to_owned));
        // Whoever waits for it may go away: then it is read all the same, or strangers could have it begun again and again.
        let read = tokio::spawn(async move { this.read_unless_known(wanted.as_deref()).await });
        let failed = read.await.unwrap_or(true);
        let unavailable = || Refused::Unavailable("AUTH_JWKS_URL cannot be read".to_owned());
        let refused = if failed { unavailable() } else { Refused::UnknownKey };
        self.find(id).ok_or(refused)
    }

    /// Reads the set if it is time, unless somebody else has brought this key meanwhile. True if that failed the last time.
    async fn read_unless_known(&self, id: Option<&str>) -> bool {
        let mut reading = self.reading.lock().await;
        if self.find(id).is_none() {
            self.read_if_due(&mut reading).await;
        }
        reading.failed
    }

    async fn read_if_due(&self, reading: &mut Reading) {
        if reading.at.is_none_or(|at| at.elapsed() >= READ_AT_MOST_EVERY) {
            self.read(reading).await;
        }
    }

    /// Reads the set now and then, for ever.
    pub(super) async fn keep_reading(self: Arc<Self>) {
        loop {
            let failed = {
                let mut reading = self.reading.lock().await;
                self.read_if_due(&mut reading).await;
                reading.failed
            };
            tokio::time::sleep(if failed { READ_AT_MOST_EVERY } else { READ_EVERY }).await;
        }
    }

    async fn read(&self, reading: &mut Reading) {
        let read = self.fetch().await;
        reading.at = Some(Instant::now());
        let failed = read.is_err();
        match read {
            Ok(keys) => {
                if reading.failed {
                    log::info!("AUTH_JWKS_URL: {} works again", self.url.without_query());
                }
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            Err(error) if !reading.failed => {
                let kept = self.keys.read().unwrap_or_else(PoisonError::into_inner).len();
                let url = self.url.without_query();
                match kept {
                    0 => log::warn!("AUTH_JWKS_URL: {url}: {error}; nobody gets in until it works"),
                    _ => log::warn!("AUTH_JWKS_URL: {url}: {error}; {kept} keys of before are used"),
                }
            }
            Err(_) => {}
        }
        reading.failed = failed;
    }

    async fn fetch(&self) -> Result<Keys, KeySetError> {
        let response = self.fetcher.get(&self.url.text(), Vec::new(), None).await?;
        if response.status != 200 {
            return Err(KeySetError::Status(response.status));
        }
        let keys = usable(&response.body, self.algorithm)?;
        if keys.is_empty() { Err(KeySetError::NoKey(format!("{:?}", self.algorithm))) } else { Ok(keys) }
    }
}

/// The keys of a set that check signatures of this algorithm. Others are not for us.
fn usable(json: &[u8], algorithm: Algorithm) -> Result<Keys, KeySetError> {
    #[derive(serde::Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(json).map_err(|_| KeySetError::Syntax)?;
    // A key of a kind that is not known must not spoil the set (RFC 7517 section 5).
    let known = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    let set = JwkSet { keys: known.collect() };
    let is_ours = |key: &&Jwk| {
        let common = &key.common;
        let is_for_signatures = !matches!(common.public_key_use, Some(PublicKeyUse::Encryption));
        let is_of_algorithm =
            common.key_algorithm.is_none_or(|one| one.to_string() == format!("{algorithm:?}"));
        is_for_signatures && is_of_algorithm
    };
    let keys = set.keys.iter().filter(is_ours).filter_map(|key| {
        let decoding = DecodingKey::from_jwk(key).ok()?;
        (decoding.family() == algorithm.family()).then(|| (key.common.key_id.clone(), decoding))
    });
    Ok(keys.take(MAX_KEYS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(json: &str) -> Vec<Option<String>> {
        let mut ids: Vec<_> = usable(json.as_bytes(), Algorithm::RS256).unwrap().into_keys().collect();
        ids.sort();
        ids
    }

    #[test]
    fn of_a_set_those_keys_are_used_that_fit() {
        let json = r#"{"keys":[
            {"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"b","use":"sig","alg":"RS256","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"c","alg":"PS256","n":"AQAB","e":"AQAB"},
            {"kty":"RSA","kid":"d","use":"enc","n":"AQAB","e":"AQAB"},
            {"kty":"oct","kid":"e","k":"c2VjcmV0"},
            {"kty":"EC","kid":"f","crv":"P-256","x":"AQAB","y":"AQAB"},
            {"kty":"XYZ","kid":"g"},
            7,
            {"kty":"RSA","n":"AQAB","e":"AQAB","other":{}}
        ]}"#;
        assert_eq!(ids(json), [None, Some("a".into()), Some("b".into())]);
        assert!(ids(r#"{"keys":[]}"#).is_empty());
        for garbage in ["", "[]", "{}", r#"{"keys":7}"#] {
            assert!(usable(garbage.as_bytes(), Algorithm::RS256).is_err(), "{garbage}");
        }
    }
}
