//! Advisory locks on some bytes of a file, held by an open file: `F_OFD_SETLK` of fcntl(2), Linux
//! 3.15.
//!
//! Such a lock goes when the last descriptor of the open file is closed, however the process ends.
//! It has nothing to do with flock(2), the lock that .NET takes on the files that it opens, and it
//! lets reads and writes pass.

use super::errno::{self, Errno};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

/// Locks the bytes for this open file alone; `false`: some of them are locked by another.
pub(crate) fn try_lock(file: impl AsFd, bytes: Range<u64>) -> errno::Result<bool> {
    let lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: bytes.start as libc::off_t,
        l_len: (bytes.end - bytes.start) as libc::off_t,
        // Has to be 0 for a lock of an open file.
        l_pid: 0,
    };
    let fd = file.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open, being borrowed; F_OFD_SETLK reads a `flock`, which `lock` is,
    // and keeps nothing.
    if unsafe { libc::fcntl(fd, libc::F_OFD_SETLK, &raw const lock) } == 0 {
        return Ok(true);
    }
    match std::io::Error::last_os_error()
        .raw_os_error()
        .map(Errno::from_raw_os_error)
    {
        Some(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        errno => Err(errno.unwrap_or(Errno::IO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn bytes_are_locked_for_one_open_file_until_it_is_closed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let open = || {
            File::options()
                .read(true)
                .write(true)
                .open(file.path())
                .unwrap()
        };
        let (one, other) = (open(), open());
        assert!(try_lock(&one, 0..8).unwrap());
        assert!(!try_lock(&other, 0..8).unwrap());
        assert!(!try_lock(&other, 7..9).unwrap());
        assert!(try_lock(&other, 8..16).unwrap());
        // The lock that .NET asks for on the files that it opens.
        rustix::fs::flock(open(), rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
        drop(one);
        assert!(try_lock(open(), 0..8).unwrap());
    }
}
