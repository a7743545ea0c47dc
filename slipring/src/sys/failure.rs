//! Why a mechanism could not be had.

use std::io;

/// What failed, in words for the user. The layers above make their own error of it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A system call failed.
    Call {
        /// What it was for.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel is too old.
    Unsupported {
        /// What it cannot do.
        what: &'static str,
        /// What can.
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
