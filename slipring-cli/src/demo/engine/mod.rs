//! Engines: ways of serving all panels from one process.

pub mod one_feed;
mod publisher;
mod receiver;
pub mod threads;

use slipring::Stream;

use super::{board::Board, schedule::Schedule};
use crate::failure::Failure;

/// Publishes by a schedule and reads the panels' answers, until all streams have ended.
///
/// The streams are in the order of `board.panels`. An engine notes every event on the board, stops
/// publishing when `board.is_stopped()`, and finishes every stream's direction when it has
/// published everything; a panel that goes away ends its own stream and no other.
pub trait Engine {
    /// The name that the summary shows.
    fn name(&self) -> &'static str;

    fn run(&self, streams: Vec<Stream>, schedule: Schedule, board: &Board) -> Result<(), Failure>;
}
