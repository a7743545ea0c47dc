//! The numbers by which a system call fails (errno(3)).

pub(crate) use rustix::io::{Errno, Result};
