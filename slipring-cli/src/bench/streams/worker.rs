//! A server or client process, as the parent sees it.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    process::{Child, Stdio},
};

use serde::de::DeserializeOwned;

use super::{
    contender::Contender,
    order::{Join, Ready, Role},
    report::Setup,
};
use crate::{bench::channel::Channel, failure::Failure, trial::child};

/// Ended, whatever it is doing, when this is dropped.
pub struct Worker {
    pub channel: Channel,
    role: Role,
    child: Child,
}

impl Worker {
    /// To be called by the main thread: the process dies with the thread that started it.
    pub fn start(setup: &Setup, contender: Contender, role: Role) -> Result<Worker, Failure> {
        let (channel, there) = Channel::pair()?;
        let mut command = child::command("bench-worker")?;
        command
            .args(["--contender", contender.name(), "--role", role.name()])
            .args(["--capacity", &setup.capacity.to_string()])
            .stdin(Stdio::from(there));
        if let Some(cpu) = setup.cpu(contender, role) {
            command.arg("--cpu").arg(cpu.to_string());
        }
        let child = command.spawn()?;
        // `command` holds the process's end of the channel, whose only copy has to be the
        // process's.
        drop(command);
        let worker = Worker {
            channel,
            role,
            child,
        };
        worker.ready()?;
        Ok(worker)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn join(&self, socket: &UnixStream) -> io::Result<()> {
        self.channel.send_with(&Join::Stream, &[socket.as_fd()])
    }

    pub fn joined(&self) -> io::Result<()> {
        self.channel.send(&Join::Complete)
    }

    /// Waits until it is there, or connected.
    pub fn ready(&self) -> Result<(), Failure> {
        self.report().map(|Ready| ())
    }

    /// Waits for what it tells.
    pub fn report<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let report = self.channel.receive()?;
        report.ok_or_else(|| Failure::failed(format!("the {} process has ended", self.role.name())))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only if it has been waited for, which nobody else does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
