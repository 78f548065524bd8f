//! Lists the files of `ui/dist/` for `src/web/files.rs`, which embeds them. It reads what the front end's build left there,
//! and needs no Node.

use std::collections::BTreeSet;
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
    let mut names = BTreeSet::new();
    walk(&dist, &dist, &mut names).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    if !names.contains("index.html.br") {
        return Err(wrong("holds no index.html.br"));
    }
    let mut list = String::from("&[\n");
    for name in &names {
        let file = name.strip_suffix(".br").or(name.strip_suffix(".gz")).unwrap_or(name);
        let forms = ["br", "gz"].map(|coding| format!("{file}.{coding}"));
        if !forms.iter().all(|form| names.contains(form)) {
            return Err(wrong(&format!("holds {name}, but not both {} and {}", forms[0], forms[1])));
        }
        if name.ends_with(".br") {
            let [br, gz] = forms.map(|form| dist.join(form));
            let line = format!("({file:?}, include_bytes!({br:?}), include_bytes!({gz:?})),");
            writeln!(list, "    {line}").map_err(io::Error::other)?;
        }
    }
    list.push(']');
    fs::write(folder("OUT_DIR")?.join("site.rs"), list)
}

/// A folder that cargo names.
fn folder(variable: &str) -> io::Result<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("no {variable}")))
}

/// Adds all files, as paths below `root`.
fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, root, found)?;
        } else if let Ok(name) = path.strip_prefix(root) {
            found.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn wrong(what: &str) -> io::Error {
    io::Error::other(format!(
        "{DIST} {what}. It is made by `npm run build` in ui/ and committed. (Without it, a program without the map page can \
         be built: --no-default-features --features simulate.)"
    ))
}
