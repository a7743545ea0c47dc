//! Why a record was not published.

use std::io;

/// A record was not published. Nothing has changed.
///
/// # Examples
///
/// ```
/// use slipring::feed::{PublishError, PublisherOptions};
/// # let name = format!("doc-feed-error-{}", std::process::id());
///
/// let mut publisher = PublisherOptions::new().max_record(64).bind(&name)?;
/// let error = publisher.publish(&[0; 65]).unwrap_err();
/// assert_eq!(error, PublishError::TooLong { len: 65, max: 64 });
/// # Ok::<(), slipring::Error>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The record is longer than the feed's longest.
    #[error(
        "a record of {len} bytes is too long: {max} is the most. Send it in parts, or raise \
         max_record of the publisher's options"
    )]
    TooLong {
        /// Bytes of this one.
        len: usize,
        /// Bytes of the longest.
        max: usize,
    },
    /// The publisher belongs to the process that forked this one.
    #[error(
        "this publisher belongs to the process that forked this one; a child needs a publisher of \
         its own, with a name of its own"
    )]
    Forked,
}

impl From<PublishError> for io::Error {
    fn from(error: PublishError) -> io::Error {
        let kind = match error {
            PublishError::TooLong { .. } => io::ErrorKind::InvalidInput,
            PublishError::Forked => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// The error of a subscriber's call in another process.
#[cold]
pub(super) fn forked() -> io::Error {
    io::Error::other(
        "this subscriber belongs to the process that forked this one; a child connects by itself",
    )
}
