//! Joins two duplex streams: the bytes that one reads, the other writes, in both directions at
//! once.
//!
//! Ends pass through. A clean end of one side becomes the end of that direction on the other; a
//! side that is lost makes an abortive close of the other; a side that only stops reading makes
//! the other stop sending, while the opposite direction goes on.

pub mod output;
#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use crate::{
    duplex::{Duplex, Fault, ReadHalf, StepError, WriteHalf, abort_code},
    session::Session,
};
use output::OutputWatch;

/// Bytes moved so far; may be watched while the relay runs.
#[derive(Debug, Default)]
pub struct Traffic {
    /// From the first stream to the second.
    pub forth: AtomicU64,
    pub back: AtomicU64,
}

/// How one direction ended.
#[derive(Debug)]
pub enum Ending {
    /// The source ended, and the sink was told.
    Finished,
    /// The sink stopped taking bytes. `unsent`: the source still had some.
    NotWanted {
        unsent: bool,
    },
    /// The other direction's failure, or the caller, ended this one.
    Stopped,
    /// Lost or failed.
    Source(Fault),
    Sink(Fault),
}

/// How both ended.
#[derive(Debug)]
pub struct Outcome {
    pub forth: Ending,
    pub back: Ending,
}

/// One direction and its means.
struct Direction<'a> {
    source: Box<dyn ReadHalf>,
    sink: Box<dyn WriteHalf>,
    session: &'a Session,
    moved: &'a AtomicU64,
    output: Option<Arc<OutputWatch>>,
    /// Both sides have been told how it ended.
    told: bool,
}

/// Runs until both directions have ended. Each hook is called when its direction has ended, with
/// both its halves dropped, while the other direction may still run.
pub fn run(
    a: Duplex,
    b: Duplex,
    traffic: &Arc<Traffic>,
    after_forth: impl FnOnce(&Ending, &Session) + Send,
    after_back: impl FnOnce(&Ending, &Session),
) -> io::Result<Outcome> {
    let session = match Session::new([a.closer, b.closer].into_iter().flatten().collect()) {
        Ok(session) => session,
        Err(error) => {
            for mut writer in [a.writer, b.writer] {
                writer.abort(abort_code::FAILED);
            }
            return Err(error);
        }
    };
    let forth = Direction::new(a.reader, b.writer, &session, &traffic.forth);
    let back = Direction::new(b.reader, a.writer, &session, &traffic.back);
    // Each is over with its direction, however that ends.
    let (forth, back) = (forth.watched()?, back.watched()?);
    let outputs = [&forth.output, &back.output].map(Clone::clone);
    thread::scope(|scope| {
        for output in outputs.into_iter().flatten() {
            let session = &session;
            thread::Builder::new()
                .name("output".to_owned())
                .spawn_scoped(scope, move || output.run(session))?;
        }
        let forth = thread::Builder::new()
            .name("forth".to_owned())
            .spawn_scoped(scope, || {
                let ending = forth.run();
                after_forth(&ending, &session);
                ending
            })?;
        let back = back.run();
        after_back(&back, &session);
        let forth = forth
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok(Outcome { forth, back })
    })
}

impl<'a> Direction<'a> {
    fn new(
        source: Box<dyn ReadHalf>,
        sink: Box<dyn WriteHalf>,
        session: &'a Session,
        moved: &'a AtomicU64,
    ) -> Self {
        Self {
            source,
            sink,
            session,
            moved,
            output: None,
            told: false,
        }
    }

    /// With an eye on its sink's output.
    fn watched(mut self) -> io::Result<Self> {
        if let Some(output) = self.sink.output() {
            self.output = Some(Arc::new(OutputWatch::new(output?)?));
        }
        Ok(self)
    }

    fn run(mut self) -> Ending {
        let ending = match self.copy() {
            Ending::Finished | Ending::Stopped if self.is_unread() => {
                Ending::NotWanted { unsent: false }
            }
            ending => ending,
        };
        self.pass_on(&ending);
        self.told = true;
        let session = self.session;
        drop(self);
        session.direction_ended();
        ending
    }

    fn copy(&mut self) -> Ending {
        loop {
            let fault = match self.source.transfer(&mut *self.sink, self.session) {
                Ok(0) => {
                    return match self.sink.finish() {
                        Ok(()) => Ending::Finished,
                        // Everything had been handed over, and nobody wants to hear that it was
                        // all.
                        Err(Fault::NotReading) => Ending::NotWanted { unsent: false },
                        Err(Fault::Stopped) => Ending::Stopped,
                        Err(fault) => Ending::Sink(fault),
                    };
                }
                Ok(count) => {
                    self.moved.fetch_add(count as u64, Relaxed);
                    continue;
                }
                Err(fault) => fault,
            };
            return match fault {
                StepError::Source(Fault::Stopped) | StepError::Sink(Fault::Stopped) => {
                    Ending::Stopped
                }
                StepError::Sink(Fault::NotReading) => Ending::NotWanted {
                    unsent: self.source.has_more(),
                },
                StepError::Sink(fault) => Ending::Sink(fault),
                StepError::Source(fault) => Ending::Source(fault),
            };
        }
    }

    fn is_unread(&self) -> bool {
        self.output
            .as_ref()
            .is_some_and(|output| output.is_unread())
    }

    /// Lets the two sides know how this direction ended.
    fn pass_on(&mut self, ending: &Ending) {
        match ending {
            Ending::Finished => {}
            Ending::NotWanted { .. } => self.source.stop(self.session),
            Ending::Stopped => match self.session.abort_code() {
                Some(code) => self.sink.abort(code),
                None => {
                    let _ = self.sink.finish();
                }
            },
            Ending::Source(fault) => {
                let code = match fault {
                    Fault::Lost { code, .. } => code.unwrap_or(abort_code::LOST),
                    _ => abort_code::FAILED,
                };
                self.sink.abort(code);
                self.session.abort(code);
            }
            // Bytes that a lost sink had sent before may still be on their way to the source, so
            // the other direction goes on until it meets the loss itself.
            Ending::Sink(Fault::Lost { .. }) => {
                self.source.stop(self.session);
                self.source.abort();
            }
            Ending::Sink(_) => {
                // Only dropped, the sink would tell of a clean end.
                self.sink.abort(abort_code::FAILED);
                self.source.abort();
                self.session.abort(abort_code::FAILED);
            }
        }
    }
}

/// A direction that was never run, or whose thread panicked, must not pass for a clean end.
impl Drop for Direction<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.sink.abort(abort_code::FAILED);
            self.session.abort(abort_code::FAILED);
        }
        if let Some(output) = &self.output {
            output.end();
        }
    }
}
