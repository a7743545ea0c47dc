//! Connecting again and again, on tokio.

use super::Stream;
use crate::error::Result;
use crate::options::Options;
use crate::stream::{Session, Tries};
use std::ffi::OsStr;

/// A client that connects to a name again after its peer has died or finished; the counterpart of
/// [`crate::Reconnect`], which says what is done when.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use slipring::tokio::{Listener, Reconnect};
/// use tokio::io::AsyncReadExt;
/// # let name = format!("doc-tokio-reconnect-{}", std::process::id());
///
/// let mut engine_at = Reconnect::new(&name)?;
/// for number in 0..2 {
///     let listener = Listener::bind(&name)?;
///     let (session, engine) = tokio::join!(engine_at.connect(), listener.accept());
///     let mut session = session?;
///     assert_eq!(session.number, number);
///     // The engine ends.
///     drop((engine?, listener));
///     assert_eq!(session.stream.read(&mut [0; 100]).await?, 0);
/// }
/// # Ok::<(), std::io::Error>(()) })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reconnect {
    tries: Tries,
}

impl Reconnect {
    /// Of a name, with the default [`Options`]. Does not connect yet.
    ///
    /// # Errors
    ///
    /// As [`crate::Reconnect::new`].
    pub fn new(name: impl AsRef<OsStr>) -> Result<Reconnect> {
        Reconnect::with(&Options::new(), name)
    }

    /// Of a name. Does not connect yet.
    ///
    /// # Errors
    ///
    /// As [`crate::Reconnect::with`].
    pub fn with(options: &Options, name: impl AsRef<OsStr>) -> Result<Reconnect> {
        Ok(Reconnect {
            tries: Tries::new(options, name)?,
        })
    }

    /// Connects to the name: for the first time, or again after the last stream has ended or was
    /// given up. Waits until it is connected.
    ///
    /// # Errors
    ///
    /// As [`crate::Reconnect::connect`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before it resolves, it leaves no connection behind, as
    /// [`Stream::connect`](Stream::connect). The next call goes on with the pauses where this one
    /// was, and counts its tries from 1.
    pub async fn connect(&mut self) -> Result<Session<Stream>> {
        let mut next = self.tries.begin();
        loop {
            tokio::time::sleep(next.pause).await;
            match Stream::connect_with(&next.options, self.tries.name()).await {
                Ok(stream) => return Ok(self.tries.succeeded(stream)),
                Err(error) => next = self.tries.failed(error)?,
            }
        }
    }
}
