//! Child processes that run another subcommand of this program and never outlive their parent.

use std::{
    io,
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

use crate::{failure::Failure, trial::interrupt};

/// This program with a (hidden) subcommand, told its parent's process id. To be started from a
/// thread that lives as long as the children may: the kernel's parent-death signal is sent when
/// the *thread* that started them ends.
pub fn command(subcommand: &str) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(subcommand)
        .arg("--parent")
        .arg(getpid().as_raw_nonzero().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

/// In the child: end with the parent, and leave Ctrl-C to it.
pub fn belong_to(parent: u32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    // The parent may have died before the line above took effect; then nobody will send the
    // signal, and this process has been given another parent already.
    let actual = getppid().map_or(0, Pid::as_raw_pid);
    if u32::try_from(actual) != Ok(parent) {
        return Err(Failure::failed(format!(
            "this subcommand is started by the command itself; its parent is process \
                 {actual}, not {parent}"
        )));
    }
    interrupt::leave_to_the_parent()?;
    Ok(())
}
