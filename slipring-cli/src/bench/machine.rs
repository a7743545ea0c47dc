//! What the numbers were measured on.

use std::{fs, io, num::NonZero, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::Serialize;

use crate::{failure::Failure, trial::load};

#[derive(Serialize)]
pub struct Machine {
    pub cpu: String,
    pub kernel: String,
    /// cores that this process may run on
    pub cores: usize,
    /// processes running or waiting to run, averaged over the last minute
    pub load: Option<f64>,
}

impl Machine {
    /// To be called before this process is pinned, which changes what it sees.
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
            load: load::average(),
        }
    }
}

/// What was asked for, as it was typed but for the quotes.
pub fn command_line() -> String {
    let arguments = std::env::args_os();
    let text: Vec<String> = arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    text.join(" ")
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    // x86 has "model name"; others have "Hardware" or "cpu model", or nothing.
    let line = text.lines().find(|line| {
        ["model name", "Hardware", "cpu model"]
            .iter()
            .any(|key| line.starts_with(key))
    })?;
    Some(line.split_once(':')?.1.trim().into())
}

/// The cores that this process may run on.
fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect()
}

/// Numbers that ascend, with runs of them as `0-3`.
fn ranges(numbers: &[usize]) -> String {
    let runs = numbers.chunk_by(|one, next| one + 1 == *next);
    let texts: Vec<String> = runs
        .map(|run| match run {
            [one] => one.to_string(),
            run => format!("{}-{}", run[0], run[run.len() - 1]),
        })
        .collect();
    texts.join(",")
}

/// Two cores that this process may run on, if there are as many.
pub fn two_cores() -> Option<(usize, usize)> {
    let allowed = allowed();
    allowed.first().copied().zip(allowed.get(1).copied())
}

/// Runs this process, and the threads it starts from now on, on one core only.
pub fn pin_to(cpu: usize) -> Result<(), Failure> {
    let allowed = allowed();
    let unavailable = |why: String| {
        let message = format!(
            "this process cannot be pinned to core {cpu}: {why}; it may run on {}",
            ranges(&allowed)
        );
        Failure::new(crate::exit::Status::Usage, message)
    };
    if cpu >= CpuSet::MAX_CPU {
        return Err(unavailable(format!(
            "cores are numbered 0 to {}",
            CpuSet::MAX_CPU - 1
        )));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|error| unavailable(io::Error::from(error).to_string()))
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
}
