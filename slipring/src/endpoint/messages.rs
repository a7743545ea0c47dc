//! The memory that a reading half has of its messages. It outlives their receiver.

use crate::frame::Error;

/// The state of the direction, whoever receives from it.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The message of which some parts have been taken out of the ring, and not the last one.
    pub(crate) begun: Option<Begun>,
    /// Why no further message can be had. The direction has been ended for it.
    pub(crate) fault: Option<Error>,
}

/// How far a message has been taken out of the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// Bytes of its payload.
    pub(crate) arrived: usize,
    /// Where the half stood then. If it has moved on since, then not by messages.
    pub(crate) position: u64,
}
