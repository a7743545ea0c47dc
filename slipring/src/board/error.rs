//! Why a board was not changed, or not read.

use super::layout::MAX_KEY;
use std::io;

/// A key was not set or removed. Nothing has changed.
///
/// # Examples
///
/// ```
/// use slipring::board::{PublisherOptions, SetError};
/// # let name = format!("doc-board-error-{}", std::process::id());
///
/// let mut board = PublisherOptions::new().max_keys(1).max_value(8).bind(&name)?;
/// let error = board.set(b"EUR/USD", &[0; 9]).unwrap_err();
/// assert_eq!(error, SetError::ValueTooLong { len: 9, max: 8 });
/// board.set(b"EUR/USD", b"1.17")?;
/// assert_eq!(board.set(b"GBP/USD", b"1.33"), Err(SetError::Full { max_keys: 1 }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The key is too long.
    #[error("a key of {len} bytes is too long: {max} is the most. Choose a shorter one")]
    KeyTooLong {
        /// Bytes of this one.
        len: usize,
        /// Bytes of the longest.
        max: usize,
    },
    /// The value is longer than the board's longest.
    #[error(
        "a value of {len} bytes is too long: {max} is the most. Raise max_value of the publisher's \
         options"
    )]
    ValueTooLong {
        /// Bytes of this one.
        len: usize,
        /// Bytes of the longest.
        max: usize,
    },
    /// The key is new, and the board has as many keys as it may have.
    #[error(
        "the board is full: it has {max_keys} keys. Remove one, or raise max_keys of the \
         publisher's options"
    )]
    Full {
        /// That many.
        max_keys: u32,
    },
    /// The publisher belongs to the process that forked this one.
    #[error(
        "this publisher belongs to the process that forked this one; a child needs a publisher of \
         its own, with a name of its own"
    )]
    Forked,
}

impl SetError {
    pub(super) fn check_key(key: &[u8]) -> Result<(), SetError> {
        if key.len() > MAX_KEY {
            return Err(SetError::KeyTooLong {
                len: key.len(),
                max: MAX_KEY,
            });
        }
        Ok(())
    }
}

impl From<SetError> for io::Error {
    fn from(error: SetError) -> io::Error {
        let kind = match error {
            SetError::KeyTooLong { .. } | SetError::ValueTooLong { .. } => {
                io::ErrorKind::InvalidInput
            }
            SetError::Full { .. } => io::ErrorKind::StorageFull,
            SetError::Forked => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// A value, or a snapshot, could not be read. The subscriber goes on.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The publisher changed it again and again while it was read.
    #[error("the publisher changes this faster than it can be read. Try again, or later")]
    Busy,
    /// The publisher's memory makes no sense.
    #[error("the publisher's memory is corrupt. Connect to another publisher")]
    Corrupt,
    /// The operating system failed, or this is a forked child.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        match error {
            ReadError::Busy => io::Error::new(io::ErrorKind::ResourceBusy, error),
            ReadError::Corrupt => io::Error::new(io::ErrorKind::InvalidData, error),
            ReadError::Io(error) => error,
        }
    }
}
