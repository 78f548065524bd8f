//! `Files`: the files of `ui/dist/`, embedded, each compressed in two ways by the front end's build; how one is sent.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Read as _;
use std::sync::OnceLock;

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::Bytes;
use flate2::read::GzDecoder;

use super::accept_encoding::Coding;
use super::conditions;
use super::reply::{self, NO_CACHE};
use crate::http::head::list;

/// Path, brotli, gzip. `build.rs` lists them. (A crate such as `rust-embed` would bring seven others to do the same, and
/// read from the disk in debug builds.)
static EMBEDDED: &[(&str, &[u8], &[u8])] = include!(concat!(env!("OUT_DIR"), "/site.rs"));

/// The path of the page.
pub(super) const PAGE: &str = "index.html";

/// What has this prefix has a hash of its content in its name, so it never changes.
const ASSETS: &str = "assets/";

/// The client library (and what belongs to it), for other people's pages.
const CLIENT: &str = "client.";

/// All files, by path.
pub(super) struct Files(HashMap<&'static str, File>);

/// One file in its forms.
pub(super) struct File {
    path: &'static str,
    brotli: Form,
    gzip: Form,
    /// Made when it is asked for first: hardly anyone does.
    identity: OnceLock<Form>,
}

/// The bytes that are sent, and their strong entity tag.
struct Form {
    body: Bytes,
    tag: String,
}

impl Files {
    /// What `ui/dist/` held when the program was built.
    pub(super) fn embedded() -> Self {
        let file = |(path, brotli, gzip): &(&'static str, &'static [u8], &'static [u8])| {
            let (brotli, gzip) = (Bytes::from_static(brotli), Bytes::from_static(gzip));
            (*path, File::new(path, brotli, gzip))
        };
        Self(EMBEDDED.iter().map(file).collect())
    }

    /// The file at this path, which has no slash before it.
    pub(super) fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }
}

impl File {
    fn new(path: &'static str, brotli: Bytes, gzip: Bytes) -> Self {
        let (brotli, gzip) = (Form::new(brotli, "br"), Form::new(gzip, "gz"));
        Self { path, brotli, gzip, identity: OnceLock::new() }
    }

    /// The response to a GET or HEAD of this file.
    pub(super) fn response(&self, head: &RequestHead) -> HttpResponse {
        let coding = Coding::choose(list(head, &header::ACCEPT_ENCODING).as_deref());
        let form = self.form(coding);
        let has = |tags: String| conditions::has(&tags, &form.tag);
        let is_known = list(head, &header::IF_NONE_MATCH).is_some_and(has);
        let mut response =
            HttpResponse::build(if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
        response.insert_header((header::ETAG, form.tag.as_str()));
        response.insert_header((header::VARY, "accept-encoding"));
        response.insert_header((header::CACHE_CONTROL, self.cache_control()));
        let mut response = if is_known {
            response.finish()
        } else {
            response.insert_header((header::CONTENT_TYPE, content_type(self.path)));
            if let Some(name) = coding.name() {
                response.insert_header((header::CONTENT_ENCODING, name));
            }
            response.body(form.body.clone())
        };
        if self.path.starts_with(CLIENT) {
            reply::share(&mut response);
        }
        response
    }

    fn form(&self, coding: Coding) -> &Form {
        match coding {
            Coding::Brotli => &self.brotli,
            Coding::Gzip => &self.gzip,
            Coding::Identity => self.identity.get_or_init(|| Form::new(decompressed(&self.gzip.body), "id")),
        }
    }

    fn cache_control(&self) -> &'static str {
        if self.path.starts_with(ASSETS) { "public, max-age=31536000, immutable" } else { NO_CACHE }
    }
}

impl Form {
    fn new(body: Bytes, coding: &str) -> Self {
        // It tells versions of one file apart; nobody gains anything by two with the same tag.
        let mut hasher = DefaultHasher::new();
        hasher.write(&body);
        let tag = format!("\"{:016x}-{coding}\"", hasher.finish());
        Self { body, tag }
    }
}

/// What was compressed by gzip when the program was built.
fn decompressed(gzip: &[u8]) -> Bytes {
    let mut bytes = Vec::new();
    if let Err(error) = GzDecoder::new(gzip).read_to_end(&mut bytes) {
        log::error!("a file of the map page is damaged: {error}");
    }
    bytes.into()
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json; charset=utf-8",
        Some("svg") => "image/svg+xml; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_file_has_a_type_and_a_tag_for_each_form() {
        let files = Files::embedded();
        assert!(files.get(PAGE).is_some() && files.get("").is_none());
        for (path, file) in &files.0 {
            assert_ne!(content_type(path), "application/octet-stream", "{path}");
            let forms = [Coding::Brotli, Coding::Gzip, Coding::Identity].map(|coding| file.form(coding));
            assert!(!forms[2].body.is_empty(), "{path}");
            let tags: std::collections::BTreeSet<_> = forms.iter().map(|form| &form.tag).collect();
            assert_eq!(tags.len(), 3, "{path}");
        }
    }

    #[test]
    fn a_tag_tells_versions_apart() {
        let tag = |body: &'static [u8]| Form::new(Bytes::from_static(body), "br").tag;
        assert_eq!(tag(b"a"), tag(b"a"));
        assert_ne!(tag(b"a"), tag(b"b"));
    }
}
