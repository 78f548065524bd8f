//! The rooms import only whom they may (see ARCHITECTURE.md), and the documents name what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use processor::metrics::Metrics;

use crate::harness::{project, settings};

/// Each room and the rooms it may import. What is not listed here may import everything: `app`, `main`, `lib`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("settings", &[]),
    ("metrics", &[]),
    ("phase", &[]),
    ("shutdown", &[]),
    ("process", &[]),
    ("health", &[]),
    ("simulate", &["domain"]),
    ("logging", &["domain"]),
    ("live", &["domain", "settings", "metrics", "phase"]),
    ("positions", &["domain", "settings", "metrics"]),
    ("ops", &["domain", "settings", "metrics", "phase"]),
];

/// Files that alone may name a crate.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("actix_web_actors", &["live/connection.rs"]),
    ("actix_http", &["logging.rs", "live/handshake.rs", "ops/server.rs"]),
    ("httparse", &["live/opening.rs"]),
    ("sqlx", &["positions/store.rs", "positions/store/backup.rs", "positions/store/tests.rs"]),
    ("std::env", &["settings.rs"]),
];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = project().join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    found
}

/// The text up to the unit tests, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("#[cfg(test)]").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap_or_default())
}

#[test]
fn rooms_import_only_whom_they_may() {
    let mut checked = BTreeSet::new();
    for (name, text) in sources() {
        let room = name.split(['/', '.']).next().unwrap().to_owned();
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(listed, _)| *listed == room) else {
            assert!(["app", "main", "lib"].contains(&&*room), "{name}: the table has no such room");
            continue;
        };
        checked.insert(room.clone());
        for line in code(&text) {
            for used in line.split("crate::").skip(1) {
                let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                assert!(used == room || allowed.contains(&used), "{name}: {room} imports {used}");
            }
        }
    }
    assert_eq!(checked.len(), MAY_IMPORT.len());
}

#[test]
fn the_registry_does_not_know_connections() {
    let (_, text) = sources().into_iter().find(|(name, _)| name == "live/registry.rs").unwrap();
    assert!(code(&text).all(|line| !line.contains("connection::")));
}

#[test]
fn some_crates_have_one_place() {
    for (name, text) in sources() {
        for (part, places) in ONLY_IN {
            let used = code(&text).any(|line| line.contains(part));
            assert!(!used || places.contains(&&*name), "{name} uses {part}");
        }
    }
}

#[test]
fn each_file_says_first_what_it_defines() {
    for (name, text) in sources() {
        assert!(text.starts_with("//! "), "{name}");
    }
}

#[test]
fn the_readme_names_every_setting_and_every_metric() {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    for line in settings(&[]).lines() {
        let key = line.split('=').next().unwrap();
        assert!(readme.contains(&format!("`{key}`")), "setting {key}");
    }
    let metrics = Metrics::new("x").unwrap();
    // A family shows only when it has a series.
    metrics.live.closes.with_label_values(&["1000", "normal"]).inc();
    metrics.live.refused.with_label_values(&["origin"]).inc();
    metrics.ops.ingest_requests.with_label_values(&["200"]).inc();
    let page = metrics.page().unwrap();
    let names: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE processor_")).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let name = name.split(' ').next().unwrap();
        assert!(readme.contains(&format!("`processor_{name}`")), "metric processor_{name}");
    }
}
