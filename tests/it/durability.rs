//! A 200 leaves after the disk has its positions: held against the system calls of the server, in their order.

use std::collections::HashMap;
use std::process::Command;

use crate::harness::{Server, command, eventually, folder, position};

/// A system call of one of the server's threads, as `strace` shows it.
struct Call {
    /// The line where it begins.
    began: usize,
    /// The line where it returns; the same unless another thread's came between.
    ended: usize,
    /// Name, arguments, result.
    text: String,
}

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.text.split('(').next().unwrap())
    }
}

/// Reads the output of `strace -f`: a thread's number and a call on each line, or the two halves of one.
fn calls(trace: &str) -> Vec<Call> {
    let mut unfinished = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let (thread, text) = text.split_once(' ').unwrap();
        let text = text.trim_start();
        if let Some(begin) = text.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, (line, begin));
        } else if text.starts_with("<... ") {
            let (_, rest) = text.split_once(" resumed>").unwrap();
            let (began, begin) = unfinished.remove(thread).unwrap();
            calls.push(Call { began, ended: line, text: format!("{begin}{rest}") });
        } else {
            calls.push(Call { began: line, ended: line, text: text.to_owned() });
        }
    }
    calls
}

/// The binary under `strace`, which writes to the file `trace` in `folder`. `-D`: the child is the server, not `strace`.
fn traced(folder: &std::path::Path) -> Server {
    let plain = command(folder, &[]);
    let mut traced = Command::new("strace");
    traced.args(["-D", "-f", "-y", "-s", "256", "-o", "trace", "-e"]);
    traced.arg("trace=read,readv,recvfrom,write,writev,sendto,pwrite64,fsync,fdatasync");
    traced.arg(plain.get_program()).current_dir(folder).env_clear();
    traced.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.stdin(std::process::Stdio::null());
    Server::spawn(traced)
}

#[actix::test]
async fn the_log_is_on_the_disk_between_the_reading_of_a_post_and_its_200() {
    let folder = folder();
    let server = traced(folder.path());
    server.accept(&position("1", 1, 1.0)).await;
    server.stop();
    let mut trace = String::new();
    eventually("the end of the trace", async || {
        trace = std::fs::read_to_string(folder.path().join("trace")).unwrap();
        trace.trim_end().ends_with("+++ exited with 0 +++")
    })
    .await;

    let calls = calls(&trace);
    let find = |what: &str, found: &dyn Fn(&Call) -> bool| {
        calls.iter().find(|call| found(call)).unwrap_or_else(|| panic!("no {what} in:\n{trace}"))
    };
    let read = find("post", &|call| {
        call.is(&["read", "readv", "recvfrom"]) && call.text.contains("\"POST /positions HTTP/1.1")
    });
    let response = find("response", &|call| {
        call.began > read.ended
            && call.is(&["write", "writev", "sendto"])
            && call.text.contains("\"HTTP/1.1 200 OK")
    });
    let between = |call: &&Call| call.began > read.ended && call.ended < response.began;
    let to_log = |call: &&Call| call.text.contains("/data/positions.db-wal>");
    let log: Vec<_> = calls.iter().filter(between).filter(to_log).collect();
    let written = log.iter().rfind(|call| call.is(&["pwrite64"]));
    let written = written.unwrap_or_else(|| panic!("nothing was written to the log:\n{trace}"));
    let synced = log.iter().any(|call| {
        call.began > written.ended && call.is(&["fsync", "fdatasync"]) && call.text.ends_with(" = 0")
    });
    assert!(synced, "the log was not synced after it was written:\n{trace}");
}
