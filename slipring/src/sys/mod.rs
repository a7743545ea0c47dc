//! Everything that is asked of the operating system, one mechanism a file.
//!
//! The oldest kernel that works is Linux 5.1: it brought `F_SEAL_FUTURE_WRITE`, which keeps a peer
//! from mapping this side's region writable. Peers of other users need 5.8, for an eventfd that can
//! be read without blocking ([`doorbell`]). Newer kernels do some things better
//! (`MADV_POPULATE_WRITE` of 5.14, `MFD_NOEXEC_SEAL` of 6.3); that is tried and done without.

pub(crate) mod clock;
pub(crate) mod closing;
pub(crate) mod copy;
pub(crate) mod descriptor_limit;
pub(crate) mod doorbell;
pub(crate) mod epoll;
pub(crate) mod errno;
pub(crate) mod eventfd;
pub(crate) mod failure;
pub(crate) mod file;
pub(crate) mod inherited;
pub(crate) mod inotify;
pub(crate) mod mapping;
pub(crate) mod memfd;
pub(crate) mod memory_size;
pub(crate) mod poll;
pub(crate) mod process;
#[cfg(feature = "mmf")]
pub(crate) mod range_lock;
#[cfg(feature = "mmf")]
pub(crate) mod shared_file;
#[cfg(feature = "mmf")]
pub(crate) mod sigbus;
pub(crate) mod socket;
pub(crate) mod timer;
pub(crate) mod user;
pub(crate) mod watch;
pub(crate) mod wipe_on_fork;
