//! `RedisServers`: the servers that `REDIS_URL` names, and the names of streams in them.

use std::fmt;

use super::kind::Kind;
use super::secret::{Secret, without_password};

/// The port where a URL names none.
const DEFAULT_PORT: u16 = 6379;

/// Longest name of a stream, in bytes.
const MAX_NAME_BYTES: usize = 256;

/// A Redis server, or several nodes of one Redis Cluster. Shown without user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisServers {
    /// At least one.
    pub nodes: Vec<RedisNode>,
    /// Whether connections are encrypted.
    pub tls: bool,
    /// Who logs in; `None`: Redis' own default.
    pub user: Option<String>,
    /// With what.
    pub password: Option<Secret>,
    /// The database's number; 0 in a cluster.
    pub database: u32,
}

/// Where one server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisNode {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for RedisServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let hidden = if self.user.is_some() || self.password.is_some() { "(hidden)@" } else { "" };
        for (index, node) in self.nodes.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{scheme}://{hidden}{node}/{}", self.database)?;
        }
        Ok(())
    }
}

impl fmt::Display for RedisNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// The URLs of a Redis server, or of several nodes of one Redis Cluster.
pub(super) struct RedisUrl;

impl Kind for RedisUrl {
    type Value = RedisServers;

    fn allowed() -> String {
        "redis://[user:password@]host[:port][/database] or rediss://… with TLS, `%` and two hexadecimal digits for what is \
            special in user and password; of a Redis Cluster several nodes, with commas between them, which differ in host \
            and port only and have no database"
            .into()
    }

    fn read(text: &str) -> Result<RedisServers, Vec<String>> {
        let urls: Vec<&str> = text.split(',').map(str::trim).collect();
        let read: Vec<Option<RedisServers>> = urls.iter().map(|url| server(url)).collect();
        let wrong = urls.iter().zip(&read).filter(|(_, read)| read.is_none());
        // Each by itself, so that a comma in a password hides nothing of it.
        let wrong: Vec<String> = wrong.map(|(url, _)| shown(url)).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut servers = read.into_iter().flatten();
        let Some(mut first) = servers.next() else { return Err(vec![String::new()]) };
        for other in servers {
            let nodes = first.nodes.iter().chain(&other.nodes).cloned().collect();
            if (RedisServers { nodes: first.nodes.clone(), ..other }) != first || first.database != 0 {
                return Err(vec![urls.iter().map(|url| shown(url)).collect::<Vec<_>>().join(",")]);
            }
            first.nodes = nodes;
        }
        Ok(first)
    }

    fn show(value: &RedisServers) -> String {
        value.to_string()
    }

    fn stand_in() -> RedisServers {
        RedisServers { nodes: Vec::new(), tls: false, user: None, password: None, database: 0 }
    }
}

/// A URL that is wrong, as it may be shown. One that is no URL at all may be the rest of a password with a comma in it.
fn shown(url: &str) -> String {
    if url.starts_with("redis") { without_password(url) } else { "(hidden)".to_owned() }
}

/// Reads one URL.
fn server(url: &str) -> Option<RedisServers> {
    let (tls, rest) = match url.split_once("://")? {
        ("redis", rest) => (false, rest),
        ("rediss", rest) => (true, rest),
        _ => return None,
    };
    let (login, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (Some(login), rest),
        None => (None, rest),
    };
    let (address, database) = rest.split_once('/').unwrap_or((rest, ""));
    let database = if database.is_empty() { 0 } else { whole(database)? };
    let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
        Some((user, password)) => (decoded(user)?, decoded(password)?),
        None => (None, None),
    };
    let password = password.map(|password| Secret::new(&password));
    Some(RedisServers { nodes: vec![node(address)?], tls, user, password, database })
}

/// Reads `host[:port]`.
fn node(address: &str) -> Option<RedisNode> {
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').or_else(|| port.is_empty().then_some(""))?)
        }
        None => address.split_once(':').unwrap_or((address, "")),
    };
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let fits = !host.is_empty() && host.chars().all(is_part);
    let port = if port.is_empty() { DEFAULT_PORT } else { u16::try_from(whole(port)?).ok()? };
    (fits && port != 0).then(|| RedisNode { host: host.to_owned(), port })
}

/// A number of digits only.
fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `text` with `%XX` decoded; none where it is empty.
fn decoded(text: &str) -> Option<Option<String>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    let text = String::from_utf8(bytes).ok()?;
    Some(Some(text).filter(|text| !text.is_empty()))
}

/// The name of a stream.
pub(super) struct StreamName;

impl Kind for StreamName {
    type Value = String;

    fn allowed() -> String {
        format!("at most {MAX_NAME_BYTES} printable ASCII characters, no space and no brace")
    }

    fn read(text: &str) -> Result<String, Vec<String>> {
        // What is in braces decides where a Redis Cluster keeps it.
        let fits =
            text.len() <= MAX_NAME_BYTES && text.chars().all(|c| c.is_ascii_graphic() && !"{}".contains(c));
        if fits { Ok(text.to_owned()) } else { Err(vec![text.to_owned()]) }
    }

    fn show(value: &String) -> String {
        value.clone()
    }

    fn stand_in() -> String {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RedisServers {
        RedisUrl::read(text).unwrap()
    }

    #[test]
    fn a_url_has_what_redis_needs() {
        let plain = read("redis://localhost");
        assert_eq!(plain.nodes, [RedisNode { host: "localhost".into(), port: 6379 }]);
        assert_eq!((plain.tls, plain.user, plain.password, plain.database), (false, None, None, 0));
        let full = read("rediss://me:p%40ss%2C%3a@[::1]:7000/3");
        assert_eq!(full.nodes, [RedisNode { host: "::1".into(), port: 7000 }]);
        assert_eq!((full.tls, full.user.as_deref(), full.database), (true, Some("me"), 3));
        assert_eq!(full.password.as_ref().map(Secret::reveal), Some("p@ss,:"));
        assert_eq!(full.to_string(), "rediss://(hidden)@[::1]:7000/3");
        let password = read("redis://:secret@a:1/");
        assert_eq!((password.user, password.password), (None, Some(Secret::new("secret"))));
    }

    #[test]
    fn nodes_of_a_cluster_differ_in_their_addresses_only() {
        let cluster = read("redis://:x@a:1, redis://:x@b:2");
        assert_eq!(cluster.to_string(), "redis://(hidden)@a:1/0,redis://(hidden)@b:2/0");
        for text in ["redis://a,rediss://b", "redis://:x@a,redis://:y@b", "redis://a/1,redis://b/1"] {
            assert!(RedisUrl::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_shown_without_the_password() {
        for text in [
            "redis://",
            "redis://:secret@",
            "redis://:secret@a:0",
            "redis://:secret@a:65536",
            "redis://:secret@a:+1",
            "redis://:secret@a/x",
            "redis://:secret@a/0?x=1",
            "redis://:secret@a b",
            "redis://:secret%4@a",
            "redis://:secret%zz@a",
            "redis://:secret%ff@a",
            "redis://:secret@[::1",
            "redis://:secret@[x]",
            "redis://:x,secret@a",
            "http://:secret@a",
            "redis:secret@a",
            "redis://:secret@a,",
            "redis://:secret@a,redis://:secret@b/1",
        ] {
            let parts = RedisUrl::read(text).expect_err(text);
            assert!(parts.iter().all(|part| !part.contains("secret")), "{text}: {parts:?}");
        }
    }

    #[test]
    fn names_of_streams_have_no_braces() {
        assert_eq!(StreamName::read("processor:log"), Ok("processor:log".to_owned()));
        for name in ["a b", "{a}", "ü", "a\n", &"x".repeat(257)] {
            assert!(StreamName::read(name).is_err(), "{name}");
        }
    }
}
