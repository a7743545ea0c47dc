//! The output of a command, which ends in order only if the command was not killed.

use std::sync::Arc;

use super::{Duplex, Fault, ReadHalf, StepError, WriteHalf};
use crate::{command::Running, session::Session};

impl Duplex {
    /// For a connection to a command: the output of a killed command is not complete.
    pub fn of_command(self, command: Arc<Running>) -> Self {
        Self {
            reader: Box::new(CommandOutput {
                output: self.reader,
                command,
            }),
            ..self
        }
    }
}

struct CommandOutput {
    output: Box<dyn ReadHalf>,
    command: Arc<Running>,
}

impl ReadHalf for CommandOutput {
    fn transfer(
        &mut self,
        sink: &mut dyn WriteHalf,
        session: &Session,
    ) -> Result<usize, StepError> {
        match self.output.transfer(sink, session) {
            Ok(0) => match self.command.killed_by() {
                Some(signal) => {
                    let why = format!("signal {signal} killed the command");
                    Err(StepError::Source(Fault::Failed(why)))
                }
                None => Ok(0),
            },
            moved => moved,
        }
    }

    fn has_more(&mut self) -> bool {
        self.output.has_more()
    }

    fn stop(&mut self, session: &Session) {
        self.output.stop(session);
    }

    fn abort(&mut self) {
        self.output.abort();
    }
}
