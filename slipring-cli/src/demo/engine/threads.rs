//! The engine of plain threads: one publishes to all panels, and one per panel reads.

use std::thread;

use slipring::{Stream, Writer};

use super::{Engine, publisher, receiver};
use crate::{
    demo::{board::Board, schedule::Schedule},
    failure::Failure,
    harness::clock::MICROSECOND,
};

pub struct Threads {
    /// Wait for the next message's time without sleeping.
    pub never_sleep: bool,
}

impl Engine for Threads {
    fn name(&self) -> &'static str {
        "threads"
    }

    fn run(&self, streams: Vec<Stream>, schedule: Schedule, board: &Board) -> Result<(), Failure> {
        serve(streams, board, |writers| {
            publisher::publish(writers, schedule, pause(self.never_sleep), board);
        })
    }
}

/// Between two checks of the schedule, in nanoseconds.
pub fn pause(never_sleep: bool) -> u64 {
    if never_sleep { 0 } else { 50 * MICROSECOND }
}

/// Reads the answers of each panel in a thread of its own, while `publish` publishes.
pub fn serve(
    streams: Vec<Stream>,
    board: &Board,
    publish: impl FnOnce(Vec<Writer>),
) -> Result<(), Failure> {
    let mut writers = Vec::with_capacity(streams.len());
    let mut readers = Vec::with_capacity(streams.len());
    for stream in streams {
        let (reader, writer) = stream.into_split();
        readers.push(reader);
        writers.push(writer);
    }
    thread::scope(|scope| {
        for (reader, panel) in readers.into_iter().zip(&board.panels) {
            thread::Builder::new()
                .name("receiver".into())
                .stack_size(256 << 10)
                .spawn_scoped(scope, || receiver::receive(reader, panel))
                .inspect_err(|_| board.set_all_published())?;
        }
        publish(writers);
        Ok(())
    })
}
