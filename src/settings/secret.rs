//! `Secret`: a text that is never printed, set by itself or in a file; and how a URL is shown that may hold one.

use std::fmt;

use super::kind::SecretText;
use super::map::FilePath;
use super::read::Reader;
use super::setting::Setting;

/// The longest file that is read for a secret, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

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

/// A secret that may be set by itself, or be in a file, as orchestrators mount them: its first line.
pub(super) fn with_file(
    read: &mut Reader,
    setting: &Setting<SecretText>,
    file_setting: &Setting<FilePath>,
) -> Option<Secret> {
    let secret = read.optional(setting);
    let Some(file) = read.optional(file_setting) else { return secret };
    if secret.is_some() {
        read.fault(file_setting, &file, format!("not beside {}: one of the two", setting.variable));
        return secret;
    }
    match first_line(&file) {
        Ok(line) => Some(Secret::new(&line)),
        Err(reason) => {
            read.fault(file_setting, &file, format!("a file with the secret in its first line: {reason}"));
            None
        }
    }
}

fn first_line(file: &std::path::Path) -> Result<String, String> {
    use std::io::Read as _;
    // A pipe would be waited for.
    if !file.metadata().map_err(|error| error.to_string())?.is_file() {
        return Err("this is no file".to_owned());
    }
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    opened.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(|error| error.to_string())?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() { Err("its first line is empty".to_owned()) } else { Ok(line.to_owned()) }
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
