//! Lists the files of `ui/dist/` for `src/web/files.rs`, which embeds them. It reads what the front end's build left there,
//! and needs no Node.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the front end's build puts the site, below the project.
const DIST: &str = "ui/dist";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_UI").is_none() {
        return Ok(());
    }
    println!("cargo::rerun-if-changed={DIST}");
    let dist = folder("CARGO_MANIFEST_DIR")?.join(DIST);
    let mut files = Vec::new();
    walk(&dist, &dist, &mut files).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    files.sort();
    if !files.iter().any(|file| file == "index.html") {
        return Err(wrong("holds no index.html.br"));
    }
    let mut list = String::from("&[\n");
    for file in files {
        let [br, gz] = ["br", "gz"].map(|coding| dist.join(format!("{file}.{coding}")));
        if !gz.is_file() {
            return Err(wrong(&format!("holds {file}.br, but not {file}.gz")));
        }
        let line = format!("({file:?}, include_bytes!({br:?}), include_bytes!({gz:?})),");
        writeln!(list, "    {line}").map_err(io::Error::other)?;
    }
    list.push(']');
    fs::write(folder("OUT_DIR")?.join("site.rs"), list)
}

/// A folder that cargo names.
fn folder(variable: &str) -> io::Result<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("no {variable}")))
}

/// Adds the files that have a sibling `.br`, as paths below `root`.
fn walk(folder: &Path, root: &Path, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, root, found)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str)
            && let Some(file) = name.strip_suffix(".br")
        {
            found.push(file.to_owned());
        }
    }
    Ok(())
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(format!(
        "{DIST} {what}. It is made by `npm run build` in ui/ and committed; without it, build with \
         --no-default-features --features simulate"
    ))
}
