//! How a command fails: an exit code and one line for standard error.

use std::{error::Error as _, fmt, io, process::ExitCode};

use crate::{console, exit::Status};

/// Why a command did not succeed. The message says what happened and, where that helps, what to do.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    /// `None` if the reader of our output has gone: like other Unix tools, we just leave.
    message: Option<String>,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: Some(message.into()),
        }
    }

    /// An operation on this machine failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    /// No connection came about.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Status::Unreachable, message)
    }

    /// The peer went away before its clean end.
    pub fn peer_lost(message: impl Into<String>) -> Self {
        Self::new(Status::PeerLost, message)
    }

    /// For `map_err`: puts the failed action in front of the system's own words.
    pub fn doing(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let status = Self::from_io_ref(&error).map_or(Status::Failed, |failure| failure.status);
            Self::new(status, format!("cannot {what}: {error}"))
        }
    }

    /// For `map_err` on standard output: a reader that has gone away is no failure.
    pub fn writing_output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                status: Status::Failed,
                message: None,
            };
        }
        Self::failed(format!(
            "cannot write to standard output: {error}; make room there, or send the output \
                elsewhere"
        ))
    }

    /// Puts `context: ` in front of the message.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = self.message.map(|message| format!("{context}: {message}"));
        self
    }

    /// Puts `what` behind the message.
    #[must_use]
    pub fn followed_by(mut self, what: impl fmt::Display) -> Self {
        self.message = self.message.map(|message| format!("{message}{what}"));
        self
    }

    /// Failed on this side, so that the next connection would fail alike.
    pub fn is_local(&self) -> bool {
        self.status == Status::Failed
    }

    pub fn is_peer_lost(&self) -> bool {
        self.status == Status::PeerLost
    }

    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }

    /// Prints the message, if there is one, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        match &self.message {
            Some(message) => {
                console::log(message);
                self.status.into()
            }
            None => ExitCode::SUCCESS,
        }
    }

    /// An `io::Error` may carry an error of the library, which knows its exit code better.
    fn from_io_ref(error: &io::Error) -> Option<Self> {
        let library = slipring::Error::of(error)?;
        Some(Self::new(status_of(library), library.to_string()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Failure {}

/// Errors of the library all come from setting up a stream, so each that is not the caller's
/// mistake means that no connection or binding came about.
fn status_of(error: &slipring::Error) -> Status {
    use slipring::Error;
    match error {
        Error::InvalidName { .. } | Error::PathTooLong { .. } | Error::Capacity { .. } => {
            Status::Usage
        }
        _ => Status::Unreachable,
    }
}

impl From<slipring::Error> for Failure {
    fn from(error: slipring::Error) -> Self {
        let mut message = error.to_string();
        // The library keeps the system's error apart; show it unless the text has it already.
        if let Some(source) = error.source().map(ToString::to_string)
            && !message.contains(&source)
        {
            message = format!("{message}: {source}");
        }
        if let slipring::Error::Kind { theirs, .. } = &error {
            match theirs.as_str() {
                "feed" => message += ": `slipring subscribe` reads feeds",
                "board" => message += ": `slipring board` shows boards",
                "stream" => message += ": `slipring connect` joins streams",
                _ => {}
            }
        }
        Self::new(status_of(&error), message)
    }
}

impl From<slipring::mmf::Error> for Failure {
    fn from(error: slipring::mmf::Error) -> Self {
        Self::unreachable(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::from_io_ref(&error).unwrap_or_else(|| Self::failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_by_a_closed_output_is_quiet() {
        let failure = Failure::writing_output(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(failure.message, None);
    }

    #[test]
    fn a_failure_by_a_full_disk_is_told() {
        let failure = Failure::writing_output(io::Error::from_raw_os_error(28));
        assert_eq!(failure.status, Status::Failed);
        assert!(failure.message().contains("standard output"), "{failure}");
    }

    #[test]
    fn the_context_of_a_failure_goes_in_front_of_it() {
        assert_eq!(Failure::failed("no").context("here").message(), "here: no");
    }
}
