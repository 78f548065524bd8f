//! `Opening`: the HTTP request with which a client asks for a connection, read from the bytes of its head.

use std::fmt;
use std::ops::Range;

/// The longest head that is read, request line and headers, in bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 8 * 1024;

/// The most headers that are read.
const MAX_HEADERS: usize = 64;

/// The head of an HTTP request. It owns its bytes, so whoever decides about it may take time to do so.
pub struct Opening {
    head: Box<[u8]>,
    method: Range<usize>,
    target: Range<usize>,
    minor_version: u8,
    headers: Vec<Header>,
}

/// Where a header's name and value are in the head.
#[derive(Debug)]
struct Header {
    name: Range<usize>,
    value: Range<usize>,
}

/// Why bytes are not the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpeningError {
    /// They are not HTTP/1.
    #[error("not an HTTP/1 request")]
    Malformed,
    /// They are longer than [`MAX_HEAD_BYTES`], or hold too many headers.
    #[error("the request's head is too long")]
    TooLong,
}

/// Method and path only: a header or the query may hold a secret.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [method, target] =
            [&self.method, &self.target].map(|part| String::from_utf8_lossy(&self.head[part.clone()]));
        write!(f, "Opening({method} {})", target.split('?').next().unwrap_or_default())
    }
}

impl Opening {
    /// Reads a request's head from `bytes`, which may hold more. Returns it with its length in bytes, or `None` if it
    /// is not complete.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, OpeningError> {
        let bytes = &bytes[..bytes.len().min(MAX_HEAD_BYTES)];
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let length = match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
            Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
                return Err(OpeningError::TooLong);
            }
            Err(_) => return Err(OpeningError::Malformed),
        };
        // The parser's slices point into `bytes`; what is kept is where they are.
        let place = |part: &[u8]| {
            let start = part.as_ptr().addr() - bytes.as_ptr().addr();
            start..start + part.len()
        };
        let header = |header: &httparse::Header<'_>| {
            // The parser points an empty value nowhere in particular.
            let value = if header.value.is_empty() { 0..0 } else { place(header.value) };
            Header { name: place(header.name.as_bytes()), value }
        };
        let opening = Self {
            method: request.method.map_or(0..0, |method| place(method.as_bytes())),
            target: request.path.map_or(0..0, |target| place(target.as_bytes())),
            minor_version: request.version.unwrap_or_default(),
            headers: request.headers.iter().map(header).collect(),
            head: bytes[..length].into(),
        };
        Ok(Some((opening, length)))
    }

    /// The request target (RFC 9112 section 3.2): path and query as they came.
    pub fn target(&self) -> &[u8] {
        &self.head[self.target.clone()]
    }

    /// True if the method is this one; methods are case-sensitive.
    pub(crate) fn is(&self, method: &str) -> bool {
        self.head[self.method.clone()] == *method.as_bytes()
    }

    /// True for HTTP/1.1, false for HTTP/1.0.
    pub(crate) fn is_http_1_1(&self) -> bool {
        self.minor_version == 1
    }

    /// The values of all headers of this name, from first to last.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        let named =
            move |header: &&Header| self.head[header.name.clone()].eq_ignore_ascii_case(name.as_bytes());
        self.headers.iter().filter(named).map(|header| self.head[header.value.clone()].trim_ascii())
    }

    /// True if there is a header of this name.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// The header's value if it is there once and is text.
    pub fn single<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let value = values.next()?;
        if values.next().is_some() { None } else { std::str::from_utf8(value).ok() }
    }

    /// True if `token` is one of the header's comma-separated values.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        let is = |part: &[u8]| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes());
        self.all(name).any(|value| value.split(|byte| *byte == b',').any(is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(head: &str) -> Opening {
        let (opening, length) = Opening::parse(head.as_bytes()).unwrap().unwrap();
        assert_eq!(length, head.len());
        opening
    }

    #[test]
    fn reads_method_version_and_headers() {
        let opening = whole("GET /a HTTP/1.1\r\nA: 1\r\nb:  x, Upgrade \r\na:2\r\nempty:\r\n\r\n");
        assert!(opening.is("GET") && !opening.is("get") && opening.is_http_1_1());
        assert_eq!(opening.all("a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!((opening.single("a"), opening.single("B")), (None, Some("x, Upgrade")));
        assert_eq!((opening.single("empty"), opening.single("missing")), (Some(""), None));
        assert!(opening.has_token("b", "upgrade") && !opening.has_token("b", "up"));
        assert!(!whole("GET / HTTP/1.0\n\n").is_http_1_1());
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let opening = whole("GET /a?token=s3 HTTP/1.1\r\nAuthorization: Bearer s3\r\n\r\n");
        assert_eq!(format!("{opening:?}"), "Opening(GET /a)");
    }

    #[test]
    fn what_follows_the_head_is_not_part_of_it() {
        let (opening, length) = Opening::parse(b"GET / HTTP/1.1\r\na: b\r\n\r\nmore").unwrap().unwrap();
        assert_eq!((opening.single("a"), length), (Some("b"), 24));
    }

    #[test]
    fn a_head_in_parts_is_partial_up_to_its_last_byte() {
        let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        for length in 0..head.len() {
            assert!(Opening::parse(&head[..length]).unwrap().is_none(), "{length}");
        }
    }

    #[test]
    fn other_protocols_are_malformed_and_long_heads_too_long() {
        let fails = |bytes: &[u8]| Opening::parse(bytes).unwrap_err();
        assert_eq!(fails(b"\x16\x03\x01\x02\x00\x01"), OpeningError::Malformed);
        assert_eq!(fails(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), OpeningError::Malformed);
        assert_eq!(fails(b"GET / HTTP/1.1\r\nbroken\r\n\r\n"), OpeningError::Malformed);
        assert_eq!(fails("GET / HTTP/1.1\r\n".repeat(1000).as_bytes()), OpeningError::Malformed);
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_HEAD_BYTES));
        assert_eq!(fails(long.as_bytes()), OpeningError::TooLong);
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(fails(many.as_bytes()), OpeningError::TooLong);
    }
}
