//! The store's file, read and changed by another program than the server.

use std::path::Path;
use std::process::{Command, Stdio};

use super::project;

/// Runs SQL statements on a SQLite file: the rows they give, each a line with a space between two values.
pub(crate) fn sql(file: &Path, statements: &[&str]) -> String {
    let output = sqlite(file).args(statements).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{statements:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The other program; statements follow.
fn sqlite(file: &Path) -> Command {
    let mut command = Command::new("python3");
    command.arg(project().join("tests/clients/sqlite.py")).arg(file);
    command
}
