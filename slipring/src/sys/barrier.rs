//! A fence in everybody's way: membarrier(2).
//!
//! The kernel interrupts each CPU that runs a process which has asked for it, and a fence is executed there between two of
//! its instructions; a process that does not run has one behind it. So one side of a pair of fences can do without its own.

use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

/// Whether [`everywhere`] can be expected to work.
pub(crate) fn is_known() -> bool {
    membarrier_query().contains_command(MembarrierCommand::GlobalExpedited)
}

/// Asks for this process to be interrupted. Says whether it will be.
///
/// The kernel remembers it; the first time takes 5 to 22 ms here in a process of several threads, then half a microsecond.
pub(crate) fn register() -> bool {
    // Linux 4.16; a system may not have it all the same, or not allow it (seccomp).
    membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

/// A fence here, and one in the way of every process that has been registered, if the system still allows it.
#[must_use]
pub(crate) fn everywhere() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_has_it() {
        assert!(is_known());
        assert!(register());
        assert!(everywhere());
    }
}
