//! Why a mechanism could not be had.

use std::io;

/// The mechanism that failed, in words for the user. The layers above make their own error of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A system call failed.
    Call {
        /// The purpose of the call.
        doing: &'static str,
        /// The error of the system.
        source: io::Error,
    },
    /// The kernel is too old.
    Unsupported {
        /// The feature that it lacks.
        what: &'static str,
        /// A system that has it.
        needs: &'static str,
    },
}

impl Failure {
    /// A failed call, to be used as `map_err(Failure::of("doing this (call)"))`.
    pub(super) fn of<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Failure {
        move |source| Failure::Call {
            doing,
            source: source.into(),
        }
    }
}
