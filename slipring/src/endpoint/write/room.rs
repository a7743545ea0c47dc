//! What a writer is told of the room in its ring.

use std::io;

/// What a writer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// So much room; less, if the reader waits for more bytes.
    Some(usize),
    /// So much room at once.
    Whole(usize),
    /// That the peer has consumed everything.
    Drained,
}

/// The outcome of a writer's poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// All the room that was asked for.
    Enough,
    /// Some room, and a reader that waits for bytes which are not published yet.
    Starving,
}

impl Room {
    /// Fails if there is less than `n` bytes of room.
    #[inline]
    pub(crate) fn enough_for(self, n: usize) -> io::Result<()> {
        self.or_deadlock(|| format!("{n} bytes of room"))
    }

    /// Fails if the ring is not empty.
    pub(crate) fn enough_to_drain(self) -> io::Result<()> {
        self.or_deadlock(|| "everything to be consumed".into())
    }

    #[inline]
    fn or_deadlock(self, what: impl FnOnce() -> String) -> io::Result<()> {
        match self {
            Room::Enough => Ok(()),
            Room::Starving => {
                let text = format!(
                    "waiting for {} while the peer waits for more bytes than are in the ring: \
                     neither could go on; use a capacity that holds both",
                    what()
                );
                Err(io::Error::new(io::ErrorKind::Deadlock, text))
            }
        }
    }
}
