//! `Tiles`: a file of map tiles in PMTiles format, sent whole or in part.
//!
//! The page reads a directory in it and then the tiles that it shows, each by a `Range`. What is in the file is not looked
//! at here but for its first bytes, when it is opened.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::dev::RequestHead;
use actix_web::http::header;
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, Bytes};
use futures_util::Stream;
use futures_util::stream::unfold;

use super::conditions;
use super::range::Part;
use super::reply;
use crate::http::head::{list, text};

/// Where it is served.
pub(super) const PATH: &str = "/map.pmtiles";

/// How a PMTiles file of version 3 begins.
const MAGIC: &[u8] = b"PMTiles\x03";

/// What is read of the file at a time, in bytes.
const PIECE: u64 = 64 * 1024;

/// Why a file cannot be served as tiles.
#[derive(Debug, thiserror::Error)]
pub enum TilesError {
    /// The system's reason.
    #[error("{0}")]
    Unreadable(#[from] io::Error),
    /// It is a folder, a device or such.
    #[error("it is not a regular file")]
    NoFile,
    /// It does not begin as such a file does.
    #[error("it is not a PMTiles file of version 3")]
    NoTiles,
}

/// Whether this file can be served.
///
/// # Errors
/// [`TilesError`] if not.
pub fn check(path: &Path) -> Result<(), TilesError> {
    Tiles::open(path).map(drop)
}

/// The file, open. Another one that takes its place is not noticed.
pub(super) struct Tiles(Arc<File>);

impl Tiles {
    /// Opens the file and looks at its beginning.
    ///
    /// # Errors
    /// [`TilesError`] if it cannot be served.
    pub(super) fn open(path: &Path) -> Result<Self, TilesError> {
        // Opening a pipe would wait for whoever writes to it.
        if !std::fs::metadata(path)?.is_file() {
            return Err(TilesError::NoFile);
        }
        let file = File::open(path)?;
        let mut begin = [0; MAGIC.len()];
        match file.read_exact_at(&mut begin, 0) {
            Ok(()) if begin == *MAGIC => Ok(Self(Arc::new(file))),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error.into()),
            Ok(()) | Err(_) => Err(TilesError::NoTiles),
        }
    }

    /// The response to a GET or HEAD of it.
    pub(super) fn response(&self, head: &RequestHead) -> HttpResponse {
        let (length, tag) = match self.state() {
            Ok(state) => state,
            Err(error) => {
                log::warn!("the file of map tiles cannot be read: {error}");
                return reply::text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the file of map tiles cannot be read",
                );
            }
        };
        let mut response = if list(head, &header::IF_NONE_MATCH)
            .is_some_and(|tags| conditions::has(&tags, &tag))
        {
            HttpResponse::NotModified().finish()
        } else {
            match wanted(head, length, &tag) {
                Part::Whole => self.body(head, StatusCode::OK, 0, length),
                Part::Bytes { first, last } => {
                    let mut response = self.body(head, StatusCode::PARTIAL_CONTENT, first, last - first + 1);
                    insert(&mut response, header::CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
                    response
                }
                Part::Unsatisfiable => {
                    let mut response =
                        reply::text(StatusCode::RANGE_NOT_SATISFIABLE, "there is no such part");
                    insert(&mut response, header::CONTENT_RANGE, format!("bytes */{length}"));
                    return response;
                }
            }
        };
        insert(&mut response, header::ETAG, tag);
        insert(&mut response, header::ACCEPT_RANGES, "bytes".to_owned());
        // The page sees by the tag when parts of two versions come together, and asks again.
        insert(&mut response, header::CACHE_CONTROL, "public, max-age=3600".to_owned());
        response
    }

    /// Its length in bytes, and the tag of what it holds now.
    fn state(&self) -> io::Result<(u64, String)> {
        let metadata = self.0.metadata()?;
        let (length, seconds, nanos) = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        Ok((length, format!("\"{length:x}-{seconds:x}-{nanos:x}\"")))
    }

    /// A response with `length` bytes from `first` on; their number alone to a HEAD.
    fn body(&self, head: &RequestHead, status: StatusCode, first: u64, length: u64) -> HttpResponse {
        let sent = if head.method == Method::HEAD { 0 } else { length };
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, "application/vnd.pmtiles"));
        response.body(SizedStream::new(length, pieces(self.0.clone(), first, sent)))
    }
}

/// What is to be sent. A part goes only to a GET (RFC 9110 section 14.2), and only if the client has no part of another
/// version.
fn wanted(head: &RequestHead, length: u64, tag: &str) -> Part {
    let is_same = text(head, &header::IF_RANGE).is_none_or(|if_range| conditions::is_same(if_range, tag));
    match text(head, &header::RANGE) {
        Some(range) if is_same && head.method == Method::GET => Part::read(range, length),
        Some(_) | None => Part::Whole,
    }
}

/// `length` bytes from `first` on, piece by piece, as the client takes them. A file that became shorter is an error, which
/// closes the connection: the client sees that something is missing.
fn pieces(file: Arc<File>, first: u64, length: u64) -> impl Stream<Item = io::Result<Bytes>> {
    unfold((file, first, length), async |(file, at, left)| {
        let length = usize::try_from(left.min(PIECE)).unwrap_or(0);
        if length == 0 {
            return None;
        }
        let reader = file.clone();
        let read = web::block(move || {
            let mut piece = vec![0; length];
            reader.read_exact_at(&mut piece, at)?;
            io::Result::Ok(Bytes::from(piece))
        });
        let piece = match read.await {
            Ok(piece) => piece,
            Err(error) => Err(io::Error::other(error)),
        };
        // Nothing comes after an error.
        let left = if piece.is_ok() { left - length as u64 } else { 0 };
        Some((piece, (file, at + length as u64, left)))
    })
}

fn insert(response: &mut HttpResponse, name: header::HeaderName, value: String) {
    // Made of numbers: there is nothing in it that a header may not hold.
    if let Ok(value) = header::HeaderValue::try_from(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_tiles_is_a_regular_file_that_begins_like_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("map.pmtiles");
        let said = |path: &Path| check(path).unwrap_err().to_string();
        assert!(said(&file).contains("No such file"), "{}", said(&file));
        assert_eq!(said(folder.path()), "it is not a regular file");
        for content in [&b""[..], b"PMTiles", b"PMTiles\x02 and more", b"SQLite format 3"] {
            std::fs::write(&file, content).unwrap();
            assert_eq!(said(&file), "it is not a PMTiles file of version 3");
        }
        std::fs::write(&file, b"PMTiles\x03 and more").unwrap();
        assert!(check(&file).is_ok());
    }
}
