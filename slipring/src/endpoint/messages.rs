//! What a reading half knows of its messages. It outlives their receiver.

use std::any::Any;

/// The state of the direction, which each receiver of it goes on with.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The message of which some parts have been taken out of the ring, and not the last one.
    pub(crate) begun: Option<Begun>,
    /// Why no further message can be had: an error of the protocol on top, which knows its type.
    /// The direction has been ended for it.
    pub(crate) fault: Option<Box<dyn Any + Send + Sync>>,
}

/// How far a message has been taken out of the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// Bytes of its payload.
    pub(crate) arrived: usize,
    /// Where the half stood then. If it has moved on since, then not by messages.
    pub(crate) position: u64,
}
