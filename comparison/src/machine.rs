//! What the numbers were measured on, and what else ran there meanwhile.

use std::{fs, io, num::NonZero, thread};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};
use serde::Serialize;

use crate::clock::SECOND;

#[derive(Serialize)]
pub struct Machine {
    pub cpu: String,
    pub kernel: String,
    /// that this process may run on
    pub cores: usize,
}

impl Machine {
    pub fn look() -> Self {
        let system = rustix::system::uname();
        Machine {
            cpu: cpu_model().unwrap_or_else(|| "unknown CPU".into()),
            kernel: format!(
                "{} {} {}",
                system.sysname().to_string_lossy(),
                system.release().to_string_lossy(),
                system.machine().to_string_lossy()
            ),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().into())
}

/// Bytes of this process, without the program itself; what it shares with others is divided among
/// them.
pub fn memory() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/self/smaps_rollup")?;
    let kibibytes = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let all = kibibytes("Pss_Anon:").zip(kibibytes("Pss_Shmem:"));
    let (anonymous, shared) =
        all.ok_or_else(|| io::Error::other("this kernel does not tell what a process uses"))?;
    Ok((anonymous + shared) << 10)
}

/// Lets this process open as many files as it may.
pub fn allow_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )?;
    Ok(())
}

/// Nanoseconds of CPU time of all processes since the machine started, in steps of 10 ms.
pub fn busy() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let mut fields = text.lines().next()?.split_whitespace();
    if fields.next() != Some("cpu") {
        return None;
    }
    // user, nice, system
    let ticks: u64 = fields
        .take(3)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some(ticks * SECOND / rustix::param::clock_ticks_per_second())
}

/// One of the cores that this thread may run on.
pub fn some_core() -> io::Result<usize> {
    let set = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core));
    cores
        .next()
        .ok_or_else(|| io::Error::other("there is no core to run on"))
}

/// Runs this thread, and those that it starts from now on, on one core only.
pub fn pin_to(cpu: usize) -> io::Result<()> {
    let unavailable =
        |why: String| io::Error::other(format!("cannot run on core {cpu}: {why}; see --cpus"));
    if cpu >= CpuSet::MAX_CPU {
        return Err(unavailable("there is no such core".into()));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| unavailable(error.to_string()))
}
