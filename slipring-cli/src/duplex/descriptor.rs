//! The halves of anything that is a file descriptor: standard streams, pipes, sockets.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    fmt::Display,
    io::{self, IsTerminal},
    net::TcpStream,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{ChildStdin, ChildStdout},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    net::{Shutdown, shutdown, sockopt},
};

use super::{Duplex, Fault};
use crate::session::{Session, Woken};
use reader::DescriptorReader;
use writer::DescriptorWriter;

/// The most that is read at once.
const CHUNK: usize = 64 << 10;

/// The kind of a descriptor, as far as it makes a difference here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Standard input or output. Other processes may use the same open file, so its flags are not
    /// ours to change; reads wait for readiness instead.
    Inherited,
    /// Our end of a pipe to a command, non-blocking.
    Pipe,
    /// Our end of a socket that is a command's input and output, non-blocking. A command that exits
    /// without having read everything resets it, which is as orderly an end as that of a pipe.
    Command,
    /// Non-blocking sockets.
    Tcp,
    Unix,
}

/// A descriptor, shared by the two halves if it is a socket.
struct Descriptor {
    fd: OwnedFd,
    kind: Kind,
    /// For messages: "standard input".
    what: &'static str,
    /// The kernel reports the loss of a connection once, to whichever half asks first, and a plain
    /// end afterwards. The first to learn of it keeps the reason here.
    lost: OnceLock<String>,
    /// Our own writing has ended in order.
    finished: AtomicBool,
}

impl Duplex {
    /// Standard input and output of this process.
    pub fn standard() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        let peer = if io::stdin().is_terminal() {
            "the terminal"
        } else {
            "standard input and output"
        };
        Ok(Self::from_descriptors(
            Descriptor::new(input, Kind::Inherited, "standard input"),
            Descriptor::new(output, Kind::Inherited, "standard output"),
            peer.to_owned(),
        ))
    }

    /// A command at the other end of two pipes; we read its standard output.
    pub fn pipes(output: ChildStdout, input: ChildStdin, program: String) -> io::Result<Self> {
        Ok(Self::from_descriptors(
            Descriptor::nonblocking(output.into(), Kind::Pipe, "the command's output")?,
            Descriptor::nonblocking(input.into(), Kind::Pipe, "the command's input")?,
            program,
        ))
    }

    /// A command at the other end of one socket.
    pub fn command_socket(socket: UnixStream, program: String) -> io::Result<Self> {
        Self::socket(socket.into(), Kind::Command, program)
    }

    pub fn tcp(stream: TcpStream, peer: String) -> io::Result<Self> {
        // Bytes that arrive in one piece are passed on at once; waiting for more would only add
        // delay.
        stream.set_nodelay(true)?;
        Self::socket(stream.into(), Kind::Tcp, peer)
    }

    pub fn unix(stream: UnixStream, peer: String) -> io::Result<Self> {
        Self::socket(stream.into(), Kind::Unix, peer)
    }

    fn socket(fd: OwnedFd, kind: Kind, peer: String) -> io::Result<Self> {
        let socket = Arc::new(Descriptor::nonblocking(fd, kind, "the socket")?);
        Ok(Self::from_arcs(Arc::clone(&socket), socket, peer))
    }

    fn from_descriptors(input: Descriptor, output: Descriptor, peer: String) -> Self {
        Self::from_arcs(Arc::new(input), Arc::new(output), peer)
    }

    fn from_arcs(input: Arc<Descriptor>, output: Arc<Descriptor>, peer: String) -> Self {
        Self {
            reader: Box::new(DescriptorReader::new(input)),
            writer: Box::new(DescriptorWriter::new(output)),
            closer: None,
            peer,
        }
    }
}

impl Descriptor {
    fn new(fd: OwnedFd, kind: Kind, what: &'static str) -> Self {
        Self {
            fd,
            kind,
            what,
            lost: OnceLock::new(),
            finished: AtomicBool::new(false),
        }
    }

    fn nonblocking(fd: OwnedFd, kind: Kind, what: &'static str) -> io::Result<Self> {
        let flags = fcntl_getfl(&fd)?;
        fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        Ok(Self::new(fd, kind, what))
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn is_socket(&self) -> bool {
        matches!(self.kind, Kind::Tcp | Kind::Unix | Kind::Command)
    }

    fn wait(&self, events: PollFlags, session: &Session) -> Result<Woken, Fault> {
        match session.wait(self.as_fd(), events) {
            Ok(Woken::Stopped) => Err(Fault::Stopped),
            Ok(woken) => Ok(woken),
            Err(error) => Err(Fault::failed(
                format_args!("wait for {}", self.what),
                &error,
            )),
        }
    }

    fn fault(&self, doing: impl Display, errno: Errno) -> Fault {
        match (self.kind, errno) {
            // On TCP this only comes after a reset; elsewhere the reader has closed.
            (Kind::Tcp, Errno::PIPE) => self.lost("the connection was reset"),
            (_, Errno::PIPE) | (Kind::Command, Errno::CONNRESET) => Fault::NotReading,
            (Kind::Tcp | Kind::Unix, errno) => self.lost(io::Error::from(errno)),
            _ => Fault::failed(doing, &errno.into()),
        }
    }

    /// Called at the end of the bytes that a TCP socket had to read: was that a reset rather than
    /// an end? If our writing goes on, only a reset leaves the connection closed both ways. That
    /// order matters: a hang-up that comes of our finishing in between is seen together with
    /// `finished`.
    fn is_reset(&self) -> bool {
        self.lost.get().is_some()
            || (self.kind == Kind::Tcp && self.is_hung_up() && !self.finished.load(SeqCst))
    }

    /// Asks for nothing, so that poll reports only errors and a hang-up.
    fn is_hung_up(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.as_fd(), PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    fn lost(&self, why: impl Display) -> Fault {
        Fault::Lost {
            why: self.lost.get_or_init(|| why.to_string()).clone(),
            code: None,
        }
    }

    /// Closes both ways at once. On TCP the other end gets a reset: a close with a linger time of
    /// zero discards the unsent bytes and says so.
    fn abort(&self) {
        if self.kind == Kind::Tcp {
            let _ = sockopt::set_socket_linger(&self.fd, Some(std::time::Duration::ZERO));
        } else if self.is_socket() {
            let _ = shutdown(&self.fd, Shutdown::Both);
        }
    }
}
