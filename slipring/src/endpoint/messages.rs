//! The state that a reading half keeps of its messages. It outlives their receiver.

use std::any::Any;

/// The state of the direction, shared by all successive receivers.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    /// The message that has been taken out of the ring in part, without its last part.
    pub(crate) begun: Option<Begun>,
    /// The reason why no further message can be had: an error of the protocol on top, which knows
    /// its type. The direction has been ended for it.
    pub(crate) fault: Option<Box<dyn Any + Send + Sync>>,
}

/// How far a message has been taken out of the ring.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// Bytes of its payload.
    pub(crate) arrived: usize,
    /// The position of the half at that time. If the half has moved on since, then not by messages.
    pub(crate) position: u64,
}
