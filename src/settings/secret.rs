//! `Secret`: a text that is never printed; and how a URL is shown that may hold one.

use std::fmt;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being printed.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself, to compare with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(set)")
    }
}

/// `text` without the user and password of a URL in it, also where the slashes were forgotten, and without what follows its `?`.
pub(super) fn without_password(text: &str) -> String {
    let (place, query) = match text.split_once('?') {
        Some((place, _)) => (place, "?(hidden)"),
        None => (text, ""),
    };
    // A password may hold a `?`, written as it is.
    let (place, query) = if text.contains('@') && !place.contains('@') { (text, "") } else { (place, query) };
    let after_scheme = |at: usize| at + if place[at..].starts_with("://") { 3 } else { 1 };
    match (place.find(':').map(after_scheme), place.rfind('@')) {
        (Some(from), Some(to)) if from < to => format!("{}(hidden){}{query}", &place[..from], &place[to..]),
        _ => format!("{place}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        for (text, shown) in [
            ("sqlite://data/a.db", "sqlite://data/a.db"),
            ("postgres://user:s3cret@host/db", "postgres://(hidden)@host/db"),
            ("postgres:user:s3cret@host", "postgres:(hidden)@host"),
            ("postgres://u:s3@cret@host/db?sslmode=off", "postgres://(hidden)@host/db?(hidden)"),
            ("postgres://host/db?password=s3cret", "postgres://host/db?(hidden)"),
            ("postgres://u:s3?cret@host/db", "postgres://(hidden)@host/db"),
        ] {
            assert_eq!(without_password(text), shown);
        }
    }
}
