//! The rooms import only whom they may, no file imports one that imports it, and ARCHITECTURE.md lists every file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::harness::project;

/// Each room and the rooms it may import. What is not listed here may import everything: `app`, `cli`, `demo`, `main`, `lib`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("settings", &[]),
    ("metrics", &[]),
    ("notice", &[]),
    ("phase", &[]),
    ("shutdown", &[]),
    ("process", &[]),
    ("health", &[]),
    ("simulate", &["domain"]),
    ("logging", &["domain"]),
    ("auth", &["domain", "settings", "metrics", "notice"]),
    ("live", &["domain", "settings", "metrics", "notice", "phase"]),
    ("positions", &["domain", "settings", "metrics", "notice"]),
    ("http", &[]),
    ("ingest", &["domain", "settings", "http", "notice"]),
    ("ops", &["domain", "settings", "metrics", "phase", "http", "ingest"]),
    ("web", &["domain", "settings", "metrics", "http"]),
];

/// Each room inside `live/` and the rooms there that it may import: only some of those before it.
const MAY_IMPORT_IN_LIVE: &[(&str, &[&str])] = &[
    ("sync", &[]),
    ("wire", &[]),
    ("outbox", &["sync", "wire"]),
    ("client", &["wire", "outbox"]),
    ("fanout", &["sync", "wire", "outbox", "client"]),
    ("handler", &["wire", "client", "fanout"]),
    ("registry", &["sync", "wire", "client"]),
    ("connection", &["wire", "outbox", "client", "fanout", "handler", "registry"]),
    ("handshake", &["wire", "handler", "registry", "connection"]),
    ("server", &["wire", "outbox", "fanout", "handler", "registry", "connection", "handshake"]),
];

/// Files that alone may name a crate.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("actix_web_actors", &["live/connection.rs", "live/connection/actor.rs"]),
    (
        "actix_http",
        &[
            "logging.rs",
            "live/handshake/check.rs",
            "live/handshake/refusal.rs",
            "http/exchange.rs",
            "http/server.rs",
        ],
    ),
    (
        " ::redis::",
        &[
            "positions/input/rejects.rs",
            "positions/input/stream.rs",
            "positions/log/streams/place.rs",
            "positions/log/streams/reader.rs",
            "positions/log/streams/writer.rs",
            "positions/redis/connect.rs",
            "positions/redis/entries.rs",
            "positions/redis/error.rs",
        ],
    ),
    ("httparse", &["live/wire/opening.rs"]),
    ("ureq", &["auth/fetch.rs", "logging.rs", "simulate.rs"]),
    (
        "jsonwebtoken",
        &["auth/crypto.rs", "auth/jwt.rs", "auth/jwt/tests.rs", "auth/key_set.rs", "auth/token.rs"],
    ),
    (" ring::", &["auth/crypto.rs", "auth/answers.rs"]),
    (
        "sqlx",
        &[
            "logging.rs",
            "positions/store/error.rs",
            "positions/store/postgres.rs",
            "positions/store/postgres/connect.rs",
            "positions/store/postgres/newest.rs",
            "positions/store/postgres/revocations.rs",
            "positions/store/postgres/rows.rs",
            "positions/store/postgres/schema.rs",
            "positions/store/postgres/time.rs",
            "positions/store/sqlite/backup.rs",
            "positions/store/sqlite/connect.rs",
            "positions/store/sqlite/database.rs",
            "positions/store/sqlite/revocations.rs",
            "positions/store/sqlite/rows.rs",
            "positions/store/sqlite/schema.rs",
            "positions/store/sqlite/tests.rs",
            "positions/store/tests.rs",
            "positions/store/tests/postgres.rs",
        ],
    ),
    ("std::env", &["settings.rs"]),
];

fn sources() -> Vec<(String, String)> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
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

/// A module's path, from the crate's root.
type Module = Vec<String>;

/// The module that a file below `src/` is.
fn module(name: &str) -> Module {
    let path = name.trim_end_matches(".rs");
    path.split('/').filter(|part| !["main", "lib"].contains(part)).map(str::to_owned).collect()
}

/// The paths that begin with `crate`, `super` or `self` in a file's code, groups in braces taken apart.
fn used_paths(text: &str) -> Vec<Vec<String>> {
    let code = code(text).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                expand(&code[at..], &[], &mut paths);
            }
        }
    }
    paths
}

/// Adds the paths that `text` begins with, each behind `prefix`. Returns what is left of `text`.
fn expand<'a>(text: &'a str, prefix: &[String], paths: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = expand(rest, prefix, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path = [prefix, &[name.to_owned()]].concat();
    match rest.strip_prefix("::") {
        Some(rest) => expand(rest, &path, paths),
        None => {
            paths.push(path);
            rest
        }
    }
}

/// For each module that is a file, the files it imports from. Unit tests are left out.
fn imports() -> BTreeMap<Module, BTreeSet<Module>> {
    let sources: Vec<_> = sources().into_iter().filter(|(name, _)| !is_test(name)).collect();
    let files: BTreeSet<Module> = sources.iter().map(|(name, _)| module(name)).collect();
    let resolve = |file: &Module, path: &[String]| {
        let mut full = if path[0] == "crate" { Vec::new() } else { file.clone() };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => drop(full.pop()),
                name => full.push(name.to_owned()),
            }
        }
        while !files.contains(&full) {
            full.pop();
        }
        full
    };
    let of_file = |(name, text): &(String, String)| {
        let file = module(name);
        let used = used_paths(text).iter().map(|path| resolve(&file, path)).collect();
        (file, used)
    };
    sources.iter().map(of_file).collect()
}

/// Checks that the rooms directly below `above` import each other as `table` says. Returns the rooms that it found.
fn check_rooms(above: &[&str], table: &[(&str, &[&str])], free: &[&str]) -> BTreeSet<String> {
    let room = |module: &Module| {
        let below = module.iter().take(above.len()).eq(above.iter());
        below.then(|| module.get(above.len()).cloned()).flatten()
    };
    let mut checked = BTreeSet::new();
    for (file, used) in imports() {
        let Some(name) = room(&file).filter(|name| !free.contains(&name.as_str())) else { continue };
        let (_, allowed) = table
            .iter()
            .find(|(listed, _)| *listed == name)
            .unwrap_or_else(|| panic!("{file:?}: the table has no room {name}"));
        for other in used.iter().filter_map(&room) {
            assert!(other == name || allowed.contains(&&*other), "{file:?}: {name} imports {other}");
        }
        checked.insert(name);
    }
    checked
}

#[test]
fn rooms_import_only_whom_they_may() {
    let checked = check_rooms(&[], MAY_IMPORT, &["app", "cli", "demo"]);
    assert_eq!(checked.len(), MAY_IMPORT.len(), "{checked:?}");
    let checked = check_rooms(&["live"], MAY_IMPORT_IN_LIVE, &[]);
    assert_eq!(checked.len(), MAY_IMPORT_IN_LIVE.len(), "{checked:?}");
}

#[test]
fn the_rooms_of_live_stand_in_the_order_in_which_they_build_on_each_other() {
    for (place, (room, allowed)) in MAY_IMPORT_IN_LIVE.iter().enumerate() {
        let before: Vec<_> = MAY_IMPORT_IN_LIVE[..place].iter().map(|(room, _)| room).collect();
        assert!(allowed.iter().all(|other| before.contains(&other)), "{room}");
    }
}

#[test]
fn no_two_files_import_each_other() {
    let imports = imports();
    // What a file reaches over any number of imports.
    let reached = |from: &Module| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Module> = imports[from].iter().filter(|to| *to != from).collect();
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(imports[module].iter().filter(|to| *to != module));
            }
        }
        reached
    };
    let in_a_circle: Vec<_> = imports.keys().filter(|file| reached(file).contains(file)).collect();
    assert!(in_a_circle.is_empty(), "{in_a_circle:?}");
}

#[test]
fn the_imports_are_read_as_they_are_written() {
    let text =
        "use super::{a::{self, B}, c};\nuse crate::d::E;\nfn f() { self::g::h(); }\n// use crate::x;\n";
    let mut paths: Vec<_> = used_paths(text).iter().map(|path| path.join("::")).collect();
    paths.sort();
    assert_eq!(paths, ["crate::d::E", "self::g::h", "super::a::B", "super::a::self", "super::c"]);
    let imports = imports();
    let of = |path: &[&str]| &imports[&path.iter().map(|part| (*part).to_owned()).collect::<Module>()];
    assert!(of(&["live", "fanout", "hub"]).contains(&module("live/fanout/batch.rs")));
    assert!(of(&["live", "fanout", "hub"]).contains(&module("live/outbox.rs")));
}

/// Unit tests that have a file, or a folder, of their own.
fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// The files that ARCHITECTURE.md lists: a line with a folder, then a line for each of its files.
fn listed_files() -> BTreeSet<String> {
    let page = fs::read_to_string(project().join("ARCHITECTURE.md")).unwrap();
    let mut listed = BTreeSet::new();
    let mut folder = None;
    for line in page.lines() {
        let (name, about) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        if line.starts_with("src/") {
            folder = name.strip_prefix("src/");
        } else if let Some(folder) = folder
            && line.starts_with("  ")
            && name.ends_with(".rs")
        {
            assert!(about.trim().len() > 10, "{name} says nothing of what it is for");
            assert!(listed.insert(format!("{folder}{name}")), "{name} is listed twice");
        } else {
            folder = None;
        }
    }
    listed
}

#[test]
fn the_map_lists_every_file() {
    let there = sources().into_iter().map(|(name, _)| name).filter(|name| !is_test(name));
    let (there, listed) = (there.collect::<BTreeSet<_>>(), listed_files());
    let missing: Vec<_> = there.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not listed: {missing:?}; listed but not there: {gone:?}");
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
