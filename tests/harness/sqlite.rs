//! The store's file, read and changed by another program than the server.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

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

/// Another process that holds the write lock of a SQLite file until this is dropped.
pub(crate) struct Lock(Child);

impl Lock {
    pub(crate) fn take(file: &Path) -> Self {
        let mut command = sqlite(file);
        command.args(["--hold", "begin immediate", "select 'locked'"]);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n");
        Self(holder)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Its input ends, and with that it does.
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}
