//! Files and directories, by plain calls.
//!
//! | name | system call |
//! |---|---|
//! | `open`, `stat`, `lstat`, `fstat` | open(2), stat(2) |
//! | `chmod`, `fchmod` | chmod(2) |
//! | `mkdir`, `unlink` | mkdir(2), unlink(2) |
//! | `flock` | flock(2) |
//! | `pread`, `pwrite`, `ftruncate` | pread(2), ftruncate(2) |

pub(crate) use rustix::fs::{
    FileType, FlockOperation, Mode, OFlags, Stat, chmod, fchmod, flock, fstat, ftruncate, lstat,
    mkdir, open, stat, unlink,
};
pub(crate) use rustix::io::{pread, pwrite};
