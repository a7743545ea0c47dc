//! The stream: both halves of one endpoint.

mod batch;
mod closer;
mod connect;
mod grant;
mod listener;
mod park;
mod reader;
mod readiness;
mod reconnect;
mod writer;

pub use batch::Batch;
pub use closer::Closer;
pub use grant::Grant;
pub use listener::{Incoming, Listener};
pub use reader::Reader;
pub use readiness::Readiness;
#[cfg(feature = "tokio")]
pub(crate) use reconnect::Tries;
pub use reconnect::{Reconnect, Session};
pub use writer::Writer;

use crate::endpoint::{Connected, Whole};
use crate::error::Result;
use crate::name::Name;
use crate::options::Options;
use crate::peer::Peer;
use crate::sys::watch::Watches;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, BufRead, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// A full-duplex byte stream to another process, in shared memory, that behaves like a connected
/// socket.
///
/// # Closing a stream
///
/// Dropping a stream, or both its halves, ends it in order: the peer reads every byte that was
/// written, then gets `Ok(0)`; if it writes, `BrokenPipe`. Dropping one half ends one direction.
///
/// Dropping a whole stream with bytes unread is no end in order, as it is none for a socket: the
/// peer reads every byte that was written, then gets `ConnectionReset`
/// ([`EndReason::Reset`](crate::EndReason::Reset)). [`Writer::finish`] or
/// [`shutdown`](Self::shutdown) before is in order whatever is unread. A relay that fails with
/// everything read has to [`abort`](Writer::abort): if it only drops its streams, what it has
/// passed on looks complete. A process that leaves without dropping its stream (`process::exit`, a
/// signal, an abort) has *died*, and its peer gets `ConnectionReset` after the last byte; a socket
/// would show an end of file. [`Writer::finish`] before leaving is the cure.
///
/// # Common issues
///
/// * **`ConnectionReset` in place of an end of file.** The peer dropped its whole stream with bytes
///   of this side unread, or its process left without dropping the stream. A peer that is done
///   reads to the end, or calls [`Writer::finish`] before it leaves. [`Reader::end`] tells the two
///   apart.
/// * **An end of file in place of an error.** The peer gave up in the middle, and its stream was
///   dropped in order. It has to [`abort`](Writer::abort).
/// * **Both sides write, and neither goes on.** Each fills its ring, and waits for a peer that does
///   not read. As with sockets, one side has to read meanwhile: on another thread
///   ([`halves`](Self::halves), [`into_split`](Self::into_split)), in non-blocking mode, or after
///   writing no more than the [`capacity`](Self::capacity).
/// * **`connect` does not return.** It waits until the listener accepts. A thread that binds,
///   connects and only then accepts waits for itself: [`Options::backlog_timeout`].
/// * **Calls fail in a forked child.** The stream is its parent's. The child makes one of its own,
///   by [`Options::upgrade`] over an inherited socket.
/// * **`WouldBlock` from `read_exact` or `write_all`.** The timeout is that of each read and each
///   write; what was moved before is moved.
///
/// # Examples
///
/// ```
/// use slipring::{Listener, Stream};
/// use std::io::{BufRead, Write};
/// # let name = format!("doc-stream-{}", std::process::id());
///
/// let listener = Listener::bind(&name)?;
/// let server = std::thread::spawn(move || -> std::io::Result<()> {
///     let mut stream = listener.accept()?;
///     let mut line = String::new();
///     stream.read_line(&mut line)?;
///     stream.write_all(line.to_uppercase().as_bytes())
/// });
///
/// let mut stream = Stream::connect(&name)?;
/// stream.write_all(b"hello\n")?;
/// let mut line = String::new();
/// stream.read_line(&mut line)?;
/// assert_eq!(line, "HELLO\n");
/// # server.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "UnixStream")]
#[derive(Debug)]
pub struct Stream {
    // Dropped before the halves.
    whole: Whole,
    reader: Reader,
    writer: Writer,
}

impl Stream {
    /// A stream whose handshake was for blocking halves.
    pub(crate) fn new(connected: Connected) -> Result<Stream> {
        let (read, write, watches) = connected.into_halves();
        let endpoint = Arc::clone(read.endpoint());
        let Watches { reader, writer } = match watches {
            Some(watches) => watches,
            None => Watches::new(&endpoint.own_doorbells, endpoint.link.as_fd())?,
        };
        Ok(Stream {
            whole: Whole::of(&endpoint),
            reader: Reader::new(read, reader),
            writer: Writer::new(write, writer),
        })
    }

    pub(crate) fn of_halves(reader: Reader, writer: Writer) -> Stream {
        Stream {
            whole: Whole::of(reader.endpoint()),
            reader,
            writer,
        }
    }

    /// Connects to a name with the default [`Options`]; see [`Options::connect`].
    ///
    /// # Errors
    ///
    /// See [`Options::connect`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::{Listener, Stream};
    /// # use std::io::{Read, Write};
    /// # let name = format!("doc-stream-connect-{}", std::process::id());
    /// # let listener = Listener::bind(&name)?;
    /// # let server = std::thread::spawn(move || listener.accept()?.write_all(b"welcome"));
    /// let mut stream = Stream::connect(&name)?;
    /// let mut text = String::new();
    /// stream.read_to_string(&mut text)?;
    /// assert_eq!(text, "welcome");
    /// # server.join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(name: impl AsRef<OsStr>) -> Result<Stream> {
        Options::new().connect(name)
    }

    /// Meets one other process at a name with the default [`Options`]; see [`Options::rendezvous`].
    ///
    /// # Errors
    ///
    /// See [`Options::rendezvous`].
    pub fn rendezvous(name: impl AsRef<OsStr>) -> Result<Stream> {
        Options::new().rendezvous(name)
    }

    /// Two connected endpoints within this process, with the default [`Options`]; see
    /// [`Options::pair`].
    ///
    /// # Errors
    ///
    /// See [`Options::pair`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{Read, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"ping")?;
    /// right.read_exact(&mut [0; 4])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pair() -> Result<(Stream, Stream)> {
        Options::new().pair()
    }

    /// The reading half.
    pub fn reader(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// The writing half.
    pub fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// Both halves, borrowed: each can be used by a scoped thread of its own.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{Read, Write};
    /// let (mut left, mut right) = Stream::pair()?;
    /// let (reader, writer) = left.halves();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| writer.write_all(b"to the right"));
    ///     right.write_all(b"to the left")?;
    ///     reader.read_exact(&mut [0; 11])
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "split")]
    pub fn halves(&mut self) -> (&mut Reader, &mut Writer) {
        (&mut self.reader, &mut self.writer)
    }

    /// Both halves, owned: each can move to a thread of its own. Dropping one ends its direction.
    /// [`Reader::reunite`] puts them together again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{BufRead, Read, Write};
    /// let (left, mut right) = Stream::pair()?;
    /// let (reader, mut writer) = left.into_split();
    /// let reading = std::thread::spawn(move || reader.lines().collect::<Result<Vec<_>, _>>());
    /// writer.write_all(b"asked")?;
    /// right.read_exact(&mut [0; 5])?;
    /// right.write_all(b"one\ntwo\n")?;
    /// drop(right);
    /// assert_eq!(reading.join().unwrap()?, ["one", "two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "try_clone")]
    pub fn into_split(self) -> (Reader, Writer) {
        self.whole.take_apart();
        (self.reader, self.writer)
    }

    /// Reads what is there, without blocking; see [`Reader::try_read`].
    ///
    /// # Errors
    ///
    /// As [`Reader::try_read`].
    #[doc(alias = "recv")]
    pub fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.try_read(buf)
    }

    /// Writes what fits, without blocking; see [`Writer::try_write`].
    ///
    /// # Errors
    ///
    /// As [`Writer::try_write`].
    #[doc(alias = "send")]
    pub fn try_write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.try_write(buf)
    }

    /// Ends one direction or both, as [`Reader::shutdown`] and [`Writer::finish`] do.
    ///
    /// # Errors
    ///
    /// None: as with a socket, a direction that has ended before, even because the peer is gone, is
    /// no error here. [`Writer::finish`] tells whether the peer may miss something.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{Read, Write};
    /// use std::net::Shutdown;
    ///
    /// let (mut left, mut right) = Stream::pair()?;
    /// left.write_all(b"a question")?;
    /// left.shutdown(Shutdown::Write)?;
    /// let mut question = String::new();
    /// right.read_to_string(&mut question)?;
    /// right.write_all(b"an answer")?;
    /// left.read_exact(&mut [0; 9])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.reader.shutdown();
        }
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            let _ = self.writer.finish();
        }
        Ok(())
    }

    /// Who is at the other end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// let (left, _right) = Stream::pair()?;
    /// assert_eq!(left.peer().pid, Some(std::process::id()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "peer_cred")]
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer(&self) -> &Peer {
        self.reader.peer()
    }

    /// The name over which the stream was set up, if it was over one.
    #[doc(alias = "local_addr")]
    #[doc(alias = "peer_addr")]
    pub fn name(&self) -> Option<&Name> {
        self.reader.endpoint().name.as_ref()
    }

    /// The size of the ring that this side writes into now, in bytes; see [`Writer::capacity`].
    pub fn capacity(&self) -> usize {
        self.writer.capacity()
    }

    /// The size of the ring that the peer writes into now, in bytes; see
    /// [`Reader::peer_capacity`].
    pub fn peer_capacity(&self) -> usize {
        self.reader.peer_capacity()
    }

    /// See [`Reader::set_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{ErrorKind, Read};
    /// # use std::time::Duration;
    /// let (mut left, _right) = Stream::pair()?;
    /// left.set_read_timeout(Some(Duration::from_millis(1)))?;
    /// assert_eq!(left.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.reader.set_timeout(timeout)
    }

    /// See [`Writer::set_timeout`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.writer.set_timeout(timeout)
    }

    /// The timeout of reads.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.reader.timeout()
    }

    /// The timeout of writes.
    pub fn write_timeout(&self) -> Option<Duration> {
        self.writer.timeout()
    }

    /// Lets reads and writes that would block fail with `WouldBlock` at once.
    ///
    /// # Errors
    ///
    /// None; the result is there for the sake of programs written for sockets.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// # use std::io::{ErrorKind, Read};
    /// let (mut left, _right) = Stream::pair()?;
    /// left.set_nonblocking(true)?;
    /// assert_eq!(left.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_nonblocking(&mut self, yes: bool) -> io::Result<()> {
        self.reader.set_nonblocking(yes);
        self.writer.set_nonblocking(yes);
        Ok(())
    }

    /// A handle that ends the stream from any thread.
    #[doc(alias = "try_clone")]
    #[doc(alias = "shutdown")]
    pub fn closer(&self) -> Closer {
        self.reader.closer()
    }
}

impl Read for Stream {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read_resting(buf, || self.writer.half.rest())
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.reader.read_vectored(bufs)
    }
}

impl BufRead for Stream {
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf_resting(|| self.writer.half.rest())
    }

    #[inline]
    fn consume(&mut self, n: usize) {
        self.reader.consume(n);
    }
}

impl Write for Stream {
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.writer.write_vectored(bufs)
    }

    #[inline]
    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Reader {
    /// Puts both halves of one stream together again.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] with both halves, if they are not of the same stream.
    ///
    /// # Examples
    ///
    /// ```
    /// # use slipring::Stream;
    /// let (left, right) = Stream::pair()?;
    /// let (reader, writer) = left.into_split();
    /// let (other_reader, _other_writer) = right.into_split();
    /// let error = other_reader.reunite(writer).unwrap_err();
    /// let left = reader.reunite(*error.1)?;
    /// # drop(left);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reunite(self, writer: Writer) -> std::result::Result<Stream, ReuniteError> {
        if Arc::ptr_eq(self.endpoint(), writer.endpoint()) {
            Ok(Stream::of_halves(self, writer))
        } else {
            Err(ReuniteError(Box::new(self), Box::new(writer)))
        }
    }
}

/// Two halves that are not of the same stream; see [`Reader::reunite`].
///
/// # Examples
///
/// ```
/// # use slipring::Stream;
/// let (left, right) = Stream::pair()?;
/// let ((reader, _), (_, writer)) = (left.into_split(), right.into_split());
/// let error = reader.reunite(writer).unwrap_err();
/// assert!(error.to_string().contains("different streams"));
/// let (_reader, _writer) = (error.0, error.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ReuniteError(pub Box<Reader>, pub Box<Writer>);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reader and the writer are halves of different streams")
    }
}

impl std::error::Error for ReuniteError {}
