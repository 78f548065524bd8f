//! What the operating system says: processor time, memory, cores, the machine.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Bytes that are resident.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// All of it.
    pub(crate) resident: f64,
    /// Of that, what is not backed by a file: heap and stacks.
    pub(crate) anonymous: f64,
    /// The most that was resident since [`forget_peak`].
    pub(crate) peak: f64,
}

/// User and system time of all threads of a process.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server is gone")?;
    // The name, in brackets, may hold anything; behind it the third field follows.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/PID/stat")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

/// The same of each thread, by its id, to the nanosecond.
pub(crate) fn thread_times(pid: u32) -> Result<Vec<(u32, Duration)>> {
    let mut times = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("the server is gone")? {
        let task = task?;
        let thread = task.file_name().to_string_lossy().parse()?;
        times.push((thread, schedstat(&task.path())?));
    }
    Ok(times)
}

/// The same of all threads that a process has now, together.
pub(crate) fn exact_cpu_time(pid: u32) -> Result<Duration> {
    Ok(thread_times(pid)?.into_iter().map(|(_, time)| time).sum())
}

/// The same of one thread.
pub(crate) fn thread_time(pid: u32, thread: u32) -> Result<Duration> {
    schedstat(format!("/proc/{pid}/task/{thread}").as_ref())
}

fn schedstat(task: &Path) -> Result<Duration> {
    let text = fs::read_to_string(task.join("schedstat")).context("a thread of the server is gone")?;
    let nanos = text.split(' ').next().and_then(|nanos| nanos.parse().ok()).context("schedstat")?;
    Ok(Duration::from_nanos(nanos))
}

/// The generator's own user and system time.
pub(crate) fn own_cpu_time() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(Duration::from_secs_f64(seconds(usage.user_time()) + seconds(usage.system_time())))
}

/// The resident memory of a process.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the server is gone")?;
    let bytes = |name: &str| {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| name.to_owned())?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        anyhow::Ok(kibibytes * 1024.0)
    };
    Ok(Memory { resident: bytes("VmRSS:")?, anonymous: bytes("RssAnon:")?, peak: bytes("VmHWM:")? })
}

/// Begins anew to look for the most memory that is resident.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the server is gone")
}

/// The cores this process was given, in order.
pub(crate) fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect())
}

/// Keeps this thread, and what it starts, on these cores.
pub(crate) fn pin(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).context("cannot pin to a core")
}

/// Allows as many file descriptors as the system gives; children inherit it.
pub(crate) fn raise_file_limit() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// What the figures were measured on, a line each.
pub(crate) fn machine() -> Vec<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let value = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let run = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let packages: serde_json::Value =
        serde_json::from_str(&read(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/package-lock.json")))
            .unwrap_or_default();
    let package = |name: &str| {
        packages["packages"][format!("node_modules/{name}")]["version"].as_str().unwrap_or("?").to_owned()
    };
    vec![
        format!("date: {}", jiff::Timestamp::now().strftime("%Y-%m-%d")),
        format!(
            "machine: {}, {} cores, {}",
            field(&read("/proc/cpuinfo"), "model name"),
            read("/proc/cpuinfo").lines().filter(|line| line.starts_with("processor")).count(),
            field(&read("/proc/meminfo"), "MemTotal")
        ),
        format!("kernel: Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        format!("compiler: {}", run("rustc", "-V")),
        format!("peers: Node {}, ws {}, wscat {}", run("node", "-v"), package("ws"), package("wscat")),
    ]
}
