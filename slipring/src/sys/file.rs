//! Files and directories, by plain calls.
//!
//! | name | system call |
//! |---|---|
//! | `open`, `stat`, `lstat`, `fstat` | open(2), stat(2) |
//! | `chmod`, `fchmod` | chmod(2) |
//! | `mkdir`, `unlink` | mkdir(2), unlink(2) |
//! | `flock` | flock(2) |
//! | `pread`, `pwrite`, `ftruncate` | pread(2), ftruncate(2) |

use super::errno;
use rustix::fs::{AtFlags, CWD, FallocateFlags, fallocate, linkat};
use rustix::io::retry_on_intr;
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

pub(crate) use rustix::fs::{
    FileType, FlockOperation, Mode, OFlags, Stat, chmod, fchmod, flock, fstat, ftruncate, lstat,
    mkdir, open, stat, unlink,
};
pub(crate) use rustix::io::{pread, pwrite};

/// Gives a file all blocks of its first `len` bytes; its size and its bytes stay as they are
/// (fallocate(2)).
pub(crate) fn allocate(file: impl AsFd, len: u64) -> errno::Result<()> {
    // Some kernels give it up for a signal.
    retry_on_intr(|| fallocate(&file, FallocateFlags::KEEP_SIZE, 0, len))
}

/// Gives a name to a file that was opened without one, by `O_TMPFILE` (linkat(2)).
pub(crate) fn give_name(file: impl AsFd, path: &Path) -> errno::Result<()> {
    let unnamed = PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()));
    linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)
}
