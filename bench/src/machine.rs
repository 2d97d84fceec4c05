//! What the figures were measured on, and how busy it was.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How long the machine is watched to see whether others use it.
const WATCH: Duration = Duration::from_secs(2);

/// The machine and the programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gb: f64,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) user: String,
}

impl Machine {
    /// This machine, with the file system of `dir`.
    pub(crate) fn here(dir: &Path) -> Result<Self> {
        let memory_kb = field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.trim_end_matches("kB").trim().parse::<f64>().ok())
            .unwrap_or_default();
        Ok(Self {
            processor: field("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gb: memory_kb * 1024.0 / 1e9,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .context("read the kernel's version")?
                .trim()
                .to_owned(),
            file_system: file_system(dir).context("find the file system")?,
            user: output("id", &["-un"])?,
        })
    }
}

/// The value after `name :` in a file of the kernel.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Type of the file system that `dir` is on.
fn file_system(dir: &Path) -> Result<String> {
    let dir = dir.to_string_lossy();
    output("findmnt", &["-n", "-o", "FSTYPE", "-T", &dir])
        .or_else(|_| output("stat", &["-f", "-c", "%T", &dir]))
}

/// Bytes that can still be written below `dir`.
pub(crate) fn free_bytes(dir: &Path) -> Result<u64> {
    let text = output("df", &["-B1", "--output=avail", &dir.to_string_lossy()])?;
    let last = text.lines().last().unwrap_or_default();
    last.trim().parse().with_context(|| format!("read what df says: {text}"))
}

/// Day and time in UTC.
pub(crate) fn now() -> Result<String> {
    output("date", &["-u", "+%Y-%m-%d %H:%M"])
}

fn output(program: &str, args: &[&str]) -> Result<String> {
    let done = Command::new(program).args(args).output().with_context(|| format!("run {program}"))?;
    anyhow::ensure!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr).trim());
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

/// Share of the processors that is in use, from 0 to 1, watched for a moment in which this program does nothing.
pub(crate) fn busy() -> Result<f64> {
    let before = processor_times()?;
    sleep(WATCH);
    let after = processor_times()?;
    let total = (after.total - before.total).max(1) as f64;
    Ok(1.0 - (after.idle - before.idle) as f64 / total)
}

struct ProcessorTimes {
    total: u64,
    idle: u64,
}

fn processor_times() -> Result<ProcessorTimes> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let numbers: Vec<u64> =
        text.lines().next().unwrap_or_default().split_ascii_whitespace().flat_map(str::parse).collect();
    // user nice system idle iowait irq softirq steal; what guests use is counted in user already.
    let idle = numbers.iter().skip(3).take(2).sum();
    Ok(ProcessorTimes { total: numbers.iter().take(8).sum(), idle })
}
