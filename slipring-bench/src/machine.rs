//! The machine that the numbers were measured on, and the other processes that ran there meanwhile.

use std::{ffi::OsString, fs, io, num::NonZero, path::PathBuf, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

use crate::clock::SECOND;

/// The machine that the numbers were measured on.
#[derive(Clone, Serialize, Deserialize)]
pub struct Machine {
    /// what tables call it; `None`: as its processor
    pub name: Option<String>,
    /// the name of the processor
    pub cpu: String,
    /// its name, release and architecture
    pub kernel: String,
    /// cores that this process may run on
    pub cores: usize,
    /// processes running or waiting to run, averaged over the last minute
    pub load: Option<f64>,
}

impl Machine {
    /// The one that this process runs on, and what tables are to call it.
    pub fn look(name: Option<String>) -> Self {
        let system = rustix::system::uname();
        let parts = [system.sysname(), system.release(), system.machine()];
        Machine {
            name,
            cpu: cpu_model().unwrap_or_else(|| "unknown CPU".into()),
            kernel: parts.map(|part| part.to_string_lossy()).join(" "),
            cores: thread::available_parallelism().map_or(1, NonZero::get),
            load: load(),
        }
    }
}

/// Processes running or waiting to run, averaged over the last minute (proc(5)).
pub fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The command line as it was typed, except for the quotes and the program's path; control
/// characters come out escaped.
pub fn command_line() -> String {
    let mut arguments = std::env::args_os();
    let program = arguments.next().map(PathBuf::from).unwrap_or_default();
    let program = program.file_name().map(OsString::from).unwrap_or_default();
    let mut line = String::new();
    for argument in [program].into_iter().chain(arguments) {
        if !line.is_empty() {
            line.push(' ');
        }
        for character in argument.to_string_lossy().chars() {
            if character.is_control() {
                line.extend(character.escape_default());
            } else {
                line.push(character);
            }
        }
    }
    line
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    // x86 has "model name"; others have "Hardware" or "cpu model", or nothing.
    let keys = ["model name", "Hardware", "cpu model"];
    let line = text
        .lines()
        .find(|line| keys.iter().any(|key| line.starts_with(key)))?;
    Some(line.split_once(':')?.1.trim().into())
}

/// Nanoseconds of CPU time of all processes since the machine started, in steps of 10 ms.
pub(crate) fn busy() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let mut fields = text.lines().next()?.split_whitespace();
    if fields.next() != Some("cpu") {
        return None;
    }
    // user, nice, system
    let ticks = fields.take(3).filter_map(|field| field.parse::<u64>().ok());
    Some(ticks.sum::<u64>() * SECOND / rustix::param::clock_ticks_per_second())
}

/// The cores that this process may run on.
pub(crate) fn cores() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect()
}

/// Numbers that ascend, with runs of them as `0-3`.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let texts = runs.map(|run| match run {
        [one] => one.to_string(),
        run => format!("{}-{}", run[0], run[run.len() - 1]),
    });
    texts.collect::<Vec<_>>().join(",")
}

/// Two cores as they are written on a command line: `0,1`.
pub fn parse_cpus(argument: &str) -> Result<(usize, usize), String> {
    let expected = || "expected the numbers of two cores, such as 0,1".to_string();
    let (here, there) = argument.split_once(',').ok_or_else(expected)?;
    let number = |text: &str| text.parse().map_err(|_| expected());
    Ok((number(here)?, number(there)?))
}

/// Whether this process may run on a core. The error of kind `InvalidInput` says why not.
pub fn check_core(cpu: usize) -> io::Result<()> {
    let cores = cores();
    if cores.contains(&cpu) {
        return Ok(());
    }
    let why = format!(
        "this process cannot be pinned to core {cpu}; it may run on {}",
        ranges(&cores)
    );
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// Runs this thread, and those that it starts from now on, on one core only, which
/// [`check_core`] has found before. A thread of a pinned one may be pinned elsewhere.
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_listed_in_runs() {
        assert_eq!(ranges(&[0, 1, 2, 5, 7, 8]), "0-2,5,7-8");
        assert_eq!(ranges(&[3]), "3");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn a_thread_of_a_pinned_one_can_be_pinned_elsewhere() {
        let (first, last) = (cores()[0], *cores().last().unwrap());
        std::thread::spawn(move || {
            pin_to(first).unwrap();
            std::thread::spawn(move || pin_to(last).unwrap())
                .join()
                .unwrap();
        })
        .join()
        .unwrap();
    }
}
