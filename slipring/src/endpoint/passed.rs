//! The checks of memory that a peer has passed, before it is mapped: in the handshake, and whenever
//! the peer's ring is followed by another one.

use crate::error::Error;
use crate::sys::closing::Passed;
use crate::sys::errno::Errno;
use crate::sys::memfd;
use std::os::fd::OwnedFd;

/// Why memory that a peer passed cannot be used.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It is not as it should be.
    Theirs(&'static str),
    /// This process lacks something.
    Mine(Error),
}

/// Checks memory of `len` bytes: sealed, of ordinary pages, of that size, and allocated.
pub(crate) fn memory(passed: Passed, len: u64) -> Result<OwnedFd, Unfit> {
    whole(sealed(passed)?, len)
}

/// The same of memory whose length was not announced: at most `most` bytes; and its length.
pub(crate) fn memory_up_to(passed: Passed, most: u64) -> Result<(OwnedFd, u64), Unfit> {
    let fd = sealed(passed)?;
    let len = memfd::len(&fd)
        .map_err(|e| Unfit::Mine(Error::os("checking the peer's memory (fstat)")(e)))?;
    if len > most {
        let what = "the memory is larger than this side accepts (max_capacity)";
        return Err(Unfit::Theirs(what));
    }
    Ok((whole(fd, len)?, len))
}

/// Sealed, and of ordinary pages.
fn sealed(passed: Passed) -> Result<OwnedFd, Unfit> {
    // First, because it calls into no file system that somebody else wrote; a pipe, a socket, an
    // ordinary file end here.
    let is_sealed =
        memfd::is_sealed(&passed).map_err(|_| Unfit::Theirs("the memory cannot be sealed"))?;
    if !is_sealed {
        return Err(Unfit::Theirs("the memory is not sealed"));
    }
    let is_ordinary = memfd::is_ordinary(&passed)
        .map_err(|e| Unfit::Mine(Error::os("checking the peer's memory (fstatfs)")(e)))?;
    if !is_ordinary {
        return Err(Unfit::Theirs("the memory is not an ordinary memfd"));
    }
    Ok(passed.harmless())
}

/// Of that size, and allocated.
fn whole(fd: OwnedFd, len: u64) -> Result<OwnedFd, Unfit> {
    // Pages that the peer has not allocated would be allocated, and paid for, by the process that
    // touches them first. Those that it has beyond the end, where nothing is mapped (fallocate(2),
    // `FALLOC_FL_KEEP_SIZE`), would count as well; so they go, and the seals keep it from making
    // others. Any other size than it has is against the seals.
    memfd::set_len(&fd, len).map_err(|e| {
        Unfit::Theirs(match e {
            Errno::PERM => "the memory has another size than announced",
            _ => "the memory is not open for writing",
        })
    })?;
    let allocated = memfd::allocated(&fd)
        .map_err(|e| Unfit::Mine(Error::os("checking the peer's memory (fstat)")(e)))?;
    if allocated < len {
        return Err(Unfit::Theirs("the memory is not allocated"));
    }
    Ok(fd)
}
