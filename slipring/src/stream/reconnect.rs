//! Connecting again and again.

use crate::error::{Error, Result};
use crate::link::{Backoff, check_options, may_pass};
use crate::name::Name;
use crate::options::Options;
use crate::stream::Stream;
use std::ffi::OsStr;
use std::thread;
use std::time::{Duration, Instant};

/// A client that connects to a name again after its peer has died or finished.
///
/// Each [`connect`](Self::connect) returns a [`Session`]: a stream of its own, and which one it is.
/// The program uses the stream until that ends, and calls `connect` again. Nothing is sent twice:
/// bytes that the last peer had not read are lost, and the new one knows nothing of it. So a
/// program begins each session as its protocol says.
///
/// While nobody is bound to the name, it is watched, and a new listener is connected to at once.
/// If connecting fails otherwise there is a pause: 10 ms, then twice as long each time up to a
/// second, and by chance up to half as long again. The same after a session that was shorter than
/// that pause; a longer one makes the pauses begin anew.
///
/// # Examples
///
/// ```
/// use slipring::{Listener, Reconnect};
/// use std::io::{Read, Write};
/// # let name = format!("doc-reconnect-{}", std::process::id());
/// # let engine = std::thread::spawn({ let name = name.clone(); move || {
/// #     for _ in 0..2 {
/// #         let listener = Listener::bind(&name).unwrap();
/// #         listener.accept().unwrap().write_all(b"42").unwrap();
/// #     }
/// # }});
///
/// let mut engine_at = Reconnect::new(&name)?;
/// # let mut prices = Vec::new();
/// loop {
///     let mut session = engine_at.connect()?;
///     if session.number > 0 {
///         eprintln!("connected again, after {:?}", session.waited);
///     }
///     let mut price = String::new();
///     match session.stream.read_to_string(&mut price) {
///         Ok(_) => println!("{price}, and the engine has finished"),
///         Err(error) => println!("the engine is gone: {error}"),
///     }
///     # prices.push(price);
///     # if session.number == 1 { break; }
/// }
/// # engine.join().unwrap();
/// # assert_eq!(prices, ["42", "42"]);
/// # Ok::<(), slipring::Error>(())
/// ```
#[derive(Debug)]
pub struct Reconnect {
    tries: Tries,
}

/// One of the connections of a [`Reconnect`], one after the other.
#[derive(Debug)]
#[non_exhaustive]
pub struct Session<S = Stream> {
    /// The stream. Nothing has been sent over it.
    pub stream: S,
    /// How many sessions there were before: 0 for the first one. Any other is with another peer, or
    /// with the same one that knows nothing of the last session.
    pub number: u64,
    /// How many tries it took: 1 if it went well at once.
    pub tries: u64,
    /// How long it took.
    pub waited: Duration,
}

impl Reconnect {
    /// Of a name, with the default [`Options`]. Does not connect yet.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`].
    pub fn new(name: impl AsRef<OsStr>) -> Result<Reconnect> {
        Reconnect::with(&Options::new(), name)
    }

    /// Of a name. Does not connect yet.
    ///
    /// [`Options::wait_for_listener`] is how long a [`connect`](Self::connect) tries; without it
    /// there is no end.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`], [`Error::Capacity`], [`Error::ProtocolTooLong`].
    pub fn with(options: &Options, name: impl AsRef<OsStr>) -> Result<Reconnect> {
        Ok(Reconnect {
            tries: Tries::new(options, name)?,
        })
    }

    /// Connects to the name: for the first time, or again after the last stream has ended or was
    /// given up. Blocks until it is connected.
    ///
    /// # Errors
    ///
    /// Those that no waiting helps: [`Error::Kind`], [`Error::Protocol`], [`Error::Version`],
    /// [`Error::UntrustedPeer`], [`Error::NotSlipring`], [`Error::PathTooLong`]. With
    /// [`Options::wait_for_listener`] also the last error, whatever it was, once that time is up.
    /// It can be called again after each.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Error, Options, Reconnect};
    /// # use std::time::Duration;
    /// # let name = format!("doc-reconnect-connect-{}", std::process::id());
    /// let a_moment = Options::new().wait_for_listener(Duration::from_millis(30));
    /// let mut nobody = Reconnect::with(&a_moment, &name)?;
    /// assert!(matches!(nobody.connect(), Err(Error::NotBound { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn connect(&mut self) -> Result<Session> {
        let mut next = self.tries.begin();
        loop {
            thread::sleep(next.pause);
            match next.options.connect(&*self.tries.spelled) {
                Ok(stream) => return Ok(self.tries.succeeded(stream)),
                Err(error) => next = self.tries.failed(error)?,
            }
        }
    }
}

/// The next try.
#[derive(Debug)]
pub(crate) struct Try {
    /// Before it.
    pub(crate) pause: Duration,
    /// With how long it may wait for a listener, which tells a new one at once.
    pub(crate) options: Options,
}

/// What decides when to try, and when to give up.
#[derive(Debug)]
pub(crate) struct Tries {
    options: Options,
    spelled: std::ffi::OsString,
    backoff: Backoff,
    sessions: u64,
    /// When the last session began.
    connected: Option<Instant>,
    /// When `connect` was called, and the tries since.
    begun: Instant,
    count: u64,
}

impl Tries {
    pub(crate) fn new(options: &Options, name: impl AsRef<OsStr>) -> Result<Tries> {
        check_options(options)?;
        Name::parse(&name)?;
        Ok(Tries {
            options: options.clone(),
            spelled: name.as_ref().to_owned(),
            backoff: Backoff::new(),
            sessions: 0,
            connected: None,
            begun: Instant::now(),
            count: 0,
        })
    }

    /// The name.
    #[cfg(feature = "tokio")]
    pub(crate) fn name(&self) -> &OsStr {
        &self.spelled
    }

    pub(crate) fn begin(&mut self) -> Try {
        self.begun = Instant::now();
        self.count = 0;
        let pause = match self.connected {
            // The peer ends each session as soon as it has begun.
            Some(connected) if self.backoff.has_failed(connected.elapsed()) => self.backoff.next(),
            _ => Duration::ZERO,
        };
        self.after(pause)
    }

    /// The next try after a pause, but none beyond the end of the time.
    fn after(&mut self, pause: Duration) -> Try {
        let mut wait = self.backoff.clone().next();
        let mut pause = pause;
        if let Some(patience) = self.options.wait_for_listener {
            let left = patience.saturating_sub(self.begun.elapsed());
            pause = pause.min(left);
            wait = wait.min(left - pause);
        }
        let mut options = self.options.clone();
        options.wait_for_listener = Some(wait);
        Try { pause, options }
    }

    pub(crate) fn failed(&mut self, error: Error) -> Result<Try> {
        self.count += 1;
        let patience = self.options.wait_for_listener;
        let is_late = patience.is_some_and(|patience| self.begun.elapsed() >= patience);
        if is_late || !may_pass(&error) {
            return Err(error);
        }
        let pause = self.backoff.next();
        // That time has passed already, if a listener was waited for.
        let pause = match error {
            Error::NotBound { .. } => Duration::ZERO,
            _ => pause,
        };
        Ok(self.after(pause))
    }

    pub(crate) fn succeeded<S>(&mut self, stream: S) -> Session<S> {
        let number = self.sessions;
        self.sessions += 1;
        self.connected = Some(Instant::now());
        Session {
            stream,
            number,
            tries: self.count + 1,
            waited: self.begun.elapsed(),
        }
    }
}
