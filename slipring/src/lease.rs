//! Nothing: the handshake makes it, and an endpoint takes it.

use rustix::io;

/// Nothing.
#[derive(Debug)]
pub(crate) struct Lease;

impl Lease {
    /// Never fails.
    pub(crate) fn new() -> io::Result<Lease> {
        Ok(Lease)
    }
}
