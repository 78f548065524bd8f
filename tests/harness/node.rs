//! `node_modules`: what tests run with Node, as pinned.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use super::project;

/// The modules that a folder's `package-lock.json` pins. Installs them if they are not there.
pub(crate) fn node_modules(folder: &str) -> PathBuf {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = project().join(folder);
    let modules = folder.join("node_modules");
    // npm writes this at the end.
    if !modules.join(".package-lock.json").exists() {
        let mut install = Command::new("npm");
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        assert!(install.status().expect("this test needs npm").success());
    }
    modules
}
