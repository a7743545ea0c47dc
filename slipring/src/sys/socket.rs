//! Unix sockets (unix(7)), and messages with descriptors and credentials over them (cmsg(3)).
//!
//! `bind`, `connect` and `listen` are the plain calls: bind(2), connect(2), listen(2).

use super::errno::{self, Errno};
use rustix::cmsg_space;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::ioctl_fionread;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    UCred, getsockname, sendmsg, socket_with, socketpair, sockopt,
};
use std::ffi::OsStr;
use std::io::{self, IoSlice};
use std::mem::{MaybeUninit, size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use rustix::net::{SocketAddrUnix, bind, connect, listen};

/// The most descriptors that the kernel lets one message carry (`SCM_MAX_FD`): with room for all of
/// them none is ever dropped unseen.
const MAX_FDS: usize = 253;

/// The sender of a message, by the kernel's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// 0 where the process is not visible from this pid namespace.
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// A stream socket that does not block (socket(2)).
pub(crate) fn nonblocking() -> errno::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Makes its calls fail rather than block (fcntl(2), `F_SETFL`).
pub(crate) fn set_nonblocking(socket: impl AsFd) -> errno::Result<()> {
    fcntl_setfl(socket, OFlags::NONBLOCK)
}

/// Whether a listener of this network namespace is bound to the path, as `/proc/net/unix` lists it.
pub(crate) fn is_listened_at(path: &Path) -> bool {
    std::fs::read("/proc/net/unix").is_ok_and(|table| lists_listener(&table, path))
}

/// The same, by the contents of that file: a line has eight columns, and the flags are the fourth.
fn lists_listener(table: &[u8], path: &Path) -> bool {
    table.split(|byte| *byte == b'\n').any(|line| {
        let mut columns = line.splitn(8, |byte| *byte == b' ');
        let flags = columns.nth(3);
        flags == Some(b"00010000") && columns.nth(3) == Some(path.as_os_str().as_bytes())
    })
}

/// The path that a Unix stream socket is bound to; `None` for any other descriptor.
pub(crate) fn path_of(socket: impl AsFd) -> Option<PathBuf> {
    let address = SocketAddrUnix::try_from(getsockname(&socket).ok()?).ok()?;
    if sockopt::socket_type(&socket) != Ok(SocketType::STREAM) {
        return None;
    }
    let path = address.path_bytes()?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

/// Makes its calls block (fcntl(2), `F_SETFL`).
pub(crate) fn set_blocking(socket: impl AsFd) -> errno::Result<()> {
    fcntl_setfl(socket, OFlags::empty())
}

/// Limits how long a `connect` blocks, or a send (`SO_SNDTIMEO`); `None`: it is not limited.
pub(crate) fn set_send_timeout(socket: impl AsFd, timeout: Option<Duration>) -> errno::Result<()> {
    // Zero would mean no limit, and so would less than a microsecond.
    let timeout = timeout.map(|timeout| timeout.max(Duration::from_millis(1)));
    sockopt::set_socket_timeout(socket, sockopt::Timeout::Send, timeout)
}

/// A connected pair of stream sockets (socketpair(2)).
pub(crate) fn pair() -> errno::Result<(OwnedFd, OwnedFd)> {
    let (unix, stream) = (AddressFamily::UNIX, SocketType::STREAM);
    socketpair(unix, stream, SocketFlags::CLOEXEC, None)
}

/// Asks the kernel to deliver the sender's credentials with everything that is received from now
/// on.
pub(crate) fn ask_for_credentials(socket: BorrowedFd<'_>) -> errno::Result<()> {
    sockopt::set_socket_passcred(socket, true)
}

/// Sends `bytes` with descriptors and this process's credentials; says how many bytes went out.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    fds: &[BorrowedFd<'_>],
) -> errno::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(8), ScmCredentials(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let me = UCred {
        pid: rustix::process::getpid(),
        uid: rustix::process::geteuid(),
        gid: rustix::process::getegid(),
    };
    let mut fits = control.push(SendAncillaryMessage::ScmCredentials(me));
    if !fds.is_empty() {
        fits &= control.push(SendAncillaryMessage::ScmRights(fds));
    }
    assert!(fits, "more than eight descriptors in a message");
    // NOSIGNAL: a peer that is gone is an error, not a SIGPIPE.
    sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
    )
}

/// Sends a few bytes and nothing with them, without blocking: `EAGAIN` if the other end has left
/// too many unread (send(2)).
pub(crate) fn say(socket: impl AsFd, bytes: &[u8]) -> errno::Result<()> {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::send(socket, bytes, flags).map(|_| ())
}

/// The result of one call of [`receive`].
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Bytes; 0 = the peer closed its end.
    pub(crate) len: usize,
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) credentials: Option<Credentials>,
    /// The kernel had more ancillary data than it could deliver: descriptors of this process have
    /// run out, or the peer sent nonsense.
    pub(crate) truncated: bool,
}

/// Receives without blocking. All descriptors that arrive are owned by the result, and closed with
/// it.
pub(crate) fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> errno::Result<Received> {
    receive_by(socket, bytes, libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT)
}

/// The next message, with copies of its descriptors; all of it stays where it is. If it is
/// truncated, this process has no room for the descriptors: [`receive`] would lose those that do
/// not fit, and close them itself, which may block.
pub(crate) fn peek(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> errno::Result<Received> {
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT | libc::MSG_PEEK;
    receive_by(socket, bytes, flags)
}

/// Bytes that have arrived and were not received.
pub(crate) fn unread(socket: BorrowedFd<'_>) -> errno::Result<u64> {
    ioctl_fionread(socket)
}

/// Bytes that were sent and that the peer has not received.
pub(crate) fn unreceived(socket: BorrowedFd<'_>) -> errno::Result<u64> {
    let mut count: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (unix(7) by its other name, TIOCOUTQ) stores an int at the address, where
    // `count` is alive.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if done == 0 {
        Ok(count as u64)
    } else {
        Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

fn receive_by(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    flags: libc::c_int,
) -> errno::Result<Received> {
    // By libc rather than rustix: a sender that this pid namespace does not know has the pid 0,
    // which rustix's type for a pid cannot hold.
    const SPACE: usize = {
        // SAFETY: arithmetic on constants.
        let rights = unsafe { libc::CMSG_SPACE((MAX_FDS * size_of::<RawFd>()) as u32) };
        // SAFETY: as above.
        let credentials = unsafe { libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) };
        (rights + credentials) as usize
    };
    // u64 for the alignment that a cmsghdr needs.
    let mut control = [0u64; SPACE.div_ceil(8)];
    let mut iov = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: msghdr is plain data for which all zeros is the empty message.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut iov;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = SPACE as _;
    // SAFETY: the message points at one iovec over `bytes` and at `control`, all alive and of the
    // lengths given.
    let len = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    if len < 0 {
        return Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO));
    }
    let mut received = Received {
        len: len as usize,
        truncated: message.msg_flags & libc::MSG_CTRUNC != 0,
        ..Received::default()
    };
    // SAFETY: `message` was filled in by recvmsg and `control` is still alive.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return null or a whole header within `control`.
        let cmsg = unsafe { header.read_unaligned() };
        // SAFETY: as above; this is the address behind the header.
        let data = unsafe { libc::CMSG_DATA(header) };
        // SAFETY: arithmetic on a constant.
        let payload =
            (cmsg.cmsg_len as usize).saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
        match (cmsg.cmsg_level, cmsg.cmsg_type) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for i in 0..payload / size_of::<RawFd>() {
                    // SAFETY: the kernel wrote `payload` bytes of descriptors at `data`.
                    let at = unsafe { data.cast::<RawFd>().add(i) };
                    // SAFETY: as above; it need not be aligned.
                    let fd = unsafe { at.read_unaligned() };
                    // SAFETY: the kernel has just installed this descriptor for us, and nobody else
                    // knows it.
                    received.fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if payload >= size_of::<libc::ucred>() => {
                // SAFETY: the kernel wrote a ucred at `data`; it is plain data.
                let sender = unsafe { data.cast::<libc::ucred>().read_unaligned() };
                received.credentials = Some(Credentials {
                    pid: sender.pid as u32,
                    uid: sender.uid,
                    gid: sender.gid,
                });
            }
            _ => {}
        }
        // SAFETY: `header` is a header within `control`, which `message` describes.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(received)
}

/// The process that connected this socket, or called `listen` on its other end, or made the socket
/// pair (`SO_PEERCRED`): a first hint, as another may use it now.
pub(crate) fn made_by(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    let mut sender = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // By libc for the same reason as in `receive`.
    // SAFETY: `sender` and `len` are alive and of the type that SO_PEERCRED fills in.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut sender).cast(),
            &raw mut len,
        )
    };
    if done == 0 {
        Ok(Credentials {
            pid: sender.pid as u32,
            uid: sender.uid,
            gid: sender.gid,
        })
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_listener_is_listed_at_its_path_and_a_stale_socket_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("with a space");
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_listened_at(&path));
        assert_eq!(path_of(&listener), Some(path.clone()));
        assert!(!is_listened_at(&directory.path().join("with")));
        drop(listener);
        assert!(!is_listened_at(&path));
    }

    #[test]
    fn what_is_no_bound_unix_stream_has_no_path() {
        assert_eq!(path_of(pair().unwrap().0), None);
        assert_eq!(path_of(std::io::pipe().unwrap().0), None);
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(path_of(tcp), None);
    }
}
