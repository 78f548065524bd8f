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
        let plain = "sqlite://<file>, such as sqlite://data/positions.db; or postgres://<user>:<password>@<host>:<port>/<database>";
        let tls =
            ", without sslmode=require or stricter, as this program was built without TLS (feature tls)";
        if cfg!(feature = "tls") { plain.into() } else { format!("{plain}{tls}") }
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

/// What is wrong beyond that is said when it is opened.
fn is_postgres(rest: &str) -> bool {
    let strict = [
        "sslmode=require",
        "sslmode=verify-ca",
        "sslmode=verify-full",
        "ssl-mode=require",
        "ssl-mode=verify",
    ];
    let needs_tls = strict.iter().any(|mode| rest.contains(mode));
    let names_something = rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty());
    names_something && !rest.contains(['\0', '\u{FFFD}']) && (cfg!(feature = "tls") || !needs_tls)
}
