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

/// `text` without the user and password of a URL in it, also where the slashes were forgotten.
pub(super) fn without_password(text: &str) -> String {
    let after_scheme = |at: usize| at + if text[at..].starts_with("://") { 3 } else { 1 };
    match (text.find(':').map(after_scheme), text.rfind('@')) {
        (Some(from), Some(to)) if from < to => format!("{}(hidden){}", &text[..from], &text[to..]),
        _ => text.to_owned(),
    }
}
