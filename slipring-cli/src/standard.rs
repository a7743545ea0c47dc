//! Whether there is a standard output at all.
//!
//! Before `main` the runtime opens `/dev/null` in place of a standard stream that is closed, so
//! that no other file gets its number. All bytes written to it would be lost without a word, while
//! other tools fail. Only a check before `main` can tell such a `/dev/null` from one that a user
//! chose.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, fcntl_getfd};

use crate::failure::Failure;

static OUTPUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Called by the C library before the runtime starts.
// SAFETY: the section holds pointers to functions that are called with the C calling convention and
// need not take the arguments that they are given. This one needs nothing of the runtime: it makes
// a system call and stores a flag.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        let closed = fcntl_getfd(rustix::stdio::stdout()) == Err(Errno::BADF);
        // Relaxed: there is one thread yet.
        OUTPUT_CLOSED.store(closed, Ordering::Relaxed);
    }
    look
};

/// Fails if standard output was closed when the program started.
pub fn check_output() -> Result<(), Failure> {
    // Relaxed: stored before any other thread was started.
    if OUTPUT_CLOSED.load(Ordering::Relaxed) {
        return Err(Failure::failed(
            "standard output is closed; send it to /dev/null if nobody is to read it",
        ));
    }
    Ok(())
}
