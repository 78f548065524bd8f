//! `DatabaseUrl`: which database positions are kept in.

use std::fmt;
use std::path::PathBuf;

use super::kind::Kind;
use super::secret::{Secret, without_password};

/// Which database positions are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database; the URL may hold a password.
    Postgres(Secret),
}

/// Without password.
impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "sqlite://{}", file.display()),
            Self::Postgres(url) => f.write_str(&without_password(url.reveal())),
        }
    }
}

impl Kind for DatabaseUrl {
    type Value = Self;

    fn allowed() -> String {
        "sqlite://<file>, such as sqlite://data/positions.db; or postgres://<user>:<password>@<host>:<port>/<database>, \
            perhaps with ?sslmode=…, sslrootcert, host and others of libpq's parameters, but user and password (sslmode=require \
            and stricter need a program that was built with the feature tls)"
            .into()
    }

    fn read(text: &str) -> Result<Self, Vec<String>> {
        let read = match text.split_once(':') {
            Some(("sqlite", rest)) => sqlite(rest),
            Some(("postgres" | "postgresql", rest)) => {
                is_postgres(rest).then(|| Self::Postgres(Secret::new(text)))
            }
            _ => None,
        };
        read.ok_or_else(|| vec![without_password(text)])
    }

    fn show(value: &Self) -> String {
        value.to_string()
    }

    fn stand_in() -> Self {
        Self::Sqlite(PathBuf::new())
    }
}

fn sqlite(rest: &str) -> Option<DatabaseUrl> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    // In memory nothing would be durable; the options after `?` are ours to set; and what was no UTF-8 in the environment is
    // no file that anyone named.
    let is_file = !path.is_empty() && !path.contains(['?', '\0', '\u{FFFD}']) && !path.contains(":memory:");
    // A host with a user and perhaps a password is another database's URL.
    let authority = rest.strip_prefix("//").and_then(|rest| rest.split('/').next());
    let has_user = authority.is_some_and(|authority| authority.contains('@'));
    (is_file && !has_user).then(|| DatabaseUrl::Sqlite(path.into()))
}

/// What may follow `?`. A password stands before the host, where it is known not to be shown; and what the driver does not know it
/// would write to the log.
const PARAMETERS: [&str; 10] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
];

/// What is wrong beyond that is said when it is opened.
fn is_postgres(rest: &str) -> bool {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_allowed = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let needs_tls = name == "sslmode" && ["require", "verify-ca", "verify-full"].contains(&value);
        PARAMETERS.contains(&name) && (cfg!(feature = "tls") || !needs_tls)
    };
    let names_something = place.starts_with("//") && rest.len() > 2;
    names_something
        && !rest.contains(['\0', '\u{FFFD}'])
        && query.split('&').filter(|parameter| !parameter.is_empty()).all(is_allowed)
}
