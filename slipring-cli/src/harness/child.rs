//! Child processes that run another subcommand of this program and never outlive their parent.

use std::{
    io,
    process::{Command, Stdio},
};

use rustix::process::getpid;

use crate::{failure::Failure, harness::interrupt};

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
    slipring_bench::worker::belong_to(parent)?;
    interrupt::leave_to_the_parent()?;
    Ok(())
}
