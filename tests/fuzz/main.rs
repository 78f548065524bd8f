//! The fuzz targets' checks on stable, by `proptest`, over the corpus, and over inputs that once found something.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check says by its panic what does not hold")]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "elsewhere this module is a library")]
mod checks;

mod found;

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

/// No file of seeds: what is found becomes a test in `found`, where it can say what it was. `PROPTEST_CASES` in the
/// environment asks for more cases.
fn settings() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { failure_persistence: None, cases: asked.cases.max(1000), ..asked }
}

/// Any bytes; what fails is printed as a literal that can be pasted into a test.
fn bytes(length: Range<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), length).prop_map(Bytes::from)
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn requests(data in bytes(0..300)) {
        checks::request::check(&data);
    }

    #[test]
    fn positions(data in bytes(0..800)) {
        checks::position::check(&data);
    }

    #[test]
    fn topics(data in bytes(0..100)) {
        checks::topic::check(&data);
    }

    #[test]
    fn areas(data in bytes(0..150)) {
        checks::area::check(&data);
    }

    #[test]
    fn patterns(data in bytes(0..150)) {
        checks::pattern::check(&data);
    }

    #[test]
    fn tokens(data in bytes(0..400)) {
        checks::token::check(&data);
    }

    #[test]
    fn frames(data in bytes(0..400)) {
        checks::frames::check(&data);
    }
}

/// Runs a check over each file of its corpus.
fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    files.iter().for_each(|file| check(&std::fs::read(file).unwrap()));
}

#[test]
fn the_corpus_holds() {
    replay("request", checks::request::check);
    replay("position", checks::position::check);
    replay("topic", checks::topic::check);
    replay("area", checks::area::check);
    replay("pattern", checks::pattern::check);
    replay("token", checks::token::check);
    replay("frames", checks::frames::check);
}
