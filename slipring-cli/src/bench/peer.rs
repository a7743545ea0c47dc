//! The child process of a measurement, as its parent sees it.

use std::{
    io,
    os::fd::OwnedFd,
    process::{Child, Stdio},
    sync::Arc,
    thread,
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{case::Case, channel::Channel, gone::Gone};
use crate::trial::child;

/// Ended, whatever it is doing, when this is dropped: its reports have arrived by then.
pub struct Peer {
    pub channel: Channel,
    pub gone: Arc<Gone>,
    process: OwnedFd,
}

impl Peer {
    /// To be called by the main thread: the peer dies with the thread that started it.
    pub fn start(contender: &str, case: &Case, cpu: Option<usize>) -> io::Result<Peer> {
        let (channel, there) = Channel::pair()?;
        let mut command = child::command("bench-peer")?;
        command
            .args(["--contender", contender, "--case", case.name])
            .stdin(Stdio::from(there));
        if let Some(cpu) = cpu {
            command.arg("--cpu").arg(cpu.to_string());
        }
        let child = command.spawn()?;
        // `command` holds the peer's end of the channel, whose only copy has to be the peer's.
        drop(command);
        let process = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
        let gone = Arc::new(Gone::default());
        watch(child, Arc::clone(&gone))?;
        Ok(Peer {
            channel,
            gone,
            process,
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Fails only if the peer has ended by itself.
        let _ = pidfd_send_signal(&self.process, Signal::KILL);
    }
}

fn watch(mut child: Child, gone: Arc<Gone>) -> io::Result<()> {
    thread::Builder::new()
        .name("watch".into())
        .stack_size(64 << 10)
        .spawn(move || {
            // Fails only for a child that somebody else has waited for.
            let _ = child.wait();
            gone.set();
        })?;
    Ok(())
}
